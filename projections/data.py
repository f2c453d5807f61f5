"""Folds files, documents, groups and requests into the tables of `mlife.data.views`, and reports into the guard's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, select, text

from mlife.badcases.events import BadcaseReported, ReportDataFetched
from mlife.core.events import Event, Recorded, registry, to_micros
from mlife.core.projection import Projection, Tx
from mlife.data.analysis import annotation_type_of, classes_of, file_type_of
from mlife.data.events import (
    ROWS_IN_EVENT,
    CollectionClosed,
    CollectionReceived,
    CollectionRequested,
    DocumentGrouped,
    DocumentImported,
    DocumentRowsAdded,
    DocumentRowsRemoved,
    FileDerived,
    FileStored,
    GroupRowsFrozen,
)
from mlife.data.views import tables as t

Run = Sequence[Recorded[Any]]
JSON = Mapping[str, Any]

data = Projection(
    "data",
    version=1,
    tables=[
        t.files, t.documents, t.rows, t.row_classes, t.uses, t.groups, t.group_rows, t.requests, t.request_classes,
        t.request_documents,
    ],
)  # fmt: skip

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
LONGEST_LABEL = 200
PART = 4 << 20
"""Stored bytes that are decoded at a time."""


@data.on(FileStored)
def keep_files(run: Run, tx: Tx) -> None:
    """One row per file; stored twice is stored once."""
    tx.insert_missing(
        t.files,
        [
            {
                "sha256": r.event.sha256,
                "md5": r.event.md5,
                "size": r.event.size,
                "media_type": r.event.media_type,
                "name": r.event.name,
                "stored_at": r.draft.time,
                "place": r.position,
            }
            for r in run
        ],
    )


@data.on(BadcaseReported)
def mark_reported(run: Run, tx: Tx) -> None:
    """Reported files never train. Comes in floods: one statement for the run."""
    tx.insert_missing(
        t.uses,
        [
            {"identity": sha256, "kind": "reported", "used_in": r.json["badcase_id"], "sha256": sha256, "times": 1}
            for r in run
            for sha256 in _linked(r.json["data"])
        ],
    )


@data.on(ReportDataFetched)
def mark_fetched(run: Run, tx: Tx) -> None:
    """Neither do those whose bytes, and so their names, came later."""
    tx.insert_missing(
        t.uses,
        [
            {"identity": e.sha256, "kind": "reported", "used_in": e.badcase_id, "sha256": e.sha256, "times": 1}
            for e in (r.event for r in run)
        ],
    )


@data.on(FileDerived)
def mark_derived(run: Run, tx: Tx) -> None:
    """Nor do copies of them, however they were cropped or cut."""
    for e in (r.event for r in run):
        known = tx.execute(select(t.uses.c.used_in).where(t.uses.c.identity == e.source, t.uses.c.kind == "reported"))
        tx.insert_missing(
            t.uses,
            [
                {"identity": e.sha256, "kind": "reported", "used_in": row.used_in, "sha256": e.sha256, "times": 1}
                for row in known
            ],
        )


def _linked(links: Iterable[JSON]) -> Iterator[str]:
    """The SHA-256 of each link that tells one; a sealed link tells nobody."""
    for link in links:
        found = _SHA256.fullmatch(str(link.get("sha256") or link.get("uri") or ""))
        if found:
            yield found[1]


# ── documents ────────────────────────────────────────────────────────────────────────────────────


@data.on(DocumentImported, DocumentRowsAdded)
def keep_rows(run: Run, tx: Tx) -> None:
    """Documents and their rows, a few megabytes at a time: one run may hold a million rows."""
    for some in _by_bytes(run):
        # Decoded here and not by `Recorded.event`, which would keep all of them until the run is over.
        _keep_some_rows([(r, registry.decode(r.draft.type, r.draft.data)) for r in some], tx)


def _keep_some_rows(some: Sequence[tuple[Recorded[Any], Event]], tx: Tx) -> None:
    """Heads first, then all rows together."""
    tx.insert_missing(t.documents, [_head(r, e) for r, e in some if isinstance(e, DocumentImported)])
    added = [(r, e) for r, e in some if isinstance(e, DocumentRowsAdded)]
    _advance(tx, [r for r, _ in some], [e for _, e in added])
    testing = _testing(tx, {e.document_id for _, e in added})
    listed = [
        (r, e, at, row, set(classes_of(row.get("annotation")))) for r, e in added for at, row in enumerate(e.rows)
    ]
    tx.insert(t.rows, [_row(*one) for one in listed])
    tx.insert(
        t.row_classes,
        [
            {"row_key": _key(r, at), "label": label, "document_id": e.document_id}
            for r, e, at, _, classes in listed
            if len(classes) > 1
            for label in sorted(classes)
        ],
    )
    used = [(e.document_id, row) for _, e, _, row, _ in listed if e.document_id in testing]
    tx.add(t.uses, [u for document_id, row in used for u in _uses(row, "testing", document_id)])


def _head(r: Recorded[Any], e: DocumentImported) -> dict[str, Any]:
    return {
        "document_id": e.document_id,
        "name": e.name,
        "system": e.system,
        "function": e.function,
        "purpose": e.purpose,
        "form": e.form,
        "columns": _json(e.columns),
        "rows": 0,
        "next_number": 1,
        "version": r.version,
        "request_id": e.request_id,
        "iteration_id": e.iteration_id,
        "made_by": e.by,
        "imported_at": r.draft.time,
        "changed_at": r.draft.time,
        "place": r.position,
    }


def _advance(tx: Tx, run: Run, added: Sequence[DocumentRowsAdded]) -> None:
    """Bring the heads of the run's documents up to their last event."""
    last = {r.draft.key: r for r in run}
    counts = Counter({e.document_id: 0 for e in added})
    next_numbers: dict[str, int] = {}
    for e in added:
        counts[e.document_id] += len(e.rows)
        next_numbers[e.document_id] = max(next_numbers.get(e.document_id, 1), e.first + len(e.rows))
    before = {
        document_id: (count, number)
        for some in _parts(sorted(last), 500)
        for document_id, count, number in tx.execute(
            select(t.documents.c.document_id, t.documents.c.rows, t.documents.c.next_number).where(
                t.documents.c.document_id.in_(some)
            )
        )
    }
    tx.update(
        t.documents,
        [
            {
                "document_id": document_id,
                "rows": before[document_id][0] + counts[document_id],
                "next_number": max(before[document_id][1], next_numbers.get(document_id, 1)),
                "version": r.version,
                "changed_at": r.draft.time,
            }
            for document_id, r in last.items()
            if document_id in before
        ],
    )


