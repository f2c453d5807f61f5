"""
`/design`: every part that pages are made of, in every state it can have, with made-up values.

It is where a part is looked at while it is written, and the page on which tests look at all of them in both themes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mlife.ui.charts import (
    Bar,
    Cell,
    Interval,
    Mark,
    Series,
    bars,
    comparison,
    curve,
    distribution,
    matrix,
    sparkline,
)
from mlife.ui.looks import SHAPES, TONES, known_words
from mlife.ui.pages import render, selection
from mlife.ui.rooms import Iteration, Step

router = APIRouter(include_in_schema=False)
ROWS: Sequence[Mapping[str, Any]] = (
    {"id": "a", "truth": "9", "said": "4", "status": "regressed", "reports": 412, "owner": "Ana Kovač", "share": 0.96},
    {"id": "b", "truth": "7", "said": "1", "status": "fix claimed", "reports": 287, "owner": "mira", "share": 0.81},
    {"id": "c", "truth": None, "said": "5", "status": "new", "reports": 1, "owner": None, "share": 0.04},
)
WEEKS = (18, 24, 31, 22, 17, 14, 12, 41, 66, 52, 38, 29)
HERE = "/design"


@router.get(HERE)
def design(request: Request, q: str = "function:digit colour:red") -> Response:
    """All parts, and how each is called in a template."""
    return render(
        request,
        "design.html",
        q=q,
        rows=ROWS,
        shapes=sorted(SHAPES),
        tones=sorted(TONES),
        words=known_words(),
        selected=selection(request) or ["b"],
        trend=lambda row: sparkline("12 weeks", [w * (1 + n % 3) for n, w in enumerate(WEEKS)] if row["share"] else []),
        facet=[{"label": w, "count": n, "href": f"{HERE}?q={w}", "here": n == 66} for w, n in _clients()],
        tabs=[
            {"label": "Here", "href": HERE, "here": True, "count": 3},
            {"label": "Elsewhere", "href": f"{HERE}?q=", "here": False, "count": None},
        ],
        turn=_iteration(),
        life=_life(),
        events=_events(datetime.now(UTC)),
        charts=_charts(),
    )


def _clients() -> list[tuple[str, int]]:
    return [("fleet-7", 66), ("store-12", 52), ("lab", 1)]


def _iteration() -> Iteration:
    steps = [
        Step("7 badcases in target", "done", HERE),
        Step("gate refused", "wrong", HERE),
        Step("trained", "now"),
        Step("tsk-88 training", "now", HERE, 0.62),
        Step("deployed"),
    ]
    return Iteration("Thin strokes", HERE, steps)


def _life() -> list[dict[str, Any]]:
    said = [
        ("new", "done", "12 Sep"),
        ("triaged", "done", ""),
        ("fix planned", "now", "tsk-71"),
        ("regressed", "wrong", "mdl-57"),
        ("closed", "ahead", ""),
    ]
    return [{"word": w, "state": s, "note": n, "href": HERE if n.startswith("mdl") else None} for w, s, n in said]


def _events(now: datetime) -> list[dict[str, Any]]:
    said = [("regressed", "6 of 9 pinned rows fail", "handler"), ("triaged", "thin stroke", "Ana Kovač")]
    return [
        {"position": 48211 - n, "word": w, "text": t, "actor": a, "at": now - timedelta(hours=30 * n + 1), "href": HERE}
        for n, (w, t, a) in enumerate(said)
    ]


def _charts() -> dict[str, Any]:
    """One chart of each kind, and of those that can be empty an empty one."""
    weeks = [
        Bar(f"w{n + 1}", w, HERE, n in {7, 8}, "3.1× its usual rate" if n == 8 else "") for n, w in enumerate(WEEKS)
    ]
    marks = [Mark(2, "version 1.5", HERE), Mark(8, "version 1.6", HERE), Mark(8, "version 1.6.1")]
    shares = {
        ("home", "v1"): Interval(0.991, 0.985, 0.997, 899, HERE, "passed"),
        ("field", "v1"): Interval(0.452, 0.42, 0.48, 1000, HERE, "failing"),
        ("field", "v2"): Interval(0.61, 0.57, 0.65, 600, None, "unproven"),
    }
    pairs = {(c, v): Cell(n, HERE, n > 60) for n, (c, v) in zip((66, 12, 0, 31), _pairs(), strict=True)}
    points = range(1, 31)
    lines = [
        Series("train", [(x, 1 - 0.6 / x**0.6) for x in points], HERE),
        Series("field", [(x, 0.9 - 0.6 / x**0.4) for x in points]),
    ]
    return {
        "weeks": bars("Reports by week", weeks, marks),
        "nothing": bars("Reports by week, none yet", []),
        "shares": distribution("Reports by client", [Bar(c, n, HERE, n == 66) for c, n in _clients()]),
        "models": comparison("Models on test sets", ["home", "field"], ["v1", "v2"], shares, threshold=0.6),
        "pairs": matrix("Client and version", ["fleet-7", "lab"], ["1.5", "1.6"], pairs),
        "learning": curve("Share right", lines, "epoch", "share right", as_percent=True),
    }


def _pairs() -> list[tuple[str, str]]:
    return [(client, version) for client in ("fleet-7", "lab") for version in ("1.5", "1.6")]
