"""
Pages whose head is sent before their queries run.

The browser then sets the page up, with its stylesheet and script, while the server still asks: on one machine that
takes about as long as the queries do.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mlife.ui.filters import reader_zone
from mlife.ui.pages import PAGE_HEADERS, block_asked, environment, fixed_of, forget_said, render
from mlife.ui.problems import problem_of

log = logging.getLogger("mlife.pages")
HEAD_ENDS = "<main "
"""The layout up to here shows nothing that the page's own queries find."""


def render_early(request: Request, template: str, ask: Callable[[], Mapping[str, Any]]) -> Response:
    """
    Draw *template*, whose title must be fixed, with what *ask* finds; the head is sent before it is called.

    What makes the request impossible must be told before: once the head is sent, the status is 200, and a fault of
    *ask* stands in the place of the page. So a page that waits for its reader's own write is drawn whole.
    """
    drawn = environment().get_template(template)
    if block_asked(request, drawn) or "min_position" in request.query_params:
        return render(request, template, **ask())
    context = drawn.new_context(fixed_of(request))
    zone = request.cookies.get("mlife_zone")
    pieces = iter(drawn.root_render_func(context))
    with reader_zone(zone):
        head = "".join(_through_head(pieces))
    parts = _parts(head, lambda: _rest(request, pieces, context, ask), zone)
    headers = dict(PAGE_HEADERS)
    if "gzip" in request.headers.get("accept-encoding", ""):  # the middleware would keep the head back
        headers |= {"Content-Encoding": "gzip", "Vary": f"{headers['Vary']}, Accept-Encoding"}
        parts = _gzipped(parts)
    response = StreamingResponse(parts, media_type="text/html", headers=headers)
    forget_said(context["said"], response)
    return response


def _through_head(pieces: Iterator[str]) -> Iterator[str]:
    for piece in pieces:
        yield piece
        if HEAD_ENDS in piece:
            return


def _parts(head: str, rest: Callable[[], str], zone: str | None) -> Iterator[bytes]:
    yield head.encode()
    with reader_zone(zone):
        drawn = rest()
    yield drawn.encode()


def _rest(request: Request, pieces: Iterator[str], context: Context, ask: Callable[[], Mapping[str, Any]]) -> str:
    """All behind the head; of a page whose queries fail, what went wrong."""
    try:
        context.parent.update(ask())
        return "".join(pieces)
    except Exception as error:
        log.exception("%s failed behind its head", request.url.path)
        problem = environment().get_template("error.html")
        told = problem.new_context({**fixed_of(request, bare=True), "problem": problem_of(error)})
        left = iter(problem.root_render_func(told))
        for _ in _through_head(left):
            pass
        return "".join(left)


def _gzipped(parts: Iterator[bytes]) -> Iterator[bytes]:
    """*parts*, each sent whole."""
    packer = zlib.compressobj(5, wbits=31)
    for part in parts:
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
