"""
What the gate needs to know of a model, gathered from training, data and badcases.

The features do not know each other; here their query functions meet, and the result is a `Case` that `judge_model`
decides on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial

from mlife.badcases.views.details import confusions, pins, reported_on
from mlife.badcases.views.lists import matching_ids
from mlife.badcases.views.rows import Pin
from mlife.core.events import Event, Recorded
from mlife.core.handler import Do
from mlife.core.judgement.policy import digest_of
from mlife.core.judgement.verdicts import counted
from mlife.core.projection import Reader
from mlife.serving import views
from mlife.serving.commands import judge_model
from mlife.serving.judging import BadcaseCase, Case, TestSet
from mlife.training.views import Result, Score, results, task, tested_groups


def judge_on(do: Do, fact: Recorded[Event], model_ids: Iterable[str]) -> None:
    """
    Judge models on all that they were tested on when *fact* happened.

    Against whom they are judged is asked as of *fact*: of two models of one task none becomes the other's opponent, and
    a second run decides the same, though the first one's verdicts can be seen by then.
    """
    with do.read() as read:
        seen_at = read.position
        cases = [case_of(read, model_id, fact.position, fact.time) for model_id in model_ids]
    for case in cases:
        do(judge_model, case=case, seen_at=seen_at)


def candidates(read: Reader, tested: Iterable[str], at: int) -> list[str]:
    """
    Of the *tested* models, those that are to be judged at position *at*, in the order of their ids.

    The last model that passed and those that it descends from were tested to be compared with.
    """
    kept = []
    for model_id in sorted(tested):
        model = views.model(read, model_id)
        if model is None:
            continue
        passed = views.passed_models(read, model.system, model.function, before=at)
        if not passed or model_id not in _line_of(read, passed[0], model.system, model.function):
            kept.append(model_id)
    return kept


def _line_of(read: Reader, model_id: str, system: str | None, function: str | None) -> set[str]:
    """The model and all that it replaces, however far back."""
    parents = views.parents_of(read, system, function)
    line, ahead = {model_id}, [model_id]
    while ahead:
        found = [p for p in parents.get(ahead.pop(), ()) if p not in line]
        line.update(found)
        ahead += found
    return line


def opponent_of(read: Reader, model: views.ModelView, at: int) -> views.VerdictView | None:
    """
    The verdict, at position *at*, of whom *model* is compared with: the last that passed and does not descend from it.

    None: this is a first model.
    """
    for other in views.passed_models(read, model.system, model.function, before=at):
        if other != model.model_id and model.model_id not in _line_of(read, other, model.system, model.function):
            return views.verdict(read, other, before=at)
    return None


@dataclass
class Tested:
    """What one model answered on test groups: per group, and over all of them by the file's SHA-256."""

    groups: dict[str, Mapping[str, Result]] = field(default_factory=dict)
    rows: dict[str, Result] = field(default_factory=dict)

    @classmethod
    def of(cls, read: Reader, model_id: str) -> Tested:
        """Everything by its latest tests; where groups share a file, the answers are the same model's."""
        made = cls()
        for score in tested_groups(read, model_id):
            made.groups[score.group_id] = results(read, model_id, score.group_id)
            made.rows.update(made.groups[score.group_id])
        return made

    def confused(self, rows: Mapping[str, Result]) -> dict[tuple[str, str], set[str]]:
        """(truth, answer) → those of *rows* that this model answers so."""
        found: dict[tuple[str, str], set[str]] = {}
        for row in rows.keys() & self.rows.keys():
            found.setdefault((rows[row].truth, self.rows[row].label), set()).add(row)
        return found

    def right(self) -> dict[str, bool]:
        """Row → did the model get it right?"""
        return {sha256: r.correct for sha256, r in self.rows.items()}


def case_of(read: Reader, model_id: str, at: int, now: datetime) -> Case:
    """
    All that *model_id* is judged by, as the query tables have it.

    Args:
        at: position of what asks for the judgement. now: its time, for queries that count ages.
    """
    model = views.model(read, model_id)
    assert model is not None  # the fact that brought us here names it
    tested = cache(partial(Tested.of, read))
    mine = tested(model_id)
    before = opponent_of(read, model, at)
    opponent = tested(before.model_id) if before else Tested()
    scores = tested_groups(read, model_id)
    names = {s.group_id: (s.group_name, s.digest) for s in scores}
    refusals: list[str] = []
    remarks: list[str] = []
    sets: list[TestSet] = []
    for group_id, answered in mine.groups.items():
        rows = tuple(sorted(answered))
        shared = rows if before is None else tuple(r for r in rows if r in opponent.rows)
        name, digest = names[group_id]
        if shared:
            sets.append(TestSet(group_id, name, digest, shared, len(rows)))
        if before is not None and len(shared) < len(rows):
            remarks.append(_not_compared(name, group_id, before.model_id, len(rows) - len(shared), len(rows)))
    if before is not None:
        _cover(before, mine, opponent, sets, refusals)
    return Case(
        model_id=model_id,
        opponent_id=before.model_id if before else None,
        results=mine.right(),
        opponent_results=opponent.right(),
        test_sets=tuple(sets),
        badcases=tuple(_badcases(read, model, tested, now)),
        opponent_fixed=frozenset(b["badcase_id"] for b in before.with_word("fixed")) if before else frozenset(),
        refusals=tuple(refusals),
        remarks=tuple(remarks),
        code=_code(read, scores),
    )


