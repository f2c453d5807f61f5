"""The box "This iteration": where the youngest open turn of the loop stands."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request

from mlife.badcases.views import turns
from mlife.badcases.views.rows import Fact, IterationView
from mlife.ui import Iteration, Step

STAGES: Sequence[tuple[str, tuple[str, ...], tuple[str, ...]]] = (
    ("data requested", ("collection requested",), ()),
    ("data collected", ("collected", "document imported"), ()),
    ("grouped", ("grouped for training",), ()),
    ("trained", ("model trained",), ("task failed",)),
    ("tested", ("testing finished",), ()),
    ("gate", ("gate passed",), ("gate refused",)),
    ("deployed", ("deployment active",), ("deployment failed",)),
)
"""A stage's word, the lines of the story that say it is done, and those that say it went wrong."""

GATE = ("gate passed", "gate refused")


def box(request: Request) -> Iteration | None:
    """The box; None while no iteration is open."""
    with request.app.state.home.ports.views.read() as read:
        found = turns.iterations(read, only_open=True)
        if not found:
            return None
        facts = turns.story(read, found[0].iteration_id)
    return Iteration(found[0].title, f"/iterations/{found[0].iteration_id}", steps_of(found[0], facts))


def steps_of(iteration: IterationView, facts: Sequence[Fact]) -> list[Step]:
    """The stages of an iteration: done, the one that is due now, those ahead, and where something went wrong."""
    href = f"/badcases?q=iteration:{iteration.iteration_id}"
    closed = iteration.by_status.get("closed", 0)
    steps = [Step(f"{iteration.reports} reports in {iteration.badcases} badcases", "done", href)]
    waiting = True
    last = {f.word: f for f in _without_lost_candidates(facts)}
    reached = max((n for n, (_, done, _) in enumerate(STAGES) if any(w in last for w in done)), default=-1)
    for n, (word, done, wrong) in enumerate(STAGES):
        good = max((last[w].position for w in done if w in last), default=0)
        bad = max((last[w].position for w in wrong if w in last), default=0)
        link = next((last[w].href for w in (*wrong, *done) if w in last and last[w].position == max(good, bad)), None)
        if bad > good:
            steps.append(Step(word, "wrong", link))
            waiting = False
        elif good:
            steps.append(Step(word, "done", link))
        elif n > reached:  # a stage that was passed over is not shown
            steps.append(Step(word, "now" if waiting else "ahead"))
            waiting = False
    state = "done" if closed == iteration.badcases else "now" if closed or reached == len(STAGES) - 1 else "ahead"
    steps.append(Step(f"{closed} of {iteration.badcases} closed", state, href))
    return steps


def _without_lost_candidates(facts: Sequence[Fact]) -> list[Fact]:
    """*facts* without the refusals of models beside which another one stands as passed: one is enough to go on."""
    word_of = {f.href: f.word for f in facts if f.word in GATE}
    passed = "gate passed" in word_of.values()
    return [f for f in facts if f.word not in GATE or not passed or word_of[f.href] == f.word == "gate passed"]
