"""
Documents into the log, judged row by row: the good rows are kept, the bad ones reported by line and field.

An import is one append: `DocumentImported` and all its `DocumentRowsAdded`, so a kill leaves all of it or nothing. The
events are written to a temporary file as rows pass, and handed to the log from there: memory stays small however long
the document is.
"""

from __future__ import annotations

import hashlib
import mmap
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import Any, BinaryIO, cast

from mlife.core.command import Executor, Given, check_input
from mlife.core.errors import Conflict, Invalid, Refusal, Reused, shortened, there_is
from mlife.core.events import Draft, Event, derived_id, stored_bytes, to_micros
from mlife.core.handler import Ports
from mlife.core.ports import Append
from mlife.core.projection import Reader
from mlife.data.analysis import classes_of
from mlife.data.commands import UNLABELLED, import_document
from mlife.data.events import ROWS_IN_EVENT, DocumentRowsAdded
from mlife.data.formats import Form, Limits, Row, read_document
from mlife.data.intake.files import MOST_REFUSALS, WRITERS, FileIntake, Named
from mlife.data.intake.local import local_file
from mlife.data.views import DocumentView, document, files_by_md5, rows_at

IN_MEMORY = 8 << 20
"""Bytes of a document that are kept in memory before they go to a temporary file."""
TRIES = 3
_KINDS: dict[type, str] = {bool: "bool", int: "int", float: "float", str: "str"}


@dataclass
class Imported:
    """
    What became of a document.

    Args:
        rows: rows that were taken. known: the same document was imported before, and nothing was written.
        refused: rows that were not taken, at most 1,000; `refused_more` beyond those.
        missing: rows taken whose bytes are not in the store. files: files that came with it and are new.
    """

    document_id: str
    position: int = 0
    rows: int = 0
    known: bool = False
    missing: int = 0
    files: int = 0
    refused: list[Refusal] = field(default_factory=list)
    refused_more: int = 0

    @property
    def refused_count(self) -> int:
        """How many rows were refused."""
        return len(self.refused) + self.refused_more

    def refuse(self, refusal: Refusal) -> None:
        """Count one, and keep it if there are not too many."""
        if len(self.refused) < MOST_REFUSALS:
            self.refused.append(refusal)
        else:
            self.refused_more += 1

    def as_json(self) -> dict[str, Any]:
        """As the API answers."""
        return {
            "position": self.position,
            "document_id": self.document_id,
            "accepted": 0 if self.known else self.rows,
            "known": self.rows if self.known else 0,
            "missing": self.missing,
            "files": self.files,
            "refused": [r.as_json() for r in self.refused],
            "refused_more": self.refused_more,
        }


@dataclass(frozen=True)
class Wish:
    """
    How a document is to be imported; see `DataIntake.import_document`.

    `key` is the idempotency key; `document_id` is that of the new document, or with `into` of one that exists.
    """

    name: str
    form: Form
    document_id: str
    key: str
    into: bool = False
    purpose: str = "any"
    system: str | None = None
    function: str | None = None
    request_id: str | None = None
    iteration_id: str | None = None
    files: Path | None = None


