"""Reports from a file: looked at first, with all that would be refused and why, then taken."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from mlife.badcases.correcting import Correcting
from mlife.badcases.intake.declared import Schemas
from mlife.badcases.intake.reading import Reader
from mlife.badcases.intake.spreadsheet import COLUMNS, Spreadsheet, report_table
from mlife.badcases.intake.taking import Answer, ItemReader
from mlife.badcases.pages.receiving import intake_of, sender_of, turnstile_of
from mlife.core.errors import Invalid
from mlife.core.sealing import Veiled
from mlife.ui import answer, page, see
from mlife.ui.doing import Doing, Hands

router = APIRouter(tags=["reports"])
LARGEST = 200_000_000
"""Bytes of a file that a page takes; the API and the command line take any."""
PIECE = 1 << 18
SHOWN = 100
_KEPT = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{64}")


@dataclass(frozen=True)
class Looked:
    """
    A file that was looked at.

    Args:
        kept: where its bytes are until they are taken, and the key to them, which stands nowhere else.
        columns, constants: how it is read, as they were typed.
        answer: what would become of it.
    """

    kept: str
    name: str
    columns: str
    constants: str
    answer: Answer


@page(router, "/badcases/import")
def import_form(request: Request) -> Response:
    """The form by which a file of reports is looked at."""
    return answer(request, "badcases/import.html", {"columns": COLUMNS}, looked=None, shown=SHOWN)


@router.post("/badcases/import", include_in_schema=False)
async def look_at_file(request: Request, hands: Hands) -> Response:
    """What would be taken of a file, and what refused; or, when somebody has looked, take it."""
    with turnstile_of(request).turn(sender_of(request)) as charge:
        async with request.form(max_files=1, max_fields=20) as form:
            response, taken = await run_in_threadpool(_handle, request, hands, form)
        charge(taken)
    return response


def _handle(request: Request, hands: Doing, form: FormData) -> tuple[Response, int]:
    """The page, and how many reports were brought."""
    file, kept = form.get("file"), str(form.get("kept") or "")
    columns, constants = str(form.get("columns") or ""), str(form.get("constants") or "")
    name = str(form.get("name") or "")
    if isinstance(file, UploadFile) and file.filename:
        name = file.filename
        key = secrets.token_bytes(32)
        stored = hands.ports.blobs.put(cast("BinaryIO", Veiled(file.file, key)), limit=LARGEST)
        kept = f"{stored.sha256}.{key.hex()}"
    if not _KEPT.fullmatch(kept) or not hands.ports.blobs.has(kept[:64]):
        raise Invalid("no file came", remedy="choose a CSV, JSON or NDJSON file of reports")
    take = bool(form.get("take"))
    told = _read(request, hands, kept, columns, constants, preview=not take)
    if take:
        refused = len(told.refused) + told.refused_more
        words = f"{told.accepted} reports are new, {told.known} were known, {refused} are refused"
        return see(f"/badcases?min_position={told.position}" if told.position else "/badcases", words), told.items
    looked = Looked(kept, name, columns, constants, told)
    return answer(request, "badcases/import.html", {"columns": COLUMNS}, looked=looked, shown=SHOWN), 0


def _read(request: Request, hands: Doing, kept: str, columns: str, constants: str, *, preview: bool) -> Answer:
    intake = intake_of(request)
    with hands.ports.blobs.open(kept[:64]) as stored:
        file = Veiled(stored, bytes.fromhex(kept[65:]))
        some = file.read(PIECE)
        reader: ItemReader | None = None
        if some.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"["):
            schemas = Schemas(hands.ports.store)
            reader = report_table(schemas.of, columns=pairs(columns, "="), constants=pairs(constants, "="))
        sending = intake.sending(preview=preview, reader=reader)
        while some:
            sending.feed(some)
            some = file.read(PIECE)
    return sending.finish()


@router.post("/api/v1/reports/truth")
async def correct_many(request: Request, hands: Hands, reason: str = "") -> Response:
    """
    Truth for many reports: CSV or JSON with `uid` (or `report_id` and `client`), `truth`, and `reason` if not as a
    parameter.

    Each is judged by itself, and the reports move to where they belong. A truth of null, `?` in CSV, disputes it.
    """
    body = await request.body()
    is_table = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/csv"
    return JSONResponse(await run_in_threadpool(_correct, hands, body, is_table, reason))


def _correct(hands: Doing, body: bytes, is_table: bool, reason: str) -> dict[str, Any]:  # noqa: FBT001
    correcting = Correcting(hands.executor, hands.ports.store, hands.open, reason=reason)
    reader: ItemReader = Spreadsheet(dict) if is_table else Reader()
    correcting.take(reader.feed(body))
    correcting.take(reader.finish())
    return correcting.answer.as_json()


def pairs(text: str, between: str) -> dict[str, str]:
    """
    Lines such as `Ort = fields.place` as a dictionary.

    Raises:
        Invalid: a line without *between*.
    """
    found: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, mark, value = line.partition(between)
        if not mark or not name.strip():
            raise Invalid(f"line {number} is {line.strip()[:80]!r}", remedy=f"write NAME {between} VALUE, one a line")
        found[name.strip()] = value.strip()
    return found
