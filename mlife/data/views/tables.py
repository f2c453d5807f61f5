"""The query tables of files, documents, groups and requests; their names begin with `data_`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text
from sqlalchemy.types import JSON

from mlife.core.tables import Moment, metadata

files = Table(
    "data_files",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("md5", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("stored_at", Moment, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index("data_files_by_md5", "md5"),
    Index("data_files_by_place", "place"),
)
"""One row for each stored file; `place` is the position of its event."""

documents = Table(
    "data_documents",
    metadata,
    Column("document_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("purpose", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("columns", JSON, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("next_number", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("request_id", Text),
    Column("iteration_id", Text),
    Column("made_by", Text),
    Column("imported_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index("data_documents_by_place", "place"),
    Index("data_documents_by_function", "system", "function"),
    Index("data_documents_by_request", "request_id"),
)
"""One row for each document; `rows` without those removed, `version` of its stream, `place` its first position."""

rows = Table(
    "data_rows",
    metadata,
    Column("row_key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("document_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("path", Text, nullable=False),
    Column("md5", Text, nullable=False),
    Column("sha256", Text),
    Column("label", Text),
    Column("classes", Integer, nullable=False),
    Column("annotation_type", Text),
    Column("file_type", Text),
    Column("size", BigInteger),
    Column("collection_place", Text),
    Column("captured_at", Moment),
    Column("badcase_id", Text),
    Column("body", JSON, nullable=False),
    Index("data_rows_by_number", "document_id", "number"),
    Index("data_rows_by_label", "document_id", "label", "classes", "annotation_type"),
    Index("data_rows_by_type", "document_id", "file_type", "size"),
    Index("data_rows_by_sha256", "sha256"),
    Index("data_rows_by_md5", "md5"),
    Index("data_rows_by_badcase", "badcase_id"),
)
"""
One row for each row of a document, as it is now. `row_key` is the event's position × 1,000 + the place in it, so new
rows go to the end of the table. `label` is the class, several joined by ` + `; `classes` says how many; `body` is all
of the row, as in a JSON document.
"""

row_classes = Table(
    "data_row_classes",
    metadata,
    Column("row_key", BigInteger, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("document_id", Text, nullable=False),
    Index("data_row_classes_by_label", "document_id", "label"),
    Index("data_row_classes_by_class", "label"),
    sqlite_with_rowid=False,
)
"""The classes of rows that have more than one; a row with one has it in `data_rows.label`."""

uses = Table(
    "data_uses",
    metadata,
    Column("identity", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("used_in", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("times", Integer, nullable=False),
    # of documents and groups only: nobody asks for the files of a badcase here, and reports come in floods
    Index(
        "data_uses_by_place",
        "used_in",
        sqlite_where=text("kind <> 'reported'"),
        postgresql_where=text("kind <> 'reported'"),
    ),
    sqlite_with_rowid=False,
)
"""
What the leakage guard looks at: which file is `reported` (in which badcase), a `testing` row (in which document or
group), in `training` or `validation` (in which group). `identity` is the SHA-256, and in a row of its own the MD5;
`sha256` beside it, or empty when it is not known. `times` counts rows, so that a removed one is taken back.
"""

groups = Table(
    "data_groups",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("system", Text),
    Column("function", Text),
    Column("sources", JSON, nullable=False),
    Column("query", Text, nullable=False),
    Column("sample", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("by_class", JSON, nullable=False),
    Column("digest", Text, nullable=False),
    Column("checked_at", BigInteger, nullable=False),
    Column("left_out", BigInteger, nullable=False),
    Column("duplicates", BigInteger, nullable=False),
    Column("iteration_id", Text),
    Column("made_by", Text),
    Column("grouped_at", Moment, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index("data_groups_by_place", "place"),
    Index("data_groups_by_iteration", "iteration_id"),
)
"""One row for each group; `sources`: document id → version read, `place`: position of its event."""

group_rows = Table(
    "data_group_rows",
    metadata,
    Column("group_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("md5", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("label", Text),
    Column("body", JSON, nullable=False),
    Index("data_group_rows_by_sha256", "sha256"),
    sqlite_with_rowid=False,
)
"""The frozen rows in their order, from 1."""

requests = Table(
    "data_requests",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("system", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("cause_id", Text),
    Column("iteration_id", Text),
    Column("made_by", Text),
    Column("state", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    Index("data_requests_by_place", "place"),
    Index("data_requests_by_state", "state", "place"),
    Index("data_requests_by_iteration", "iteration_id"),
)
"""One row for each collection request; `state` is `open`, `complete` or `given up`."""

request_classes = Table(
    "data_request_classes",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("wanted", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""Per class: rows wanted, rows received."""

request_documents = Table(
    "data_request_documents",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("document_id", Text, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("place", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What came in for a request."""
