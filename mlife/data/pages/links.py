"""
Bytes in, past this process: who announces a file gets a link to the store, puts the bytes there and says so.

Then the file is judged and recorded as if it had come through `POST /api/v1/files`, with the same answer.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from mlife.core.errors import shortened
from mlife.data.pages.shown import intake_of
from mlife.data.pages.uploads import LARGEST_FILE, UploadTooLarge, told_of
from mlife.ui.doing import Hands

router = APIRouter()
LINK_SECONDS = 3600
"""How long a link takes bytes; a slow line may need that for the largest file."""


class Announced(BaseModel):
    """A file that is to come."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of its bytes, hexadecimal")]
    size: Annotated[int, Field(ge=0, description="bytes")]
    name: Annotated[str, Field(max_length=1024, description="what it is called")] = ""


@router.post("/api/v1/files/uploads", response_model=None)
def announce_file(hands: Hands, file: Announced) -> Response:
    """
    Announce a file; the answer says how to send its bytes.

    `known`: nothing need be sent, and this is the answer of `POST /api/v1/files`. `direct` true: send them to `url` by
    `method` with exactly these `headers`, without a token, within `seconds`; then POST the same announcement to
    `/api/v1/files/uploads/{upload_id}`. `direct` false: this store gives no links; send them to `url`, which is of this
    server, by `method`, and no more is needed.
    """
    if file.size > LARGEST_FILE:
        raise UploadTooLarge(f"the file has more than {LARGEST_FILE:,} bytes", remedy="use mlife file put")
    intake = intake_of(hands)
    known = intake.known(file.sha256)
    if known is not None:
        return JSONResponse(told_of(known))
    link = intake.upload_link(file.sha256, file.size, LINK_SECONDS)
    headers = {"Cache-Control": "no-store"}
    if link is None:
        url = f"/api/v1/files?name={quote(file.name, safe='')}"
        return JSONResponse({"direct": False, "method": "POST", "url": url, "headers": {}}, headers=headers)
    told = {
        "direct": True,
        "upload_id": link.upload_id,
        "method": "PUT",
        "url": link.url,
        "headers": dict(link.headers),
        "seconds": link.seconds,
    }
    return JSONResponse(told, headers=headers)


@router.post("/api/v1/files/uploads/{upload_id}", response_model=None)
def take_upload(hands: Hands, upload_id: str, file: Announced) -> Response:
    """
    Say that the bytes were put to the link; they are read once, and kept if they are those that were announced.

    Answers like `POST /api/v1/files`, also when it is asked again.
    """
    put = intake_of(hands).take_upload(shortened(upload_id, 64), sha256=file.sha256, size=file.size, name=file.name)
    return JSONResponse(told_of(put))