def _testing(tx: Tx, document_ids: set[str]) -> set[str]:
    """Those of the documents whose rows are testing rows."""
    return {
        row[0]
        for some in _parts(sorted(document_ids), 500)
        for row in tx.execute(
            select(t.documents.c.document_id).where(
                t.documents.c.document_id.in_(some), t.documents.c.purpose == "testing"
            )
        )
    }


def _key(r: Recorded[Any], at: int) -> int:
    return r.position * ROWS_IN_EVENT + at


def _row(r: Recorded[Any], e: DocumentRowsAdded, at: int, row: JSON, classes: set[str]) -> dict[str, Any]:
    distinct = sorted(classes)
    return {
        "row_key": _key(r, at),
        "document_id": e.document_id,
        "number": e.first + at,
        "path": row["path"],
        "md5": row["md5"],
        "sha256": row.get("sha256"),
        "label": " + ".join(distinct)[:LONGEST_LABEL] if distinct else None,
        "classes": len(distinct),
        "annotation_type": annotation_type_of(row.get("annotation")) or None,
        "file_type": file_type_of(row["path"], row.get("file_type")) or None,
        "size": row.get("size"),
        "collection_place": row.get("collection_place"),
        "captured_at": _micros(row.get("captured_at")),
        "badcase_id": row["badcase_id"] if isinstance(row.get("badcase_id"), str) else None,
        "body": _json(row),
    }


@data.on(DocumentRowsRemoved)
def remove_rows(run: Run, tx: Tx) -> None:
    """Rows go, and with them what the guard knew of them in that document."""
    gone: Counter[str] = Counter()
    for r in run:
        e: DocumentRowsRemoved = r.event
        chosen = and_(t.rows.c.document_id == e.document_id, t.rows.c.number.in_(e.numbers))
        found = tx.execute(select(t.rows.c.row_key, t.rows.c.body).where(chosen))
        if e.document_id in _testing(tx, {e.document_id}):
            tx.add(t.uses, [u for f in found for u in _uses(f[1], "testing", e.document_id, -1)])
            of_rows = text("kind <> 'reported'")  # in these very words: the index by place has no others
            tx.delete(t.uses, and_(t.uses.c.used_in == e.document_id, t.uses.c.times <= 0, of_rows))
        tx.delete(t.row_classes, t.row_classes.c.row_key.in_([f[0] for f in found]))
        tx.delete(t.rows, chosen)
        gone[e.document_id] += len(found)
        _advance(tx, [r], [])
    for document_id, count in gone.items():
        before = tx.execute(select(t.documents.c.rows).where(t.documents.c.document_id == document_id))
        tx.update(t.documents, [{"document_id": document_id, "rows": b[0] - count} for b in before])


# ── groups ───────────────────────────────────────────────────────────────────────────────────────


@data.on(GroupRowsFrozen)
def freeze_rows(run: Run, tx: Tx) -> None:
    """The rows of a group; each event but the last of a group has 1,000."""
    for some in _by_bytes(run):
        tx.insert(t.group_rows, [row for r in some for row in _frozen(r)])


