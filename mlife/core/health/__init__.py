"""
Health: what was looked at, how it is, and what to do; and how far behind the log everything is that follows it.

`examine` runs checks beside each other, each with its own patience, so that a part that is away hides no other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlife.core.errors import MLifeError, in_a_line, without_secrets

__all__ = ["Check", "Finding", "State", "examine"]

log = logging.getLogger("mlife.health")
State = Literal["ok", "note", "wrong"]

PATIENCE = 5.0
"""Seconds that a check may take."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    Args:
        what: the part, e.g. `projection badcases`.
        state: `ok`; `note`: works, and you should know; `wrong`: something does not work, or will not for long.
        found: how it is, with the values.
        do: what to do about it; empty if nothing.
    """

    what: str
    state: State
    found: str
    do: str = ""

    @classmethod
    def of(cls, what: str, fault: BaseException) -> Finding:
        """What *fault*, met while looking at *what*, says."""
        if isinstance(fault, MLifeError):
            return cls(what, "wrong", without_secrets(fault.message), without_secrets(fault.remedy))
        said = without_secrets(in_a_line(fault))
        return cls(what, "wrong", f"it could not be looked at ({said})", "this is a fault of MLife: tell its makers")


@dataclass(frozen=True)
class Check:
    """
    Something to look at.

    Args:
        what: the part; a fault or a silence is told under this name.
        look: gives the findings; it may raise, and it may never end.
        seconds: until it is no longer waited for.
    """

    what: str
    look: Callable[[], Iterable[Finding]]
    seconds: float = PATIENCE


@dataclass
class _Running:
    """A check in its thread, and what it has said so far."""

    check: Check
    until: float
    said: list[Finding] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            for finding in self.check.look():
                self.said.append(finding)
        except Exception as fault:
            if not isinstance(fault, MLifeError):
                log.debug("%s could not be looked at", self.check.what, exc_info=True)
            self.said.append(Finding.of(self.check.what, fault))
        finally:
            self.ended.set()

    def findings(self) -> list[Finding]:
        """What it says, at the latest when its time is over."""
        if self.ended.wait(max(0.0, self.until - time.monotonic())):
            return self.said
        silent = f"no answer within {self.check.seconds:g} s"
        return [
            *self.said,
            Finding(self.check.what, "wrong", silent, "see that it runs and that nothing is in between"),
        ]


def examine(checks: Sequence[Check]) -> Iterator[Finding]:
    """What all of *checks* find, in their order. They run at once; one that never ends is left behind."""
    running = [_Running(check, time.monotonic() + check.seconds) for check in checks]
    for one in running:
        threading.Thread(target=one.run, name=f"mlife-check-{one.check.what}", daemon=True).start()
    for one in running:
        yield from one.findings()
