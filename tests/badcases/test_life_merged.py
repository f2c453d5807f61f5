"""What is merged, split or corrected is judged again: no failure hides in a closed badcase, and no closing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlife.badcases import commands
from mlife.badcases.events import BadcaseClosed, BadcaseRegressed, BadcaseReopened
from mlife.badcases.regrouping import to_merge
from mlife.badcases.views import lists
from mlife.core.errors import Refused
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from tests.badcases.conftest import NOW, Field, report, traffic
from tests.badcases.test_grouping import correct, ids_of, split_off
from tests.badcases.test_life import activated, events_of, judged, status, trained

TRUTHS = ("9", "7", "1")


def merge(field: Field, one: str, into: str) -> None:
    field.do(commands.merge, **field.read(to_merge, [one], into))


def unmerge(field: Field, one: str) -> None:
    field.do(commands.unmerge, badcase_id=one)


@pytest.fixture
def closed(either: Field) -> tuple[Field, str, str, str]:
    """9, 7 and 1 read as 4 on 1.0, 30 files each; mdl-2 answers as 2.0 and has baked, and 9 is fixed and closed."""
    field = either
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"))
    field.count(traffic(3_000))
    field.send(*(report(truth, picture=f"{truth} {n}") for truth in TRUTHS for n in range(30)))
    ids = ids_of(field)
    nine, seven, one = (ids[f"{truth} read as 4"] for truth in TRUTHS)
    field.happen(trained("mdl-2", "mdl-1"), judged("mdl-2", nine, "fixed", lower=0.99), activated("mdl-2", "2.0"))
    field.count(traffic(1_000, version="2.0"))
    assert status(field, nine) == "closed"
    return field, nine, seven, one


def test_a_merge_that_brings_what_the_model_fails_reopens_and_an_unmerge_closes_again(
    closed: tuple[Field, str, str, str],
) -> None:
    field, nine, seven, _ = closed
    field.happen(judged("mdl-2", seven, "failing"))
    merge(field, seven, nine)
    assert status(field, nine) in ("new", "verified")
    (reopened,) = events_of(field, nine, BadcaseReopened)
    assert (reopened.judged, reopened.by) == (True, None)
    assert "mdl-2 is failing" in reopened.reason

    field.happen(trained("mdl-3", "mdl-2"), judged("mdl-3", nine, "fixed"), judged("mdl-3", seven, "fixed"))
    field.happen(activated("mdl-3", "3.0"))
    assert status(field, nine) == "shipped", "what was merged has not baked yet"
    field.happen(activated("mdl-2", "2.0", reason="rollback"))
    unmerge(field, seven)
    assert status(field, nine) == "shipped"
    field.count(traffic(1_000, version="2.0", hour=5))
    assert (status(field, nine), field.read(lists.badcase, nine).closed_by) == ("closed", "mdl-2")
    assert field.read(lists.badcase, seven).closed_by is None
    assert verify(field.home.ports, projections["badcases"]) == []


def test_a_merge_that_brings_failing_reports_of_the_active_model_regresses_and_an_unmerge_takes_it_back(
    closed: tuple[Field, str, str, str],
) -> None:
    field, nine, seven, _ = closed
    field.send(*(report("7", picture=f"new {n}", version="2.0") for n in range(20)))
    assert (status(field, nine), status(field, seven)) == ("closed", "new")
    merge(field, seven, nine)
    assert status(field, nine) == "regressed"
    (regression,) = events_of(field, nine, BadcaseRegressed)
    assert (regression.model_id, regression.files) == ("mdl-2", 20)

    unmerge(field, seven)
    assert (status(field, nine), status(field, seven)) == ("closed", "new")
    assert verify(field.home.ports, projections["badcases"]) == []


def test_reports_of_an_old_model_that_are_merged_in_are_frequency_and_reopen_nothing(
    closed: tuple[Field, str, str, str],
) -> None:
    field, nine, seven, _ = closed
    merge(field, seven, nine)
    assert (status(field, nine), field.read(lists.badcase, nine).reports) == ("closed", 60)
    assert events_of(field, nine, BadcaseReopened) == events_of(field, nine, BadcaseRegressed) == []


def test_a_closed_badcase_that_is_merged_keeps_its_closing_there_and_when_it_comes_back(
    closed: tuple[Field, str, str, str],
) -> None:
    field, nine, seven, _ = closed
    merge(field, nine, seven)
    assert (status(field, seven), field.read(lists.badcase, seven).closed_by) == ("closed", "mdl-2")
    unmerge(field, nine)
    assert (status(field, nine), status(field, seven)) == ("closed", "new")
    (reopened,) = events_of(field, seven, BadcaseReopened)
    assert "was not judged on" in reopened.reason
    assert len(events_of(field, nine, BadcaseClosed)) == 1


def test_what_had_come_back_stays_so_where_it_is_merged_however_many_reports_there_are(
    closed: tuple[Field, str, str, str],
) -> None:
    field, nine, _, one = closed
    field.happen(judged("mdl-2", one, "fixed", lower=0.99))
    field.send(*(report("1", picture=f"back {n}", version="2.0") for n in range(4)))
    assert status(field, one) == "regressed"
    field.send(*(report("9", picture=f"old {n}") for n in range(400)))
    merge(field, one, nine)
    assert status(field, nine) == "regressed"
    assert one in events_of(field, nine, BadcaseRegressed)[-1].sentence
    unmerge(field, one)
    assert (status(field, nine), status(field, one)) == ("closed", "regressed")


def test_reports_that_are_split_off_or_corrected_take_the_return_with_them(
    closed: tuple[Field, str, str, str],
) -> None:
    field, nine, seven, _ = closed
    sent = [field.send(report("9", picture=f"again {n}", version="2.0")).position for n in range(8)]
    assert status(field, nine) == "regressed"
    new = split_off(field, nine, sent)
    assert (status(field, nine), status(field, new)) == ("closed", "new")
    field.do(commands.rejoin, badcase_id=new)
    assert status(field, nine) == "regressed"
    for position in sent:
        correct(field, position, "7")
    assert (status(field, nine), status(field, seven)) == ("closed", "new")


def test_a_verdict_after_the_return_excuses_nothing_when_a_merge_is_taken_back(
    closed: tuple[Field, str, str, str],
) -> None:
    field, nine, seven, _ = closed
    field.send(*(report("9", picture=f"again {n}", version="2.0") for n in range(14)))
    field.happen(judged("mdl-2", nine, "fixed", lower=0.99))
    assert status(field, nine) == "regressed"
    merge(field, nine, seven)
    unmerge(field, nine)
    assert status(field, nine) == "regressed"


Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(st.sampled_from(["merge", "unmerge", "judge", "report"]), st.integers(0, 2), st.integers(0, 2)),
    max_size=7,
)


def fails_in_closed(field: Field) -> list[str]:
    """Badcases that are shown as closed, although the model that answers was judged to fail something in them."""
    from mlife.badcases.views import details

    shown = field.read(lists.badcases, "status:closed", now=NOW).items
    return [
        b.badcase_id
        for b in shown
        if any(v.active and v.verdict != "fixed" for v in field.read(details.verdicts, b.badcase_id))
    ]


@settings(max_examples=4, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_after_any_merges_verdicts_and_reports_undoing_the_merges_gives_what_is_judged_without_them(
    tmp_path_factory: pytest.TempPathFactory, taken: list[Step]
) -> None:
    from mlife.runtime import open_home
    from mlife.runtime import settings as of

    ends = []
    for with_merges in (True, False):
        folder = tmp_path_factory.mktemp("life")
        with open_home(of(folder / "home", config=folder / "no.toml")) as home:
            ends.append(_lived(Field(home), taken, with_merges=with_merges))
    assert ends[0] == ends[1]


def _lived(field: Field, taken: list[Step], *, with_merges: bool) -> list[Any]:
    """What is closed and what came back after *taken*, and after every merge was taken back."""
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"), trained("mdl-2", "mdl-1"))
    field.count(traffic(3_000))
    field.send(*(report(truth, picture=f"{truth} {n}") for truth in TRUTHS for n in range(10)))
    ids = [ids_of(field)[f"{truth} read as 4"] for truth in TRUTHS]
    field.happen(judged("mdl-2", ids[0], "fixed", lower=0.99), activated("mdl-2", "2.0"))
    field.count(traffic(1_000, version="2.0"))
    for at, (what, x, y) in enumerate(taken):
        if what == "judge":
            field.happen(judged("mdl-2", ids[x], ("fixed", "failing", "unproven")[y], lower=0.99))
        elif what == "report":
            field.send(*(report(TRUTHS[x], picture=f"{at} {n}", version="2.0") for n in range(2 + 6 * y)))
        elif with_merges:
            try:
                merge(field, ids[x], ids[y]) if what == "merge" else unmerge(field, ids[x])
            except Refused:
                continue
        assert fails_in_closed(field) == []
    for badcase_id in ids * 2:
        try:
            unmerge(field, badcase_id)
        except Refused:
            continue
    assert verify(field.home.ports, projections["badcases"]) == []
    return [status(field, badcase_id) for badcase_id in ids]
