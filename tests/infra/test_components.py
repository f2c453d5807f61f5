"""The components that tests and benchmarks run on: they serve, survive a kill, and are gone when they should be."""

import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from infra.local import Broken, Certificates, Kafka, KafkaTrio, Minio, Missing, Postgres, Server, VersityGateway
from infra.local.cache import made_once
from infra.local.server import LOOPBACK, Port, listening
from tests.components import started
from tests.processes import ROOT


def test_a_killed_database_comes_back_with_what_it_had(postgres_server: Postgres) -> None:
    with psycopg.connect(postgres_server.url) as db:
        db.execute("CREATE TABLE kept AS SELECT 7 AS n")
    postgres_server.kill()
    assert postgres_server.pid is None
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url)

    postgres_server.start()
    with psycopg.connect(postgres_server.url) as db:
        assert db.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_database_that_is_killed_while_a_client_works_comes_back(postgres_server: Postgres) -> None:
    """Its children hold the data for a moment longer than it lives."""
    for _ in range(3):
        with closing(psycopg.connect(postgres_server.url)) as busy:
            busy.execute("SELECT 1")
            postgres_server.kill()
            postgres_server.start()

    with psycopg.connect(postgres_server.url) as db:
        assert db.execute("SELECT current_setting('fsync')").fetchone() == ("on",)


def test_each_test_has_a_schema_of_its_own(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as db:
        row = db.execute(
            "SELECT current_schema(), count(*) FROM pg_tables WHERE schemaname = current_schema()"
        ).fetchone()
    assert row is not None
    assert row[0].startswith("t")
    assert row[1] == 0


def test_a_wrong_password_is_refused(postgres_shared: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres_shared.url.replace(f":{_password(postgres_shared)}@", ":wrong@"))


def _password(server: Postgres) -> str:
    return (server.folder / "password").read_text()


def test_a_server_stops_and_starts_on_the_same_port(kafka_server: Kafka) -> None:
    pid, url = kafka_server.pid, kafka_server.url
    assert pid
    kafka_server.stop()
    assert not listening(kafka_server.port)
    kafka_server.start()
    assert kafka_server.url == url
    assert kafka_server.pid not in (None, pid)


def test_a_topic_of_three_brokers_is_on_each_of_them(kafka_trio: KafkaTrio) -> None:
    from kafka import KafkaAdminClient

    admin = KafkaAdminClient(bootstrap_servers=[broker.address for broker in kafka_trio.brokers])
    admin.create_topics({"kept": {"num_partitions": 1, "replication_factor": 3}})
    kafka_trio.brokers[2].kill()
    kafka_trio.brokers[2].start()
    partition = admin.describe_topics(["kept"])[0]["partitions"][0]
    admin.close()

    assert sorted(partition["replica_nodes"]) == [1, 2, 3]


@pytest.fixture(params=["postgresql", "kafka", "versitygw"])
def encrypted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Server, Certificates]]:
    """A server with a certificate, and the authority that made it."""
    tls = Certificates(tmp_path / "tls")
    make = {
        "postgresql": lambda: Postgres(tmp_path / "server", tls=tls, fsync=False),
        "kafka": lambda: Kafka(tmp_path / "server", tls=tls, sasl="SCRAM-SHA-512"),
        "versitygw": lambda: VersityGateway(tmp_path / "server", tls=tls),
    }[request.param]
    server: Server = started(make)
    yield server, tls
    server.kill()


def test_a_certificate_is_shown_to_who_knows_its_authority_and_to_nobody_else(
    encrypted: tuple[Server, Certificates], tmp_path: Path
) -> None:
    import socket

    server, tls = encrypted
    stranger = Certificates(tmp_path / "stranger")
    port = int(re.findall(rf"{re.escape(LOOPBACK)}:(\d+)", server.url)[0])

    def shake(trust: Certificates) -> str | None:
        with socket.create_connection((LOOPBACK, port), timeout=30) as plain:
            if isinstance(server, Postgres):
                plain.sendall(bytes.fromhex("0000000804d2162f"))  # PostgreSQL's SSLRequest
                assert plain.recv(1) == b"S"
            with ssl.create_default_context(cafile=str(trust.ca)).wrap_socket(
                plain, server_hostname=LOOPBACK
            ) as shaken:
                return shaken.version()

    assert shake(tls) in {"TLSv1.2", "TLSv1.3"}
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(stranger)


@pytest.mark.parametrize("sasl", ["PLAIN", "SCRAM-SHA-256"])
def test_a_broker_that_asks_for_names_lets_its_user_in_and_nobody_else(tmp_path: Path, sasl: str) -> None:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    with started(lambda: Kafka(tmp_path / "kafka", sasl=sasl)) as broker:  # type: ignore[arg-type]
        named = {
            "bootstrap_servers": broker.address,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": sasl,
            "sasl_plain_username": "mlife",
        }
        admin = KafkaAdminClient(**named, sasl_plain_password=(broker.folder / "password").read_text())
        assert admin.list_topics() == []
        admin.close()
        with pytest.raises(KafkaError):
            KafkaAdminClient(**named, sasl_plain_password="wrong", bootstrap_timeout_ms=1_500)


