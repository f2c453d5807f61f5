"""How far the readers of a log's topics are on Kafka, and how many records could not be read."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Group:
    """
    A consumer group that reads topics of this log.

    Args:
        lags: topic, without prefix → records that it has not read.
        members: client id and host → partitions that it serves now, as `topic: 0, 1`.
    """

    name: str
    lags: Mapping[str, int]
    members: Mapping[str, str]


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


def check_readers(there: KafkaConnection) -> Iterator[Finding]:
    """Who reads, how far behind. Raises Unavailable, Misconfigured."""
    with administrator(there) as client:
        groups = _groups(client, there)
        unreadable = _count(client, there, REFUSED)
    for group in groups:
        lag = ", ".join(f"{count} records behind in {topic}" for topic, count in sorted(group.lags.items()) if count)
        who = "; ".join(f"{member} ({served})" for member, served in sorted(group.members.items()))
        what = f"workers {group.name}"
        if not group.members:
            yield Finding(what, "wrong", f"nobody is there; {lag or 'nothing waits'}", "start `mlife worker`")
        else:
            yield Finding(what, "ok", who + (f"; {lag}" if lag else ""))
    if unreadable:
        yield Finding(
            "unreadable feedback", "note", f"{unreadable} records in {there.topic(REFUSED)}",
            "each has its reason in a header: mend what sends it, and send it again",
        )  # fmt: skip


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
    """Groups that have read, or are reading, what only MLife's workers read here."""
    names = sorted(g["group_id"] for g in client.list_groups() if g["protocol_type"] == "consumer")
    if not names:
        return []
    own = {there.topic(name): name for name in READ}
    offsets = {name: _own(client.list_group_offsets({name: None})[name], own) for name in names}
    described = client.describe_groups(names)
    members = {name: _members(described[name]["members"], own) for name in names}
    ends = _ends(client, {tp for committed in offsets.values() for tp in committed})
    return [
        Group(name, _lags(offsets[name], ends, own), members[name])
        for name in names
        if offsets[name] or any(members[name].values())
    ]


def _own(committed: Mapping[TopicPartition, Any], own: Mapping[str, str]) -> dict[TopicPartition, int]:
    return {tp: at.offset for tp, at in committed.items() if tp.topic in own and at.offset >= 0}


def _lags(
    committed: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], own: Mapping[str, str]
) -> dict[str, int]:
    lags: dict[str, int] = defaultdict(int)
    for tp, offset in committed.items():
        lags[own[tp.topic]] += max(0, ends.get(tp, offset) - offset)
    return dict(lags)


def _members(told: Sequence[Mapping[str, Any]], own: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for member in told:
        assigned = (member["member_assignment"] or {}).get("assigned_partitions", ())
        served = [
            f"{own[a['topic']]}: {', '.join(map(str, sorted(a['partitions'])))}" for a in assigned if a["topic"] in own
        ]
        if served or not assigned:
            found[f"{member['client_id']} at {member['client_host'].lstrip('/')}"] = "; ".join(served) or "waits"
    return found


def _ends(client: KafkaAdminClient, wanted: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    asked = dict.fromkeys(wanted, OffsetSpec.LATEST)
    return {tp: told.offset for tp, told in client.list_partition_offsets(asked).items()} if asked else {}


def _count(client: KafkaAdminClient, there: KafkaConnection, name: str) -> int | None:
    """Records that the topic *name* holds; None if it is not there."""
    (told,) = client.describe_topics([there.topic(name)])
    places = [TopicPartition(there.topic(name), p["partition_index"]) for p in told.get("partitions") or ()]
    if not places:
        return None
    first = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    last = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    return sum(last[tp].offset - first[tp].offset for tp in places)
