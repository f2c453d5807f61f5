"""
Group Items: which rows, drawn how, frozen as what.

Drawing is by a hash of seed and file, so the same seed draws the same files wherever they stand and however many others
there are: two parts of one split never meet, not even in another document. Frames of one `sequence` go together in a
split, because neighbours of one video are all but the same picture.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlife.core.command import Executor
from mlife.core.errors import Conflict, Invalid, Refused, no_such, shortened
from mlife.core.handler import Ports
from mlife.core.projection import Reader
from mlife.data.analysis import classes_of
from mlife.data.commands import group_items
from mlife.data.events import DocumentGrouped
from mlife.data.views import (
    DocumentView,
    FileView,
    bodies,
    document_list,
    files_by_md5,
    files_by_sha256,
    rows_condition,
    uses_of,
)

TRIES = 3
SHOWN = 3
JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Which rows.

    Args:
        documents: their ids; rows come in the order of their import.
        query: of the query language, over rows; empty: all.
        numbers: only rows with these numbers; for one document.
        per_class: at most so many of each class, drawn by *seed*.
        limit: at most so many together, drawn by *seed*.
        part: only the files whose draw lies in [low, high), e.g. (0, 0.8) for training and (0.8, 1) for validation.
        seed: of the draw.
    """

    documents: Sequence[str]
    query: str = ""
    numbers: Sequence[int] = ()
    per_class: int | None = None
    limit: int | None = None
    part: tuple[float, float] | None = None
    seed: int = 0

    def check(self) -> None:
        """
        Raises:
            Invalid: it makes no sense.
        """
        if not self.documents:
            raise Invalid("no document is named", remedy="name one or more documents to take rows from")
        if self.numbers and len(self.documents) != 1:
            raise Invalid("row numbers belong to one document", remedy="name one document, or use a query")
        if self.part is not None and not 0 <= self.part[0] < self.part[1] <= 1:
            raise Invalid(
                f"{self.part[0]:g} to {self.part[1]:g} is no part of a whole", remedy="give low < high in 0 to 1"
            )
        for name, value in (("per_class", self.per_class), ("limit", self.limit)):
            if value is not None and value < 1:
                raise Invalid(f"{name} is {value}", remedy="ask for one row at least")

    @property
    def words(self) -> str:
        """How rows are drawn, in words; empty: all."""
        says = []
        if self.part is not None:
            says.append(f"the part {self.part[0]:g} to {self.part[1]:g}")
        if self.per_class is not None:
            says.append(f"{self.per_class} of each class")
        if self.limit is not None:
            says.append(f"{self.limit} in all")
        return f"{', '.join(says)}, seed {self.seed}" if says else ""


@dataclass(frozen=True, slots=True)
class Grouped:
    """A group that was made, and where its event stands. `known`: the same request had made it before."""

    group: DocumentGrouped
    position: int
    known: bool = False

    def as_json(self) -> dict[str, Any]:
        """As the API answers."""
        g = self.group
        return {
            "position": self.position,
            "group_id": g.group_id,
            "task_id": g.task_id,
            "purpose": g.purpose,
            "rows": g.rows,
            "by_class": g.by_class,
            "left_out": g.left_out,
            "duplicates": g.duplicates,
            "digest": g.digest,
        }


class Grouping:
    """Reads rows, draws, asks the guard, freezes."""

    def __init__(self, ports: Ports, executor: Executor, see: Callable[[int], None]) -> None:
        self._ports = ports
        self._executor = executor
        self._see = see

    def make(self, selection: Selection, *, key: str | None, **said: Any) -> Grouped:
        """
        Freeze what *selection* finds; see `DataIntake.group`.

        Raises:
            Refused: the guard, or rows whose bytes are missing. Invalid, NotFound: the selection.
        """
        selection.check()
        key = key or uuid.uuid4().hex
        for attempt in range(TRIES):
            try:
                return self._make(selection, key, said)
            except Conflict:  # a document grew while its rows were read
                if attempt == TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _make(self, selection: Selection, key: str, said: JSON) -> Grouped:
        head = self._ports.store.head()
        self._see(head)
        with self._ports.views.read(min_position=head) as read:
            heads = self._heads(read, selection)
            condition = rows_condition(heads, selection.query, self._executor.clock.now(), selection.numbers)
            rows = _drawn([body for _, _, body in bodies(read, heads, condition)], selection)
            if not rows:
                raise Refused("no row is found to group", remedy="widen the query, or choose other documents")
            rows = _named(read, rows, said["purpose"])
            uses = uses_of(read, rows)
            position = read.position
        done = self._executor.expecting(
            {f"document/{h.document_id}": h.version for h in heads},
            key,
            group_items,
            **{
                **said,
                "documents": {h.document_id: h.version for h in heads},
                "rows": rows,
                "uses": uses,
                "checked_at": position,
                "query": selection.query,
                "sample": selection.words,
                "system": said.get("system") or _agreed(h.system for h in heads),
                "function": said.get("function") or _agreed(h.function for h in heads),
            },
        )
        done.answers({**said, "query": selection.query, "sample": selection.words}, lambda plain: plain)
        return Grouped(done.first(DocumentGrouped), done.position, done.known)

    def _heads(self, read: Reader, selection: Selection) -> list[DocumentView]:
        heads = document_list(read, list(selection.documents))
        missing = set(selection.documents) - {h.document_id for h in heads}
        if missing:
            names = ", ".join(sorted(missing))
            raise no_such("document", names)
        return heads


