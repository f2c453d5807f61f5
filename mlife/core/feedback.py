"""Where what customers produce themselves meets the feature that judges it: messages in, refusals out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlife.core.errors import Refusal


@dataclass(frozen=True, slots=True)
class Judged:
    """
    What became of a batch of messages; whatever was taken is durable.

    Args:
        accepted, known: messages that are new, and that were taken before.
        refused: all others; `line` is the place in the batch, from 1.
    """

    accepted: int
    known: int
    refused: Sequence[Refusal]


Judge = Callable[[Sequence[bytes | None]], Judged]
"""
Takes values of messages, each with one item or None.

Raises:
    Unavailable, HomeUnusable: the log can't be written now; the same again is harmless.
"""
