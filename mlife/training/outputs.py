"""What the user's code left in its output folder: checked, then kept in the store."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mlife.core.errors import HomeUnusable, Invalid, MLifeError, Refusal, Unavailable, shortened
from mlife.core.handler import Ports
from mlife.core.ports import StoredFile
from mlife.training.commands import Results, Sample, TrainedFile
from mlife.training.manifest import Prepared, label_of
from mlife.training.typed import same

MODEL, METRICS, RESULTS = "model.onnx", "metrics.json", "results.jsonl"
Answer = tuple[str, float | None, bool | None]
"""Prediction, score, and whether the code says that it is right; None: it does not say."""
LARGEST_JSON = 5_000_000
MOST_METRICS = 1_000
LONGEST_NAME = 200
LONGEST_LINE = 1_000_000
MOST_FILES = 1_000
SHOWN = 20
"""Refusals that are told of one file."""


@dataclass
class Left:
    """What was left, checked."""

    metrics: dict[str, float] = field(default_factory=dict)
    model: TrainedFile | None = None
    results: tuple[Results, ...] = ()


def check(ports: Ports, output: Path, prepared: Prepared) -> Left:
    """
    Read and judge what a task that ended well left.

    Raises:
        Invalid: the model, the metrics or the results can't be used, with every line at fault.
    """
    left = Left(metrics=read_metrics(output / METRICS))
    if prepared.kind == "training":
        path = output / MODEL
        if not path.is_file():
            raise Invalid(
                f"the code ended well but left no {MODEL}",
                remedy="export the model to ONNX and leave it in MLIFE_OUTPUT; mlife.task().save_model does it",
            )
        ports.models.check(path)
        stored = ports.blobs.put(path)
        left.model = TrainedFile(stored.sha256, stored.size)
    else:
        left.results = read_results(output / RESULTS, prepared)
    return left


def read_metrics(path: Path) -> dict[str, float]:
    """
    The metrics: names and finite numbers; none when there is no file.

    Raises:
        Invalid: with each entry that is no such thing.
    """
    try:
        if not path.is_file():
            if not os.path.lexists(path):
                return {}
            raise Invalid(f"{METRICS} is no file", remedy='leave a file with {"accuracy": 0.98}')
        if path.stat().st_size > LARGEST_JSON:
            raise Invalid(
                f"{METRICS} has more than {LARGEST_JSON:,} bytes", remedy="leave long series in a file of their own"
            )
        said = json.loads(path.read_bytes())
    except OSError as e:
        raise Invalid(f"{METRICS} can't be read: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise Invalid(f"{METRICS} is no JSON: {shortened(str(e))}", remedy='leave {"accuracy": 0.98}') from e
    if not isinstance(said, dict):
        raise Invalid(f"{METRICS} is no object", remedy='leave {"accuracy": 0.98}')
    if len(said) > MOST_METRICS:
        raise Invalid(
            f"{METRICS} has {len(said):,} entries",
            remedy=f"leave at most {MOST_METRICS:,}; long series go into a file of their own",
        )
    names = [
        Refusal(at, shortened(name, 40), shortened(name), "is no name", f"1 to {LONGEST_NAME} characters of one line")
        for at, name in enumerate(said, 1)
        if not (0 < len(name) <= LONGEST_NAME and name.isprintable())
    ]
    wrong = [
        Refusal(at, shortened(name, 40), shortened(value), "is no finite number", "a finite number")
        for at, (name, value) in enumerate(said.items(), 1)
        if not _is_metric(value)
    ]
    if names or wrong:
        parts = [f"{len(wrong)} values that are no numbers"] * bool(wrong)
        parts += [f"{len(names)} names that can't be shown"] * bool(names)
        raise Invalid(f"{METRICS} has {' and '.join(parts)}", refusals=(*wrong, *names)[:SHOWN])
    return said


def _is_metric(value: Any) -> bool:
    """A number that a float holds."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max  # also of whole numbers, which may be longer; NaN is not
    )


def read_results(path: Path, prepared: Prepared) -> tuple[Results, ...]:
    """
    The results of a test: of every model, every row of every test group exactly once.

    The same line again changes nothing: a file may be a row of two groups.

    Raises:
        Invalid: with the lines at fault, and the rows without a result.
    """
    if not path.is_file():
        raise Invalid(
            f"the code ended well but left no {RESULTS}",
            remedy="leave one line per sample in MLIFE_OUTPUT; mlife.task().record does it",
        )
    reader = _Reader(prepared)
    with path.open("rb") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(LONGEST_LINE + 1), b""), 1):
            if line.strip():
                reader.take(number, line)
    return reader.results()


