"""What happens to files, documents, groups and collection requests. Topic `mlife.data`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from mlife.core.events import Event, event

Purpose = Literal["training", "validation", "testing"]
ROWS_IN_EVENT = 1_000
"""Rows in one event, so that no event outgrows a Kafka message."""


@event("mlife.file.stored", stream="file/{sha256}", key="sha256", single=True)
class FileStored(Event):
    """
    Bytes are in the store, durably.

    Fields:
        sha256: 64 hex digits, the file's identity. md5: 32 hex digits. size: bytes.
        media_type: found by looking at the content. name: what it was called when it came.
    """

    sha256: str
    md5: str
    size: int = Field(ge=0)
    media_type: str
    name: str = ""


@event("mlife.file.derived", stream="derived/{sha256}", key="sha256", single=True)
class FileDerived(Event):
    """
    A new file was made of a stored one, which stays as it is; its `FileStored` precedes this.

    Fields:
        sha256: of the new file. source: SHA-256 of the file that it was made of.
        operation: the conversion's name. parameters: as they were given, so that it can be made again.
        media_type: of the new file.
    """

    sha256: str
    source: str
    operation: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    media_type: str
    by: str | None = None


@event("mlife.document.imported", stream="document/{document_id}", key="document_id")
class DocumentImported(Event):
    """
    A table of labelled files came in; its rows follow in `DocumentRowsAdded` of the same append.

    Fields:
        purpose: `testing` for test documents: their rows never enter training. `any` until a group decides.
        columns: free column name → type (`str`, `int`, `float`, `bool`, `json`).
        request_id: the collection request that it answers.
        by_class: label → rows, of the rows that came with it.
    """

    document_id: str
    name: str
    system: str | None = None
    function: str | None = None
    purpose: Literal["any", "testing"] = "any"
    columns: dict[str, str] = Field(default_factory=dict)
    form: str = ""
    rows: int = Field(ge=0)
    request_id: str | None = None
    iteration_id: str | None = None
    by: str | None = None
    by_class: dict[str, int] = Field(default_factory=dict)


@event("mlife.document.rows_added", stream="document/{document_id}", key="document_id")
class DocumentRowsAdded(Event):
    """
    Rows of a document, at most 1,000.

    Fields:
        rows: as in a JSON document: path, md5, annotation, sha256, known and free columns.
        first: number of the first one in the document, from 1.
    """

    document_id: str
    first: int = Field(ge=1)
    rows: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=ROWS_IN_EVENT)


@event("mlife.document.rows_removed", stream="document/{document_id}", key="document_id")
class DocumentRowsRemoved(Event):
    """Rows were taken out, by their numbers; frozen groups keep them."""

    document_id: str
    numbers: tuple[int, ...] = Field(min_length=1)
    reason: str
    by: str | None = None


@event("mlife.group.rows_frozen", stream="group/{group_id}", key="group_id")
class GroupRowsFrozen(Event):
    """Rows of a group, at most 1,000, in order; they precede `DocumentGrouped` in the same append."""

    group_id: str
    rows: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=ROWS_IN_EVENT)


@event("mlife.document.grouped", stream="group/{group_id}", key="group_id")
class DocumentGrouped(Event):
    """
    Group Items: rows of documents are frozen as a set, and a Task ID is minted.

    Fields:
        task_id: of the draft task that a handler makes.
        documents: document id → version of its stream that was read.
        query: what selected the rows.
        by_class: label → rows.
        digest: SHA-256 over the frozen rows, canonical JSON, one a line.
        checked_at: position of the query tables at which the leakage guard looked.
        left_out: rows that the leakage guard kept out.
        sample: how rows were drawn from those that the query found, in words; empty: all of them.
        duplicates: rows that named a file again with the same annotation, and were folded into the first.
    """

    group_id: str
    task_id: str
    name: str
    purpose: Purpose
    system: str | None = None
    function: str | None = None
    documents: dict[str, int]
    query: str = ""
    rows: int = Field(ge=1)
    by_class: dict[str, int]
    digest: str
    checked_at: int
    left_out: int = 0
    iteration_id: str | None = None
    by: str | None = None
    sample: str = ""
    duplicates: int = 0


@event("mlife.collection.requested", stream="request/{request_id}", key="request_id")
class CollectionRequested(Event):
    """
    Data is wanted, because of a cause or an iteration.

    Fields:
        wanted: label → rows wanted. what: in words, for the people who collect.
    """

    request_id: str
    system: str
    function: str
    what: str
    wanted: dict[str, int]
    cause_id: str | None = None
    iteration_id: str | None = None
    by: str | None = None


@event("mlife.collection.received", stream="request/{request_id}", key="request_id")
class CollectionReceived(Event):
    """A document came in for a request."""

    request_id: str
    document_id: str
    by_class: dict[str, int]
    rows: int


@event("mlife.collection.closed", stream="request/{request_id}", key="request_id")
class CollectionClosed(Event):
    """Nothing more is wanted: it is complete, or given up."""

    request_id: str
    complete: bool
    note: str = ""
    by: str | None = None
