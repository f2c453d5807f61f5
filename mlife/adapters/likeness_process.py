"""Embedders in a process of their own: bounded in memory and time, so that one that hangs costs its item alone."""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Sequence
from typing import Any

from mlife.adapters.helper_process import Helper
from mlife.adapters.images_pillow_worker import message
from mlife.core.errors import Misconfigured, Unavailable
from mlife.core.media.embedding import Near, Unembedded

COMPARING_SECONDS = 600.0


class ProcessLikeness:
    """
    `Likeness`; may be used from many threads, which take turns.

    Args:
        memory: bytes of address space that it may use beyond what it starts with.
        seconds: for a batch. starting: to open an embedder.
    """

    def __init__(self, *, memory: int = 4 << 30, seconds: float = 10.0, starting: float = 60.0) -> None:
        self._seconds, self._starting = seconds, starting
        self._lock = threading.Lock()
        # no secrets of ours, and one core of the machine
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MLIFE_")}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [sys.executable, "-P", "-m", "mlife.adapters.likeness_worker", str(memory)]
        self._helper = Helper(command, "compares pictures and texts", {**kept, **threads})
        self._opened: set[str] = set()
        self._interrupted = False

    def embed(self, name: str, items: Sequence[bytes]) -> list[bytes | Unembedded]:
        """See `Likeness`. Where a whole batch fails, each is tried by itself, to find the one at fault."""
        if not items:
            return []
        with self._lock:
            found = self._batch(name, items)
            if isinstance(found, list):
                return found
            if len(items) == 1:
                return [Unembedded(found)]
            alone: list[bytes | Unembedded] = []
            for item in items:
                told = self._batch(name, [item])
                alone += [Unembedded(told)] if isinstance(told, str) else told
                if _last_fail(alone, GIVE_UP):
                    break  # it is not the items
            return alone

    def _batch(self, name: str, items: Sequence[bytes]) -> list[bytes | Unembedded] | str:
        """One of each, or the reason why the batch failed."""
        self._open(name)
        sent = message({"ask": "embed", "name": name, "sizes": [len(i) for i in items]}, b"".join(items))
        try:
            answered = self._ask(sent, self._seconds)
        except TimeoutError:
            return f"takes longer than {self._seconds:g} s"
        if answered is None:
            return "makes its process crash"
        told, body = answered
        if "problem" in told:
            return str(told["problem"])
        size = 4 * told["dimension"]
        rows: list[bytes | Unembedded] = [body[n * size : (n + 1) * size] for n in range(len(items))]
        blank = bytes(size)
        rows = [b"" if row == blank else row for row in rows]
        for place, reason in told["problems"].items():
            rows[int(place)] = Unembedded(reason)
        return rows

    def _ask(self, sent: bytes, seconds: float) -> tuple[dict[str, Any], bytes] | None:
        """Raises Unavailable: it was interrupted, and nobody is at fault."""
        answered = None if self._interrupted else self._helper.ask(sent, seconds)
        if self._interrupted:
            raise Unavailable("comparing was interrupted", remedy="it goes on with the next look")
        return answered

    def _open(self, name: str) -> None:
        """Raises Misconfigured: it can't be."""
        if self._helper.pid is None:
            self._opened = set()
        if name in self._opened:
            return
        try:
            told, _ = self._ask(message({"ask": "open", "name": name}), self._starting) or (
                {"fault": CRASH},
                b"",
            )
        except TimeoutError:
            told = {"fault": f"takes longer than {self._starting:g} s to open"}
        if fault := told.get("fault", told.get("problem")):
            raise Misconfigured(f"the embedder {name} {fault}", remedy=REMEDY)
        self._opened.add(name)

    def nearest(self, vectors: bytes, dimension: int, owners: Sequence[int], *, near: float, most: int) -> list[Near]:
        """See `Likeness`."""
        asked: dict[str, Any] = {"ask": "nearest", "n": len(owners), "dimension": dimension, "near": near, "most": most}
        sent = message(asked, vectors + struct.pack(f"<{len(owners)}i", *owners))
        with self._lock:
            try:
                answered = self._ask(sent, COMPARING_SECONDS)
            except TimeoutError:
                raise self._too_many(len(owners), f"it takes longer than {COMPARING_SECONDS:g} s") from None
        told, body = answered or ({"problem": "its process crashed"}, b"")
        if "fault" in told:
            raise Misconfigured(f"comparing {told['fault']}", remedy=REMEDY)
        if "problem" in told:
            raise self._too_many(len(owners), told["problem"])
        n = told["pairs"]
        one, other = struct.unpack_from(f"<{n}i", body), struct.unpack_from(f"<{n}i", body, 4 * n)
        return list(zip(one, other, struct.unpack_from(f"<{n}f", body, 8 * n), strict=True))

    @staticmethod
    def _too_many(n: int, why: str) -> Unavailable:
        return Unavailable(f"{n:,} vectors can't be compared: {why}", remedy="use one of fewer dimensions")

    def rest(self) -> None:
        """See `Likeness`."""
        with self._lock:
            self._helper.stop()
            self._interrupted = False

    def interrupt(self) -> None:
        """See `Likeness`."""
        self._interrupted = True
        self._helper.kill()

    def close(self) -> None:
        """End it, whatever it does."""
        self.interrupt()
        self.rest()


CRASH = "makes its process crash when it is opened"
GIVE_UP = 3
"""Items in a row that fail by themselves, until the rest of their batch is left for another time."""
REMEDY = "pip install 'mlife[likeness]', or install what it needs, or switch it off"


def _last_fail(found: Sequence[bytes | Unembedded], many: int) -> bool:
    return len(found) >= many and all(isinstance(f, Unembedded) for f in found[-many:])
