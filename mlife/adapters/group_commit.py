"""Group commit: what callers of one process want written is gathered, and each is answered after one commit for all."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from mlife.core.errors import Conflict, HomeUnusable, Invalid, Misconfigured, Unavailable
from mlife.core.ports import Append, Appended

Outcome: TypeAlias = Appended | Conflict

LONGEST_BATCH: Final = 20_000
"""Drafts in one commit; a longer queue is taken in several."""

GATHER: Final = 0.001
"""Seconds that the writer waits for as many callers as last time: together they pay for one flush to the disk."""

OUTAGES: Final = (HomeUnusable, Unavailable, Misconfigured)
"""Faults that are no caller's: everyone in the batch is told."""


class Call:
    """
    A caller at the writer's door, and its answer.

    A bare lock and not a `Future`: with 32 callers that wait for one commit, that is a fifth of their time.
    """

    __slots__ = ("_answered", "_outcome", "_patience", "append")

    def __init__(self, append: Append, patience: float) -> None:
        self.append = append
        self._patience = patience
        self._outcome: Appended | Exception | None = None
        self._answered = threading.Lock()
        self._answered.acquire()

    def answer(self, outcome: Appended | Exception) -> None:
        """Let the caller go on."""
        self._outcome = outcome
        self._answered.release()

    def result(self) -> Appended:
        """See `Pending.result`."""
        if not self._answered.acquire(timeout=self._patience):
            raise Unavailable(
                f"the log has not answered for {self._patience:g} s; this may have been written",
                remedy="send it again: what was written is known",
            )
        self._answered.release()
        if isinstance(self._outcome, Appended):
            return self._outcome
        assert self._outcome is not None
        raise self._outcome


class GroupCommit:
    """
    The one writer of a process, in a thread of its own.

    Args:
        commit: writes what several callers want in one transaction, and says what each of them gets. One of `OUTAGES`
            is everybody's; any other fault is somebody's drafts, which it must not have left half-written.
        after: called after the answers to a batch.
        patience: seconds that a caller waits for its answer; -1: for ever.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Append]], Sequence[Outcome]],
        after: Callable[[], None],
        *,
        patience: float = -1,
    ) -> None:
        self._commit = commit
        self._after = after
        self._patience = patience
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._write_forever, name="mlife-log-writer", daemon=True)
        self._thread.start()

    def submit(self, append: Append) -> Call:
        """
        Queue *append*; see `EventStore.submit`.

        Raises:
            Unavailable: the log is closed, or was opened in another process.
        """
        call = Call(append, self._patience)
        if not append.drafts:
            call.answer(Appended((), ()))
            return call
        if os.getpid() != self._pid:
            raise Unavailable("the log was opened before this process was forked", remedy="open the home in the child")
        with self._door:  # nobody may queue behind the writer's last word
            if self._closed.is_set():
                raise Unavailable("the log is closed", remedy="open the home again")
            self._queue.put(call)
        return call

    def close(self) -> bool:
        """Write what is queued, then end; False if that has been done before."""
        with self._door:
            if self._closed.is_set():
                return False
            self._closed.set()
            self._queue.put(None)
        self._thread.join()
        return True

    def is_closed(self) -> bool:
        """Is nothing taken any more?"""
        return self._closed.is_set()

    def _write_forever(self) -> None:
        batch: list[Call] = []
        while (first := self._queue.get()) is not None:
            expected = len(batch)
            batch = [first]
            goes_on = self._gather(batch, expected)
            self._write(batch)
            if not goes_on:
                return

    def _gather(self, batch: list[Call], expected: int) -> bool:
        """Add to *batch* what is queued, and wait shortly for *expected* callers; False when the log is closed."""
        size = len(batch[0].append.drafts)
        deadline = time.monotonic() + GATHER
        while size < LONGEST_BATCH:
            left = deadline - time.monotonic() if len(batch) < expected else 0.0
            try:
                following = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                return True
            if following is None:
                return False
            batch.append(following)
            size += len(following.append.drafts)
        return True

    def _write(self, batch: list[Call]) -> None:
        """One commit for *batch*; every caller gets its own answer, after it."""
        try:
            outcomes = self._commit([call.append for call in batch])
        except OUTAGES as fault:
            for call in batch:
                call.answer(type(fault)(fault.message, remedy=fault.remedy))
            return
        except BaseException as fault:  # noqa: BLE001 - one caller's drafts can't be stored: find out whose, and live on
            if len(batch) > 1:
                for alone in batch:
                    self._write([alone])
                return
            refused = Invalid(f"the log can't store this: {type(fault).__name__}: {fault}")
            refused.__cause__ = fault
            batch[0].answer(refused)
            return
        for call, outcome in zip(batch, outcomes, strict=True):
            call.answer(outcome)
        self._after()
