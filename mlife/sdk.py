"""
What user code imports: `task` for training and testing code, `Client` for feedback streams.

Imports nothing of mlife and, apart from `Client`, only the standard library, so that training code starts fast and this
one file can be copied to a device.

A task's code runs in a process of its own with three environment variables. `MLIFE_TASK_ID` is the Task ID,
`MLIFE_OUTPUT` an empty folder, and `MLIFE_TASK` the path of the manifest, a JSON object:

    {"manifest": 1, "task_id": "tsk-…", "kind": "training" | "testing", "seed": 7, "parameters": {"C": 10.0},
     "groups": [{"group_id": "grp-…", "name": "home", "purpose": "training" | "validation" | "testing",
                 "digest": "sha256:…", "rows": [ROW, …]}],
     "models": [{"model_id": "mdl-…", "path": "/…/model.onnx", "sha256": "…"}]}

    ROW = {"sha256": "…", "file": "/…/local path", "path": "digits/7.png", "md5": "…",
           "annotation": "7" or {"type": "boxes", …}, "fields": {"place": "tunnel"}}

A large group has `"rows_file": "/…/rows.jsonl"` instead of `rows`, one ROW a line. `models` are those to test; a
training task has none. What the code leaves in the output folder:

    model.onnx      training: the model
    metrics.json    {"name": number}
    results.jsonl   testing: {"sha256": "…", "prediction": {"type": "class", "label": "7"}, "score": 0.98 or null,
                    "model_id": "mdl-…"} a line; `model_id` may be left out when one model is tested
    config.json     parameters and seed as they were used
    anything else   kept with the task

Progress is a line of its own on stdout: `MLIFE progress 0.4 epoch 4/10`. Exit code 0 is success.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


class SdkError(RuntimeError):
    """The SDK can't go on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """
    One labelled file.

    Args:
        sha256: hexadecimal, the sample's identity in results.
        file: where its bytes are on this machine.
        path: as the document names it.
        annotation: a plain label, or the JSON of a richer type.
        fields: the document's other columns.
        group: name of the group that it belongs to.
    """

    sha256: str
    file: Path
    path: str
    annotation: Any
    fields: Mapping[str, Any]
    group: str

    @property
    def label(self) -> str:
        """The class; raises `SdkError` when the annotation is of another type."""
        said = self.annotation.get("label") if isinstance(self.annotation, Mapping) else self.annotation
        if said is None:
            raise SdkError(f"row {self.path} has no class label but {self.annotation!r}: read row.annotation")
        return str(said)

    def read(self) -> bytes:
        return self.file.read_bytes()


@dataclass(frozen=True, slots=True)
class TaskModel:
    """A model to test."""

    model_id: str
    path: Path
    sha256: str


class Task:
    """The task that this process runs; made by `task()`."""

    def __init__(self, manifest: Mapping[str, Any], output: Path) -> None:
        self.id: str = manifest["task_id"]
        self.kind: str = manifest["kind"]
        self.seed: int = manifest["seed"]
        self.parameters: Mapping[str, Any] = manifest["parameters"]
        self.output = output
        self.models = [TaskModel(m["model_id"], Path(m["path"]), m["sha256"]) for m in manifest.get("models", ())]
        self._groups: list[Mapping[str, Any]] = list(manifest["groups"])
        self._metrics: dict[str, float] = {}
        self._results: IO[str] | None = None

    def rows(self, purpose: str | None = None) -> Iterator[Row]:
        """
        The rows of all groups, or of those of one *purpose*: `training`, `validation`, `testing`.

        Rows come in the manifest's order, one after the other, so that a large group need not fit in memory.
        """
        for group in self._groups:
            if purpose in {None, group["purpose"]}:
                for row in _rows_of(group):
                    yield Row(
                        row["sha256"], Path(row["file"]), row["path"], row["annotation"], row.get("fields", {}),
                        group["name"],
                    )  # fmt: skip

    def model(self, model_id: str) -> TaskModel:
        """The model to test by its ID."""
        for found in self.models:
            if found.model_id == model_id:
                return found
        raise SdkError(f"task {self.id} does not test {model_id!r} but {[m.model_id for m in self.models]}")

    def progress(self, share: float, text: str = "") -> None:
        """Move the bar to *share* (0 to 1) and show *text* beside it."""
        if not math.isfinite(share):
            raise SdkError(f"a progress of {share} is not between 0 and 1")
        line = f"MLIFE progress {min(1.0, max(0.0, share)):.4g} {' '.join(text.split())}"
        print(line.rstrip(), flush=True)

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Keep *metrics* as results of the task; a later value of the same name replaces the earlier one."""
        for name, value in metrics.items():
            if not math.isfinite(float(value)):
                raise SdkError(f"metric {name} is {value}: log a finite number, or leave it out")
            self._metrics[name] = float(value)
        _write_json(self.output / "metrics.json", self._metrics)

    def save_model(self, model: str | os.PathLike[str] | bytes) -> Path:
        """Leave the trained model, an ONNX file or its bytes, as the task's result."""
        target = self.output / "model.onnx"
        if isinstance(model, bytes):
            target.write_bytes(model)
        elif Path(model).resolve() != target.resolve():
            shutil.copyfile(model, target)
        return target

    def record(
        self,
        sha256: str,
        prediction: str | Mapping[str, Any],
        score: float | None = None,
        *,
        model_id: str | None = None,
    ) -> None:
        """
        Keep the result of one sample.

        Args:
            sha256: the row's identity.
            prediction: a class label, or a prediction as in a report.
            score: in [0, 1]; None when the model gives none.
            model_id: whose result it is; needed when several models are tested.
        """
        if model_id is None:
            if len(self.models) != 1:
                raise SdkError(f"task {self.id} tests {len(self.models)} models: say model_id=… of each result")
            model_id = self.models[0].model_id
        said = {"type": "class", "label": prediction} if isinstance(prediction, str) else dict(prediction)
        line = {"sha256": sha256, "prediction": said, "score": None if score is None else float(score)}
        try:
            text = json.dumps({**line, "model_id": model_id}, allow_nan=False)
        except (TypeError, ValueError) as e:
            raise SdkError(f"the result of {sha256} is no JSON: {e}") from e
        if self._results is None:
            self._results = (self.output / "results.jsonl").open("w", encoding="utf-8")
        self._results.write(text + "\n")

    def close(self) -> None:
        """Write what is still open; `task()` does it, also after an error."""
        _write_json(self.output / "config.json", {"parameters": dict(self.parameters), "seed": self.seed})
        if self._results is not None:
            self._results.close()


