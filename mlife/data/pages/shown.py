"""What pages of data share: who acts, bodies of requests, where things are, charts and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from mlife.core.errors import Invalid, NotFound
from mlife.core.projection import Reader
from mlife.core.query import QueryError, narrow
from mlife.data import views
from mlife.data.intake import DataIntake
from mlife.data.views import DocumentView, Statistics
from mlife.ui import Bar, distribution, with_query
from mlife.ui.doing import Doing, doing

Hands = Annotated[Doing, Depends(doing)]
JSON = dict[str, Any]
MOST_BODY = 64 << 20
"""Bytes of a JSON body."""
SHOWN_BARS = 12
ROOMS = (("Documents", "/documents"), ("Groups", "/groups"), ("Requests", "/requests"), ("Files", "/files"))


def intake_of(hands: Doing) -> DataIntake:
    """The intake, acting as whoever asks; the runner of this process or another projects."""
    return DataIntake(hands.ports, hands.executor)


def cache_of(request: Request) -> Path:
    """Where what can be made again is kept."""
    home: Path = request.app.state.home.settings.home
    return home / "cache"


def tabs(here: str) -> list[JSON]:
    """The rooms of data."""
    return [{"label": label, "href": href, "here": label == here} for label, href in ROOMS]


def thumbnail(sha256: str | None, size: int = 88) -> str | None:
    """Where the small picture of a file is; None without a file."""
    return f"/files/{sha256}/thumbnail?size={size}" if sha256 else None


def the_document(read: Reader, document_id: str) -> DocumentView:
    """
    The document.

    Raises:
        NotFound: there is none.
    """
    found = views.document(read, document_id)
    if found is None:
        raise NotFound(f"there is no document {document_id}", remedy="look for it in the list of documents")
    return found


def asked_wrongly(request: Request, error: QueryError) -> tuple[str, int]:
    """
    A query's fault as the search box shows it: words, and the place.

    Raises:
        QueryError: a program asked, or the fault is not in the query.
    """
    if request.url.path.startswith("/api/") or error.part != "query":
        raise error
    return f"{error.problem}. {error.expected}", error.position


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────


async def said_in(request: Request) -> tuple[JSON, bool]:
    """
    What a request says, as JSON or as a form; and whether it was a form, that is, whether a person asks.

    Raises:
        Invalid: the body is neither, or too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        async with request.form(max_files=0, max_fields=20_000) as form:
            return _plain_form(form), True
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise Invalid(f"the body has more than {MOST_BODY:,} bytes", remedy="send less at a time")
    if not body:
        return {}, False
    try:
        said = orjson.loads(bytes(body))
    except orjson.JSONDecodeError as e:
        raise Invalid(f"the body is no JSON: {e}", remedy="send one JSON object") from e
    if not isinstance(said, dict):
        raise Invalid("the body is no JSON object", remedy='send one JSON object, {"name": …}')
    return said, False


def _plain_form(form: FormData) -> JSON:
    """Each field that was filled in; a field that is there several times is a list."""
    said: JSON = {}
    for name in form:
        values = [v for v in form.getlist(name) if not isinstance(v, UploadFile) and v.strip()]
        if values:
            said[name] = values if len(values) > 1 else values[0]
    return said


def listed(value: Any) -> list[str]:
    """One or several values, also comma-separated, as a list."""
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(v) for v in value]


# ── what is shown ────────────────────────────────────────────────────────────────────────────────


def statistics_json(of: Statistics) -> JSON:
    """Counts for programs."""
    return asdict(of)


def charts(request: Request, of: Statistics, q: str, fields: Mapping[str, str]) -> list[Any]:
    """
    Distributions by class, type and size, each bar a link that narrows the query.

    Args:
        fields: `class`, `type` → the query's field; one that is left out has no links.
    """
    drawn = []
    for title, name, counts in (("By class", "class", of.classes), ("By type", "type", of.types)):
        drawn.append(distribution(title, _bars(request, q, counts, fields.get(name), of.unlabelled), "row"))
    drawn.append(distribution("By size", _bars(request, q, of.sizes, None, 0), "row"))
    return [chart for chart in drawn if chart.bars]


def _bars(request: Request, q: str, counts: Mapping[str, int], field: str | None, unlabelled: int) -> list[Bar]:
    shown = [(label, n) for label, n in counts.items() if label]
    bars = [
        Bar(label, n, with_query(request, q=narrow(q, field, label)) if field else None)
        for label, n in shown[:SHOWN_BARS]
    ]
    rest = sum(n for _, n in shown[SHOWN_BARS:])
    if rest:
        bars.append(Bar(f"{len(shown) - SHOWN_BARS} others", rest))
    unknown = counts.get("", 0) or (unlabelled if field == "class" else 0)
    return [*bars, Bar("not labelled" if field == "class" else "not known", unknown)] if unknown else bars


def most_of(request: Request, of: Statistics, q: str) -> tuple[str, float, str] | None:
    """The most frequent class: its name, its share of the rows, and the address that narrows to it."""
    label = next(iter(of.classes), None)
    if label is None or not of.rows:
        return None
    return label, min(1.0, of.classes[label] / of.rows), with_query(request, q=narrow(q, "class", label))
