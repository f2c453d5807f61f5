"""
Writer, relay and worker, with a fault between any two steps: Hypothesis draws the story, the verdict judges its end.

A failure prints the story as a program, and how to tell it again (`@reproduce_failure`, or `--hypothesis-seed`).
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from infra.local import Postgres
from mlife.core import relay as relaying
from tests.oracle.cutting import Cut, Cuttable, scissors
from tests.oracle.small_cluster import NAMES, PURSES, SmallCluster, only_purses

WRITERS = st.sampled_from(["writer-0", "writer-1"])
WORKERS = st.sampled_from(["worker-0", "worker-1"])
PROCESSES = st.sampled_from(["writer-0", "writer-1", "relay-0", "relay-1", "worker-0", "worker-1", "reader"])
FATES = st.lists(st.integers(0, 2), max_size=4)
SHORT = st.none() | st.tuples(st.integers(1, 10), st.integers(0, 5))
LONG = st.none() | st.tuples(st.integers(1, 40), st.integers(0, 5))
"""See `Cut`."""
STORIES = 25
STEPS = 40


@pytest.fixture
def cuttable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every connection of this process may be cut; relays send a few events at a time."""
    with only_purses():
        monkeypatch.setattr(psycopg, "connect", Cuttable.connect)
        monkeypatch.setattr(relaying, "RUN", 4)
        yield


class Story(RuleBasedStateMachine):
    """One story on an empty schema of `server`; `folder` is for its journals."""

    server: Postgres
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.schema = f"o{uuid.uuid4().hex[:12]}"
        self._do(f"CREATE SCHEMA {self.schema}")
        url = f"{self.server.url}?options=-csearch_path%3D{self.schema}"
        self.cluster = SmallCluster(url, self.folder / self.schema)
        self.cluster.home("worker-0")

    def _do(self, statement: str) -> None:
        with psycopg.Connection.connect(self.server.url, autocommit=True) as db:
            db.execute(statement.encode())

    @rule(who=WRITERS, purse=st.sampled_from(PURSES), amount=st.integers(-5, 9), cut=SHORT)
    def pay(self, who: str, purse: str, amount: int, cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.pay(who, purse, amount)

    @rule(who=WRITERS, amount=st.integers(1, 5), cut=SHORT)
    def move(self, who: str, amount: int, cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.move(who, amount)

    @rule(who=WRITERS, many=st.integers(1, 6), cut=SHORT)
    def sight(self, who: str, many: int, cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.sight(who, many)

    @rule(who=WRITERS, back=st.integers(0, 9), cut=SHORT)
    def send_again(self, who: str, back: int, cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.send_again(who, back)

    @rule(number=st.integers(0, 1), fate=FATES, cut=SHORT)
    def relay(self, number: int, fate: list[int], cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.relay(number, fate)

    @rule(number=st.integers(0, 1), fate=FATES, cut=SHORT)
    def overtake(self, number: int, fate: list[int], cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.relay(number, fate, overtaken=True)

    @rule()
    def deliver_late(self) -> None:
        self.cluster.broker.deliver_late()

    @rule(who=WORKERS, many=st.integers(0, 4), jump=st.integers(-2, 2), cut=LONG)
    def work(self, who: str, many: int, jump: int, cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.deliver(who, many, jump=jump)
            self.cluster.work(who)

    @rule(who=WORKERS, names=st.sets(st.sampled_from(NAMES)))
    def assign(self, who: str, names: set[str]) -> None:
        self.cluster.assign(who, sorted(names))

    @rule(cut=SHORT)
    def look(self, cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.look()

    @rule(name=st.sampled_from(NAMES[:2]), cut=LONG)
    def rebuild(self, name: str, cut: Cut) -> None:
        with scissors.cutting(cut):
            self.cluster.rebuild(name)

    @rule(who=PROCESSES)
    def die(self, who: str) -> None:
        self.cluster.die(who)

    def teardown(self) -> None:
        try:
            self.cluster.settle()
            assert self.cluster.findings() == []
        finally:
            self.cluster.close()
            self._do(f"DROP SCHEMA {self.schema} CASCADE")


@pytest.mark.slow
def test_whatever_fails_between_two_steps_nothing_is_lost_doubled_or_out_of_order(
    postgres_shared: Postgres, cuttable: None, tmp_path: Path
) -> None:
    Story.server, Story.folder = postgres_shared, tmp_path
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=STEPS,
            deadline=None,
            print_blob=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert scissors.cuts > STORIES  # faults did happen
