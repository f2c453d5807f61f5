"""`mlife projection`: the query tables, which can be thrown away and proved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import json_option, print_json, progress, show, with_home
from mlife.core import control
from mlife.core.errors import NotFound, Refused
from mlife.core.projection import Projection, projections
from mlife.core.rebuild import is_left_over, rebuild, rollback, verify

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("projection")
def command() -> None:
    """See, rebuild, check and roll back the query tables."""


@command.command("status")
@json_option
@with_home
def status(home: Home, as_json: bool) -> None:
    """
    Show where each generation of each projection stands.

    \b
    mlife projection status
    """
    head = home.ports.store.head()
    rows = [
        {
            "projection": s.name,
            "version": s.version,
            "generation": s.generation,
            "state": s.state,
            "position": s.position,
            "behind": head - s.position,
            "why": "its rebuild was killed; the next one drops it" if is_left_over(home.ports, s) else s.error,
        }
        for s in home.ports.views.standings()
    ]
    show(rows, as_json=as_json, empty="no projection has run yet: `mlife up` or any command that writes starts them")


@command.command("rebuild")
@click.argument("name")
@json_option
@with_home
def rebuild_(home: Home, name: str, as_json: bool) -> None:
    """
    Fill a new generation beside the live one, then swap; readers notice nothing.

    \b
    mlife projection rebuild badcases
    """
    projection = _named(name)
    with progress(shown=not as_json) as bar:
        task = bar.add_task(f"rebuilding {name}", total=home.ports.store.head())
        standing = rebuild(home.ports, projection, lambda done, head: bar.update(task, completed=done, total=head))
    answer = {"projection": name, "generation": standing.generation, "position": standing.position}
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{name}: generation {standing.generation} is live at position {standing.position}")


@command.command("verify")
@click.argument("name")
@json_option
@with_home
def verify_(home: Home, name: str, as_json: bool) -> None:
    """
    Replay the log into scratch tables and compare row by row; exit 1 if a row differs.

    \b
    mlife projection verify badcases
    """
    projection = _named(name)
    with progress(shown=not as_json) as bar:
        task = bar.add_task(f"replaying {name}", total=home.ports.store.head())
        differences = verify(home.ports, projection, lambda done, head: bar.update(task, completed=done, total=head))
    if as_json:
        print_json({"projection": name, "equal": not differences, "differences": differences})
    if differences:
        raise Refused(
            f"{name} differs from a fresh replay in {len(differences)} places or more:\n  " + "\n  ".join(differences),
            remedy=f"`mlife projection rebuild {name}` replaces it",
        )
    if not as_json:
        click.echo(f"{name}: every row is what a fresh replay of the log gives")


@command.command("rollback")
@click.argument("name")
@with_home
def rollback_(home: Home, name: str) -> None:
    """
    Make the generation before the live one live again.

    \b
    mlife projection rollback badcases
    """
    standing = rollback(home.ports, _named(name))
    click.echo(f"{name}: generation {standing.generation} is live again at position {standing.position}")


@command.command("skip")
@click.argument("name")
@click.argument("position", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why the event may be passed over; it is recorded.")
@with_home
def skip(home: Home, name: str, position: int, reason: str) -> None:
    """
    Let a stopped projection pass over an event, now and in every replay; the exception is itself an event.

    \b
    mlife projection skip badcases 6279 --reason "written by a broken release"
    """
    projection = _named(name)
    standing = home.ports.views.prepare(projection)
    if standing.position >= position:
        raise Refused(
            f"{name} has folded the log up to {standing.position}; a replay that skips {position} would differ from it",
            remedy=f"only what it stopped at is skipped; `mlife projection rebuild {name}` replays it all",
        )
    if standing.state != "stopped" or position != standing.position + 1:
        at = f"stopped at {standing.position + 1}" if standing.state == "stopped" else "not stopped"
        raise Refused(
            f"{name} is {at}: what is skipped unseen would be lost unseen",
            remedy="`mlife projection status` names the event at fault",
        )
    done = home.do(control.skip_in_projection, projection=name, position=position, reason=reason)
    home.ports.views.clear(projection)
    if done.position:
        home.see(done.position)
    click.echo(f"{name} passes over position {position}")


def _named(name: str) -> Projection:
    found = projections.get(name)
    if found is None:
        raise NotFound(f"there is no projection {name!r}", remedy=f"choose one of {', '.join(sorted(projections))}")
    return found
