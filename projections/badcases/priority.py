"""Priority of badcases: one documented formula, computed by the database where its inputs are."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select, update

from mlife.badcases.views.tables import badcase_clients, badcase_rows, badcase_weeks, traffic_totals
from mlife.core.projection import Tx
from mlife.core.tables import rounded


def weigh(tx: Tx, which: ColumnElement[bool]) -> None:
    """
    Count the clients and compute the priority of the badcases *which*.

    Priority = 100 × (0.45 n / (n + 20) + 0.25 s / 3 + 0.15 c / (c + 3) + 0.15 t), where n is the number of reports, or
    where traffic is counted ten times the reports per 1,000 requests of the function; s the worst severity (0 to 3);
    c the clients hit; and t = w / (w + m), its rise: reports w in its last week against its mean m of a week. A
    person's own figure comes before it.
    """
    b, w, t = badcase_rows.c, badcase_weeks.c, traffic_totals.c
    requests = select(func.sum(t.requests)).where(t.system == b.system, t.function == b.function).scalar_subquery()
    last_week = (
        select(w.frequency).where(w.badcase_id == b.badcase_id).order_by(w.week.desc()).limit(1).scalar_subquery()
    )
    mean = select(1.0 * func.sum(w.frequency) / func.count()).where(w.badcase_id == b.badcase_id).scalar_subquery()
    clients = (
        select(func.count())
        .select_from(badcase_clients)
        .where(badcase_clients.c.badcase_id == b.badcase_id)
        .scalar_subquery()
    )
    often = func.coalesce(10_000.0 * b.frequency / func.nullif(requests, 0), 1.0 * b.frequency)
    # c / (c + 3) and w / (w + m), written so that each is looked up once
    many = 1.0 - 3.0 / (clients + 3.0)
    rise = func.coalesce(1.0 / (1.0 + mean / last_week), 0.5)
    computed = rounded(45.0 * often / (often + 20.0) + 25.0 * b.last_severity / 3.0 + 15.0 * many + 15.0 * rise)
    # one statement, as each touches every index that a changed row stands in
    tx.execute(
        update(badcase_rows).where(which).values(client_count=clients, priority=func.coalesce(b.priority_set, computed))
    )
