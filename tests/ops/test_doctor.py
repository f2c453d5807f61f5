"""`mlife doctor` says of each part in one sentence what is wrong and what to do, above all when something is away."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from infra.local import Kafka, Postgres
from mlife.core.errors import Unavailable
from mlife.core.health import Check, Finding, examine
from mlife.core.health.clocks import clock_finding
from mlife.runtime import Home
from tests.conftest import drain
from tests.ops.conftest import findings, mlife, take

NOW = datetime(2026, 1, 1, tzinfo=UTC)


# --- how it looks ---


def test_a_check_that_never_ends_and_one_that_fails_hide_no_other() -> None:
    never = threading.Event()

    def stuck() -> Iterator[Finding]:
        yield Finding("a", "ok", "this far")
        never.wait()

    def away() -> Iterable[Finding]:
        raise Unavailable("b is away: postgresql://u:hush@h/x", remedy="start it")

    def broken() -> Iterable[Finding]:
        raise KeyError("k")

    began = time.monotonic()
    found = list(examine([Check("a", stuck, 0.3), Check("b", away), Check("c", broken),
                          Check("d", lambda: [Finding("d", "ok", "fine")])]))  # fmt: skip
    never.set()

    assert time.monotonic() - began < 2
    assert [(f.what, f.state) for f in found] == [
        ("a", "ok"),
        ("a", "wrong"),
        ("b", "wrong"),
        ("c", "wrong"),
        ("d", "ok"),
    ]
    assert found[1].found == "no answer within 0.3 s"
    assert (found[2].found, found[2].do) == ("b is away: postgresql://u:***@h/x", "start it")
    assert "KeyError" in found[3].found


@pytest.mark.parametrize(
    ("off", "state"), [(0.0, "ok"), (1.9, "ok"), (-5.0, "note"), (30.0, "note"), (61.0, "wrong"), (-3_600.0, "wrong")]
)
def test_a_clock_that_is_off_is_noted_and_then_wrong(off: float, state: str) -> None:
    found = clock_finding("database", NOW + timedelta(seconds=off), NOW, NOW)
    assert found.state == state
    if state != "ok":
        assert f"{abs(off):.1f} s {'ahead of' if off > 0 else 'behind'}" in found.found


def test_a_slow_answer_is_not_taken_for_a_clock_that_is_off() -> None:
    assert clock_finding("x", NOW, NOW, NOW + timedelta(seconds=4)).state == "ok"


# --- the embedded size ---


def test_a_home_that_is_well_has_nothing_wrong(home: Home) -> None:
    take(home, 1, 2)
    drain(home)

    found = findings("--home", home.settings.home)

    assert {f["state"] for f in found.values()} <= {"ok", "note"}
    assert found["projection badcases"]["found"] == f"at {home.ports.store.head()}"
    assert found["runner"]["state"] == "note"


def test_what_is_not_sql_or_toml_or_readable_is_one_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("store = \n")
    assert "is no TOML" in findings(MLIFE_CONFIG=str(broken))["configuration"]["found"]
    assert "names nothing that MLife can use" in findings(MLIFE_STORE="mysql://x")["configuration"]["found"]
    other = findings(MLIFE_BUS="kafka://127.0.0.1:1")["configuration"]
    assert "MLIFE_STORE is a file of this machine" in other["found"]
    home = tmp_path / "home"
    home.mkdir()
    (home / "mlife.db").write_bytes(b"no database at all " * 100)
    told = findings("--home", home)
    assert "is damaged" in told["log"]["found"]
    assert told["disk"]["state"] == "ok"


def test_a_webhook_that_will_never_be_called_is_wrong_before_an_alarm_needs_it(tmp_path: Path) -> None:
    secret = "whsec_" + "MDEy" * 8
    at = {"MLIFE_HOME": str(tmp_path / "home"), "MLIFE_WEBHOOK_SECRET": secret}
    closed = findings(MLIFE_WEBHOOK="http://127.0.0.1:9/hook", **at)["webhook"]
    assert (closed["state"], "write private+ before its URL" in closed["found"]) == ("wrong", True)
    assert findings(MLIFE_WEBHOOK="private+http://127.0.0.1:9/hook", **at)["webhook"]["state"] == "ok"


def test_keys_that_others_can_read_are_wrong_until_they_are_fixed(home: Home) -> None:
    take(home, 1, reporter="Ada")
    keys = home.settings.home / "keys.db"
    keys.chmod(0o644)

    assert findings("--home", home.settings.home)["keys"]["state"] == "wrong"
    assert findings("--fix", "--home", home.settings.home)["keys"]["state"] == "ok"
    assert keys.stat().st_mode & 0o777 == 0o600
    assert "keys" not in findings("--home", home.settings.home)


def test_a_stopped_projection_is_named_with_the_command_that_skips_the_event(home: Home) -> None:
    take(home, 1)
    drain(home)
    (standing,) = [s for s in home.ports.views.standings() if s.name == "data"]
    home.ports.views.stop(standing, "projection data can't fold x at position 7")

    told = findings("--home", home.settings.home)["projection data"]

    assert (told["state"], told["found"]) == ("wrong", "projection data can't fold x at position 7")
    assert f"`mlife projection skip data {standing.position + 1} --reason …`" in told["do"]


# --- PostgreSQL ---


def with_(url: str, **changes: str | int | None) -> str:
    """*url* with another part."""
    parts = urlsplit(url)
    told = {"username": parts.username, "password": parts.password, "port": parts.port, "path": parts.path, **changes}
    return urlunsplit(
        parts._replace(netloc=f"{told['username']}:{told['password']}@127.0.0.1:{told['port']}", path=str(told["path"]))
    )


def test_a_database_that_is_well(postgres_url: str, tmp_path: Path) -> None:
    found = findings("--home", tmp_path, MLIFE_STORE=postgres_url)

    assert {f["state"] for f in found.values()} <= {"ok", "note"}
    assert "PostgreSQL 18" in found["database"]["found"]
    assert found["database clock"]["state"] == "ok"
    assert found["database durability"]["state"] == "note"  # tests' servers do not wait for the disk
    assert found["log"]["found"].endswith("0 events")


@pytest.mark.parametrize(
    ("change", "said", "do"),
    [
        ({"password": "hush-99"}, "password authentication failed", "correct user and password"),
        ({"username": "nobody"}, "authentication failed", "correct user and password"),
        ({"path": "/nowhere"}, "does not exist", "create it, or correct the URL"),
        ({"port": 1}, "Connection refused", "start it, or correct host and port in MLIFE_STORE"),
    ],
)
def test_a_database_that_can_not_be_used_is_told_and_the_rest_is_looked_at(
    postgres_url: str, tmp_path: Path, change: dict[str, str | int], said: str, do: str
) -> None:
    found = findings("--home", tmp_path, MLIFE_STORE=with_(postgres_url, **change))

    assert found["database"]["state"] == "wrong"
    assert said in found["database"]["found"]
    assert do in found["database"]["do"]
    assert found["disk"]["state"] == "ok"
    assert "not looked at" in found["log"]["found"]


def test_a_server_that_is_no_postgresql_or_never_answers_is_given_up(tmp_path: Path) -> None:
    with silent_server() as port:
        began = time.monotonic()
        found = findings("--home", tmp_path, MLIFE_STORE=f"postgresql://u:hush@127.0.0.1:{port}/x")
        assert time.monotonic() - began < 12
    assert found["database"]["state"] == "wrong"
    assert "hush" not in json.dumps(found)


@contextmanager
def silent_server() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_schema_of_a_newer_program_is_not_touched(postgres_url: str, tmp_path: Path) -> None:
    findings("--home", tmp_path, MLIFE_STORE=postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("UPDATE mlife_schema SET version = 99 WHERE name = 'log'")

    told = findings("--home", tmp_path, MLIFE_STORE=postgres_url)["log"]
    assert told["state"] == "wrong"
    assert "version 99; this program knows 1" in told["found"]
    assert "install the newer MLife" in told["do"]


def test_a_read_only_database_and_one_without_rights_are_wrong(postgres_url: str, tmp_path: Path) -> None:
    found = findings("--home", tmp_path, MLIFE_STORE=f"{postgres_url}%20-cdefault_transaction_read_only%3Don")
    assert found["database writes"]["state"] == "wrong"
    with psycopg.connect(postgres_url, autocommit=True) as db:
        name = db.execute("SELECT current_schema()").fetchone()[0]  # type: ignore[index]
        role = f"r_{name}"
        db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA {name} TO {role}".encode())
        try:
            found = findings("--home", tmp_path, MLIFE_STORE=with_(postgres_url, username=role, password="pw"))
        finally:
            db.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    assert "may not make tables" in found["database rights"]["found"]


def test_a_database_without_room_for_clients_is_told(tmp_path: Path, components_folder: Path) -> None:
    from tests.components import started

    server = started(
        lambda: Postgres(tmp_path / "crowded", fsync=False, settings={"max_connections": "6",
                                                                      "superuser_reserved_connections": "0"})
    )  # fmt: skip
    with server:
        crowd = [psycopg.connect(server.url) for _ in range(5)]
        found = findings("--home", tmp_path, MLIFE_STORE=server.url)
        assert "of 6 connections are in use" in json.dumps(found)
        for db in crowd:
            db.close()


# --- Kafka ---


def cluster(postgres_url: str, kafka_url: str) -> dict[str, str]:
    return {"MLIFE_STORE": postgres_url, "MLIFE_BUS": kafka_url}


def test_missing_topics_are_named_and_made_on_request(postgres_url: str, kafka_url: str, tmp_path: Path) -> None:
    chosen = cluster(postgres_url, kafka_url)
    prefix = kafka_url.partition("prefix=")[2]

    found = findings("--home", tmp_path, **chosen)
    assert found[f"topic {prefix}mlife.badcases"]["found"] == "is missing"
    assert found["kafka"]["state"] == "ok"
    assert found["relay process"]["do"] == "start `mlife relay`"
    assert found["workers projections"]["do"] == "start `mlife worker projections`"

    fixed = findings("--fix", "--home", tmp_path, **chosen)
    assert "mlife.badcases" in fixed["topics"]["found"]
    assert fixed[f"topic {prefix}mlife.badcases"]["state"] == "ok"
    assert "topics" not in findings("--fix", "--home", tmp_path, **chosen)


def test_too_few_partitions_are_wrong(postgres_url: str, kafka_url: str, tmp_path: Path) -> None:
    findings("--fix", "--home", tmp_path, **cluster(postgres_url, f"{kafka_url}&partitions=2"))

    found = findings("--home", tmp_path, **cluster(postgres_url, f"{kafka_url}&partitions=4"))

    topic = f"topic {kafka_url.partition('prefix=')[2]}mlife.data"
    assert found[topic]["state"] == "wrong"
    assert "has 2 partitions, and MLIFE_BUS says 4" in found[topic]["found"]


def test_more_copies_than_brokers_are_told(postgres_url: str, kafka_url: str, tmp_path: Path) -> None:
    found = findings("--fix", "--home", tmp_path, **cluster(postgres_url, f"{kafka_url}&replication=3"))

    assert found["kafka"]["state"] == "wrong"
    assert "start more brokers" in found["kafka"]["do"]


def test_kafka_that_is_away_is_told_within_seconds_and_the_rest_is_looked_at(postgres_url: str, tmp_path: Path) -> None:
    with silent_server() as port:
        began = time.monotonic()
        stuck = findings("--home", tmp_path, **cluster(postgres_url, f"kafka://127.0.0.1:{port}"))
        assert time.monotonic() - began < 30
    away = findings("--home", tmp_path, **cluster(postgres_url, "kafka://127.0.0.1:1"))

    assert stuck["kafka"]["state"] == "wrong"
    assert "Connection refused" in away["kafka"]["found"]
    assert "correct host and port in MLIFE_BUS" in away["kafka"]["do"]
    assert away["database"]["state"] == stuck["database"]["state"] == "ok"
    assert away["log"]["state"] == "ok"


# --- S3 ---


def test_a_missing_bucket_is_named_and_made_on_request(s3_url: str, tmp_path: Path) -> None:
    other = f"{s3_url}-more"

    missing = findings("--home", tmp_path, MLIFE_FILES=other)
    assert missing["files bucket"]["found"].startswith("there is no bucket")
    assert missing["log"]["state"] == "ok"

    fixed = findings("--fix", "--home", tmp_path, MLIFE_FILES=other)
    assert fixed["files bucket"]["found"].startswith("made now")
    assert fixed["files writes"]["state"] == fixed["files clock"]["state"] == fixed["log"]["state"] == "ok"
    assert "files bucket" not in findings("--fix", "--home", tmp_path, MLIFE_FILES=other)


def test_files_that_can_not_be_reached_or_refuse_the_key_are_told(s3_url: str, tmp_path: Path) -> None:
    refused = findings("--home", tmp_path, MLIFE_FILES=re.sub(r":[^:/]+@", ":hush-99@", s3_url))
    away = findings("--home", tmp_path, MLIFE_FILES=re.sub(r":\d+/", ":1/", s3_url))
    with silent_server() as port:
        stuck = findings("--home", tmp_path, MLIFE_FILES=re.sub(r":\d+/", f":{port}/", s3_url))

    assert "refuses our key" in json.dumps(refused)
    assert "the connection is refused" in away["files"]["found"]
    assert "start it, or correct MLIFE_FILES" in away["files"]["do"]
    assert stuck["files"]["state"] == "wrong"
    for found in (refused, away, stuck):
        assert found["disk"]["state"] == "ok"
        assert "hush" not in json.dumps(found)


# --- at the start of a process ---


@pytest.mark.parametrize("words", ["up --port 0", "relay", "worker projections", "worker handlers", "badcase list"])
def test_a_process_that_can_not_begin_says_why_in_one_sentence(
    words: str, postgres_url: str, kafka_broker: Kafka, tmp_path: Path
) -> None:
    for store, said in (
        (with_(postgres_url, password="hush-99"), "does not let MLife in"),
        (with_(postgres_url, path="/nowhere"), "does not exist"),
    ):
        ended = mlife(*words.split(), "--home", tmp_path / "home", MLIFE_STORE=store, MLIFE_BUS=kafka_broker.url)
        assert ended.returncode == 1, ended.stdout
        assert said in ended.stderr
        assert "→" in ended.stderr
        assert "Traceback" not in ended.stderr
        assert "hush-99" not in ended.stderr


@pytest.mark.parametrize(
    ("part", "url", "said"),
    [
        ("MLIFE_STORE", "postgresql://u:hush@127.0.0.1:1/x", "Connection refused"),
        ("MLIFE_FILES", "s3+http://k:hush@127.0.0.1:1/bucket", "is away: the connection is refused"),
        ("MLIFE_FILES", "s3+http://k:hush@127.0.0.1:1/b", "names the bucket 'b'"),
        ("MLIFE_BUS", "kafka://h:1?nonsense=1", "has unknown parameters: nonsense"),
    ],
)
def test_a_server_that_is_started_without_a_part_says_which(
    part: str, url: str, said: str, postgres_url: str, kafka_url: str, tmp_path: Path
) -> None:
    chosen = {"MLIFE_STORE": postgres_url, "MLIFE_BUS": kafka_url, part: url}
    words = ("relay",) if part == "MLIFE_BUS" else ("file", "put", __file__)

    ended = mlife(*words, "--home", tmp_path / "home", **chosen)

    assert ended.returncode == 1
    assert said in ended.stderr
    assert "hush" not in ended.stderr
    assert "Traceback" not in ended.stderr
