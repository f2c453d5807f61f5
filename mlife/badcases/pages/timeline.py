"""The life of a badcase as its page tells it: priority, fix, comments, and the timeline with what can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlife.badcases.pages.shown import in_words, undo_of
from mlife.badcases.states import Badcase
from mlife.badcases.views import priority, standing
from mlife.badcases.views.comments import comments_on
from mlife.badcases.views.priority import Priority
from mlife.badcases.views.rows import BadcaseView, Fact
from mlife.badcases.views.standing import Shipped
from mlife.badcases.views.timeline import milestones
from mlife.core.command import folded
from mlife.core.projection import Reader
from mlife.ui.doing import Doing
from mlife.ui.timeline import history_of

MOST = 100


@dataclass(frozen=True, slots=True)
class Life:
    """
    What became of a badcase.

    Args:
        because: why it has its priority. fix: where its fix is; None: no model that answers has it.
        told: all of it for programs.
    """

    because: Priority | None
    fix: Shipped | None
    told: dict[str, Any]


def lived(hands: Doing, read: Reader, b: BadcaseView) -> Life:
    """The life of a badcase so far."""
    because, fix = priority.why(read, b.badcase_id), standing.shipped(read, b.badcase_id)
    stream = hands.ports.store.read_stream(f"badcase/{b.badcase_id}")
    possible = folded(Badcase, b.badcase_id, stream).actions.possible()
    told = {
        "priority": asdict(because) if because else None,
        "shipped": None if fix is None else {**asdict(fix), "share": fix.share, "sentence": fix.sentence},
        "comments": [hands.open(asdict(c)) for c in comments_on(read, b.badcase_id)],
        "can_be_taken_back": possible,
        "timeline": timeline_of(hands, b, milestones(read, b.badcase_id), possible),
        "stream_version": len(stream),
    }
    return Life(because, fix, told)


def timeline_of(
    hands: Doing, b: BadcaseView, milestones: Sequence[Fact], possible: Mapping[int, str]
) -> list[dict[str, Any]]:
    """
    The newest lines, the last first: its own stream, comments, causes and iterations, and its milestones.

    Args:
        possible: versions of its own stream that can be taken back.
    """
    own = f"badcase/{b.badcase_id}"
    causes = [f"cause/{cause_id}" for cause_id, _ in b.causes]
    turns = [f"iteration/{iteration_id}" for iteration_id, _ in b.iterations]
    lines = history_of(
        hands,
        own,
        f"comments/{b.badcase_id}",
        *causes,
        *turns,
        say=in_words,
        most=MOST,
        undo=lambda r: undo_of(r, own, possible),
    )
    lines += [
        {
            "position": f.position,
            "word": f.word,
            "text": f.sentence,
            "actor": f.actor or "the field",
            "at": f.happened_at,
            "href": f.href or f"/events/{f.position}",
            "undo": None,
        }
        for f in milestones
    ]
    return sorted(lines, key=lambda line: -line["position"])[:MOST]
