"""The whole timeline of a badcase: each event with its position and a sentence, and what can be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlife.badcases.pages.shown import in_words, undo_of
from mlife.badcases.views.rows import BadcaseView, Fact
from mlife.ui.doing import Doing
from mlife.ui.timeline import history_of

MOST = 100


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
