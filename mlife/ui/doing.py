"""
What a page may do: carry out commands in the name of whoever asks, and read its own writes.

    @router.post("/api/v1/badcases/{badcase_id}/triage")
    def triage(badcase_id: str, hands: Hands) -> Response: ...

`Idempotency-Key`, `If-Match`, `min_position` and the actor are honoured here, once, for every page.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ParamSpec, Protocol, cast
from urllib.parse import unquote

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mlife.core.command import Decision, Done, Executor
from mlife.core.errors import Invalid, Refusal, shortened
from mlife.core.handler import Ports
from mlife.core.projection import Reader
from mlife.core.sealing import Sealer
from mlife.ui.pages import see, wants_json

P = ParamSpec("P")
ANYBODY = "somebody"
"""Actor of a request that names none."""
MOST_DIGITS = 18
"""Of a position or a version: the log counts in 64 bits."""


class Served(Protocol):
    """What the server keeps at `app.state.home`."""

    ports: Ports
    do: Executor
    sealer: Sealer


@dataclass(frozen=True)
class Doing:
    """
    One request's hands.

    Args:
        min_position: reads wait for it.
        actor: from the header `X-Actor` or the cookie `mlife_actor`.
        key: the request's `Idempotency-Key`, bound to method and path; None if it has none.
        expected: version that `If-Match` names; None if it names none.
    """

    home: Served
    actor: str
    key: str | None
    expected: int | None
    min_position: int

    @property
    def ports(self) -> Ports:
        """The outside world."""
        return self.home.ports

    def do(self, decide: Decision[P], /, *args: P.args, **input: P.kwargs) -> Done:
        """Carry out a command as this request's actor, under its idempotency key."""
        return self._answered(self.executor.under(self.key or uuid.uuid4().hex, decide, *args, **input), input)

    def edit(self, stream: str, decide: Decision[P], /, *args: P.args, **input: P.kwargs) -> Done:
        """As `do`, and `If-Match` must name the version that *stream* has."""
        versions = {} if self.expected is None else {stream: self.expected}
        done = self.executor.expecting(versions, self.key or uuid.uuid4().hex, decide, *args, **input)
        return self._answered(done, input)

    def _answered(self, done: Done, said: Mapping[str, Any]) -> Done:
        done.answers(said, self.open)
        return done

    @property
    def executor(self) -> Executor:
        """For what needs a key of its own, such as a bulk action's parts."""
        return self.home.do.as_(actor=self.actor)

    def read(self) -> AbstractContextManager[Reader]:
        """The query tables, at `min_position` or later."""
        return self.home.ports.views.read(min_position=self.min_position)

    @property
    def now(self) -> datetime:
        """The home's time."""
        return self.home.do.clock.now()

    def open(self, value: Any) -> Any:
        """*value* with sealed texts readable again."""
        return self.home.sealer.open(value)


def answered(request: Request, made: Done, to: str, words: str, *, undo: str = "", **told: Any) -> Response:
    """
    The answer to a write, whoever asked: *told* (the ids) and the position for programs; for people the page *to*.

    It waits for that position, says *words*, and has a way to *undo* (a POST).
    """
    if wants_json(request):
        return JSONResponse({"position": made.position, **told})
    mark = "&" if "?" in to else "?"
    return see(f"{to}{mark}min_position={made.position}" if made.position else to, words, undo)


def doing(request: Request) -> Doing:
    """The `Doing` of *request*, as a FastAPI dependency."""
    key = request.headers.get("idempotency-key")
    return Doing(
        home=cast("Served", request.app.state.home),
        actor=actor_of(request),
        key=f"http:{request.method}:{request.url.path}:{key}" if key else None,
        expected=_expected(request),
        min_position=_number(request, "min_position") or 0,
    )


Hands = Annotated[Doing, Depends(doing)]
"""The type of a route's parameter that is handed them."""


def actor_of(request: Request) -> str:
    """Who asks, as they say themselves: header `X-Actor`, else the name kept in the cookie."""
    said = request.headers.get("x-actor") or unquote(request.cookies.get("mlife_actor", ""))
    return re.sub(r"[^\w .@+-]", "", said)[:80].strip() or ANYBODY


def _expected(request: Request) -> int | None:
    tag = request.headers.get("if-match")
    if tag is None or tag.strip() == "*":
        return None
    digits = tag.strip().removeprefix("W/").strip('"')
    if not digits.isdecimal() or len(digits) > MOST_DIGITS:
        raise _unreadable("If-Match", tag, 'the stream version, as "4"')
    return int(digits)


def _number(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    if value is None or value == "":
        return None
    if not value.isdecimal() or len(value) > MOST_DIGITS:
        raise _unreadable(name, value, "a position: a whole number, 0 or more")
    return int(value)


def _unreadable(name: str, value: str, expected: str) -> Invalid:
    refusal = Refusal(1, name, shortened(value), "can't be read", expected)
    return Invalid(f"{name} can't be read", refusals=(refusal,))
