"""What follows from what happens to tasks."""

from __future__ import annotations

from mlife.handlers.gate_evidence import candidates, judge_on

from mlife.core.events import Recorded
from mlife.core.handler import Do, handler
from mlife.training.events import TaskFinished


@handler("serving.judge", on=TaskFinished)
def judge_the_tested(fact: Recorded[TaskFinished], do: Do) -> None:
    """The gate speaks of each model that a testing task tested, those it is compared with left out. Safe to repeat."""
    if fact.event.kind != "testing":
        return
    with do.read() as read:
        models = candidates(read, fact.event.tested, fact.position)
    judge_on(do, fact, models)
