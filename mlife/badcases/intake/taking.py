"""
Intake: reports and traffic into the log, fast, without building an event object or a decision.

A report needs no decision, so it is only judged, fingerprinted and hashed; its stored bytes are its canonical JSON with
the added members behind. A test proves that what is stored here decodes as the event. Sending twice changes nothing:
the event's id follows from client and report id, and the log answers "known".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import orjson

from mlife.badcases.events import BadcaseReported, TrafficCounted
from mlife.badcases.fingerprint import Grouping, Groupings
from mlife.badcases.intake.declared import Schemas
from mlife.badcases.intake.reading import Item, Reader, items_of, unwrapped
from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.intake.report import canonical, check, check_traffic
from mlife.badcases.places import rule_of
from mlife.badcases.wording import PLACE
from mlife.core import metrics
from mlife.core.errors import Refusal
from mlife.core.events import Draft, Event, Recorded, to_micros, uuid5_bytes
from mlife.core.ports import Append, Clock, EventStore, Pending, SystemClock
from mlife.core.sealing import Sealer

JSON = Any
CHUNK = 1_000
"""Items in one append."""
MOST_REFUSALS = 1_000
"""Refusals that an answer spells out; more are counted."""

_sha256 = hashlib.sha256
_draft = tuple.__new__
"""Makes a named tuple from a tuple at half the cost; a hundred thousand a second are made here."""
_Prepared = tuple[Draft, str]
"""A draft, and what must be equal if its id is known: the content's hash, or the count."""


@dataclass
class Answer:
    """
    What became of a batch.

    Args:
        position: the highest of its items, old ones included; wait for it to read your own write.
        accepted, known: items that are new, and that had been sent before.
        refused: those that were not taken, each with line, field, value, problem, expected; at most 1,000.
        refused_more: how many were refused beyond those.
        ids: one for each item taken, if they were asked for: line, report_id or uid, badcase_id, known.
    """

    position: int = 0
    accepted: int = 0
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)
    refused_more: int = 0
    ids: list[dict[str, JSON]] | None = None

    @property
    def items(self) -> int:
        """How many were judged."""
        return self.accepted + self.known + len(self.refused) + self.refused_more

    def refuse(self, fault: Unfit, line: int) -> None:
        """Count the item on *line* as refused."""
        if len(self.refused) < MOST_REFUSALS:
            self.refused.append(fault.at(line))
        else:
            self.refused_more += 1

    def as_json(self) -> dict[str, JSON]:
        """The answer as the contract spells it."""
        told: dict[str, JSON] = {
            "position": self.position,
            "accepted": self.accepted,
            "known": self.known,
            "refused": [r.as_json() for r in sorted(self.refused, key=lambda r: r.line)],
        }
        if self.refused_more:
            told["refused_more"] = self.refused_more
        if self.ids is not None:
            told["ids"] = self.ids
        return told


