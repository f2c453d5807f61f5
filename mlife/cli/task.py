"""`mlife task`: training and testing tasks, their logs, and models compared by their results."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from mlife.cli.failures import report_failures
from mlife.cli.terminal import json_option, list_options, print_json, show, with_home
from mlife.core.errors import there_is
from mlife.training import commands, views
from mlife.training.live import LOG, live, log_since
from mlife.training.states import Kind

if TYPE_CHECKING:
    from mlife.core.command import Done
    from mlife.core.projection import Reader
    from mlife.runtime import Home

LOOK = 0.3
"""Seconds between looks at a log that is followed."""


@click.group("task")
def command() -> None:
    """Draft, start, follow and compare training and testing tasks."""


command.add_command(report_failures)


@contextmanager
def reading(home: Home) -> Iterator[Reader]:
    """The query tables with everything that the log has now."""
    head = home.ports.store.head()
    home.see(head)
    with home.ports.views.read(min_position=head) as read:
        yield read


def the_task(home: Home, task_id: str) -> views.TaskView:
    """
    The task.

    Raises:
        NotFound: there is none.
    """
    with reading(home) as read:
        return there_is(views.task(read, task_id), "task", task_id)


@command.command("list")
@list_options("-seconds,name", "what changed last")
@with_home
def list_(home: Home, query: str, sort: str | None, limit: int, as_json: bool) -> None:
    """
    List the tasks that a query asks for.

    \b
    mlife task list 'state:running'
    mlife task list 'kind:testing tests:mdl-3f9a2c41b7d0' --sort -changed
    """
    with reading(home) as read:
        found = views.task_page(read, query, now=home.do.clock.now(), sort=sort, limit=limit).items
    rows = [_row(home, t) for t in found] if not as_json else [asdict(t) for t in found]
    show(
        rows,
        as_json=as_json,
        empty="no task matches: grouping documents drafts one (`mlife document group`), or `mlife task draft`",
    )


def _row(home: Home, t: views.TaskView) -> dict[str, Any]:
    doing = _progress(home, t)
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in list(t.metrics.items())[:3])
    said = doing or (t.error or "").split("\n", 1)[0][:60] or metrics
    return {
        "task": t.task_id,
        "kind": t.kind,
        "state": t.state,
        "name": t.name,
        "seconds": t.seconds,
        "model": t.model_id or ", ".join(t.model_ids) or None,
        "says": said or None,
    }


def _progress(home: Home, t: views.TaskView) -> str:
    seen = live(_runs(home), t.task_id, t.attempt) if t.state == "running" else None
    return f"{seen.share:.0%} {seen.text}".strip() if seen else ""


def _runs(home: Home) -> Path:
    return home.settings.home / "runs"


@command.command("show")
@click.argument("task_id")
@json_option
@with_home
def show_(home: Home, task_id: str, as_json: bool) -> None:
    """
    Show a task: how it was started, what it left, and its results by test group.

    \b
    mlife task show tsk-3f9a2c41b7d0
    """
    t = the_task(home, task_id)
    with reading(home) as read:
        scores = views.scores_of_task(read, task_id)
    seen = live(_runs(home), task_id, t.attempt) if t.state == "running" else None
    if as_json:
        shown = {**asdict(t), "scores": [{**asdict(s), "accuracy": s.accuracy} for s in scores]}
        print_json({**shown, "progress": asdict(seen) if seen else None})
        return
    click.echo(f"{t.task_id}  {t.name}  {t.kind}, {t.state}" + (f", {seen.share:.0%} {seen.text}" if seen else ""))
    for what, value in _lines(t):
        click.echo(f"  {what:<12} {value}")
    if scores:
        rows = [
            {"model": s.model_id, "group": s.group_name, "rows": s.size, "right": s.correct, "accuracy": s.accuracy}
            for s in scores
        ]
        show(rows, as_json=False)


def _lines(t: views.TaskView) -> Iterator[tuple[str, str]]:
    said: list[tuple[str, Any]] = [
        ("groups", ", ".join(t.group_ids)),
        ("tests", ", ".join(t.model_ids)),
        ("replaces", ", ".join(t.parents)),
        ("code", t.entry_point),
        ("in", t.workdir),
        ("parameters", orjson.dumps(t.parameters).decode() if t.parameters else ""),
        ("seed", t.seed if t.entry_point else ""),
        ("attempt", t.attempt or ""),
        ("model", t.model_id),
        ("seconds", t.seconds),
        ("metrics", ", ".join(f"{name} {value:.4g}" for name, value in t.metrics.items())),
        ("files", ", ".join(t.files)),
        ("why", (t.error or "").replace("\n", "\n               ")),
    ]
    yield from ((what, str(value)) for what, value in said if value not in {None, ""})


@command.command("draft")
@click.argument("kind", type=click.Choice(views.KINDS))
@click.option("--group", "group_ids", multiple=True, help="A group to use; repeatable. Groups may be used again.")
@click.option("--name", default="", help="What to call it (default: the names of its groups).")
@click.option("--system", help="The system that its model belongs to (default: that of its first group).")
@click.option("--function", help="The function of that system.")
@click.option("--iteration", "iteration_id", help="The iteration that it belongs to.")
@json_option
@with_home
def draft(
    home: Home,
    kind: Kind,
    group_ids: tuple[str, ...],
    name: str,
    system: str | None,
    function: str | None,
    iteration_id: str | None,
    as_json: bool,
) -> None:
    """
    Draft a task by hand, on groups that exist.

    \b
    mlife task draft testing --group grp-3f9a2c41b7d0 --name "field, again"
    """
    with reading(home) as read:
        first = next((g for g in views.groups(read, group_ids) if g.group_id in group_ids[:1]), None)
    done = home.do(
        commands.draft_task,
        kind=kind,
        group_ids=group_ids,
        name=name,
        system=system or (first.system if first else None),
        function=function or (first.function if first else None),
        iteration_id=iteration_id,
    )
    _told(home, done, done.events[0].task_id, "is drafted; start it with `mlife task start`", as_json)  # type: ignore[attr-defined]


@command.command("start")
@click.argument("task_id")
@click.option("--entry", "entry_point", required=True, help="module:function, or a command line in quotes.")
@click.option("--group", "group_ids", multiple=True, help="All groups that it uses (default: those of the draft).")
@click.option("--model", "model_ids", multiple=True, help="A model to test; a testing task needs one; repeatable.")
@click.option("--parent", "parents", multiple=True, help="A model that the new one replaces (default: the deployed).")
@click.option("--param", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter; JSON or plain text.")
@click.option("--seed", default=0, show_default=True)
@click.option("--workdir", type=click.Path(file_okay=False), help="Where the code runs (default: here).")
@click.option("--model-name", default="", help="What to call the trained model (default: the task's name).")
@click.option("--time-limit", type=click.FloatRange(min=0, min_open=True), help="Seconds after which it is stopped.")
@json_option
@with_home
def start(
    home: Home,
    task_id: str,
    entry_point: str,
    group_ids: tuple[str, ...],
    model_ids: tuple[str, ...],
    parents: tuple[str, ...],
    parameters: tuple[str, ...],
    seed: int,
    workdir: str | None,
    model_name: str,
    time_limit: float | None,
    as_json: bool,
) -> None:
    """
    Queue a drafted task for the next worker (`mlife up` is one; else `mlife worker tasks`).

    \b
    mlife task start tsk-3f9a2c41b7d0 --entry my_code.train:main --param C=10
    mlife task start tsk-88aa01c2d4e5 --entry "python test.py" --model mdl-41bb20cc7d10
    """
    t = the_task(home, task_id)
    with reading(home) as read:
        deployed = views.deployed_models(read, t.system, t.function)
    done = home.do(
        commands.start_task,
        task_id=task_id,
        entry_point=entry_point,
        workdir=str(Path(workdir or ".").absolute()),
        group_ids=group_ids or None,
        model_ids=model_ids,
        parents=parents or None,
        deployed=deployed,
        parameters=dict(_parameter(p) for p in parameters),
        seed=seed,
        model_name=model_name,
        time_limit=time_limit,
    )
    _told(home, done, task_id, f"is queued; follow it with `mlife task log {task_id} --follow`", as_json)


def _parameter(text: str) -> tuple[str, Any]:
    name, is_one, value = text.partition("=")
    if not is_one or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as --param C=10")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


@command.command("cancel")
@click.argument("task_id")
@click.option("--reason", default="", help="Why; it is recorded.")
@json_option
@with_home
def cancel(home: Home, task_id: str, reason: str, as_json: bool) -> None:
    """
    Give a task up; running code is stopped within a second.

    \b
    mlife task cancel tsk-3f9a2c41b7d0 --reason "wrong group"
    """
    _told(home, home.do(commands.cancel_task, task_id=task_id, reason=reason), task_id, "is cancelled", as_json)


@command.command("retry")
@click.argument("task_id")
@json_option
@with_home
def retry(home: Home, task_id: str, as_json: bool) -> None:
    """
    Queue a failed or cancelled task again, as it was started.

    \b
    mlife task retry tsk-3f9a2c41b7d0
    """
    _told(home, home.do(commands.retry_task, task_id=task_id), task_id, "is queued again", as_json)


def _told(home: Home, done: Done, task_id: str, says: str, as_json: bool) -> None:
    if done.position:
        home.see(done.position)
    if as_json:
        print_json({"position": done.position, "task_id": task_id})
    else:
        click.echo(f"{task_id} {says}")


@command.command("log")
@click.argument("task_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the task ends; exit 1 if it failed.")
@with_home
def log(home: Home, task_id: str, follow: bool) -> None:
    """
    Print what a task's code wrote.

    \b
    mlife task log tsk-3f9a2c41b7d0 --follow
    """
    t = the_task(home, task_id)
    at, attempt = 0, t.attempt
    while t.state in {"queued", "running"}:
        if t.attempt != attempt:
            at, attempt = 0, t.attempt
        news = log_since(_runs(home), task_id, attempt, at)
        if news:
            at = _print(news[0], news[1])
        if not follow:
            return
        time.sleep(LOOK)
        t = the_task(home, task_id)
    if LOG in t.files:
        with home.ports.blobs.open(t.files[LOG]) as f:
            f.seek(at if t.attempt == attempt else 0)
            shutil.copyfileobj(f, sys.stdout.buffer)
    else:
        news = log_since(_runs(home), task_id, t.attempt, at, limit=100_000_000)
        _print(*(news or (b"", 0)))
    sys.stdout.buffer.flush()
    if follow and t.state != "done":
        why = (t.error or "").split("\n", 1)[0]
        click.echo(f"mlife: task {task_id} is {t.state}" + (f": {why}" if why else ""), err=True)
        raise SystemExit(1)


def _print(data: bytes, at: int) -> int:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return at


@command.command("compare")
@click.argument("model_id")
@click.argument("other_id")
@click.option("--show", "state", type=click.Choice(views.STATES), help="List the rows in this state.")
@click.option("--group", "group_id", help="Only rows of this group.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@with_home
def compare(
    home: Home, model_id: str, other_id: str, state: str | None, group_id: str | None, limit: int, as_json: bool
) -> None:
    """
    Compare MODEL_ID with OTHER_ID on the rows that both were tested on.

    \b
    mlife task compare mdl-new mdl-deployed
    mlife task compare mdl-new mdl-deployed --show broken
    """
    with reading(home) as read:
        if state is not None:
            found = views.changed_rows(read, model_id, other_id, state=state, group_id=group_id, limit=limit)
            show([asdict(c) for c in found], as_json=as_json, empty=f"no row is {state}")
            return
        counted = views.compare_models(read, model_id, other_id)
    rows = [asdict(c) for c in counted if group_id in {None, c.group_id}]
    show(rows, as_json=as_json, empty=f"{model_id} and {other_id} were not tested on the same group yet")
