"""The one object that the doors use."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from mlife.core.command import Executor
from mlife.core.errors import Invalid, NotFound, there_is
from mlife.core.handler import Ports
from mlife.core.ports import UploadLink
from mlife.data.formats import Form, form_of, write_document
from mlife.data.formats.rows import KNOWN, Row
from mlife.data.intake.documents import DocumentIntake, Imported, Wish, spooled
from mlife.data.intake.files import FileIntake, FilesPut, Named, Put, Source
from mlife.data.intake.grouping import Grouped, Grouping, Selection
from mlife.data.views import bodies, document, rows_condition

_LINK = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def local_path(ports: Ports, link: str) -> Path | None:
    """Where the bytes of `sha256:…` lie on this machine; None if they are not here."""
    found = _LINK.fullmatch(link)
    return ports.blobs.path(found[1]) if found and ports.blobs.has(found[1]) else None


class DataIntake:
    """
    Takes data in.

    Args:
        executor: acts in the name of whoever asks.
        see: makes what was written up to a position visible to the query tables; `Home.see` where nobody else projects.
    """

    def __init__(self, ports: Ports, executor: Executor, *, see: Callable[[int], None] | None = None) -> None:
        self._ports = ports
        self._executor = executor
        self._files = FileIntake(ports, executor)
        see = see or _others_project
        self._documents = DocumentIntake(ports, executor, self._files, see)
        self._grouping = Grouping(ports, executor, see)

    # --- files ---

    def put(self, source: Source, *, name: str = "", limit: int | None = None) -> Put:
        """
        Store one file; the same bytes twice change nothing.

        Args:
            limit: the largest size in bytes.

        Raises:
            Invalid: it is larger. NotFound: no such file. HomeUnusable: the disk is full or read-only.
        """
        return self._files.put(source, name=name, limit=limit)

    def put_many(
        self,
        paths: Iterable[Path],
        *,
        keep: int = 1_000,
        limit: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> FilesPut:
        """Store files and whole folders, each judged by itself; see `FileIntake.put_many`."""
        return self._files.put_many(paths, keep=keep, limit=limit, progress=progress)

    def put_named(
        self, named: Iterable[tuple[Source, str]], *, keep: int = 1_000, limit: int | None = None
    ) -> FilesPut:
        """As `put_many`, for pairs of what to store and what to call it."""
        return self._files.put_named((Named(source, name) for source, name in named), keep=keep, limit=limit)

    def known(self, sha256: str) -> Put | None:
        """The file, if log and store have it already."""
        return self._files.known(sha256)

    def upload_link(self, sha256: str, size: int, seconds: int) -> UploadLink | None:
        """Where somebody may put the bytes past this process; None if the store gives no links."""
        return self._files.upload_link(sha256, size, seconds)

    def take_upload(self, upload_id: str, *, sha256: str, size: int, name: str = "") -> Put:
        """Store what was put to a link; see `FileIntake.take_upload`."""
        return self._files.take_upload(upload_id, sha256=sha256, size=size, name=name)

    # --- documents ---

    def import_document(
        self,
        source: BinaryIO,
        form: Form | str,
        *,
        name: str,
        document_id: str | None = None,
        into: str | None = None,
        purpose: str = "any",
        system: str | None = None,
        function: str | None = None,
        request_id: str | None = None,
        iteration_id: str | None = None,
        files: Path | None = None,
        key: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Imported:
        """
        Import a table of labelled files; the good rows are kept, the bad ones come back with line and field.

        Args:
            source: the document's bytes, read once.
            form: `csv`, `json`, `ndjson`, `xml`, a file name or a media type.
            name: shown to people.
            document_id: default: from name and content, so that sending it again changes nothing.
            into: append to this document instead of making one.
            purpose: `testing`: its rows never enter training.
            files: a folder; the bytes of rows whose path is found in it are stored first.
            key: idempotency key; default: from id and content.
            progress: told how many more rows were judged.

        Raises:
            Invalid: no row can be taken, with the refusals. Refused, NotFound: the document or request can't take them.
        """
        if into and (document_id or request_id or purpose != "any"):
            raise Invalid(
                "an id, a request or a purpose belongs to a new document",
                remedy=f"import it as a document of its own, or append to {into} without them",
            )
        if files is not None and not files.is_dir():
            raise NotFound(f"{files} is no folder", remedy="name the folder that the paths in the document start from")
        copy, digest = spooled(source)
        target = into or document_id or document_id_of(name, digest)
        wish = Wish(
            name=name,
            form=Form(form) if form in set(Form) else form_of(str(form)),
            document_id=target,
            key=key or f"{'into' if into else 'import'}:{target}:{digest}",
            into=into is not None,
            purpose=purpose,
            system=system,
            function=function,
            request_id=request_id,
            iteration_id=iteration_id,
            files=files,
        )
        with closing(copy):
            return self._documents.take(copy, wish, progress)

    def import_rows(self, rows: Sequence[dict[str, object]], *, name: str, **said: object) -> Imported:
        """As `import_document`, for rows as in a JSON document."""
        import io

        import orjson

        lines = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        return self.import_document(io.BytesIO(lines), Form.NDJSON, name=name, **said)  # type: ignore[arg-type]

    def export_document(self, document_id: str, form: Form | str, *, query: str = "") -> Iterator[bytes]:
        """
        The rows of a document as a document, in chunks; the query tables are read while it is consumed.

        Raises:
            NotFound: no such document.
        """
        with self._ports.views.read() as read:
            head = there_is(document(read, document_id), "document", document_id)
            condition = rows_condition([head], query, self._executor.clock.now())
            yield from write_document((row_of(body) for _, _, body in bodies(read, [head], condition)), form)

    # --- groups ---

    def group(
        self,
        selection: Selection,
        *,
        name: str,
        purpose: str,
        system: str | None = None,
        function: str | None = None,
        iteration_id: str | None = None,
        without_leaks: bool = False,
        key: str | None = None,
    ) -> Grouped:
        """
        Group Items: freeze rows as a training, validation or testing set, and mint the Task ID of its draft task.

        Args:
            system, function: default: those of the documents, if they agree.
            without_leaks: leave rows out that the guard forbids, instead of refusing all; counted as `left_out`.
            key: idempotency key.

        Raises:
            Refused: the leakage guard; rows whose bytes are missing; testing rows without annotation; no rows.
            Invalid, NotFound: the selection.
        """
        return self._grouping.make(
            selection,
            key=key,
            name=name,
            purpose=purpose,
            system=system,
            function=function,
            iteration_id=iteration_id,
            without_leaks=without_leaks,
        )


def document_id_of(name: str, digest: str) -> str:
    """The id of a document without one of its own: the same name and content have the same."""
    return f"doc-{hashlib.sha256(name.encode() + bytes(1) + digest.encode()).hexdigest()[:12]}"


def _others_project(_position: int) -> None:
    """Where a runner is at work, nobody else need project."""


def row_of(body: dict[str, object]) -> Row:
    """A stored row as a row of a document."""
    known = {name: value for name, value in body.items() if name in KNOWN}
    extra = {name: value for name, value in body.items() if name not in KNOWN}
    return Row(**known, extra=extra)  # type: ignore[arg-type]