def _frozen(r: Recorded[Any]) -> Iterator[dict[str, Any]]:
    event = registry.decode(r.draft.type, r.draft.data)
    assert isinstance(event, GroupRowsFrozen)
    for at, row in enumerate(event.rows, 1):
        yield {
            "group_id": event.group_id,
            "number": (r.version - 1) * ROWS_IN_EVENT + at,
            "sha256": row.get("sha256") or "",
            "md5": row["md5"],
            "path": row["path"],
            "label": " + ".join(sorted(set(classes_of(row.get("annotation")))))[:LONGEST_LABEL] or None,
            "body": _json(row),
        }


@data.on(DocumentGrouped)
def seal_groups(run: Run, tx: Tx) -> None:
    """The group itself; its rows, frozen in the events before, are used from now on."""
    tx.insert(t.groups, [_group(r) for r in run])
    for r in run:
        after = 0
        while True:
            found = tx.execute(
                select(t.group_rows.c.number, t.group_rows.c.sha256, t.group_rows.c.md5)
                .where(t.group_rows.c.group_id == r.event.group_id, t.group_rows.c.number > after)
                .order_by(t.group_rows.c.number)
                .limit(20_000)
            )
            if not found:
                break
            after = found[-1][0]
            tx.add(
                t.uses,
                [u for f in found for u in _uses({"sha256": f[1], "md5": f[2]}, r.event.purpose, r.event.group_id)],
            )


def _group(r: Recorded[DocumentGrouped]) -> dict[str, Any]:
    e = r.event
    return {
        "group_id": e.group_id,
        "task_id": e.task_id,
        "name": e.name,
        "purpose": e.purpose,
        "system": e.system,
        "function": e.function,
        "sources": _json(e.documents),
        "query": e.query,
        "sample": e.sample,
        "rows": e.rows,
        "by_class": _json(e.by_class),
        "digest": e.digest,
        "checked_at": e.checked_at,
        "left_out": e.left_out,
        "duplicates": e.duplicates,
        "iteration_id": e.iteration_id,
        "made_by": e.by,
        "grouped_at": r.draft.time,
        "place": r.position,
    }


def _uses(row: JSON, kind: str, used_in: str, times: int = 1) -> Iterator[dict[str, Any]]:
    """What the guard must know of a row: its SHA-256, and its MD5 for rows that have no other name."""
    sha256, md5 = row.get("sha256") or "", row.get("md5") or ""
    for identity in (sha256, md5):
        if identity:
            yield {"identity": identity, "kind": kind, "used_in": used_in, "sha256": sha256, "times": times}


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


@data.on(CollectionRequested)
def open_requests(run: Run, tx: Tx) -> None:
    """One row per request, and one for each class that is wanted."""
    tx.insert(
        t.requests,
        [
            {
                "request_id": r.event.request_id,
                "system": r.event.system,
                "function": r.event.function,
                "what": r.event.what,
                "cause_id": r.event.cause_id,
                "iteration_id": r.event.iteration_id,
                "made_by": r.event.by,
                "state": "open",
                "note": "",
                "wanted": sum(r.event.wanted.values()),
                "received": 0,
                "requested_at": r.draft.time,
                "version": r.version,
                "place": r.position,
            }
            for r in run
        ],
    )
    tx.add(
        t.request_classes,
        [
            {"request_id": r.event.request_id, "label": label, "wanted": wanted, "received": 0}
            for r in run
            for label, wanted in r.event.wanted.items()
        ],
    )


@data.on(CollectionReceived, CollectionClosed)
def follow_requests(run: Run, tx: Tx) -> None:
    """What came in, and that nothing more is wanted."""
    for r in run:
        e: Event = r.event
        if isinstance(e, CollectionClosed):
            state = "complete" if e.complete else "given up"
            tx.update(
                t.requests,
                [{"request_id": e.request_id, "state": state, "note": e.note, "version": r.version}],
            )
        elif isinstance(e, CollectionReceived):
            tx.add(
                t.request_classes,
                [
                    {"request_id": e.request_id, "label": label, "wanted": 0, "received": count}
                    for label, count in e.by_class.items()
                ],
            )
            tx.insert_missing(
                t.request_documents,
                [{"request_id": e.request_id, "document_id": e.document_id, "rows": e.rows, "place": r.position}],
            )
            before = tx.execute(select(t.requests.c.received).where(t.requests.c.request_id == e.request_id))
            tx.update(
                t.requests,
                [{"request_id": e.request_id, "received": b[0] + e.rows, "version": r.version} for b in before],
            )


# ── values ───────────────────────────────────────────────────────────────────────────────────────


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _micros(text: str | None) -> int | None:
    return None if text is None else to_micros(datetime.fromisoformat(text))


def _by_bytes(run: Run) -> Iterator[list[Recorded[Any]]]:
    """*run* in parts of a few megabytes of stored bytes."""
    some: list[Recorded[Any]] = []
    size = 0
    for r in run:
        some.append(r)
        size += len(r.draft.data)
        if size > PART:
            yield some
            some, size = [], 0
    if some:
        yield some


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
