"""What a page of a list is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """
    A page of a list.

    Args:
        items: its rows, in order.
        after: cursor of the next page; None on the last.
        before: cursor of the page before; None on the first.
        total: how many the query finds.
    """

    items: Sequence[T]
    after: str | None
    before: str | None
    total: int
