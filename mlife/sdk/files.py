"""Files to a server: straight to the store behind it where that gives links, else through the server."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from mlife.sdk.asking import Asking, understood
from mlife.sdk.faults import FileRefused, SdkError

if TYPE_CHECKING:
    import httpx

Source = str | os.PathLike[str] | bytes
DIRECT_FROM = 1_000_000
"""Bytes from which a file goes straight to the store; it costs two questions more."""

UPLOADS = "/api/v1/files/uploads"
SLOWEST = 10_000_000
"""Bytes per second at which a server reads what was put into its store, at least."""

_PIECE = 1 << 18


@dataclass(slots=True)
class FilesAnswer:
    """
    What became of the files that were sent.

    Args:
        position: of the log, to read one's own write with.
        files: what is stored now, in order: `sha256`, `md5`, `size`, `media_type`, `name` and `known` of each.
        refused: files that could not be taken, as in `Answer`; `field` is the name.
    """

    position: int = 0
    accepted: int = 0
    known: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)


class Sending:
    """Sends files to *server*, or straight to the *store* that it gives links to."""

    def __init__(self, server: Asking, store: Asking) -> None:
        import httpx

        self._server, self._store = server, store
        self._unreachable = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol)
        self._is_direct = True

    def put_all(self, paths: Iterable[str | os.PathLike[str]]) -> FilesAnswer:
        """See `Client.put_files`."""
        total = FilesAnswer()
        for line, (path, name) in enumerate(_files_in(paths), 1):
            try:
                told = self.put(path, name)
            except FileRefused as e:
                total.refused.append(
                    {"line": line, "field": name, "value": "", "problem": str(e), "expected": "a file to store"}
                )
                continue
            total.position = max(total.position, int(told.get("position") or 0))
            total.accepted += int(told.get("accepted", 0))
            total.known += int(told.get("known", 0))
            total.files += told.get("files", ())
        return total

    def put(self, source: Source, name: str | None) -> dict[str, Any]:
        """See `Client.put_file`."""
        called = name if name is not None else "" if isinstance(source, bytes) else Path(source).name
        try:
            with _bytes_of(source) as content:
                return self._put(content, _announcement(content, called))
        except OSError as e:
            raise FileRefused(f"{called} can't be read: {e.strerror or e}") from e

    def _put(self, content: BinaryIO, file: dict[str, Any]) -> dict[str, Any]:
        if self._is_direct and file["size"] >= DIRECT_FROM:
            told = self._put_directly(content, file)
            if told is not None:
                return told
        path = f"/api/v1/files?name={quote(file['name'], safe='')}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file["size"])}
        url = str(self._server.http.base_url.join(path))
        answer = self._server.tried(lambda: self._server.http.post(path, content=_again(content), headers=headers), url)
        return understood(answer)

    def _put_directly(self, content: BinaryIO, file: dict[str, Any]) -> dict[str, Any] | None:
        """By way of a link; None if there are none, or this machine can't reach the store."""
        for _ in range(2):  # a link may be too old when its turn comes
            asked = self._server.posted(UPLOADS, json=file)
            offer = {} if asked.status_code in {404, 405} else understood(asked)  # a server from before there were any
            if "files" in offer:
                return offer
            answer = self._at_store(content, file["size"], offer) if offer.get("direct") else None
            if answer is None:
                self._is_direct = False
                return None
            if answer.is_success:
                patience = 60.0 + file["size"] / SLOWEST  # it reads all of it
                return self._server.post(f"{UPLOADS}/{offer['upload_id']}", json=file, timeout=patience)
            if answer.status_code != 403:
                raise _not_taken(answer, file)
        raise SdkError(
            f"the store of files refuses the links of {self._server.http.base_url}: see `mlife doctor` there"
        )

    def _at_store(self, content: BinaryIO, size: int, offer: Mapping[str, Any]) -> httpx.Response | None:
        """The store's answer to the bytes; None if it can't be reached from here."""
        headers = {**offer["headers"], "Content-Length": str(size)}

        def send() -> httpx.Response | None:
            try:
                return self._store.http.put(offer["url"], content=_again(content), headers=headers)
            except self._unreachable:
                return None

        return self._store.tried(send, "the store of files")


def _announcement(content: BinaryIO, name: str) -> dict[str, Any]:
    digest, size = sha256(), 0
    while piece := content.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    return {"sha256": digest.hexdigest(), "size": size, "name": name}


def _files_in(paths: Iterable[str | os.PathLike[str]]) -> Iterator[tuple[Path, str]]:
    """Files and their names: the last part of the path, or the path below the folder that was named."""
    for path in map(Path, paths):
        if not path.is_dir():
            yield path, path.name
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for name in sorted(n for n in names if not n.startswith(".")):
                found = Path(folder, name)
                yield found, found.relative_to(path).as_posix()


def _bytes_of(source: str | os.PathLike[str] | bytes) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    if not path.is_file():  # a pipe may never speak
        raise FileRefused(f"{path} is no file")
    return path.open("rb")


def _again(content: BinaryIO) -> Iterator[bytes]:
    """All of *content*, from its beginning."""
    content.seek(0)
    while piece := content.read(_PIECE):
        yield piece


def _not_taken(answer: httpx.Response, file: Mapping[str, Any]) -> SdkError:
    said = f"{answer.status_code}: {answer.text[:200]}"
    if answer.status_code == 507:
        return SdkError(f"the store of files has no room for {file['name']} ({said})")
    return FileRefused(f"the store of files does not take {file['name']}, which may have changed meanwhile ({said})")
