"""What a task's own code is given, and what it leaves."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mlife.sdk.faults import SdkError


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
        print(line.rstrip(), flush=True)  # noqa: T201 - the contract's way to tell it

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
        correct: bool | None = None,
    ) -> None:
        """
        Keep the result of one sample.

        Args:
            sha256: the row's identity.
            prediction: a class label, or a prediction as in a report.
            score: in [0, 1]; None when the model gives none.
            model_id: whose result it is; needed when several models are tested.
            correct: is it right? None: if it says the same as the row's annotation, but for scores. Boxes, outlines,
                points, segments and measured values hardly ever are equal: say by your own measure.
        """
        if model_id is None:
            if len(self.models) != 1:
                raise SdkError(f"task {self.id} tests {len(self.models)} models: say model_id=… of each result")
            model_id = self.models[0].model_id
        said = {"type": "class", "label": prediction} if isinstance(prediction, str) else dict(prediction)
        line = {"sha256": sha256, "prediction": said, "score": None if score is None else float(score)}
        if correct is not None:
            line["correct"] = bool(correct)
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
