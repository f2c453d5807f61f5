"""
Rendering, and the one function that serves a page and its JSON.

    templates_from("badcases", __file__)               # badcases/list.html is templates/list.html beside this file
    rail("Badcases", "/badcases", order=10, count=count_open)
    router = APIRouter()

    @page(router, "/badcases")                         # and /api/v1/badcases
    def list_badcases(request: Request, q: str = "") -> Response:
        return answer(request, "badcases/list.html", {"badcases": ..., "position": ...}, facets=...)

Templates see every macro as `ui.<name>`, `static(name)`, `here(**changes)` (this address with other query parameters),
`column(...)`, the filters of `filters.py`, and what `answer` was handed.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import orjson
from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, Template, pass_context
from jinja2.runtime import Context
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from mlife.core.errors import Misconfigured
from mlife.ui import rooms, static
from mlife.ui.filters import FILTERS, reader_zone
from mlife.ui.looks import look_of

_own_folder = Path(__file__).parent / "templates"
_folders: dict[str, FileSystemLoader] = {}
THEMES = ("system", "light", "dark")
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """
    Head of a table's column.

    Args:
        label: its words; read aloud only if *silent*.
        num: numbers, aligned to the right.
        sort: address that sorts by it.
        sorted: `ascending` or `descending` if the rows are.
        wide: left out on narrow screens; what it says must stand elsewhere too.
        silent: the label is not shown.
    """

    label: str
    num: bool = False
    sort: str | None = None
    sorted: str | None = None
    wide: bool = False
    silent: bool = False

    @property
    def classes(self) -> str:
        """Classes of the column's cells."""
        return " ".join(name for name in ("num", "wide") if getattr(self, name))


def templates_from(feature: str, where: str | Path) -> None:
    """
    Let `<feature>/x.html` name `templates/x.html` beside the module file (or in the folder) *where*.

    Raises:
        Misconfigured: no such folder, or the name is taken.
    """
    folder = Path(where)
    folder = folder if folder.is_dir() else folder.parent / "templates"
    if not folder.is_dir():
        raise Misconfigured(
            f"feature {feature!r} has no folder {folder}", remedy="make it, and put its templates there"
        )
    known = _folders.setdefault(feature, FileSystemLoader(folder))
    if known.searchpath != [str(folder)]:
        raise Misconfigured(f"templates {feature!r} lie in {known.searchpath[0]} already", remedy="choose another name")


class Macros:
    """Every macro of `templates/macros/`, by its name alone."""

    def load(self, environment: Environment) -> None:
        """Read them. They call each other through `ui`, so *environment* must know this object before."""
        for template in sorted(_own_folder.glob("macros/*.html")):
            module = environment.get_template(f"macros/{template.name}").module
            for name, macro in vars(module).items():
                if name.startswith("_"):
                    continue
                if hasattr(self, name):
                    raise Misconfigured(f"macro {name!r} stands in two files", remedy="rename one")
                setattr(self, name, macro)


