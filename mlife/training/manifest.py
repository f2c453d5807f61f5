"""The manifest: what the user's code is given to work on (its form is in `mlife/sdk.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from mlife.core.errors import Corrupt, Invalid, NotFound, Refusal, no_such
from mlife.core.events import canonical_json
from mlife.core.handler import Ports
from mlife.training.events import TaskQueued

MANIFEST = "task.json"
ROWS_INSIDE = 2_000
"""Rows of a group that stand in the manifest itself; more go to a file beside it."""

_OWN = frozenset({"path", "md5", "sha256", "annotation"})


@dataclass
class GroupToUse:
    """
    A group as a task sees it.

    Args:
        truth: sha256 → label, of a testing group.
    """

    group_id: str
    name: str = ""
    purpose: str = ""
    digest: str = ""
    truth: dict[str, str] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True)
class Prepared:
    """What a task works on; `models` is model id → sha256."""

    kind: str
    groups: tuple[GroupToUse, ...]
    models: Mapping[str, str]

    @property
    def digests(self) -> dict[str, str]:
        """What the result is bound to: group id → digest, model id → sha256."""
        return {g.group_id: g.digest for g in self.groups} | dict(self.models)


def prepare(ports: Ports, kind: str, queued: TaskQueued, folder: Path, *, verify: bool = False) -> Prepared:
    """
    Write the manifest of a task into *folder*.

    Args:
        verify: read every file and compare its digest: what a task is given is what its group froze.

    Raises:
        Corrupt: a model's file has been changed on the disk.
        Invalid: rows whose files are not in the store or were changed there, or testing rows that say no truth; each
            is named.
        NotFound: a model's file is not in the store.
    """
    refusals: list[Refusal] = []
    files = _Files(ports, verify=verify)
    groups = [_write_group(files, g, folder, refusals) for g in queued.group_ids]
    if refusals:
        raise Invalid(
            f"{len(refusals)} rows can't be used",
            remedy="put missing or changed files again with `mlife file put` and retry the task; for labels, label the "
            "rows, group them again, and draft another task",
            refusals=tuple(refusals[:100]),
        )
    models = {m: _sha256_of_model(ports, m) for m in queued.model_ids}
    for model_id, sha256 in models.items() if verify else ():
        if not _is_whole(ports, sha256):
            raise Corrupt(f"the file of {model_id} has been changed on the disk", remedy="put the original file again")
    manifest = {
        "manifest": 1,
        "task_id": queued.task_id,
        "kind": kind,
        "seed": queued.seed,
        "parameters": queued.parameters,
        "groups": [shown for _, shown in groups],
        "models": [
            {"model_id": m, "path": str(_model_path(ports, m, sha, folder)), "sha256": sha} for m, sha in models.items()
        ],
    }
    (folder / MANIFEST).write_bytes(orjson.dumps(manifest))
    return Prepared(kind, tuple(g for g, _ in groups), models)


def label_of(annotation: Any) -> str:
    """An annotation or prediction as one word: the label of a class, the canonical JSON of a richer type."""
    if isinstance(annotation, Mapping):
        if annotation.get("type") == "class":
            return str(annotation.get("label"))
        return canonical_json(annotation).decode()
    return str(annotation)


@dataclass
class _Files:
    """The files of a task's rows; with *verify* each is read once, and its digest compared."""

    ports: Ports
    verify: bool
    _whole: set[str] = field(default_factory=set)

    def problem(self, sha256: str) -> str:
        """Why a row can't use it; empty if it can."""
        if not sha256 or not self.ports.blobs.has(sha256):
            return "is not in the store"
        if self.verify and sha256 not in self._whole:
            if not _is_whole(self.ports, sha256):
                return "has been changed on the disk"
            self._whole.add(sha256)
        return ""


def _is_whole(ports: Ports, sha256: str) -> bool:
    try:
        ports.blobs.open(sha256, verify=True).close()
    except Corrupt:
        return False
    return True


