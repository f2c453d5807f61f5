"""Whatever people merge, split, correct and take back: counts add up, a replay is equal, all can be undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mlife.badcases import commands
from mlife.badcases.events import BadcaseReported
from mlife.badcases.regrouping import to_merge, to_split
from mlife.badcases.views.tables import (
    SAID,
    badcase_aliases,
    badcase_clients,
    badcase_rows,
    badcase_versions,
    badcase_weeks,
    cause_badcases,
    report_rows,
)
from mlife.core.errors import MLifeError, Refused
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.runtime import open_home
from mlife.runtime import settings as home_settings
from tests.badcases.conftest import NOW, Field, report

TRUTHS = ("1", "2", "3", "4")
names = count()
picks = st.integers(0, 30)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("report"), st.sampled_from(TRUTHS), picks),
        st.tuples(st.just("merge"), picks, picks),
        st.tuples(st.just("unmerge"), picks, picks),
        st.tuples(st.just("split"), picks, st.integers(1, 2**12 - 1)),
        st.tuples(st.just("rejoin"), picks, picks),
        st.tuples(st.just("split_again"), picks, picks),
        st.tuples(st.just("correct"), picks, st.sampled_from(TRUTHS)),
        st.tuples(st.just("cause"), picks, picks),
    ),
    min_size=3,
    max_size=14,
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Field]:
    """A home of either size."""
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_home(home_settings(tmp_path / "home", config=tmp_path / "no.toml", store=store)) as home:
        yield Field(home)


class People:
    """Those who regroup the reports of one function, and what it should come to."""

    def __init__(self, field: Field) -> None:
        self.field, self.function = field, f"f{next(names)}"
        self.reports: list[BadcaseReported] = []
        self.positions: list[int] = []
        self.made: list[str] = []

    def report(self, *said: tuple[str, int]) -> None:
        """Send reports, each a truth and a client."""
        sent = [
            report(truth, "9", function=self.function, client=f"c{client % 3}", report_id=f"{self.function}-{n}")
            for n, (truth, client) in enumerate(said, len(self.reports))
        ]
        store = self.field.home.ports.store
        before = store.head()
        self.field.intake.reports(sent)
        for recorded in store.read(before, 1_000):
            if isinstance(recorded.event, BadcaseReported):
                self.reports.append(recorded.event)
                self.positions.append(recorded.position)
        self.settle()

    def settle(self) -> None:
        """Projections follow; handlers have nothing to say here."""
        self.field.home.see(self.field.home.ports.store.head())

    def decide(self, command: Any, **given: Any) -> Any:
        """Carry out a command."""
        return self.field.home.do.as_(actor="ann")(command, **given)

    def badcases(self) -> list[str]:
        b = badcase_rows.c
        with self.field.home.ports.views.read() as read:
            rows = read.all(select(b.badcase_id).where(b.function == self.function).order_by(b.first_event))
        return [row[0] for row in rows]

    def do(self, step: tuple[Any, ...]) -> bool:
        """Carry a step out; False if it was refused, which changes nothing."""
        known = self.badcases()
        what, first, second = step
        if what == "report":
            self.report((first, second))
            return True
        if not known:
            return False
        one = known[first % len(known)]
        try:
            getattr(self, f"_{what}")(one, known, first, second)
        except MLifeError as e:
            refused = e
        else:
            self.settle()
            return True
        assert refused.remedy, refused
        return False

    def _merge(self, one: str, known: list[str], _: int, second: int) -> None:
        with self.field.home.ports.views.read() as read:
            given = to_merge(read, [one], known[second % len(known)])
        self.decide(commands.merge, **given)

    def _unmerge(self, one: str, *_: Any) -> None:
        self.decide(commands.unmerge, badcase_id=one)

    def _split(self, one: str, _: Any, __: int, mask: int) -> None:
        here = sorted(n for n, where in self.counted().items() if where == one)
        chosen = [n for at, n in enumerate(here) if mask >> (at % 12) & 1]
        with self.field.home.ports.views.read() as read:
            given = to_split(read, one, chosen, None, now=NOW)
        self.made.append(self.decide(commands.split, **given, title="some of them").events[0].badcase_id)

    def _rejoin(self, one: str, *_: Any) -> None:
        self.decide(commands.rejoin, badcase_id=one)

    def _split_again(self, one: str, *_: Any) -> None:
        self.decide(commands.split_again, badcase_id=one)

    def _cause(self, one: str, *_: Any) -> None:
        self.decide(commands.name_cause, system="digits", function=self.function, title="a reason", badcase_ids=[one])

    def _correct(self, _: str, __: Any, first: int, truth: str) -> None:
        self.correct(first % len(self.reports), truth)

    def correct(self, at: int, truth: str) -> None:
        e = self.reports[at]
        self.decide(
            commands.correct_report,
            uid=e.uid,
            badcase_id=e.badcase_id,
            position=self.positions[at],
            system=e.system,
            function=e.function,
            prediction=e.prediction,
            truth={"type": "class", "label": truth},
            reason="looked again",
        )

    def counted(self) -> dict[int, str]:
        """Position → where the report is counted."""
        r = report_rows.c
        with self.field.home.ports.views.read() as read:
            rows = read.all(select(r.number, r.badcase_id).where(r.function == self.function))
        return {row.number: row.badcase_id for row in rows}

    def undo_all(self) -> None:
        for badcase_id in self.badcases():
            for command in (commands.unmerge, commands.rejoin):
                with suppress(Refused):
                    self.decide(command, badcase_id=badcase_id)
        for at, e in enumerate(self.reports):
            self.correct(at, str((e.truth or {})["label"]))
        self.settle()

    def check(self) -> None:
        """What is counted is what the reports say, everywhere."""
        counted = self.counted()
        assert sorted(counted) == self.positions
        sizes = Counter(counted.values())
        b, r = badcase_rows.c, report_rows.c
        with self.field.home.ports.views.read() as read:
            rows = read.all(select(badcase_rows).where(b.function == self.function))
            clients = read.all(select(r.badcase_id, r.client).where(r.function == self.function).distinct())
            for table in (badcase_weeks, badcase_versions, badcase_clients):
                c = table.c
                told = Counter[str]()
                for row in read.all(select(c.badcase_id, c.frequency).where(c.badcase_id.in_(self.badcases()))):
                    told[row.badcase_id] += row.frequency
                assert told == sizes, table.name
            merged = {row[0] for row in read.all(select(badcase_aliases.c.badcase_id))}
        assert {row.badcase_id: row.frequency for row in rows if row.frequency} == sizes
        hit = Counter(row.badcase_id for row in clients)
        assert {row.badcase_id: row.client_count for row in rows if row.frequency} == hit
        assert not merged.intersection(badcase_id for _, badcase_id in self.causes(cause_badcases))
        assert not merged.intersection(sizes)

    def start(self) -> list[tuple[Any, ...]]:
        """All of the function's badcases and reports, without the ids and positions that tell functions apart."""
        b, r = badcase_rows.c, report_rows.c
        with self.field.home.ports.views.read() as read:
            badcases = read.all(
                select(b.title, b.truth, b.predicted, b.frequency, b.client_count, b.priority, b.first_at, b.status)
                .where(b.function == self.function, b.frequency > 0)
                .order_by(b.title)
            )
            reports = read.all(
                select(r.truth, r.predicted, r.client, r.origin_id, r.placed_id)
                .where(r.function == self.function)
                .order_by(r.number)
            )
        return [tuple(row) for row in (*badcases, *reports)]

    def causes(self, table: Any) -> set[tuple[str, str]]:
        """(cause, badcase) of the function, as *table* has them."""
        with self.field.home.ports.views.read() as read:
            rows = read.all(select(table.c.cause_id, table.c.badcase_id))
        mine = set(self.badcases())
        return {(row.cause_id, row.badcase_id) for row in rows if row.badcase_id in mine}


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_counts_add_up_a_replay_is_equal_and_undoing_everything_gives_the_start(
    anywhere: Field, taken: list[tuple[Any, ...]]
) -> None:
    people, untouched = People(anywhere), People(anywhere)
    people.report(*((truth, client) for truth in TRUTHS[:3] for client in (0, 1)))
    for step in taken:
        people.do(step)
        people.check()
    people.undo_all()
    people.check()

    assert people.counted() == {n: e.badcase_id for n, e in zip(people.positions, people.reports, strict=True)}
    untouched.report(*((str((e.truth or {})["label"]), int(str(e.client)[1:])) for e in people.reports))
    assert people.start() == untouched.start()
    assert people.causes(cause_badcases) == people.causes(SAID[cause_badcases])
    assert verify(anywhere.home.ports, projections["badcases"]) == []
