"""
Headers that keep a page to itself, and the refusal of what another site's page sends through the browser.

A server on loopback has no password; without these checks any web page could make its reader's browser post to it, or
read it under a name of its own that it has pointed to this machine.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlife.core.errors import shortened
from mlife.ui.problems import Problem

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
        "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class PageSafety:
    """ASGI middleware. A route that set one of the headers itself keeps its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if scope["method"] not in _READS and is_foreign(Headers(scope=scope)):
            refused = Problem(
                403,
                "Request from another site",
                "The browser says that another site's page sent this request, so nothing was done.",
                "open MLife's own page and do it there",
            )
            await refused.as_json()(scope, receive, send_safely)
            return
        coding = Headers(scope=scope).get("content-encoding", "identity")
        if coding.lower() not in {"", "identity"}:
            refused = Problem(
                415,
                "Encoded body",
                f"The body is encoded as {shortened(coding, 40)!r}, and bodies are taken as they are.",
                "send it without Content-Encoding",
            )
            await refused.as_json(scope["path"])(scope, receive, send_safely)
            return
        await self.app(scope, receive, send_safely)


class OwnNames:
    """
    ASGI middleware: only a request to one of this machine's own names is answered.

    A web page may have its own name pointed to 127.0.0.1; to the browser it is then the same site, so nothing but the
    `Host` header tells. Addresses can't be pointed elsewhere, so any is right.

    Args:
        names: further host names that are right, beside `localhost`.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str] = frozenset()) -> None:
        self.app = app
        self._names = names | {"localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        if host is None or self._is_own(host):  # every browser says a host; some health checks do not
            await self.app(scope, receive, send)
            return
        refused = Problem(
            421,
            "Not this server's name",
            f"This server has no token and is not called {shortened(host, 80)!r}.",
            f"ask for {' or '.join(sorted(self._names))}, or start it with a token: mlife up --token …",
        )
        answer = refused.as_json()
        answer.headers.update(HEADERS)
        await answer(scope, receive, send)

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name in self._names or bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page made the request. Programs send neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
