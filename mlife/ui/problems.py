"""
Errors as RFC 9457 problem details: JSON for programs, a page for people, from the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mlife.core.errors import Invalid, MLifeError, Refusal, Unavailable, shortened


@dataclass(frozen=True, slots=True)
class Problem:
    """
    What went wrong.

    Args:
        status: HTTP status code.
        title: the kind of problem, the same each time.
        detail: what happened this time, with the values.
        remedy: what would work.
        errors: items at fault.
        retry_after: seconds after which the same request may work.
    """

    status: int
    title: str
    detail: str = ""
    remedy: str = ""
    errors: Sequence[Refusal] = ()
    retry_after: int | None = None

    def body(self, instance: str = "") -> dict[str, Any]:
        """The problem details object; empty members are left out."""
        members = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "remedy": self.remedy,
            "instance": instance,
            "errors": [e.as_json() for e in self.errors],
        }
        return {name: value for name, value in members.items() if value}

    def headers(self) -> dict[str, str]:
        wait = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        return {**wait, "Cache-Control": "no-store", "Vary": "Accept"}

    def as_json(self, instance: str = "") -> Response:
        """The problem for a program."""
        return Response(
            orjson.dumps(self.body(instance)), self.status, self.headers(), media_type="application/problem+json"
        )


def problem_of(error: Exception) -> Problem:
    """What *error* says to the one who asked. Faults of the program tell nothing of its inside."""
    match error:
        case MLifeError():
            return Problem(
                error.status,
                error.title,
                error.message,
                error.remedy,
                error.refusals if isinstance(error, Invalid) else (),
                error.retry_after if isinstance(error, Unavailable) else None,
            )
        case RequestValidationError():
            return Problem(422, Invalid.title, "The request can't be read.", "", [_refusal(e) for e in error.errors()])
        case HTTPException(status_code=404):
            remedy = "choose a page in the menu; the API's addresses are in /api/v1/openapi.json"
            return Problem(404, "Not found", "There is nothing at this address.", remedy)
        case HTTPException():
            return Problem(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail))
    return Problem(
        500,
        MLifeError.title,
        f"MLife made a mistake ({type(error).__name__}). Nothing is half-written: events are appended all or none.",
        "try again; if it stays, the server's log has the details",
    )


def _refusal(error: Any) -> Refusal:
    place, *path = error["loc"] or ("",)
    lines = [p + 1 for p in path if isinstance(p, int)]
    value = "" if error["type"] == "missing" else shortened(error.get("input", ""))
    field = ".".join(map(str, path)) or str(place)
    return Refusal(lines[0] if lines else 1, field, value, error["msg"], str(error.get("ctx", {}).get("expected", "")))
