"""Systems, functions, versions and models as reports name them, and what is declared of functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson
from sqlalchemy import func, select

from mlife.badcases.functions import function_id as id_of
from mlife.badcases.intake.schema import FieldDeclared, Schema
from mlife.badcases.views.models import behind
from mlife.badcases.views.tables import (
    badcase_models,
    badcase_rows,
    badcase_versions,
    function_rows,
    traffic_totals,
)
from mlife.core.projection import Reader

b, v, fr, t, m = badcase_rows.c, badcase_versions.c, function_rows.c, traffic_totals.c, badcase_models.c


@dataclass(frozen=True)
class VersionOf:
    """A version of a function: its reports, and the models that answer in it."""

    version: str
    reports: int = 0
    badcases: int = 0
    requests: int | None = None
    model_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class FunctionView:
    """
    A function of a system.

    Args:
        revision: of what is declared of it; 0: nothing is.
        versions: those that were reported on, the newest first.
        model_ids: models that were made for it, the newest first.
    """

    function_id: str
    system: str
    function: str
    reports: int = 0
    badcases: int = 0
    revision: int = 0
    fields: tuple[FieldDeclared, ...] = ()
    template: str | None = None
    versions: tuple[VersionOf, ...] = ()
    model_ids: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """What is declared of it."""
        return Schema(self.system, self.function, self.revision, self.fields, self.template)


@dataclass(frozen=True)
class SystemView:
    """A system and its functions."""

    system: str
    functions: tuple[FunctionView, ...] = ()

    @property
    def reports(self) -> int:
        """Of all its functions."""
        return sum(f.reports for f in self.functions)


def tree(read: Reader) -> list[SystemView]:
    """Everything that there is, by name."""
    found: dict[str, list[FunctionView]] = {}
    for one in _functions(read):
        found.setdefault(one.system, []).append(one)
    return [SystemView(system, tuple(functions)) for system, functions in sorted(found.items())]


def function(read: Reader, function_id: str) -> FunctionView | None:
    """One function; None if no report, model or declaration names it."""
    return next((f for f in _functions(read) if f.function_id == function_id), None)


def declared(read: Reader, system: str | None = None, function: str | None = None) -> list[Schema]:
    """What is declared: of everything, of a system, or of a function."""
    asked = select(function_rows).order_by(fr.system, fr.function)
    if system is not None:
        asked = asked.where(fr.system == system)
    if function is not None:
        asked = asked.where(fr.function == function)
    return [
        Schema(row.system, row.function, row.revision, _fields(row.fields), row.template) for row in read.all(asked)
    ]


def sought(read: Reader) -> dict[str, str]:
    """Names, in lower case, of the fields that reports are found by, and their types; text if these differ."""
    found: dict[str, str] = {}
    for schema in declared(read):
        for one in schema.fields:
            if not one.personal:
                name = one.name.lower()
                found[name] = one.type if found.get(name, one.type) == one.type else "text"
    return dict(sorted(found.items()))


def _fields(text: str) -> tuple[FieldDeclared, ...]:
    return tuple(FieldDeclared.of(told) for told in orjson.loads(text))


def _functions(read: Reader) -> list[FunctionView]:
    found: dict[tuple[str, str], FunctionView] = {}
    counted = (
        select(b.system, b.function, func.count().label("badcases"), func.sum(b.frequency).label("reports"))
        .where(b.frequency != 0)
        .group_by(b.system, b.function)
    )
    for row in read.all(counted):
        found[row.system, row.function] = FunctionView(
            id_of(row.system, row.function), row.system, row.function, row.reports, row.badcases
        )
    models: dict[tuple[str, str], list[str]] = {}
    for row in read.all(select(m.model_id, m.system, m.function).order_by(m.number.desc())):
        if row.system and row.function:
            models.setdefault((row.system, row.function), []).append(row.model_id)
    for row in read.all(select(function_rows)):
        here = found.get((row.system, row.function)) or FunctionView(row.function_id, row.system, row.function)
        found[row.system, row.function] = replace(
            here, revision=row.revision, fields=_fields(row.fields), template=row.template
        )
    for at in models.keys() - found.keys():
        found[at] = FunctionView(id_of(*at), *at)
    versions = _versions(read)
    return [
        replace(one, versions=tuple(versions.get(at, ())), model_ids=tuple(models.get(at, ())))
        for at, one in sorted(found.items())
    ]


def _versions(read: Reader) -> dict[tuple[str, str], Sequence[VersionOf]]:
    requests = {
        (row.system, row.function, row.version): row.requests
        for row in read.all(select(t.system, t.function, t.version, t.requests))
    }
    answering = behind(read)
    found: dict[tuple[str, str], list[VersionOf]] = {}
    counted = (
        select(
            b.system,
            b.function,
            v.version,
            func.max(v.version_order).label("place"),
            func.sum(v.frequency).label("reports"),
            func.count(v.badcase_id.distinct()).label("badcases"),
        )
        .select_from(badcase_versions.join(badcase_rows, b.badcase_id == v.badcase_id))
        .group_by(b.system, b.function, v.version)
        .order_by(func.max(v.version_order).desc(), v.version)
    )
    for row in read.all(counted):
        asked = requests.get((row.system, row.function, row.version))
        models = answering.get((row.system, row.version), ())
        found.setdefault((row.system, row.function), []).append(
            VersionOf(row.version, row.reports, row.badcases, asked, tuple(models))
        )
    return dict(found)
