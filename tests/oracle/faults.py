"""
What goes wrong, when, and to whom: a schedule that follows from the seed alone.

Each fault is a function of the world and of `which` in [0, 1), which picks the victim among those that are there. One
that lasts returns what ends it.
"""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.processes import SLOTS, Slot, World

End = Callable[[], None] | None


@dataclass(frozen=True)
class Fault:
    """
    One kind of mishap.

    Args:
        weight: how often, against the others.
        kills: processes that it kills, if they are there.
        lasts: seconds (from, to) until what it returned is called.
        sizes: where it can happen.
    """

    name: str
    do: Callable[[World, float], End]
    weight: int
    kills: int
    lasts: tuple[float, float]
    sizes: frozenset[str]


@dataclass(frozen=True)
class Step:
    """A fault of the schedule: in which second, to whom, for how long."""

    second: float
    fault: str
    which: float
    lasts: float


FAULTS: dict[str, Fault] = {}
EVERYWHERE = frozenset(SLOTS)
ALL = frozenset({"embedded", "postgres", "cluster"})
SERVED = frozenset({"postgres", "cluster"})
CLUSTER = frozenset({"cluster"})


def fault(
    weight: int, *, kills: int = 0, lasts: tuple[float, float] = (0.0, 0.0), sizes: frozenset[str] = ALL
) -> Callable[[Callable[[World, float], End]], Callable[[World, float], End]]:
    """Register a function as a fault, by its name."""

    def declare(do: Callable[[World, float], End]) -> Callable[[World, float], End]:
        FAULTS[do.__name__] = Fault(do.__name__, do, weight, kills, lasts, sizes)
        return do

    return declare


def schedule(seed: str, size: str, kills: int, gap: float) -> list[Step]:
    """
    Faults until at least *kills* kills.

    Args:
        gap: mean seconds between two faults.
    """
    chance = random.Random(f"schedule {seed}")
    possible = [f for f in FAULTS.values() if size in f.sizes]
    steps: list[Step] = []
    second, killed = 0.0, 0
    deck: list[Fault] = []
    while killed < kills:
        if not deck:  # dealt from a deck, so that a short run meets each kind too
            deck = [f for f in possible for _ in range(f.weight)]
            chance.shuffle(deck)
        chosen = deck.pop()
        second += chance.uniform(0.2, 2 * gap - 0.2)
        killed += chosen.kills
        steps.append(
            Step(round(second, 2), chosen.name, round(chance.random(), 4), round(chance.uniform(*chosen.lasts), 2))
        )
    return steps


def _kill_one(world: World, which: float, *kinds: str) -> None:
    if victims := world.living(*kinds):
        world.kill(_pick(victims, which))


def _pick(of: Sequence[Any], which: float) -> Any:
    return of[int(which * len(of))]


# --- processes ---


@fault(6, kills=1, sizes=EVERYWHERE)
def kill_a_writer(world: World, which: float) -> End:
    _kill_one(world, which, "writer")
    return None


@fault(2, kills=2, sizes=EVERYWHERE)
def kill_two_writers(world: World, which: float) -> End:
    _kill_one(world, which, "writer")
    _kill_one(world, which, "writer")
    return None


@fault(6, kills=1, sizes=frozenset({"embedded", "postgres"}))
def kill_a_runner(world: World, which: float) -> End:
    _kill_one(world, which, "runner")
    return None


@fault(5, kills=1, sizes=CLUSTER)
def kill_a_relay(world: World, which: float) -> End:
    _kill_one(world, which, "relay")
    return None


@fault(4, kills=1, sizes=CLUSTER)
def kill_a_projection_worker(world: World, which: float) -> End:
    _kill_one(world, which, "projections")
    return None


@fault(4, kills=1, sizes=CLUSTER)
def kill_a_handler_worker(world: World, which: float) -> End:
    _kill_one(world, which, "handlers")
    return None


@fault(2, kills=1, sizes=CLUSTER)
def kill_the_intake_worker(world: World, which: float) -> End:
    _kill_one(world, which, "intake")
    return None


