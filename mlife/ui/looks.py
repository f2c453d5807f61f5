"""
How a status looks: a shape and a tone. The word is always written; the shape carries it without colour.

Tones: `plain`, `accent` (going on), `done`, `alarm` (wrong *now*). Alarm is for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlife.core.errors import Misconfigured

SHAPES = frozenset(
    {"ring", "half", "dot", "check", "cross", "down", "up", "play", "pause", "dash", "diamond", "question", "loop"}
)
TONES = frozenset({"plain", "accent", "done", "alarm"})


@dataclass(frozen=True, slots=True)
class Look:
    """Shape and tone of a status word."""

    shape: str
    tone: str


_looks: dict[str, Look] = {}


def look(*words: str, shape: str, tone: str = "plain") -> None:
    """
    Give status *words* their shape and tone. Saying the same twice is harmless.

    Raises:
        Misconfigured: unknown shape or tone, or the word looks otherwise already.
    """
    if shape not in SHAPES or tone not in TONES:
        raise Misconfigured(f"no shape {shape!r} or tone {tone!r}", remedy=f"choose of {sorted(SHAPES | TONES)}")
    for word in words:
        known = _looks.setdefault(word, Look(shape, tone))
        if known != Look(shape, tone):
            raise Misconfigured(
                f"status {word!r} looks like {known} already", remedy="use the same look or another word"
            )


def look_of(word: str) -> Look:
    """The look of *word*; a word that nobody declared is a plain dot."""
    return _looks.get(word.lower(), Look("dot", "plain"))


def known_words() -> list[str]:
    """Every word that has a look, in the order in which they were given one."""
    return list(_looks)


# The words of the contract, which several features show.
look("new", "draft", "waiting", "queued", "open", shape="ring")
look("triaged", "unproven", "leased", shape="half")
look("fix planned", "planned", shape="diamond")
look("fix claimed", "claimed", "current", shape="diamond", tone="accent")
look("running", "training", "testing", "active", "rolling out", shape="play", tone="accent")
look("verified", "fixed", "passed", "done", "kept", "sealed", shape="check", tone="done")
look("shipped", shape="up", tone="done")
look("closed", "retired", shape="dot")
look("muted", "paused", shape="pause")
look("rejected", "cancelled", "rolled back", shape="cross")
look("recurring", "old model", "still failing", shape="loop")
look("regressed", "broken", shape="down", tone="alarm")
look("failed", "failing", "refused", "parked", "alarm", shape="cross", tone="alarm")
look("unknown", shape="question")
# The steps of an iteration and of a life.
look("ahead", shape="ring")
look("now", shape="play", tone="accent")
look("wrong", shape="down", tone="alarm")
