"""The query tables on PostgreSQL: servers that go and come, readers in the way, and what SQLite does not mind."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from copy import copy
from typing import Any

import psycopg
import pytest
from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, func, inspect, select

from mlife.adapters import views_postgres
from mlife.adapters.postgres import Postgres
from mlife.adapters.views_postgres import PostgresViews
from mlife.core.errors import Conflict, Misconfigured, Unavailable
from mlife.core.projection import Projection, Tx, projections
from mlife.core.tables import TextIndex, metadata
from tests.components import Postgres as Server
from tests.contract import folding
from tests.toys import only_toys

crates = Table(
    "crates",
    metadata,
    Column("crate", Text, primary_key=True),
    Column("label", Text),
    Column("weight", BigInteger),
    Column("place", Integer, nullable=False),
    Index("crates_by_label", "label", "weight"),
    Index("crates_by_place", "place", "crate"),
)
labels = TextIndex("crate_labels")
depot = Projection("depot", version=1, tables=[crates], texts=[labels])
projections.pop("depot")


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with only_toys():
        projections.clear()
        projections["depot"] = depot
        yield


@pytest.fixture
def views(postgres_url: str) -> Iterator[PostgresViews]:
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresViews(postgres)) as opened:
        yield opened


@pytest.fixture
def db(postgres_url: str, views: PostgresViews) -> Iterator[psycopg.Connection]:
    """The database, as somebody with another program has it."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def fold(views: PostgresViews, *changes: Callable[[Tx], None]) -> None:
    folding.fold(views, *changes, projection=depot)


def put(views: PostgresViews, *rows: dict[str, Any]) -> None:
    fold(views, lambda tx: tx.upsert(crates, [{"crate": "a", "place": 1, **row} for row in rows]))


def count(views: PostgresViews) -> int:
    with views.read() as read:
        return int(read.value(select(func.count()).select_from(crates)))


def generations(views: PostgresViews) -> set[str]:
    with views._reading() as c:
        return {name for name in inspect(c).get_table_names() if name.startswith("crates__")}


# --- servers that go and come ---


def test_a_server_that_was_away_is_back_without_anybody_opening_anything_anew(postgres_server: Server) -> None:
    with closing(Postgres(postgres_server.url)) as postgres, closing(PostgresViews(postgres)) as views:
        put(views, {"crate": "a"})
        with views.read(), views.read():  # several connections in the pool
            pass
        postgres_server.stop()
        for ask in (lambda: count(views), lambda: put(views, {"crate": "lost"}), views.standings):
            with pytest.raises(Unavailable, match="can't be used now"):
                ask()
        postgres_server.start()

        assert count(views) == 1
        put(views, {"crate": "b"})
        assert count(views) == 2


def test_a_server_that_is_killed_under_readers_and_writers_loses_no_more_than_its_checkpoint(
    postgres_server: Server,
) -> None:
    with closing(Postgres(postgres_server.url)) as postgres, closing(PostgresViews(postgres)) as views:
        put(views, {"crate": "a"})
        with views.read() as read:
            postgres_server.kill()
            with pytest.raises(Unavailable):
                read.value(select(crates.c.crate))
        with pytest.raises(Unavailable):
            count(views)
        postgres_server.start()

        # the last commits may be lost (synchronous_commit is off), and then the checkpoint says so
        assert count(views) == views.prepare(depot).position
        with pytest.raises(Unavailable):
            fold(views, lambda tx: (tx.insert(crates, [{"crate": "c", "place": 1}]), postgres_server.kill())[0])
        postgres_server.start()
        assert count(views) == views.prepare(depot).position


def test_when_all_connections_are_in_use_a_reader_is_told_so(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_postgres, "READERS", (1, 1))
    monkeypatch.setattr(views_postgres, "PATIENCE", 0.05)
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresViews(postgres)) as views:
        count(views)
        with views.read(), views.read(), pytest.raises(Unavailable, match=r"all connections to .* are in use"):
            count(views)
        assert count(views) == 0


