"""Statistics: what is retrieved or selected, figures that narrow to what they count, and Fig. 1 of the paper."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.fingerprint import badcase_id
from mlife.badcases.views import history, lists, statistics
from mlife.badcases.views.report_statistics import analyse_reports
from mlife.badcases.views.search import counted_badcases
from tests.badcases.conftest import NOW, Field, report, traffic
from tests.badcases.test_life import activated, judged, trained

NINE = badcase_id('["class","digits","digit","9","4"]')
SEVEN = badcase_id('["class","digits","digit","7","1"]')
HTML = {"accept": "text/html"}


@pytest.fixture
def filled(field: Field) -> Field:
    """Reports of three badcases, two versions, two functions and several weeks."""
    sent = [report("9", "4", picture=n, client=f"fleet-{n % 4}") for n in range(30)]
    sent += [report("9", "4", picture=f"v{n}", version="1.10", observed_at="2026-11-10T00:00:00Z") for n in range(5)]
    sent += [report("7", "1", picture=f"b{n}", version="1.10", observed_at="2026-09-01T00:00:00Z") for n in range(20)]
    sent += [report("3", "5", picture=f"c{n}", function="letter") for n in range(10)]
    field.send(*sent)
    return field


def test_reports_are_counted_by_everything_that_they_have(filled: Field) -> None:
    found = filled.read(analyse_reports, "function:digit", now=NOW)

    assert (found.counted, found.is_whole) == (55, True)
    assert {s.value: s.count for s in found.shares["version"]} == {"1.0": 30, "1.10": 25}
    assert found.confusion == {("9", "4"): 35, ("7", "1"): 20}
    assert sum(w.count for w in found.weeks) == 55
    assert found.matrix == {(NINE, "1.0"): 30, (NINE, "1.10"): 5, (SEVEN, "1.10"): 20}
    assert found.titles[SEVEN] == "7 read as 1"


def test_selected_reports_and_badcases_are_counted_alone(filled: Field) -> None:
    some = [r.position for r in filled.read(lists.reports, "truth:7", now=NOW).items][:3]
    assert filled.read(analyse_reports, "", now=NOW, only=some).confusion == {("7", "1"): 3}
    alone = filled.read(statistics.analyse, "", now=NOW, only=[SEVEN])

    assert alone["confusion"] == {("7", "1"): 20}
    assert alone["matrix"] == {(SEVEN, "1.10"): 20}


def test_more_than_can_be_counted_is_said(filled: Field) -> None:
    found = filled.read(analyse_reports, "", now=NOW, most=10)

    assert (found.counted, found.is_whole) == (10, False)


def counted(values: Iterable[tuple[str | None, int]]) -> list[tuple[str | None, int]]:
    """Each value with the sum of its numbers, most first, as anybody would add them up."""
    counts: Counter[str | None] = Counter()
    for value, n in values:
        counts[value] += n
    return sorted(counts.items(), key=lambda item: (-item[1], item[0] is not None, item[0] or ""))


@pytest.fixture
def mixed(either: Field) -> Field:
    """On either database, reports of which some lack what others have."""
    severities, places, remarks = (
        (None, "minor", "critical"),
        (None, "tunnel", "city"),
        (None, "low sun, night", "rain"),
    )
    sent: list[dict[str, Any]] = []
    for n in range(150):
        parts = {"severity": severities[n % 3], "place": places[n % 7 % 3], "description": remarks[n % 13 % 3]}
        parts |= {"version": f"1.{n % 3}", "client": f"fleet-{n % 6}", "function": "digit" if n % 4 else "letter"}
        parts["observed_at"] = f"2026-{1 + n % 11:02d}-20T03:00:00Z"
        sent.append(report(str(n % 7) if n % 11 else None, str(n % 5 + 7), picture=n, **parts))
    either.send(*sent)
    either.do(commands.triage, badcase_id=either.read(lists.badcases, now=NOW).items[0].badcase_id)
    return either


def test_what_one_statement_counts_is_what_counting_one_by_one_gives(mixed: Field) -> None:
    for q in ("", "night", "-night function:digit", "place:city client:fleet-2", "version:1.2 OR rain", "truth:none"):
        found = mixed.read(analyse_reports, q, now=NOW)
        rows = mixed.read(lists.reports, q, now=NOW, limit=500).items
        top = {badcase for badcase, _ in counted((r.badcase_id, 1) for r in rows)[:40]}
        cells = Counter((r.badcase_id, r.version) for r in rows if r.badcase_id in top)
        assert found.counted == len(rows) > 0
        for name in ("function", "version", "client", "place"):
            values = [(getattr(r, name), 1) for r in rows if name != "place" or r.place]
            assert [(s.value, s.count) for s in found.shares[name]] == counted(values), (q, name)
        assert found.confusion == Counter((r.truth, r.prediction) for r in rows if r.prediction is not None)
        last = found.weeks[-1]
        assert last.count == len([r for r in rows if r.observed_at >= last.begins]) > 0
        assert found.matrix == cells
        assert found.titles.keys() == top


def test_facets_count_what_the_list_shows(mixed: Field) -> None:
    every = mixed.read(lists.reports, now=NOW, limit=500).items
    for q in ("", "night", "-night function:digit", "status:new reports>2", "client:fleet-2", "truth:none"):
        listed = mixed.read(lists.badcases, q, now=NOW, limit=500).items
        found = mixed.read(statistics.facets, q, now=NOW)
        here = {v.badcase_id for v in listed}
        of_reports = {
            name: counted((getattr(r, name), 1) for r in every if r.badcase_id in here and getattr(r, name))
            for name in ("version", "client", "place")
        }
        of_badcases = {
            name: counted((getattr(v, name), 1) for v in listed) for name in ("status", "function", "severity", "owner")
        }
        assert listed
        assert {n: [(s.value, s.count) for s in shares] for n, shares in found.items()} == {**of_badcases, **of_reports}


def test_badcases_stand_against_versions(filled: Field) -> None:
    found = filled.read(statistics.analyse, "function:digit", now=NOW)

    assert found["matrix"] == {(NINE, "1.0"): 30, (NINE, "1.10"): 5, (SEVEN, "1.10"): 20}


def solve(field: Field) -> None:
    """A model fixes 9 read as 4 within the second week, and closes it in the third; it comes back with another."""
    field.clock.move(days=8)
    field.do(commands.triage, badcase_id=NINE)
    field.happen(trained("mdl-1"), judged("mdl-1", NINE, "fixed"), activated("mdl-1", "2.0"))
    field.clock.move(days=8)
    field.count(traffic(5_000, version="2.0"))


def test_the_time_to_each_status_counts_from_the_first_report(filled: Field) -> None:
    solve(filled)
    reached = {one.status: one.hours for one in filled.read(history.reached, NINE)}
    times = {t.status: t for t in filled.read(history.times_to, counted_badcases())}

    assert reached["new"] == 0
    assert reached["triaged"] == reached["verified"] == reached["shipped"] == reached["solved"] == 8 * 24
    assert (times["triaged"].badcases, times["triaged"].median_hours) == (1, 192)


def test_the_share_that_is_solved_by_week_and_came_back(filled: Field) -> None:
    solve(filled)
    found = filled.read(history.solved, counted_badcases())
    assert (found.badcases, found.solved, found.back) == (3, 1, 0)
    assert [(w.week, w.count) for w in found.weeks] == [(0, 0), (1, 1)]
    assert found.share == pytest.approx(1 / 3)
    assert [b.badcase_id for b in filled.read(lists.badcases, "solvedin:1", now=NOW).items] == [NINE]
    assert [b.badcase_id for b in filled.read(lists.badcases, "reached:shipped", now=NOW).items] == [NINE]
    filled.send(*(report("9", "4", picture=f"again {n}", version="2.1") for n in range(3)))
    filled.happen(activated("mdl-1", "2.1"))  # unmeasured: recurring, not regressed
    again = filled.read(history.solved, counted_badcases())

    assert (again.solved, again.back) == (1, 1)
    assert filled.read(lists.badcase, NINE).status == "recurring"


def test_history_is_the_same_however_runs_are_cut(filled: Field) -> None:
    from mlife.core import rebuild
    from mlife.core.projection import projections

    solve(filled)
    for badcase in (NINE, SEVEN):
        filled.home.do(commands.assign, badcase_id=badcase, owner="ann")
        filled.home.do(commands.reject, badcase_id=badcase, reason="wont_fix")
        filled.home.do(commands.reopen, badcase_id=badcase, reason="no")
    filled.settle()

    assert rebuild.verify(filled.home.ports, projections["badcases"]) == []


def links_of(page: str, list_path: str) -> list[tuple[str, int]]:
    """The queries that a page's bars and cells lead to, each with the number that it shows."""
    found = []
    for href, label in re.findall(r'<a[^>]*href="([^"]+)"[^>]*aria-label="([^"]+)"', page):
        shown = re.search(r": ([\d  ]+) report", unescape(label))
        if shown and urlsplit(unescape(href)).path == list_path:
            count = int(re.sub(r"\D", "", shown[1]))
            found.append((parse_qs(urlsplit(unescape(href)).query)["q"][0], count))
    for href, count in re.findall(r'<td class="heat-[^"]*"><a href="([^"]+)">([^<]+)</a>', page):
        if urlsplit(unescape(href)).path == list_path:
            found.append((parse_qs(urlsplit(unescape(href)).query)["q"][0], int(re.sub(r"\D", "", count))))
    return found


