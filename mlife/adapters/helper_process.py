"""
A process that answers questions one by one, kept between them, and ended when one takes too long.

Messages are those of `images_pillow_worker.py`: length, JSON, bytes.
"""

from __future__ import annotations

import os
import select
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from json import loads
from typing import Any

from mlife.core.errors import Unavailable


class Helper:
    """
    One such process, started when it is first asked. Its callers take turns.

    Args:
        command: what runs it. what: it does, for people: "reads pictures".
        environment: None: that of this process.
    """

    def __init__(self, command: Sequence[str], what: str, environment: Mapping[str, str] | None = None) -> None:
        self._command, self._what, self._environment = list(command), what, environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None: it is not started, or was ended."""
        return self._process.pid if self._process else None

    def ask(self, sent: bytes, seconds: float) -> tuple[dict[str, Any], bytes] | None:
        """
        Send a message and wait for the answer; None: it died over it.

        Raises:
            TimeoutError: it took longer than *seconds*. It is ended.
            Unavailable: it can't be started.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        answers = _Answers(process.stdout.fileno(), time.monotonic() + seconds)
        try:
            process.stdin.write(sent)
            process.stdin.flush()
            found = loads(answers.read(struct.unpack("<I", answers.read(4))[0]))
            body = answers.read(found.pop("body"))
        except (BrokenPipeError, EOFError):
            self.stop()
            return None
        except TimeoutError:
            self.stop()
            raise
        return found, body

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            # A session of its own: Ctrl-C in the terminal is the parent's business, and the pipe ends with the parent.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=self._environment,
            )
        except OSError as e:
            raise Unavailable(
                f"the process that {self._what} can't be started: {e.strerror}", remedy="try again"
            ) from e
        return self._process

    def kill(self) -> None:
        """From any thread: let it die, so that whoever waits for its answer gets none."""
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """End it; the next question starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # what was still to be sent is of no use now
        process.wait()


class _Answers:
    """Reads a pipe up to a moment."""

    def __init__(self, descriptor: int, until: float) -> None:
        self._descriptor = descriptor
        self._until = until

    def read(self, size: int) -> bytes:
        """Exactly *size* bytes. Raises EOFError, TimeoutError."""
        gathered = bytearray()
        while len(gathered) < size:
            left = self._until - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                raise TimeoutError
            piece = os.read(self._descriptor, min(size - len(gathered), 1 << 20))
            if not piece:
                raise EOFError
            gathered += piece
        return bytes(gathered)
