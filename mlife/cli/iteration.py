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
@click.option("--badcase", "badcases", multiple=True, help="A badcase; may be given again.")
@click.option("--alarm", "alarm_id", help="The alarm that it answers.")
@click.option("--cause", "cause_id", help="The cause that it is about.")
@json_option
@with_home
def open_(
    home: Home,
    title: str,
    query: str,
    badcases: tuple[str, ...],
    alarm_id: str | None,
    cause_id: str | None,
    as_json: bool,
) -> None:
    """
    Open an iteration that aims at badcases of one function.

    \b
    mlife iteration open "half-worn masks" --query 'function:emotion status:triaged'
    """
    from mlife.badcases import commands
    from mlife.badcases.events import IterationOpened

    system, function, ids = chosen(home, query, badcases)
    done = home.do(
        commands.open_iteration,
        system=system,
        function=function,
        title=title,
        badcase_ids=ids,
        alarm_id=alarm_id,
        cause_id=cause_id,
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
    if as_json:
        print_json({**asdict(found), "story": [asdict(f) for f in story]})
        return
    counts = ", ".join(f"{n} {status}" for status, n in found.by_status.items())
    click.echo(f"{found.title}: {found.badcases} badcases with {found.reports} reports ({counts})")
    for fact in story:
        click.echo(f"{fact.position:>8}  {fact.happened_at:%Y-%m-%d %H:%M}  {fact.word}: {fact.sentence}")
