"""Who reads a log's own topics on Kafka and how far behind, and how many records could not be read."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec

from mlife.adapters.kafka_connection import KafkaConnection
from mlife.adapters.topics_kafka import administrator, translated
from mlife.core.health import Finding
from mlife.core.health.watch import BusSeen
from mlife.core.topics import FEEDBACK, LOG, REFUSED

KNOCK_SECONDS: Final = 2.0
READ: Final = (LOG, FEEDBACK)
"""Topics whose readers are MLife's own workers."""

WORKERS: Final = "mlife-"
"""What the names of their groups begin with, after the prefix."""


@dataclass(frozen=True, slots=True)
class Group:
    """
    A consumer group that reads topics of this log, both without prefix.

    Args:
        lags: topic → records after the offset that it has committed; nothing where it commits nothing.
        members: one for each process that is there: its host, and topic → partitions that it reads.
    """

    name: str
    lags: Mapping[str, int] = field(default_factory=dict)
    members: tuple[tuple[str, Mapping[str, frozenset[int]]], ...] = ()


def seen(there: KafkaConnection) -> BusSeen:
    """
    Lags and unreadable records.

    Raises:
        Unavailable, Misconfigured: in words.
    """
    knock(there)
    with administrator(there) as client:
        lags = {(g.name, topic): lag for g in _groups(client, there) for topic, lag in g.lags.items()}
        return BusSeen(lags, _count(client, there, REFUSED))


def readers(there: KafkaConnection) -> dict[str, Group]:
    """Groups that read the log's own topics, by name. Raises Unavailable, Misconfigured."""
    with administrator(there) as client:
        return {g.name: g for g in _groups(client, there)}


def check_unreadable(there: KafkaConnection) -> Iterator[Finding]:
    """Feedback that nobody could read. Raises Unavailable, Misconfigured."""
    with administrator(there) as client:
        count = _count(client, there, REFUSED)
    if count:
        each = "each has its reason in a header: mend what sends it, and send it again"
        yield Finding("unreadable feedback", "note", f"{count} records in {there.topic(REFUSED)}", each)


def knock(there: KafkaConnection) -> None:
    """
    See that at least one broker can be called.

    Raises:
        Unavailable: none can; kafka-python would try for its whole time before it says so.
    """
    reasons = []
    for server in there.servers:
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS):
                return
        except OSError as fault:
            reasons.append(f"{server}: {fault.strerror or fault}")
    with translated(there):
        raise OSError(", ".join(reasons))


def _groups(client: KafkaAdminClient, there: KafkaConnection) -> list[Group]:
    """MLife's own groups: of workers that are there, or that were and have committed how far they are."""
    told = [g["group_id"] for g in client.list_groups() if g["protocol_type"] == "consumer"]
    names = sorted(name for name in told if name.startswith(f"{there.prefix}{WORKERS}"))
    if not names:
        return []
    own = {there.topic(name): name for name in READ}
    offsets = {name: _committed(client.list_group_offsets({name: None})[name], own) for name in names}
    ends = _ends(client, {tp for committed in offsets.values() for tp in committed})
    described = client.describe_groups(names)
    found = (
        Group(
            name.removeprefix(there.prefix),
            _lags(offsets[name], ends, own),
            tuple(_members(described[name]["members"], own)),
        )
        for name in names
    )
    return [group for group in found if group.lags or group.members]


def _committed(told: Mapping[TopicPartition, Any], own: Mapping[str, str]) -> dict[TopicPartition, int]:
    return {tp: at.offset for tp, at in told.items() if tp.topic in own and at.offset >= 0}


def _lags(
    committed: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], own: Mapping[str, str]
) -> dict[str, int]:
    lags: dict[str, int] = defaultdict(int)
    for tp, offset in committed.items():
        lags[own[tp.topic]] += max(0, ends.get(tp, offset) - offset)
    return dict(lags)


def _members(
    told: Iterable[Mapping[str, Any]], own: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, frozenset[int]]]]:
    for member in told:
        assignment = member["member_assignment"] or {}
        held = {own[a["topic"]]: frozenset(a["partitions"])
                for a in assignment.get("assigned_partitions", ()) if a["topic"] in own}  # fmt: skip
        yield member["client_host"].lstrip("/"), held


def _ends(client: KafkaAdminClient, wanted: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    asked = dict.fromkeys(wanted, OffsetSpec.LATEST)
    return {tp: int(told.offset) for tp, told in client.list_partition_offsets(asked).items()} if asked else {}


def _count(client: KafkaAdminClient, there: KafkaConnection, name: str) -> int | None:
    """Records that the topic *name* holds; None if it is not there."""
    (told,) = client.describe_topics([there.topic(name)])
    places = [TopicPartition(there.topic(name), p["partition_index"]) for p in told.get("partitions") or ()]
    if not places:
        return None
    first = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    last = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    return sum(int(last[tp].offset) - int(first[tp].offset) for tp in places)
