"""
Reports that customers produce themselves: a message holds one, as JSON or as a CloudEvent in structured mode.

They come through the same intake as those of HTTP, so that the same report by both doors counts once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mlife.badcases.intake.reading import message
from mlife.badcases.intake.taking import CHUNK, Answer, Intake, Sending
from mlife.core import metrics
from mlife.core.errors import Invalid, MLifeError, Refusal, in_a_line, shortened
from mlife.core.feedback import Judged

log = logging.getLogger("mlife.intake")


class Feedback:
    """A `Judge` of reports."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def __call__(self, values: Sequence[bytes | None]) -> Judged:
        """See `Judge`."""
        judged = self._judged(values, 1)
        for answer, count in ("accepted", judged.accepted), ("known", judged.known), ("refused", len(judged.refused)):
            metrics.intake.add(answer, count=count)
        return judged

    def _judged(self, values: Sequence[bytes | None], first: int) -> Judged:
        """*values* from place *first* on; one on which MLife itself fails is refused alone."""
        try:
            return self._taken(values, first)
        except Exception as e:
            if isinstance(e, MLifeError) and not isinstance(e, Invalid):
                raise
            fault = e
        if len(values) == 1:
            log.error("a report can't be judged", exc_info=fault)
            return Judged(0, 0, [_faulty(values[0], first, fault)])
        half = len(values) // 2
        one, other = self._judged(values[:half], first), self._judged(values[half:], first + half)
        return Judged(one.accepted + other.accepted, one.known + other.known, [*one.refused, *other.refused])

    def _taken(self, values: Sequence[bytes | None], first: int) -> Judged:
        """While the log writes one chunk the next is prepared."""
        answers: list[Answer] = []
        before: Sending | None = None
        for start in range(0, len(values), CHUNK):
            sending = self._intake.sending()
            sending.take((first + at, message(values[at])) for at in range(start, min(start + CHUNK, len(values))))
            if before is not None:
                answers.append(before.finish())
            before = sending
        if before is not None:
            answers.append(before.finish())
        refused = [refusal for answer in answers for refusal in answer.refused]
        return Judged(sum(a.accepted for a in answers), sum(a.known for a in answers), refused)


def _faulty(value: bytes | None, line: int, fault: Exception) -> Refusal:
    return Refusal(
        line,
        "",
        shortened(value),
        f"can't be judged: MLife met a fault of its own ({in_a_line(fault)})",
        "a report that MLife can judge; tell its makers of this one",
    )
