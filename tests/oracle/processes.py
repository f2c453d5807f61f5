"""
Everything that runs: servers, MLife's own processes, the parts that write, follow and read.

A *slot* (`writer-1`) is what there must always be one of; the processes that fill it one after the other are called
`writer-1.1`, `writer-1.2`, …: each has a journal and a log of its own.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from infra.local.server import leashed
from tests.oracle.journal import Journal

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds for a process that was asked to end."""
PLUGIN = """\
[mlife.features]
oracle = tests.oracle.feature
oracle_projections = tests.oracle.feature.projections
oracle_handlers = tests.oracle.feature.handlers
"""

PARTS = {"writer": 3, "follower": 1, "reader": 1}
"""What journals, in every size, and how many of each."""
SLOTS = {
    "embedded": {**PARTS, "runner": 2},
    "postgres": {**PARTS, "runner": 2},
    "cluster": {**PARTS, "producer": 1, "relay": 2, "projections": 2, "handlers": 2, "intake": 1},
    "tailed": {"writer": 4, "follower": 1},
    "library": {"writer": 4, "follower": 1},
}
"""The last two: one writer and one follower over our log, and over the `eventsourcing` library's (`tailing`)."""
PROGRAMS = {
    "relay": ["relay"],
    "projections": ["worker", "projections"],
    "handlers": ["worker", "handlers"],
    "intake": ["worker", "intake"],
}
"""Slots that are filled by `mlife …`; the others by `tests.oracle.parts`."""


@dataclass
class Slot:
    """One place to be filled, and who fills it now."""

    kind: str
    number: int
    turn: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    is_paused: bool = False
    begun: float = 0.0
    journal: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}.{self.turn}"

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.poll() is None


