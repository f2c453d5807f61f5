"""What needs a person now, by cause: where the room of badcases opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases.pages.shown import picture_of
from mlife.badcases.views.counts import needing_me
from mlife.badcases.views.needs import Group, needs
from mlife.badcases.views.proposals import propose
from mlife.ui import answer, page
from mlife.ui.doing import Hands

router = APIRouter(tags=["badcases"])
SHOWN_PROPOSALS = 3


@page(router, "/badcases/needs")
def show_needs(request: Request, hands: Hands) -> Response:
    """What needs a person now, grouped under causes; what has none yet comes last, with what it shares."""
    with hands.read() as read:
        groups = needs(read)
        counts = needing_me(read)
        proposed = propose(read)[:SHOWN_PROPOSALS] if groups and groups[-1].cause is None else []
        position = read.position
    data = {
        "needs_me": counts,
        "groups": [{**asdict(g), "query": g.query} for g in groups],
        "proposals": [{**asdict(p), "sentence": p.sentence} for p in proposed],
        "position": position,
    }
    return answer(
        request,
        "badcases/needs.html",
        data,
        shown=groups,
        said_of=sentence_of(groups, counts),
        proposed=proposed,
        picture=picture_of(hands),
    )


def sentence_of(groups: Sequence[Group], counts: dict[str, int]) -> dict[str, Any]:
    """What the sentence above says."""
    named = [g for g in groups if g.cause is not None]
    return {
        "all": counts["all"],
        "back": counts["regressed"] + counts["recurring"],
        "new": counts["new"],
        "causes": len(named),
        "alone": sum(g.badcases for g in groups if g.cause is None),
        "no_remedy": sum(g.cause is not None and g.cause.remedy is None for g in named),
    }
