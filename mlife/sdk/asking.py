"""One server, asked again where an answer may have been lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from mlife.sdk.faults import Away, FileRefused, SdkError

if TYPE_CHECKING:
    import httpx

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
Asked = TypeVar("Asked", bound="httpx.Response | None")
LONGEST_PAUSE = 60.0
"""Seconds; a server that asks for more is asked again after this time."""


class Asking:
    """
    Args:
        http: of the server.
        attempts: tries per request.
        sleep: how to wait.
    """

    def __init__(self, http: httpx.Client, attempts: int, sleep: Callable[[float], None]) -> None:
        import httpx

        self.http, self._attempts, self._sleep = http, max(1, attempts), sleep
        self._errors: type[Exception] = httpx.TransportError

    def tried(self, ask: Callable[[], Asked], what: str) -> Asked:
        """
        The first answer that is worth having: other than "try again". None is one, if *ask* gives it.

        Raises:
            Away: there was none; it names *what* was asked.
        """
        last, status, asked = "", None, None
        for attempt in range(self._attempts):
            status = asked = None
            try:
                response = ask()
            except self._errors as e:
                last = f"{type(e).__name__}: {e}"
            else:
                if response is None or response.status_code not in TRY_AGAIN:
                    return response
                status, asked = response.status_code, response.headers.get("Retry-After")
                last = f"HTTP {status}"
            if attempt + 1 < self._attempts:
                self._sleep(min(LONGEST_PAUSE, _pause(attempt, asked)))
        times = "" if self._attempts == 1 else f" {self._attempts} times"
        raise Away(
            f"{what} did not answer{times} ({last}): send it again later, nothing is counted twice",
            status=status,
            retry_after=_seconds(asked),
        )

    def post(self, path: str, **request: Any) -> dict[str, Any]:
        """What the server says to a POST. Raises SdkError: it refuses, or stays away."""
        return understood(self.posted(path, **request))

    def posted(self, path: str, **request: Any) -> httpx.Response:
        """The answer to a POST, which may be a refusal. Raises SdkError: the server stays away."""
        return self.tried(lambda: self.http.post(path, **request), str(self.http.base_url.join(path)))


def _pause(attempt: int, asked: str | None) -> float:
    """Seconds to wait: what the server asked for, as seconds or a date, else a doubling pause with jitter."""
    seconds = _seconds(asked)
    return float(0.2 * 2**attempt * random.uniform(0.5, 1.5)) if seconds is None else seconds  # noqa: S311 (jitter is no secret)


def _seconds(asked: str | None) -> float | None:
    """A `Retry-After`, in seconds or as a date; None if there is none that can be read."""
    if asked:
        with suppress(ValueError):
            return max(0.0, float(asked))
        with suppress(ValueError, TypeError):
            return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    return None


def understood(response: httpx.Response) -> dict[str, Any]:
    """What an answer says. Raises SdkError: it is a refusal."""
    try:
        said = response.json()
    except ValueError:
        said = None
    if isinstance(said, dict) and (response.is_success or "accepted" in said):
        return said
    problem = said if isinstance(said, dict) else {}
    detail = problem.get("detail") or problem.get("title") or response.text[:200]
    if response.status_code in {413, 422} and "/files" in response.request.url.path:
        raise FileRefused(str(detail))
    raise SdkError(f"{response.request.url} answered {response.status_code}: {detail}", status=response.status_code)
