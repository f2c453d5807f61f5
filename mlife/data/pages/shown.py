"""What pages of data share: who acts, where things are, charts and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import Request

from mlife.core.errors import there_is
from mlife.core.projection import Reader
from mlife.core.query import narrow
from mlife.data import views
from mlife.data.intake import DataIntake
from mlife.data.views import DocumentView, Statistics
from mlife.ui import Bar, distribution, with_query
from mlife.ui.doing import Doing

JSON = dict[str, Any]
SHOWN_BARS = 12
ROOMS = (("Documents", "/documents"), ("Groups", "/groups"), ("Requests", "/requests"), ("Files", "/files"))


def intake_of(hands: Doing) -> DataIntake:
    """The intake, acting as whoever asks; the runner of this process or another projects."""
    return DataIntake(hands.ports, hands.executor)


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
    return there_is(views.document(read, document_id), "document", document_id)


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