@dataclass
class _Counts:
    """What the head of the document says about the rows that passed."""

    by_class: Counter[str] = field(default_factory=Counter)
    columns: dict[str, set[str]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.by_class.update(set(classes_of(row.annotation)) or {UNLABELLED})
        for name, value in row.extra.items():
            kinds = self.columns.setdefault(name, set())
            if value is not None:
                kinds.add(_KINDS.get(type(value), "json"))

    @property
    def column_kinds(self) -> dict[str, str]:
        return {n: k.pop() if len(k) == 1 else "json" if k else "str" for n, k in self.columns.items()}


class DocumentIntake:
    """Imports documents; `see` makes what was written at a position visible to the query tables."""

    def __init__(self, ports: Ports, executor: Executor, files: FileIntake, see: Callable[[int], None]) -> None:
        self._ports = ports
        self._executor = executor
        self._files = files
        self._see = see

    def take(self, stream: BinaryIO, wish: Wish, progress: Callable[[int], None] | None = None) -> Imported:
        """
        Read, judge and append. *stream* must be able to seek.

        Raises:
            Invalid: no row can be taken. Refused, NotFound: see `import_document`.
        """
        for attempt in range(TRIES):
            stream.seek(0)
            with TemporaryFile() as spool:
                try:
                    return self._take(stream, wish, spool, progress)
                except Conflict:  # only with `into`: the document grew meanwhile, so numbers and repeats are others
                    if attempt == TRIES - 1:
                        raise
        raise AssertionError("unreachable")

    def _take(self, stream: BinaryIO, wish: Wish, spool: Any, progress: Callable[[int], None] | None) -> Imported:
        told = Imported(wish.document_id)
        known = self._ports.store.find([derived_id(wish.key, 0)])
        old = self._old_document(wish) if wish.into else None
        counts, marks = _Counts(), [0]
        number = old.next_number if old else 1
        for rows in self._judged(stream, wish, told, None if known else old):
            event = DocumentRowsAdded(document_id=wish.document_id, first=number, rows=tuple(r.as_json() for r in rows))
            spool.write(stored_bytes(event))
            marks.append(spool.tell())
            number += len(rows)
            for row in rows:
                counts.add(row)
            told.rows += len(rows)
            if progress is not None:
                progress(len(rows))
        if not told.rows:
            raise Invalid(
                f"no row of {wish.name} can be taken" if told.refused else f"{wish.name} has no rows",
                remedy="mend them and import again",
                refusals=tuple(told.refused),
            )
        if known:
            _check_same(next(iter(known.values())).event, wish)
            told.position, told.known = max(r.position for r in known.values()), True
            return told
        spool.flush()
        return self._append(told, wish, old, counts, marks, spool)

    def _read_all(self) -> AbstractContextManager[Reader]:
        """The query tables, with everything in them that the log has now."""
        head = self._ports.store.head()
        self._see(head)
        return self._ports.views.read(min_position=head)

    def _old_document(self, wish: Wish) -> DocumentView:
        with self._read_all() as read:
            return there_is(document(read, wish.document_id), "document", wish.document_id)

    # ── the append ───────────────────────────────────────────────────────────────────────────────

    def _append(
        self, told: Imported, wish: Wish, old: DocumentView | None, counts: _Counts, marks: list[int], spool: Any
    ) -> Imported:
        now = self._executor.envelope.at or self._executor.clock.now()
        drafts: list[Draft] = []
        expected: dict[str, int] = {}
        if old is None:
            given = Given(self._ports.store.read_stream, now=now, key=wish.key, actor=self._executor.envelope.actor)
            (head,) = import_document(given, **self._head(told, wish, counts))
            drafts.append(self._executor.draft(head, derived_id(wish.key, 0), now))
            expected = given.versions
        else:
            expected = {f"document/{old.document_id}": old.version}
        drafts += self._row_drafts(wish, marks, spool, now, len(drafts), _correlation(drafts) or wish.iteration_id)
        outcome = self._ports.store.append(Append(drafts, expected))
        told.position, told.known = outcome.position, outcome.known[0]
        return told

    def _head(self, told: Imported, wish: Wish, counts: _Counts) -> dict[str, Any]:
        return check_input(
            import_document,
            {
                "document_id": wish.document_id,
                "name": wish.name,
                "rows": told.rows,
                "by_class": dict(sorted(counts.by_class.items(), key=lambda item: (-item[1], item[0]))),
                "columns": counts.column_kinds,
                "form": str(wish.form),
                "purpose": wish.purpose,
                "system": wish.system,
                "function": wish.function,
                "request_id": wish.request_id,
                "iteration_id": wish.iteration_id,
            },
        )

    def _row_drafts(
        self, wish: Wish, marks: Sequence[int], spool: Any, now: datetime, ordinal: int, correlation: str | None
    ) -> Iterator[Draft]:
        """
        The events that lie in *spool* between *marks*, without reading them into memory.

        Their bytes are views of the mapped file: the database takes them one by one. The mapping goes with the last of
        them.
        """
        mapped = memoryview(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))
        kind, envelope = DocumentRowsAdded.declared, self._executor.envelope
        for n, (start, end) in enumerate(pairwise(marks), ordinal):
            body = mapped[start:end]
            yield Draft(
                derived_id(wish.key, n),
                f"document/{wish.document_id}",
                0,
                kind.type,
                wish.document_id,
                to_micros(now),
                envelope.source or "/mlife",
                envelope.correlation_id or correlation,
                envelope.causation_id,
                envelope.actor,
                envelope.traceparent,
                cast("bytes", body),
                hashlib.sha256(body).digest(),
            )

    # ── judging ──────────────────────────────────────────────────────────────────────────────────

    def _judged(self, stream: BinaryIO, wish: Wish, told: Imported, old: DocumentView | None) -> Iterator[list[Row]]:
        """The rows that can be taken, 1,000 at a time."""
        limits = Limits(now=self._executor.clock.now())
        found = read_document(stream, wish.form, limits=limits)
        good: list[Row] = []
        with closing(_chunked_rows(found, told)) as chunks, ThreadPoolExecutor(WRITERS) as pool:
            for chunk in chunks:
                rows = self._with_files(chunk, wish.files, told, pool) if wish.files else chunk
                rows = self._checked(rows, told)
                good += self._not_there(rows, old, told) if old else rows
                while len(good) >= ROWS_IN_EVENT:
                    yield good[:ROWS_IN_EVENT]
                    good = good[ROWS_IN_EVENT:]
        if good:
            yield good

    def _with_files(self, rows: Sequence[Row], folder: Path, told: Imported, pool: ThreadPoolExecutor) -> list[Row]:
        """Rows whose bytes lie in *folder*, with these put first; a digest that is not that of the bytes is refused."""
        base = folder.resolve()
        found = list(pool.map(lambda row: local_file(row, base), rows))
        refused = {at for at, f in enumerate(found) if isinstance(f, Refusal)}
        for at in sorted(refused):
            told.refuse(cast("Refusal", found[at]))
        named = [(at, Named(f, rows[at].path)) for at, f in enumerate(found) if isinstance(f, Path)]
        put = self._files.put_named([n for _, n in named], keep=len(named))
        told.files += put.new
        told.position = max(told.position, put.position)
        failed = {r.line for r in put.refused}
        stored = iter(put.files)
        digests = {at: next(stored).sha256 for number, (at, _) in enumerate(named, 1) if number not in failed}
        return [_with(row, sha256=row.sha256 or digests.get(at)) for at, row in enumerate(rows) if at not in refused]

    def _checked(self, rows: Sequence[Row], told: Imported) -> list[Row]:
        """Rows that agree with the stored file that they name; what it knows of itself is filled in."""
        rows = self._named_by_md5(rows)
        facts = self._files.facts({r.sha256 for r in rows if r.sha256})
        kept = []
        for row in rows:
            fact = facts.get(row.sha256 or "")
            if fact is None:
                told.missing += 1
                kept.append(row)
            elif fact.md5 != row.md5:
                told.refuse(Refusal(row.line, "md5", row.md5, "is not the MD5 of the file", fact.md5))
            elif row.size is not None and row.size != fact.size:
                told.refuse(Refusal(row.line, "size", str(row.size), "is not the size of the file", str(fact.size)))
            else:
                kept.append(_with(row, size=fact.size, media_type=row.media_type or fact.media_type))
        return kept

    def _named_by_md5(self, rows: Sequence[Row]) -> list[Row]:
        """Rows that give an MD5 only, with the SHA-256 of the one stored file that has it."""
        asked = [r.md5 for r in rows if r.sha256 is None]
        if not asked:
            return list(rows)
        with self._read_all() as read:
            known = files_by_md5(read, asked)
        single = {md5: found[0].sha256 for md5, found in known.items() if len(found) == 1}
        return [r if r.sha256 else _with(r, sha256=single.get(r.md5)) for r in rows]

    def _not_there(self, rows: Sequence[Row], old: DocumentView, told: Imported) -> list[Row]:
        """Rows that the document has not yet."""
        with self._ports.views.read() as read:
            there = rows_at(read, old.document_id, [r.path for r in rows], [r.md5 for r in rows])
        kept = []
        for row in rows:
            number = there.get((row.md5, row.path))
            if number is None:
                kept.append(row)
            else:
                problem = f"is row {number} of {old.document_id} already (same MD5 and path)"
                told.refuse(Refusal(row.line, "path", shortened(row.path), problem, "each file once"))
        return kept


