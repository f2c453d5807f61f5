"""Both sizes have equal rows after the same changes, and answer the same questions alike, in the same order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    Select,
    Table,
    Text,
    case,
    func,
    literal,
    or_,
    select,
    update,
)

from mlife.adapters.postgres import Postgres
from mlife.adapters.views_postgres import PostgresViews
from mlife.adapters.views_sql import SqlViews
from mlife.adapters.views_sqlite import SqliteViews
from mlife.core.projection import Projection, Tx, projections
from mlife.core.query import contains_text, starts_with
from mlife.core.query.nodes import Text as Words
from mlife.core.tables import Moment, TextIndex, json_value, metadata, rounded
from tests.contract.folding import fold
from tests.toys import only_toys

pytestmark = pytest.mark.cluster

goods = Table(
    "goods",
    metadata,
    Column("ware", Text, primary_key=True),
    Column("shelf", Integer, primary_key=True),
    Column("name", Text),
    Column("count", Integer),
    Column("weight", Float),
    Column("fresh", Boolean),
    Column("seen_at", Moment),
    Column("body", JSON),
    Column("first_seen", Integer),
    Column("last_name", Text),
    Index("goods_by_name", "name", "count"),
)
words = TextIndex("goods_words")
stock = Projection("goods", version=1, tables=[goods], texts=[words])
projections.pop("goods")

g = goods.c
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Both:
    """The same query tables twice, which are changed alike."""

    def __init__(self, sizes: Sequence[SqlViews]) -> None:
        self.sizes = sizes

    def change(self, *changes: Callable[[Tx], None]) -> None:
        for views in self.sizes:
            fold(views, *changes, projection=stock)

    def begin_anew(self) -> None:
        self.change(lambda tx: tx.delete(goods, g.shelf >= 0))

    def same(self, statement: Select[Any]) -> list[tuple[Any, ...]]:
        """What both answer, value for value and type for type."""
        answers = []
        for views in self.sizes:
            with views.read() as read:
                answers.append([tuple(row) for row in read.all(statement)])
        embedded, cluster = answers
        assert cluster == embedded
        assert [[type(v) for v in row] for row in cluster] == [[type(v) for v in row] for row in embedded]
        return cluster


@pytest.fixture
def both(tmp_path: Path, postgres_url: str) -> Iterator[Both]:
    with only_toys(), ExitStack() as opened:
        projections.clear()
        projections["goods"] = stock
        postgres = opened.enter_context(closing(Postgres(postgres_url)))
        embedded = opened.enter_context(closing(SqliteViews(tmp_path / "views.db")))
        yield Both([embedded, opened.enter_context(closing(PostgresViews(postgres)))])


# Text of any script; PostgreSQL keeps no NUL, and both refuse half a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
texts |= st.sampled_from(
    ["a", "A", "b", "B", "ä", "Ä", "a b", "-a", "_", "%", "\\", "'", '"', "é", "e\u0301", "\t", ""]
)
numbers = st.integers(-(2**62), 2**62) | st.integers(-3, 3)
floats = st.floats(allow_nan=False, allow_infinity=False, width=64) | st.sampled_from([0.1, 0.5, -0.0, 1e300, 5e-324])
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)
COLUMNS = {
    "name": st.none() | texts,
    "count": st.none() | st.integers(-9, 9),
    "weight": st.none() | floats,
    "fresh": st.none() | st.booleans() | st.integers(0, 1),
    "seen_at": st.none() | st.integers(0, 4 * 10**15),
    "body": st.none()
    | st.dictionaries(st.sampled_from(["a", "b", "a-b"]), json, max_size=3).map(
        lambda value: orjson.dumps(value).decode()
    ),
    "first_seen": st.none() | numbers,
    "last_name": st.none() | texts,
}
keys = st.fixed_dictionaries({"ware": texts, "shelf": st.integers(1, 2)})
given_columns = st.fixed_dictionaries({}, optional=COLUMNS)
rows = st.lists(st.builds(lambda key, columns: key | columns, keys, given_columns), max_size=6)
whole_rows = st.lists(st.builds(lambda key, columns: key | columns, keys, st.fixed_dictionaries(COLUMNS)), max_size=6)
added = st.lists(
    st.builds(
        lambda key, columns: key | columns,
        keys,
        st.fixed_dictionaries({n: COLUMNS[n] for n in ("count", "first_seen", "last_name", "name")}),
    ),
    max_size=6,
)
conditions = st.sampled_from(
    [g.name.is_(None), g.count > 0, g.ware >= "b", g.weight < 0, g.fresh, g.body.is_(None), g.seen_at.is_not(None)]
)
changes = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["upsert", "insert_missing", "update"]), rows),
        st.tuples(st.just("add"), added),
        st.tuples(st.just("delete"), conditions),
        st.tuples(st.just("execute"), st.builds(lambda c: update(goods).where(c).values(count=7), conditions)),
    ),
    max_size=6,
)


def carried_out(change: tuple[str, Any]) -> Callable[[Tx], None]:
    method, what = change
    if method == "execute":
        return lambda tx: tx.execute(what) and None
    return lambda tx: getattr(tx, method)(goods, what)


ALL = select(goods).order_by(g.ware, g.shelf)


@EXAMPLES
@given(changes)
def test_the_same_changes_leave_the_same_rows(both: Both, listed: list[tuple[str, Any]]) -> None:
    both.begin_anew()
    both.change(*map(carried_out, listed))  # each in a transaction of its own
    apart = both.same(ALL)
    both.begin_anew()
    both.change(lambda tx: [carried_out(change)(tx) for change in listed] and None)
    assert both.same(ALL) == apart


def test_many_new_rows_are_the_same_as_few(both: Both) -> None:
    listed = [
        {
            "ware": f"ware {n}",
            "shelf": n % 2,
            "name": None if n % 7 == 0 else f"näme\t{n}\n\\N",
            "count": n if n % 3 else None,
            "weight": n / 3 if n % 5 else n,
            "fresh": (True, False, 1, 0, None)[n % 5],
            "seen_at": 10**15 + n,
            "body": orjson.dumps({"n": n, "tags": ["a", "ü"]}).decode(),
        }
        for n in range(600)
    ]
    both.change(lambda tx: tx.insert(goods, listed))
    at_once = both.same(ALL)
    both.begin_anew()
    both.change(lambda tx: [tx.insert(goods, listed[at : at + 9]) for at in range(0, 600, 9)] and None)

    assert both.same(ALL) == at_once
    assert len(at_once) == 600


# --- questions ---

EXPRESSIONS: tuple[ColumnElement[Any], ...] = (
    *goods.c,
    g.count * 2 + g.shelf,
    func.coalesce(g.name, g.last_name, "z"),
    case((g.count > 0, "More"), (g.count < 0, "less"), else_="-"),
    json_value(g.body, "a", "text"),
    json_value(g.body, "b", "number"),
    json_value(g.body, "a-b", "flag"),
    1.0 * g.count / (g.shelf + 2),
    func.nullif(g.count, 2),
    func.substr(g.name, 1, 1),
    func.coalesce(g.count, 3_000_000_000),
    func.length(g.name),
)
PLAIN = tuple(e for e in EXPRESSIONS if e is not g.body)
asked_of = st.sampled_from(PLAIN)


def filled(both: Both, listed: list[dict[str, Any]]) -> None:
    both.begin_anew()
    both.change(lambda tx: tx.upsert(goods, listed))


@EXAMPLES
@given(whole_rows, st.lists(st.tuples(asked_of, st.booleans()), min_size=1, max_size=3))
def test_every_expression_sorts_alike_null_and_case_included(
    both: Both, listed: list[dict[str, Any]], order: list[tuple[ColumnElement[Any], bool]]
) -> None:
    filled(both, listed)
    by = [e.desc() if descending else e.asc() for e, descending in order]
    both.same(select(*(e.label(f"v{n}") for n, e in enumerate(PLAIN))).order_by(*by, g.ware, g.shelf))


@EXAMPLES
@given(whole_rows, asked_of, st.booleans())
def test_groups_are_counted_and_summed_alike(
    both: Both,
    listed: list[dict[str, Any]],
    of: ColumnElement[Any],
    descending: bool,  # noqa: FBT001 - Hypothesis gives it
) -> None:
    filled(both, listed)
    shown, many = of.label("shown"), func.count().label("many")
    figures = [
        func.sum(g.count),
        func.min(g.name),
        func.max(g.name),
        func.count(g.count.distinct()),
        func.min(g.weight),
    ]
    both.same(
        select(shown, many, *figures, func.coalesce(func.sum(g.count), 0), 1.0 * func.sum(g.count) / func.count())
        .group_by(shown)
        .order_by(many.desc() if descending else many, shown)
    )
    both.same(select(func.count(), func.sum(g.count), func.max(g.seen_at), func.coalesce(func.sum(g.count), 0)))


@EXAMPLES
@given(whole_rows, texts, texts)
@example([{"ware": "_a%", "shelf": 1, **dict.fromkeys(COLUMNS)}], "_a%", "_")
def test_text_is_found_by_its_beginning_and_by_what_it_contains_alike(
    both: Both, listed: list[dict[str, Any]], beginning: str, part: str
) -> None:
    filled(both, listed)
    contains = contains_text(g.name, g.last_name, g.ware)([Words(part)])
    for condition in (
        starts_with(g.ware, beginning),
        starts_with(json_value(g.body, "a", "text"), beginning),
        contains,
        ~contains,
        g.name < part,
        json_value(g.body, "a", "text") >= part,
        or_(g.name == part, g.ware.in_([part, beginning])),
        g.name.in_([]),
        g.name.is_not_distinct_from(None),
    ):
        both.same(select(g.ware, g.shelf, (g.name + g.last_name).label("joined")).where(condition).order_by(*g[:2]))


@EXAMPLES
@given(st.floats(0, 1e9))
@example(76.87499999999999)
@example(0.005)
def test_a_float_is_rounded_to_the_same_bits(both: Both, value: float) -> None:
    both.same(select(rounded(literal(value, Float()) + 0.0)))


# --- full text ---

said = st.sampled_from(["Half-worn", "mask", "ÄRMEL", "straße", "x.y@z.w", "3.14", "日本語", "ﬁn", "½"])
sentences = st.lists(texts, max_size=5).map(" ".join) | st.lists(said).map(", ".join)
looked_for = st.sampled_from(["half-w*", "mas*", "armel", "STRASSE", "x.y", "3", "日本*", '"', "-", "OR"])
terms = sentences | st.lists(looked_for).map(" ".join)


@settings(EXAMPLES, max_examples=120)
@given(st.lists(sentences, min_size=1, max_size=4), st.lists(terms, min_size=1, max_size=4))
@example(["a-b", "b a", "a b"], ["a-b", "b-a", "a-b*", "'", "a:*", "a & b", "a | !b", "a <-> b", "*", "** a"])
@example(["a " * 20_000 + "end"], ["end", "a a", "b"])
@example(["x" * 3_000, "y" * 600], ["x" * 3_000, "y*", "y" * 400 + "*"])
def test_words_are_found_alike_whatever_is_written_and_asked(both: Both, written: list[str], asked: list[str]) -> None:
    numbered = list(zip(count(1), written, strict=False))
    filled(both, [{"ware": "a", "shelf": n} for n, _ in numbered])
    both.change(lambda tx: tx.index_text(words, numbered))
    for term in asked:
        both.same(select(g.shelf).where(words.matches(g.shelf, term)).order_by(g.shelf))
        both.same(select(g.shelf).where(~words.matches(g.shelf, term)).order_by(g.shelf))
