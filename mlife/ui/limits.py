"""
How much a request may say: a body that is held in memory must not fill it.

Doors that take their body piece by piece, such as reports and files, call `takes_any_length` before they read.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY = 64 << 20
"""Bytes of a body that is held in memory: JSON, or a form without files."""
MOST_UPLOAD = (4 << 30) + MOST_BODY
"""Bytes of a form with files, which go to the disk as they come."""
_LIMIT = "mlife.body_limit"


class BodyLimit:
    """ASGI middleware: a longer body is refused with 413, unread if its length is announced."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = headers.get("content-type", "").lower().startswith("multipart/form-data")
        scope[_LIMIT] = MOST_UPLOAD if is_upload else MOST_BODY
        told = headers.get("content-length", "")
        announced = int(told) if told.isdecimal() and len(told) < 19 else 0
        size = 0

        async def counted() -> Message:
            nonlocal size
            most: int | None = scope[_LIMIT]
            if most is not None and announced > most:
                raise _too_large(most)
            message = await receive()
            size += len(message.get("body", b""))
            if most is not None and size > most:
                raise _too_large(most)
            return message

        await self.app(scope, counted, send)


def takes_any_length(request: Request) -> None:
    """The door of *request* holds no more than pieces of its body; it has limits of its own, or needs none."""
    request.scope[_LIMIT] = None


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body has more than {most:,} bytes; send less at a time")
