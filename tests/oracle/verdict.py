"""
The verdict: what journals, log, topics and looks at the query tables say about each other.

Every function here is pure and gives sentences; none means that everything agrees. `test_verdict.py` plants each kind
of fault and sees it found. What needs an opened home (a replay, parked keys) is in `judge.py`.
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

import orjson

from mlife.core.events import Recorded, derived_id
from tests.oracle.journal import Attempt, Saw, print_of

Log = Sequence[Recorded[Any]]
Check = Callable[..., Iterator[str]]

STREAM = "stream"
"""What the client is called whose reports come through Kafka."""

CRASH = 2.0
"""Seconds for which a server may still serve, of which one process was killed."""

SHOWN = 8
"""Sentences that a check says in full; the others are counted."""


def fields(r: Recorded[Any]) -> dict[str, Any]:
    """The fields of an event, straight from its bytes."""
    decoded: dict[str, Any] = orjson.loads(r.draft.data)
    return decoded


def brief(check: Check) -> Callable[..., list[str]]:
    """A check's sentences as a list that stays readable."""

    @wraps(check)
    def said(*args: Any, **named: Any) -> list[str]:
        found = list(check(*args, **named))
        more = [f"… and {len(found) - SHOWN} more of {check.__name__}"] if len(found) > SHOWN else []
        return found[:SHOWN] + more

    return said


# --- the log by itself ---


@brief
def order(log: Log) -> Iterator[str]:
    """Positions and versions are dense, ids are there once, digests are those of the bytes."""
    for place, r in enumerate(log, 1):
        if r.position != place:
            yield f"position {r.position} stands where {place} must be"
            break
    ids = Counter(r.draft.id for r in log)
    yield from (f"event id {i.hex()} is in the log {n} times" for i, n in ids.items() if n > 1)
    versions: dict[str, int] = {}
    for r in log:
        expected = versions[r.stream] = versions.get(r.stream, 0) + 1
        if r.version != expected:
            yield f"{r!r} has version {r.version}, and {expected} is next in its stream"
        if hashlib.sha256(r.draft.data).digest() != r.draft.digest:
            yield f"{r!r} has bytes that its digest does not cover"


@brief
def balances(log: Log) -> Iterator[str]:
    """Who decided on a balance that another had changed meanwhile has been refused: each sum fits."""
    purses: dict[str, int] = {}
    for r in log:
        if r.draft.type.startswith("mlife.purse.paid."):
            e = fields(r)
            expected = purses.get(e["purse_id"], 0) + e["amount"]
            if e["balance"] != expected:
                yield f"{r!r} says that {e['purse_id']} holds {e['balance']}, and the payments before make {expected}"
            purses[e["purse_id"]] = e["balance"]


# --- the log and those who wrote ---


@brief
def kept(log: Log, attempts: Iterable[Attempt]) -> Iterator[str]:
    """What was acknowledged is where it was said to be, and what it was."""
    at = {r.position: (r.draft.id.hex(), print_of(r.draft)) for r in log}
    for a in attempts:
        for (event_id, print_), position, known in zip(a.drafts, a.positions, a.known, strict=False):
            found = at.get(position)
            if position == 0:
                continue  # of a decision that was written before, and had fewer events then
            if found is None:
                yield f"lost: {event_id}, acknowledged at {position}, is not in the log ({a})"
            elif found[0] != event_id:
                yield f"lost: {event_id} was acknowledged at {position}, where {found[0]} is ({a})"
            elif not known and found[1] != print_:
                yield f"{event_id} at {position} is not what was written ({a})"


@brief
def wanted(log: Log, attempts: Iterable[Attempt], others: Callable[[Recorded[Any]], bool]) -> Iterator[str]:
    """Nothing is in the log that nobody wrote, and nothing of which the store said that it was not written."""
    tried = {draft for a in attempts if not a.refused for draft in a.drafts}
    refused = {draft: a for a in attempts if a.refused for draft in a.drafts}
    for r in log:
        mine = (r.draft.id.hex(), print_of(r.draft))
        if mine in tried or others(r):
            continue
        if mine in refused:
            yield f"{r!r} was refused ({refused[mine].refused}) and is in the log ({refused[mine]})"
        else:
            yield f"{r!r} (id {mine[0]}) is in the log, and nobody wrote it"


