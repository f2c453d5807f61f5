"""What the body of a request says: JSON of a program or the form of a page, one input for the same command."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Depends
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from mlife.core.errors import Invalid, Refusal, shortened

MOST_FIELDS = 20_000
"""Fields of a form: a selection has one for each thing."""
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


async def said(request: Request) -> dict[str, Any]:
    """
    The fields of the body. Empty fields of a form say nothing; those that come several times are lists.

    Raises:
        Invalid: the body is neither.
    """
    if is_form(request):
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
            return _filled_in(form)
    body = await request.body()
    try:
        told = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as e:
        refusal = Refusal(1, "", shortened(body), f"is no JSON: {e.msg}", "one JSON object")
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
    """
    One or several values, also comma-separated, as a list of texts.

    Raises:
        Invalid: it holds an object or a list.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    values = value if isinstance(value, list | tuple) else [value]
    wrong = [v for v in values if not isinstance(v, str | int | float) or isinstance(v, bool)]
    if wrong:
        raise Invalid(f"{shortened(wrong[0])} is no id and no number", remedy="give a list of them, such as [1, 2]")
    return [str(v) for v in values]


def counted(value: str) -> dict[str, int]:
    """
    Labels with counts in words, `9=40, 4=40`, as a mapping.

    Raises:
        Invalid: it can't be read.
    """
    counts: dict[str, int] = {}
    for part in value.replace("\n", ",").split(","):
        label, mark, count = part.strip().rpartition("=")
        if not part.strip():
            continue
        if not mark or not count.strip().isdecimal():
            raise Invalid(f"{part.strip()!r} is no class with a count", remedy="write 9=40, 4=40")
        counts[label.strip()] = int(count)
    return counts