def test_every_bar_of_reports_leads_to_as_many_reports(filled: Field, client: TestClient) -> None:
    page = client.get("/reports/statistics?q=function:digit", headers=HTML)
    assert page.status_code == 200
    links = [(q, n) for q, n in links_of(page.text, "/reports") if n]

    assert len(links) >= 6
    for q, count in links:
        assert filled.read(lists.reports, q, now=NOW).total == count, q


def test_every_cell_of_badcases_leads_to_what_it_counts(filled: Field, client: TestClient) -> None:
    solve(filled)
    page = client.get("/badcases/statistics", headers=HTML)
    assert page.status_code == 200
    for q, count in links_of(page.text, "/badcases"):
        if count:
            assert filled.read(lists.badcases, q, now=NOW).total >= 1, q
    assert "Time to each status" in page.text
    assert "Solved in week" in page.text
    assert "33" in page.text


def test_programs_get_the_same_figures(filled: Field, client: TestClient) -> None:
    told: dict[str, Any] = client.get("/api/v1/badcases/statistics?q=function:digit").json()
    reports = client.get(f"/api/v1/reports/statistics?selected={told['position']}").json()

    assert told["reports"] == 55
    assert {v["version"] for v in told["statistics"]["versions"]} == {"1.0", "1.10"}
    assert told["statistics"]["solved"]["badcases"] == 2
    assert reports["counted"] in (0, 1)
    assert client.get("/api/v1/reports/statistics?q=colour:red").status_code == 422
