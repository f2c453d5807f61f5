"""The values that a field has in the rows there are, with how many rows have each: for completion boxes."""

from __future__ import annotations

from sqlalchemy import func, select

from mlife.core.projection import Reader
from mlife.core.query.fields import Field, Searchable
from mlife.core.sealing import NUMBER, TEXT

MOST = 20
"""Values that are told."""
LONGEST = 200
SEALED = (TEXT, NUMBER, "sealed ")
COUNTED_KINDS = ("text", "choice", "free")


def values_of(read: Reader, searchable: Searchable, field: Field, begun: str) -> list[tuple[str, int]]:
    """The values of *field* that begin with *begun*, most rows first; none where counting would read a flood."""
    counted = field.counted
    if counted is None and (searchable.large or field.kind not in COUNTED_KINDS):
        return []
    value = field.column if counted is None else counted.value
    count = func.count() if counted is None else counted.count
    asked = select(value.label("said"), count.label("how_many")).where(value.is_not(None)).group_by(value)
    if counted is not None and counted.which is not None:
        asked = asked.where(counted.which)
    if counted is None and field.via is None and searchable.shown is not None:
        asked = asked.where(searchable.shown)
    if begun:
        asked = asked.where(func.lower(value).startswith(begun.lower(), autoescape=True))
    rows = read.all(asked.order_by(count.desc(), value).limit(2 * MOST))
    told = [(str(row.said), int(row.how_many)) for row in rows if row.how_many]
    return [(said, n) for said, n in told if said and len(said) <= LONGEST and not said.startswith(SEALED)][:MOST]
