"""Events of a few streams as the timeline macro draws them. All that happened to a thing is a page of audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlife.core.events import Event
from mlife.ui.doing import Doing


def history_of(doing: Doing, *streams: str, say: Callable[[Event], str], most: int = 100) -> list[dict[str, Any]]:
    """The newest *most* events of *streams*, the last first; *say* puts what an event holds into a few words."""
    found = [r for stream in streams for r in doing.ports.store.read_stream(stream)]
    found.sort(key=lambda r: -r.position)
    return [
        {
            "position": r.position,
            "word": r.event.declared.name.rsplit(".", 1)[-1].replace("_", " "),
            "text": say(r.event),
            "actor": r.draft.actor or "somebody",
            "at": r.time,
            "href": f"/events/{r.position}",
        }
        for r in found[:most]
    ]
