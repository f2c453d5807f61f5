"""Priority of badcases: the formula is `mlife.badcases.views.priority`; here it is written into the rows."""

from __future__ import annotations

from functools import reduce
from operator import add

from sqlalchemy import ColumnElement, func, update

from mlife.badcases.views.priority import clients_hit, terms
from mlife.badcases.views.tables import badcase_rows
from mlife.core.projection import Tx
from mlife.core.tables import rounded


def weigh(tx: Tx, which: ColumnElement[bool]) -> None:
    """Count the clients and compute the priority of the badcases *which*; a person's own figure comes before it."""
    computed = rounded(reduce(add, terms().values()))
    set_by_hand = badcase_rows.c.priority_set
    # one statement, as each touches every index that a changed row stands in
    tx.execute(
        update(badcase_rows)
        .where(which)
        .values(client_count=clients_hit(), priority=func.coalesce(set_by_hand, computed))
    )
