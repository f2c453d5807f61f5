"""A row's file in a folder of this machine: found below it, and the one that the row means."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlife.core.errors import Refusal, shortened
from mlife.data.formats import Row


def local_file(row: Row, base: Path) -> Path | Refusal | None:
    """The row's file below *base*; None if it is not there; a refusal if it is not the file that the row means."""
    if "://" in row.path:
        return None
    try:
        return _found(row, base)
    except (OSError, RuntimeError) as e:  # a loop of links is a RuntimeError before Python 3.13
        why = e.strerror if isinstance(e, OSError) and e.strerror else "a loop of links"
        return Refusal(row.line, "path", shortened(row.path), f"can't be followed: {why}", "a file that can be read")


def _found(row: Row, base: Path) -> Path | Refusal | None:
    path = (base / row.path).resolve()
    if not path.is_relative_to(base):
        return Refusal(row.line, "path", shortened(row.path), "leads out of the folder of files", "a file in it")
    if not path.is_file():
        if path.exists():
            return Refusal(row.line, "path", shortened(row.path), "is no file", "the path of a file")
        return None
    for name, expected in (("md5", row.md5), ("sha256", row.sha256)):
        if expected is None:
            continue
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, name)
        if digest.hexdigest() != expected:
            return Refusal(row.line, name, expected, f"is not that of {shortened(row.path)}", digest.hexdigest())
    return path