def _not_compared(name: str, group_id: str, opponent_id: str, gaps: int, size: int) -> str:
    what = f"{gaps} of {size} rows of" if gaps < size else "all rows of"
    return (
        f"{what} test set {name} could not be compared: {opponent_id} has no results on them; "
        f"test {opponent_id} on {group_id}"
    )


def _cover(before: views.VerdictView, mine: Tested, opponent: Tested, sets: list[TestSet], refusals: list[str]) -> None:
    """
    What the opponent passed on must be passed on too.

    A set that the model was not given under its own id is judged by the same rows from other groups, e.g. of a test
    document that grew since; where rows are missing, the gate refuses.
    """
    for row in before.test_sets:
        group_id, name = row["group_id"], row["name"]
        if group_id in mine.groups:
            continue
        rows = tuple(sorted(opponent.groups.get(group_id, ())))
        missing = sum(r not in mine.rows for r in rows)
        if missing:
            refusals.append(
                f"test set {name}: {before.model_id} passed on it, and {counted(missing, 'row')} of {len(rows)} were "
                f"not tested here; test on {group_id} too"
            )
        elif rows:
            sets.append(TestSet(group_id, name, before.digests.get(group_id, ""), rows, len(rows)))


def _badcases(
    read: Reader, model: views.ModelView, tested: Callable[[str], Tested], now: datetime
) -> Iterator[BadcaseCase]:
    """
    The badcases of the model's function with pinned files among the rows that it was tested on.

    Siblings are looked for among the same rows, by what the models answered there that the badcase was reported on.
    """
    if model.system is None or model.function is None:
        return
    mine = tested(model.model_id)
    known = confusions(read, model.system, model.function)
    reported = reported_on(read, model.system, model.function)
    rejected = set(matching_ids(read, "status:rejected", now=now))
    pinned: dict[str, list[Pin]] = {}
    for pin in pins(read):
        if pin.badcase_id in known and pin.badcase_id not in rejected:
            pinned.setdefault(pin.badcase_id, []).append(pin)
    reporters = {m: tested(m) for b in pinned for m in reported.get(b, ()) if m != model.model_id}
    confused = {m: reporter.confused(mine.rows) for m, reporter in reporters.items()}
    for badcase_id, its in sorted(pinned.items()):
        here = [pin for pin in its if pin.sha256 in mine.rows]
        if not here:
            continue
        by = {m: reporters[m] for m in reported.get(badcase_id, ()) if m in reporters}
        alike = {row for m in by for row in confused[m].get(known[badcase_id], ())}
        yield BadcaseCase(
            badcase_id,
            frozenset(pin.sha256 for pin in here),
            frozenset(alike),
            frozenset(pin.sha256 for pin in here if pin.must_pass),
            "; ".join(_missing(model.model_id, its, here, by, mine)),
            " read as ".join(known[badcase_id]),
        )


def _missing(
    model_id: str, its: Sequence[Pin], here: Sequence[Pin], by: Mapping[str, Tested], mine: Tested
) -> Iterator[str]:
    """What of a badcase's evidence could not be gathered, and how to mend it."""
    if len(here) < len(its):
        left = counted(len(its) - len(here), "pinned file")
        yield f"{left} in no test set that {model_id} was tested on: group the test document again, and test on it"
    if not by:
        yield "siblings could not be looked for: the model that it was reported on is unknown here"
    for reporter_id, reporter in by.items():
        gaps = len(mine.rows.keys() - reporter.rows.keys())
        if gaps:
            yield (
                f"siblings could not be looked for on {gaps} of {len(mine.rows)} rows: {reporter_id}, which it was "
                "reported on, was not tested there"
            )


def _code(read: Reader, scores: Sequence[Score]) -> str:
    """Digest of the testing code behind the results; of several codes, one digest of all."""
    codes = set()
    for task_id in {s.task_id for s in scores}:
        found = task(read, task_id)
        codes.add(found.digests.get("code", "") if found else "")
    return codes.pop() if len(codes) == 1 else digest_of(sorted(codes))
