"""Events of a few streams as the timeline macro draws them. All that happened to a thing is a page of audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlife.core.events import Event, Recorded
from mlife.ui.doing import Doing


def history_of(
    doing: Doing,
    *streams: str,
    say: Callable[[Event], str],
    most: int = 100,
    undo: Callable[[Recorded[Event]], str | None] = lambda _: None,
) -> list[dict[str, Any]]:
    """
    The newest *most* events of *streams*, the last first. Those not of the first stream say what they are about.

    Args:
        say: puts what an event holds into a few words. undo: the address that takes it back; None: nothing does.
    """
    found = [r for stream in streams for r in doing.ports.store.read_stream(stream)]
    found.sort(key=lambda r: -r.position)
    return [
        {
            "position": r.position,
            "word": _word(r, streams[0]),
            "text": doing.open(say(r.event)),
            "actor": r.draft.actor or "somebody",
            "at": r.time,
            "href": f"/events/{r.position}",
            "undo": undo(r),
        }
        for r in found[:most]
    ]


def _word(recorded: Recorded[Event], own: str) -> str:
    noun, _, verb = recorded.event.declared.name.removeprefix("mlife.").partition(".")
    said = verb if recorded.stream == own else f"{noun} {verb}"
    return said.rsplit(".", 1)[-1].replace("_", " ")