def _check_same(before: Event, wish: Wish) -> None:
    """The key stands for the import that *before* began, and for no other; a document's id follows from its content."""
    document_id = getattr(before, "document_id", "")
    if document_id != wish.document_id:
        raise Reused(
            f"this idempotency key was used before, for {document_id} and not {wish.document_id}",
            remedy="use a new key for what is new",
        )


def spooled(source: BinaryIO) -> tuple[BinaryIO, str]:
    """A copy of *source* that can seek, and the SHA-256 of its bytes."""
    digest = hashlib.sha256()
    copy = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the caller closes it
    while chunk := source.read(1 << 20):
        digest.update(chunk)
        copy.write(chunk)
    copy.seek(0)
    return cast("BinaryIO", copy), digest.hexdigest()


def _chunked_rows(found: Iterator[Row | Refusal], told: Imported) -> Generator[list[Row], None, None]:
    while some := list(islice(found, ROWS_IN_EVENT)):
        for one in some:
            if isinstance(one, Refusal):
                told.refuse(one)
        yield [one for one in some if isinstance(one, Row)]


def _with(row: Row, **changes: Any) -> Row:
    """*row* with known columns filled in."""
    return replace(row, **changes)


def _correlation(drafts: Sequence[Draft]) -> str | None:
    return drafts[0].correlation_id if drafts else None
