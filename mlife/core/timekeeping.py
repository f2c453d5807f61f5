"""Moments that have come: rows of projections that are due, and what timers do about them."""

from __future__ import annotations

import logging
import time
from typing import Any

from mlife.core.command import Executor
from mlife.core.folding import is_outage
from mlife.core.handler import Do, Ports, Timer, timers

log = logging.getLogger("mlife.timers")

TIMER_SECONDS = 0.5
"""Seconds between looks."""

TIMER_REST = (60.0, 5.0)
"""Seconds until a timer looks at a row again: after success (it should be gone by then), and after a fault."""


class Timekeeper:
    """Asks every timer what is due, and lets it act; only whoever holds the runner lock does."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._rest: dict[tuple[Any, ...], float] = {}
        self.look_at = 0.0
        """On the monotonic clock: not before."""

    def run(self, executor: Executor) -> bool:
        """Act on what is due by the executor's clock. True if anything was."""
        if time.monotonic() < self.look_at:
            return False
        self.look_at = time.monotonic() + TIMER_SECONDS
        resting: dict[tuple[Any, ...], float] = {}
        busy = False
        for t in timers.values():
            try:
                with self._ports.views.read() as read:
                    rows = read.all(t.due(executor.clock.now()).limit(1_000))
            except Exception as e:  # noqa: BLE001 - a timer is anybody's code: it is told, and looked at again
                _tell(e, f"timer {t.name} can't tell what is due")
                continue
            for row in rows:
                occasion = (t.name, *row)
                until = self._rest.get(occasion, 0.0)
                if until <= time.monotonic():
                    until = time.monotonic() + TIMER_REST[0 if self._act(executor, t, row) else 1]
                    busy = True
                resting[occasion] = until
        self._rest = resting
        return busy

    def _act(self, executor: Executor, t: Timer, row: Any) -> bool:
        own = executor.as_(actor=f"timer {t.name}")
        try:
            t.run(row, Do(own, self._ports, ":".join(map(str, (t.name, *row)))))
        except Exception as e:  # noqa: BLE001 - the same
            _tell(e, f"timer {t.name} failed for {tuple(row)}")
            return False
        return True


def _tell(fault: Exception, what: str) -> None:
    """An outage needs no stack; anything else is somebody's mistake."""
    log.log(
        logging.WARNING if is_outage(fault) else logging.ERROR, "%s: %s", what, fault, exc_info=not is_outage(fault)
    )
