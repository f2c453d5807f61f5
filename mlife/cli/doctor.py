"""`mlife doctor`: what is configured, reachable, lagging, missing, and what to do about it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, show, with_home
from mlife.core.projection import projections

if TYPE_CHECKING:
    from mlife.runtime import Home

GIGABYTE = 1_000_000_000
FREE_WANTED = 1 * GIGABYTE
LAG_ALLOWED = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: how it is (`ok`, `note` or `wrong`), and what to do."""

    what: str
    state: str
    found: str
    do: str = ""


@click.command("doctor")
@json_option
@with_home
def command(home: Home, as_json: bool) -> None:
    """
    Look at everything this home depends on; exit 1 if something is wrong.

    \b
    mlife doctor
    """
    findings = [*_home(home), *_projections(home), *_handlers(home), *_extras()]
    show([asdict(f) for f in findings], as_json=as_json)
    if any(f.state == "wrong" for f in findings):
        raise SystemExit(1)


def _home(home: Home) -> Iterator[Finding]:
    folder = home.settings.home
    yield Finding("home", "ok", str(folder))
    yield Finding("log", "ok", f"{home.settings.store}, {home.ports.store.head()} events")
    free = shutil.disk_usage(folder).free
    if free < FREE_WANTED:
        yield Finding("disk", "wrong", f"{free / GIGABYTE:.1f} GB free", "free some space before writes are refused")
    else:
        yield Finding("disk", "ok", f"{free / GIGABYTE:.0f} GB free")
    keys = Path(folder / "keys.db")
    if keys.exists() and keys.stat().st_mode & 0o077:
        yield Finding("keys", "wrong", "keys.db can be read by others", f"chmod 600 {keys}")
    yield Finding(
        "network", "ok" if not home.settings.token else "note", "token set" if home.settings.token else "loopback only"
    )


def _projections(home: Home) -> Iterator[Finding]:
    head = home.ports.store.head()
    running = home.ports.locks.is_held("runner")
    yield Finding(
        "runner",
        "ok" if running else "note",
        "a process projects and handles" if running else "no process runs handlers now",
        "" if running else "`mlife up` keeps the loop going",
    )
    live = {s.name: s for s in home.ports.views.standings() if s.state in ("live", "stopped")}
    for name in sorted(projections):
        s = live.get(name)
        if s is None:
            yield Finding(
                f"projection {name}", "note", "not filled yet", "`mlife up`, or any command that writes, fills it"
            )
        elif s.state == "stopped":
            yield Finding(
                f"projection {name}", "wrong", s.error, f"mend it, or `mlife projection skip {name} POSITION`"
            )
        elif head - s.position > LAG_ALLOWED:
            yield Finding(
                f"projection {name}", "note", f"{head - s.position} events behind", "`mlife up` lets it follow"
            )
        else:
            yield Finding(
                f"projection {name}", "ok", f"version {s.version}, generation {s.generation}, at {s.position}"
            )


def _handlers(home: Home) -> Iterator[Finding]:
    letters = home.book.letters()
    if letters:
        keys = sorted({f"{d.handler} {d.key}" for d in letters})
        yield Finding(
            "dead letters",
            "wrong",
            f"{len(letters)} parked ({', '.join(keys[:3])} …)",
            "`mlife deadletter list`, then retry or skip",
        )
    else:
        yield Finding("dead letters", "ok", "nothing is parked")


def _extras() -> Iterator[Finding]:
    for module, extra, what in (
        ("onnxruntime", "onnx", "serving models here"),
        ("sklearn", "demo", "`mlife demo`"),
        ("eventsourcing", "eventsourcing", "applications of the eventsourcing library in the same log"),
    ):
        if find_spec(module) is None:
            yield Finding(f"extra {extra}", "note", f"not installed: {what} is off", f"pip install 'mlife[{extra}]'")
        else:
            yield Finding(f"extra {extra}", "ok", "installed")