@cache
def environment() -> Environment:
    """The one Jinja environment; features that register later are seen."""
    made = Environment(
        loader=ChoiceLoader([FileSystemLoader(_own_folder), PrefixLoader(_folders)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(static=static.static_url, column=Column, look_of=look_of, here=_here, digest_of=digest_of)
    made.globals["ui"] = macros = Macros()
    macros.load(made)
    return made


@pass_context
def _here(context: Context, **changes: object) -> str:
    return with_query(context["request"], **changes)


def with_query(request: Request, **changes: object) -> str:
    """
    This address with query parameters changed; None removes one. The cursor `after` is dropped unless given, because
    another filter or order has other pages.
    """
    kept = [
        (k, v) for k, v in parse_qsl(request.url.query, keep_blank_values=True) if k not in changes and k != "after"
    ]
    query = urlencode(kept + [(k, str(v)) for k, v in changes.items() if v is not None])
    return request.url.path + (f"?{query}" if query else "")


def selection(request: Request) -> list[str]:
    """The ids selected in the address (`?selected=a,b`); `["*"]` is all that the query matches."""
    return list(dict.fromkeys(i for part in request.query_params.getlist("selected") for i in part.split(",") if i))


def render(request: Request, template: str, **context: Any) -> HTMLResponse:
    """
    Draw *template*. If htmx asks for an element whose id names a block of it, that block alone is drawn.

    With `bare=True` the rail's counts and the iteration are left out, because they may be what fails.
    """
    drawn = environment().get_template(template)
    fixed = fixed_of(request, bare=context.pop("bare", False))
    clash = fixed.keys() & context.keys()
    if clash:
        raise Misconfigured(f"page {template} redefines {sorted(clash)}", remedy="choose other names")
    with reader_zone(request.cookies.get("mlife_zone")):
        if block := block_asked(request, drawn):
            text = "".join(drawn.blocks[block](drawn.new_context({**fixed, **context})))
        else:
            text = drawn.render({**fixed, **context})
    response = HTMLResponse(text, headers=PAGE_HEADERS)
    forget_said(fixed["said"], response)
    return response


PAGE_HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Accept, HX-Request, HX-Target"}


def fixed_of(request: Request, *, bare: bool = False) -> dict[str, Any]:
    """What the layout shows on every page; *bare* as of `render`."""
    return {
        "request": request,
        "rail": rooms.entries(),
        "counts": {} if bare else rooms.counts(request),
        "iteration": None if bare else rooms.iteration(request),
        "theme": theme if (theme := request.cookies.get("mlife_theme")) in THEMES else "system",
        "said": _said(request),
    }


def block_asked(request: Request, drawn: Template) -> str:
    """The block of *drawn* that htmx asks for alone; empty: the page is asked for."""
    block = request.headers.get("hx-target", "") if "hx-request" in request.headers else ""
    return block if block in drawn.blocks else ""


def forget_said(said: object, response: Response) -> None:
    """What was *said* on this page is not said on the next one."""
    if said:
        response.delete_cookie("mlife_said")


def answer(request: Request, template: str, data: Mapping[str, Any], **page_only: Any) -> Response:
    """*data* as JSON for programs; for people the page that shows it, with *page_only* beside it."""
    if wants_json(request):
        content = orjson.dumps(data, default=_plain, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
        return Response(content, media_type="application/json", headers={"Cache-Control": "no-store", "Vary": "Accept"})
    return render(request, template, **data, **page_only)


def page(routes: APIRouter, path: str) -> Callable[[Function], Function]:
    """Serve a function at *path* and, as JSON and in the OpenAPI document, at `/api/v1` + *path*. A decorator."""

    def register(function: Function) -> Function:
        routes.add_api_route("/api/v1" + path, function, methods=["GET"], response_model=None)
        routes.add_api_route(path, function, methods=["GET"], response_model=None, include_in_schema=False)
        return function

    return register


def see(to: str, said: str = "", undo: str = "") -> RedirectResponse:
    """After a form: go to the local address *to* and say what was done there, with a way to undo it (a POST)."""
    response = RedirectResponse(local_address(to), 303)
    if said:
        flash = base64.urlsafe_b64encode(orjson.dumps([said, undo])).decode()
        response.set_cookie("mlife_said", flash, max_age=60, httponly=True, samesite="lax")
    return response


def wants_json(request: Request) -> bool:
    """Whether the one who asks is a program: under `/api/`, or JSON is liked better than HTML."""
    if request.url.path.startswith("/api/"):
        return True
    liked = {}
    for part in request.headers.get("accept", "").split(","):
        kind, _, parameters = part.strip().partition(";")
        quality = parameters.replace(" ", "").partition("q=")[2] or "1"
        liked[kind.strip()] = float(quality) if quality.replace(".", "", 1).isdecimal() else 0.0
    html = liked.get("text/html", 0.0)
    return max(liked.get("application/json", 0.0), liked.get("application/problem+json", 0.0)) > html


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, Path | bytes):
        return str(value) if isinstance(value, Path) else value.hex()
    if isinstance(value, Iterable):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def _said(request: Request) -> tuple[str, str] | None:
    cookie = request.cookies.get("mlife_said", "")
    try:
        said, undo = orjson.loads(base64.urlsafe_b64decode(cookie))
    except (TypeError, ValueError):  # a cookie is the client's word
        return None
    return str(said), local_address(str(undo)) if undo else ""


def digest_of(counts: object, iteration: object) -> str:
    """What tells one state of the rail from another."""
    return hashlib.sha256(repr((counts, iteration)).encode()).hexdigest()[:12]


def local_address(address: str) -> str:
    """*address* if it is one of this server, else the start page."""
    return address if address.startswith("/") and address[1:2] not in {"/", "\\"} else "/"
