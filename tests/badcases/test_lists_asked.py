"""Whatever is asked of a list: no query breaks it, and none reads every report to answer, on either database."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Executable, func, select, text
from starlette.testclient import TestClient

from mlife.adapters.views_sqlite import SqliteViews
from mlife.badcases.views import lists, statistics
from mlife.badcases.views.search import searchable_badcases, searchable_reports
from mlife.badcases.views.tables import report_rows
from mlife.core.query import Field as QueryField
from mlife.core.query import QueryError, Searchable, compile_query, complete, page, parse
from mlife.core.query.form import built, taken_apart
from tests.badcases.conftest import NOW, Field, report

VALUES = {"choice": "", "text": "x", "flag": "yes", "number": "3", "date": "7d", "version": "1.4", "free": "x"}
HTML = {"accept": "text/html"}


@pytest.fixture
def either_filled(either: Field) -> Field:
    """The same with some reports in it."""
    either.send(
        *(
            report(str(n % 7), str(n % 5 + 7), picture=n, device=f"cam-{n % 9}", severity="major" if n % 3 else None)
            for n in range(300)
        )
    )
    return either


def value_of(field: QueryField) -> str:
    """A value that can be asked of *field*."""
    return f'"{field.choices[0]}"' if field.choices else VALUES[field.kind]


def plan(field: Field, statement: Executable) -> list[str]:
    """How the database goes about *statement*; PostgreSQL, which would read a small table whole, is told not to."""
    with field.home.ports.views.read() as read:
        connection = read._c  # type: ignore[attr-defined]
        sqlite = connection.dialect.name == "sqlite"
        sql = str(statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
        if sqlite:
            return [row[3] for row in read.all(text("EXPLAIN QUERY PLAN " + sql))]
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return [row[0].strip() for row in read.all(text("EXPLAIN " + sql.replace(":", "\\:")))]


def reads_all(lines: list[str]) -> bool:
    """Does the plan look at every report?"""
    if any("Seq Scan on report_rows" in line or line == "SCAN report_rows" for line in lines):
        return True
    uses = [line for line in lines if "report_" in line and ("Scan" in line or "SCAN" in line or "SEARCH" in line)]
    return not any("SEARCH" in line for line in uses) and not any("Index Cond" in line for line in lines)


def test_every_field_of_a_report_is_looked_up_in_an_index(either_filled: Field) -> None:
    slow = {}
    for field in searchable_reports.fields:
        asked = [f"{field.name}:{value_of(field)}"]
        asked += [f"{field.name}>={value_of(field)}"] if ">=" in field.operators and field.kind != "choice" else []
        asked += [f"{field.name}:none"] if getattr(field.column, "nullable", False) and field.via is None else []
        for q in asked:
            condition = compile_query(parse(q), searchable_reports, NOW)
            lines = plan(either_filled, select(func.count()).select_from(report_rows).where(condition))
            if reads_all(lines):
                slow[q] = lines

    assert slow == {}


def test_every_order_of_reports_walks_an_index_and_sorts_nothing(either_filled: Field) -> None:
    slow = {}
    for field in searchable_reports.fields:
        if field.sortable and field.order is None:
            asked = page(select(report_rows), searchable_reports, "", now=NOW, sort=f"-{field.name}")
            lines = plan(either_filled, asked.select)
            if any("TEMP B-TREE" in line or line.removeprefix("->").strip().startswith("Sort") for line in lines):
                slow[field.name] = lines

    assert slow == {}


QUERIES = [
    *(f'{f.name}:"{f.choices[0]}"' for f in searchable_badcases.fields if f.choices),
    *("-function:digit", "NOT (truth:3 OR prediction:4)", "owner:none -owner:any", "muted:any", "last>7d first<2w"),
    *("version:1.* -version:2.0", "solvedin:0", "reached:solved", "observed:2026-11", "client:fleet*", '"a b" OR c'),
]  # fmt: skip


def test_lists_facets_and_statistics_answer_on_both_databases(either_filled: Field) -> None:
    for q in QUERIES:
        listing = either_filled.read(lists.badcases, q, now=NOW)
        facets = either_filled.read(statistics.facets, q, now=NOW)
        found = either_filled.read(statistics.analyse, q, now=NOW)

        assert sum(s.count for s in facets["status"]) == listing.total
        assert sum(s.count for s in found["status"]) == listing.reports


def made_up(chance: random.Random, searchable: Any) -> str:
    """Something between a query and nonsense."""
    names = [n for f in searchable.fields for n in (f.name, *f.aliases)] + ["field.place", "nothing"]
    ops = [":", "!=", "<", ">=", "=", "::", ""]
    values = [
        "none",
        "any",
        "3",
        "-3",
        "1e9",
        "9" * 18,
        "7d",
        "-2w",
        "999999w",
        "2026-11",
        "2026-13",
        "9999",
        "1.*",
        "*",
    ]
    values += [
        '"a b"',
        '"',
        "\\",
        "1..2",
        "2..1",
        "..",
        "a,b",
        ",",
        "yes",
        "новое",
        "\U0001f600",
        "%",
        "_",
        "'; --",
        "x" * 300,
    ]
    words = ["(", ")", "OR", "NOT", "AND", "-", "--", '"mask night"', "stro*", "*", "\t", "\x00", "a" * 50]
    pieces = []
    for _ in range(chance.randint(1, 8)):
        if chance.random() < 0.7:
            pieces.append(
                chance.choice(["", "-", "("]) + chance.choice(names) + chance.choice(ops) + chance.choice(values)
            )
        else:
            pieces.append(chance.choice(words))
    return chance.choice([" ", "  ", " OR "]).join(pieces)


@pytest.mark.parametrize("of", ["badcases", "reports"])
def test_no_query_is_the_servers_fault(field: Field, client: TestClient, of: str) -> None:
    field.send(*(report(str(n), "x", picture=n) for n in range(5)))
    searchable = searchable_reports if of == "reports" else searchable_badcases
    chance = random.Random(5)
    for _ in range(250):
        q = made_up(chance, searchable)
        sort = chance.choice(["", "-position", "-reports,first", "colour", "-"])
        told = client.get(f"/api/v1/{of}", params={"q": q, **({"sort": sort} if sort else {})})
        assert told.status_code in (200, 422), (q, sort, told.text)
        if told.status_code == 422:
            assert "(character " in told.json()["detail"], (q, told.text)
    for path in (f"/{of}", f"/{of}/statistics", f"/{of}/search"):
        assert client.get(path, params={"q": "(((colour:red"}, headers=HTML).status_code == 200


def test_no_query_breaks_either_database(either_filled: Field) -> None:
    chance = random.Random(7)
    for n in range(160):
        read, searchable = (lists.reports, searchable_reports) if n % 2 else (lists.badcases, searchable_badcases)
        q = made_up(chance, searchable)
        try:
            either_filled.read(read, q, now=NOW)
        except QueryError as e:
            assert 0 <= e.position <= len(q), q  # noqa: PT017 - some queries can be read


@pytest.mark.parametrize("searchable", [searchable_badcases, searchable_reports], ids=lambda s: s.name)
def test_what_is_offered_can_be_asked(searchable: Searchable) -> None:
    for field in searchable.fields:
        for begun in (field.name[:2], f"{field.name}:", f"-{field.name}!=", f"(open OR {field.name}:"):
            for offer in complete(begun, len(begun), searchable):
                text = begun[: offer.start] + offer.insert
                if offer.insert.strip() in {"OR", "NOT", "AND"} or text[-1] in ":<>=":
                    continue  # something has to follow
                compile_query(parse(text + ")" * text.count("(")), searchable, NOW)


MISTAKES = {
    "reached:nowhere": 8,
    "open:yes solvedin:many": 18,
    "-(observed:lately OR owner:none)": 11,
    "owner:ana reachd:new": 10,
    "solvedin:5..2": 9,
    "status:new AND (observed:2026-13)": 25,
}


@pytest.mark.parametrize("q", MISTAKES)
def test_a_mistake_is_shown_at_its_character(q: str) -> None:
    with pytest.raises(QueryError) as caught:
        compile_query(parse(q), searchable_badcases, NOW)

    assert caught.value.position == MISTAKES[q]
    assert caught.value.expected


FORMS = [
    ("", set(), ""),
    ('status:"fix planned" -owner:ana reports>=10', {"status", "owner", "reports"}, ""),
    ("first>7d night (truth:3 OR truth:4)", {"first"}, "night (truth:3 OR truth:4)"),
    ("owner:none client:a,b", {"owner", "client"}, ""),
]


@pytest.mark.parametrize(("q", "rows", "rest"), FORMS)
def test_a_query_goes_through_the_form_and_comes_back(q: str, rows: set[str], rest: str) -> None:
    filled, other = taken_apart(q, searchable_badcases)

    assert (set(filled), other) == (rows, rest)
    assert parse(built(filled, other)) == parse(built(*taken_apart(built(filled, other), searchable_badcases)))
    assert sorted(map(str, _parts(built(filled, other)))) == sorted(map(str, _parts(q)))


def _parts(q: str) -> list[Any]:
    from mlife.core.query import And, Not, Term

    node = parse(q)
    parts = node.children if isinstance(node, And) else (node,)
    return [
        Term(p.child.name, "!=", p.child.values) if isinstance(p, Not) and isinstance(p.child, Term) else p
        for p in parts
    ]


def test_the_form_needs_no_script_and_leads_to_the_list(field: Field, client: TestClient) -> None:
    field.send(report("9", "4"))
    drawn = client.get("/badcases/search?q=owner:none%20night", headers=HTML).text
    assert 'value="night"' in drawn
    sent = client.get(
        "/badcases/search",
        params={"go": "1", "op.status": ":", "v.status": "fix planned", "op.owner": "none", "v.reports": "10..20"},
        follow_redirects=False,
    )
    assert sent.headers["location"] == "/badcases?q=status%3A%22fix%20planned%22%20reports%3A10..20%20owner%3Anone"
    wrong = client.get("/badcases/search", params={"go": "1", "op.reports": ">=", "v.reports": "many"}, headers=HTML)

    assert wrong.status_code == 200
    assert "reports is a number" in wrong.text


def test_a_large_result_is_counted_up_to_a_bound(field: Field, client: TestClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(lists, "MOST_COUNTED", 3)
    field.send(*(report(str(n), "x", picture=n) for n in range(5)))
    told = client.get("/api/v1/reports?q=function:digit").json()

    assert (told["total"], told["total_is_least"], len(told["reports"])) == (3, True, 5)
    assert client.get("/api/v1/reports").json()["total"] == 5
    assert "more than" in client.get("/reports?q=function:digit", headers=HTML).text


def test_of_several_indexes_the_one_that_finds_least_is_taken(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone_by(device: int) -> list[str]:
        asked = f"kind:failure version:1.0 device:cam-{device} system:digits"
        condition = compile_query(parse(asked), searchable_reports, NOW)
        return plan(field, select(func.count()).select_from(report_rows).where(condition))

    monkeypatch.setattr(SqliteViews, "LOOKED_THROUGH", 200)
    assert "report_by_device" not in str(gone_by(1))  # and a reader has read the schema

    field.send(*(report("7", "1", picture=n, device=f"cam-{n}") for n in range(300)))

    assert "report_by_device" in str(gone_by(2))


def test_what_is_found_by_words_is_counted_with_its_page_as_without_them(either: Field) -> None:
    remarks = (None, "low sun, night", "rain", "night, rain")
    either.send(*(report(str(n % 7), str(n % 5 + 7), picture=n, description=remarks[n % 4]) for n in range(80)))
    described = {r.position: r for r in either.read(lists.reports, now=NOW, limit=500).items}
    for q, wanted in (
        ("night", {n for n, r in described.items() if "night" in (r.description or "")}),
        ("-night", {n for n, r in described.items() if "night" not in (r.description or "")}),
        ("night rain", {n for n, r in described.items() if r.description == "night, rain"}),
        ("fog", set()),
    ):
        after, seen, totals = None, [], set()
        while True:
            part = either.read(lists.reports, q, now=NOW, limit=7, after=after)
            seen, totals, after = seen + [r.position for r in part.items], totals | {part.total}, part.after
            if after is None:
                break
        assert (seen, totals) == (sorted(wanted, reverse=True), {len(wanted)})
        if not q.startswith("-"):
            here = {described[n].badcase_id for n in wanted}
            of_these = sum(r.badcase_id in here for r in described.values())
            first = either.read(lists.badcases, q, now=NOW, limit=3)
            second = either.read(lists.badcases, q, now=NOW, limit=500, after=first.after) if first.after else first
            every = {v.badcase_id for v in (*first.items, *second.items)}
            assert (every, first.total, second.total) == (here, len(here), len(here))
            assert first.reports == second.reports == of_these