class _Reader:
    """Judges result lines one by one."""

    def __init__(self, prepared: Prepared) -> None:
        self._groups = [g for g in prepared.groups if g.purpose == "testing"]
        self._known = frozenset(sha for g in self._groups for sha in g.truth)
        self._only = next(iter(prepared.models)) if len(prepared.models) == 1 else None
        self._said: dict[str, dict[str, Answer]] = {m: {} for m in prepared.models}
        self._refusals: list[Refusal] = []
        self._wrong = 0

    def take(self, number: int, line: bytes) -> None:
        refusal = self._judge(number, line)
        if refusal is not None:
            self._wrong += 1
            if len(self._refusals) < SHOWN:
                self._refusals.append(refusal)

    def _judge(self, number: int, line: bytes) -> Refusal | None:
        if len(line) > LONGEST_LINE:
            return Refusal(number, "", "", f"has more than {LONGEST_LINE:,} bytes", "a shorter line")
        try:
            said = orjson.loads(line)
        except orjson.JSONDecodeError as e:
            return Refusal(number, "", shortened(line.decode("utf-8", "replace")), f"is no JSON ({e})", "an object")
        if not isinstance(said, dict):
            return Refusal(number, "", shortened(said), "is no object", '{"sha256": …, "prediction": …, "score": …}')
        fault = self._fault(said)
        if fault is not None:
            name, problem, expected = fault
            return Refusal(number, name, shortened(said.get(name, "")), problem, expected)
        return None

    def _fault(self, said: dict[str, Any]) -> tuple[str, str, str] | None:
        """Keep an answer; or field, problem, and what was expected."""
        model_id, sha256, score = said.get("model_id", self._only), said.get("sha256"), said.get("score")
        prediction = said.get("prediction")
        if not isinstance(model_id, str) or model_id not in self._said:
            return "model_id", "is no model of this task", f"one of {', '.join(self._said)}"
        if not isinstance(sha256, str) or sha256 not in self._known:
            return "sha256", "is no row of the test groups", "a row's sha256"
        if not _is_prediction(prediction):
            return "prediction", "is no prediction", "a label, or a prediction as in a report"
        if score is not None and not _is_score(score):
            return "score", "is no score", "a number in [0, 1], or null"
        if said.get("correct") not in (None, True, False):
            return "correct", "is neither true nor false", "true, false, or nothing: then equal answers are right"
        answer = (label_of(prediction), None if score is None else float(score), said.get("correct"))
        before = self._said[model_id].setdefault(sha256, answer)
        if before != answer:
            return "sha256", f"was answered {before[0]} before, and {answer[0]} here", "one answer for a sample"
        return None

    def results(self) -> tuple[Results, ...]:
        missing = [
            Refusal(0, "sha256", sha256, f"has no result of {m}", "a line for every row of every test group")
            for m, said in self._said.items()
            for sha256 in sorted(self._known - said.keys())
        ]
        if self._wrong or missing:
            parts = [f"{self._wrong} lines that can't be used"] * bool(self._wrong)
            parts += [f"no line for {len(missing)} samples"] * bool(missing)
            raise Invalid(
                f"{RESULTS} has {' and '.join(parts)}",
                remedy="test every row of every group once with every model",
                refusals=(*self._refusals, *missing[: SHOWN - len(self._refusals)]),
            )
        return tuple(
            Results(m, g.group_id, _samples(g.truth, said), _judged(g.truth, said))
            for m, said in self._said.items()
            for g in self._groups
        )


def _samples(truth: dict[str, str], said: dict[str, Answer]) -> list[Sample]:
    return [(sha256, label, *said[sha256][:2]) for sha256, label in truth.items()]


def _judged(truth: dict[str, str], said: dict[str, Answer]) -> dict[str, bool]:
    """Samples that are right although the texts differ, or wrong although they are the same."""
    found = {}
    for sha256, label in truth.items():
        prediction, _, correct = said[sha256]
        right = same(label, prediction) if correct is None else correct
        if right is not (label == prediction):
            found[sha256] = right
    return found


def _is_prediction(value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(value.get("type"), str) and (value["type"] != "class" or _is_word(value.get("label")))
    return _is_word(value)


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= 1_000


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def keep(ports: Ports, output: Path, extra: dict[str, Path]) -> dict[str, str]:
    """
    Put every file of *output* and the *extra* ones (name → path) into the store.

    Returns:
        Name → sha256. Links are not followed; a file that can't be read is left out.
    """
    kept: dict[str, str] = {}
    for name, path in [*extra.items(), *_files(output)]:
        stored = _put(ports, path)
        if stored is not None:
            kept[f"output/{name}" if name in kept else name] = stored.sha256
    return kept


def _put(ports: Ports, path: Path) -> StoredFile | None:
    try:
        return ports.blobs.put(path)
    except (HomeUnusable, Unavailable):  # the store is at fault, not the task
        raise
    except MLifeError:
        return None


def _files(output: Path) -> Iterator[tuple[str, Path]]:
    found = 0
    for folder, folders, names in os.walk(output):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file() or found >= MOST_FILES:
                continue
            found += 1
            yield os.fsencode(path.relative_to(output)).decode("utf-8", "replace"), path
