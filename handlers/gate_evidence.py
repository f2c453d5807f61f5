"""
What the gate needs to know of a model, gathered from training, data and badcases.

The features do not know each other; here their query functions meet, and the result is a `Case` that `judge_model`
decides on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlife.core.handler import Do
from mlife.core.judgement.policy import digest_of
from mlife.core.judgement.verdicts import counted
from mlife.core.projection import Reader
from mlife.serving import views
from mlife.serving.commands import judge_model
from mlife.serving.judging import Case, TestSet
from mlife.training.views import Result, Score, results, task, tested_groups


def judge_again(do: Do, model_id: str) -> None:
    """Judge one model on all that it was tested on, as if the gate had never spoken of it."""
    with do.read() as read:
        case = case_of(read, model_id)
        seen_at = read.position
    do(judge_model, case=case, seen_at=seen_at)


def candidates(read: Reader, tested: Iterable[str]) -> list[str]:
    """
    Of the *tested* models, those that are to be judged.

    The last model that passed and those that it descends from were tested to be compared with.
    """
    kept = []
    for model_id in tested:
        model = views.model(read, model_id)
        if model is None:
            continue
        passed = views.passed_models(read, model.system, model.function)
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


def opponent_of(read: Reader, model: views.ModelView) -> views.VerdictView | None:
    """
    The verdict of the model to be compared with: the last one that passed and does not itself descend from *model*.

    None: this is a first model.
    """
    for other in views.passed_models(read, model.system, model.function):
        if other != model.model_id and model.model_id not in _line_of(read, other, model.system, model.function):
            return views.verdict(read, other)
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

    def right(self) -> dict[str, bool]:
        """Row → did the model get it right?"""
        return {sha256: r.correct for sha256, r in self.rows.items()}


def case_of(read: Reader, model_id: str) -> Case:
    """All that *model_id* is judged by, as the query tables have it now."""
    model = views.model(read, model_id)
    assert model is not None  # the fact that brought us here names it
    mine = Tested.of(read, model_id)
    before = opponent_of(read, model)
    opponent = Tested.of(read, before.model_id) if before else Tested()
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


def _code(read: Reader, scores: Sequence[Score]) -> str:
    """Digest of the testing code behind the results; of several codes, one digest of all."""
    codes = set()
    for task_id in {s.task_id for s in scores}:
        found = task(read, task_id)
        codes.add(found.digests.get("code", "") if found else "")
    return codes.pop() if len(codes) == 1 else digest_of(sorted(codes))
