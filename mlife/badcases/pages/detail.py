"""One badcase: prediction and truth, why it is one, where it stands, what to do next. And one report, whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from mlife.badcases.events import BadcaseReported
from mlife.badcases.fingerprint import explain
from mlife.badcases.functions import function_id
from mlife.badcases.intake.declared import schema_of
from mlife.badcases.intake.report import report_adapter
from mlife.badcases.intake.schema import Schema
from mlife.badcases.pages.grouping import led_home, was_elsewhere, way_of, why_of
from mlife.badcases.pages.media import digests_of, linked_files, newest_of, truth_today
from mlife.badcases.pages.shown import in_words, picture_of, the_badcase
from mlife.badcases.pages.timeline import lived
from mlife.badcases.standing import OPEN
from mlife.badcases.testdata import pinnable_rows
from mlife.badcases.views import details, lists, statistics, turns
from mlife.badcases.views.media import copies_of, links_of_report, unreadable
from mlife.badcases.views.rows import BadcaseView, VerdictView, VersionCount
from mlife.badcases.views.standing import Shipped
from mlife.badcases.wording import place_in, said
from mlife.core.errors import NotFound
from mlife.core.events import Recorded
from mlife.core.query import narrow
from mlife.ui import Interval, answer, comparison, page
from mlife.ui.charts import Comparison
from mlife.ui.doing import Doing, Hands
from mlife.ui.filters import plural
from mlife.ui.pages import wants_json
from mlife.ui.timeline import history_of

router = APIRouter(tags=["badcases"])
SHOWN_REPORTS = 28
FIXED_FROM = 0.60
"""Where the line is drawn in the chart of verdicts; the verdicts themselves name their policy."""


@page(router, "/reports/{position}")
def show_report(request: Request, hands: Hands, position: int) -> Response:
    """One report as it was sent, by its position in the log."""
    recorded = the_report(hands, position)
    event = recorded.event
    with hands.read() as read:
        counted = details.report_by_position(read, position)
        badcase = lists.badcase(read, counted.badcase_id if counted else event.badcase_id)
        way = way_of(hands, read, event.uid, position)
        links = links_of_report(read, position)
        told = hands.open(event.model_dump(mode="json"))
        copies = [copy for digest in digests_of(told, links) for copy in copies_of(read, digest)]
        pinned = {p.sha256 for p in details.pins(read, [badcase.badcase_id])} if badcase else set()
    truth = truth_today(hands, told)
    schema = schema_of(hands.ports.store, event.system, event.function)
    data = {
        "report": told,
        "truth": truth,
        "links": [asdict(link) for link in links.values()],
        "copies": [{**asdict(copy), "pinned": copy.sha256 in pinned} for copy in copies],
        "position": position,
        "recorded_at": recorded.time,
        "now_in": counted and counted.badcase_id,
        "place": told["place"] or hands.open(place_in(told["fields"])),
        "way": way,
        "missing": schema.missing(told["fields"]),
        "undeclared": schema.undeclared(told["fields"]),
    }
    return answer(
        request,
        "badcases/report.html",
        data,
        badcase=badcase,
        free=_free(schema, told["fields"]),
        function_id=function_id(event.system, event.function),
        model_ids=counted.model_ids if counted else (),
        why=explain(event.fingerprint, event.fingerprint_version),
        corrections=history_of(hands, f"correction/{event.uid}", say=in_words),
        picture=picture_of(hands),
        files=[] if wants_json(request) else linked_files(request, hands, told, truth, links),
    )


def _free(schema: Schema, fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Free fields as they are read: the declared ones in their order, then the others."""
    shown = [(f.label, said(fields[f.name]) if fields.get(f.name) is not None else "–") for f in schema.fields]
    others = schema.undeclared(fields)
    return shown + [(f"{name} (undeclared)" if schema.fields else name, said(fields[name])) for name in others]


