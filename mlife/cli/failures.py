"""`mlife task report`: what a test got wrong, as reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from mlife.cli.reporting import answered
from mlife.cli.terminal import json_option, with_home
from mlife.core.errors import Refused, there_is
from mlife.training import views
from mlife.training.typed import failure

if TYPE_CHECKING:
    from mlife.core.projection import Reader
    from mlife.runtime import Home

PART = 1_000


@click.command("report")
@click.argument("task_id")
@click.option("--model", "model_id", help="Only what this model got wrong.")
@click.option("--group", "group_id", help="Only samples of this group.")
@json_option
@with_home
def report_failures(home: Home, task_id: str, model_id: str | None, group_id: str | None, as_json: bool) -> None:
    """
    Report every sample that a testing task found wrong, whatever its type; they become badcases.

    Doing it again changes nothing. Exit status 1 if any was refused.

    \b
    mlife task report tsk-3f9a2c41b7d0 --model mdl-new
    """
    from mlife.badcases.intake.taking import Intake

    head = home.ports.store.head()
    home.see(head)
    with home.ports.views.read(min_position=head) as read:
        task = there_is(views.task(read, task_id), "task", task_id)
        if task.system is None or task.function is None or task.ended_at is None:
            raise Refused(
                f"task {task_id} is of no system and function, or has not ended",
                remedy="report samples of a task that tested a function: mlife task list kind:testing state:done",
            )
        about = {"system": task.system, "function": task.function, "task_id": task_id}
        wanted = [
            s
            for s in views.scores_of_task(read, task_id)
            if model_id in (None, s.model_id) and group_id in (None, s.group_id)
        ]
        reports = (r for s in wanted for r in _failures(read, s, at=task.ended_at.isoformat(), **about))
        answer = Intake(home.ports.store, home.sealer, home.do.clock).reports(reports)
    answered(home, answer, as_json=as_json)


def _failures(read: Reader, score: views.Score, *, at: str, **about: str) -> Iterator[dict[str, Any]]:
    key, after = views.set_key(about["task_id"], score.model_id, score.group_id), ""
    while found := views.samples(read, key, correct=False, after=after, limit=PART):
        for r in found:
            yield failure((r.sha256, r.truth, r.label, r.score), model_id=score.model_id, at=at, **about)
        after = found[-1].sha256
