"""
The desk: the home page's list of what waits for a person.

    @waits(order=10)
    def alarms(request: Request) -> list[Waiting]: ...

Features add to it; the page belongs to nobody, so that a new feature needs no edit here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from mlife.ui.pages import answer, page
from mlife.ui.rooms import entries, iteration

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    One thing that waits for a person.

    Args:
        sentence: what it is, with the numbers.
        href: where it is dealt with. action: the words on that link, an imperative.
        alarm: wrong now.
    """

    sentence: str
    href: str
    action: str
    alarm: bool = False


Ask = Callable[[Request], list[Waiting]]
_asked: list[tuple[int, Ask]] = []


def waits(*, order: int) -> Callable[[Ask], Ask]:
    """Add a function to the desk; lower *order* comes first. A decorator."""

    def register(ask: Ask) -> Ask:
        if all(ask.__qualname__ != known.__qualname__ or ask.__module__ != known.__module__ for _, known in _asked):
            _asked.append((order, ask))
        return ask

    return register


@page(router, "/")
def home(request: Request) -> Response:
    """Where this iteration stands, and what waits for me."""
    waiting = [w for _, ask in sorted(_asked, key=lambda entry: entry[0]) for w in ask(request)]
    rooms = [e for e in entries() if e.href != "/"]
    return answer(request, "home.html", {"waiting": waiting}, rooms=rooms, turn=iteration(request))
