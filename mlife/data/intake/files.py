"""Files into the store: first the bytes, durably, then the event that says so."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from mlife.core.command import Executor
from mlife.core.errors import HomeUnusable, Misconfigured, MLifeError, Refusal, Unavailable, shortened
from mlife.core.events import Draft, derived_id
from mlife.core.handler import Ports
from mlife.core.ports import Append, StoredFile, UploadLink
from mlife.data.events import FileStored
from mlife.data.images import SNIFFED, images_of

BATCH = 256
"""Files of one append."""
WRITERS = 8
"""Files written at the same time: each waits for the disk."""
MOST_REFUSALS = 1_000

Source = bytes | Path | BinaryIO


@dataclass(frozen=True, slots=True)
class Put:
    """A file that is in the store now. `known`: it was before. `position`: of its event."""

    sha256: str
    md5: str
    size: int
    media_type: str
    name: str
    known: bool
    position: int

    def as_json(self) -> dict[str, Any]:
        """As the API answers."""
        return {
            "sha256": self.sha256,
            "md5": self.md5,
            "size": self.size,
            "media_type": self.media_type,
            "name": self.name,
            "known": self.known,
        }


@dataclass
class FilesPut:
    """
    What became of many files.

    Args:
        new, known: files that were not, and that were in the store before.
        files: each of them, in order; at most as many as were asked to be kept.
        refused: files that could not be taken; `field` is the path.
    """

    position: int = 0
    new: int = 0
    known: int = 0
    bytes: int = 0
    files: list[Put] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    refused_more: int = 0

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
            "accepted": self.new,
            "known": self.known,
            "refused": [r.as_json() for r in self.refused],
            "refused_more": self.refused_more,
            "files": [f.as_json() for f in self.files],
        }


@dataclass(frozen=True, slots=True)
class Named:
    """Bytes to store, and what to call them."""

    source: Source
    name: str


class FileIntake:
    """Puts files; `ports.blobs` keeps the bytes, the log the facts."""

    def __init__(self, ports: Ports, executor: Executor) -> None:
        self._ports = ports
        self._executor = executor

    def put(self, source: Source, *, name: str = "", limit: int | None = None) -> Put:
        """
        Store one file.

        Raises:
            Invalid: it has more than *limit* bytes.
            NotFound: no such file.
            HomeUnusable: the disk is full or read-only; nothing is kept.
            Unavailable: the store of files is away.
        """
        return self._tell([self._keep(Named(source, name), limit)])[0]

    def known(self, sha256: str) -> Put | None:
        """The file, if log and store have it already."""
        found = self._ports.store.find([derived_id(f"file/{sha256}")])
        for recorded in found.values():
            fact = recorded.event
            if isinstance(fact, FileStored) and self._ports.blobs.has(sha256):
                return Put(
                    sha256, fact.md5, fact.size, fact.media_type, fact.name, known=True, position=recorded.position
                )
        return None

    def upload_link(self, sha256: str, size: int, seconds: int) -> UploadLink | None:
        """Where somebody may put the bytes past this process; None if the store gives no links."""
        return self._ports.blobs.upload_link(sha256=sha256, size=size, seconds=seconds)

    def take_upload(self, upload_id: str, *, sha256: str, size: int, name: str = "") -> Put:
        """
        Store what was put to a link, as `put` stores what it is given. May be repeated.

        Raises:
            NotFound: nothing was put there. Invalid: other bytes were.
            HomeUnusable, Unavailable: as with `put`.
        """
        stored = self._ports.blobs.take_upload(upload_id, sha256=sha256, size=size)
        return self._tell([self._described(stored, name)])[0]

    def put_many(
        self,
        paths: Iterable[Path],
        *,
        keep: int = 1_000,
        limit: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> FilesPut:
        """
        Store files and whole folders, each judged by itself; a file's name is its path below the folder.

        Args:
            keep: how many the answer lists. progress: told how many more are done.
        """
        return self.put_named(_walk(paths), keep=keep, limit=limit, progress=progress)

    def put_named(
        self,
        named: Iterable[Named],
        *,
        keep: int = 1_000,
        limit: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> FilesPut:
        """As `put_many`, for sources that have their names already."""
        told = FilesPut()
        numbered = enumerate(named, 1)
        with ThreadPoolExecutor(WRITERS, thread_name_prefix="mlife-put") as pool:
            while batch := list(islice(numbered, BATCH)):
                kept = list(pool.map(lambda one: self._try(one, limit), batch))
                for found in kept:
                    if isinstance(found, Refusal):
                        told.refuse(found)
                for put in self._tell([k for k in kept if not isinstance(k, Refusal)]):
                    told.position = max(told.position, put.position)
                    told.new += not put.known
                    told.known += put.known
                    told.bytes += put.size
                    if len(told.files) < keep:
                        told.files.append(put)
                if progress is not None:
                    progress(len(batch))
        return told

    def _try(self, one: tuple[int, Named], limit: int | None) -> tuple[StoredFile, str, str] | Refusal:
        line, named = one
        try:
            return self._keep(named, limit)
        except (HomeUnusable, Misconfigured, Unavailable):  # the store is at fault, not this file
            raise
        except MLifeError as e:
            return Refusal(line, shortened(named.name, 1_024), "", e.message, e.remedy)
        except OSError as e:
            return Refusal(line, shortened(named.name, 1_024), "", e.strerror or str(e), "a file that can be read")

    def _keep(self, named: Named, limit: int | None) -> tuple[StoredFile, str, str]:
        """The bytes are durable when it returns."""
        return self._described(self._ports.blobs.put(named.source, limit=limit), named.name)

    def _described(self, stored: StoredFile, name: str) -> tuple[StoredFile, str, str]:
        with self._ports.blobs.open(stored.sha256) as content:
            media_type = images_of(self._ports).sniff(content.read(SNIFFED))
        return stored, media_type, _readable(name)

    def _tell(self, kept: Sequence[tuple[StoredFile, str, str]]) -> list[Put]:
        """Append what is new; a file that the log knows changes nothing."""
        if not kept:
            return []
        drafts = [self._draft(stored, media_type, name) for stored, media_type, name in kept]
        outcome = self._ports.store.append(Append(drafts, whole=False))
        return [
            Put(stored.sha256, stored.md5, stored.size, media_type, name, known, position)
            for (stored, media_type, name), known, position in zip(kept, outcome.known, outcome.positions, strict=True)
        ]

    def _draft(self, stored: StoredFile, media_type: str, name: str) -> Draft:
        event = FileStored(
            sha256=stored.sha256, md5=stored.md5, size=stored.size, media_type=media_type, name=name[:1024]
        )
        moment = self._executor.envelope.at or self._executor.clock.now()
        return self._executor.draft(event, b"", moment)

    def facts(self, digests: Iterable[str]) -> dict[str, FileStored]:
        """SHA-256 → the event of each file that the log knows; never behind, as a query table may be."""
        ids = {derived_id(f"file/{d}"): d for d in digests}
        found = self._ports.store.find(list(ids)) if ids else {}
        return {ids[i]: r.event for i, r in found.items() if isinstance(r.event, FileStored)}


def _readable(name: str) -> str:
    """*name* as text that can be stored: what is no UTF-8 in the file system becomes question marks."""
    return name if name.isascii() else name.encode("utf-8", "replace").decode()


def _walk(paths: Iterable[Path]) -> Iterator[Named]:
    """Files as they are named; the files below folders in the order of their paths, hidden ones left out."""
    for path in paths:
        if not path.is_dir():
            yield Named(path, path.name)
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for name in sorted(n for n in names if not n.startswith(".")):
                found = Path(folder, name)
                yield Named(found, found.relative_to(path).as_posix())