def test_a_bucket_outlives_a_killed_s3_server(s3_server: VersityGateway | Minio) -> None:
    from minio import Minio as Client

    secret = (s3_server.folder / "secret").read_text()
    client = Client(s3_server.address, access_key="mlife", secret_key=secret, secure=False)
    s3_server.kill()
    s3_server.start()

    assert [bucket.name for bucket in client.list_buckets()] == ["mlife"]


def test_two_servers_never_get_one_port() -> None:
    ports = [Port() for _ in range(20)]

    assert len({port.number for port in ports}) == 20


def test_no_server_outlives_the_process_that_started_it(tmp_path: Path, postgres_shared: Postgres) -> None:
    """Killed, it could not stop anything; the thread that started the server is long gone by then."""
    code = (
        "import sys, threading, time; from pathlib import Path; from infra.local import Postgres\n"
        "server = Postgres(Path(sys.argv[1]), fsync=False)\n"
        "helper = threading.Thread(target=server.start); helper.start(); helper.join(); time.sleep(0.3)\n"
        "print(server.pid, server.port, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "server")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        pid, port = (int(word) for word in parent.stdout.readline().split())
        assert listening(port)
        parent.send_signal(signal.SIGKILL)

    give_up = time.monotonic() + 30
    while (listening(port) or _lives(pid)) and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not listening(port)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    """Whether there is such a process, and not only its remains that nobody has buried yet."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split(") ")[1][0] != "Z"


def test_what_several_want_at_once_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    makings = []

    def make(folder: Path) -> None:
        makings.append(folder)
        time.sleep(0.2)
        folder.mkdir()
        (folder / "whole").touch()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: made_once("thing", make), range(4)))

    assert len(makings) == 1
    assert {folder / "whole" for folder in made} == {tmp_path / "mlife" / "components" / "thing" / "whole"}
    assert (made[0] / "whole").exists()


def test_what_failed_half_way_is_not_taken_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fail(folder: Path) -> None:
        folder.mkdir()
        raise Broken("the line was cut")

    with pytest.raises(Broken):
        made_once("thing", fail)

    assert made_once("thing", Path.mkdir).is_dir()


@pytest.mark.parametrize("kind", [Kafka, VersityGateway, Minio])
def test_a_component_that_is_not_there_says_how_to_get_it(
    kind: type[Kafka | VersityGateway | Minio], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(Missing, match="make components"):
        kind(tmp_path / "server").start()


@pytest.mark.parametrize(("ci", "outcome"), [("1", "Failed"), ("", "Skipped")])
def test_a_test_of_a_missing_component_fails_in_ci_and_is_skipped_aloud_elsewhere(
    ci: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", ci)

    with pytest.raises(BaseException, match="make components") as told:
        started(lambda: VersityGateway(tmp_path / "s3"))

    assert type(told.value).__name__ == outcome


def test_one_that_does_not_start_says_where_its_log_is(tmp_path: Path) -> None:
    class Never(Server):
        name = "never"

        @property
        def url(self) -> str:
            return ""

        def _launch(self) -> "subprocess.Popen[bytes]":
            return self._spawn(["sh", "-c", "echo out of tea; exit 3"])

        def _ready(self) -> bool:
            return False

    with pytest.raises(Broken, match=r"ended with 3 while it started") as told:
        Never(tmp_path).start()
    assert "out of tea" in str(told.value)
    assert os.fspath(tmp_path / "never.log") in str(told.value)


def test_a_command_runs_beside_servers_that_are_gone_after_it(
    tmp_path: Path, kafka_broker: Kafka, s3_shared: Server
) -> None:
    """Data stays in the folder, so that a second run goes on with it."""
    look = (
        "import os, psycopg; db = psycopg.connect(os.environ['MLIFE_STORE'], autocommit=True)\n"
        "db.execute('CREATE TABLE IF NOT EXISTS runs (n int)'); db.execute('INSERT INTO runs VALUES (1)')\n"
        "print(db.execute('SELECT count(*) FROM runs').fetchone()[0])\n"
        "print(os.environ['MLIFE_BUS'], os.environ['MLIFE_FILES'])\n"
        "raise SystemExit(5)"
    )
    beside = [sys.executable, "-m", "infra.local", "run", "--folder", str(tmp_path / "cluster"), "--"]
    for count in ("1", "2"):
        done = subprocess.run(
            [*beside, sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 5, done.stderr
        assert str(tmp_path / "cluster") in done.stderr
        said, bus, files = done.stdout.split()
        assert said == count
        for port in re.findall(rf"{re.escape(LOOPBACK)}:(\d+)", f"{bus} {files}"):
            assert not listening(int(port))
