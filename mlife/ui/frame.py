"""
What the server mounts once: static files, the rail's refresh, the theme, error pages, gzip, safety headers.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Form
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from mlife.core.errors import MLifeError
from mlife.ui import completing, design, rooms, static
from mlife.ui.limits import BodyLimit
from mlife.ui.pages import THEMES, digest_of, environment, local_address, render, wants_json
from mlife.ui.problems import problem_of
from mlife.ui.safety import HEADERS, PageSafety

_YEAR = 365 * 86400
router = APIRouter(include_in_schema=False)


@router.get("/-/live")
def live(request: Request, seen: str = "") -> Response:
    """The rail's moving parts; 204 when they are as the page has *seen* them, so that nothing is touched."""
    macros: Any = environment().globals["ui"]
    counts, iteration = rooms.counts(request), rooms.iteration(request)
    digest = digest_of(counts, iteration)
    if digest == seen:
        return Response(status_code=204)
    return HTMLResponse(macros.live(rooms.entries(), counts, iteration, digest, swap=True))


@router.post("/-/theme")
def choose_theme(theme: str = Form(), back: str = Form("/")) -> Response:
    """Keep the theme in a cookie, so that the server draws the page in it and nothing flashes."""
    response = RedirectResponse(local_address(back), 303)
    response.set_cookie("mlife_theme", theme if theme in THEMES else "system", max_age=_YEAR, samesite="lax")
    return response


def explain(request: Request, error: Exception) -> Response:
    """
    Answer *error* as a page or as problem details.

    The safety headers are set here too: an answer to a fault of the program passes no middleware.
    """
    problem = problem_of(error)
    if wants_json(request) or "hx-request" in request.headers:  # the script tells a problem in a toast
        response = problem.as_json(request.url.path)
    else:
        response = render(request, "error.html", problem=problem, bare=problem.status >= 500)
        response.status_code = problem.status
        response.headers.update(problem.headers())
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})  # such as what is allowed
    response.headers.update(HEADERS)
    return response


def leave(request: Request, gone: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """A client went away in the middle of its request: that is no fault of the program, and nobody hears an answer."""
    return Response(status_code=400)


def mount(app: FastAPI) -> None:
    """Give *app* all of this. Once, by the server, after the features' routers."""
    app.include_router(static.router)
    app.include_router(router)
    app.include_router(design.router)
    app.include_router(completing.router)
    for kind in (MLifeError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, explain)
    app.add_exception_handler(ClientDisconnect, leave)
    app.add_middleware(BodyLimit)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(PageSafety)
