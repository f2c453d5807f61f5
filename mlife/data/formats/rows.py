"""
A row of a document, and the one place where rows are judged: every form hands its values to `check_row`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from mlife.core.errors import Refusal, shortened
from mlife.data.formats.annotation import check_annotation
from mlife.data.formats.values import (
    JSON,
    Fault,
    Limits,
    check_json,
    check_md5,
    check_media_type,
    check_name,
    check_path,
    check_sha256,
    check_size,
    check_time,
    check_word,
)


@dataclass(frozen=True, slots=True)
class Row:
    """
    One labelled file.

    Fields:
        path: relative, forward slashes, no `..`; or an s3, gs, http(s) link.
        md5, sha256: lower-case hexadecimal.
        annotation: a label, JSON of the contract's types, or None: not labelled yet.
        size: bytes.
        captured_at, labelled_at: RFC 3339 UTC.
        sequence: the video or session that the file is a frame of.
        prelabel, prelabel_model: what a model proposed before labelling, and its Model ID.
        extra: the free columns, with their types; an explicit null is kept apart from no value.
        line: where the row stood (from 1; 0 unknown); not part of its identity.
    """

    path: str
    md5: str
    annotation: str | dict[str, JSON] | None
    sha256: str | None = None
    size: int | None = None
    media_type: str | None = None
    file_type: str | None = None
    collection_place: str | None = None
    captured_at: str | None = None
    sequence: str | None = None
    prelabel: str | dict[str, JSON] | None = None
    prelabel_model: str | None = None
    labelled_by: str | None = None
    labelled_at: str | None = None
    extra: dict[str, JSON] = field(default_factory=dict)
    line: int = field(default=0, compare=False)

    def as_json(self) -> dict[str, JSON]:
        """The row as an object of the JSON form: the required columns, then what has a value."""
        shown: dict[str, JSON] = {"path": self.path, "md5": self.md5, "annotation": self.annotation}
        for name in OPTIONAL:
            value = getattr(self, name)
            if value is not None:
                shown[name] = value
        return {**shown, **self.extra}

    def stored(self) -> bytes:
        """The row as a line for a temporary file; `restored` makes the same row of it, line number and all."""
        return orjson.dumps((self.line, self.as_json())) + b"\n"

    @classmethod
    def restored(cls, stored: bytes) -> Row:
        """The row that `stored` wrote; not checked again."""
        line, values = orjson.loads(stored)
        known: dict[str, Any] = {name: values.pop(name) for name in KNOWN & values.keys()}
        return cls(**known, extra=values, line=line)


# A row as a form gives it: the line it starts on, and its values by column.
Raw: TypeAlias = tuple[int, dict[str, object]]

REQUIRED = ("path", "md5", "annotation")
_CHECKS: dict[str, Callable[[object, str, Limits], Any]] = {
    "path": check_path,
    "md5": check_md5,
    "annotation": check_annotation,
    "sha256": check_sha256,
    "size": check_size,
    "media_type": check_media_type,
    "file_type": check_word,
    "collection_place": check_word,
    "captured_at": check_time,
    "sequence": check_word,
    "prelabel": check_annotation,
    "prelabel_model": check_word,
    "labelled_by": check_word,
    "labelled_at": check_time,
}
KNOWN = frozenset(_CHECKS)
OPTIONAL = tuple(name for name in _CHECKS if name not in REQUIRED)
_EXPECTED_REQUIRED = {
    "path": "the path of a file",
    "md5": "32 hexadecimal digits",
    "annotation": "a label, a typed annotation, or null if the file is not labelled yet",
}


def column_name(name: str, limits: Limits) -> str:
    """
    The column that *name* means. `MD5` or `Collection place` are the known columns; other names are only trimmed.

    Raises:
        Fault: it is empty, too long, or has control characters.
    """
    if name in KNOWN:
        return name
    checked = check_name(name, limits)
    return _known_name(checked) or checked


@lru_cache(maxsize=1024)
def _known_name(name: str) -> str | None:
    folded = name.casefold().replace(" ", "_").replace("-", "_")
    return folded if folded in KNOWN else None


def check_row(values: Mapping[str, object], line: int = 0, limits: Limits | None = None) -> Row | Refusal:
    """
    The row that *values* (column name → value) describe, or the first thing that is wrong with it.

    Args:
        values: as the form gave them, not checked.
        line: where it stood, from 1.
        limits: how large its parts may be.
    """
    limits = limits or Limits()
    try:
        return _row(values, line, limits)
    except Fault as fault:
        return refusal(line, fault)


def refusal(line: int, fault: Fault) -> Refusal:
    """*fault* as one item of the batch's answer."""
    return Refusal(line, fault.field, fault.shown, fault.problem, fault.expected)


def _row(values: Mapping[str, object], line: int, limits: Limits) -> Row:
    known: dict[str, Any] = {}
    extra: dict[str, JSON] = {}
    for name, value in values.items():
        column = column_name(name, limits)
        if column in known or column in extra:
            raise Fault(column, None, "is there twice", "each column once")
        if column in KNOWN:
            known[column] = _CHECKS[column](value, column, limits)
        else:
            extra[column] = check_json(value, column, limits)
    if len(extra) > limits.columns:
        raise Fault("", None, f"has {len(extra):,} free columns", f"at most {limits.columns}")
    for name in REQUIRED:
        if name not in known:
            raise Fault(name, None, "is missing", _EXPECTED_REQUIRED[name])
    return Row(**known, extra=extra, line=line)


def refused(line: int, problem: str, expected: str, value: object = "", *, at: str = "") -> Refusal:
    """The refusal of an item as a whole, before its fields could be told apart; *at* names a field."""
    return Refusal(line, at, shortened(value), problem, expected)
