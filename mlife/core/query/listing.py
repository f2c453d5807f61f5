"""A list as it is read: a page of views with its neighbours, how many there are in all, and counts that narrow it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, FromClause, func, select

from mlife.core.query.paging import Page
from mlife.core.tables import AnyRow

if TYPE_CHECKING:
    from mlife.core.projection import Reader

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
        more: it finds more than *total*, which were not counted.
    """

    items: Sequence[T]
    after: str | None
    before: str | None
    total: int
    more: bool = field(default=False, kw_only=True)

    def told(self, name: str, items: Iterable[Any], position: int, **more: Any) -> dict[str, Any]:
        """
        The answer of every list to programs: *items* under *name*, how many there are, the cursors, the position.

        Args:
            items: the page's rows in the form that programs get.
            more: what this list says besides, such as facets.
        """
        cursors = {"after": self.after, "before": self.before}
        counted = {"total": self.total, **({"total_is_least": True} if self.more else {})}
        return {name: list(items), **counted, **more, **cursors, "position": position}


def read_page(
    read: Reader,
    asked: Page,
    views: Callable[[Sequence[AnyRow]], Sequence[T]],
    *,
    among: FromClause,
    where: ColumnElement[bool] | None = None,
) -> Listing[T]:
    """
    Read the page and count what it is of.

    Args:
        views: what the page's rows are shown as.
        among: the table that is counted in.
        where: a condition of the page's statement beside the query's own.
    """
    cut = asked.cut(read.all(asked.select))
    counted = select(func.count()).select_from(among).where(asked.condition)
    total = read.value(counted if where is None else counted.where(where))
    return Listing(views(cut.items), cut.after, cut.before, int(total))


def counts_by(
    read: Reader, column: ColumnElement[Any], condition: ColumnElement[bool], most: int = 12
) -> list[tuple[str, int]]:
    """How many rows that fit *condition* have each value of *column*, the most first; rows without one are left out."""
    counted = (
        select(column, func.count())
        .where(condition, column.is_not(None))
        .group_by(column)
        .order_by(func.count().desc(), column)
        .limit(most)
    )
    return [(str(value), count) for value, count in read.all(counted)]
