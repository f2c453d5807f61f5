"""What pages of lists share: the query as it was typed, with its mistake, and counts that narrow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from mlife.core.query import QueryError, Searchable, compile_query, narrow, parse, without
from mlife.ui.pages import wants_json, with_query


@dataclass(frozen=True, slots=True)
class Asked:
    """A query as typed, what of it can be used, and its mistake as (message, 0-based character)."""

    q: str
    readable: str
    error: tuple[str, int] | None


def asked(request: Request, q: str, searchable: Searchable, now: datetime) -> Asked:
    """
    *q*, if it can be used. People who mistyped see everything with the mistake marked; programs get the error.

    Raises:
        QueryError: a program asked.
    """
    try:
        compile_query(parse(q), searchable, now)
    except QueryError as e:
        if wants_json(request):
            raise
        return Asked(q, "", (f"{e.problem}. {e.expected}", e.position))
    return Asked(q, q, None)


def facet_links(
    request: Request, q: str, facets: Mapping[str, Sequence[tuple[str | None, int]]], searchable: Searchable
) -> dict[str, list[dict[str, Any]]]:
    """
    Facets, field → (value, count), as links that narrow the query; a value that is on leads back. By title.

    A field without values is left out.
    """
    groups = {}
    for name, counts in facets.items():
        free = without(q, name, searchable=searchable)
        rows = []
        for value, count in counts:
            narrower = narrow(q, name, value, searchable=searchable)
            here = narrower == str(parse(q))
            href = with_query(request, q=(free if here else narrower) or None)
            rows.append({"label": value or f"no {name}", "count": count, "here": here, "href": href})
        if rows:
            groups[name.capitalize()] = rows
    return groups