@fault(1, kills=5)
def kill_all_that_run_the_log(world: World, which: float) -> End:
    """Both relays and all workers at once, or both runners and the writers."""
    for slot in world.living("relay", "projections", "handlers", "intake", "runner")[:5]:
        world.kill(slot)
    return None


@fault(2, lasts=(0.5, 3.0), sizes=EVERYWHERE)
def a_writer_stands_still(world: World, which: float) -> End:
    return _still(world, which, "writer")


@fault(1, lasts=(1.0, 4.0))
def a_runner_or_relay_stands_still(world: World, which: float) -> End:
    return _still(world, which, "runner", "relay")


@fault(1, lasts=(14.0, 18.0), sizes=CLUSTER)
def a_worker_stands_still_longer_than_its_session(world: World, which: float) -> End:
    """Its work is given to another; then it wakes up and believes that nothing has happened."""
    return _still(world, which, "projections", "handlers")


def _still(world: World, which: float, *kinds: str) -> End:
    if not (living := world.living(*kinds)):
        return None
    slot: Slot = _pick(living, which)
    world.pause(slot)
    process = slot.process
    return lambda: world.resume(slot) if slot.process is process else None


@fault(1, lasts=(6.0, 12.0), sizes=CLUSTER)
def another_worker_joins_and_leaves(world: World, which: float) -> End:
    """Two rebalances: partitions are given to a newcomer, and given back in good order."""
    newcomer = Slot(_pick(["projections", "handlers", "intake"], which), 9)
    world.start(newcomer)
    world.tell("joined", who=newcomer.name)

    def leave() -> None:
        if newcomer.lives and newcomer.process:
            newcomer.process.send_signal(signal.SIGTERM)
            world._wait(newcomer.process, newcomer.name)

    return leave


# --- beside the log ---


@fault(2)
def a_projection_is_rebuilt(world: World, which: float) -> End:
    _rebuild(world, which)
    return None


@fault(2, kills=1, lasts=(0.7, 2.5))
def a_rebuild_is_killed(world: World, which: float) -> End:
    return _killing(world, _rebuild(world, which), "rebuild")


@fault(1)
def a_projection_is_rolled_back(world: World, which: float) -> End:
    world.errand(_errand(world, "rollback"), ["mlife", "projection", "rollback", _projection(which)])
    return None


def _rebuild(world: World, which: float) -> "subprocess.Popen[bytes]":
    return world.errand(_errand(world, "rebuild"), ["mlife", "projection", "rebuild", _projection(which)])


def _projection(which: float) -> str:
    return str(_pick(["oracle_purses", "oracle_coins", "badcases"], which))


def _errand(world: World, what: str) -> str:
    name = f"{what}-{len(world.errands)}"
    world.tell("errand", who=name)
    return name


def _killing(world: World, process: "subprocess.Popen[bytes]", what: str) -> End:
    def end() -> None:
        if process.poll() is None:
            process.kill()
            process.wait()
            world.count_kill(what)

    return end


@fault(3, kills=1, lasts=(0.8, 2.5))
def somebody_holds_the_writers_lock_and_is_killed(world: World, which: float) -> End:
    holder = world.errand(_errand(world, "holder"), ["tests.oracle.parts", "holder", str(world.folder), "holder", "0"])
    return _killing(world, holder, "holder")


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
        subprocess.run(["kill", "-9", str(_pick(pids, which)[0])], check=False, capture_output=True)
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
    _do(world, QUICK.format(**_table(world)))
    _do(world, SLOW.format(**_table(world)))


ASLEEP = "wait_event = 'PgSleep' AND query NOT ILIKE 'rollback%'"


@fault(3, kills=1, sizes=SERVED)
def a_writer_is_killed_in_a_slow_commit(world: World, which: float) -> End:
    _when_one_commits(world)
    _kill_one(world, which, "writer")
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
    """Change something on the server, unless it is down just now."""
    import psycopg

    try:
        with psycopg.connect(world.postgres.url, autocommit=True, connect_timeout=5) as db:
            db.execute("SET lock_timeout = '5s'")
            db.execute(statement.encode())
    except (psycopg.OperationalError, psycopg.errors.DuplicateObject) as e:
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
