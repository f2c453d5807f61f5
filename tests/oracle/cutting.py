"""
A database connection that breaks at the n-th step of its conversation with the server: before it, in the middle of it,
or after it was done but before the answer was heard. Everything that psycopg sends and hears goes through `wait`, so
nothing escapes.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import Any
from weakref import WeakSet

import psycopg


class Scissors:
    """When the next cut comes, and which connections there are."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.where = 0
        self.cuts = 0
        self.steps = 0
        self.connections: WeakSet[Cuttable] = WeakSet()
        self.owner = ""

    @contextmanager
    def cutting(self, cut: "Cut") -> Iterator[None]:
        """Inside, the connection breaks that takes the n-th step; once."""
        self.left, self.where = cut or (None, 0)
        try:
            yield
        finally:
            self.left = None

    def is_next(self) -> bool:
        """Whether this step is the one. The thread that listens for news is not counted: when it speaks is chance."""
        if threading.current_thread().name == "mlife-log-listener":
            return False
        self.steps += 1
        if self.left is None:
            return False
        self.left -= 1
        if self.left > 0:
            return False
        self.left = None
        self.cuts += 1
        return True

    def kill(self, owner: str) -> None:
        """End every connection of *owner* without a word, as the death of its process does."""
        for connection in list(self.connections):
            if connection.owner == owner:
                connection.cut()


Cut = tuple[int, int] | None
"""At which step, and where in it: 0 before, 1 after, else while it waits for the wire this many times less one."""

scissors = Scissors()


class Cuttable(psycopg.Connection[Any]):
    """A connection that `scissors` may cut."""

    owner = ""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.owner = scissors.owner
        scissors.connections.add(self)

    def wait(self, gen: Any, *args: Any, **named: Any) -> Any:
        """See psycopg; one step of the conversation."""
        if not scissors.is_next():
            return super().wait(gen, *args, **named)
        if scissors.where == 0:
            self.cut()
        super().wait(self._cut_in(gen, scissors.where - 1) if scissors.where > 1 else gen, *args, **named)
        self.cut()
        with suppress(psycopg.OperationalError):
            self.pgconn.consume_input()  # libpq notices
        raise psycopg.OperationalError("the connection was cut")

    def _cut_in(self, gen: Any, waits: int) -> Any:
        """*gen*, whose wire is cut when it waits for it so many times."""
        try:
            asked = next(gen)
            while True:
                waits -= 1
                if waits == 0:
                    self.cut()
                asked = gen.send((yield asked))
        except StopIteration as end:
            return end.value

    def cut(self) -> None:
        """The wire is cut; both ends notice when they use it, and the server undoes what was not committed."""
        with suppress(psycopg.OperationalError), socket(fileno=os.dup(self.pgconn.socket)) as wire, suppress(OSError):
            wire.shutdown(SHUT_RDWR)
