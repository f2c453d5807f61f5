"""`mlife policy`: the numbers that models are judged by."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from mlife.cli.task import reading
from mlife.cli.terminal import json_option, print_json, show, with_home
from mlife.core.errors import Invalid
from mlife.core.judgement import Policy
from mlife.serving import views
from mlife.serving.commands import load_policy
from mlife.serving.states import DEFAULT_POLICY

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("policy")
def command() -> None:
    """Show and load the numbers that models are judged by."""


@command.command("show")
@click.argument("function", default=DEFAULT_POLICY)
@json_option
@with_home
def show_(home: Home, function: str, as_json: bool) -> None:
    """
    Show the policy in force for a function, or the default.

    \b
    mlife policy show
    mlife policy show dms/emotion
    """
    system, _, name = function.partition("/")
    with reading(home) as read:
        found = views.policy_of(read, system, name)
        loaded = {p["function"]: p for p in views.policies(read)}
    source = next((f for f in (function, DEFAULT_POLICY) if f in loaded), "built in")
    if as_json:
        print_json({**found.model_dump(mode="json"), "digest": found.digest(), "from": source})
        return
    built_in = Policy()
    rows = [
        {"number": k, "value": v, "": "changed" if v != getattr(built_in, k) else None}
        for k, v in found.model_dump(mode="json").items()
    ]
    show(rows, as_json=False)
    click.echo(f"from {source}, {found.digest()}")


@command.command("load")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--function", default=DEFAULT_POLICY, show_default=True, help="<system>/<function>, or default.")
@json_option
@with_home
def load(home: Home, file: Path, function: str, as_json: bool) -> None:
    """
    Use the numbers of a TOML or JSON file from now on; what it does not name has its built-in value.

    \b
    echo 'largest_loss = 0.01' > strict.toml
    mlife policy load strict.toml --function dms/emotion
    """
    done = home.do(load_policy, function=function, policy=_numbers(file))
    home.see(done.position)
    if as_json:
        print_json({"position": done.position, "changed": bool(done.events)})
    elif done.events:
        click.echo(f"{function} is judged by it from now on; verdicts under the old numbers count no more")
    else:
        click.echo(f"{function} is judged by these numbers already")


def _numbers(file: Path) -> dict[str, Any]:
    try:
        data = file.read_bytes()
        said = orjson.loads(data) if file.suffix == ".json" else tomllib.loads(data.decode())
    except (ValueError, OSError) as e:  # both formats' errors, and text that is no UTF-8, are ValueErrors
        raise Invalid(f"{file} can't be read: {e}", remedy="write TOML, e.g. largest_loss = 0.01") from e
    if not isinstance(said, dict):
        raise Invalid(f"{file} holds no table of numbers", remedy='write e.g. {"largest_loss": 0.01}')
    return said
