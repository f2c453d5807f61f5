"""
Decisions about documents, groups and collection requests.

The rows of a large import do not pass through here: `intake` judges them one by one, and appends them together with
what `import_document` decides. Which files are used where is too large to fold: the leakage guard gets it as an
argument, with the position at which the query tables were read.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from mlife.core.command import Given, State
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event, canonical_json
from mlife.core.names import test_document_id as test_document_id  # noqa: PLC0414 - found here too
from mlife.data.analysis import classes_of
from mlife.data.events import (
    ROWS_IN_EVENT,
    CollectionClosed,
    CollectionReceived,
    CollectionRequested,
    DocumentGrouped,
    DocumentImported,
    DocumentRowsAdded,
    DocumentRowsRemoved,
    FileStored,
    GroupRowsFrozen,
    Purpose,
)
from mlife.data.leakage import Use, describe, find_leaks

JSON = dict[str, Any]
Word = Annotated[str, Field(min_length=1, max_length=256)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
UNLABELLED = ""
"""The class of rows that have none, in counts."""


class Document(State):
    """
    A document's rows by their numbers, and what was pinned in it.

    `pins`: (badcase id, SHA-256) of its rows.
    """

    category = "document"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.purpose = "any"
        self.system: str | None = None
        self.function: str | None = None
        self.next_number = 1
        self.removed: set[int] = set()
        self.pins: set[tuple[str, str]] = set()

    def apply(self, event: Event) -> None:
        """See `State.apply`."""
        match event:
            case DocumentImported():
                self.purpose, self.system, self.function = event.purpose, event.system, event.function
            case DocumentRowsAdded():
                self.next_number = max(self.next_number, event.first + len(event.rows))
                self.pins.update((r["badcase_id"], r["sha256"]) for r in event.rows if "badcase_id" in r)
            case DocumentRowsRemoved():
                self.removed.update(event.numbers)


class Request(State):
    """A collection request: is it open, and which documents came in."""

    category = "request"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.closed = False
        self.system: str | None = None
        self.function: str | None = None
        self.iteration_id: str | None = None
        self.answers: set[str] = set()

    def apply(self, event: Event) -> None:
        """See `State.apply`."""
        match event:
            case CollectionRequested():
                self.system, self.function = event.system, event.function
                self.iteration_id = event.iteration_id
            case CollectionReceived():
                self.answers.add(event.document_id)
            case CollectionClosed():
                self.closed = True


def record_file(
    given: Given,  # noqa: ARG001 - a file depends on no stream
    *,
    sha256: str,
    md5: str,
    size: int,
    media_type: str,
    name: str = "",
) -> list[Event]:
    """Record that the bytes of a file are in the store; a file is recorded once, whoever says so."""
    return [FileStored(sha256=sha256, md5=md5, size=size, media_type=media_type, name=name[:1024])]


def import_document(
    given: Given,
    *,
    document_id: Id,
    name: Word,
    rows: Annotated[int, Field(ge=1)],
    by_class: dict[str, int],
    columns: dict[str, str],
    form: str = "",
    purpose: Literal["any", "testing"] = "any",
    system: str | None = None,
    function: str | None = None,
    request_id: str | None = None,
    iteration_id: str | None = None,
) -> list[Event]:
    """
    A table of labelled files comes in; its rows follow in the same append.

    What answers a request is for the function that asked, if nothing else is said.

    Raises:
        Refused: the id is taken, or the request is closed.
        NotFound: there is no such request.
    """
    if given(Document, document_id).exists:
        raise Refused(
            f"document {document_id} exists already, with other content",
            remedy=f"append the rows with --into {document_id}, or import under another --id",
        )
    if request_id is not None:
        request = _request(given, request_id)
        if request.closed:
            raise Refused(f"request {request_id} is closed", remedy="import without it, or open another request")
        iteration_id = iteration_id or request.iteration_id
        if system is None and function is None:
            system, function = request.system, request.function
    return [
        DocumentImported(
            document_id=document_id,
            name=name,
            system=system,
            function=function,
            purpose=purpose,
            columns=columns,
            form=form,
            rows=rows,
            request_id=request_id,
            iteration_id=iteration_id,
            by=given.actor,
            by_class=by_class,
        )
    ]


def append_test_rows(
    given: Given, *, document_id: Id, system: str, function: str, badcase_id: str, rows: list[JSON]
) -> list[Event]:
    """
    Add to Test Data: rows of a badcase go into its function's test document, which is made with the first of them.

    Args:
        rows: as in a JSON document, with `sha256`; one that the badcase has there already is passed over.
    """
    document = given(Document, document_id)
    new: list[JSON] = []
    for row in rows:
        pin = (badcase_id, row["sha256"])
        if pin not in document.pins:
            document.pins.add(pin)
            new.append({**row, "badcase_id": badcase_id})
    if not new:
        return []
    made: list[Event] = []
    if not document.exists:
        made.append(
            DocumentImported(
                document_id=document_id,
                name=f"Test data of {system} {function}",
                system=system,
                function=function,
                purpose="testing",
                columns={"badcase_id": "str", "report": "str", "must_pass": "bool"},
                form="pinned",
                rows=len(new),
                by=given.actor,
                by_class=count_classes(new),
            )
        )
    return [*made, *rows_added(document_id, new, document.next_number)]


def remove_rows(
    given: Given, *, document_id: Id, numbers: Annotated[list[int], Field(min_length=1)], reason: Word
) -> list[Event]:
    """
    Take rows out of a document; frozen groups keep them.

    Raises:
        Refused: a number that the document has not.
        NotFound: no such document.
    """
    document = given(Document, document_id)
    if not document.exists:
        raise no_such("document", document_id)
    wanted = sorted(set(numbers))
    strange = [n for n in wanted if not 1 <= n < document.next_number]
    if strange:
        raise Refused(
            f"document {document_id} has no row {', '.join(map(str, strange[:5]))}",
            remedy=f"its rows are numbered from 1 to {document.next_number - 1}",
        )
    left = [n for n in wanted if n not in document.removed]
    return [
        DocumentRowsRemoved(
            document_id=document_id, numbers=tuple(left[start : start + ROWS_IN_EVENT]), reason=reason, by=given.actor
        )
        for start in range(0, len(left), ROWS_IN_EVENT)
    ]


def group_items(
    given: Given,
    *,
    name: Word,
    purpose: Purpose,
    documents: dict[str, int],
    rows: list[JSON],
    uses: Sequence[Use],
    checked_at: int,
    query: str = "",
    sample: str = "",
    system: str | None = None,
    function: str | None = None,
    iteration_id: str | None = None,
    without_leaks: bool = False,
) -> list[Event]:
    """
    Group Items: freeze rows as a set for training, validation or testing, and mint the Task ID of a draft task.

    Args:
        documents: id → version of its stream that the rows were read at.
        rows: as in a JSON document, in order, each with `sha256`.
        uses: what the leakage guard knows of their files. checked_at: position at which it was read.
        without_leaks: leave rows out that may not be used, instead of refusing all.

    Raises:
        Refused: rows that may not be used for *purpose*, or none is left.
    """
    kept, duplicates = _folded(rows)
    leaks = find_leaks(kept, purpose, uses)
    if leaks and not without_leaks:
        raise Refused(
            describe(leaks, len(kept), purpose),
            remedy="choose other rows, or leave these out with --without-leaks (without_leaks)",
        )
    leaking = {leak.at for leak in leaks}
    kept = [row for at, row in enumerate(kept) if at not in leaking]
    if not kept:
        why = f": {describe(leaks, len(leaks), purpose)}" if leaks else ""
        raise Refused(f"no row is left to group{why}", remedy="widen the query, or choose other documents")
    group_id = given.new_id("grp")
    frozen = [GroupRowsFrozen(group_id=group_id, rows=tuple(some)) for some in chunked(kept)]
    return [
        *frozen,
        DocumentGrouped(
            group_id=group_id,
            task_id=given.new_id("tsk"),
            name=name,
            purpose=purpose,
            system=system,
            function=function,
            documents=documents,
            query=query,
            rows=len(kept),
            by_class=count_classes(kept),
            digest=seal(kept),
            checked_at=checked_at,
            left_out=len(leaks),
            iteration_id=iteration_id,
            by=given.actor,
            sample=sample,
            duplicates=duplicates,
        ),
    ]


def request_collection(
    given: Given,
    *,
    system: Word,
    function: Word,
    what: Annotated[str, Field(min_length=1, max_length=2_000)],
    wanted: Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(min_length=1)],
    cause_id: str | None = None,
    iteration_id: str | None = None,
) -> list[Event]:
    """
    Ask for data.

    Args:
        wanted: label → rows wanted. what: in words, for the people who collect.
    """
    return [
        CollectionRequested(
            request_id=given.new_id("req"),
            system=system,
            function=function,
            what=what,
            wanted=wanted,
            cause_id=cause_id,
            iteration_id=iteration_id,
            by=given.actor,
        )
    ]


def credit_request(
    given: Given, *, request_id: str, document_id: str, rows: int, by_class: dict[str, int]
) -> list[Event]:
    """A document came in for a request; counted once."""
    if document_id in _request(given, request_id).answers:
        return []
    return [CollectionReceived(request_id=request_id, document_id=document_id, by_class=by_class, rows=rows)]


def close_request(given: Given, *, request_id: str, complete: bool = True, note: str = "") -> list[Event]:
    """Nothing more is wanted: it is complete, or given up."""
    if _request(given, request_id).closed:
        return []
    return [CollectionClosed(request_id=request_id, complete=complete, note=note, by=given.actor)]


# ── what decisions share ─────────────────────────────────────────────────────────────────────────


def rows_added(document_id: str, rows: Sequence[JSON], first: int) -> list[DocumentRowsAdded]:
    """*rows* as events of at most 1,000, numbered from *first*."""
    return [
        DocumentRowsAdded(document_id=document_id, first=first + ROWS_IN_EVENT * at, rows=tuple(some))
        for at, some in enumerate(chunked(rows))
    ]


def chunked(rows: Sequence[JSON]) -> Iterator[Sequence[JSON]]:
    """*rows* in parts that fit one event."""
    return (rows[start : start + ROWS_IN_EVENT] for start in range(0, len(rows), ROWS_IN_EVENT))


def count_classes(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Class → rows that have it, most frequent first; rows without one under ""."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(set(classes_of(row.get("annotation"))) or {UNLABELLED})
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def seal(rows: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over *rows*: canonical JSON, one a line."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(row) + b"\n")
    return digest.hexdigest()


def _folded(rows: Sequence[JSON]) -> tuple[list[JSON], int]:
    """*rows* without those that name a file again with the same annotation, and how many those were."""
    seen: set[tuple[str, bytes]] = set()
    kept = []
    for row in rows:
        key = (row.get("sha256") or row["md5"], canonical_json({"is": row.get("annotation")}))
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept, len(rows) - len(kept)


def _request(given: Given, request_id: str) -> Request:
    request = given(Request, request_id)
    if not request.exists:
        raise no_such("request", request_id)
    return request