def test_who_stands_still_in_a_transaction_is_waited_for_but_not_for_ever(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(views_postgres.LIMITS, "lock_timeout", "100ms")
    monkeypatch.setitem(views_postgres.LIMITS, "idle_in_transaction_session_timeout", "500ms")
    with closing(Postgres(postgres_url)) as postgres, closing(PostgresViews(postgres)) as views:
        put(views, {"crate": "a"})

        def stand_still() -> None:
            """As a program that was stopped, and goes on later."""
            with views._writing() as still:
                still.exec_driver_sql("UPDATE checkpoints SET error = 'not yet'")
                with pytest.raises(Unavailable, match="lock timeout"):
                    put(views, {"crate": "b"})
                time.sleep(0.6)
                put(views, {"crate": "b"})
                still.exec_driver_sql("UPDATE checkpoints SET error = 'too late'")

        with pytest.raises(Unavailable):
            stand_still()
        assert count(views) == 2
        assert [s.error for s in views.standings()] == [""]


# --- generations that somebody still reads ---


def test_a_reader_keeps_its_tables_however_often_they_are_replaced_meanwhile(views: PostgresViews) -> None:
    put(views, {"crate": "old"})
    with views.read() as read:  # it has not looked at a table yet
        for _ in range(3):
            views.flip(views.new_generation(depot))
        assert read.value(select(crates.c.crate)) == "old"
        assert "crates__1_1" in generations(views)
        assert [(s.generation, s.state) for s in views.standings()] == [(3, "old"), (4, "live")]

    views._sweep_at = 0.0  # a minute has passed
    put(views, {"crate": "new"})
    assert generations(views) == {"crates__1_3", "crates__1_4"}


def test_who_looks_at_old_tables_with_another_program_holds_up_neither_flip_nor_readers(
    views: PostgresViews, db: psycopg.Connection
) -> None:
    put(views, {"crate": "old"})
    with db.transaction():
        db.execute("SELECT * FROM crates__1_1")
        began = time.monotonic()
        for _ in range(3):
            views.flip(views.new_generation(depot))
            assert count(views) == 0
        assert time.monotonic() - began < 2
        assert "crates__1_1" in generations(views)
    views.flip(views.new_generation(depot))

    assert "crates__1_1" not in generations(views)


def test_a_comparison_outlives_the_generations_that_it_compares(views: PostgresViews) -> None:
    put(views, {"crate": "only here"})
    live, scratch = views.prepare(depot), views.new_generation(depot)
    with views.comparing(depot, live, scratch) as differences:
        views.discard(scratch)
        for _ in range(3):
            views.flip(views.new_generation(depot))
        assert [d.split(": ")[0] for d in differences()] == ["crates"]


def test_tables_that_are_gone_are_refused_and_made_again_as_the_remedy_says(
    views: PostgresViews, db: psycopg.Connection
) -> None:
    put(views, {"crate": "a"})
    db.execute("DROP TABLE crates__1_1")
    with pytest.raises(Misconfigured, match="crates__1_1 of projection depot") as refused:
        views.prepare(depot)
    _, _, remedy = refused.value.remedy.partition("DELETE FROM ")
    db.execute(f"DELETE FROM {remedy.partition(':')[0]}".encode())

    assert count(views) == 0
    put(views, {"crate": "a"})
    assert count(views) == 1


# --- what SQLite does not mind ---


def test_text_that_is_too_long_for_an_index_is_cut_and_stays_itself(views: PostgresViews) -> None:
    long = ["".join(chr(0x4E00 + (7 * n + m) % 9_000) for n in range(3_000)) for m in range(2)]
    rows = [{"crate": text, "label": text, "place": n} for n, text in enumerate(long)]
    fold(
        views,
        lambda tx: tx.insert(crates, [{**rows[0], "crate": f"c{n}"} for n in range(150)]),
        lambda tx: tx.insert_missing(crates, rows),
        lambda tx: tx.insert_missing(crates, rows),
        lambda tx: tx.add(crates, [{"crate": long[0], "weight": 2, "place": 1}]),
    )
    with views.read() as read:
        found = read.all(select(crates).where(crates.c.crate.not_like("c%")).order_by(crates.c.place))

    assert count(views) == 152
    assert [(row.crate[:100], len(row.crate), row.weight, row.place) for row in found] == [
        (long[0][:100], 200, 2, 1),
        (long[1][:100], 200, None, 1),
    ]


def test_a_fold_that_fails_with_rows_on_their_way_tells_its_own_error_and_leaves_nothing(views: PostgresViews) -> None:
    def bad(tx: Tx) -> None:
        tx.add(crates, [{"crate": "a", "place": 1}])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fold(views, bad)
    with pytest.raises(psycopg.errors.NotNullViolation):
        fold(views, lambda tx: (tx.upsert(crates, [{"crate": "a"}]), tx.add(crates, [{"crate": "b", "place": 1}]))[0])
    assert count(views) == 0
    put(views, {"crate": "a"})
    assert count(views) == 1


@pytest.mark.parametrize(
    ("order", "index"),
    [
        ([crates.c.label, crates.c.weight], "crates_by_label"),
        ([crates.c.label.desc(), crates.c.weight.desc()], "crates_by_label"),
        ([crates.c.place.desc(), crates.c.crate.desc()], "crates_by_place"),
    ],
)
def test_an_order_is_read_from_the_index_that_is_declared_for_it(
    views: PostgresViews, db: psycopg.Connection, order: list[Any], index: str
) -> None:
    put(views, {"crate": "a"})
    asked = select(crates.c.crate).order_by(*order).limit(3)
    with views.read() as read:
        text = views._rewriter.rewrite(
            str(asked.compile(read._c, compile_kwargs={"literal_binds": True})), read._c.info["names"]
        )
    db.execute("SET enable_seqscan = off; SET enable_sort = off")
    plan = "\n".join(line for (line,) in db.execute(f"EXPLAIN (COSTS OFF) {text}".encode()))

    assert f"using {index}__1_1" in plan
    assert "Sort" not in plan


def test_of_two_programs_that_fold_at_once_one_is_fenced_off_and_neither_waits_for_ever(
    views: PostgresViews, postgres_url: str
) -> None:
    rows = [{"crate": f"crate {n}", "place": n, "weight": 1} for n in range(300)]
    fenced: list[Conflict] = []

    def work(mine: PostgresViews, turned: list[dict[str, Any]]) -> None:
        own = copy(depot)  # as another program has it
        for _ in range(15):
            try:
                folding.fold(mine, lambda tx: tx.add(crates, turned), projection=own)
            except Conflict as fault:
                fenced.append(fault)

    with (
        closing(Postgres(postgres_url)) as postgres,
        closing(PostgresViews(postgres)) as other,
        ThreadPoolExecutor() as both,
    ):
        for done in [both.submit(work, views, rows), both.submit(work, other, rows[::-1])]:
            done.result(timeout=60)
    folded = views.prepare(depot).position

    with views.read() as read:
        assert {row[0] for row in read.all(select(crates.c.weight))} == {folded}
    assert folded == 30 - len(fenced)
