"""`mlife iteration`: one turn of the loop, from badcases to a proved fix."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.cause import chosen
from mlife.cli.terminal import json_option, print_json, show, with_home
from mlife.core.errors import there_is

if TYPE_CHECKING:
    from mlife.runtime import Home


@click.group("iteration")
def command() -> None:
    """Iterations: open one for badcases, follow its story, end it."""


@command.command("open")
@click.argument("title")
@click.option("--query", "-q", default="", help="The badcases to aim at, e.g. 'cause:cau-… open:yes'.")
@click.option("--view", "view_id", help="A saved view of badcases: what it finds now.")
@click.option("--badcase", "badcases", multiple=True, help="A badcase; may be given again.")
@click.option("--alarm", "alarm_id", help="The alarm that it answers.")
@click.option("--cause", "cause_id", help="The cause that it is about.")
@json_option
@with_home
def open_(
    home: Home,
    title: str,
    query: str,
    view_id: str | None,
    badcases: tuple[str, ...],
    alarm_id: str | None,
    cause_id: str | None,
    as_json: bool,
) -> None:
    """
    Open an iteration that aims at badcases of one function.

    What a query or a view finds is frozen as a list; `mlife iteration show` says what has joined and left since.

    \b
    mlife iteration open "half-worn masks" --query 'function:emotion status:triaged'
    """
    from mlife.badcases import commands
    from mlife.badcases.events import IterationOpened

    if view_id is not None:
        query = _query_of(home, view_id)
    system, function, ids = chosen(home, query, badcases)
    done = home.do(
        commands.open_iteration,
        system=system,
        function=function,
        title=title,
        badcase_ids=ids,
        alarm_id=alarm_id,
        cause_id=cause_id,
        query="" if badcases else query,
        view_id=view_id,
        frozen_at=home.ports.store.head() if query and not badcases else None,
    )
    home.see(done.position)
    iteration_id = done.first(IterationOpened).iteration_id
    if as_json:
        print_json({"position": done.position, "iteration_id": iteration_id, "badcases": len(ids)})
    else:
        click.echo(f"{iteration_id} aims at {len(ids)} badcases")


@command.command("close")
@click.argument("iteration_id")
@click.option("--outcome", type=click.Choice(["shipped", "abandoned"]), required=True)
@click.option("--deployment", "deployment_id", help="The deployment that ended it.")
@click.option("--note", default="", help="In words.")
@json_option
@with_home
def close(home: Home, iteration_id: str, outcome: Any, deployment_id: str | None, note: str, as_json: bool) -> None:
    """
    End an iteration.

    \b
    mlife iteration close itr-7c4ab629d77b --outcome shipped --deployment dep-3f9a2c41b7d0
    """
    from mlife.badcases import commands

    done = home.do(
        commands.close_iteration, iteration_id=iteration_id, outcome=outcome, deployment_id=deployment_id, note=note
    )
    if done.position:
        home.see(done.position)
    if as_json:
        print_json({"position": done.position, "iteration_id": iteration_id, "changed": bool(done.events)})
    else:
        click.echo(f"{iteration_id} has ended: {outcome}")


def _query_of(home: Home, view_id: str) -> str:
    from mlife.badcases.views.saved import badcases_of_view, saved_view

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        view = there_is(saved_view(read, view_id), "view", view_id)
        badcases_of_view(read, view_id, now=home.do.clock.now())  # refuses a view of anything else
    return view.query


@command.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only those that have not ended.")
@json_option
@with_home
def list_(home: Home, only_open: bool, as_json: bool) -> None:
    """
    List iterations, the newest first.

    \b
    mlife iteration list
    """
    from mlife.badcases.views import turns

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [asdict(i) for i in turns.iterations(read, only_open=only_open)]
    columns = ("iteration_id", "title", "system", "function", "badcases", "reports", "outcome", "opened_by")
    show(rows, as_json=as_json, columns=columns, empty="no iteration; open one with `mlife iteration open`")


@command.command("show")
@click.argument("iteration_id")
@json_option
@with_home
def show_(home: Home, iteration_id: str, as_json: bool) -> None:
    """
    Tell an iteration as a story: the target, what was done, what became of it.

    \b
    mlife iteration show itr-7c4ab629d77b
    """
    from mlife.badcases.views import turns

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        found = there_is(turns.iteration(read, iteration_id), "iteration", iteration_id)
        story = turns.story(read, iteration_id)
        changed = turns.changes_of(read, found, now=home.do.clock.now())
    joined, left = ([b.badcase_id for b in some] for some in (changed.joined, changed.left))
    if as_json:
        print_json({**asdict(found), "story": [asdict(f) for f in story], "joined": joined, "left": left})
        return
    counts = ", ".join(f"{n} {status}" for status, n in found.by_status.items())
    click.echo(f"{found.title}: {found.badcases} badcases with {found.reports} reports ({counts})")
    if found.query:
        click.echo(
            f"frozen from {found.query} at position {found.frozen_at}: {len(joined)} joined and {len(left)} left"
        )
    for fact in story:
        click.echo(f"{fact.position:>8}  {fact.happened_at:%Y-%m-%d %H:%M}  {fact.word}: {fact.sentence}")
