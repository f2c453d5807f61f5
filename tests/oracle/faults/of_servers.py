"""PostgreSQL, Kafka and the files' server are killed and restarted; sessions end, commits are slow."""

import subprocess
import time
from typing import Any

from tests.oracle.faults.schedule import CLUSTER, EVERYWHERE, SERVED, End, fault, kill_one, pick
from tests.oracle.processes import World

# --- PostgreSQL ---


@fault(2, lasts=(0.3, 2.5), sizes=SERVED)
def postgresql_is_restarted(world: World, which: float) -> End:
    return _stopped(world, "postgres")


@fault(1, kills=1, lasts=(0.0, 1.5), sizes=SERVED)
def postgresql_is_killed(world: World, which: float) -> End:
    """As a crash: it recovers from its write-ahead log."""
    world.postgres.kill()
    world.count_kill("postgresql")
    return _started(world, "postgres")


@fault(1, kills=1, lasts=(0.0, 1.5), sizes=SERVED)
def a_backend_crashes(world: World, which: float) -> End:
    """`kill -9` of one server process: PostgreSQL ends all others and recovers by itself."""
    pids = _asked(world, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
    if pids:
        subprocess.run(["kill", "-9", str(pick(pids, which)[0])], check=False, capture_output=True)
        world.count_kill("a backend")
    return None


SLOW = """
CREATE OR REPLACE FUNCTION oracle_dawdles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(random() * 0.3); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER oracle_dawdles AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.{position} % 20 = 0) EXECUTE FUNCTION oracle_dawdles();
"""
"""Sleeps at the very end of some transactions: all is written, nothing is committed, and others go on meanwhile."""
QUICK = "DROP TRIGGER IF EXISTS oracle_dawdles ON {table}"


def _table(world: World) -> dict[str, str]:
    return (
        {"table": "tailed_events", "position": "notification_id"}
        if world.size == "library"
        else {"table": "events", "position": "position"}
    )


@fault(2, lasts=(2.0, 6.0), sizes=EVERYWHERE - {"embedded"})
def commits_are_slow(world: World, which: float) -> End:
    """And a writer is killed, and another's session is ended, in the middle of one perhaps."""
    _make_slow(world)
    return lambda: _do(world, QUICK.format(**_table(world)))


def _make_slow(world: World) -> None:
    table = _table(world)["table"]
    for _ in range(50):  # the first writer makes it
        if _asked(world, f"SELECT 1 FROM pg_class WHERE relname = '{table}'"):
            break
        time.sleep(0.1)
    _do(world, QUICK.format(**_table(world)))
    _do(world, SLOW.format(**_table(world)))


ASLEEP = "wait_event = 'PgSleep' AND query NOT ILIKE 'rollback%'"


@fault(3, kills=1, sizes=SERVED)
def a_writer_is_killed_in_a_slow_commit(world: World, which: float) -> End:
    _when_one_commits(world)
    kill_one(world, which, "writer")
    _do(world, QUICK.format(**_table(world)))
    return None


@fault(3, sizes=EVERYWHERE - {"embedded", "library"})
def a_commit_is_ended_in_the_middle(world: World, which: float) -> End:
    """Everything was sent, COMMIT too; the server undoes it, and the writer must not believe that it was done."""
    _when_one_commits(world)
    ended = _asked(world, f"{TERMINATE} {ASLEEP}")
    world.tell("commits ended", many=len(ended))
    _do(world, QUICK.format(**_table(world)))
    return None


def _when_one_commits(world: World) -> None:
    """Make commits slow, and wait until one is on its way."""
    _make_slow(world)
    until = time.monotonic() + 1.5
    while time.monotonic() < until and not _asked(world, f"SELECT 1 FROM pg_stat_activity WHERE {ASLEEP}"):
        time.sleep(0.02)


TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "


@fault(2, sizes=SERVED)
def all_sessions_are_ended(world: World, which: float) -> End:
    _asked(world, f"{TERMINATE} backend_type = 'client backend'")
    return None


@fault(2, sizes=SERVED)
def the_listening_sessions_are_ended(world: World, which: float) -> End:
    _asked(world, f"{TERMINATE} query ILIKE 'listen %'")
    return None


@fault(3, sizes=SERVED)
def sessions_that_hold_locks_are_ended(world: World, which: float) -> End:
    """The relay's, a runner's, a writer's in the middle of its batch."""
    _asked(world, f"{TERMINATE} pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)")
    return None


def _do(world: World, statement: str) -> None:
    """Change something on the server, unless it is down just now, or no writer has made its tables yet."""
    import psycopg

    try:
        with psycopg.connect(world.postgres.url, autocommit=True, connect_timeout=5) as db:
            db.execute("SET lock_timeout = '5s'")
            db.execute(statement.encode())
    except (psycopg.OperationalError, psycopg.errors.DuplicateObject, psycopg.errors.UndefinedTable) as e:
        world.tell("not done", why=str(e))


def _asked(world: World, statement: str) -> list[Any]:
    """The rows of a question to the server; none when it is down just now."""
    import psycopg

    try:
        with psycopg.connect(world.postgres.url, autocommit=True, connect_timeout=5) as db:
            return db.execute(statement.encode()).fetchall()
    except psycopg.OperationalError:
        return []


def _stopped(world: World, name: str) -> End:
    from infra.local import Broken

    try:
        getattr(world, name).stop()
        world.tell(f"{name} stopped")
    except Broken:  # clients that knock all the time can keep PostgreSQL from stopping while it recovers
        world.count_kill(f"{name}, which did not stop")
    return _started(world, name)


def _started(world: World, name: str) -> End:
    def start() -> None:
        getattr(world, name).start()
        world.tell(f"{name} started")

    return start


# --- Kafka ---


@fault(2, kills=1, lasts=(0.0, 5.0), sizes=CLUSTER)
def the_broker_is_killed(world: World, which: float) -> End:
    if world.kafka.pid:
        world.kafka.kill()
        world.count_kill("kafka")
    return _started(world, "kafka")


@fault(1, lasts=(0.0, 5.0), sizes=CLUSTER)
def the_broker_is_stopped(world: World, which: float) -> End:
    return _stopped(world, "kafka")


# --- files ---


@fault(1, kills=1, lasts=(0.0, 3.0), sizes=CLUSTER)
def the_files_server_is_killed(world: World, which: float) -> End:
    if world.s3.pid:
        world.s3.kill()
        world.count_kill("s3")
    return _started(world, "s3")