@contextmanager
def task() -> Iterator[Task]:
    """
    The task that MLife started this process for.

    Raises:
        SdkError: this process was not started by MLife, or its manifest can't be read.
    """
    try:
        output = Path(os.environ["MLIFE_OUTPUT"])
        manifest = json.loads(Path(os.environ["MLIFE_TASK"]).read_text(encoding="utf-8"))
        running = Task(manifest, output)
    except KeyError as e:
        raise SdkError(f"{e} is missing: this code is run by a task; start one with `mlife task start`") from e
    except (OSError, ValueError) as e:
        raise SdkError(f"the manifest {os.environ['MLIFE_TASK']} can't be read: {e}") from e
    try:
        yield running
    finally:
        running.close()


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
    Sends reports and traffic to an MLife server.

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
    LONGEST_PAUSE = 60.0
    """Seconds; a server that asks for more is asked again after this time."""

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
        self._errors: type[Exception] = httpx.TransportError
        headers = {"User-Agent": "mlife-sdk/1"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._batch, self._attempts, self._sleep = max(1, batch), max(1, attempts), sleep

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

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
                text = json.dumps(report, allow_nan=False, default=_plain).encode()
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

    def _send_batch(self, batch: _Batch, total: Answer) -> None:
        answer = self._post("/api/v1/reports", b"\n".join(batch.texts) + b"\n", "application/x-ndjson")
        total.position = max(total.position, int(answer.get("position") or 0))
        total.accepted += int(answer.get("accepted", 0))
        total.known += int(answer.get("known", 0))
        for refusal in answer.get("refused", ()):
            place = int(refusal.get("line", 1)) - 1
            total.refused.append(
                {**refusal, "line": batch.lines[place] if 0 <= place < len(batch.lines) else place + 1}
            )

    def _post(self, path: str, body: bytes, media_type: str) -> dict[str, Any]:
        key = sha256(path.encode() + b"\0" + body).hexdigest()
        headers = {"Content-Type": media_type, "Idempotency-Key": key}
        last = ""
        for attempt in range(self._attempts):
            asked: str | None = None
            try:
                response = self._http.post(path, content=body, headers=headers)
            except self._errors as e:
                last = f"{type(e).__name__}: {e}"
            else:
                if response.status_code not in {408, 425, 429, 500, 502, 503, 504}:
                    return _understood(response)
                last, asked = f"HTTP {response.status_code}", response.headers.get("Retry-After")
            if attempt + 1 < self._attempts:
                self._sleep(min(self.LONGEST_PAUSE, _pause(attempt, asked)))
        raise SdkError(
            f"{self._http.base_url.join(path)} did not answer {self._attempts} times ({last}): send it again later, "
            "nothing is counted twice"
        )


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


def _rows_of(group: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "rows_file" not in group:
        yield from group["rows"]
        return
    with Path(group["rows_file"]).open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Written beside and renamed, so that a killed task leaves no half file."""
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    partial.replace(path)


def _plain(value: object) -> str:
    """Times as RFC 3339; a time without a zone would be somebody's guess."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the time {value.isoformat()} has no time zone")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} is no JSON")


def _pause(attempt: int, asked: str | None) -> float:
    """Seconds to wait: what the server asked for, as seconds or a date, else a doubling pause with jitter."""
    if asked:
        with suppress(ValueError):
            return max(0.0, float(asked))
        with suppress(ValueError, TypeError):
            return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    return float(0.2 * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 (jitter is no secret)


def _understood(response: httpx.Response) -> dict[str, Any]:
    try:
        said = response.json()
    except ValueError:
        said = None
    if isinstance(said, dict) and (response.is_success or "accepted" in said):
        return said
    problem = said if isinstance(said, dict) else {}
    detail = problem.get("detail") or problem.get("title") or response.text[:200]
    raise SdkError(f"{response.request.url} answered {response.status_code}: {detail}")