def _named(read: Reader, rows: list[JSON], purpose: str) -> list[JSON]:
    """*rows* with the SHA-256 of their stored files; a sample without bytes or, in a test, without truth is refused."""
    by_md5 = files_by_md5(read, [r["md5"] for r in rows if not r.get("sha256")])
    named = [_with_digest(r, by_md5) for r in rows]
    stored = files_by_sha256(read, [r["sha256"] for r in named if r.get("sha256")])
    _refuse(
        [r for r in named if r.get("sha256") not in stored],
        len(named),
        "have no bytes in the store",
        "put the files (mlife file put), or leave such rows out with the query missing:no",
    )
    if purpose == "testing":
        _refuse(
            [r for r in named if r.get("annotation") is None],
            len(named),
            "have no annotation to test against",
            "label them, or leave such rows out with the query annotation:any",
        )
    return [r if r["md5"] else {**r, "md5": stored[r["sha256"]].md5} for r in named]


def _refuse(rows: Sequence[JSON], of: int, what: str, remedy: str) -> None:
    if rows:
        first = ", ".join(shortened(r["path"], 80) for r in rows[:SHOWN])
        more = ", …" if len(rows) > SHOWN else ""
        raise Refused(f"{len(rows):,} of {of:,} rows {what}: {first}{more}", remedy=remedy)


def _with_digest(row: JSON, by_md5: Mapping[str, Sequence[FileView]]) -> JSON:
    """*row* with the SHA-256 of the first file that came with its MD5, if it gives none."""
    if row.get("sha256") or row["md5"] not in by_md5:
        return row
    return {**row, "sha256": by_md5[row["md5"]][0].sha256}


def _agreed(values: Iterable[str | None]) -> str | None:
    """The one value that is said; None if there are several or none."""
    said = {v for v in values if v is not None}
    return said.pop() if len(said) == 1 else None


# ── drawing ──────────────────────────────────────────────────────────────────────────────────────


def _drawn(rows: list[JSON], selection: Selection) -> list[JSON]:
    """Those of *rows* that are drawn, in their order."""
    if selection.part is not None:
        low, high = selection.part
        rows = [r for r in rows if low <= draw(str(r.get("sequence") or _file(r)), selection.seed) < high]
    if selection.per_class is not None:
        taken: set[int] = set()
        by_class: dict[str, list[int]] = {}
        for at, row in enumerate(rows):
            by_class.setdefault(_class(row), []).append(at)
        for places in by_class.values():
            taken.update(_lowest(rows, places, selection.per_class, selection.seed))
        rows = [row for at, row in enumerate(rows) if at in taken]
    if selection.limit is not None:
        taken = set(_lowest(rows, range(len(rows)), selection.limit, selection.seed))
        rows = [row for at, row in enumerate(rows) if at in taken]
    return rows


def draw(what: str, seed: int) -> float:
    """A number in [0, 1) that depends on *what* and *seed* alone."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{what}".encode()).digest()[:6], "big") / (1 << 48)


def _lowest(rows: Sequence[JSON], places: Iterable[int], count: int, seed: int) -> list[int]:
    return sorted(places, key=lambda at: (draw(_file(rows[at]), seed), at))[:count]


def _file(row: JSON) -> str:
    # The MD5 comes first: it is always there, so that a row draws the same before and after its bytes are known.
    return str(row["md5"] or row.get("sha256"))


def _class(row: JSON) -> str:
    return " + ".join(sorted(set(classes_of(row.get("annotation")))))
