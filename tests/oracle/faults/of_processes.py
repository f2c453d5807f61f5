"""Processes are killed, stand still, come and go; projections are rebuilt beside the log, and rebuilds are killed."""

import signal
import subprocess

from tests.oracle.faults.schedule import CLUSTER, EVERYWHERE, End, fault, kill_one, pick
from tests.oracle.processes import Slot, World


@fault(6, kills=1, sizes=EVERYWHERE)
def kill_a_writer(world: World, which: float) -> End:
    kill_one(world, which, "writer")
    return None


@fault(2, kills=2, sizes=EVERYWHERE)
def kill_two_writers(world: World, which: float) -> End:
    kill_one(world, which, "writer")
    kill_one(world, which, "writer")
    return None


@fault(6, kills=1, sizes=frozenset({"embedded", "postgres"}))
def kill_a_runner(world: World, which: float) -> End:
    kill_one(world, which, "runner")
    return None


@fault(5, kills=1, sizes=CLUSTER)
def kill_a_relay(world: World, which: float) -> End:
    kill_one(world, which, "relay")
    return None


@fault(4, kills=1, sizes=CLUSTER)
def kill_a_projection_worker(world: World, which: float) -> End:
    kill_one(world, which, "projections")
    return None


@fault(4, kills=1, sizes=CLUSTER)
def kill_a_handler_worker(world: World, which: float) -> End:
    kill_one(world, which, "handlers")
    return None


@fault(2, kills=1, sizes=CLUSTER)
def kill_the_intake_worker(world: World, which: float) -> End:
    kill_one(world, which, "intake")
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
    slot: Slot = pick(living, which)
    world.pause(slot)
    process = slot.process
    return lambda: world.resume(slot) if slot.process is process else None


@fault(1, lasts=(6.0, 12.0), sizes=CLUSTER)
def another_worker_joins_and_leaves(world: World, which: float) -> End:
    """Two rebalances: partitions are given to a newcomer, and given back in good order."""
    newcomer = Slot(pick(["projections", "handlers", "intake"], which), 9, turn=world.newcomers)
    world.newcomers += 1
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
    return str(pick(["oracle_purses", "oracle_coins", "badcases"], which))


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
