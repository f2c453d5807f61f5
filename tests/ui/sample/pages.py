"""
Pages on made-up failures of a digit reader. They look as the product's do, and show every macro.
"""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from fastapi import APIRouter, Form, Request
from starlette.responses import HTMLResponse, Response

from mlife.core.errors import Invalid, NotFound, Refusal, Refused, Unavailable
from mlife.ui import (
    Bar,
    Cell,
    Interval,
    Iteration,
    Mark,
    Series,
    Step,
    answer,
    bars,
    comparison,
    curve,
    distribution,
    iteration_box,
    matrix,
    page,
    rail,
    render,
    see,
    selection,
    sparkline,
    templates_from,
    with_query,
)
from mlife.ui.early import render_early
from mlife.ui.filters import plural
from mlife.ui.looks import SHAPES

templates_from("sample", __file__)
router = APIRouter()
NOW = datetime.now(UTC)
BADCASES: list[dict[str, Any]] = [
    {
        "badcase_id": f"bc-{7000 + 131 * i}",
        "truth": truth,
        "prediction": prediction,
        "name": name,
        "status": status,
        "reports": reports,
        "rate": reports / 38.1,
        "versions": versions,
        "owner": owner,
        "priority": priority,
        "trend": [max(1, (7 * i + 3 * w * (1 if i % 3 else w // 4)) % 40 + w * (2 - i % 3)) for w in range(12)],
    }
    for i, (truth, prediction, name, status, reports, versions, owner, priority) in enumerate(
        [
            ("9", "4", "thin stroke, open top", "regressed", 412, "1.4.0 → 1.6.2", "AK", 0.96),
            ("7", "1", "crossed seven", "fix claimed", 287, "1.5.0 → 1.6.2", "ML", 0.81),
            ("3", "5", "flat top, low contrast", "triaged", 164, "1.3.1 → 1.6.2", "AK", 0.64),
            ("8", "3", "left side missing", "shipped", 121, "1.2.0 → 1.6.0", "JR", 0.38),
            ("2", "7", "slanted more than 20°", "new", 77, "1.6.0 → 1.6.2", "–", 0.55),
            ("0", "6", "not closed", "verified", 41, "1.2.0 → 1.5.3", "ML", 0.22),
            ("5", "8", "blurred", "fix planned", 33, "1.4.0 → 1.6.2", "JR", 0.47),
        ]
    )
]
WEEKS = [18, 24, 31, 22, 17, 14, 12, 41, 66, 52, 38, 29, 21, 17, 13, 11]

for place, (label, count) in enumerate([("Badcases", 1135), ("Data", 48211), ("Training", 2), ("Serving", 3)]):
    rail(label, "/" + label.lower(), order=10 * (place + 1), count=lambda request, n=count: n)
rail("History", "/history", order=90)


@iteration_box
def where_it_stands(request: Request) -> Iteration:
    """The steps of a made-up iteration."""
    return Iteration(
        "Thin strokes",
        "/history",
        [
            Step("212 reports", "done"),
            Step("7 badcases in target", "done", "/badcases"),
            Step("340 of 400 rows collected", "done"),
            Step("tsk-88 training", "now", "/training", 0.62),
            Step("gate"),
            Step("deploy"),
        ],
    )


@cache
def digit(number: int) -> bytes:
    """A picture of *number*, 96 × 96 PNG; the tens choose another hand."""
    from PIL import Image
    from sklearn.datasets import load_digits

    data = load_digits()
    chosen = [i for i, t in enumerate(data.target) if t == number % 10][number // 10]
    pixels = (data.images[chosen] * 15.9).astype("uint8")
    out = io.BytesIO()
    Image.fromarray(pixels).resize((96, 96), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


@router.get("/sample/{number}.png")
def picture(number: int) -> Response:
    """A thumbnail."""
    return Response(digit(number), media_type="image/png", headers={"Cache-Control": "max-age=3600"})


asked_on = threading.Event()


@router.get("/early")
def early(request: Request, broken: bool = False) -> Response:  # noqa: FBT001, FBT002 - a query parameter
    """A page whose query waits until `/early/go` is asked for, or fails."""

    def ask() -> dict[str, Any]:
        if broken:
            raise Unavailable("the tables are away", remedy="start the database")
        return {"found": asked_on.wait(20)}

    return render_early(request, "sample/early.html", ask)


@router.get("/early/go")
def go() -> Response:
    """Let it go on."""
    asked_on.set()
    return Response()


def tabs(here: str) -> list[dict[str, Any]]:
    """The views of the list."""
    return [
        {"label": label, "href": f"/badcases?view={label.lower()}", "here": label == here, "count": n}
        for label, n in [("Badcases", 7), ("Reports", 1135), ("Statistics", None), ("Suggestions", 4)]
    ]


def facets(request: Request) -> dict[str, list[dict[str, Any]]]:
    """Counts of a made-up query, each leading to a narrower one."""
    made = {
        "Status": [("open", 4), ("new", 1), ("regressed", 1), ("shipped", 1)],
        "Version": [("1.6.2", 612), ("1.6.0", 301), ("1.5.3", 140), ("1.4.0", 82)],
        "Client": [("fleet-7", 540), ("store-12", 310), ("lab", 285)],
        "Truth → read": [("9 → 4", 412), ("7 → 1", 287), ("3 → 5", 164), ("8 → 3", 121)],
    }
    return {
        title: [
            {
                "label": label,
                "count": n,
                "href": with_query(request, q=f"{title.lower()}:{label}"),
                "here": label == "open",
            }
            for label, n in rows
        ]
        for title, rows in made.items()
    }


def weeks() -> list[Bar]:
    """Reports a week; two of them are alarming."""
    notes = {8: "3.1× its usual rate"}
    return [
        Bar(f"w{i + 1}", n, f"/badcases?q=week:{i + 1}", alarm=i in {7, 8}, note=notes.get(i, ""))
        for i, n in enumerate(WEEKS)
    ]


@page(router, "/badcases")
def list_badcases(request: Request, q: str = "function:digit status:open") -> Response:
    """The list, with its facets and its chart."""
    shown = [] if q == "nothing" else BADCASES
    error = ("there is no field “colour”; did you mean “client”?", 15) if "colour" in q else None
    marks = [Mark(at, f"mdl-{41 + i}", "/serving") for i, at in enumerate([2, 7, 7, 9, 9, 9, 11, 14])]
    return answer(
        request,
        "sample/list.html",
        {"badcases": shown, "position": 48211},
        q=q,
        error=error,
        facets=facets(request),
        tabs=tabs("Badcases"),
        chart=bars("Reports per week", weeks(), marks),
        selected=selection(request),
        trend=lambda b: sparkline("12 weeks", b["trend"]),
    )


@page(router, "/badcases/{badcase_id}")
def show_badcase(request: Request, badcase_id: str) -> Response:
    """One badcase."""
    found = next((i for i, b in enumerate(BADCASES) if b["badcase_id"] == badcase_id), None)
    if found is None:
        raise NotFound(f"no badcase {badcase_id}", remedy="look for it in the list; a merged one lives on in another")
    b = BADCASES[found]
    said = [
        (
            "regressed",
            "mdl-57 descends from mdl-41, which fixed it; 6 of 9 pinned rows fail",
            "badcases.judge_regression",
        ),
        ("deployment activated", "dep-23: mdl-57 to fleet-7, store-12", "ML"),
        ("shipped", "dep-19 answers with mdl-41, asked at the endpoint", "handler"),
        ("verified", "9 of 9 pinned, 31 of 33 held-out siblings", "tsk-72"),
        ("training and testing grouped", "grp-51 1 900 rows, grp-52 420 rows, leakage 0", "ML"),
        ("collection requested", "400 rows: 9 with thin strokes, three places", "AK"),
    ]
    events = [
        {
            "position": p,
            "word": w,
            "text": t,
            "actor": a,
            "at": NOW - timedelta(hours=3 + 50 * i),
            "href": f"/history?at={p}",
        }
        for i, (p, (w, t, a)) in enumerate(zip([48211, 48207, 41880, 41802, 40115, 38020], said, strict=True))
    ]
    stages = [
        ("new", "done", "12 Sep"),
        ("triaged", "done", "14 Sep, AK"),
        ("fix planned", "done", "15 Sep"),
        ("fix claimed", "done", "tsk-71"),
        ("verified", "done", "mdl-41"),
        ("shipped", "done", "dep-19"),
        ("regressed", "wrong", "mdl-57"),
    ]
    versions, clients = ["1.4.0", "1.5.0", "1.5.3", "1.6.0", "1.6.2"], ["fleet-7", "store-12", "lab"]
    counts = [31, 12, 2, 40, 98, 22, 9, 1, 31, 72, 14, 6, 0, 21, 53]
    pairs = [(c, v) for c in clients for v in versions]
    cells = {pair: Cell(n, "/badcases", pair[1] == "1.6.2") for pair, n in zip(pairs, counts, strict=True)}
    return answer(
        request,
        "sample/detail.html",
        {
            "badcase": b,
            "events": events,
            "life": [{"word": w, "state": s, "note": n, "href": None} for w, s, n in stages],
        },
        before=f"/badcases/{BADCASES[found - 1]['badcase_id']}" if found else None,
        after=f"/badcases/{BADCASES[found + 1]['badcase_id']}" if found + 1 < len(BADCASES) else None,
        place=f"{found + 1} of {len(BADCASES)}",
        matrix=matrix("Version × client", clients, versions, cells),
        reports=[
            {
                "id": f"r{i}",
                "src": f"/sample/{int(b['truth']) + 10 * i}.png",
                "alt": "9",
                "href": "/badcases",
                "score": 0.58 + (i * 37 % 40) / 100,
            }
            for i in range(16)
        ],
    )


@router.post("/badcases/mute")
def mute(selected: list[str] = Form(default=[])) -> Response:
    """A bulk action that can be undone."""
    if not selected:
        raise Refused("no badcase is selected", remedy="select rows first")
    return see("/badcases", f"{plural(len(selected), 'badcase')} muted", "/badcases/unmute")


@router.get("/-/gallery")
def parts(request: Request) -> Response:
    """Every part."""
    sets = ["home digits", "field digits", "covered digits"]
    results = {
        (s, m): Interval(p, p - w, min(1, p + w), n, "/training", v)
        for s, m, p, w, n, v in [
            (sets[0], "v1", 0.991, 0.006, 899, "passed"),
            (sets[0], "v2", 0.988, 0.007, 899, "passed"),
            (sets[1], "v1", 0.452, 0.03, 1000, "failing"),
            (sets[1], "v2", 0.912, 0.018, 1000, "passed"),
            (sets[2], "v2", 0.61, 0.04, 600, "unproven"),
        ]
    }
    points = range(1, 41)
    lines = [
        Series("train", [(x, 1 - 0.6 / x**0.6) for x in points]),
        Series("home", [(x, 1 - 0.62 / x**0.55) for x in points]),
        Series("field", [(x, 0.9 - 0.6 / x**0.4) for x in points]),
    ]
    return render(
        request,
        "sample/parts.html",
        shapes=sorted(SHAPES),
        now=NOW,
        weeks=bars("Reports per week", weeks(), [Mark(8, "mdl-41", "/serving")]),
        share=distribution("By client", [Bar("fleet-7", 540, "/badcases"), Bar("store-12", 310), Bar("lab", 285)]),
        comparison=comparison("Models on test sets", sets, ["v1", "v2"], results, threshold=0.6),
        curve=curve("Accuracy", lines, "epoch", "share right", as_percent=True),
        selected=["a"],
    )


@router.get("/-/log")
def log_tail(after: int = 0) -> HTMLResponse:
    """What a task wrote since; it ends after the sixth line."""
    from mlife.ui.pages import environment

    ui: Any = environment().globals["ui"]
    return HTMLResponse(
        ui.log_tail([f"epoch {after + 1}/6 loss {0.9 / (after + 1):.3f}"], "/-/log", after + 1, after < 5)
    )


@router.get("/fail/{kind}")
def fail(kind: str) -> Response:
    """Every kind of error."""
    if kind == "input":
        wrong = Refusal(2, "observed_at", "yesterday", "is no time", "RFC 3339, like 2026-11-24T03:00:00Z")
        raise Invalid(
            "1 of 3 reports can't be read", remedy="mend the items below and send the batch again", refusals=(wrong,)
        )
    raise ZeroDivisionError(kind)


for elsewhere in ("/", "/data", "/training", "/serving", "/history"):

    @router.get(elsewhere)
    def other(request: Request) -> Response:
        """A room with nothing in it yet."""
        return render(request, "sample/empty.html")
