"""What every adapter of the query tables must do; it joins by its name and its fixture."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from copy import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Float, Integer, MetaData, Table, Text, func, insert, inspect, select, update

from mlife.adapters.postgres import Postgres
from mlife.adapters.views_postgres import PostgresViews
from mlife.adapters.views_sql import SqlViews
from mlife.adapters.views_sqlite import SqliteViews
from mlife.core.errors import Conflict, Invalid, Misconfigured, Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.projection import Projection, Tx, Views, projections
from mlife.core.tables import TextIndex, metadata
from tests.contract import folding
from tests.contract.drafts import draft
from tests.contract.folding import Change
from tests.toys import only_toys

wares = Table(
    "wares",
    metadata,
    Column("ware", Text, primary_key=True),
    Column("shelf", Integer, primary_key=True),
    Column("name", Text),
    Column("count", Integer),
    Column("weight", Float),
    Column("first_seen", Integer),
    Column("last_seen", Integer),
)
words = TextIndex("ware_words")
stock = Projection("stock", version=1, tables=[wares], texts=[words])
projections.pop("stock")


@pytest.fixture
def registered() -> Iterator[None]:
    with only_toys():
        projections.clear()
        projections["stock"] = stock
        yield


@pytest.fixture
def open_sqlite(tmp_path: Path) -> Callable[[], SqliteViews]:
    return lambda: SqliteViews(tmp_path / "views.db")


@pytest.fixture
def open_postgres(postgres_url: str) -> Iterator[Callable[[], PostgresViews]]:
    with ExitStack() as opened:
        yield lambda: PostgresViews(opened.enter_context(closing(Postgres(postgres_url))))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def open_views(request: pytest.FixtureRequest, registered: None) -> Iterator[Callable[[], SqlViews]]:
    """Opens the query tables, as one more process would."""
    how = request.getfixturevalue(f"open_{request.param}")
    opened: list[SqlViews] = []

    def remembered() -> SqlViews:
        opened.append(how())
        return opened[-1]

    yield remembered
    for one in opened:
        one.close()


@pytest.fixture
def views(open_views: Callable[[], SqlViews]) -> SqlViews:
    """Empty query tables of the projection `stock`."""
    return open_views()


def tables(views: SqlViews) -> set[str]:
    """The names of all tables that are really there."""
    with views._reading() as c:
        return set(inspect(c).get_table_names())


def fold(views: Views, *changes: Change, projection: Projection = stock) -> None:
    """Each change in a transaction of its own, as the fold of one event."""
    folding.fold(views, *changes, projection=projection)


def rows(views: Views) -> list[tuple[Any, ...]]:
    with views.read() as read:
        return [tuple(row) for row in read.all(select(wares).order_by(wares.c.ware, wares.c.shelf))]


def ware(ware: str = "a", shelf: int = 1, **columns: Any) -> dict[str, Any]:
    return {"ware": ware, "shelf": shelf, **columns}


# --- writing ---


def test_columns_may_be_named_in_any_order(views: Views) -> None:
    mixed = [{"ware": "a", "shelf": 1, "name": "n", "count": 5}, {"count": 6, "name": "m", "shelf": 2, "ware": "a"}]
    fold(views, lambda tx: tx.insert(wares, mixed))

    assert [r[:4] for r in rows(views)] == [("a", 1, "n", 5), ("a", 2, "m", 6)]


def test_rows_may_name_different_columns(views: Views) -> None:
    fold(
        views,
        lambda tx: tx.upsert(wares, [ware(name="n"), ware("b", count=2)]),
        lambda tx: tx.upsert(wares, [ware(count=7), ware(weight=0.5), ware("b", name="b")]),
    )

    assert [r[:5] for r in rows(views)] == [("a", 1, "n", 7, 0.5), ("b", 1, "b", 2, None)]


def test_the_first_of_equal_keys_stays_and_the_last_replaces(views: Views) -> None:
    fold(
        views,
        lambda tx: tx.insert_missing(wares, [ware(name="first"), ware(name="second")]),
        lambda tx: tx.insert_missing(wares, [ware(name="third")]),
        lambda tx: tx.upsert(wares, [ware("b", name="first"), ware("b", name="second")]),
    )
    assert [r[:3] for r in rows(views)] == [("a", 1, "first"), ("b", 1, "second")]


def test_updates_are_applied_in_order_to_rows_that_exist(views: Views) -> None:
    fold(
        views,
        lambda tx: tx.insert(wares, [ware(count=1)]),
        lambda tx: tx.update(wares, [ware(count=2), ware(name="x"), ware(count=3), ware("b", count=9), ware()]),
    )
    assert [r[:4] for r in rows(views)] == [("a", 1, "x", 3)]


def test_rows_are_removed_by_a_condition(views: Views) -> None:
    fold(views, lambda tx: tx.insert(wares, [ware(shelf=n) for n in range(5)]))
    fold(views, lambda tx: tx.delete(wares, wares.c.shelf >= 2))

    assert [r[1] for r in rows(views)] == [0, 1]


def test_any_other_statement_meets_the_generation_that_is_folded(views: Views) -> None:
    found: list[Any] = []
    fold(
        views,
        lambda tx: tx.execute(insert(wares).values(ware="a", shelf=1, name="x")),
        lambda tx: tx.execute(update(wares).values(count=3).where(wares.c.ware == "a")),
        lambda tx: found.extend(tx.execute(select(wares.c.count, func.count()).group_by(wares.c.count))),
    )
    assert [tuple(f) for f in found] == [(3, 1)]


def test_a_text_is_found_by_words_and_by_beginnings_and_a_later_text_replaces_it(views: Views) -> None:
    def found(terms: str) -> list[str]:
        with views.read() as read:
            return [r[0] for r in read.all(select(wares.c.ware).where(words.matches(wares.c.shelf, terms)))]

    fold(views, lambda tx: tx.insert(wares, [ware("bear", 1), ware("duck", 2)]))
    fold(
        views, lambda tx: tx.index_text(words, [(1, "half-worn mask at Ärmel"), (2, "rubber duck"), (2, "gummy duck")])
    )

    assert found("mask") == ["bear"]
    assert found("ARMEL ma*") == ["bear"]
    assert found("rubber") == []
    assert found("gummy du*") == ["duck"]
    for hostile in ('"', "AND", "duck OR", "NEAR(", "a:b", "*", "'; DROP TABLE wares --", ""):
        assert isinstance(found(hostile), list)
    assert len(rows(views)) == 2


def test_a_number_or_text_that_no_column_holds_is_invalid(views: Views) -> None:
    fold(views, lambda tx: tx.insert(wares, [ware("bear", 1)]))
    for asked, said in ((wares.c.shelf == 10**30, "64 bits"), (wares.c.ware == "\udcff", "no valid text")):
        with views.read() as read:
            for ask in (read.all, read.one, read.value):
                with pytest.raises(Invalid, match=said):
                    ask(select(wares.c.ware).where(asked))


VALUES = st.one_of(st.none(), st.integers(-5, 5))
ADDED = st.lists(
    st.fixed_dictionaries(
        {
            "ware": st.sampled_from("ab"),
            "shelf": st.integers(1, 2),
            "name": st.one_of(st.none(), st.sampled_from("xyz")),
            "count": VALUES,
            "first_seen": VALUES,
            "last_seen": VALUES,
        }
    ),
    max_size=12,
)
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(ADDED, st.lists(st.integers(0, 12), max_size=3), st.sampled_from(["add", "upsert", "insert_missing"]))
def test_however_a_log_is_cut_into_runs_the_rows_come_out_equal(
    views: Views, all_rows: list[dict[str, Any]], cuts: Sequence[int], method: str
) -> None:
    def cut_at(places: Sequence[int]) -> list[tuple[Any, ...]]:
        fold(views, lambda tx: tx.delete(wares, wares.c.ware != ""))
        edges = [0, *sorted(places), len(all_rows)]
        for low, high in pairwise(edges):
            fold(views, lambda tx, low=low, high=high: getattr(tx, method)(wares, all_rows[low:high]))
        return rows(views)

    one_by_one = cut_at(range(len(all_rows)))
    assert cut_at([]) == cut_at(cuts) == one_by_one


def test_a_fold_that_fails_changes_nothing_and_its_error_is_its_own(views: Views) -> None:
    fold(views, lambda tx: tx.insert(wares, [ware()]))

    def bad(tx: Tx) -> None:
        tx.insert(wares, [ware("b")])
        tx.insert(wares, [ware()])

    with pytest.raises(Exception, match=r"(?i)unique constraint"):
        fold(views, bad)
    assert len(rows(views)) == 1
    assert views.prepare(stock).position == 1


# --- checkpoints ---


def test_of_two_runners_at_the_same_position_one_is_fenced_off(views: Views) -> None:
    standing = views.prepare(stock)
    event = [Recorded[Event](1, 1, draft("ware/1", "a"))]
    views.apply(stock, standing, event, 1)

    with pytest.raises(Conflict):
        views.apply(stock, standing, event, 1)
    with pytest.raises(Conflict):
        views.stop(standing, "a zombie's opinion")
    assert [(s.position, s.state) for s in views.standings()] == [(1, "live")]


def test_a_stopped_generation_takes_no_events_until_it_is_cleared(views: Views) -> None:
    standing = views.prepare(stock)
    views.stop(standing, "event 1 is strange")

    (stopped,) = views.standings()
    assert (stopped.state, stopped.error) == ("stopped", "event 1 is strange")
    assert views.prepare(stock) == stopped
    with pytest.raises(Conflict):
        views.apply(stock, standing, [], 1)
    views.clear(stock)
    assert views.prepare(stock) == standing


def test_threads_and_processes_that_prepare_at_once_make_one_generation(open_views: Callable[[], SqlViews]) -> None:
    views, *others = [open_views() for _ in range(5)]
    made: list[Any] = []
    together = threading.Barrier(5)

    def prepare(one: Views) -> None:
        together.wait()
        made.append(one.prepare(stock))

    threads = [threading.Thread(target=prepare, args=(v,)) for v in [views, *others]]
    for t in threads:
        t.start()
    for t in threads:
        t.join()

    assert len(made) == 5
    assert len(set(made)) == len(views.standings()) == 1


# --- generations ---


def test_a_reader_sees_one_generation_whole_while_another_becomes_live(views: Views) -> None:
    fold(views, lambda tx: tx.insert(wares, [ware(name="old")]))
    new = views.new_generation(stock)
    with views.read() as before:
        views.finish(stock, new)
        views.flip(new)
        with views.read() as after:
            assert before.value(select(wares.c.name)) == "old"
            assert after.value(select(wares.c.name)) is None
        assert before.value(select(func.count()).select_from(wares)) == 1


def test_one_generation_is_kept_for_rollback_and_older_ones_are_dropped(views: SqlViews) -> None:
    views.prepare(stock)
    for _ in range(3):
        views.flip(views.new_generation(stock))

    assert [(s.generation, s.state) for s in views.standings()] == [(3, "old"), (4, "live")]
    assert {n for n in tables(views) if n.startswith("wares__")} == {"wares__1_3", "wares__1_4"}


def test_a_generation_that_was_flipped_away_takes_nothing_any_more(views: Views) -> None:
    old = views.prepare(stock)
    views.flip(views.new_generation(stock))

    with pytest.raises(Conflict):
        views.apply(stock, old, [], 1)
    with pytest.raises(Conflict):
        views.stop(old, "too late")
    assert [s.state for s in views.standings()] == ["old", "live"]


def test_generations_are_compared_as_they_were_when_the_look_began(views: Views) -> None:
    fold(views, lambda tx: tx.insert(wares, [ware(name="x"), ware("b", name="y")]))
    fold(views, lambda tx: tx.index_text(words, [(1, "one")]))
    live, scratch = views.prepare(stock), views.new_generation(stock)
    with views.comparing(stock, live, scratch) as differences:
        fold(views, lambda tx: tx.insert(wares, [ware("late")]))
        found = differences()

    assert len(found) == 3
    assert all("is not in the fresh replay" in f for f in found)
    assert not any("late" in f for f in found)


# --- reading ---


def test_a_new_home_answers_with_empty_tables(views: Views) -> None:
    assert rows(views) == []
    with views.read() as read:
        assert read.position == 0
        assert read.one(select(wares)) is None


def test_a_read_waits_for_the_position_that_it_was_promised(views: Views) -> None:
    fold(views, lambda tx: None)

    def later() -> None:
        time.sleep(0.1)
        fold(views, lambda tx: tx.insert(wares, [ware()]))
        views.notify()

    thread = threading.Thread(target=later)
    thread.start()
    with views.read(min_position=2, timeout=5) as read:
        assert read.position == 2
        assert read.value(select(wares.c.ware)) == "a"
    thread.join()


def test_a_read_that_waits_too_long_says_who_lags_and_where(views: Views) -> None:
    views.prepare(stock)
    with (
        pytest.raises(Unavailable, match="projection stock is at position 0, not yet 7"),
        views.read(min_position=7, timeout=0.05),
    ):
        pass


def test_a_stopped_projection_holds_up_only_those_who_read_it(views: Views) -> None:
    other = Table("other_wares", metadata, Column("ware", Text, primary_key=True), extend_existing=True)
    projections.pop("other", None)
    second = Projection("other", version=1, tables=[other])
    fold(views, lambda tx: tx.insert(wares, [ware()]))
    views.stop(views.prepare(stock), "event 2 is strange")
    fold(views, lambda tx: None, lambda tx: tx.insert(other, [{"ware": "b"}]), projection=second)

    with views.read(min_position=2) as read:
        assert read.value(select(other.c.ware)) == "b"
        with pytest.raises(
            Unavailable, match=r"projection stock is stopped at position 1, before 2: event 2 is strange"
        ):
            read.value(select(wares.c.ware))
    with views.read() as read:
        assert read.value(select(wares.c.ware)) == "a"  # its last rows are still served


def test_readers_in_many_threads_meet_only_whole_transactions(views: Views) -> None:
    fold(views, lambda tx: tx.insert(wares, [ware(count=0), ware("b", count=0)]))
    stop = threading.Event()
    torn: list[Any] = []

    def look() -> None:
        while not stop.is_set():
            counts = {r[3] for r in rows(views)}
            if len(counts) != 1:
                torn.append(counts)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(50):
        fold(views, lambda tx: tx.add(wares, [ware(count=1), ware("b", count=1)]))
    stop.set()
    for t in threads:
        t.join()
    assert torn == []
    assert rows(views)[0][3] == 50


def test_tables_that_were_changed_without_a_new_version_are_refused_with_the_way_out(views: Views) -> None:
    views.prepare(stock)
    more = Table("wares", MetaData(), *(c._copy() for c in wares.columns), Column("colour", Text))
    changed = copy(stock)
    changed.tables = (more,)
    projections["stock"] = changed

    with pytest.raises(Misconfigured, match="wares__1_1 of projection stock") as refused:
        views.prepare(changed)

    assert "raise the projection's version" in refused.value.remedy