def _write_group(
    files: _Files, group_id: str, folder: Path, refusals: list[Refusal]
) -> tuple[GroupToUse, dict[str, Any]]:
    group = GroupToUse(group_id)
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(_frozen_rows(files.ports, group), 1):
        made = _row(files, group, number, row, folder, refusals)
        if made is not None:
            rows.append(made)
    if not rows and not refusals:
        raise NotFound(f"group {group_id} has no rows", remedy="group some rows first")
    if group.purpose == "testing":
        for number, made in enumerate(rows, 1):
            _take_truth(group, number, made, refusals)
    group.rows = len(rows)
    digest = group.digest if ":" in group.digest else f"sha256:{group.digest}"
    shown: dict[str, Any] = {
        "group_id": group_id,
        "name": group.name,
        "purpose": group.purpose,
        "digest": digest,
    }
    if len(rows) <= ROWS_INSIDE:
        return group, {**shown, "rows": rows}
    path = folder / f"{group_id}.jsonl"
    with path.open("wb") as lines:
        lines.writelines(orjson.dumps(row) + b"\n" for row in rows)
    return group, {**shown, "rows_file": str(path)}


def _frozen_rows(ports: Ports, group: GroupToUse) -> Iterator[Mapping[str, Any]]:
    """The rows of a group as its stream holds them; those are events of the data feature, known by name."""
    for recorded in ports.store.read_stream(f"group/{group.group_id}"):
        name = recorded.event.declared.name
        if name == "mlife.group.rows_frozen":
            yield from getattr(recorded.event, "rows", ())
        elif name == "mlife.document.grouped":
            for part in ("name", "purpose", "digest"):
                setattr(group, part, getattr(recorded.event, part, ""))


def _row(
    files: _Files, group: GroupToUse, number: int, row: Mapping[str, Any], folder: Path, refusals: list[Refusal]
) -> dict[str, Any] | None:
    sha256 = str(row.get("sha256") or "").removeprefix("sha256:")
    path = str(row.get("path") or "")
    why = files.problem(sha256)
    if why:
        problem = f"row {number} of {group.group_id}: its file {why}"
        refusals.append(Refusal(number, "sha256", sha256 or path, problem, "a stored file"))
        return None
    return {
        "sha256": sha256,
        "file": str(_local(files.ports, sha256, folder / "files" / sha256)),
        "path": path,
        "md5": str(row.get("md5") or ""),
        "annotation": row.get("annotation"),
        "fields": {name: value for name, value in row.items() if name not in _OWN},
    }


def _take_truth(group: GroupToUse, number: int, row: Mapping[str, Any], refusals: list[Refusal]) -> None:
    if row["annotation"] is None:
        problem = f"row {number} of {group.group_id} has no annotation to test against"
        refusals.append(Refusal(number, "annotation", "", problem, "a label"))
        return
    label = label_of(row["annotation"])
    known = group.truth.setdefault(row["sha256"], label)
    if known != label:
        problem = f"row {number} of {group.group_id} is labelled {known} by another row of the same file"
        refusals.append(Refusal(number, "annotation", label, problem, "one label for a file"))


def _local(ports: Ports, sha256: str, copy: Path) -> Path:
    """A local path to stored bytes that is good until *copy*, which may be made, is removed."""
    return ports.blobs.hold(sha256, copy)


def _sha256_of_model(ports: Ports, model_id: str) -> str:
    for recorded in ports.store.read_stream(f"model/{model_id}"):
        if recorded.event.declared.name in {"mlife.model.trained", "mlife.model.added"}:
            return str(getattr(recorded.event, "sha256", "")).removeprefix("sha256:")
    raise no_such("model", model_id)


def _model_path(ports: Ports, model_id: str, sha256: str, folder: Path) -> Path:
    """The model's file under a name that ends in `.onnx`, as tools expect."""
    named = folder / "models" / f"{model_id}.onnx"
    named.parent.mkdir(parents=True, exist_ok=True)
    stored = _local(ports, sha256, named)
    if stored != named and not named.exists():
        named.symlink_to(stored.absolute())
    return named
