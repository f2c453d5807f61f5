"""`mlife doctor`: what is configured, reachable, lagging, missing, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, show
from mlife.core.errors import MLifeError
from mlife.core.health import Finding, examine

if TYPE_CHECKING:
    from mlife.runtime import Settings


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Make what is missing: folder, file modes, topics, bucket. Safe to repeat.")
@click.option("--home", type=click.Path(file_okay=False), help="The home to look at (default: MLIFE_HOME or ./.mlife).")
@json_option
def command(home: str | None, fix: bool, as_json: bool) -> None:
    """
    Look at everything this home depends on; exit 1 if something is wrong.

    Parts are looked at beside each other and each for a few seconds: one that is away hides no other.

    \b
    mlife doctor
    mlife doctor --fix     make missing topics and the bucket, and say what was made
    """
    from mlife.runtime import settings

    try:
        chosen = settings(home)
    except MLifeError as fault:
        findings = [Finding.of("configuration", fault)]
    else:
        findings = list(_findings(chosen, fix=fix))
    show([asdict(f) for f in findings], as_json=as_json)
    if any(f.state == "wrong" for f in findings):
        raise SystemExit(1)


def _findings(chosen: Settings, *, fix: bool) -> Iterator[Finding]:
    from mlife.runtime.checks import home_check, part_checks

    can_open = True
    for finding in examine(part_checks(chosen, fix=fix)):
        can_open = can_open and not (finding.what == "database" and finding.state == "wrong")
        yield finding
    if can_open:
        yield from examine([home_check(chosen)])
    else:
        yield Finding("log", "note", "not looked at, nor what follows it: the database can't be used")
