"""
The oracle's short form: real processes on real components, killed by a schedule, judged event by event.

A run that finds something prints its seed and how to repeat it, and keeps its journals; `make soak` is the long form.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local import Kafka, Postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("oracle")]  # one run at a time
ROOT = Path(__file__).parents[2]


def run(size: str, *, kills: int, gap: float, seed: str = "", timeout: float = 900.0) -> dict[str, Any]:
    """What a run of the oracle found, and how much it looked at."""
    words = ["--size", size, "--kills", str(kills), "--gap", str(gap), *(["--seed", seed] if seed else [])]
    done = subprocess.run(
        [sys.executable, "-m", "tests.oracle", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.stdout, f"{words}: {done.stderr[-4000:]}"
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def nothing_found(result: dict[str, Any]) -> bool:
    """For an assertion whose message is the whole result."""
    return result["findings"] == []


def test_on_one_machine_kills_lose_nothing_double_nothing_and_turn_nothing_around() -> None:
    result = run("embedded", kills=12, gap=1.2)

    assert nothing_found(result), json.dumps(result, indent=1)
    assert result["kills"] >= 12
    assert result["figures"]["events"] > 1_000


def test_in_a_cluster_thirty_kills_of_everything_lose_nothing_double_nothing_and_turn_nothing_around(
    postgres_shared: Postgres, kafka_broker: Kafka
) -> None:
    """The two servers are only asked for so that the test is skipped, or fails, where they are missing."""
    result = run("cluster", kills=30, gap=1.6)

    assert nothing_found(result), json.dumps(result, indent=1)
    assert result["kills"] >= 30
    assert result["figures"]["events"] > 1_000
    assert result["figures"]["effects"] > 50
    assert result["figures"]["reports through Kafka"] > 50


def test_it_sees_what_a_tailing_reader_misses_of_a_log_without_the_lock(postgres_shared: Postgres) -> None:
    """`eventsourcing` with `POSTGRES_ENABLE_DB_FUNCTIONS=y`; should chance be kind to it, it is tried again."""
    for seed in "12345":
        result = run("library", kills=3, gap=1.2, seed=seed)
        if any(" missed " in sentence for sentence in result["findings"]):
            return
    pytest.fail(f"the oracle sees no loss where there is some, so what it says of ours means nothing: {result}")


def test_the_same_reader_misses_nothing_of_ours(postgres_shared: Postgres) -> None:
    result = run("tailed", kills=3, gap=1.2, seed="1")

    assert nothing_found(result), json.dumps(result, indent=1)
    assert result["figures"]["events"] > 1_000
