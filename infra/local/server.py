"""What all local servers have in common: they start until they are ready, stop, can be killed, and never outlive us."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from mlife.core.errors import MLifeError

LOOPBACK = "127.0.0.1"
PATIENCE = 90.0  # seconds until a server must be ready, or gone; on a busy machine with two cores a JVM needs ten


class Missing(MLifeError):
    """A component that is not on this machine."""


class Broken(MLifeError):
    """A server that does not start, or does not stop."""


class Port:
    """
    A loopback port that no other process of ours takes, from below the range that the kernel gives to clients.

    A server that is away for a while finds its port free again: no connection can have been given it.
    """

    LOWEST, HIGHEST = 20_000, 32_000

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir()) / f"mlife-ports-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        for number in random.sample(range(self.LOWEST, self.HIGHEST), k=1_000):
            self._held = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._held)
                continue
            if not listening(number):
                self.number = number
                return
            os.close(self._held)
        self._held = -1
        raise Broken(f"found no free port from {self.LOWEST} to {self.HIGHEST}", remedy="stop some servers")

    def __del__(self) -> None:
        if self._held >= 0:
            os.close(self._held)


def listening(port: int) -> bool:
    """Whether something accepts connections on the loopback *port*."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((LOOPBACK, port)) == 0


class Server(ABC):
    """
    One real server process.

    Args:
        folder: its data, configuration and log; made if need be. A second object on it goes on with its data.
    """

    name = "server"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it, with its secret, as MLife's settings want it."""

    @property
    def pid(self) -> int | None:
        """Of the running process; None when there is none."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> Self:
        """
        Start it, on the same port and data as before, and wait until it serves.

        Raises:
            Missing: it is not on this machine.
            Broken: it ended, or is not ready in time.
        """
        if self.pid:
            return self
        give_up = time.monotonic() + PATIENCE
        self._process = self._launch()
        while not self._ready():
            if time.monotonic() > give_up:
                self.kill()
                raise self._broken(f"is not ready after {PATIENCE:.0f} s")
            time.sleep(0.02)
            if self._process.poll() is not None:
                if not self._try_again():
                    raise self._broken(f"ended with {self._process.returncode} while it started")
                self._process = self._launch()
        return self

    def stop(self) -> None:
        """Ask it to end, and wait. Nothing happens when it is not running."""
        if not self._process or not self.pid:
            return
        os.kill(self._process.pid, self._polite)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._broken(f"did not stop within {PATIENCE:.0f} s and was killed") from None

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        if self._process and self.pid:
            self._process.kill()
            self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    _polite = signal.SIGTERM

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        """A text, such as a password, that is made once and kept beside the data."""
        file = self.folder / name
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(make())
        return file.read_text()

    @abstractmethod
    def _launch(self) -> subprocess.Popen[bytes]:
        """Start the process."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether the process just launched serves clients."""

    def _try_again(self) -> bool:
        """Whether a process that ended while it started may do better at once."""
        return False

    def _broken(self, what: str) -> Broken:
        tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else "(no log)"
        return Broken(f"{self.name} {what}", remedy=f"its log {self.log} ends so:\n{tail}")

    def _spawn(
        self, command: Sequence[str | Path], user: str | None = None, **environment: str
    ) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return spawned(
                leashed(command, user),
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop it in order
            )


def leashed(command: Sequence[str | Path], user: str | None = None) -> list[str]:
    """
    *command*, to be killed by the kernel when we die (Linux), and run as *user* when we are root and it must not be.

    That user may still enter folders that only root may: a test's temporary folder is such a one.
    """
    words = [str(word) for word in command]
    setpriv = shutil.which("setpriv")
    if not setpriv:
        if user:
            raise Missing("as root, setpriv is needed to run a server as another user", remedy="install util-linux")
        return words
    drop = [f"--reuid={user}", f"--regid={user_group(user)}", "--clear-groups"] if user else []
    keep = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"] if user else []
    return [setpriv, "--pdeathsig", "KILL", *drop, *keep, "--", *words]


def user_group(user: str) -> int:
    """The number of the first group of *user*."""
    import pwd

    return pwd.getpwnam(user).pw_gid


class _Spawner:
    """
    A thread that starts all servers and never ends.

    The kernel kills a leashed child when the *thread* that made it ends; a test's helper thread may be short-lived.
    """

    def __init__(self) -> None:
        self._wanted: SimpleQueue[_Wanted] = SimpleQueue()
        self._lock = threading.Lock()
        self._in = 0  # the process in which the thread runs: a fork has none

    def spawn(self, command: list[str], **options: object) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._in != os.getpid():
                self._wanted, self._in = SimpleQueue(), os.getpid()
                threading.Thread(target=self._serve, args=(self._wanted,), name="spawner", daemon=True).start()
        wanted = _Wanted(command, options)
        self._wanted.put(wanted)
        wanted.done.wait()
        if wanted.failed:
            raise wanted.failed
        assert wanted.process is not None
        return wanted.process

    @staticmethod
    def _serve(wanted: "SimpleQueue[_Wanted]") -> None:
        while True:
            wanted.get().begin()


class _Wanted:
    """A process that somebody wants started."""

    def __init__(self, command: list[str], options: dict[str, object]) -> None:
        self.command, self.options, self.done = command, options, threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.failed: OSError | None = None

    def begin(self) -> None:
        try:
            self.process = subprocess.Popen(self.command, **self.options)  # type: ignore[call-overload]
        except OSError as failed:
            self.failed = failed
        finally:
            self.done.set()


spawned = _Spawner().spawn
"""A process of *command*, made by a thread that outlives the caller; options as of `subprocess.Popen`."""
