"""Bytes in: files by HTTP, streamed to the disk; nothing is held in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from mlife.core.errors import Invalid
from mlife.data.intake import Put
from mlife.data.pages.shown import intake_of
from mlife.ui import see
from mlife.ui.doing import Hands
from mlife.ui.limits import takes_any_length
from mlife.ui.pages import wants_json

router = APIRouter()
LARGEST_FILE = 4 << 30
"""Bytes of one file by HTTP; larger ones go through the command line."""
MOST_FILES = 1_000
"""Files of one request."""
IN_MEMORY = 1 << 20


class UploadTooLarge(Invalid):
    """A body above the limit."""

    status = 413
    title = "Too large"


@asynccontextmanager
async def streamed(request: Request, limit: int) -> AsyncIterator[BinaryIO]:
    """The raw body in a temporary file."""
    takes_any_length(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    with SpooledTemporaryFile(IN_MEMORY) as kept:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            await run_in_threadpool(kept.write, chunk)
        kept.seek(0)
        yield cast("BinaryIO", kept)


def _too_large(limit: int) -> UploadTooLarge:
    return UploadTooLarge(f"the body has more than {limit:,} bytes", remedy="send less, or use mlife file put")


def is_multipart(request: Request) -> bool:
    """Is the body a form with files?"""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def _name_of(request: Request) -> str:
    """What the raw body is called: `?name=`, or the header `X-File-Name`, percent-encoded."""
    return request.query_params.get("name") or unquote(request.headers.get("x-file-name", ""))


@router.post("/api/v1/files", response_model=None)
@router.post("/files", response_model=None, include_in_schema=False)
async def put_files(request: Request, hands: Hands) -> Response:
    """
    Store files: one as the raw body (`?name=`), or many as a multipart form. The same bytes twice change nothing.

    Answers when the bytes are durable, with SHA-256, MD5, size and media type of each.
    """
    if is_multipart(request):
        async with request.form(max_files=MOST_FILES, max_fields=100) as form:
            sent = [v for _, v in form.multi_items() if isinstance(v, UploadFile)]
            told = await run_in_threadpool(_put, hands, sent)
    else:
        async with streamed(request, LARGEST_FILE) as body:
            put = await run_in_threadpool(intake_of(hands).put, body, name=_name_of(request), limit=LARGEST_FILE)
        told = told_of(put)
    if not told["files"]:
        raise Invalid("no file came", remedy="send bytes as the body, or files as a multipart form")
    if wants_json(request):
        return JSONResponse(told)
    refused = f", {len(told['refused'])} refused" if told["refused"] else ""
    return see(
        f"/files?min_position={told['position']}",
        f"{told['accepted']} files stored, {told['known']} were here already{refused}",
    )


def told_of(put: Put) -> dict[str, Any]:
    """The answer about one file."""
    return {
        "position": put.position,
        "accepted": int(not put.known),
        "known": int(put.known),
        "refused": [],
        "files": [put.as_json()],
        "sha256": put.sha256,
    }


def _put(hands: Hands, sent: Sequence[UploadFile]) -> dict[str, Any]:
    named = ((f.file, f.filename or "") for f in sent)
    return intake_of(hands).put_named(named, keep=MOST_FILES, limit=LARGEST_FILE).as_json()
