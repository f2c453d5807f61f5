"""Lists: what is asked is what is found, facets and statistics agree with it, and no list reads every report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Executable, text
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.fingerprint import badcase_id
from mlife.badcases.views import lists, statistics, turns
from mlife.core.query import QueryError
from tests.badcases.conftest import NOW, Field, report, traffic


@pytest.fixture
def filled(field: Field) -> Field:
    """60 reports in three badcases of two functions."""
    sent = [report("9", "4", picture=n, client=f"fleet-{n % 4}", severity="major") for n in range(30)]
    sent += [report("7", "1", picture=f"b{n}", version="1.10", observed_at="2026-09-01T00:00:00Z") for n in range(20)]
    sent += [report("3", "5", picture=f"c{n}", function="letter", description="thin stroke") for n in range(10)]
    field.send(*sent)
    return field


def found(field: Field, q: str, **more: Any) -> list[str]:
    return [b.title for b in field.read(lists.badcases, q, now=NOW, **more).items]


QUERIES = {
    "": {"9 read as 4", "7 read as 1", "3 read as 5"},
    "function:digit": {"9 read as 4", "7 read as 1"},
    "reports>=20": {"9 read as 4", "7 read as 1"},
    "version>=1.9": {"7 read as 1"},
    "client:fleet-3": {"9 read as 4"},
    "truth:9 prediction:4": {"9 read as 4"},
    "severity>=major": {"9 read as 4"},
    "severity:none": {"7 read as 1", "3 read as 5"},
    "first<2026-10-01": {"7 read as 1"},
    "open:yes -function:letter": {"9 read as 4", "7 read as 1"},
    '"thin stroke"': {"3 read as 5"},
    "letter": {"3 read as 5"},
    "status:closed": set(),
    "clients>3": {"9 read as 4"},
}


@pytest.mark.parametrize("q", QUERIES)
def test_a_query_finds_what_it_says(filled: Field, q: str) -> None:
    listing = filled.read(lists.badcases, q, now=NOW)

    assert {b.title for b in listing.items} == QUERIES[q]
    assert listing.total == len(QUERIES[q])
    assert listing.reports == sum(b.reports for b in listing.items)


def test_the_most_urgent_comes_first_and_a_person_can_overrule_it(filled: Field) -> None:
    assert found(filled, "")[0] == "9 read as 4"
    last = filled.read(lists.badcases, "", now=NOW).items[-1]
    filled.do(commands.prioritise, badcase_id=last.badcase_id, priority=99, reason="a customer waits")
    first = filled.read(lists.badcases, "", now=NOW).items[0]

    assert (first.badcase_id, first.priority, first.priority_reason) == (last.badcase_id, 99, "a customer waits")
    filled.send(report("3", "5", picture="more", function="letter"))
    assert filled.read(lists.badcase, last.badcase_id).priority == 99
    filled.do(commands.prioritise, badcase_id=last.badcase_id, priority=None)
    assert filled.read(lists.badcase, last.badcase_id).priority < 99


def test_with_traffic_the_rate_counts_and_not_the_number(filled: Field) -> None:
    before = {b.title: b for b in filled.read(lists.badcases, "", now=NOW).items}
    assert before["9 read as 4"].rate is None
    filled.count(traffic(1_000_000))
    after = {b.title: b for b in filled.read(lists.badcases, "", now=NOW).items}

    assert after["9 read as 4"].rate == pytest.approx(0.03)
    assert after["9 read as 4"].priority < before["9 read as 4"].priority
    assert after["3 read as 5"].priority == before["3 read as 5"].priority  # another function


def test_three_counts_are_kept_apart(field: Field) -> None:
    field.send(*(report(picture=n % 3, client=f"fleet-{n % 2}", report_id=str(n)) for n in range(12)))
    (b,) = field.read(lists.badcases, "", now=NOW).items

    assert (b.reports, b.pictures, b.clients) == (12, 3, 2)


def test_facets_agree_with_the_list(filled: Field) -> None:
    facets = filled.read(statistics.facets, "function:digit", now=NOW)

    assert {s.value: s.count for s in facets["status"]} == {"new": 2}
    assert {s.value: s.count for s in facets["version"]} == {"1.0": 30, "1.10": 20}
    assert sum(s.count for s in facets["client"]) == 50


def test_statistics_count_the_reports_of_what_is_listed(filled: Field) -> None:
    made = filled.read(statistics.analyse, "", now=NOW)

    assert made["confusion"] == {("9", "4"): 30, ("7", "1"): 20, ("3", "5"): 10}
    assert sum(w.count for w in made["weeks"]) == 60
    assert made["weeks"][0].begins == datetime(2026, 8, 31, tzinfo=UTC)
    assert [w.begins for w in made["weeks"]] == sorted(w.begins for w in made["weeks"])


def test_pages_by_key_give_every_row_once(field: Field) -> None:
    field.send(*(report(str(n), str(n + 1), picture=n) for n in range(25)))
    seen: list[str] = []
    after = None
    while True:
        listing = field.read(lists.badcases, "", now=NOW, limit=7, after=after)
        seen += [b.badcase_id for b in listing.items]
        after = listing.after
        if after is None:
            break

    assert len(seen) == len(set(seen)) == 25


def test_a_mistake_in_a_query_points_at_the_character(filled: Field) -> None:
    with pytest.raises(QueryError) as caught:
        filled.read(lists.badcases, "status:new colour:red", now=NOW)
    assert caught.value.position == 11


def test_a_badcase_from_which_all_reports_were_moved_is_not_listed(field: Field) -> None:
    field.send(report("9", "4"))
    (before,) = field.read(lists.reports, "", now=NOW).items
    field.do(
        commands.correct_report,
        uid=before.uid,
        badcase_id=before.badcase_id,
        system="digits",
        function="digit",
        prediction={"type": "class", "label": "4"},
        truth={"type": "class", "label": "7"},
        reason="looked at the picture",
    )

    assert found(field, "") == ["7 read as 4"]
    assert field.read(lists.badcase, before.badcase_id).reports == 0
    assert field.read(lists.reports, "truth:7", now=NOW).total == 1


def test_a_corrected_report_moves_with_all_that_is_counted_and_back(field: Field) -> None:
    field.send(*(report("9", "4", picture=n, client=f"c{n}", severity="critical") for n in range(3)))
    home = badcase_id('["class","digits","digit","9","4"]')
    before = field.read(lists.badcase, home)
    one = field.read(lists.reports, "", now=NOW).items[0]
    about = {
        "uid": one.uid, "badcase_id": home, "system": "digits", "function": "digit",
        "prediction": {"type": "class", "label": "4"}, "reason": "looked",
    }  # fmt: skip
    field.do(commands.correct_report, truth=None, **about)
    unknown = field.read(lists.badcase, badcase_id('["class","digits","digit",null,"4"]'))
    left = field.read(lists.badcase, home)
    assert (unknown.reports, unknown.clients, unknown.severity, unknown.title) == (1, 1, "critical", "? read as 4")
    assert (left.reports, left.clients, left.pictures) == (2, 2, 2)
    field.do(commands.correct_report, truth={"type": "class", "label": "9"}, **about)

    assert field.read(lists.badcase, home) == before
    assert field.do(commands.correct_report, truth={"type": "class", "label": "9"}, **about).events == ()


class Plans:
    """A reader that notes how SQLite would go about each statement."""

    def __init__(self, read: Any) -> None:
        self._read = read
        self.position = read.position
        self.plans: list[list[str]] = []

    def all(self, statement: Executable) -> Any:
        self._explain(statement)
        return self._read.all(statement)

    def one(self, statement: Executable) -> Any:
        self._explain(statement)
        return self._read.one(statement)

    def value(self, statement: Executable) -> Any:
        self._explain(statement)
        return self._read.value(statement)

    def _explain(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=self._read._c.dialect, compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
        self.plans.append([row[3] for row in self._read.all(text("EXPLAIN QUERY PLAN " + str(compiled)))])

    def about(self, table: str) -> list[str]:
        """The lines of the plans that touch *table*."""
        return [line for plan in self.plans if any(table in part for part in plan) for line in plan]


@contextmanager
def plans(field: Field) -> Iterator[Plans]:
    if field.home.settings.store.startswith("postgresql"):
        pytest.skip("SQLite's plans; those of PostgreSQL: tests/adapters/test_postgres_plans.py")
    with field.home.ports.views.read() as read:
        yield Plans(read)


@pytest.mark.parametrize("q", ["", "status:new", "function:digit open:yes", "reports>5", "night"])
def test_no_default_list_reads_every_report(filled: Field, q: str) -> None:
    with plans(filled) as read:
        lists.badcases(read, q, now=NOW)
        statistics.facets(read, q, now=NOW)
        turns.causes(read)
        turns.iterations(read)

    assert read.about("badcase_rows")
    assert [line for line in read.about("report_rows") if "SCAN report_rows" in line] == []


def test_the_first_page_of_reports_walks_the_key_and_sorts_nothing(filled: Field) -> None:
    with plans(filled) as read:
        lists.reports(read, "", now=NOW)
        lists.reports_of(read, badcase_id('["class","digits","digit","9","4"]'))

    assert read.about("report_rows")
    assert [line for line in read.about("report_rows") if "TEMP B-TREE" in line] == []


def test_a_rebuild_gives_the_same_rows(filled: Field) -> None:
    from mlife.core import rebuild
    from mlife.core.projection import projections

    filled.do(commands.triage, badcase_id=badcase_id('["class","digits","digit","9","4"]'))
    filled.count(traffic(500))

    assert rebuild.verify(filled.home.ports, projections["badcases"]) == []
    rebuild.rebuild(filled.home.ports, projections["badcases"])
    assert rebuild.verify(filled.home.ports, projections["badcases"]) == []


def test_a_page_counts_pictures_of_its_smallest_badcases_and_asks_for_the_others_when_they_are_seen(
    field: Field, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "COUNTED_PICTURES", 6)
    field.send(*(report("9", picture=n % 7) for n in range(9)), *(report("8", picture=n % 2) for n in range(4)))
    field.send(report("7"))
    found = {b.truth: b for b in field.read(lists.badcases, now=NOW).items}
    assert {truth: b.pictures for truth, b in found.items()} == {"9": None, "8": 2, "7": 1}

    page = client.get("/badcases", headers={"accept": "text/html"}).text
    address = f"/badcases/{found['9'].badcase_id}/pictures"
    assert page.count("many pictures") == page.count(address) == 1
    assert client.get(address).text == "7 pictures"
