"""The form by which a person reports a failure: every type, files, own fields, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from mlife.badcases.commands.media import record_data
from mlife.badcases.fingerprint import explain
from mlife.badcases.intake.declared import schema_of
from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.intake.schema import FieldDeclared, Schema
from mlife.badcases.intake.spreadsheet import report_of
from mlife.badcases.intake.typed import HOW, TYPES
from mlife.badcases.pages.receiving import intake_of, sender_of, turnstile_of
from mlife.badcases.views import lists
from mlife.badcases.views.grouping import home_of
from mlife.badcases.views.rows import BadcaseView
from mlife.badcases.wording import NO, YES
from mlife.core.errors import Refusal
from mlife.core.media.links import MOST_BYTES
from mlife.core.ports import StoredFile
from mlife.ui import answer, page, see
from mlife.ui.doing import Doing, Hands
from mlife.ui.said import Said, is_form, said

router = APIRouter(tags=["badcases"])
FIELDS: Mapping[str, str] = dict.fromkeys(
    (
        *("system", "function", "version", "type", "prediction", "score", "truth", "sha256", "uri", "observed_at"),
        *("description", "client", "device", "place", "severity", "kind", "key", "model_id", "task_id"),
    ),
    "",
)
"""What the form asks for, beside the function's own fields; the address may fill it."""
MOST_FILES = 10
NOWHERE = {"uri": "sha256:" + "0" * 64}
"""Stands for the data of a report that is being typed."""


@dataclass(frozen=True)
class Look:
    """
    What a report that is being typed looks like.

    Args:
        sentence: in words.
        badcase: where it would be counted; None: it would be new, or it can't be told yet.
        why: the reason, in words.
    """

    sentence: str
    badcase: BadcaseView | None = None
    why: str = ""


@dataclass(frozen=True)
class Drawn:
    """
    A form as it is drawn.

    Args:
        fields: what is typed, by name.
        schema: what is declared of the function.
        fault: what is wrong with it.
    """

    fields: Mapping[str, str]
    schema: Schema
    fault: Refusal | None = None
    look: Look | None = None
    how: Mapping[str, str] = field(default_factory=lambda: HOW)

    @property
    def types(self) -> list[tuple[str, str]]:
        """The types of answers, to choose from."""
        return [(name, name) for name in TYPES]

    def options(self, declared: FieldDeclared) -> list[tuple[str, str]] | None:
        """What a field may be chosen from; None if it is typed."""
        named = declared.choices if declared.type == "choice" else (YES, NO) if declared.type == "flag" else None
        return None if named is None else [("", "–"), *((name, name) for name in named)]


@page(router, "/badcases/report")
def report_form(request: Request, hands: Hands) -> Response:
    """The form by which a person reports a failure, filled from the address."""
    typed = dict(request.query_params)
    return _drawn(request, hands, typed, look=_look(request, hands, typed) if typed.get("prediction") else None)


@router.post("/badcases/report/look", include_in_schema=False)
def look(request: Request, hands: Hands, said: Said) -> Response:
    """What the form looks like so far: a part of the page, asked for while somebody types."""
    data = {"look": _look(request, hands, _texts(said))}
    return answer(request, "badcases/look.html", data)


@router.post("/badcases/report", include_in_schema=False)
async def send_form(request: Request, hands: Hands) -> Response:
    """A report from the form; what is wrong with it is said beside the field."""
    with turnstile_of(request).turn(sender_of(request)) as charge:
        if not is_form(request):
            response = await run_in_threadpool(_sent, request, hands, FormData(_texts(await said(request))))
        else:
            async with request.form(max_files=MOST_FILES, max_fields=300) as form:
                response = await run_in_threadpool(_sent, request, hands, form)
        charge(1)
    return response


