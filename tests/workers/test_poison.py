"""What can't be handled or folded: the same tables and commands as embedded, and workers notice without a restart."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlife import runtime
from mlife.core.command import Given
from mlife.core.events import Event
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.runtime import Home
from tests.toys import POISON, ToyPainted, ToyReported, made, names, only_toys, state
from tests.workers.cluster import Cluster, facts, until
from tests.workers.toy_process import handle_by_files

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@contextmanager
def toy_home(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """The toys' log, opened in this process."""
    monkeypatch.setattr(runtime, "load_features", lambda rooms=(): None)
    with only_toys(), cluster.home() as home:
        handle_by_files(home.settings.home)  # so that this process knows their names
        yield home


def switch(cluster: Cluster, name: str) -> Path:
    """The file by which the toys' processes are told to misbehave."""
    file = cluster.folder / "home" / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    return file


def letters(cluster: Cluster) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cluster.mlife("deadletter", "list", "--json").splitlines()]


def see_broken(given: Given, *, first: int, count: int) -> list[Event]:
    """Every two-thousandth toy is the poison, and the only one that is to be mended."""
    poison = {n for n in range(first, first + count) if n % 2_000 == 5}
    return [
        ToyReported(uid=f"u{n}", toy_id=POISON if n in poison else f"t{n}", fields={"mend": n in poison})
        for n in range(first, first + count)
    ]


def test_a_poison_event_parks_one_key_of_one_handler_and_ten_thousand_others_go_on(
    toys: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = switch(toys, "unpaintable")
    with toy_home(toys, monkeypatch) as home:
        toys.start("relay")
        for role in ("projections", "handlers", "handlers"):
            toys.worker(role)
        for first in range(0, 10_005, 1_000):
            home.do(see_broken, first=first, count=min(1_000, 10_005 - first))
        home.runner.settle(300)

        assert {(x["handler"], x["key"]) for x in letters(toys)} == {("toys.mend", POISON)}
        assert [x["attempts"] for x in letters(toys)] == [3, 0, 0, 0, 0]
        assert facts(home, ToyPainted) == []

        poison.unlink()
        toys.mlife("deadletter", "retry", "toys.mend", POISON)
        until("the key goes on", lambda: not home.book.letters())

        assert [r.event.colour for r in facts(home, ToyPainted)] == [f"u{n}" for n in range(5, 10_005, 2_000)]


def test_a_stopped_projection_serves_its_last_rows_and_goes_on_after_a_skip(
    toys: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch(toys, "unfoldable")
    with toy_home(toys, monkeypatch) as home:
        worker = toys.worker("projections")
        made(home, "bear", POISON, "duck")
        until("it stopped", lambda: state(home)[0] == "stopped")
        assert state(home) == ("stopped", 1)
        assert names(home) == ["bear"]
        assert "can't fold mlife.toy.made.v1 at position 2" in toys.mlife("projection", "status", "--json")

        toys.mlife("projection", "skip", "toys", "2", "--reason", "it was never made")
        until("it goes on", lambda: names(home) == ["bear", "duck"])
        made(home, "cat")
        until("it follows", lambda: names(home) == ["bear", "duck", "cat"])

        (toys.folder / "home" / "unfoldable").unlink()
        assert verify(home.ports, projections["toys"]) == []
        assert "Traceback" not in worker.said()


def test_a_worker_follows_a_rebuild_and_a_rollback(toys: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with toy_home(toys, monkeypatch) as home:
        worker = toys.worker("projections")
        made(home, "bear", "duck")
        until("it follows", lambda: names(home) == ["bear", "duck"])
        toys.mlife("projection", "rebuild", "toys")
        made(home, "cat")
        until("it follows the new tables", lambda: names(home) == ["bear", "duck", "cat"])
        toys.mlife("projection", "rollback", "toys")
        made(home, "dog")
        until("it follows the old ones", lambda: names(home) == ["bear", "duck", "cat", "dog"])

        assert verify(home.ports, projections["toys"]) == []
        assert "Traceback" not in worker.said()


def test_a_retry_is_noticed_by_workers_that_have_nothing_else_to_do(
    toys: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = switch(toys, "unpaintable")
    with toy_home(toys, monkeypatch) as home:
        for role in ("projections", "handlers"):
            toys.worker(role)
        made(home, POISON)
        until("it is parked", lambda: bool(home.book.letters()))
        poison.unlink()
        toys.mlife("deadletter", "retry", "toys.paint", home.book.letters()[0].key)

        assert until("it is painted", lambda: len(facts(home, ToyPainted)) == 1) < 5
