"""
ONNX models: checked, stamped, and served as they were exported.

Metadata entries that are understood (all optional): `mlife.input` (see `model_inputs`), `mlife.labels` (JSON list: the
label of each score column), `mlife.scores` (`probability`, the default, or `votes`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mlife.adapters.model_inputs import INPUT_KEY, ImageInput
from mlife.core.errors import Invalid, Misconfigured, MLifeError, NotFound, shortened

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from onnx import ModelProto

LABELS_KEY = "mlife.labels"
SCORES_KEY = "mlife.scores"
LARGEST_MODEL = 2_000_000_000
"""Bytes; a protobuf can't hold more than 2 GiB, and larger weights would be external."""


class Prediction(TypedDict):
    """
    What a model says about one sample.

    Fields:
        label: the class, as text.
        score: in [0, 1], of that label; None when the model gives none.
    """

    label: str
    score: float | None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """
    What a checked file holds.

    Args:
        sha256: of the file, as `sha256:…`.
        opsets: domain (empty for ONNX's own) → version.
        duplicate_opsets: domains that are imported more than once; stamping mends it.
    """

    sha256: str
    size: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opsets: Mapping[str, int]
    metadata: Mapping[str, str]
    duplicate_opsets: tuple[str, ...] = ()


class Predictor:
    """
    A loaded model. Safe to share between threads.

    The *label* output is served, never the largest probability: an exported SVC's probabilities come from another
    fit than its votes and disagree with its label on hundreds of rows. Only a model without a label output is read
    by its largest score.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        meta: dict[str, str] = session.get_modelmeta().custom_metadata_map
        self.metadata: Mapping[str, str] = meta
        self.input: ImageInput | None = ImageInput.from_json(meta[INPUT_KEY]) if INPUT_KEY in meta else None
        self.labels: tuple[str, ...] | None = _labels(meta)
        self._votes = meta.get(SCORES_KEY) == "votes"
        if len(session.get_inputs()) != 1:
            names = [entry.name for entry in session.get_inputs()]
            raise Invalid(f"the model reads {names}", remedy="export it with one input")
        self.input_name: str = session.get_inputs()[0].name
        self.shape: tuple[int | None, ...] = tuple(
            d if isinstance(d, int) else None for d in session.get_inputs()[0].shape
        )
        outputs = session.get_outputs()
        text = [o.name for o in outputs if o.type in {"tensor(int64)", "tensor(int32)", "tensor(string)"}]
        real = [o.name for o in outputs if o.type in {"tensor(float)", "tensor(double)"}]
        self._label_output, self._score_output = (text or [None])[0], (real or [None])[0]
        if not self._label_output and not self._score_output:
            shown = [f"{o.name}: {o.type}" for o in outputs]
            raise Invalid(f"the model answers {shown}", remedy="export a label output or one score per class")

    @property
    def reads_pictures(self) -> bool:
        """Does the model say how it wants pictures?"""
        return self.input is not None

    def predict(self, batch: ArrayLike) -> list[Prediction]:
        """
        Answer for each row of *batch*.

        Args:
            batch: float32 of the shape that the model reads, batch axis first.

        Raises:
            Invalid: the shape is not the model's.
        """
        import numpy as np

        rows = np.ascontiguousarray(batch, dtype=np.float32)
        if not len(rows):
            return []
        names = [name for name in (self._label_output, self._score_output) if name]
        try:
            answers = dict(zip(names, self._session.run(names, {self.input_name: rows}), strict=True))
        except Exception as e:  # onnxruntime raises a dozen classes without a common one of its own
            raise Invalid(f"the model can't read an input of shape {rows.shape}: {shortened(e)}") from e
        scores = answers.get(self._score_output or "")
        if self._label_output:
            told = np.asarray(answers[self._label_output])
            _check_rows(told.size == len(rows), told, rows)
            labels = [str(label) for label in told.reshape(len(rows))]
        else:
            told = np.asarray(scores)
            _check_rows(told.size >= len(rows) and told.size % len(rows) == 0, told, rows)
            columns = told.reshape(len(rows), -1)
            if self.labels and len(self.labels) != columns.shape[1]:
                raise Invalid(
                    f"the model gives {columns.shape[1]} scores and {LABELS_KEY} names {len(self.labels)} labels",
                    remedy="name one label for each score column",
                )
            best = columns.argmax(axis=1)
            labels = [self.labels[i] if self.labels else str(i) for i in best]
        return [{"label": label, "score": s} for label, s in zip(labels, self._scores(labels, scores), strict=True)]

    def predict_files(self, pictures: Iterable[bytes]) -> list[Prediction]:
        """
        Answer for each picture, converted as the model's `mlife.input` asks.

        Raises:
            Invalid: a picture can't be read, or the model does not say how it wants pictures.
        """
        if self.input is None:
            raise Invalid("the model does not say how it reads pictures", remedy=f"stamp it with {INPUT_KEY}")
        rows = [self.input.convert(data) for data in pictures]
        if not rows:
            return []
        import numpy as np

        return self.predict(np.stack(rows))

    def _scores(self, labels: Sequence[str], scores: Any) -> list[float | None]:
        columns = {label: i for i, label in enumerate(self.labels or ())}
        if scores is None or scores.shape != (len(labels), len(columns)):
            return [None] * len(labels)
        rivals = max(1, len(columns) - 1)
        found: list[float | None] = []
        for row, label in zip(scores, labels, strict=True):
            value = float(row[columns[label]]) if label in columns else -1.0
            if self._votes:
                value = min(1.0, max(0.0, value / rivals))
            found.append(round(value, 6) if 0.0 <= value <= 1.0 else None)
        return found


def _check_rows(fit: bool, told: Any, rows: Any) -> None:  # noqa: FBT001 - what was found out beside it
    if not fit:
        raise Invalid(
            f"the model answers {list(told.shape)} for {len(rows)} rows", remedy="export it with a row axis that varies"
        )


class OnnxModels:
    """Models as ONNX files."""

    def check(self, path: Path) -> ModelFacts:
        """
        Is this a whole, valid model in one file?

        Raises:
            NotFound: there is no such file.
            Invalid: it is none, it is too large, or it keeps weights in other files.
        """
        model, data = self._read(path)
        domains = [entry.domain or "" for entry in model.opset_import]
        versions: dict[str, int] = {}
        for entry in model.opset_import:
            versions[entry.domain] = max(entry.version, versions.get(entry.domain, 0))
        return ModelFacts(
            sha256="sha256:" + hashlib.sha256(data).hexdigest(),
            size=len(data),
            inputs=tuple(entry.name for entry in model.graph.input),
            outputs=tuple(entry.name for entry in model.graph.output),
            opsets=versions,
            metadata={entry.key: entry.value for entry in model.metadata_props},
            duplicate_opsets=tuple(sorted({d for d in domains if domains.count(d) > 1})),
        )

    def stamp(self, path: Path, target: Path, metadata: Mapping[str, str]) -> ModelFacts:
        """
        Write a copy of *path* with *metadata* to *target*; the original is left as it is.

        Entries of the same key are replaced: quantised children carry their parent's. Opset imports are de-duplicated
        by domain, to the highest version, which is the one that runtimes read; other tools die on duplicates.

        Raises:
            Invalid: as `check`, or *target* is *path*.
        """
        if target.exists() and target.samefile(path):
            raise Invalid(f"{path} would be overwritten", remedy="stamp into a new file: models are immutable")
        model, _ = self._read(path)
        versions: dict[str, int] = {}
        for entry in model.opset_import:
            versions[entry.domain] = max(entry.version, versions.get(entry.domain, 0))
        del model.opset_import[:]
        for domain, version in versions.items():
            model.opset_import.add(domain=domain, version=version)
        merged = {entry.key: entry.value for entry in model.metadata_props} | dict(metadata)
        del model.metadata_props[:]
        for key in sorted(merged):
            model.metadata_props.add(key=key, value=merged[key])
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            partial.write_bytes(model.SerializeToString(deterministic=True))
            partial.replace(target)
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()
        return self.check(target)

    def load(self, path: Path) -> Predictor:
        """
        Make *path* ready to answer, on one thread.

        Raises:
            NotFound: there is no such file.
            Invalid: ONNX Runtime can't load it, or its inputs and outputs are not understood.
        """
        try:
            import onnxruntime
        except ImportError as e:
            raise Misconfigured("ONNX Runtime is not installed", remedy="pip install 'mlife[onnx]'") from e
        data = _bytes_of(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as e:  # as above: no common class
            raise Invalid(
                f"{path.name} can't be loaded: {shortened(e)}", remedy="export it with operators that ONNX Runtime has"
            ) from e
        return Predictor(session)

    def _read(self, path: Path) -> tuple[ModelProto, bytes]:
        try:
            import onnx
        except ImportError as e:
            raise Misconfigured("onnx is not installed", remedy="pip install 'mlife[onnx]'") from e
        data = _bytes_of(path)
        try:
            model = onnx.load_model_from_string(data)
        except Exception as e:  # protobuf's DecodeError, whose module carries no types
            raise Invalid(f"{path.name} is no ONNX file: {e}", remedy="export the model to ONNX") from e
        outside = _external_files(model)
        if outside:
            raise Invalid(
                f"{path.name} keeps weights in other files: {', '.join(outside[:3])}",
                remedy="export it as one file (save_as_external_data=False)",
            )
        try:
            onnx.checker.check_model(model)
        except onnx.checker.ValidationError as e:
            raise Invalid(f"{path.name} is no valid ONNX model: {shortened(e)}") from e
        return model, data


def _bytes_of(path: Path) -> bytes:
    try:
        known = path.stat()
        if not stat.S_ISREG(known.st_mode):  # a device may never end
            raise Invalid(f"{path.name} is no file", remedy="name the model's ONNX file")
        if known.st_size > LARGEST_MODEL:
            raise Invalid(
                f"{path.name} has {known.st_size:,} bytes",
                remedy=f"a model may have {LARGEST_MODEL:,}: quantise it, or keep less in it",
            )
        return path.read_bytes()
    except FileNotFoundError as e:
        raise NotFound(f"there is no model file {path}") from e
    except OSError as e:
        raise MLifeError(f"{path} can't be read: {e.strerror}") from e


def _external_files(model: ModelProto) -> list[str]:
    """Names of the files that any tensor of the graph, its subgraphs and functions refers to."""
    found: set[str] = set()

    def look(message: Any) -> None:
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            for part in value if field.is_repeated else (value,):
                if part.DESCRIPTOR.name == "TensorProto" and part.data_location == part.EXTERNAL:
                    found.update(entry.value for entry in part.external_data if entry.key == "location")
                elif part.DESCRIPTOR.name != "TensorProto":
                    look(part)

    look(model)
    return sorted(found)


def _labels(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    if LABELS_KEY not in metadata:
        return None
    try:
        said = json.loads(metadata[LABELS_KEY])
    except ValueError as e:
        raise Invalid(f"{LABELS_KEY} is not JSON: {shortened(metadata[LABELS_KEY])}") from e
    if not isinstance(said, list) or not all(isinstance(label, str | int) for label in said):
        raise Invalid(f"{LABELS_KEY} is no list of labels: {shortened(metadata[LABELS_KEY])}")
    return tuple(str(label) for label in said)
