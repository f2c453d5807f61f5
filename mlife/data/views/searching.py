"""What can be asked about documents, rows, groups, requests and files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean, ColumnElement, case, exists, or_, select, type_coerce, union_all

from mlife.core.query import Field, Searchable, contains_text
from mlife.core.tables import json_value
from mlife.data.views.tables import documents, files, groups, requests, row_classes, rows, uses

PURPOSES = ("training", "validation", "testing")
_has_class = union_all(
    select(rows.c.row_key.label("owner"), rows.c.label.label("class_name")).where(rows.c.classes == 1),
    select(row_classes.c.row_key.label("owner"), row_classes.c.label.label("class_name")),
).subquery("class_of_row")


def _class_among(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return rows.c.row_key.in_(select(_has_class.c.owner).where(condition))


def is_stored() -> ColumnElement[bool]:
    """Are the bytes of a row in the store?"""
    kept = files.alias("kept_file")
    by_sha256 = exists().where(kept.c.sha256 == rows.c.sha256)
    by_md5 = exists().where(kept.c.md5 == rows.c.md5)
    return case((rows.c.sha256.is_not(None), by_sha256), else_=by_md5)


def _used(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    same = or_(
        uses.c.identity == rows.c.sha256,
        (uses.c.identity == rows.c.md5) & (rows.c.sha256.is_(None) | (uses.c.sha256 == "")),
    )
    return exists().where(same, condition)


ROW_FIELDS: tuple[Field, ...] = (
    Field("class", _has_class.c.class_name, "text", "A class of the row.", via=_class_among),
    Field("label", rows.c.label, "text", "The class as shown; several are joined by ` + `."),
    Field("path", rows.c.path, "text", "The path of the file."),
    Field("type", rows.c.file_type, "text", "The file type: what the document says, else the path's ending."),
    Field("annotation", rows.c.annotation_type, "text", "The type of the annotation; `label` for a plain one."),
    Field("size", rows.c.size, "number", "Bytes."),
    Field("place", rows.c.collection_place, "text", "Where it was collected."),
    Field("captured", rows.c.captured_at, "date", "When it was captured.", aliases=("captured_at",)),
    Field("number", rows.c.number, "number", "The row's number in its document."),
    Field("document", rows.c.document_id, "text", "The document that it is in."),
    Field("sha256", rows.c.sha256, "text", "SHA-256 of the file."),
    Field("md5", rows.c.md5, "text", "MD5 of the file."),
    Field("badcase", rows.c.badcase_id, "text", "The badcase that it was pinned for."),
    Field(
        "missing",
        type_coerce(case((is_stored(), False), else_=True), Boolean),
        "flag",
        "Are its bytes missing from the store?",
    ),
    Field(
        "use",
        uses.c.kind,
        "choice",
        "What its file is used for elsewhere.",
        choices=("reported", *PURPOSES),
        via=_used,
    ),
)
_FREE_NAME = re.compile(r"[^\W\d][\w.-]*")
_KINDS: Mapping[str, Any] = {"str": "text", "bool": "flag", "int": "number", "float": "number"}


def searchable_rows(columns: Mapping[str, str] | None = None) -> Searchable:
    """The rows of documents; *columns* (free column → type) can be asked about by their names in lower case."""
    taken = {n for f in ROW_FIELDS for n in (f.name, *f.aliases)}
    free = []
    for name, kind in (columns or {}).items():
        plain = name.lower()
        if kind in _KINDS and plain not in taken and _FREE_NAME.fullmatch(plain):
            taken.add(plain)
            free.append(Field(plain, _free(name, kind), _KINDS[kind], f"The document's column {name}."))
    return Searchable(
        "rows", rows.c.row_key, (*ROW_FIELDS, *free), text=contains_text(rows.c.path, rows.c.label, rows.c.md5)
    )


def _free(name: str, kind: str) -> ColumnElement[Any]:
    return json_value(rows.c.body, name, _KINDS[kind])


searchable_documents = Searchable(
    "documents",
    documents.c.place,
    (
        Field("name", documents.c.name, "text", "The document's name."),
        Field("id", documents.c.document_id, "text", "The document's id."),
        Field("purpose", documents.c.purpose, "choice", "What it is for.", choices=("any", "testing")),
        Field("system", documents.c.system, "text", "The system that it is for."),
        Field("function", documents.c.function, "text", "The function that it is for."),
        Field("form", documents.c.form, "text", "The form that it came in: csv, json, ndjson, xml."),
        Field("rows", documents.c.rows, "number", "How many rows it has now."),
        Field("imported", documents.c.imported_at, "date", "When it came in."),
        Field("changed", documents.c.changed_at, "date", "When rows were added or removed last."),
        Field("by", documents.c.made_by, "text", "Who imported it."),
        Field("request", documents.c.request_id, "text", "The collection request that it answers."),
        Field("iteration", documents.c.iteration_id, "text", "The iteration that it belongs to."),
        Field(
            "class",
            _has_class.c.class_name,
            "text",
            "It has rows of this class.",
            via=lambda c: documents.c.document_id.in_(select(rows.c.document_id).where(_class_among(c))),
        ),
        Field(
            "type",
            rows.c.file_type,
            "text",
            "It has files of this type.",
            via=lambda c: documents.c.document_id.in_(select(rows.c.document_id).where(c)),
        ),
    ),
    text=contains_text(documents.c.name, documents.c.document_id, documents.c.system, documents.c.function),
    default_sort="-imported",
)

searchable_groups = Searchable(
    "groups",
    groups.c.place,
    (
        Field("name", groups.c.name, "text", "The group's name."),
        Field("id", groups.c.group_id, "text", "The group's id."),
        Field("purpose", groups.c.purpose, "choice", "What it is for.", choices=PURPOSES),
        Field("task", groups.c.task_id, "text", "The task that was drafted with it."),
        Field("system", groups.c.system, "text", "The system that it is for."),
        Field("function", groups.c.function, "text", "The function that it is for."),
        Field("rows", groups.c.rows, "number", "How many rows are frozen."),
        Field("leftout", groups.c.left_out, "number", "Rows that the leakage guard kept out."),
        Field("grouped", groups.c.grouped_at, "date", "When it was sealed."),
        Field("by", groups.c.made_by, "text", "Who grouped it."),
        Field("iteration", groups.c.iteration_id, "text", "The iteration that it belongs to."),
        Field("digest", groups.c.digest, "text", "The seal: SHA-256 over its rows."),
    ),
    text=contains_text(groups.c.name, groups.c.group_id, groups.c.system, groups.c.function),
    default_sort="-grouped",
)

searchable_requests = Searchable(
    "requests",
    requests.c.place,
    (
        Field("id", requests.c.request_id, "text", "The request's id."),
        Field("state", requests.c.state, "choice", "How it stands.", choices=("open", "complete", "given up")),
        Field("system", requests.c.system, "text", "The system that it is for."),
        Field("function", requests.c.function, "text", "The function that it is for."),
        Field("cause", requests.c.cause_id, "text", "The cause that made it."),
        Field("iteration", requests.c.iteration_id, "text", "The iteration that made it."),
        Field("wanted", requests.c.wanted, "number", "Rows wanted."),
        Field("received", requests.c.received, "number", "Rows received."),
        Field("requested", requests.c.requested_at, "date", "When it was made."),
        Field("by", requests.c.made_by, "text", "Who made it."),
    ),
    text=contains_text(requests.c.what, requests.c.request_id, requests.c.system, requests.c.function),
    default_sort="-requested",
)

searchable_files = Searchable(
    "files",
    files.c.place,
    (
        Field("name", files.c.name, "text", "What it was called when it came."),
        Field("sha256", files.c.sha256, "text", "SHA-256, the identity."),
        Field("md5", files.c.md5, "text", "MD5."),
        Field("media", files.c.media_type, "text", "The media type, found by looking at the content."),
        Field("size", files.c.size, "number", "Bytes."),
        Field("stored", files.c.stored_at, "date", "When it was stored first."),
    ),
    text=contains_text(files.c.name, files.c.sha256, files.c.md5),
    large=True,
    default_sort="-stored",
)
