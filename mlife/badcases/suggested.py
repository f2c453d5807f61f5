"""What is suggested of a function: the same answer for the page, the API and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from mlife.badcases.functions import function_id
from mlife.badcases.looking import FAILED, FOUND, LOOKED, UNREADABLE, Look, Seen
from mlife.badcases.suggesting import ALIKE, Suggestion
from mlife.badcases.views import lists, suggesting
from mlife.badcases.views.rows import BadcaseView
from mlife.badcases.views.suggesting import DismissedPair
from mlife.core.errors import NotFound, Refused
from mlife.core.handler import Ports
from mlife.core.media.embedding import Embedder, embedders, told_of
from mlife.core.ports import Shelf
from mlife.core.projection import Reader

SHOWN = 40
"""Suggestions that are shown; more come up as these are decided."""
NONE = Look()


@dataclass(frozen=True, slots=True)
class Suggested:
    """
    What is suggested of a function.

    Args:
        total: suggestions that wait; `suggestions` are the first of them.
        chosen: embedders that somebody chose; None: whatever is installed.
        badcases: those that are named, by id. texts: of suggested badcases, what stands for them.
    """

    system: str
    function: str
    look: Look
    total: int
    suggestions: Sequence[Suggestion]
    dismissed: Sequence[DismissedPair]
    chosen: tuple[str, ...] | None
    badcases: Mapping[str, BadcaseView]
    texts: Mapping[str, Sequence[str]]
    position: int

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "system": self.system,
            "function": self.function,
            "compared": self.look.badcases,
            "is_done": self.look.seconds is not None,
            "progress": [{**asdict(s), "sentence": progress(s)} for s in self.look.embedders],
            "chosen": self.chosen,
            "installed": told_of(embedders()),
            "suggestions": [
                {
                    **asdict(s),
                    "titles": [self.badcases[i].title for i in (s.one, s.other)],
                    "texts": [list(self.texts.get(i, ())) for i in (s.one, s.other)],
                }
                for s in self.suggestions
            ],
            "total": self.total,
            "dismissed": [asdict(d) for d in self.dismissed],
            "position": self.position,
        }


def suggested(ports: Ports, read: Reader, system: str, function: str, *, most: int = SHOWN) -> Suggested:
    """What was found, without what people decided since; nothing is computed here."""
    look, found = kept(ports.extra["shelf"], system, function)
    dismissed = suggesting.dismissed(read, system, function)
    gone = {d.suggestion_id for d in dismissed}
    found = [s for s in found if s.suggestion_id not in gone]
    there = suggesting.apart(read, {i for s in found for i in (s.one, s.other)})
    waiting = [s for s in found if s.one in there and s.other in there]
    ids = {i for s in waiting[:most] for i in (s.one, s.other)}
    named = {
        b.badcase_id: b
        for b in lists.badcases_by_id(read, ids | {i for d in dismissed[:most] for i in (d.one, d.other)})
    }
    shown = [s for s in waiting[:most] if s.one in named and s.other in named]
    texts: dict[str, Sequence[str]] = {}
    for some in suggesting.slices(sorted({i for s in shown if s.why == ALIKE["text"] for i in (s.one, s.other)})):
        texts |= {b: one.texts for b, one in suggesting.standing_for(read, some).items()}
    chosen = suggesting.chosen(read, system, function)
    return Suggested(system, function, look, len(waiting), shown, dismissed[:most], chosen, named, texts, read.position)


def kept(shelf: Shelf, system: str, function: str) -> tuple[Look, list[Suggestion]]:
    """How far a function is, and what was found of it, whatever people decided since."""
    key = function_id(system, function)
    looked, found = shelf.get(LOOKED, [key]).get(key), shelf.get(FOUND, [key]).get(key)
    look = NONE
    if looked:
        said = orjson.loads(looked)
        look = Look(**{**said, "embedders": [Seen(**s) for s in said["embedders"]]})
    suggestions = orjson.loads(found)["suggestions"] if found else []
    return look, [Suggestion(**{**s, "keys": tuple(s["keys"]), "also": tuple(s["also"])}) for s in suggestions]


def alike_of(ports: Ports) -> Callable[[str, str], list[tuple[str, str, float]]]:
    """What proposals of causes are told of likeness: of a function, pairs of badcases that are alike, and how much."""

    def pairs(system: str, function: str) -> list[tuple[str, str, float]]:
        return [(s.one, s.other, s.likeness) for s in kept(ports.extra["shelf"], system, function)[1]]

    return pairs


def progress(seen: Seen) -> str:
    """How far an embedder is, in words."""
    what = {"picture": "pictures", "text": "descriptions"}.get(seen.reads, "items")
    said = f"{seen.seen + seen.unreadable + seen.failed:,} of {seen.items:,} {what} looked at"
    parts = [
        (seen.absent, "whose bytes are not here"),
        (seen.unreadable, "that can’t be read"),
        (seen.failed, f"at which it failed ({'; '.join(seen.reasons)})"),
    ]
    return "; ".join([said, *(f"{n:,} {why}" for n, why in parts if n)])


def must_be_installed(names: Sequence[str] | None) -> None:
    """Raises Refused: an embedder is not installed, or can't be used."""
    there = embedders()
    for name in names or ():
        if name not in there:
            raise Refused(f"no embedder is called {name}", remedy=f"choose of {', '.join(there)}, or install it")


def try_again(shelf: Shelf, name: str) -> int:
    """Let an embedder try once more what it failed at, and pictures that could not be read; how many there were."""
    embedder = embedders().get(name)
    if not isinstance(embedder, Embedder):
        raise NotFound(f"no embedder is called {name}", remedy=f"choose of {', '.join(embedders())}")
    gone = shelf.drop(embedder.kind(name) + FAILED)
    gone += shelf.drop(UNREADABLE) if embedder.reads == "picture" else 0
    shelf.drop(LOOKED)  # so that the next pass does not wait for a new report
    return gone
