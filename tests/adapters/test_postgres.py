"""PostgreSQL as the adapters have it: who gets in, connections that die, tables made once, and errors in words."""

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from infra.local import Certificates
from infra.local import Postgres as Server
from mlife.adapters import postgres as module
from mlife.adapters.postgres import Postgres, translated
from mlife.core.errors import HomeUnusable, Misconfigured, MLifeError, Unavailable
from tests.adapters.wire import Wire
from tests.components import started


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Postgres]:
    with closing(Postgres(postgres_url)) as opened:
        yield opened


def replaced(url: str, *, user: str = "", host: str = "", database: str = "", query: str = "") -> str:
    """*url* with other parts."""
    parts = urlsplit(url)
    who, _, where = parts.netloc.rpartition("@")
    return urlunsplit(
        parts._replace(
            netloc=f"{user or who}@{host or where}",
            path=f"/{database}" if database else parts.path,
            query="&".join(filter(None, (parts.query, query))),
        )
    )


# --- who gets in ---


@pytest.mark.parametrize(
    ("parts", "kind", "sentence"),
    [
        ({"user": "mlife:not-the-hush"}, Misconfigured, "does not let MLife in .*password authentication failed"),
        ({"user": "nobody:not-the-hush"}, Misconfigured, "does not let MLife in"),
        ({"user": "mlife:not-the-%hush"}, Misconfigured, "can't be read as the URL .*a % in it stands for nothing"),
        ({"database": "nowhere"}, Misconfigured, 'names what is not there .*"nowhere"'),
        ({"query": "colour=red"}, Misconfigured, 'can\'t be read as the URL .*"colour"'),
        ({"query": "options=-csearch_path%3Dnowhere"}, Misconfigured, "no schema exists"),
        ({"query": "sslmode=require"}, Misconfigured, "TLS with .* does not support SSL"),
        ({"query": "sslmode=verify-full&sslrootcert=/nowhere/ca.pem"}, Misconfigured, "TLS with .*/nowhere/ca.pem"),
        ({"host": "127.0.0.1:1"}, Unavailable, "can't be used now .*refused"),
        ({"host": "no-such-host.invalid:5432"}, Unavailable, "can't be used now"),
    ],
)
def test_what_is_wrong_with_a_url_is_said_in_one_sentence_without_the_secret(
    parts: dict[str, str], kind: type[MLifeError], sentence: str, postgres_url: str
) -> None:
    secret = urlsplit(postgres_url).password
    assert secret
    with pytest.raises(kind, match=sentence) as said:
        Postgres(replaced(postgres_url, **parts))
    assert said.value.remedy
    assert "\n" not in str(said.value)
    assert secret not in str(said.value)
    assert "hush" not in str(said.value)


