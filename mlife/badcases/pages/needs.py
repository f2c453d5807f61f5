"""What needs a person now, by cause: where the room of badcases opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases.pages.shown import picture_of
from mlife.badcases.suggested import alike_of
from mlife.badcases.views.causes import causes
from mlife.badcases.views.counts import needing_me
from mlife.badcases.views.needs import Group, needs
from mlife.badcases.views.proposals import propose
from mlife.ui import answer, page
from mlife.ui.doing import Hands

router = APIRouter(tags=["badcases"])
SHOWN_PROPOSALS = 3


@page(router, "/badcases/needs")
def show_needs(request: Request, hands: Hands) -> Response:
    """
    What needs a person now, grouped under causes, the most urgent first; what has none yet comes last.

    What that shares is looked at for one function, that of the most urgent of them: the page of causes has all.
    """
    with hands.read() as read:
        groups = needs(read)
        counts = needing_me(read)
        alone = groups[-1].first[0] if groups and groups[-1].cause is None else None
        alike = alike_of(hands.ports)
        proposed = propose(read, alike, system=alone.system, function=alone.function) if alone else []
        named = sum(c.needing_me > 0 for c in causes(read))
        position = read.position
    data = {
        "needs_me": counts,
        "groups": [{**asdict(g), "query": g.query} for g in groups],
        "proposals": [{**asdict(p), "sentence": p.sentence} for p in proposed[:SHOWN_PROPOSALS]],
        "position": position,
    }
    return answer(
        request,
        "badcases/needs.html",
        data,
        shown=groups,
        said_of=sentence_of(groups, counts, named),
        proposed=proposed[:SHOWN_PROPOSALS],
        picture=picture_of(hands),
    )


def sentence_of(groups: Sequence[Group], counts: dict[str, int], named: int) -> dict[str, Any]:
    """What the sentence above says; *named*: causes with badcases that need a person, shown or not."""
    return {
        "all": counts["all"],
        "back": counts["regressed"] + counts["recurring"],
        "new": counts["new"],
        "causes": named,
        "alone": sum(g.badcases for g in groups if g.cause is None),
        "no_remedy": sum(g.cause is not None and g.cause.remedy is None for g in groups),
    }