def the_report(hands: Doing, position: int) -> Recorded[BadcaseReported]:
    """
    The report at *position*.

    Raises:
        NotFound: something else stands there, or nothing.
    """
    found = hands.ports.store.read(position - 1, 1) if 0 < position < 2**62 else []
    if not found or not isinstance(found[0].event, BadcaseReported):
        raise NotFound(f"there is no report at position {position}", remedy="look for it in the list of reports")
    return found[0]  # type: ignore[return-value]


@page(router, "/badcases/{badcase_id}")
def show_badcase(request: Request, hands: Hands, badcase_id: str) -> Response:
    """One badcase with its reports, verdicts, versions, pins and history; a merged one leads to where it is counted."""
    if (elsewhere := led_home(request, hands, badcase_id)) is not None:
        return elsewhere
    with hands.read() as read:
        badcase = the_badcase(read, badcase_id)
        grouped = why_of(read, badcase_id)
        was = was_elsewhere(read, badcase_id, request.query_params.get("was", ""))
        reports = lists.reports_of(read, badcase_id, limit=SHOWN_REPORTS)
        links = links_of_report(read, reports[0].position) if reports else {}
        verdicts = details.verdicts(read, badcase_id)
        versions = details.version_counts(read, badcase_id)
        pins = details.pins(read, [badcase_id])
        causes = turns.causes(read, system=badcase.system, function=badcase.function)
        to_pin = len(pinnable_rows(hands.ports.store, read, badcase_id))
        weeks = statistics.weeks_of(read, badcase_id)
        places = statistics.places_of(read, badcase_id)
        failed, failed_count = unreadable(read, badcase_id)
        life = lived(hands, read, badcase)
        position = read.position
    why = explain(badcase.fingerprint, badcase.fingerprint_version)
    data = {
        "badcase": asdict(badcase),
        "why": asdict(why) | grouped,
        "was": was,
        "verdicts": [asdict(v) for v in verdicts],
        "versions": [{**asdict(v), "word": v.word} for v in versions],
        "pins": [asdict(p) for p in pins],
        "places": [asdict(s) for s in places],
        "reports": [hands.open(asdict(r)) for r in reports],
        **life.told,
        "unreadable": [asdict(link) for link in failed],
        "unreadable_count": failed_count,
        "position": position,
    }
    return answer(
        request,
        "badcases/badcase.html",
        data,
        b=badcase,
        because=why,
        grouped=grouped["parts"],
        moved=grouped["moved"],
        life=life_of(badcase, verdicts, life.fix),
        next_step=next_of(badcase, verdicts, versions, to_pin, life.fix),
        verdict_chart=verdict_chart(verdicts),
        version_rows=versions,
        pinned=pins,
        to_pin=to_pin,
        causes=[c for c in causes if c.cause_id not in {known for known, _ in badcase.causes}],
        history=life.told["timeline"],
        priority_because=life.because,
        weeks=weeks,
        place_links=[(s, narrow(f"badcase:{badcase_id}", "place", s.value)) for s in places[:8]],
        truth_shown=badcase.truth,
        picture=picture_of(hands),
        newest=None if wants_json(request) or not reports else newest_of(request, hands, reports[0].position, links),
    )


@router.get("/badcases/{badcase_id}/pictures", include_in_schema=False)
def count_pictures(hands: Hands, badcase_id: str) -> Response:
    """How many distinct pictures a badcase has, in words: a list asks for what it left out as it comes into sight."""
    with hands.read() as read:
        return HTMLResponse(plural(lists.pictures_of(read, badcase_id), "picture"))