def test_an_old_server_is_refused_with_both_versions(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST", 99)
    with pytest.raises(Misconfigured, match=r"is PostgreSQL \d\d: MLife needs 99 or newer"):
        Postgres(postgres_url)


def test_a_database_that_can_not_hold_every_text_is_refused(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("DROP DATABASE IF EXISTS narrow")
        db.execute("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(Misconfigured, match="keeps text as LATIN1"):
        Postgres(replaced(postgres_url, database="narrow").partition("?")[0])


def test_a_user_who_may_not_make_tables_is_told_what_to_grant(postgres_url: str, postgres: Postgres) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as db:
        if db.execute("SELECT FROM pg_roles WHERE rolname = 'guest'").fetchone() is None:
            db.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        db.execute(f"GRANT USAGE ON SCHEMA {postgres.schema} TO guest")
    with (
        closing(Postgres(replaced(postgres_url, user="guest:guest"))) as poor,
        pytest.raises(Misconfigured, match=r"may not do what MLife does .*permission denied.*GRANT"),
    ):
        poor.ensure("toys", 1, "CREATE TABLE toys (name text)")
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("DROP OWNED BY guest")


def test_tls_is_what_the_url_says_and_a_stranger_s_certificate_is_refused(tmp_path: Path) -> None:
    tls, stranger = Certificates(tmp_path / "tls"), Certificates(tmp_path / "stranger")
    server = started(lambda: Server(tmp_path / "postgresql", tls=tls, fsync=False))
    try:
        with closing(Postgres(server.url)) as postgres, postgres.lent() as db:
            assert db.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
        with pytest.raises(Misconfigured, match=r"TLS with .*certificate"):
            Postgres(server.url.replace(str(tls.ca), str(stranger.ca)))
        with pytest.raises(Misconfigured, match="does not let MLife in"):
            Postgres(server.url.partition("?")[0] + "?sslmode=disable")
    finally:
        server.stop()


# --- connections ---


def pid(db: psycopg.Connection) -> int:
    return db.execute("SELECT pg_backend_pid()").fetchone()[0]


def test_a_connection_is_lent_to_one_at_a_time_and_used_again(postgres: Postgres) -> None:
    with postgres.lent() as one, postgres.lent() as other:
        first = {pid(one), pid(other)}
    with postgres.lent() as one, postgres.lent() as other:
        assert {pid(one), pid(other)} == first


def test_one_that_the_server_ended_meanwhile_is_not_lent_again(postgres: Postgres, postgres_url: str) -> None:
    with ExitStack() as lent, psycopg.connect(postgres_url, autocommit=True) as db:
        pids = [pid(lent.enter_context(postgres.lent())) for _ in range(5)]
        lent.close()
        for one in pids:
            db.execute("SELECT pg_terminate_backend(%s, 5000)", (one,))
        with postgres.lent() as fresh:
            assert pid(fresh) not in pids


def test_one_that_is_left_in_a_transaction_is_not_lent_again(postgres: Postgres) -> None:
    with postgres.lent() as db:
        before = pid(db)
        db.execute("BEGIN")
    with postgres.lent() as db:
        assert pid(db) != before


def test_who_can_not_get_one_in_time_is_told(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    in_use = pytest.raises(Unavailable, match=r"all 2 connections to .* are in use")
    with closing(Postgres(postgres_url, size=2)) as small, small.lent(), small.lent(), in_use, small.lent():
        pass
    with pytest.raises(Unavailable, match="the home is closed"), small.lent():
        pass


def test_an_outage_in_the_middle_is_unavailable_and_over_when_it_is_over(postgres_url: str) -> None:
    with closing(Wire(postgres_url)) as wire, closing(Postgres(wire.url)) as postgres:

        def ask() -> None:
            with postgres.lent() as db:
                wire.cut_all()
                db.execute("SELECT 1")

        with pytest.raises(Unavailable, match="can't be used now"):
            ask()
        with postgres.lent() as db:
            assert db.execute("SELECT 1").fetchone() == (1,)


def test_commits_wait_for_the_disk_whatever_the_role_says(postgres_url: str) -> None:
    hasty = f"{postgres_url}%20-csynchronous_commit%3Doff"
    with psycopg.connect(hasty) as db:
        assert db.execute("SHOW synchronous_commit").fetchone() == ("off",)
    with closing(Postgres(hasty)) as postgres, postgres.lent() as db:
        assert db.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_forked_process_is_refused(postgres: Postgres) -> None:
    told: multiprocessing.SimpleQueue[str] = multiprocessing.get_context("fork").SimpleQueue()

    def child() -> None:
        try:
            postgres.connect()
        except Unavailable as e:
            told.put(str(e))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(10)
    assert "before this process was forked" in told.get()


# --- what a schema holds ---


def test_numbers_of_locks_have_63_bits_and_differ_by_schema_and_name(postgres: Postgres) -> None:
    assert postgres.number("log") == postgres.number("log") != postgres.number("relay")
    assert 0 <= postgres.number("log") < 2**63
    before = postgres.number("log")
    postgres.schema = "elsewhere"
    assert postgres.number("log") != before


def test_tables_are_made_once_whoever_comes_first(postgres_url: str) -> None:
    together = threading.Barrier(6)
    faults: list[BaseException] = []

    def make() -> None:
        with closing(Postgres(postgres_url)) as postgres:
            together.wait()
            try:
                postgres.ensure("toys", 1, "CREATE TABLE toys (name text); INSERT INTO toys VALUES ('Bär')")
            except MLifeError as e:
                faults.append(e)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with psycopg.connect(postgres_url) as db:
        assert db.execute("SELECT * FROM toys").fetchall() == [("Bär",)]
    assert faults == []


def test_older_tables_are_led_to_the_program_s_version_and_newer_ones_refused(postgres: Postgres) -> None:
    steps = {2: "ALTER TABLE toys ADD price bigint", 3: "ALTER TABLE toys ADD age bigint"}
    postgres.ensure("toys", 1, "CREATE TABLE toys (name text)")
    with pytest.raises(Misconfigured, match=r"version 1, too old for this program.* version 2"):
        postgres.ensure("toys", 3, "", upgrades={3: steps[3]})
    postgres.ensure("toys", 3, "", upgrades=steps)
    with postgres.lent() as db:
        db.execute("SELECT name, price, age FROM toys")
        assert db.execute("SELECT version FROM mlife_schema WHERE name = 'toys'").fetchone() == (3,)
    with pytest.raises(Misconfigured, match="version 3; this program knows 2: install the newer MLife"):
        postgres.ensure("toys", 2, "", upgrades=steps)


def test_tables_that_can_not_be_made_are_not_half_made(postgres: Postgres) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable):
        postgres.ensure("toys", 1, "CREATE TABLE toys (name text); INSERT INTO games VALUES (1)")
    postgres.ensure("toys", 1, "CREATE TABLE toys (name text)")


# --- errors in words ---


@pytest.mark.parametrize(
    ("state", "kind", "sentence"),
    [
        ("53100", HomeUnusable, "the disk of .* is full: free some space; what was acknowledged is kept"),
        ("58030", HomeUnusable, "can't read or write its files"),
        ("XX001", HomeUnusable, "can't read or write its files"),
        ("25006", HomeUnusable, "is read-only .*name the primary"),
        ("42501", Misconfigured, "may not do what MLife does"),
        ("3D000", Misconfigured, "is not there"),
        ("28P01", Misconfigured, "does not let MLife in"),
        ("53300", Unavailable, "can't be used now"),
        ("55P03", Unavailable, "can't be used now"),
        ("57P03", Unavailable, "can't be used now"),
        ("40P01", Unavailable, "can't be used now"),
        ("08006", Unavailable, "can't be used now"),
    ],
)
def test_what_the_server_is_to_blame_for_is_said_in_one_sentence(
    state: str, kind: type[MLifeError], sentence: str, postgres: Postgres
) -> None:
    said = f"DO $$ BEGIN RAISE EXCEPTION 'password=hush' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(kind, match=sentence) as told, postgres.lent() as db:
        db.execute(said)
    assert "\n" not in str(told.value)
    assert "hush" not in str(told.value)


def test_a_wrong_statement_is_the_program_s_fault_and_passes(postgres: Postgres) -> None:
    for state in ("42P01", "22003", "23505", "08P01"):
        said = f"DO $$ BEGIN RAISE EXCEPTION 'wrong' USING ERRCODE = '{state}'; END $$"
        with pytest.raises(psycopg.Error, match="wrong") as told, postgres.lent() as db:
            db.execute(said)
        assert told.value.sqlstate == state
    with pytest.raises(KeyError), translated("somewhere"):
        raise KeyError


def test_a_read_only_server_is_said_as_it_is(postgres_url: str) -> None:
    with (
        closing(Postgres(f"{postgres_url}%20-cdefault_transaction_read_only%3Don")) as postgres,
        pytest.raises(HomeUnusable, match="is read-only"),
    ):
        postgres.ensure("toys", 1, "CREATE TABLE toys (name text)")
