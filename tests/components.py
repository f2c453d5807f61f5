"""
Real servers for tests: PostgreSQL, Kafka and S3, started when a test first asks, stopped at the end.

Where a component is missing a test is skipped with what to do about it, and in CI it fails.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest

from infra.local import Kafka, KafkaTrio, Minio, Missing, Postgres, Server, VersityGateway

__all__ = [
    "components_folder",
    "kafka_broker",
    "kafka_server",
    "kafka_trio",
    "kafka_url",
    "postgres_server",
    "postgres_shared",
    "postgres_url",
    "pytest_itemcollected",
    "s3_server",
    "s3_shared",
    "s3_url",
]

S = TypeVar("S", bound=Server | KafkaTrio)
SERVERS = {"kafka_broker", "kafka_server", "kafka_trio", "postgres_server", "postgres_shared", "s3_server", "s3_shared"}
S3 = Minio if os.environ.get("MLIFE_TEST_S3") == "minio" else VersityGateway
"""One S3 server in every run; `make soak` runs the same tests over the other."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Whatever asks for a server is marked `cluster`: `-m "not cluster"` leaves it out."""
    if SERVERS & set(getattr(item, "fixturenames", ())):
        item.add_marker("cluster")


def started(make: Callable[[], S]) -> S:
    """A server that serves."""
    try:
        server = make()
        server.start()
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs every component: {missing}")
        pytest.skip(f"NOT TESTED, a component is missing: {missing}")
    return server


@pytest.fixture(scope="session")
def components_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of this session keep their data; PostgreSQL, which refuses root, may enter it."""
    return tmp_path_factory.mktemp("components")


# --- PostgreSQL ---


@pytest.fixture(scope="session")
def postgres_shared(components_folder: Path) -> Iterator[Postgres]:
    """
    One server for all tests of this process; a power cut would cost its data, a kill would not.

    Not to be stopped by a test: `postgres_server` is for that.
    """
    server = started(lambda: Postgres(components_folder / "postgresql", fsync=False))
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_shared: Postgres) -> Iterator[str]:
    """
    An empty schema of its own, first on the search path, which is dropped at the end.

    A transaction that the test has left open fails the test then.
    """
    import psycopg

    name = f"t{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_shared.url, autocommit=True) as db:
        db.execute(f"CREATE SCHEMA {name}".encode())
    yield f"{postgres_shared.url}?options=-csearch_path%3D{name}"
    with psycopg.connect(postgres_shared.url, autocommit=True) as db:
        db.execute("SET lock_timeout = '10s'")
        db.execute(f"DROP SCHEMA {name} CASCADE".encode())


@pytest.fixture
def postgres_server(tmp_path: Path) -> Iterator[Postgres]:
    """A durable server of the test's own, to stop, kill and start."""
    server = started(lambda: Postgres(tmp_path / "postgresql"))
    yield server
    server.stop()


# --- Kafka ---


@pytest.fixture(scope="session")
def kafka_broker(components_folder: Path) -> Iterator[Kafka]:
    """One broker for all tests of this process."""
    server = started(lambda: Kafka(components_folder / "kafka"))
    yield server
    server.kill()


@pytest.fixture
def kafka_url(kafka_broker: Kafka) -> str:
    """The shared broker, with a prefix of the test's own for its topics; no topic is made."""
    return f"{kafka_broker.url}?prefix=t{uuid.uuid4().hex[:8]}."


@pytest.fixture
def kafka_server(tmp_path: Path) -> Iterator[Kafka]:
    """A broker of the test's own, to stop, kill and start."""
    server = started(lambda: Kafka(tmp_path / "kafka"))
    yield server
    server.kill()


@pytest.fixture
def kafka_trio(tmp_path: Path) -> Iterator[KafkaTrio]:
    """Three brokers, three copies, two acknowledge."""
    trio = started(lambda: KafkaTrio(tmp_path / "kafka"))
    yield trio
    trio.stop()


# --- S3 ---


@pytest.fixture(scope="session")
def s3_shared(components_folder: Path) -> Iterator[VersityGateway | Minio]:
    """One S3 server for all tests of this process."""
    server = started(lambda: S3(components_folder / "s3"))
    yield server
    server.stop()


@pytest.fixture
def s3_url(s3_shared: VersityGateway | Minio) -> str:
    """An empty bucket of its own."""
    name = f"t{uuid.uuid4().hex[:12]}"
    _make_bucket(s3_shared, name)
    return s3_shared.bucket(name)


@pytest.fixture
def s3_server(tmp_path: Path) -> Iterator[VersityGateway | Minio]:
    """A server of the test's own with an empty bucket, to stop, kill and start."""
    server = started(lambda: S3(tmp_path / "s3"))
    _make_bucket(server, urlsplit(server.url).path.strip("/"))
    yield server
    server.stop()


def _make_bucket(server: VersityGateway | Minio, name: str) -> None:
    from minio import Minio as Client

    told = urlsplit(urlunsplit(urlsplit(server.url)._replace(scheme="http")))
    assert told.username
    assert told.password
    client = Client(f"{told.hostname}:{told.port}", access_key=told.username, secret_key=told.password, secure=False)
    client.make_bucket(name)
