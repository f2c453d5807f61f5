"""Clusters of a test's own on shared servers."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():  # it reads its own files in a way that Python 3.11 alone calls deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka  # noqa: F401 - imported here once, so that no test meets the warning

from infra.local import Kafka
from tests.workers.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path, postgres_url: str, kafka_url: str) -> Iterator[Cluster]:
    """A log on shared servers; nothing works on it yet."""
    made = Cluster(tmp_path, postgres_url, kafka_url)
    yield made
    made.close()


@pytest.fixture
def breakable(tmp_path: Path, postgres_url: str, kafka_server: Kafka) -> Iterator[Cluster]:
    """The same, with a broker of its own: `kafka_server`."""
    made = Cluster(tmp_path, postgres_url, kafka_server.url)
    yield made
    made.close()


@pytest.fixture
def toys(tmp_path: Path, postgres_url: str, kafka_url: str) -> Iterator[Cluster]:
    """The same, whose processes know toys only (`tests.workers.toy_process`)."""
    made = Cluster(tmp_path, postgres_url, kafka_url, "tests.workers.toy_process")
    yield made
    made.close()
