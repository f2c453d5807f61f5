"""A feedback stream: reports, traffic and files to an MLife server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mlife.sdk.asking import Asking
from mlife.sdk.faults import SdkError
from mlife.sdk.files import FilesAnswer, Sending

if TYPE_CHECKING:
    import httpx


@dataclass(slots=True)
class Answer:
    """
    What became of the reports that were sent.

    Args:
        position: of the log, to read one's own write with.
        refused: items with line (from 1, over all batches), field, value, problem, expected.
    """

    position: int = 0
    accepted: int = 0
    known: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


class Client:
    """
    Sends reports, traffic and files to an MLife server.

    What is sent twice changes nothing there, so whatever may have been lost is sent again: after a broken connection
    and when the server is busy, with growing pauses, and not before the time that the server asks for.

    Args:
        url: of the server, e.g. `http://127.0.0.1:8000`.
        token: where the server wants one.
        batch: reports per request.
        attempts: tries per request before `SdkError` is raised.
        timeout: seconds per try.
        transport: of httpx, for tests and unusual networks.
        sleep: how to wait.
    """

    LARGEST_BATCH = 4_000_000
    """Bytes per request; a batch is cut earlier when its reports are long."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        batch: int = 500,
        attempts: int = 6,
        timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            import httpx
        except ImportError as e:
            raise SdkError("the client needs httpx: pip install httpx") from e
        headers = {"User-Agent": "mlife-sdk/1"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._server = Asking(
            httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport), attempts, sleep
        )
        # without the token: links carry what they need
        self._store = Asking(httpx.Client(timeout=max(timeout, 60.0)), attempts, sleep)
        self._files = Sending(self._server, self._store)
        self._batch = max(1, batch)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._server.http.close()
        self._store.http.close()

    def report(self, report: Mapping[str, Any]) -> Answer:
        """Send one report; its fields are those of docs/reports.md."""
        return self.report_many([report])

    def report_many(self, reports: Iterable[Mapping[str, Any]]) -> Answer:
        """
        Send many reports, in batches as they come.

        A report that is no JSON is refused here like the server would refuse it; the others are sent.

        Raises:
            SdkError: the server refused a whole batch, or could not be reached; what was sent before stays sent.
        """
        total, batch = Answer(), _Batch()
        for line, report in enumerate(reports, 1):
            try:
                text = line_of(report)
            except (TypeError, ValueError) as e:
                total.refused.append(
                    {"line": line, "field": "", "value": repr(report)[:200], "problem": str(e), "expected": "JSON"}
                )
                continue
            if batch.lines and (len(batch.lines) >= self._batch or batch.size + len(text) > self.LARGEST_BATCH):
                self._send_batch(batch, total)
                batch = _Batch()
            batch.add(line, text)
        if batch.lines:
            self._send_batch(batch, total)
        total.refused.sort(key=lambda refusal: int(refusal.get("line", 0)))
        return total

    def traffic(
        self,
        *,
        system: str,
        function: str,
        version: str,
        since: datetime | str,
        until: datetime | str,
        count: int,
        client: str | None = None,
        device: str | None = None,
    ) -> int:
        """
        Say how many requests were served between *since* and *until*; the same interval again changes nothing.

        Returns:
            The position that the log reached.
        """
        said = {
            "system": system, "function": function, "version": version, "client": client, "device": device,
            "from": _plain(since), "to": _plain(until), "count": count,
        }  # fmt: skip
        kept = {name: value for name, value in said.items() if value is not None}
        answer = self._post("/api/v1/traffic", json.dumps(kept).encode(), "application/json")
        return int(answer.get("position", 0))

    def put_file(self, source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> dict[str, Any]:
        """
        Store one file, which is read twice; the same bytes twice change nothing.

        A large one goes straight to the store behind the server where that gives links, else through the server.

        Args:
            source: path, or bytes.
            name: what to call it; default: the path's last part.

        Returns:
            `position`, `sha256`, `accepted`, `known`, and in `files` what is stored: `sha256`, `md5`, `size`, ….

        Raises:
            FileRefused: it can't be read, is too large, or changed meanwhile.
            SdkError: server or store can't be reached, or have no room.
        """
        return self._files.put(source, name)

    def put_files(self, paths: Iterable[str | os.PathLike[str]]) -> FilesAnswer:
        """
        Store files, and whole folders with everything below them but what is hidden; each is judged by itself.

        Raises:
            SdkError: server or store can't be reached, or have no room; what was sent before stays stored.
        """
        return self._files.put_all(paths)

    def report_lines(self, lines: Sequence[bytes]) -> Answer:
        """
        Send reports that are JSON already, one a line, in one request.

        Raises:
            SdkError: as `report_many`; also when the answer does not say of every line what became of it, as that of a
                hotel's login page.
        """
        told = self._post("/api/v1/reports", b"\n".join(lines) + b"\n", "application/x-ndjson")
        try:
            refused = list(told.get("refused", ()))
            answer = Answer(int(told.get("position") or 0), int(told["accepted"]), int(told["known"]), refused)
        except (KeyError, TypeError, ValueError) as e:
            raise SdkError(f"{self._server.http.base_url} does not answer like MLife ({e!r}): correct the URL") from e
        said = answer.accepted + answer.known + len(refused) + int(told.get("refused_more", 0))
        if said != len(lines):
            raise SdkError(f"{self._server.http.base_url} tells of {said} of {len(lines)} reports: send them again")
        return answer

    def _send_batch(self, batch: _Batch, total: Answer) -> None:
        answer = self.report_lines(batch.texts)
        total.position = max(total.position, answer.position)
        total.accepted += answer.accepted
        total.known += answer.known
        for refusal in answer.refused:
            place = int(refusal.get("line", 1)) - 1
            total.refused.append(
                {**refusal, "line": batch.lines[place] if 0 <= place < len(batch.lines) else place + 1}
            )

    def _post(self, path: str, body: bytes, media_type: str) -> dict[str, Any]:
        key = sha256(path.encode() + b"\0" + body).hexdigest()
        return self._server.post(path, content=body, headers={"Content-Type": media_type, "Idempotency-Key": key})


@dataclass(slots=True)
class _Batch:
    """Reports that travel together, with their places in what the caller gave."""

    lines: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, line: int, text: bytes) -> None:
        self.lines.append(line)
        self.texts.append(text)
        self.size += len(text)


def line_of(report: Mapping[str, Any]) -> bytes:
    """
    *report* as a line of JSON, without the line's end.

    Raises:
        TypeError, ValueError: it is no JSON.
    """
    return json.dumps(report, allow_nan=False, default=_plain).encode()


def _plain(value: object) -> str:
    """Times as RFC 3339; a time without a zone would be somebody's guess."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the time {value.isoformat()} has no time zone")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} is no JSON")
