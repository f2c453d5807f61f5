"""Saying what is right of a report, drawn on its picture or written, a line for each thing: one form for both."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mlife.badcases import commands
from mlife.badcases.pages.detail import the_report
from mlife.badcases.pages.media import linked_files, truth_today
from mlife.badcases.pages.shown import done
from mlife.badcases.regrouping import to_correct
from mlife.badcases.views.media import links_of_report
from mlife.core.command import check_input
from mlife.core.errors import Invalid, Refusal, Refused, shortened
from mlife.ui import answer, page
from mlife.ui.doing import Hands
from mlife.ui.said import Said

JSON = dict[str, Any]
router = APIRouter(tags=["badcases"])
SHAPES: Mapping[str, str] = {"boxes": "rectangle", "polygons": "outline", "points": "point"}
"""Type → what is drawn for one thing."""
EXAMPLES: Mapping[str, str] = {
    "class": "happy",
    "labels": "night\nrain",
    "boxes": "mask 4 7.5 20 12",
    "polygons": "mask 0,0 9,0 9,7",
    "points": "left eye 4 7.5",
    "segments": "cough 1.5 2.25",
    "scalar": "3.5",
    "vector": "0.5 -1.25",
    "text": "turn left",
}
FORMS: Mapping[str, str] = {
    "class": "One label.",
    "labels": "A label on each line.",
    "boxes": "On each line a label and left, upper edge, width, height in pixels.",
    "polygons": "On each line a label and its corners, x,y in pixels.",
    "points": "On each line a label and x, y in pixels.",
    "segments": "On each line a label and from, to in seconds.",
    "scalar": "One number.",
    "vector": "Numbers, with blanks between them.",
    "text": "The text.",
}


def written(annotation: JSON | None) -> str:
    """An annotation as lines; `read_lines` reads them back."""
    if annotation is None:
        return ""
    kind = annotation["type"]
    if kind in {"class", "text"}:
        return str(annotation["label" if kind == "class" else "text"])
    if kind == "labels":
        return "\n".join(annotation["labels"])
    if kind in {"scalar", "vector"}:
        return " ".join(_plain(v) for v in ([annotation["value"]] if kind == "scalar" else annotation["values"]))
    names = {"boxes": ("x", "y", "width", "height"), "points": ("x", "y"), "segments": ("start", "end")}
    if kind == "polygons":
        return "\n".join(
            f"{p['label']} " + " ".join(f"{_plain(x)},{_plain(y)}" for x, y in p["points"]) for p in annotation[kind]
        )
    return "\n".join(" ".join([one["label"], *(_plain(one[n]) for n in names[kind])]) for one in annotation[kind])


def _plain(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(value)


def read_lines(kind: str, text: str) -> JSON:
    """
    What lines say, as a truth of the type *kind*.

    Raises:
        Invalid: with a refusal for each line that can't be read.
    """
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if kind in {"class", "text"}:
        return {"type": kind, "label" if kind == "class" else "text": text.strip()}
    if kind == "labels":
        return {"type": kind, "labels": [line for _, line in lines]}
    if kind in {"scalar", "vector"}:
        values = _all_read([(n, word) for n, line in lines for word in line.split()], float, kind)
        if kind == "scalar" and len(values) != 1:
            raise Invalid("this is not one number", refusals=(Refusal(1, "lines", shortened(text), "is not", "3.5"),))
        return {"type": kind, "value": values[0]} if kind == "scalar" else {"type": kind, "values": values}
    return {"type": kind, kind: _all_read(lines, _READERS[kind], kind)}


def _all_read(lines: list[tuple[int, str]], read: Callable[[str], Any], kind: str) -> list[Any]:
    found, refusals = [], []
    for number, line in lines:
        try:
            found.append(read(line))
        except ValueError:
            refusals.append(Refusal(number, "lines", shortened(line), "can't be read", EXAMPLES[kind]))
    if refusals:
        raise Invalid("some of it can't be read", refusals=tuple(refusals))
    return found


def _numbered(names: tuple[str, ...]) -> Callable[[str], JSON]:
    def read(line: str) -> JSON:
        label, *numbers = line.rsplit(maxsplit=len(names))
        return {"label": label, **dict(zip(names, map(float, numbers), strict=True))}

    return read


def _outline(line: str) -> JSON:
    found = re.fullmatch(r"(.*?\S)((?:\s+-?[\d.]+,-?[\d.]+){3,})", line)
    if found is None:
        raise ValueError(line)
    return {"label": found[1], "points": [[float(n) for n in pair.split(",")] for pair in found[2].split()]}


_READERS: Mapping[str, Callable[[str], JSON]] = {
    "boxes": _numbered(("x", "y", "width", "height")),
    "points": _numbered(("x", "y")),
    "segments": _numbered(("start", "end")),
    "polygons": _outline,
}


@page(router, "/reports/{position}/annotate")
def annotate(request: Request, hands: Hands, position: int) -> Response:
    """What is right of a report, to be drawn or written."""
    event = the_report(hands, position).event
    told = hands.open(event.model_dump(mode="json"))
    with hands.read() as read:
        links = links_of_report(read, position)
    truth = truth_today(hands, told)
    kind = event.prediction["type"]
    first = linked_files(request, hands, {**told, "data": told["data"][:1]}, truth, links)[0]
    data = {"position": position, "type": kind, "lines": written(truth), "example": EXAMPLES[kind]}
    return answer(
        request,
        "badcases/annotate.html",
        data,
        file=first,
        shape=SHAPES.get(kind, ""),
        form=FORMS[kind],
        predicted=written(told["prediction"]),
    )


@router.post("/api/v1/reports/{position}/annotate")
@router.post("/reports/{position}/annotate", include_in_schema=False)
def say_what_is_right(request: Request, hands: Hands, position: int, said: Said) -> Response:
    """The truth as `lines` (see the form), with a `reason`; the report moves to the badcase where it then belongs."""
    report = the_report(hands, position)
    event = report.event
    if not isinstance(said.get("lines", ""), str):
        raise Refused("the lines are no text", remedy="send one text with a line for each thing")
    given = check_input(
        commands.correct_report,
        {
            **to_correct(report, hands.open),
            "truth": read_lines(event.prediction["type"], said.get("lines", "")),
            "reason": said.get("reason", ""),
        },
    )
    made = hands.do(commands.correct_report, **given)
    moved = getattr(made.events[0], "badcase_id", event.badcase_id) if made.events else event.badcase_id
    return done(request, made, f"/reports/{position}", f"the report is counted in {moved} now", badcase_id=moved)