@brief
def whole(log: Log, attempts: Iterable[Attempt]) -> Iterator[str]:
    """A decision is in the log with all its events, one behind the other, or with none."""
    at = {(r.draft.id.hex(), print_of(r.draft)): r.position for r in log}
    for a in attempts:
        if not a.whole:
            continue
        places = [at.get(draft, 0) for draft in a.drafts]
        if any(places) and places != list(range(places[0], places[0] + len(places))):
            yield f"a decision was torn: its events are at {places}, 0 for missing ({a})"


@brief
def real_time(attempts: Sequence[Attempt]) -> Iterator[str]:
    """What was tried after something else had been acknowledged comes after it in the log."""
    told = sorted((a.told_at, max(a.positions)) for a in attempts if a.told_at is not None and a.positions)
    moments = [t for t, _ in told]
    highest = list(accumulate((p for _, p in told), max, initial=0))
    for a in attempts:
        fresh = [p for p, known in zip(a.positions, a.known, strict=True) if not known]
        before = highest[bisect_left(moments, a.at)]
        if fresh and min(fresh) <= before:
            yield f"{min(fresh)} was given to what was tried after {before} had been acknowledged ({a})"


@brief
def answers(log: Log, told: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A decision that is sent again is answered by where it is."""
    at = {r.draft.id.hex(): r.position for r in log}
    for line in told:
        if at.get(line["id"]) != line["position"]:
            yield f"{line['part']} was told {line['position']} for {line['id']}, which is at {at.get(line['id'])}"


# --- the log and those who follow it ---


@brief
def followed(log: Log, saw: Saw, *, dense: bool = True) -> Iterator[str]:
    """
    Who tails the log by position is given every event once, in order.

    Args:
        dense: whether positions have no gaps, so that a jump is a fault even if nothing is there.
    """
    expected = [(r.position, r.draft.id.hex(), print_of(r.draft)) for r in log]
    known, seen = set(expected), set(saw.entries)
    yield from (f"{saw.part} missed {e[1]} at {e[0]}" for e in expected if e not in seen)
    yield from (f"{saw.part} saw {e}, which the log does not have" for e in saw.entries if e not in known)
    if len(seen) < len(saw.entries):
        yield f"{saw.part} saw {len(saw.entries) - len(seen)} events twice"
    for (before, *_), (after, *_) in pairwise(saw.entries):
        if after <= before or (dense and after != before + 1):
            yield f"{saw.part} saw {after} after {before}"


@brief
def looked(log: Log, looks: Iterable[Mapping[str, Any]], crashes: Sequence[float] = ()) -> Iterator[str]:
    """
    Each look at the query tables shows what the log up to there makes, and later looks show no less.

    Args:
        crashes: moments at which the database server itself crashed. It may forget the last commits to the query
            tables then, which are folded again: they are the only ones for which nobody waits for the disk.
    """
    payments = [(r.position, fields(r)["amount"]) for r in log if r.draft.type.startswith("mlife.purse.paid.")]
    places = [p for p, _ in payments]
    sums = list(accumulate((a for _, a in payments), initial=0))
    coins = [r.position for r in log if r.draft.type.startswith("mlife.coin.sighted.")]
    last: dict[str, Mapping[str, Any]] = {}
    for look in looks:
        who, at = f"{look['part']} at {look['at']:.3f}", look["position"]
        before = last.get(look["part"], {"at": 0.0, "position": 0, "payments": 0, "coins": 0})
        last[look["part"]] = look
        for what in ("position", "payments", "coins"):
            if look[what] < before[what] and not any(before["at"] - CRASH <= c <= look["at"] for c in crashes):
                yield f"{who}: {what} went back from {before[what]} to {look[what]}"
        if look["below"] != bisect_right(places, at):
            yield f"{who}: {look['below']} payments up to {at}, and the log has {bisect_right(places, at)}"
        visible = bisect_right(places, look["newest"])
        if look["payments"] != visible:
            yield f"{who}: {look['payments']} payments up to {look['newest']}, and the log has {visible}"
        if look["purses"] != [visible, sums[visible]]:
            yield f"{who}: the purses say {look['purses']}, and the payments up to {look['newest']} say otherwise"
        if look["coins"] < bisect_right(coins, at):
            yield f"{who}: {look['coins']} sightings, and the log has {bisect_right(coins, at)} up to {at}"


# --- effects ---


def effects_of(r: Recorded[Any]) -> list[tuple[str, int]]:
    """What `oracle.receipt` must cause for a payment: type and number of the call."""
    if not r.draft.type.startswith("mlife.purse.paid."):
        return []
    stamped = [("mlife.purse.stamped.v1", 2)] if fields(r)["amount"] % 3 == 0 else []
    return [("mlife.purse.receipted.v1", 1), *stamped]


@brief
def effects(log: Log) -> Iterator[str]:
    """Each payment has had each of its effects once, with the id that follows from it, after it."""
    caused = defaultdict(list)
    for r in log:
        if r.draft.actor == "handler oracle.receipt":
            caused[r.draft.causation_id].append(r)
    for r in log:
        found = sorted((c.draft.type, c.draft.id, fields(c)["payment"]) for c in caused.pop(r.draft.id, []))
        key = f"oracle.receipt:{UUID(bytes=r.draft.id)}"
        expected = sorted((kind, derived_id(f"{key}:{call}", 0), r.position) for kind, call in effects_of(r))
        if [e[:1] for e in found] != [e[:1] for e in expected]:
            yield f"{r!r} has the effects {[f[0] for f in found]}, not {[e[0] for e in expected]}"
        elif found != expected:
            yield f"{r!r} has effects with ids or facts that do not follow from it"
    yield from (f"{c[0]!r} has a cause that is not in the log" for c in caused.values())


def is_effect(log: Log) -> Callable[[Recorded[Any]], bool]:
    """Whether an event follows from one before it, by a handler, under an id that only this cause gives."""
    places = {r.draft.id: r.position for r in log}

    def judged(r: Recorded[Any]) -> bool:
        actor, cause = r.draft.actor or "", r.draft.causation_id
        if not actor.startswith("handler ") or cause is None or not places.get(cause, r.position) < r.position:
            return False
        key = f"{actor.removeprefix('handler ')}:{UUID(bytes=cause)}"
        ids = (derived_id(f"{key}:{call}", n) for call in range(1, 20) for n in range(20))
        return r.draft.id == derived_id(r.stream) or r.draft.id in ids

    return judged


@brief
def receipts(log: Log) -> Iterator[str]:
    """Receipts of a purse are numbered without gap, in the order of its payments: handlers act in order per key."""
    numbers: dict[str, tuple[int, int]] = {}
    for r in log:
        if r.draft.type.startswith("mlife.purse.receipted."):
            e = fields(r)
            number, payment = numbers.get(e["purse_id"], (0, 0))
            if e["number"] != number + 1 or e["payment"] <= payment:
                yield f"{r!r} is receipt {e['number']} for the payment at {e['payment']}, after {number} for {payment}"
            numbers[e["purse_id"]] = (e["number"], e["payment"])


# --- topics ---


@dataclass(frozen=True)
class Message:
    """A Kafka message of a component's topic as a subscriber gets it."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Mapping[str, str]
    value: bytes

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@brief
def published(log: Log, messages: Iterable[Message], topic_of: Callable[[str], str]) -> Iterator[str]:
    """
    The component topics together, without repetitions, hold exactly the log, in order per key, bytes equal.

    Args:
        messages: in order of offset within each partition.
        topic_of: versioned type name → topic.
    """
    by_position = {r.position: r for r in log}
    homes: dict[tuple[str, str], int] = {}
    newest: dict[tuple[str, int], int] = defaultdict(int)
    missing = set(by_position)
    for m in messages:
        position = int(m.headers["ce_sequence"])
        recorded = by_position.get(position)
        if recorded is None:
            yield f"{m} is event {position}, which the log does not have"
            continue
        yield from _differences(m, recorded, topic_of)
        if homes.setdefault((m.topic, m.key), m.partition) != m.partition:
            yield f"{m}: the key {m.key} is in two partitions"
        if position in missing:
            missing.discard(position)
            if position < newest[m.topic, m.partition]:
                yield f"{m}: event {position} comes for the first time behind {newest[m.topic, m.partition]}"
            newest[m.topic, m.partition] = position
    yield from (f"{by_position[p]!r} was never published" for p in sorted(missing))


def _differences(m: Message, r: Recorded[Any], topic_of: Callable[[str], str]) -> Iterator[str]:
    if (m.topic, m.key) != (topic_of(r.draft.type), r.draft.key):
        yield f"{m} has the key {m.key}, and {r!r} belongs to {topic_of(r.draft.type)} with {r.draft.key}"
    if m.value != r.draft.data:
        yield f"{m} has other bytes than {r!r}"
    told = {k: str(v) for k, v in r.as_cloud_event().items() if k not in {"data", "datacontenttype"}}
    heard = {k.removeprefix("ce_"): v for k, v in m.headers.items() if k.startswith("ce_")}
    if told != heard:
        yield f"{m} says {dict(heard.items() - told.items())}, and {r!r} says {dict(told.items() - heard.items())}"


@brief
def carried(log: Log, partitions: Iterable[tuple[int, Iterable[Log]]]) -> Iterator[str]:
    """
    Each partition of `mlife.log` is the whole log, contiguous but for repetitions.

    Args:
        partitions: number and records of each that there must be; read one after the other, they may be large.
    """
    mine = [(r.position, r.version, print_of(r.draft)) for r in log]
    for partition, records in partitions:
        reached = 0
        for run in records:
            first, last = run[0].position, run[-1].position
            if first > reached + 1:
                yield f"mlife.log[{partition}] goes on with {first} after {reached}"
            for r in run:
                if r.position > len(mine) or mine[r.position - 1] != (r.position, r.version, print_of(r.draft)):
                    yield f"mlife.log[{partition}] says something else than the log at {r.position}"
            reached = max(reached, last)
        if reached != len(mine):
            yield f"mlife.log[{partition}] ends at {reached}, and the log at {len(mine)}"


# --- reports that customers produced themselves ---


def reports_in(log: Log) -> dict[str, int]:
    """Report id → how often the log has it, of reports that came through Kafka."""
    return Counter(
        fields(r)["report_id"]
        for r in log
        if r.draft.type.startswith("mlife.badcase.reported.") and fields(r).get("client") == STREAM
    )


@brief
def taken_in(log: Log, produced: Iterable[str], delivered: Iterable[str]) -> Iterator[str]:
    """Each report whose delivery Kafka acknowledged is in the log once, and no other."""
    found = reports_in(log)
    yield from (
        f"report {i} was delivered to mlife.feedback and is not in the log" for i in delivered if i not in found
    )
    yield from (f"report {i} is in the log {n} times" for i, n in found.items() if n > 1)
    asked = set(produced)
    yield from (f"report {i} is in the log, and nobody sent it" for i in found if i not in asked)


@brief
def put_aside(noise: Iterable[bytes], refused: Sequence[bytes]) -> Iterator[str]:
    """What was delivered and can't be read is in the topic of what was refused, byte by byte; and nothing else is."""
    sent, found = set(noise), set(refused)
    yield from (f"{n!r} can't be read, and is not in mlife.feedback.dlq" for n in sorted(sent - found))
    yield from (
        f"mlife.feedback.dlq holds {n[:80]!r}, which can be read or was never sent" for n in sorted(found - sent)
    )