def life_of(b: BadcaseView, verdicts: list[VerdictView], fix: Shipped | None = None) -> list[dict[str, Any]]:
    """The strip: what is done, where it stands, what is ahead."""
    words = ["new", "triaged", "fix planned", "fix claimed", "verified", "shipped", "closed"]
    if b.status in ("muted", "rejected"):
        note = (b.rejected or "").replace("_", " ") if b.status == "rejected" else f"until {b.muted_until:%d %b %Y}"
        return [_stage("new", "done"), _stage(b.status, "now", note)]
    if b.wrong_now:
        fixing = next((v.model_id for v in verdicts if v.verdict == "fixed"), "")
        done = [_stage(w, "done") for w in words[1:6]]
        return [*done, _stage(b.status, "wrong", f"fixed by {fixing}" if fixing else "")]
    at = words.index(b.status)
    stages = [_stage(w, "done" if n < at else "now" if n == at else "ahead") for n, w in enumerate(words)]
    if b.status in ("fix planned", "fix claimed") and b.iterations:
        iteration_id, title = b.iterations[-1]
        stages[at] |= {"note": title, "href": f"/iterations/{iteration_id}"}
    if fix is not None and at >= words.index("shipped"):
        note = "no traffic counted since" if fix.share is None else f"to {fix.share:.0%} of traffic"
        stages[words.index("shipped")] |= {"note": note}
    if b.status == "closed" and b.closed_by:
        stages[at] |= {"note": f"by {b.closed_by}", "href": f"/models/{b.closed_by}", "state": "done"}
    return stages


def _stage(word: str, state: str, note: str = "") -> dict[str, Any]:
    return {"word": word, "state": state, "note": note, "href": None}


def next_of(
    b: BadcaseView,
    verdicts: list[VerdictView],
    versions: list[VersionCount],
    to_pin: int,
    fix: Shipped | None = None,
) -> dict[str, Any]:
    """What to do next, in a sentence; and which of the forms is the first one."""
    unproven = next((v for v in verdicts if v.verdict == "unproven" and v.missing), None)
    unknown = sum(v.reports for v in versions if not v.model_ids)
    said, first = _NEXT[b.status]
    if b.status == "triaged":
        said, first = _triaged(to_pin), "pin" if to_pin else "iteration"
    elif b.status == "regressed":
        said = b.said or said
    notes = [] if fix is None else [fix.sentence[:1].upper() + fix.sentence[1:] + "."]
    if unproven is not None and b.status in OPEN:
        notes.append(
            f"{unproven.model_id} is unproven on it: {unproven.missing} testing rows are missing, if all of them pass."
        )
    if unknown:
        notes.append(f"{unknown} reports come from versions that no deployment names: they are only counted.")
    return {"sentence": said, "first": first, "notes": notes, "alarm": b.wrong_now}


_NEXT = {
    "new": ("Nobody has looked at it yet. Is it real, and is the truth right?", "triage"),
    "triaged": ("", ""),
    "regressed": ("It came back in the model that answers now.", "iteration"),
    "recurring": ("It came back. Without traffic counts nobody can say how often: send them.", "iteration"),
    "fix planned": ("An iteration aims at it: collect data, group it, train.", "pin"),
    "fix claimed": ("A model of the iteration was trained: test it, and let the gate speak.", ""),
    "verified": ("A model fixes it, and is not active yet: deploy it.", ""),
    "shipped": ("The active model fixes it. It closes by itself after its bake.", ""),
    "closed": ("There is nothing left to do: it is fixed, active, and stayed quiet.", "reopen"),
    "muted": ("It is quiet until its time comes.", "unmute"),
    "rejected": ("It is no target.", "reopen"),
}
"""Status → what to do next, and the form for it."""


def _triaged(to_pin: int) -> str:
    if to_pin:
        return f"{to_pin} of its files are not test data yet. Pin them, so that a fix can be proved; then aim at it."
    return "Its files are test data. Aim an iteration at it."


def verdict_chart(verdicts: list[VerdictView]) -> Comparison | None:
    """The share of its evidence that passes, with its interval, for each model; None without a verdict."""
    if not verdicts:
        return None
    results = {
        ("evidence", v.model_id): Interval(
            v.passes / v.evidence if v.evidence else 0.0,
            v.low,
            v.high,
            v.evidence,
            f"/models/{v.model_id}",
            "broken" if v.broken else v.verdict,
        )
        for v in verdicts
    }
    return comparison("Verdicts", ["evidence"], [v.model_id for v in verdicts], results, FIXED_FROM)


@router.get("/api/v1/reports/schema/json")
def report_schema() -> dict[str, Any]:
    """JSON Schema of a report as a client sends it."""
    return report_adapter.json_schema()
