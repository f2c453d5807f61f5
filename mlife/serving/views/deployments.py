"""Questions about deployments, and about what answers now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, select

from mlife.core.projection import Reader
from mlife.core.query import (
    Field,
    Listing,
    Searchable,
    compile_query,
    contains_text,
    counts_by,
    page,
    parse,
    read_page,
)
from mlife.core.tables import AnyRow
from mlife.serving.views import tables as t

STATES = ("created", "active", "replaced", "rolled back", "failed")


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """
    A deployment as lists and pages show it.

    Args:
        slot: what it answers for, e.g. `dms/emotion@local`. state: one of `STATES`.
        badcases: badcase → verdict, as it was. more_badcases: attached later, by people.
        answering: whether it is what answers in its slot now; a rolled back one does until the other is active again.
    """

    deployment_id: str
    place: int
    created_at: datetime
    created_by: str | None
    system: str
    function: str | None
    slot: str
    version: str
    target: str
    model_ids: tuple[str, ...]
    metrics: dict[str, Any]
    badcases: dict[str, str]
    more_badcases: tuple[str, ...]
    replaces: str | None
    overridden_by: str | None
    override_reason: str | None
    iteration_id: str | None
    state: str
    error: str
    activated_at: datetime | None
    activated_place: int | None
    ended_at: datetime | None
    answered_by: str | None
    reason: str
    rolled_back_to: str | None
    rollback_reason: str
    stream_version: int
    answering: bool = False

    def count(self, word: str) -> int:
        """Badcases with the verdict *word*, as it was."""
        return list(self.badcases.values()).count(word)


@dataclass(frozen=True, slots=True)
class SlotView:
    """What answers in a slot: its deployment and models, since the position of the activation."""

    slot: str
    system: str
    function: str | None
    target: str
    deployment_id: str
    since: int
    version: str
    model_ids: tuple[str, ...]


def _has_model(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return t.deployments.c.deployment_id.in_(select(t.deployed.c.deployment_id).where(condition))


DEPLOYMENTS = Searchable(
    name="deployments",
    key=t.deployments.c.deployment_id,
    fields=(
        Field("id", t.deployments.c.deployment_id, "text", "The Deployment Task ID.", aliases=("deployment",)),
        Field("system", t.deployments.c.system, "text", "The system it is for."),
        Field("function", t.deployments.c.function, "text", "The function it is for."),
        Field("state", t.deployments.c.state, "choice", "Where it stands.", choices=STATES),
        Field("version", t.deployments.c.version_order, "version", "What devices report."),
        Field("target", t.deployments.c.target, "text", "Where it is deployed."),
        Field("model", t.deployed.c.model_id, "text", "A model of it.", via=_has_model),
        Field("overridden", t.deployments.c.overridden_by, "text", "Who shipped it without a passed verdict."),
        Field("by", t.deployments.c.created_by, "text", "Who created it."),
        Field("iteration", t.deployments.c.iteration_id, "text", "The iteration it belongs to."),
        Field("created", t.deployments.c.created_at, "date", "When it was created."),
        Field("place", t.deployments.c.place, "number", "Position of the event that created it."),
    ),
    text=contains_text(t.deployments.c.deployment_id, t.deployments.c.system, t.deployments.c.version),
    default_sort="-place",
)


def deployment_page(
    read: Reader, q: str, *, now: datetime, sort: str | None = None, after: str | None = None, limit: int = 50
) -> Listing[DeploymentView]:
    """A page of the deployments that *q* finds, newest first unless *sort* says otherwise."""
    asked = page(select(*_columns()), DEPLOYMENTS, q, now=now, sort=sort, after=after, limit=limit)
    return read_page(read, asked, lambda rows: _views(read, rows), among=t.deployments)


def deployments_by(read: Reader, what: str, q: str, *, now: datetime) -> list[tuple[str, int]]:
    """Counts of the deployments that *q* finds by `state`, `target` or `function`, the most first."""
    return counts_by(read, t.deployments.c[what], compile_query(parse(q), DEPLOYMENTS, now))


def deployment(read: Reader, deployment_id: str) -> DeploymentView | None:
    """One deployment."""
    rows = read.all(select(*_columns()).where(t.deployments.c.deployment_id == deployment_id))
    found = _views(read, rows)
    return found[0] if found else None


def deployments_of_model(read: Reader, model_id: str) -> list[DeploymentView]:
    """The deployments of a model, the latest first."""
    asked = select(*_columns()).where(_has_model(t.deployed.c.model_id == model_id))
    return _views(read, read.all(asked.order_by(t.deployments.c.place.desc()).limit(100)))


def deployment_named(read: Reader, system: str, version: str, target: str | None = None) -> DeploymentView | None:
    """The deployment that (system, version, target) of a report resolves to: the last one that was activated."""
    d = t.deployments.c
    asked = select(*_columns()).where(d.system == system, d.version == version, d.activated_place.is_not(None))
    if target is not None:
        asked = asked.where(d.target == target)
    found = _views(read, read.all(asked.order_by(d.activated_place.desc()).limit(1)))
    return found[0] if found else None


def answering(read: Reader, *, target: str | None = None, system: str | None = None) -> list[SlotView]:
    """What answers now, in the order in which it was activated."""
    s, d = t.slots.c, t.deployments.c
    asked = (
        select(s.slot, s.system, s.function, s.target, s.deployment_id, s.since_place, d.version, d.model_ids)
        .join(t.deployments, d.deployment_id == s.deployment_id)
        .order_by(s.since_place)
    )
    if target is not None:
        asked = asked.where(s.target == target)
    if system is not None:
        asked = asked.where(s.system == system)
    names = SlotView.__slots__
    return [SlotView(**dict(zip(names, (*row[:-1], tuple(row[-1])), strict=True))) for row in read.all(asked)]


def _columns() -> list[Column[Any]]:
    return [c for c in t.deployments.c if c.name != "version_order"]


def _views(read: Reader, rows: Sequence[AnyRow]) -> list[DeploymentView]:
    names = [c.name for c in _columns()]
    asked = select(t.slots.c.deployment_id).where(t.slots.c.deployment_id.in_([row[0] for row in rows]))
    now = {row[0] for row in read.all(asked)}
    found = []
    for row in rows:
        values = dict(zip(names, row[: len(names)], strict=True))
        for name in ("model_ids", "more_badcases"):
            values[name] = tuple(values[name])
        found.append(DeploymentView(**values, answering=row[0] in now))
    return found
