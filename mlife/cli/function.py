"""`mlife function`: what there is, and the free fields that a function's reports have."""

from __future__ import annotations

from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, show, told_done, with_home
from mlife.core.errors import Invalid

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("function")
def command() -> None:
    """Functions of systems: what there is, and which fields their reports have."""


@command.command("list")
@json_option
@with_home
def list_(home: Home, as_json: bool) -> None:
    """
    List systems, functions and their versions, with counts.

    \b
    mlife function list
    """
    from mlife.badcases.views import fields

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = [f for s in fields.tree(read) for f in s.functions]
    if as_json:
        print_json([asdict(f) for f in found])
        return
    rows = [
        {"system": f.system, "function": f.function, "versions": ", ".join(v.version for v in f.versions[:6])}
        | {"models": len(f.model_ids), "badcases": f.badcases, "reports": f.reports}
        | {"fields": ", ".join(d.name for d in f.fields)}
        for f in found
    ]
    show(rows, as_json=False, empty="nothing was reported yet: `mlife badcase report FILE`")


@command.command("show")
@click.argument("system")
@click.argument("function")
@json_option
@with_home
def show_(home: Home, system: str, function: str, as_json: bool) -> None:
    """
    Show the declared fields of a function.

    \b
    mlife function show dms emotion
    """
    from mlife.badcases.intake.declared import schema_of

    schema = schema_of(home.ports.store, system, function)
    told = {"revision": schema.revision, "template": schema.template, "fields": [asdict(f) for f in schema.fields]}
    if as_json:
        print_json({"system": system, "function": function, **told})
        return
    rows = [asdict(f) | {"choices": ", ".join(f.choices)} for f in schema.fields]
    show(
        rows,
        as_json=False,
        empty=f"nothing is declared of {function}: `mlife function describe {system} {function} FILE`",
    )
    if schema.template:
        click.echo(f"descriptions: {schema.template}")


@command.command("describe")
@click.argument("system")
@click.argument("function")
@click.argument("file", type=click.File("rb"))
@json_option
@with_home
def describe(home: Home, system: str, function: str, file: IO[bytes], as_json: bool) -> None:
    """
    Declare all fields of a function's reports, from a JSON file; `-` is standard input.

    \b
    echo '{"fields": [{"name": "place", "type": "choice", "choices": ["tunnel", "street"], "required": true},
                      {"name": "speed", "type": "number", "label": "Speed (km/h)"}],
           "template": "{place} at {speed} km/h"}' | mlife function describe dms emotion -
    """
    import orjson

    from mlife.badcases import commands
    from mlife.core.command import check_input

    try:
        told: Any = orjson.loads(file.read())
    except orjson.JSONDecodeError as e:
        raise Invalid(f"the file is no JSON: {e}", remedy='write {"fields": […], "template": …}') from e
    if not isinstance(told, dict):
        raise Invalid("the file is no JSON object", remedy='write {"fields": […], "template": …}')
    given = check_input(commands.describe_function, {**told, "system": system, "function": function})
    made = home.do(commands.describe_function, **given)
    told_done(home, made, f"the fields of {function} are declared", as_json=as_json)


@command.command("restore")
@click.argument("system")
@click.argument("function")
@click.argument("revision", type=click.IntRange(1))
@json_option
@with_home
def restore(home: Home, system: str, function: str, revision: int, as_json: bool) -> None:
    """
    Undo: declare again what an earlier REVISION declared.

    \b
    mlife function restore dms emotion 1
    """
    from mlife.badcases import commands

    made = home.do(commands.restore_function, system=system, function=function, revision=revision)
    told_done(home, made, f"the fields of {function} are those of revision {revision} again", as_json=as_json)
