"""
Prediction over truth: what a renderer is given, what it answers, and who is asked.

A renderer says *what* is to be seen (marks, facts, words), never how: pages draw it, so that no plug-in writes mark-up,
and truth and prediction look the same everywhere (solid and T, dashed and P).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mlife.core.media.plugins import RENDERERS, plugin

JSON = Any
Side = Literal["truth", "prediction"]
log = logging.getLogger("mlife.media")


@dataclass(frozen=True, slots=True)
class Case:
    """
    What is to be drawn.

    Args:
        truth, prediction: typed (`mlife.core.annotation`); truth is None if it is unknown.
        media_type: of the file; empty if nobody knows.
        width, height: pixels of the upright picture; None: it can't be shown.
        seconds: how long the sound or the film is; None: nobody knows.
    """

    prediction: Mapping[str, JSON]
    truth: Mapping[str, JSON] | None = None
    media_type: str = ""
    width: float | None = None
    height: float | None = None
    seconds: float | None = None

    def sides(self) -> list[tuple[Side, Mapping[str, JSON]]]:
        """What there is of truth and prediction, truth first, as it is drawn below."""
        told: list[tuple[Side, Mapping[str, JSON]]] = [("prediction", self.prediction)]
        return [("truth", self.truth), *told] if self.truth is not None else told


@dataclass(frozen=True, slots=True)
class Mark:
    """
    One thing that truth or prediction says is somewhere.

    Args:
        shape: `outline` (closed, through *at*), `place` (one point), `stretch` (from the first number of *at*[0] to the
            second, seconds).
        said: the whole of it in words, for who sees no picture.
    """

    side: Side
    shape: Literal["outline", "place", "stretch"]
    label: str
    at: tuple[tuple[float, float], ...]
    said: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """
    What is to be seen.

    Args:
        kind: `picture` (marks over it), `time` (stretches on a line), `words` (one text against the other), `facts`.
        marks: at most as many as a person can look at.
        facts: (what, truth, prediction) in words, for a small table.
        words: (`both`, `truth` or `prediction`; the words) in reading order.
        note: what is not shown, and why.
        end: seconds at the end of the time line.
    """

    kind: Literal["picture", "time", "words", "facts"]
    marks: tuple[Mark, ...] = ()
    facts: tuple[tuple[str, str, str], ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    note: str = ""
    end: float = 0.0

    @property
    def alternative(self) -> str:
        """The drawing in words."""
        said = [f"{side}: {', '.join(m.said for m in self.marks if m.side == side) or 'nothing'}" for side in _SIDES]
        facts = [f"{what}: truth {truth}, prediction {prediction}" for what, truth, prediction in self.facts]
        return "; ".join([*(said if self.marks else []), *facts])


_SIDES: tuple[Side, ...] = ("truth", "prediction")
Renderer: TypeAlias = Callable[[Case], Drawing]


def draw(case: Case) -> Drawing:
    """
    What the renderer for the case's type and medium makes of it; the more special one is asked first.

    A type that nobody renders, and a renderer that fails, leave the page with the values as they are.
    """
    kind, medium = str(case.prediction.get("type", "")), case.media_type.partition("/")[0]
    for name in (f"{kind}.{medium}", kind):
        render: Renderer | None = plugin(RENDERERS, name)
        if render is None:
            continue
        try:
            return render(case)
        except Exception:
            log.exception("renderer %s fails", name)
            return _plain(case, f"The renderer {name} fails; the log of the server says why.")
    return _plain(case, f"Nothing is installed that draws the type {kind}.")


def _plain(case: Case, note: str) -> Drawing:
    truth = {} if case.truth is None else case.truth
    names = [n for n in {**case.prediction, **truth} if n != "type"]
    shown = tuple((n, str(truth.get(n, "–"))[:500], str(case.prediction.get(n, "–"))[:500]) for n in names)
    return Drawing("facts", facts=shown, note=note)
