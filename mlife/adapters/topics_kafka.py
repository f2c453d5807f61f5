"""Topics on Kafka: made if they are not there, looked at by `mlife doctor`, and what brokers complain of in words."""

from __future__ import annotations

import logging
import re
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from mlife.adapters.kafka_connection import KafkaConnection
from mlife.core.errors import Misconfigured, MLifeError, Unavailable, in_a_line
from mlife.core.health import Finding
from mlife.core.topics import LARGEST_MESSAGE, Topic

log = logging.getLogger("mlife.kafka")

BOOTSTRAP_SECONDS: Final = 8
"""How long a broker is looked for."""

CLIENT: Final = {
    "bootstrap_timeout_ms": BOOTSTRAP_SECONDS * 1_000,
    "reconnect_backoff_max_ms": 1_000,  # kafka-python's half minute would be half a minute of silence
    "request_timeout_ms": 15_000,
}
"""What all of kafka-python's clients are told."""


class _Complaints(logging.Handler):
    """Keeps what kafka-python complained of last: its exceptions leave the reason out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: deque[str] = deque(maxlen=100)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(record.getMessage())

    def reason(self) -> str:
        """The most telling of them; empty if none is."""
        found = [match[0] for said in self.said if (match := _TELLING.search(said))]
        return found[-1].strip() if found else ""

    def holds(self, words: str) -> bool:
        """Was that among them?"""
        return any(words in said for said in self.said)


_TELLING = re.compile(
    r"SaslAuthenticationFailedError: [^()]*|UnsupportedSaslMechanismError|\[SSL: [^(]*|Handshake failed: [^(]*"
)
_complaints = _Complaints()


def quiet() -> None:
    """Let kafka-python tell us, and not the log, a thousand times that a broker is away."""
    kafka = logging.getLogger("kafka")
    kafka.propagate = False
    kafka.setLevel(logging.WARNING)
    if _complaints not in kafka.handlers:
        kafka.addHandler(_complaints)


@contextmanager
def translated(there: KafkaConnection) -> Iterator[None]:
    """Turn what a broker or the way to it is to blame for into sentences with a remedy."""
    quiet()
    _complaints.said.clear()
    try:
        yield
    except (kafka_errors.KafkaError, OSError) as fault:
        raise explained(there, fault) from fault


def explained(there: KafkaConnection, fault: BaseException) -> MLifeError:
    """*fault*, met at *there*, as MLife says it."""
    said = in_a_line(fault)
    reason = _complaints.reason() or said
    if "Sasl" in reason:
        return Misconfigured(
            f"{there.shown} does not let MLife in ({_secretless(there, reason)})",
            remedy="correct user, secret and sasl_mechanism in MLIFE_BUS",
        )
    if isinstance(fault, kafka_errors.AuthorizationError):
        return Misconfigured(
            f"the user of {there.shown} may not do what MLife does ({_secretless(there, said)})",
            remedy="allow it to describe, create, read and write the topics, and idempotent writes on the cluster",
        )
    if "SSL" in reason or "Handshake failed" in reason:
        return Misconfigured(
            f"TLS with {there.shown} fails ({_secretless(there, reason)})",
            remedy="look at ssl_cafile and ssl_check_hostname in MLIFE_BUS, and at the brokers' certificates",
        )
    if there.protocol.startswith("SASL") and _complaints.holds("socket disconnected") and not _probed(there):
        return Unavailable(  # of a refusal over TLS kafka-python often sees only the end
            f"{there.shown} ends the connection while MLife logs in",
            remedy="if it has not just started, correct user, secret and sasl_mechanism in MLIFE_BUS",
        )
    return Unavailable(
        f"{there.shown} can't be used now ({_secretless(there, _probed(there) or reason)})",
        remedy="what is in the log is published when Kafka is back",
    )


def _secretless(there: KafkaConnection, text: str) -> str:
    return text.replace(there.secret, "***") if there.secret else text


def _probed(there: KafkaConnection) -> str:
    """Why none of the brokers can even be called; empty if one can."""
    reasons = []
    for server in there.servers:
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=2):
                return ""
        except OSError as e:
            reasons.append(f"{server}: {e.strerror or e}")
    return ", ".join(reasons)


@contextmanager
def administrator(there: KafkaConnection) -> Iterator[KafkaAdminClient]:
    """
    Kafka's administration client, for the block.

    Raises:
        Unavailable, Misconfigured: in words.
    """
    with translated(there):
        client = KafkaAdminClient(**there.kafka_python(), **CLIENT)
        try:
            yield client
        finally:
            client.close()


@dataclass(frozen=True, slots=True)
class Ensured:
    """
    What `ensure_topics` found.

    Args:
        cluster: Kafka's id of the cluster; one that is set up anew has another.
        made: names, without prefix, of the topics that were made now.
    """

    cluster: str
    made: Sequence[str]


def ensure_topics(there: KafkaConnection, wanted: Sequence[Topic]) -> Ensured:
    """
    Make those of *wanted* that are not there. Several processes may do so at once.

    Raises:
        Misconfigured: one has too few partitions, or can't be made; with what to do.
        Unavailable: no broker answers.
    """
    with administrator(there) as client:
        cluster = str(client.describe_cluster()["cluster_id"])
        found = _partitions(client, there, wanted)
        missing = [t for t in wanted if t.name not in found]
        made = _make(client, there, missing) if missing else []
    for topic in wanted:
        if found.get(topic.name, topic.partitions) < topic.partitions:
            raise Misconfigured(_few(there, topic, found[topic.name]), remedy=FEW)
    return Ensured(cluster, made)


MAKE: Final = "`mlife doctor --fix` or `mlife relay` makes it, or whoever may: infra/kafka/topics.sh"

FEW: Final = (
    "say so in MLIFE_BUS (partitions=…) if it always had so many; adding some would move keys, and break their order: "
    "for more, take another prefix, and all is published there from the start"
)


def _few(there: KafkaConnection, topic: Topic, count: int) -> str:
    return f"topic {there.topic(topic.name)} has {count} partitions, and MLIFE_BUS says {topic.partitions}"


def _partitions(client: KafkaAdminClient, there: KafkaConnection, wanted: Sequence[Topic]) -> dict[str, int]:
    """How many partitions those of *wanted* have that are there."""
    told = client.describe_topics([there.topic(t.name) for t in wanted])
    counts = {t["name"]: len(t["partitions"]) for t in told if t["error_code"] == 0 and t["partitions"]}
    return {t.name: counts[there.topic(t.name)] for t in wanted if there.topic(t.name) in counts}


def _make(client: KafkaAdminClient, there: KafkaConnection, missing: Sequence[Topic]) -> list[str]:
    options = {
        there.topic(t.name): {
            "num_partitions": t.partitions,
            "replication_factor": there.replication,
            "configs": t.options(there.replication),
        }
        for t in missing
    }
    made = []
    for told in client.create_topics(options, raise_errors=False)["topics"]:
        fault = kafka_errors.for_code(told["error_code"])
        if fault is kafka_errors.NoError:
            made.append(str(told["name"]).removeprefix(there.prefix))
        elif fault is not kafka_errors.TopicAlreadyExistsError:  # somebody else was first
            _refused(there, told, fault)
    client.wait_for_topics(list(options))
    return made


def _refused(there: KafkaConnection, told: dict[str, Any], fault: type[kafka_errors.KafkaError]) -> None:
    said = f"topic {told['name']} can't be made ({fault.__name__}: {told.get('error_message') or 'no reason given'})"
    if fault is kafka_errors.InvalidReplicationFactorError:
        raise Misconfigured(said, remedy=f"start more brokers, or say fewer than replication={there.replication}")
    if issubclass(fault, kafka_errors.RetriableError):
        raise Unavailable(said, remedy="it is tried again")
    raise Misconfigured(said, remedy="let who may make topics run infra/kafka/topics.sh")


def check_topics(there: KafkaConnection, wanted: Sequence[Topic]) -> Iterator[Finding]:
    """How the topics are, for `mlife doctor`. Raises Unavailable, Misconfigured."""
    with administrator(there) as client:
        brokers = len(client.describe_cluster()["brokers"])
        described = {t["name"]: t for t in client.describe_topics([there.topic(t.name) for t in wanted])}
        there_are = [t for t in wanted if described.get(there.topic(t.name), {}).get("partitions")]
        options = _options(client, [there.topic(t.name) for t in there_are])
    yield Finding("kafka", "ok", f"{there.shown}, {brokers} broker{'' if brokers == 1 else 's'}")
    for topic in wanted:
        name = there.topic(topic.name)
        if topic not in there_are:
            yield Finding(f"topic {name}", "wrong", "is missing", MAKE)
        else:
            yield _judged(there, topic, described[name]["partitions"], options.get(name, {}), brokers)


def _options(client: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    told = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, n) for n in names], config_filter="all")
    return {
        name: {option: str(value["value"]) for option, value in options.items()}
        for name, options in told.get("topic", {}).items()
    }


def _judged(
    there: KafkaConnection, topic: Topic, partitions: Sequence[Any], options: dict[str, str], brokers: int
) -> Finding:
    what = f"topic {there.topic(topic.name)}"
    if len(partitions) < topic.partitions:
        return Finding(what, "wrong", _few(there, topic, len(partitions)), FEW)
    largest = int(options.get("max.message.bytes", 0))
    if largest < LARGEST_MESSAGE:
        fix = f"set its max.message.bytes={LARGEST_MESSAGE} with kafka-configs.sh"
        return Finding(what, "wrong", f"takes messages of at most {largest:,} bytes; an event may be larger", fix)
    if topic.keep_ms is None and (options.get("cleanup.policy"), options.get("retention.ms")) != ("delete", "-1"):
        kept = f"cleanup.policy={options.get('cleanup.policy')}, retention.ms={options.get('retention.ms')}"
        return Finding(
            what, "wrong", f"does not keep everything ({kept})", "set cleanup.policy=delete, retention.ms=-1"
        )
    copies = min(len(p["replica_nodes"]) for p in partitions)
    if any(p["leader_id"] < 0 for p in partitions):
        return Finding(what, "wrong", "has a partition without a leader", "start the brokers that hold it")
    if copies < there.replication:
        return Finding(what, "note", f"has {copies} of {there.replication} copies", "add them, or say replication=…")
    if len(partitions) > topic.partitions:
        more = f"has {len(partitions)} partitions; events go to the first {topic.partitions}, as MLIFE_BUS says"
        return Finding(what, "note", more, "leave it so: keys would move")
    if copies == 1 and brokers > 1:
        return Finding(
            what, "note", f"is on one of {brokers} brokers only", "replication=3 in MLIFE_BUS, before it is made"
        )
    parts = f"{len(partitions)} partition{'s' * (len(partitions) != 1)}"
    return Finding(what, "ok", f"{parts}, {copies} {'copy' if copies == 1 else 'copies'}")
