"""Stored files, and what they are used for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from sqlalchemy import func, select

from mlife.core.projection import Reader
from mlife.core.query import Listing, page, read_page
from mlife.core.tables import AnyRow
from mlife.data.leakage import Use, UseKind
from mlife.data.views.searching import searchable_files
from mlife.data.views.tables import documents, files, group_rows, groups, rows, uses

T = TypeVar("T")
STEP = 500
"""Values in one IN list; more would have SQLite prepare a new statement for each length."""


@dataclass(frozen=True, slots=True)
class FileView:
    """A stored file. `name`: what it was called when it came."""

    sha256: str
    md5: str
    size: int
    media_type: str
    name: str
    stored_at: datetime

    @property
    def is_image(self) -> bool:
        """Can a thumbnail be drawn? SVG can't: it is a program as much as a picture."""
        return self.media_type.startswith("image/") and self.media_type != "image/svg+xml"


@dataclass(frozen=True, slots=True)
class FileUse:
    """Where a file is used: `kind` is `row` (of a document), or as in the leakage guard."""

    kind: str
    used_in: str
    name: str = ""


_COLUMNS = (files.c.sha256, files.c.md5, files.c.size, files.c.media_type, files.c.name, files.c.stored_at)


def file(read: Reader, sha256: str) -> FileView | None:
    """The file of that SHA-256."""
    found = read.one(select(*_COLUMNS).where(files.c.sha256 == sha256))
    return None if found is None else _file(found)


def files_by_sha256(read: Reader, digests: Iterable[str]) -> dict[str, FileView]:
    """Those of the files that are stored."""
    return {
        found[0]: _file(found)
        for some in slices(list(dict.fromkeys(digests)))
        for found in read.all(select(*_COLUMNS).where(files.c.sha256.in_(some)))
    }


def files_by_md5(read: Reader, digests: Iterable[str]) -> dict[str, list[FileView]]:
    """The files of each MD5; two of one MD5 were made on purpose."""
    found: dict[str, list[FileView]] = defaultdict(list)
    for some in slices(list(dict.fromkeys(digests))):
        for row in read.all(select(*_COLUMNS).where(files.c.md5.in_(some)).order_by(files.c.place)):
            view = _file(row)
            found[view.md5].append(view)
    return dict(found)


def file_page(
    read: Reader, q: str, *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[FileView]:
    """A page of the files that *q* finds."""
    asked = page(select(*_COLUMNS), searchable_files, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda found: [_file(r) for r in found], among=files)


def stored_bytes(read: Reader) -> tuple[int, int]:
    """How many files the store has, and their bytes together."""
    found = read.one(select(func.count(), func.coalesce(func.sum(files.c.size), 0)))
    count, size = found if found is not None else (0, 0)
    return count, size


def uses_of_file(read: Reader, sha256: str) -> list[FileUse]:
    """Everything that names the file: rows of documents, groups, badcases."""
    known = file(read, sha256)
    identities = [sha256] + ([known.md5] if known else [])
    in_rows = read.all(
        select(rows.c.document_id, documents.c.name)
        .join(documents, documents.c.document_id == rows.c.document_id)
        .where((rows.c.sha256 == sha256) | (rows.c.sha256.is_(None) & rows.c.md5.in_(identities[1:])))
        .distinct()
        .order_by(rows.c.document_id)
    )
    in_groups = read.all(
        select(groups.c.purpose, groups.c.group_id, groups.c.name)
        .join(group_rows, group_rows.c.group_id == groups.c.group_id)
        .where(group_rows.c.sha256 == sha256)
        .distinct()
        .order_by(groups.c.group_id)
    )
    reported = read.all(
        select(uses.c.used_in).where(uses.c.identity == sha256, uses.c.kind == "reported").order_by(uses.c.used_in)
    )
    return [
        *(FileUse("reported", r[0]) for r in reported),
        *(FileUse("row", *r) for r in in_rows),
        *(FileUse(*r) for r in in_groups),
    ]


def uses_of(read: Reader, listed: Iterable[Mapping[str, Any]]) -> list[Use]:
    """
    What the leakage guard must know of rows (as in a JSON document), by SHA-256 and by MD5.

    A row that gives only an MD5 is looked up by the SHA-256 of the stored files with that MD5 too.
    """
    digests: dict[str, None] = {}
    md5_only: dict[str, None] = {}
    for row in listed:
        if row.get("sha256"):
            digests[row["sha256"]] = None
        else:
            md5_only[row["md5"]] = None
        if row.get("md5"):
            digests[row["md5"]] = None
    found = [Use(*key) for key in _uses(read, list(digests))]
    by_md5 = files_by_md5(read, md5_only)
    aliases = {f.sha256: md5 for md5, same in by_md5.items() for f in same}
    found += [Use(aliases[i], kind, used_in) for i, kind, used_in, _ in _uses(read, list(aliases))]
    return found + _uses_by_md5_of_stored(read, list(digests))


def _uses(read: Reader, identities: Sequence[str]) -> Iterator[tuple[str, UseKind, str, str]]:
    for some in slices(identities):
        for r in read.all(
            select(uses.c.identity, uses.c.kind, uses.c.used_in, uses.c.sha256)
            .where(uses.c.identity.in_(some))
            .order_by(uses.c.identity, uses.c.kind, uses.c.used_in)
        ):
            identity, kind, used_in, sha256 = r
            yield identity, cast("UseKind", kind), used_in, sha256


def _uses_by_md5_of_stored(read: Reader, identities: Sequence[str]) -> list[Use]:
    """Uses that gave only the MD5 of a file which a row names by its SHA-256, without giving its MD5."""
    found = []
    for some in slices(identities):
        statement = (
            select(files.c.sha256, uses.c.kind, uses.c.used_in)
            .join(uses, (uses.c.identity == files.c.md5) & (uses.c.sha256 == ""))
            .where(files.c.sha256.in_(some))
            .order_by(files.c.sha256, uses.c.kind, uses.c.used_in)
        )
        found += [Use(*r) for r in read.all(statement)]
    return found


def slices(items: Sequence[T], size: int = STEP) -> Iterator[Sequence[T]]:
    """*items* in parts of at most *size*."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _file(found: AnyRow) -> FileView:
    return FileView(*found[:6])