@dataclass(frozen=True)
class Intake:
    """
    The one door for reports and traffic, whoever knocks: command line, HTTP, Python.

    Args:
        clock: gives the time of recording, and what "in the future" means.
        source: CloudEvents source instead of `/mlife/<system>`, e.g. `/mlife/simulation`.
        actor: who sends; None for devices and streams.
        traceparent: W3C trace context of the request.
    """

    store: EventStore
    sealer: Sealer
    clock: Clock = field(default_factory=SystemClock)
    source: str | None = None
    actor: str | None = None
    traceparent: str | None = None
    _groupings: Groupings = field(default_factory=Groupings, repr=False, compare=False)
    _sealed: dict[tuple[type[Event], str], frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def reports(self, payload: bytes | Iterable[Mapping[str, JSON]], *, ids: bool = False) -> Answer:
        """
        Take reports.

        Args:
            payload: bytes (NDJSON, JSON array or object, CloudEvents), or dictionaries.
            ids: name each item taken in the answer.

        Raises:
            Invalid: an array too long to be held. Single items are never raised but answered.
            HomeUnusable: the log can't be written; chunks before are kept, and sending again is harmless.
        """
        sending = self.sending(ids=ids)
        for items in items_of(payload):
            sending.take(items)
        return sending.finish()

    def traffic(self, payload: bytes | Iterable[Mapping[str, JSON]], *, ids: bool = False) -> Answer:
        """Take traffic counts; the same interval with another count is refused. As `reports` otherwise."""
        sending = self.sending(ids=ids, traffic=True)
        for items in items_of(payload):
            sending.take(items)
        return sending.finish()

    def sending(
        self, *, ids: bool = False, traffic: bool = False, preview: bool = False, reader: ItemReader | None = None
    ) -> Sending:
        """
        A stream of reports (or of traffic) whose bytes come piece by piece.

        Args:
            preview: judge everything and take nothing; the answer is what it would be.
            reader: of the bytes; by default one of JSON in all its forms.
        """
        prepare = self._prepare_traffic if traffic else self._prepare_report
        return Sending(self, prepare, ids=ids, has_fields=not traffic, preview=preview, reader=reader)

    def grouping_of(self, report: Mapping[str, JSON]) -> Grouping:
        """
        Where a report would be counted that is not sent yet, such as one that somebody types.

        Raises:
            Unfit: it can't be taken as it is.
        """
        checked, _ = check(report, self.clock.now())
        return self._groupings.of(checked)

    def look_again(self) -> None:
        """Rules by which reports are told apart may have changed."""
        self._groupings.look_again(partial(rule_of, self.store))

    # --- one item ---

    def _prepare_report(self, item: Mapping[str, JSON], now: datetime, micros: int, schemas: Schemas) -> _Prepared:
        """
        The event of a report, ready to be stored, and the hash of its content.

        Raises:
            Unfit: it can't be taken.
        """
        report, text = check(item, now)
        content = _sha256(text).hexdigest()
        report_id = report.get("report_id")
        own_id = ""
        if not report_id:
            report_id, own_id = content, f'"report_id":"{content}",'
        uid = _sha256(f"{report.get('client') or ''}\0{report_id}".encode()).hexdigest()[:32]
        stream = f"report/{uid}"
        event_id = uuid5_bytes(stream.encode())
        grouping = self._groupings.of(report)
        added = f',{own_id}"content_sha256":"{content}","uid":"{uid}",{grouping.json}}}'
        data = text[:-1] + added.encode()
        system = report["system"]
        free = schemas.of(system, report["function"]).personal if report.get("fields") else ()
        names = self._declared(BadcaseReported, system)
        if free or names or "reporter" in report:
            # a free field `place` says the same as the field, so it is sealed like that
            data = self._seal(BadcaseReported, event_id, data, {*free, PLACE} if PLACE in names else free)
        source = self.source or f"/mlife/{system}"
        row = (event_id, stream, 1, _REPORTED, grouping.badcase_id, micros, source, None, None, self.actor,
               self.traceparent, data, _sha256(data).digest())  # fmt: skip
        return _draft(Draft, row), content

    def _prepare_traffic(self, item: Mapping[str, JSON], now: datetime, micros: int, _schemas: Schemas) -> _Prepared:
        """As `_prepare_report`; what must be equal is the count."""
        traffic = check_traffic(item, now)
        interval = {k: v for k, v in traffic.items() if k != "count"}
        uid = _sha256(canonical(interval)).hexdigest()[:32]
        stream = f"traffic/{uid}"
        event_id = uuid5_bytes(stream.encode())
        data = canonical({**traffic, "uid": uid})
        if self._declared(TrafficCounted, traffic["system"]):
            data = self._seal(TrafficCounted, event_id, data)
        source = self.source or f"/mlife/{traffic['system']}"
        row = (event_id, stream, 1, _COUNTED, traffic["function"], micros, source, None, None, self.actor,
               self.traceparent, data, _sha256(data).digest())  # fmt: skip
        return _draft(Draft, row), str(traffic["count"])

    def _declared(self, cls: type[Event], system: str) -> frozenset[str]:
        """Fields beside `reporter` that *system* wants sealed."""
        names = self._sealed.get((cls, system))
        if names is None:
            if len(self._sealed) > 10_000:
                self._sealed.clear()
            names = self._sealed[cls, system] = self.sealer.fields_of(cls, system) - {"reporter"}
        return names

    def _seal(self, cls: type[Event], event_id: bytes, data: bytes, free: Collection[str] = ()) -> bytes:
        plain = orjson.loads(data)
        sealed = self.sealer.seal(cls, event_id, plain, free)
        return data if sealed is plain else orjson.dumps(sealed)


_REPORTED = BadcaseReported.declared.type
_COUNTED = TrafficCounted.declared.type


class ItemReader(Protocol):
    """Bytes in, items out; `Reader` is one."""

    def feed(self, some: bytes) -> Iterable[Item]:
        """The items that *some* completes."""

    def finish(self) -> Iterable[Item]:
        """The items of what is left."""


@dataclass
class _Chunk:
    """Items on their way into the log: the drafts, what must be equal if they are known, and their lines."""

    drafts: list[Draft] = field(default_factory=list)
    equals: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


class Sending:
    """
    One sender's stream: bytes in, appends of 1,000 as they fill up, one answer.

    While the log writes one chunk the next is prepared. `feed` blocks until the chunk before is durable, which is the
    back-pressure.
    """

    def __init__(
        self,
        intake: Intake,
        prepare: Callable[[Mapping[str, JSON], datetime, int, Schemas], _Prepared],
        *,
        ids: bool,
        has_fields: bool = False,
        preview: bool = False,
        reader: ItemReader | None = None,
    ) -> None:
        self._intake, self._prepare, self._has_fields = intake, prepare, has_fields
        self._seen: set[bytes] | None = set() if preview else None
        self._reader = reader or Reader()
        self._chunk = _Chunk()
        self._written: tuple[Pending, _Chunk] | None = None
        self._answer = Answer(ids=[] if ids else None)

    def feed(self, some: bytes) -> None:
        """Take what *some* completes."""
        self.take(self._reader.feed(some))

    def take(self, items: Iterable[tuple[int, JSON]]) -> None:
        """Take parsed items with their lines."""
        now = self._intake.clock.now()
        micros = to_micros(now)
        prepare, chunk = self._prepare, self._chunk
        schemas = Schemas(self._intake.store)
        self._intake.look_again()
        doubtful: list[tuple[int, Draft, str, Unfit]] = []
        for line, item in items:
            try:
                bare = item if type(item) is dict and "specversion" not in item else unwrapped(item)
                draft, equal = prepare(bare, now, micros, schemas)
                if self._has_fields and (free := bare.get("fields")):
                    schema = schemas.of(bare["system"], bare["function"])
                    if schema.fields and (misfit := schema.misfit(free)):
                        doubtful.append((line, draft, equal, misfit))
                        continue
            except Unfit as fault:
                self._answer.refuse(fault, line)
                continue
            chunk.drafts.append(draft)
            chunk.equals.append(equal)
            chunk.lines.append(line)
            if len(chunk.drafts) >= CHUNK:
                self._submit()
                chunk = self._chunk
        if doubtful:
            self._settle(doubtful)

    def _settle(self, doubtful: Sequence[tuple[int, Draft, str, Unfit]]) -> None:
        """What does not fit what is declared is refused, unless it was taken before that was declared."""
        stored = self._intake.store.find([draft.id for _, draft, _, _ in doubtful])
        for line, draft, equal, misfit in doubtful:
            before = stored.get(draft.id)
            if before is None or orjson.loads(before.draft.data)["content_sha256"] != equal:
                self._answer.refuse(misfit, line)
                continue
            self._answer.known += 1
            self._answer.position = max(self._answer.position, before.position)
            if self._answer.ids is not None:
                self._answer.ids.append(_named(line, draft, known=True))

    def finish(self) -> Answer:
        """Take what is left; the answer to everything."""
        self.take(self._reader.finish())
        if self._chunk.drafts:
            self._submit()
        self._collect()
        answer = self._answer
        if self._seen is not None:
            return answer
        refused = len(answer.refused) + answer.refused_more
        for became, count in (("accepted", answer.accepted), ("known", answer.known), ("refused", refused)):
            metrics.intake.add(became, count=count)
        return answer

    def _submit(self) -> None:
        """Hand the chunk to the log, after the one before is durable."""
        self._collect()
        chunk, self._chunk = self._chunk, _Chunk()
        if self._seen is not None:
            self._look(chunk, self._seen)
            return
        self._written = (self._intake.store.submit(Append(chunk.drafts, whole=False)), chunk)

    def _collect(self) -> None:
        """Wait for the chunk that is being written; known items are held against what is stored."""
        if self._written is None:
            return
        (pending, chunk), self._written = self._written, None
        appended = pending.result()
        answer = self._answer
        answer.position = max(answer.position, appended.position)
        known = sum(appended.known)
        answer.accepted += len(chunk.drafts) - known
        refused = self._compare(chunk, appended.known) if known else frozenset[int]()
        if answer.ids is not None:
            for at, (line, draft) in enumerate(zip(chunk.lines, chunk.drafts, strict=True)):
                if at not in refused:
                    answer.ids.append(_named(line, draft, known=appended.known[at]))

    def _look(self, chunk: _Chunk, seen: set[bytes]) -> None:
        """What would become of the chunk."""
        stored = self._intake.store.find([draft.id for draft in chunk.drafts])
        known = []
        for draft in chunk.drafts:
            known.append(draft.id in stored or draft.id in seen)
            seen.add(draft.id)
        answer = self._answer
        answer.accepted += len(known) - sum(known)
        there = [k and draft.id in stored for k, draft in zip(known, chunk.drafts, strict=True)]
        answer.known += sum(known) - sum(there)
        refused = self._compare(chunk, there)
        if answer.ids is not None:
            for at, (line, draft) in enumerate(zip(chunk.lines, chunk.drafts, strict=True)):
                if at not in refused:
                    answer.ids.append(_named(line, draft, known=known[at]))

    def _compare(self, chunk: _Chunk, known: Iterable[bool]) -> frozenset[int]:
        """A known id with other content is refused, with the difference; the places of those."""
        refused = set[int]()
        again = [at for at, k in enumerate(known) if k]
        stored = self._intake.store.find([chunk.drafts[at].id for at in again])
        for at in again:
            draft, equal = chunk.drafts[at], chunk.equals[at]
            before = stored[draft.id]
            told = orjson.loads(before.draft.data)
            if str(told["content_sha256" if draft.type == _REPORTED else "count"]) == equal:
                self._answer.known += 1
            else:
                self._answer.refuse(self._difference(draft, before, told), chunk.lines[at])
                refused.add(at)
        return frozenset(refused)

    def _difference(self, draft: Draft, before: Recorded[Event], told: Mapping[str, JSON]) -> Unfit:
        opened = self._intake.sealer.open(dict(told))
        sent = self._intake.sealer.open(orjson.loads(draft.data))
        if draft.type == _COUNTED:
            return Unfit(
                "count",
                sent["count"],
                f"differs from the {told['count']} of the same interval at position {before.position}",
                "the count as sent first, or another interval",
            )
        names = sorted(n for n in opened.keys() | sent.keys() if n not in _ADDED and opened.get(n) != sent.get(n))
        field_at_fault = names[0] if names else ""
        return Unfit(
            field_at_fault,
            sent.get(field_at_fault, ""),
            f"differs from the report {sent['report_id']!r} that is known at position {before.position}"
            + (f" (in {', '.join(names)})" if len(names) > 1 else ""),
            "the content as sent first, or another report_id",
        )


_ADDED = frozenset({"badcase_id", "fingerprint", "fingerprint_version", "content_sha256", "uid"})


def _named(line: int, draft: Draft, *, known: bool) -> dict[str, JSON]:
    uid = draft.stream.partition("/")[2]
    if draft.type == _COUNTED:
        return {"line": line, "uid": uid, "known": known}
    report_id = orjson.loads(draft.data)["report_id"]
    return {"line": line, "uid": uid, "report_id": report_id, "badcase_id": draft.key, "known": known}
