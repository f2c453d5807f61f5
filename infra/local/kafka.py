"""Kafka in KRaft mode, from Maven: one broker, or three with replication."""

import secrets
import shutil
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from infra.local.cache import cache, found, made_once, program, run
from infra.local.certificates import Certificates
from infra.local.server import LOOPBACK, Port, Server, listening

VERSION = "4.4.0"
LOGGER = "2.25.5"  # of log4j-slf4j-impl: without it the broker says nothing
CACHE = f"kafka-{VERSION}-{LOGGER}"
CLASSES = f"{CACHE}-classes"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
USER = "mlife"
Sasl = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>mlife.local</groupId> <artifactId>kafka</artifactId> <version>1</version> <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId> <artifactId>kafka_2.13</artifactId> <version>{kafka}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId> <artifactId>log4j-slf4j-impl</artifactId> <version>{logger}</version>
    </dependency>
  </dependencies>
</project>
"""
LOGGING = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1} %m%n%throwable
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
"""
STARTED = b"Kafka Server started"
MEMORY = ["-Xms128m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]


def prepare() -> Path:
    """Download Kafka, and archive its classes, which halves every later start; the folder of the jars."""
    folder = made_once(CACHE, _download)
    made_once(CLASSES, _archive)  # the archive names the jars by their paths, so that they must be in their place first
    return folder


def _download(folder: Path) -> None:
    maven = program("mvn", "as root on Debian: apt-get install maven")
    folder.mkdir()
    pom = folder / "pom.xml"
    pom.write_text(POM.format(kafka=VERSION, logger=LOGGER))
    (folder / "log4j2.properties").write_text(LOGGING)
    run(maven, "-B", "-q", "-C", "-f", pom, COPY, f"-DoutputDirectory={folder / 'libs'}", "-DincludeScope=runtime")


def _archive(folder: Path) -> None:
    """The classes of a broker's whole life."""
    folder.mkdir()
    broker = Kafka(folder / "broker", java_options=[f"-XX:ArchiveClassesAtExit={folder / 'classes.jsa'}"])
    broker.start()
    broker.stop()
    shutil.rmtree(broker.folder)


class Kafka(Server):
    """
    One broker that is its own controller.

    Args:
        folder: where its data is.
        tls: certificates to serve with; clients without TLS are refused then.
        sasl: the mechanism by which clients must name themselves.
        java_options: further words for the JVM.
        number, voters, controller, cluster: of a broker among several; `KafkaTrio` sets them.
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        *,
        tls: Certificates | None = None,
        sasl: Sasl | None = None,
        java_options: Sequence[str] = (),
        number: int = 1,
        voters: tuple[tuple[int, int], ...] = (),
        controller: Port | None = None,
        cluster: str = "",
    ) -> None:
        super().__init__(folder)
        self._number, self._tls, self._sasl, self._java_options = number, tls, sasl, java_options
        self._port, self._controller = Port(), controller or Port()
        self._voters = voters or ((number, self._controller.number),)
        self._secret = self._kept("password", lambda: secrets.token_urlsafe(12))
        self._cluster = self._kept("cluster", lambda: cluster or _cluster_id())

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def address(self) -> str:
        """Host and port of the broker."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        return f"kafka://{self._who()}{self.address}{self._asked()}"

    def _who(self) -> str:
        return f"{USER}:{quote(self._secret, safe='')}@" if self._sasl else ""

    def _protocol(self) -> str:
        return {(0, 0): "PLAINTEXT", (0, 1): "SSL", (1, 0): "SASL_PLAINTEXT", (1, 1): "SASL_SSL"}[
            (int(bool(self._sasl)), int(bool(self._tls)))
        ]

    def _asked(self) -> str:
        asked = []
        if self._protocol() != "PLAINTEXT":
            asked.append(f"security_protocol={self._protocol()}")
        if self._sasl:
            asked.append(f"sasl_mechanism={self._sasl}")
        if self._tls:
            asked.append(f"ssl_cafile={quote(str(self._tls.ca), safe='')}")
        return f"?{'&'.join(asked)}" if asked else ""

    def _properties(self) -> dict[str, str]:
        several = len(self._voters)
        copies, enough = str(several), str(min(several, 2))
        return {
            "process.roles": "broker,controller",
            "node.id": str(self._number),
            "controller.quorum.voters": ",".join(f"{n}@{LOOPBACK}:{port}" for n, port in self._voters),
            "listeners": f"CLIENT://{self.address},CONTROLLER://{LOOPBACK}:{self._controller.number}",
            "advertised.listeners": f"CLIENT://{self.address}",
            "listener.security.protocol.map": f"CLIENT:{self._protocol()},CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": enough,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "5",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": enough,
            "transaction.state.log.num.partitions": "5",
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": enough,
            "share.coordinator.state.topic.num.partitions": "5",
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "3000",  # a broker that was killed may come back that soon
            "broker.heartbeat.interval.ms": "500",
            "log.cleaner.dedupe.buffer.size": "2097152",
            "log.segment.delete.delay.ms": "1000",
            **self._encryption(),
            **self._names(),
        }

    def _encryption(self) -> dict[str, str]:
        if not self._tls:
            return {}
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._tls.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._tls.ca),
        }

    def _names(self) -> dict[str, str]:
        """Who may come; SCRAM's secrets are written at formatting, PLAIN's stand in the configuration."""
        if not self._sasl:
            return {}
        login = f'username="{USER}" password="{self._secret}"'
        module = (
            f'org.apache.kafka.common.security.plain.PlainLoginModule required {login} user_{USER}="{self._secret}";'
            if self._sasl == "PLAIN"
            else f"org.apache.kafka.common.security.scram.ScramLoginModule required {login};"
        )
        return {
            "sasl.enabled.mechanisms": self._sasl,
            "sasl.mechanism.inter.broker.protocol": self._sasl,
            f"listener.name.client.{self._sasl.lower()}.sasl.jaas.config": module,
        }

    def _launch(self) -> "subprocess.Popen[bytes]":
        properties = self.folder / "server.properties"
        properties.touch(mode=0o600)
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()))
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(properties)
        self._begun = self.log.stat().st_size if self.log.exists() else 0
        return self._spawn([*self._java(*self._java_options), "kafka.Kafka", properties])

    def _format(self, properties: Path) -> None:
        """Make the folder of the data, with the one user where the mechanism keeps users there."""
        scram = self._sasl and self._sasl != "PLAIN"
        user = [f"--add-scram={self._sasl}=[name={USER},password={self._secret}]"] if scram else []
        words = ["format", f"--cluster-id={self._cluster}", f"--config={properties}", *user]
        run(*self._java(), "kafka.tools.StorageTool", *words)

    @staticmethod
    def _java(*options: str) -> list[str | Path]:
        """The command line up to the class that is to run."""
        kafka, classes = found(CACHE), cache() / CLASSES / "classes.jsa"
        archive = [] if options else [f"-XX:SharedArchiveFile={classes}", "-Xshare:auto"]
        logging = f"-Dlog4j2.configurationFile={kafka / 'log4j2.properties'}"
        java = program("java", "as root on Debian: apt-get install default-jre-headless")
        return [java, *MEMORY, *archive, *options, logging, "-cp", f"{kafka / 'libs'}/*"]

    def _ready(self) -> bool:
        """It says so in its log, and listens."""
        with self.log.open("rb") as log:
            log.seek(self._begun)
            return STARTED in log.read() and listening(self.port)


def _cluster_id() -> str:
    return urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


class KafkaTrio:
    """
    Three brokers that keep three copies of everything and acknowledge what two have.

    `brokers` are servers of their own: one is killed by `trio.brokers[0].kill()`.
    """

    def __init__(self, folder: Path) -> None:
        controllers = [Port() for _ in range(3)]
        voters = tuple((n, port.number) for n, port in enumerate(controllers, start=1))
        cluster = _cluster_id()
        self.brokers = [
            Kafka(folder / f"broker-{n}", number=n, voters=voters, controller=port, cluster=cluster)
            for n, port in enumerate(controllers, start=1)
        ]

    @property
    def url(self) -> str:
        """Where clients find them."""
        return f"kafka://{','.join(broker.address for broker in self.brokers)}?replication=3"

    def start(self) -> Self:
        """Start all of them at once: none is ready before two are there."""
        with ThreadPoolExecutor(3) as pool:
            for begun in [pool.submit(broker.start) for broker in self.brokers]:
                begun.result()
        return self

    def stop(self) -> None:
        """End all of them: the last two can't end in order, since they would wait for a majority that is gone."""
        self.kill()

    def kill(self) -> None:
        """End all of them at once, as a power cut would."""
        for broker in self.brokers:
            broker.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()
