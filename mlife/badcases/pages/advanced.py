"""Advanced Search: a form, one row a field, that builds the query; it needs no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases.pages.listing import quoted
from mlife.badcases.views.saved import searchable_of
from mlife.core.query import QueryError, compile_query, parse
from mlife.core.query.form import FormRow, built, choices_of, taken_apart
from mlife.ui import render, see
from mlife.ui.doing import Doing, Hands

router = APIRouter(tags=["badcases"], include_in_schema=False)
GO = "go"
"""The parameter that says that the form was sent."""


@router.get("/badcases/search")
def search_badcases(request: Request, hands: Hands, q: str = "") -> Response:
    """The form for badcases."""
    return _form(request, hands, "badcases", q)


@router.get("/reports/search")
def search_reports(request: Request, hands: Hands, q: str = "") -> Response:
    """The form for reports."""
    return _form(request, hands, "reports", q)


def _form(request: Request, hands: Doing, of: str, q: str) -> Response:
    """The form filled by *q*; sent, it leads to the list, or says what is wrong."""
    searchable, given = searchable_of(of), request.query_params
    error: tuple[str, int] | None = None
    asked = q
    try:
        if GO in given:
            rows, rest = _rows(given, of), given.get("rest", "")
            asked = rest
            asked = built(rows, rest)
            compile_query(parse(asked), searchable, hands.now)
            return see(f"/{of}?q={quoted(asked)}")
        rows, rest = taken_apart(q, searchable)
    except QueryError as e:
        error = (f"{e.problem}. {e.expected}", e.position)
        rows, rest = (_rows(given, of), given.get("rest", "")) if GO in given else ({}, q)
    context: dict[str, Any] = {
        "of": of,
        "fields": searchable.fields,
        "rows": {f.name: rows.get(f.name, FormRow()) for f in searchable.fields},
        "ops": {f.name: choices_of(f) for f in searchable.fields},
        "rest": rest,
        "q": asked,
        "error": error,
    }
    return render(request, "badcases/advanced.html", **context)


def _rows(given: Mapping[str, str], of: str) -> dict[str, FormRow]:
    """What the sent form says of each field."""
    rows = {
        f.name: FormRow(given.get(f"op.{f.name}", ":"), given.get(f"v.{f.name}", "")) for f in searchable_of(of).fields
    }
    return {name: row for name, row in rows.items() if row.value.strip() or row.op in {"none", "any"}}