def _sent(request: Request, hands: Doing, form: FormData) -> Response:
    typed = {name: value for name, value in form.multi_items() if isinstance(value, str) and value.strip()}
    if typed.pop("look", ""):
        return _drawn(request, hands, typed, look=_look(request, hands, typed))
    schema = schema_of(hands.ports.store, typed.get("system", ""), typed.get("function", ""))
    report = _report(typed, schema, hands.now)
    missing = schema.missing(report.get("fields", {}))
    if missing:
        fault = Refusal(1, f"fields.{missing[0]}", "", "is missing", schema.by_name[missing[0]].expected)
        return _drawn(request, hands, typed, fault=fault)
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile) and value.filename]
    stored = [(f.filename or "", hands.ports.blobs.put(f.file, limit=MOST_BYTES), _media_type(hands, f)) for f in files]
    links = [{"uri": f"sha256:{s.sha256}", "sha256": s.sha256, "media_type": kind} for _, s, kind in stored]
    report["data"] = links + (report["data"] if isinstance(report["data"], list) else [])
    sent = intake_of(request).reports([report], ids=True)
    if sent.refused:
        return _drawn(
            request, hands, typed | ({"sha256": stored[0][1].sha256} if stored else {}), fault=sent.refused[0]
        )
    taken = (sent.ids or [{}])[0]
    position = sent.position
    if sent.accepted:
        for number, (name, file, kind) in enumerate(stored):
            position = max(position, _told(hands, taken, sent.position, number, name, file, kind))
    words = "this report was known already" if sent.known else "the report is in"
    return see(f"/badcases/{taken['badcase_id']}?min_position={position}", words)


def _told(
    hands: Doing, taken: Mapping[str, Any], position: int, number: int, name: str, file: StoredFile, kind: str
) -> int:
    """Say that the bytes of a link are in the store; where the log is then."""
    made = hands.do(
        record_data,
        uid=taken["uid"],
        position=position,
        number=number,
        badcase_id=taken["badcase_id"],
        sha256=file.sha256,
        md5=file.md5,
        size=file.size,
        media_type=kind,
        name=name,
        how="sent",
    )
    return made.position or 0


def _media_type(hands: Doing, file: UploadFile) -> str:
    head = file.file.read(4096)
    file.file.seek(0)
    return str(hands.ports.extra["images"].sniff(head))


def _drawn(
    request: Request,
    hands: Doing,
    typed: Mapping[str, str],
    *,
    fault: Refusal | None = None,
    look: Look | None = None,
) -> Response:
    fields = {**FIELDS, **typed}
    schema = schema_of(hands.ports.store, fields["system"], fields["function"])
    told = {"fields": fields, "now": f"{hands.now:%Y-%m-%dT%H:%M}"}
    response = answer(request, "badcases/form.html", told, form=Drawn(fields, schema, fault, look), fault=fault)
    if fault is not None:
        response.status_code = 422
    return response


def _texts(said: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in said.items()
        if value is not None
    }


def _report(typed: Mapping[str, str], schema: Schema, now: datetime) -> dict[str, Any]:
    """A form's fields as a report; to be judged like any other."""
    text = dict(typed)
    observed = text.get("observed_at") or f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
    text["observed_at"] = observed if observed.endswith("Z") or "+" in observed else f"{observed}Z"
    if model_id := text.pop("model_id", ""):
        text["model_ids"] = model_id
    return report_of(text, schema)


def _look(request: Request, hands: Doing, typed: Mapping[str, str]) -> Look:
    """Where a report that says what is typed so far would be counted, by the code that counts it."""
    if not (typed.get("system") and typed.get("function") and typed.get("prediction")):
        return Look("Say system, function and what the model said, to see what it looks like.")
    schema = schema_of(hands.ports.store, typed["system"], typed["function"])
    report = _report(typed, schema, hands.now)
    intake = intake_of(request)
    try:
        grouping = intake.grouping_of({"version": "?", **report, "data": [NOWHERE]})
    except Unfit as unfit:
        return Look(f"It can't be told yet: {unfit.field} {unfit}.")
    with hands.read() as read:
        home = home_of(read, grouping.badcase_id)
        badcase = lists.badcase(read, home.badcase_id if home is not None else grouping.badcase_id)
    why = explain(grouping.fingerprint)
    if badcase is None or not badcase.reports:
        return Look(f"Nothing looks like this yet: it would be a new badcase, {why.title}.", None, why.sentence)
    return Look(f"Looks like {badcase.badcase_id}", badcase, why.sentence)
