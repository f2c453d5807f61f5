"""The FastAPI application: mounts each feature's pages, and answers for health and access."""

from __future__ import annotations

import gc
import hmac
import logging
import secrets
import threading
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mlife import __version__
from mlife.core.errors import MLifeError, Unavailable
from mlife.core.projection import projections
from mlife.runtime import Home, feature_modules
from mlife.runtime.watching import watch_of
from mlife.ui import desk, mount
from mlife.ui.news import News
from mlife.ui.pages import local_address
from mlife.ui.problems import Problem
from mlife.ui.safety import HEADERS, OwnNames
from mlife.ui.watching import Measured, figures

log = logging.getLogger("mlife.server")
health = APIRouter()
LAG_READY = 1_000
"""Events that a projection may be behind for `/readyz` to say yes."""

OPEN_PATHS = ("/healthz", "/readyz")
"""What is answered without a token: they say nothing but yes or no."""


def make_app(home: Home, *, token: str | None = None, names: Iterable[str] | None = None) -> FastAPI:
    """
    The application on an opened *home*.

    Args:
        token: if set, every request but the health checks must carry it: `Authorization: Bearer …`, or once
            `?token=…` in a browser, which keeps it in a cookie.
        names: if set, requests to another host name than these, `localhost` or an address are refused; see `OwnNames`.
    """
    app = FastAPI(
        title="MLife",
        version=__version__,
        description="Field failures become the next model, and are proved fixed.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.home = home
    app.state.news = News(home.ports.store)
    app.state.watch = watch_of(home)
    app.include_router(health)
    app.include_router(desk.router)
    for module in feature_modules(("pages",)):
        router = getattr(import_module(module), "router", None)
        if router is not None:
            app.include_router(router)
    mount(app)
    if names is not None:
        app.add_middleware(OwnNames, names=frozenset(name.lower() for name in names))
    if token:
        app.add_middleware(TokenGate, token=token)
    app.add_middleware(Measured)
    return app


@health.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@health.get("/readyz")
def readyz(request: Request) -> Response:
    """The query tables of this program's versions are filled and follow the log."""
    home: Home = request.app.state.home
    try:
        head = home.ports.store.head()
        standings = [
            s
            for s in home.ports.views.standings()
            if s.state in ("live", "stopped") and s.name in projections and projections[s.name].version == s.version
        ]
    except MLifeError as e:
        log.warning("not ready: %s", e)  # said here and not in the answer, which needs no token
        return JSONResponse({"status": "failing"}, 503)
    late = {s.name: s.position for s in standings if s.state == "stopped" or head - s.position > LAG_READY}
    late |= dict.fromkeys(projections.keys() - {s.name for s in standings}, 0)
    if late:
        return JSONResponse({"status": "catching up", "head": head, "behind": late}, 503, {"Retry-After": "1"})
    return JSONResponse({"status": "ready", "head": head})


@health.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """Figures of this process and of what follows the log, as OpenMetrics text."""
    home: Home = request.app.state.home
    return figures(request.app.state.watch, "embedded" if home.settings.is_alone else "cluster", home.settings.intake)


class TokenGate:
    """Lets nobody in without the token; compared in constant time."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass, answer 401, or turn `?token=` into a cookie."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        asked = request.query_params.get("token")
        if asked is not None and scope["method"] == "GET" and self._is_right(asked):
            clean = request.url.remove_query_params("token")
            where = local_address(clean.path) + (f"?{clean.query}" if clean.query else "")
            answer: Response = RedirectResponse(where, 303, HEADERS)
            answer.set_cookie("mlife_token", asked, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
            await answer(scope, receive, send)
        elif self._is_right(_bearer(request.headers)) or self._is_right(request.cookies.get("mlife_token", "")):
            await self._app(scope, receive, send)
        else:
            problem = Problem(401, "Not authorised", "This server wants a token.", "send Authorization: Bearer <token>")
            answer = problem.as_json(scope["path"])
            answer.headers.update({"WWW-Authenticate": "Bearer", **HEADERS})
            await answer(scope, receive, send)

    def _is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _bearer(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def serve(app: FastAPI, host: str, port: int, on_started: Any = None) -> None:
    """
    Serve *app* until the process is told to end.

    What is loaded by then stays: the cyclic collector need not look through it again, 25 ms in the middle of a page.

    Raises:
        Unavailable: the port is taken.
    """
    import socket

    import uvicorn

    ending = threading.Event()
    watching = threading.Thread(target=app.state.watch.run, args=(ending,), name="mlife-watch", daemon=True)

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            watching.start()
            if on_started is not None and self.started:
                on_started(self.servers[0].sockets[0].getsockname()[1])

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            ending.set()
            app.state.news.end()
            await super().shutdown(sockets)

    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as e:
        listener.close()
        raise Unavailable(
            f"{host}:{port} can't be listened on ({e.strerror})", remedy="choose another --port, or stop what uses it"
        ) from e
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=5)
    gc.collect()
    gc.freeze()
    Announced(config).run(sockets=[listener])
