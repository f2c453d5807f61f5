"""Status of badcases: read what decides about it, compute it, write what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from mlife.projections.badcases.history import reach
from sqlalchemy import select

from mlife.badcases.standing import Facts, Seen, status_of
from mlife.badcases.views.tables import (
    badcase_deployments,
    badcase_models,
    badcase_rows,
    badcase_verdicts,
    badcase_versions,
    iteration_badcases,
    iteration_rows,
    traffic_totals,
)
from mlife.core.events import Recorded
from mlife.core.judgement import Standing, Word
from mlife.core.projection import Tx
from mlife.core.tables import AnyRow

SLICE = 500
"""Badcases in one statement."""


def restate(tx: Tx, badcase_ids: Iterable[str], by: Mapping[str, Recorded[Any]] | None = None) -> None:
    """
    Compute the status of *badcase_ids* again.

    Args:
        by: for each the event that may have changed it, to be noted in its history; None: a run of reports or traffic.
    """
    ids = sorted(badcase_ids)
    if not ids:
        return
    world = _World(tx)
    for start in range(0, len(ids), SLICE):
        some = ids[start : start + SLICE]
        rows = tx.execute(select(badcase_rows).where(badcase_rows.c.badcase_id.in_(some)))
        facts = world.facts_of(rows)
        statuses = {row.badcase_id: status_of(facts[row.badcase_id]) for row in rows}
        changed = [
            {"badcase_id": row.badcase_id, "status": statuses[row.badcase_id]}
            for row in rows
            if statuses[row.badcase_id] != row.status
        ]
        tx.update(badcase_rows, changed)
        if by is not None:
            reach(tx, statuses, by)


class _World:
    """What is the same for all badcases: models, deployments, traffic. Small tables, read once."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        m, d, t, i = (x.c for x in (badcase_models, badcase_deployments, traffic_totals, iteration_rows))
        self.parents = {
            row.model_id: tuple(orjson.loads(row.parents)) for row in tx.execute(select(m.model_id, m.parents))
        }
        self.claiming = {
            row[0] for row in tx.execute(select(m.iteration_id).where(m.iteration_id.is_not(None)).distinct())
        }
        self.active: dict[tuple[str, str], set[str]] = {}
        self.behind: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in tx.execute(select(d.system, d.function, d.version, d.model_ids, d.state).order_by(d.number)):
            models = tuple(orjson.loads(row.model_ids))
            self.behind[row.system, row.version] = models
            if row.state == "active":
                self.active.setdefault((row.system, row.function), set()).update(models)
        self.measured = {tuple(row) for row in tx.execute(select(t.system, t.function, t.version))}
        self.open = {row[0] for row in tx.execute(select(i.iteration_id).where(i.outcome.is_(None)))}

    def facts_of(self, rows: Iterable[AnyRow]) -> dict[str, Facts]:
        """The facts of each of *rows*."""
        by_id = {row.badcase_id: row for row in rows}
        facts = {badcase_id: self._own(row) for badcase_id, row in by_id.items()}
        ids = list(by_id)
        self._add_verdicts(facts, ids)
        self._add_iterations(facts, ids)
        self._add_seen(facts, by_id, [b for b in ids if facts[b].verdicts])
        return facts

    def _own(self, row: AnyRow) -> Facts:
        active = self.active.get((row.system, row.function), set()) | self.active.get((row.system, ""), set())
        return Facts(
            triaged=bool(row.triaged),
            muted=row.muted_until is not None,
            rejected=row.rejected is not None,
            closed_by=row.closed_by,
            regressed_by=row.regressed_by,
            active=active,
            parents=self.parents,
        )

    def _add_verdicts(self, facts: dict[str, Facts], ids: list[str]) -> None:
        v = badcase_verdicts.c
        verdicts: dict[str, dict[str, tuple[Standing, int]]] = {}
        for row in self._tx.execute(
            select(v.badcase_id, v.model_id, v.verdict, v.low, v.number).where(v.badcase_id.in_(ids))
        ):
            standing = Standing(Word(row.verdict), 1.0 - row.low)
            verdicts.setdefault(row.badcase_id, {})[row.model_id] = (standing, row.number)
        for badcase_id, mine in verdicts.items():
            facts[badcase_id] = replace(facts[badcase_id], verdicts=mine)

    def _add_iterations(self, facts: dict[str, Facts], ids: list[str]) -> None:
        i = iteration_badcases.c
        for row in self._tx.execute(select(i.badcase_id, i.iteration_id).where(i.badcase_id.in_(ids))):
            if row.iteration_id in self.open:
                before = facts[row.badcase_id]
                claimed = before.claimed or row.iteration_id in self.claiming
                facts[row.badcase_id] = replace(before, planned=True, claimed=claimed)

    def _add_seen(self, facts: dict[str, Facts], by_id: dict[str, AnyRow], ids: list[str]) -> None:
        v = badcase_versions.c
        seen: dict[str, list[Seen]] = {}
        for row in self._tx.execute(
            select(v.badcase_id, v.version, v.model_id, v.last_number).where(v.badcase_id.in_(ids))
        ):
            badcase = by_id[row.badcase_id]
            models = (row.model_id,) if row.model_id else self.behind.get((badcase.system, row.version), ())
            measured = (badcase.system, badcase.function, row.version) in self.measured
            seen.setdefault(row.badcase_id, []).append(Seen(row.version, models, row.last_number, measured))
        for badcase_id, mine in seen.items():
            facts[badcase_id] = replace(facts[badcase_id], seen=mine)
