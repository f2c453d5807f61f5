"""What a process that goes on by itself tells people while something is away: enough, and not a thousand lines."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Final

TOLD_SECONDS: Final = 60.0
"""How often it says what is still away, or how it goes."""

TOLD_TROUBLES: Final = 5
"""Different troubles that are told at once until things work again; numbers make no difference."""

_NUMBERS = re.compile(r"\d+")


class Trouble:
    """Tells people of what is wrong: at once, then once a minute, and when it is over. And now and then how it goes."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._since: float | None = None
        self._told_at = time.monotonic()
        self._told: set[str] = set()

    def met(self, said: str) -> None:
        """Something is away."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        without_numbers = _NUMBERS.sub("", said)
        if without_numbers not in self._told and len(self._told) < TOLD_TROUBLES:
            self._log.warning("%s", said)
        elif now - self._told_at >= TOLD_SECONDS:
            self._log.warning("still, after %.0f s: %s", now - self._since, said)
        else:
            return
        self._told.add(without_numbers)
        self._told_at = now

    def over(self, how: Callable[[], str]) -> None:
        """It works; *how* says how it goes."""
        now = time.monotonic()
        if self._since is not None:
            self._log.info("goes on after %.0f s: %s", now - self._since, how())
        elif now - self._told_at >= TOLD_SECONDS:
            self._log.info("%s", how())
        else:
            return
        self._since, self._told_at = None, now
        self._told.clear()
