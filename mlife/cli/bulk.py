"""`mlife bulk`: the same done to many badcases, watched, stopped and taken back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.terminal import json_option, print_json, progress, show, with_home

if TYPE_CHECKING:
    from mlife.core.command import Done
    from mlife.runtime import Home

COLUMNS = ("bulk_id", "action", "state", "total", "done", "changed", "refused", "started_by", "started_at", "query")


@click.group("bulk")
def command() -> None:
    """Bulk jobs: one action on all badcases that a query matches, with progress and a way back."""


@command.command("start")
@click.argument("action")
@click.option("--query", help="All badcases that match; the list is frozen when the job starts.")
@click.option("--badcase", "badcase_ids", multiple=True, help="One badcase; may be given several times.")
@click.option("--set", "said", multiple=True, metavar="NAME=VALUE", help="Input of the action, e.g. owner=ana.")
@json_option
@with_home
def start(
    home: Home, action: str, query: str | None, badcase_ids: tuple[str, ...], said: tuple[str, ...], as_json: bool
) -> None:
    """
    Do ACTION (triage, assign, prioritise, mute, unmute, reject, reopen, pin) to many badcases.

    Each is judged by itself; what is refused is named with the reason, and exit status 1. A job that was cut short
    goes on where it stopped: `mlife up` does it, or `mlife bulk resume`.

    \b
    mlife bulk start triage --query 'function:digit status:new'
    mlife bulk start assign --query 'client:fleet-7 open:yes' --set owner=ana
    """
    from mlife.badcases import commands
    from mlife.badcases.commands.bulk import MOST_AT_ONCE
    from mlife.badcases.views import lists

    wrong = [pair for pair in said if "=" not in pair]
    if wrong:
        raise click.UsageError(f"--set {wrong[0]} is no NAME=VALUE")
    if (query is None) == (not badcase_ids):
        raise click.UsageError("name what to act on: either --query (empty for all) or --badcase")
    home.see(home.ports.store.head())
    ids = list(badcase_ids)
    if query is not None:
        with home.ports.views.read() as read:
            ids = lists.matching_ids(read, query, now=home.do.clock.now(), limit=MOST_AT_ONCE + 1)
    given: dict[str, Any] = dict(pair.split("=", 1) for pair in said)
    begun = home.do(commands.start_bulk, action=action, query=query or "", badcase_ids=ids, input=given)
    _carry_out(home, begun, as_json=as_json)


@command.command("undo")
@click.argument("bulk_id")
@json_option
@with_home
def undo(home: Home, bulk_id: str, as_json: bool) -> None:
    """
    Take back what a job changed, and only that; what somebody changed since stays, and is named.

    \b
    mlife bulk undo blk-3f9a2c41b7d0
    """
    from mlife.badcases import commands

    begun = home.do(commands.undo_bulk, bulk_id=bulk_id)
    if not begun.events:
        click.echo(f"{bulk_id} was taken back before")
        return
    _carry_out(home, begun, as_json=as_json)


@command.command("resume")
@click.argument("bulk_id")
@json_option
@with_home
def resume(home: Home, bulk_id: str, as_json: bool) -> None:
    """
    Go on here with a job that was cut short; nothing is done twice.

    \b
    mlife bulk resume blk-3f9a2c41b7d0
    """
    _finish(home, bulk_id, as_json=as_json)


@command.command("stop")
@click.argument("bulk_id")
@json_option
@with_home
def stop(home: Home, bulk_id: str, as_json: bool) -> None:
    """
    End a job before its list is through; what it did stays, and can be taken back.

    \b
    mlife bulk stop blk-3f9a2c41b7d0
    """
    from mlife.badcases import commands

    made = home.do(commands.stop_bulk, bulk_id=bulk_id)
    if as_json:
        print_json({"bulk_id": bulk_id, "position": made.position, "changed": bool(made.events)})
    else:
        click.echo(f"{bulk_id} is stopped" if made.events else f"{bulk_id} had ended already")


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
@with_home
def list_(home: Home, limit: int, as_json: bool) -> None:
    """
    List bulk jobs, the latest first.

    \b
    mlife bulk list
    """
    from mlife.badcases.views.bulk import bulk_jobs

    home.see(home.ports.store.head())
    with home.ports.views.read() as read:
        rows = [asdict(j) for j in bulk_jobs(read, limit=limit)]
    show(rows, as_json=as_json, columns=COLUMNS, empty="no bulk job yet: `mlife bulk start ACTION --query QUERY`")


@command.command("show")
@click.argument("bulk_id")
@json_option
@with_home
def show_(home: Home, bulk_id: str, as_json: bool) -> None:
    """
    Show one bulk job, with what it could not do and why.

    \b
    mlife bulk show blk-3f9a2c41b7d0
    """
    from mlife.badcases.stepping import job_in_log

    _tell(job_in_log(home.ports.store, bulk_id), home.ports.store.head(), as_json=as_json)


def _carry_out(home: Home, begun: Done, *, as_json: bool) -> None:
    from mlife.badcases.events import BulkStarted

    _finish(home, begun.first(BulkStarted).bulk_id, as_json=as_json)


def _finish(home: Home, bulk_id: str, *, as_json: bool) -> None:
    """Take the steps that are left, beside whoever else takes them."""
    from mlife.badcases import commands
    from mlife.badcases.stepping import job_in_log, next_step

    job = job_in_log(home.ports.store, bulk_id)
    with progress(shown=not as_json) as bar:
        task = bar.add_task(job.action, total=len(job.badcase_ids))
        while True:
            with home.ports.views.read() as read:
                step = next_step(home.ports.store, read, bulk_id)
            if step is None:
                break
            bar.update(task, completed=step["at"])
            home.do.under(f"{bulk_id}:{step['at']}", commands.take_step, **step)
        bar.update(task, completed=len(job.badcase_ids))
    home.see(home.ports.store.head())
    job = job_in_log(home.ports.store, bulk_id)
    _tell(job, home.ports.store.head(), as_json=as_json)
    if job.refused:
        sys.exit(1)


def _tell(job: Any, position: int, *, as_json: bool) -> None:
    from mlife.badcases.stepping import told_of
    from mlife.core.errors import NotFound

    if not job.exists:
        raise NotFound(f"there is no bulk job {job.id}", remedy="look for it by `mlife bulk list`")
    told = told_of(job, position)
    if as_json:
        print_json(told)
        return
    click.echo(
        f"{job.id}  {job.action}, {told['state']}: {told['done']} of {told['total']} dealt with, {told['touched']} "
        f"changed, {told['unchanged']} were so already, {len(job.refused)} refused"
    )
    for refusal in job.refused[:50]:
        click.echo(f"  {refusal['badcase_id']}  {refusal['problem']}", err=True)
    if len(job.refused) > 50:
        click.echo(f"  … and {len(job.refused) - 50} more", err=True)
    if job.changed and not job.running and job.undoes is None:
        click.echo(f"  `mlife bulk undo {job.id}` takes it back")
