"""Pages by key, and cursors that were tampered with."""

import base64
import contextlib
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from mlife.core import query as q
from tests.core import query_rows as table

FIELDS = ["name", "severity", "done", "count", "rate", "seen", "seen_text", "seen_number", "version"]
COLUMN = {"version": "version_key"}
sorts = st.lists(st.tuples(st.sampled_from(FIELDS), st.booleans()), max_size=3, unique_by=lambda pair: pair[0])


def read(engine: Engine, query: str = "", **asked: object) -> q.Slice:
    page = q.page(select(table.c.id), table.THINGS, query, **({"now": table.NOW} | asked))
    with engine.connect() as connection:
        return page.cut(connection.execute(page.select).all())


def sorted_ids(rows: list[dict[str, Any]], order: list[tuple[str, bool]]) -> list[int]:
    """The ids as they must come: nulls last either way, the key decides in the direction of the last field."""
    ordered = sorted(rows, key=lambda r: r["id"], reverse=bool(order) and order[-1][1])
    for name, descending in reversed(order):
        column = COLUMN.get(name, name)
        known = sorted((r for r in ordered if r[column] is not None), key=lambda r: r[column], reverse=descending)
        ordered = known + [r for r in ordered if r[column] is None]
    return [r["id"] for r in ordered]


@settings(max_examples=200, deadline=None)
@given(table.rows, sorts, st.integers(1, 4))
def test_pages_there_and_back_show_each_row_once_and_in_order(engine, rows, order, limit):
    table.fill(engine, rows)
    sort = ",".join("-" * descending + name for name, descending in order)
    expected = sorted_ids(rows, order)

    there, cursor, last = [], None, None
    while True:
        last = read(engine, sort=sort, after=cursor, limit=limit)
        there.append([r.id for r in last.items])
        if last.after is None:
            break
        cursor = last.after
    back = [there[-1]]
    while last.before is not None:
        last = read(engine, sort=sort, after=last.before, limit=limit)
        back.append([r.id for r in last.items])
        assert last.after is not None, "whoever came back can go on again"

    assert [i for page in there for i in page] == expected
    assert [i for page in reversed(back) for i in page] == expected
    assert all(len(page) == limit for page in there[:-1])


def test_equal_spellings_share_a_cursor_and_another_query_or_sort_does_not(engine):
    table.fill(engine, [ROW | {"id": i} for i in range(1, 6)])
    cursor = read(engine, "count=1  AND -severity:minor", sort="-count", limit=2).after

    assert [r.id for r in read(engine, "count:1 NOT severity:minor", sort=" -count", after=cursor).items] == [3, 2, 1]
    for query, sort in (("count:1", "-count"), ("count:1 -severity:minor", "count")):
        with pytest.raises(q.QueryError, match="belongs to another query or sort order"):
            read(engine, query, sort=sort, after=cursor)


def test_all_pages_count_ages_from_the_moment_of_the_first(engine):
    table.fill(engine, [ROW | {"id": i, "seen": table.NOW - timedelta(hours=1)} for i in range(1, 4)])
    first = read(engine, "seen:2h", limit=2)
    later = table.NOW + timedelta(days=1)

    assert [r.id for r in read(engine, "seen:2h", after=first.after, now=later).items] == [1]
    assert read(engine, "seen:2h", now=later).items == []


@pytest.mark.parametrize("sort", ["count", "-count"])
def test_a_deep_page_starts_at_its_place_in_the_index(sqlite_engine, sort):
    table.fill(sqlite_engine, [ROW | {"id": i, "name": f"thing {i}"} for i in range(1, 9)])
    named = q.Searchable("things", table.c.name, table.THINGS.fields)
    first = q.page(select(table.c.name), named, "", sort=sort, now=table.NOW, limit=3)
    with sqlite_engine.connect() as connection:
        cursor = first.cut(connection.execute(first.select).all()).after
    deep = q.page(select(table.c.name), named, "", sort=sort, now=table.NOW, after=cursor)
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS by_count ON things (count, name)")
        statement = deep.select.compile(sqlite_engine, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]

    assert len(plan) == 1, "nothing is sorted"
    assert re.search(r"SEARCH things USING .*INDEX by_count \(\(count,name\)", plan[0])


def test_a_sort_that_cannot_be_is_pointed_at(engine):
    with pytest.raises(q.QueryError, match=r"did you mean count\?") as refused:
        read(engine, sort="-seen, -cuont")
    assert refused.value.pointer() == "-seen, -cuont\n       ^^^^^^"
    with pytest.raises(q.QueryError, match="client has several values"):
        read(engine, sort="client")
    with pytest.raises(q.QueryError, match="each once"):
        read(engine, sort="count,-count")


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_has_1_to_500_rows(engine, limit):
    with pytest.raises(q.QueryError, match="ask for 1 to 500"):
        read(engine, limit=limit)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda b: base64.urlsafe_b64encode(b).decode()))
def test_rubbish_is_refused_as_a_cursor(engine, rubbish):
    if rubbish:
        with pytest.raises(q.QueryError, match="not a cursor"):
            read(engine, after=rubbish)


def test_a_deeply_nested_cursor_is_refused(engine):
    for nested in (b"[" * 11_000, b"[" * 900 + b"]" * 900):
        with pytest.raises(q.QueryError, match="not a cursor"):
            read(engine, after=base64.urlsafe_b64encode(nested).decode().rstrip("="))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_cursor_with_any_one_character_changed_is_refused(engine, data):
    table.fill(engine, [ROW | {"id": i} for i in range(1, 4)])
    cursor = read(engine, sort="name,seen", limit=1).after
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("abcABC019_-").filter(lambda c: c != cursor[place]))
    changed = cursor[:place] + other + cursor[place + 1 :]

    if json_of(changed) != json_of(cursor):
        with pytest.raises(q.QueryError):
            read(engine, sort="name,seen", limit=1, after=changed)


# Moments at which a time zone or an age leaves the calendar.
FIRST = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
LAST = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)


def json_of(cursor: str) -> object:
    with contextlib.suppress(ValueError):
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return None


anything = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-11-24T00:00:00")
)
anything |= st.sampled_from(["\ud800", "\x00", "0001-01-01T00:00:00+23:59", "1e9999", "NaN"]) | st.lists(st.integers())


@settings(max_examples=300, deadline=None)
@given(
    st.lists(anything, min_size=1, max_size=4),
    st.sampled_from([table.NOW, table.NOW.replace(tzinfo=None), FIRST, LAST]),
)
def test_a_forged_cursor_is_refused_or_only_begins_elsewhere(engine, values, now):
    sort = ",".join(FIELDS[i] for i in range(len(values) - 1))
    page = q.page(select(table.c.id), table.THINGS, "seen:today", sort=sort, now=table.NOW)
    forged = q.Cursor(tuple(values), now).encode(page.binding)

    with contextlib.suppress(q.QueryError):
        read(engine, "seen:today", sort=sort, after=forged)


ROW = {
    "name": "thin",
    "severity": None,
    "done": True,
    "count": 1,
    "rate": None,
    "seen": table.NOW,
    "seen_text": None,
    "seen_number": None,
    "version": None,
    "version_key": None,
    "clients": [],
}
