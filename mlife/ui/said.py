"""What the body of a request says: JSON of a program or the form of a page, one input for the same command."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Depends
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from mlife.core.errors import Invalid, Refusal, shortened

MOST_BODY = 64 << 20
"""Bytes of a JSON body."""
MOST_FIELDS = 20_000
"""Fields of a form: a selection has one for each thing."""
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


async def said(request: Request) -> dict[str, Any]:
    """
    The fields of the body. Empty fields of a form say nothing; those that come several times are lists.

    Raises:
        Invalid: the body is neither, or too large.
    """
    if is_form(request):
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
            return _filled_in(form)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            raise Invalid(f"the body has more than {MOST_BODY:,} bytes", remedy="send less at a time")
    try:
        told = orjson.loads(bytes(body)) if body.strip() else {}
    except orjson.JSONDecodeError as e:
        refusal = Refusal(1, "", shortened(bytes(body)), f"is no JSON: {e.msg}", "one JSON object")
        raise Invalid("the body can't be read", refusals=(refusal,)) from None
    if not isinstance(told, dict):
        raise Invalid("the body is no JSON object", remedy='send an object such as {"note": "…"}')
    return told


def is_form(request: Request) -> bool:
    """Whether the body is a page's form, that is, whether a person asks."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in FORMS


Said = Annotated[dict[str, Any], Depends(said)]


def _filled_in(form: FormData) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in form:
        values = [v for v in form.getlist(name) if not isinstance(v, UploadFile) and v.strip()]
        if values:
            told[name] = values if len(values) > 1 else values[0]
    return told


def listed(value: Any) -> list[str]:
    """One or several values, also comma-separated, as a list."""
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [str(v) for v in value]
