"""What a query matches, and that no text can break it."""

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from mlife.core import query as q
from tests.core import query_rows as table

PIECES = [
    "a:",
    "name:",
    "severity:",
    "seen>",
    "count:",
    "version:",
    "client:",
    "done:",
    "..",
    "(",
    ")",
    '"',
    "-",
    " ",
    ",",
    "*",
]
PIECES += [
    "OR",
    "AND",
    "NOT",
    " OR ",
    "\\",
    "!=",
    "<=",
    ":",
    "none",
    "any",
    "7d",
    "2026-02-30",
    "9999",
    "1.4",
    "1.4.*",
    "²",
    "\t",
    "\x00",
]
PIECES += [
    "+999999w",
    "0000",
    "1e99",
    "99999999999999999999",
    "\ud800",
    "critical",
    "yes",
    "字",
    "thin",
    "%",
    "_",
    "'",
    ";",
]
typed = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


def found(engine: Engine, text: str) -> list[int]:
    condition = q.compile_query(q.parse(text), table.THINGS, table.NOW)
    with engine.connect() as connection:
        return list(connection.execute(select(table.c.id).where(condition).order_by(table.c.id)).scalars())


@settings(max_examples=200, deadline=None)
@given(table.queries, table.rows)
def test_the_database_finds_the_rows_that_a_second_opinion_finds(engine, ast, rows):
    table.fill(engine, rows)

    assert found(engine, str(ast)) == [r["id"] for r in rows if table.matches(ast, r)]


@settings(max_examples=150, deadline=None)
@given(table.queries)
def test_the_normal_form_of_any_query_reads_as_the_same_query(ast):
    assert q.parse(str(ast)) == ast


@settings(max_examples=300, deadline=None)
@given(typed)
@example('"C:\\x\\\\" a OR b c')
@example("(((a b) OR c)) -(-x) NOT NOT y")
@example("OR* NOT*")
def test_any_text_is_read_or_refused_at_a_place_inside_it(text):
    read = read_or_refused(text)

    if isinstance(read, q.QueryError):
        assert 0 <= read.position <= read.span.end <= len(text)
        assert read.span.source == text
        assert read.remedy
        assert read.pointer().count("\n") == 1
    else:
        assert q.parse(str(read)) == read
        assert len(str(read)) <= len(text)


def read_or_refused(text: str) -> q.Node | q.QueryError:
    try:
        return q.parse(text)
    except q.QueryError as refused:
        return refused


@settings(max_examples=300, deadline=None)
@given(typed)
@example("seen:+999999w")
@example("seen:0000")
@example("count>99999999999999999999")
@example("version:" + "9" * 500 + ".*")
def test_any_text_finds_rows_or_is_refused_and_never_fails_in_the_database(engine, text):
    with contextlib.suppress(q.QueryError):
        found(engine, text)


@settings(max_examples=100, deadline=None)
@given(table.queries, table.rows, st.sampled_from(["thin", "di%it", "", "none", "a..b", 'say "hi"']))
def test_a_narrowed_query_finds_what_it_found_before_among_the_rows_with_the_value(engine, ast, rows, name):
    table.fill(engine, rows)
    named = {"name", "title"}
    free = q.without(str(ast), "name", searchable=table.THINGS)
    narrowed = q.narrow(free, "name", name, searchable=table.THINGS)

    assert set(found(engine, free)) >= set(found(engine, str(ast))), "freeing a field never loses a row"
    assert not {t.name for t in q.terms_of(q.parse(free))} & named
    assert found(engine, narrowed) == [i for i in found(engine, free) if rows[i - 1]["name"] == name]


@settings(max_examples=150, deadline=None)
@given(typed, st.integers(-5, 80))
def test_every_completion_fits_at_the_caret(text, caret):
    for offer in q.complete(text, caret, table.THINGS):
        assert 0 <= offer.start <= offer.end <= len(text)
        assert offer.insert