class World:
    """
    A run: its folder, its servers and its processes.

    Args:
        folder: journals, logs, the home, the plug-in; kept after a failure.
        size: `embedded`, `postgres` (one runner, no bus) or `cluster`.
        s3: which server keeps the files of a cluster: `versitygw` or `minio`.
    """

    def __init__(self, folder: Path, size: str, seed: str, *, pace: float = 0.1, s3: str = "versitygw") -> None:
        self.folder, self.size, self.seed = folder, size, seed
        self.happened = Journal(folder / "happened.jsonl")
        self.postgres: Any = None
        self.kafka: Any = None
        self.s3: Any = None
        self._s3 = s3
        self.kills = self.newcomers = 0
        self.is_ending = False
        self.slots = [Slot(kind, n) for kind, many in SLOTS[size].items() for n in range(many)]
        self.errands: list[subprocess.Popen[bytes]] = []
        self._began = time.monotonic()
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        (folder / "pace").write_text(str(pace))
        (folder / "size").write_text(size)
        (folder / "mlife.toml").touch()  # nothing but the environment decides
        plugin = folder / "site" / "oracle-1.0.dist-info"
        plugin.mkdir(parents=True, exist_ok=True)
        (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: oracle\nVersion: 1.0\n")
        (plugin / "entry_points.txt").write_text(PLUGIN)
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "MLIFE_HOME": str(folder / "home"),
            "MLIFE_CONFIG": str(folder / "mlife.toml"),
        }

    @contextmanager
    def servers(self) -> Iterator[None]:
        """PostgreSQL, Kafka and S3 of this run's own, as the size wants them; `fsync` is on."""
        with ExitStack() as stack:
            if self.size != "embedded":
                from infra.local import Postgres

                self.postgres = stack.enter_context(Postgres(self.folder / "postgres"))
                self.environment["MLIFE_STORE"] = self.postgres.url
            if self.size == "cluster":
                from infra.local import Kafka, Minio, VersityGateway

                self.kafka = stack.enter_context(Kafka(self.folder / "kafka"))
                self.environment["MLIFE_BUS"] = self.kafka.url
                kind = Minio if self._s3 == "minio" else VersityGateway
                self.s3 = stack.enter_context(kind(self.folder / "s3"))
                _make_bucket(self.s3.url)
                self.environment["MLIFE_FILES"] = self.s3.url
            yield

    # --- processes ---

    def tend(self) -> None:
        """Fill every slot whose process has ended, as a supervisor does; one that ended by itself is written down."""
        for slot in self.slots:
            if slot.lives or time.monotonic() < slot.begun + 0.5:
                continue
            if slot.process is not None and slot.process.returncode != -signal.SIGKILL:
                self.tell("ended by itself", who=slot.name, code=slot.process.returncode)
            self.start(slot)

    def start(self, slot: Slot) -> None:
        """A new process for *slot*."""
        before = slot.name if slot.turn else ""
        slot.turn, slot.is_paused, slot.begun = slot.turn + 1, False, time.monotonic()
        if slot.kind in PROGRAMS:
            words = ["mlife", *PROGRAMS[slot.kind]]
        else:
            kind = f"tailed-{slot.kind}" if self.size in {"tailed", "library"} else slot.kind
            words = ["tests.oracle.parts", kind, str(self.folder), slot.name, self.seed, before]
        slot.process = self.spawn(slot.name, words)

    def spawn(self, name: str, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        """`python -m *words*` in a session of its own, its output in `logs/NAME.log`; it never outlives us."""
        with (self.folder / "logs" / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                leashed([sys.executable, "-X", "faulthandler", "-m", *words]),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def errand(self, name: str, words: Sequence[str]) -> "subprocess.Popen[bytes]":
        """A process that ends by itself, and is not started again."""
        self.errands.append(self.spawn(name, words))
        return self.errands[-1]

    def living(self, *kinds: str) -> list[Slot]:
        """Slots (of these kinds) with a process that runs and is not paused."""
        return [s for s in self.slots if s.lives and not s.is_paused and (not kinds or s.kind in kinds)]

    def kill(self, slot: Slot) -> None:
        """`kill -9`."""
        assert slot.process is not None
        slot.process.kill()
        slot.process.wait()
        slot.begun = 0.0
        self.count_kill(slot.name)

    def count_kill(self, who: str) -> None:
        """Write down that *who* was killed."""
        self.kills += 1
        self.tell("killed", who=who)

    def pause(self, slot: Slot) -> None:
        """SIGSTOP: for everybody else it is as good as dead, but it does not know."""
        assert slot.process is not None
        slot.process.send_signal(signal.SIGSTOP)
        slot.is_paused = True
        self.tell("paused", who=slot.name)

    def resume(self, slot: Slot) -> None:
        """SIGCONT, if it was not killed meanwhile."""
        if slot.lives and slot.is_paused:
            assert slot.process is not None
            slot.process.send_signal(signal.SIGCONT)
            self.tell("resumed", who=slot.name)
        slot.is_paused = False

    def tell(self, what: str, **said: Any) -> None:
        """Write down what happened to the world."""
        self.happened.note(what, second=round(time.monotonic() - self._began, 2), wall=time.time(), **said)

    # --- the end ---

    def retire(self, *kinds: str) -> None:
        """Ask those to finish, and fill their slots no more."""
        leaving = [s for s in self.slots if s.kind in kinds]
        self.slots = [s for s in self.slots if s.kind not in kinds]
        for slot in leaving:
            self.resume(slot)
            if slot.lives and slot.process:
                slot.process.send_signal(signal.SIGTERM)
        for slot in leaving:
            if slot.process:
                self._wait(slot.process, slot.name)

    def _wait(self, process: "subprocess.Popen[bytes]", name: str) -> None:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.tell("did not end when asked to", who=name)
            process.kill()
            process.wait()

    def close(self) -> None:
        """End every process of ours, whatever state the run is in."""
        for process in [*(s.process for s in self.slots if s.process), *self.errands]:
            if process.poll() is None:
                process.kill()
                process.wait()


def _make_bucket(url: str) -> None:
    from minio import Minio

    told = urlsplit(url)
    client = Minio(
        f"{told.hostname}:{told.port}",
        access_key=told.username,
        secret_key=unquote(told.password or ""),
        secure=False,
    )
    if not client.bucket_exists(told.path.strip("/")):
        client.make_bucket(told.path.strip("/"))
