"""The timeline: which events concern which thing, whatever feature wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Integer, Table, Text, func, select

from mlife.core.events import Event, Recorded
from mlife.core.projection import Reader
from mlife.core.tables import metadata

PREFIXES = ("alm", "bc", "cau", "dep", "doc", "grp", "itr", "mdl", "req", "tsk")
"""Kinds of things, by the prefix of their ids."""

timeline_rows = Table(
    "timeline_rows",
    metadata,
    Column("thing", Text, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("counted", Integer, nullable=False),  # 1: one of many (a report), folded into a count on the page
    sqlite_with_rowid=False,
)


@dataclass(frozen=True)
class Line:
    """
    One event of a timeline, in words.

    Args:
        at: when it was recorded. word: what happened. text: with what. actor: who or what did it, or empty.
    """

    position: int
    at: datetime
    type: str
    word: str
    text: str
    actor: str
    stream: str

    @property
    def href(self) -> str:
        """The page of the event itself."""
        return f"/events/{self.position}"


def things_of(data: Mapping[str, Any]) -> Iterator[str]:
    """Ids of the things that an event's data names, at the top and one level down; rows and samples are skipped."""
    for name, value in data.items():
        if name.endswith("_id") and isinstance(value, str):
            if value.partition("-")[0] in PREFIXES:
                yield value
        elif name.endswith("_ids") and isinstance(value, list | tuple):
            yield from (v for v in value if isinstance(v, str) and v.partition("-")[0] in PREFIXES)
        elif name == "badcases" and isinstance(value, list | tuple):
            yield from (v["badcase_id"] for v in value if isinstance(v, Mapping) and "badcase_id" in v)
        elif name in ("badcases", "documents", "tested") and isinstance(value, Mapping):
            yield from (k for k in value if k.partition("-")[0] in PREFIXES)


def positions(read: Reader, thing: str, *, before: int | None = None, limit: int = 50) -> list[int]:
    """Positions of the newest single events about *thing*, newest first."""
    t = timeline_rows
    query = select(t.c.position).where(t.c.thing == thing, t.c.counted == 0)
    if before is not None:
        query = query.where(t.c.position < before)
    return [row[0] for row in read.all(query.order_by(t.c.position.desc()).limit(limit))]


def counted(read: Reader, thing: str) -> tuple[int, int, int]:
    """How many events of the many-of-a-kind sort concern *thing*, and the first and last position of them."""
    t = timeline_rows
    row = read.one(
        select(func.count(), func.min(t.c.position), func.max(t.c.position)).where(t.c.thing == thing, t.c.counted == 1)
    )
    assert row is not None  # an aggregate without groups has one row
    return row[0], row[1] or 0, row[2] or 0


LEFT_OUT = {"sentence", "sentences", "by", "rows", "samples", "badcases", "test_sets", "files", "digests", "digest"}


def in_words(recorded: Recorded[Event]) -> Line:
    """*recorded* as a line of a timeline."""
    event = recorded.event
    data = event.model_dump(mode="json", exclude_none=True)
    noun, _, verb = recorded.draft.type.removeprefix("mlife.").rsplit(".v", 1)[0].partition(".")
    detail = data.get("sentence") or (data.get("sentences") or [""])[0] or _details(data)
    return Line(
        position=recorded.position,
        at=recorded.time,
        type=recorded.draft.type,
        word=f"{noun} {verb.replace('_', ' ').replace('.', ' ')}",
        text=str(detail),
        actor=str(data.get("by") or recorded.draft.actor or ""),
        stream=recorded.stream,
    )


def _details(data: Mapping[str, Any]) -> str:
    """The small fields of an event: names and values, as far as they fit a line."""
    shown: list[str] = []
    for name, value in data.items():
        if name in LEFT_OUT or value in ("", [], {}, ()):
            continue
        if isinstance(value, str | int | float | bool):
            shown.append(f"{name.replace('_', ' ')} {value}")
        elif isinstance(value, Sequence):
            shown.append(f"{len(value)} {name.replace('_', ' ')}")
    text = " · ".join(shown)
    return text if len(text) <= 240 else text[:239] + "…"
