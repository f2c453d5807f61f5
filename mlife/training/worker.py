"""
The worker: finds queued tasks, leases them, runs the user's code, and records what it left.

The lease is two things: a named lock, which the worker's death releases at once, and a `TaskStarted` event, whose
attempt fences off whoever held it before. Whatever is killed, and when: the next worker finds the task `running` with
its lock free, and either records what the code left (it had come to its end) or begins the next attempt.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from mlife.core.command import Executor
from mlife.core.errors import Conflict, HomeUnusable, MLifeError, Refused, Unavailable
from mlife.core.handler import Ports
from mlife.training import process
from mlife.training.attempt import Attempt, counted, key_of, last_lines, sentence_of, writing
from mlife.training.commands import TRIES, fail_task, finish_task, lease_task, release_task
from mlife.training.entry_point import read_entry_point
from mlife.training.events import TaskCancelled, TaskStarted
from mlife.training.live import LOG, LOG_LIMIT, LiveLog, run_folder
from mlife.training.manifest import MANIFEST, Prepared, prepare
from mlife.training.outputs import check, keep
from mlife.training.states import TaskState
from mlife.training.views import waiting_tasks

log = logging.getLogger("mlife.tasks")

POLL = 1.0
"""Seconds between looks for tasks when the log stands still: a worker of another machine may have died."""

TIME_LIMIT = 24 * 3600.0
"""Seconds that a task may take when it names no limit."""

PAUSE = 2.0
"""Seconds before a task is tried again that could not be worked on for want of disk or database."""

FINAL = {"done", "failed", "cancelled"}

KILLED = {None, 137}
"""Exit codes of code that was killed; it is begun again."""


class TaskWorker:
    """
    Runs tasks of one home.

    Args:
        folder: where attempts are run; `<home>/runs`.
        parallel: tasks at the same time.
        see: makes the log up to a position visible to reads, where no runner does it (a command line).
        tries: how often a task is begun before the kills count as its own fault.
        log_limit: bytes of a log that are kept.
    """

    def __init__(
        self,
        ports: Ports,
        executor: Executor,
        folder: Path,
        *,
        parallel: int = 1,
        see: Callable[[int], None] | None = None,
        time_limit: float = TIME_LIMIT,
        tries: int = TRIES,
        log_limit: int = LOG_LIMIT,
    ) -> None:
        self._ports = ports
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._executor = executor.as_(actor=f"worker {self.name}")
        self._runs = folder
        self._parallel = max(1, parallel)
        self._see = see
        self._time_limit = time_limit
        self._tries = tries
        self._log_limit = log_limit
        self._busy: dict[str, threading.Thread] = {}
        self._not_before: dict[str, float] = {}
        self._seen = -1

    # ── finding ──────────────────────────────────────────────────────────────────────────────────

    def run(self, stop: threading.Event) -> None:
        """Work until *stop* is set; then running code is ended and its task goes back into the queue."""
        seen = -1
        self._sweep()
        while not stop.is_set():
            try:
                self._start_some(stop)
                head = self._ports.store.wait(seen, 0.1 if self._busy else POLL)
            except MLifeError as e:
                log.warning("the task worker waits: %s", e)
                stop.wait(POLL)
                continue
            if head != seen:
                stop.wait(0.05)  # events come in bursts
            seen = head
        for thread in list(self._busy.values()):
            thread.join()

    def once(self, stop: threading.Event | None = None) -> int:
        """Run every task that waits, and those that come meanwhile, until none does or *stop* is set; how many."""
        stop = stop or threading.Event()
        ran: set[str] = set()
        self._sweep()
        try:
            while not stop.is_set():
                ran.update(self._start_some(stop))
                if not self._busy:
                    break
                next(iter(self._busy.values())).join(0.05)
        finally:
            stop.set()
            for thread in list(self._busy.values()):
                thread.join()
        return len(ran)

    def _start_some(self, stop: threading.Event) -> list[str]:
        self._tidy()
        free = self._parallel - len(self._busy)
        if free <= 0:
            return []
        now = time.monotonic()
        started = []
        for task_id in self._waiting():
            if task_id in self._busy or self._not_before.get(task_id, 0.0) > now:
                continue
            if self._ports.locks.is_held(_lock(task_id)):
                continue
            thread = threading.Thread(target=self._work, args=(task_id, stop), name=f"mlife-{task_id}", daemon=True)
            self._busy[task_id] = thread
            thread.start()
            started.append(task_id)
            if len(started) == free:
                break
        return started

    def _tidy(self) -> None:
        for task_id, thread in list(self._busy.items()):
            if not thread.is_alive():
                thread.join()
                del self._busy[task_id]

    def _waiting(self) -> list[str]:
        """Queued tasks, and running ones whose worker may be dead, the oldest first."""
        head = self._ports.store.head()
        if self._see is not None and head != self._seen:
            self._see(head)
            self._seen = head
        try:
            with self._ports.views.read(min_position=head, timeout=POLL) as read:
                return waiting_tasks(read)
        except Unavailable:  # the tables lag behind a flood of events: what they know already will do
            with self._ports.views.read() as read:
                return waiting_tasks(read)

    def _sweep(self) -> None:
        """Remove run folders of tasks that ended while their worker died."""
        for folder in sorted(self._runs.glob("tsk-*")):
            if self._state(folder.name).state in FINAL:
                with self._ports.locks.hold(_lock(folder.name)) as held:
                    if held:
                        shutil.rmtree(folder, ignore_errors=True)

    def _state(self, task_id: str) -> TaskState:
        state = TaskState(task_id)
        for recorded in self._ports.store.read_stream(f"task/{task_id}"):
            state.apply(recorded.event)
            state.version = recorded.version
        return state

    # ── working ──────────────────────────────────────────────────────────────────────────────────

    def _work(self, task_id: str, stop: threading.Event) -> None:
        """Bring one task to its end, if its lock can be had."""
        try:
            with self._ports.locks.hold(_lock(task_id)) as held:
                if held:
                    self._to_its_end(task_id, stop)
        except MLifeError as e:
            log.warning("task %s has to wait: %s", task_id, e)
            self._not_before[task_id] = time.monotonic() + PAUSE
        except Exception:
            log.exception("task %s has to wait: MLife itself failed", task_id)
            self._not_before[task_id] = time.monotonic() + 10 * PAUSE

    def _to_its_end(self, task_id: str, stop: threading.Event) -> None:
        try:
            while self._attempt(task_id, stop):
                pass
        except (Refused, Conflict) as e:
            log.info("task %s: %s", task_id, e)  # somebody gave it up meanwhile
            if self._state(task_id).state in FINAL:
                self._remove(task_id)

    def _attempt(self, task_id: str, stop: threading.Event) -> bool:
        """One attempt, or the end of one that was interrupted. True if the code was killed and may be begun again."""
        task = self._state(task_id)
        if task.state == "running":
            last = Attempt(task, task.attempt, run_folder(self._runs, task_id, task.attempt))
            process.wait_for_death(last.folder)
            code, seconds = process.exit_of(last.folder)
            if code not in KILLED:
                log.info("task %s: attempt %d had come to its end", task_id, last.number)
                return self._record(last, process.Ended("ended", code, seconds), [])
        leased = self._lease(task)
        if leased is None:
            self._remove(task_id)
            return False
        return self._run(leased, stop)

    def _lease(self, task: TaskState) -> Attempt | None:
        """The next attempt; None if the task failed because there were too many."""
        before = run_folder(self._runs, task.id, task.attempt)
        files = self._kept(before) if task.state == "running" else {}
        done = self._as(task)(lease_task, task_id=task.id, worker=self.name, files=files, tries=self._tries)
        state = self._state(task.id)
        if not isinstance(done.events[0], TaskStarted):
            return None
        number = done.first(TaskStarted).attempt
        return Attempt(state, number, run_folder(self._runs, task.id, number))

    def _run(self, attempt: Attempt, stop: threading.Event) -> bool:
        queued = attempt.queued
        with writing(self._runs):
            shutil.rmtree(self._runs / attempt.task.id, ignore_errors=True)
            attempt.output.mkdir(parents=True)
            live = LiveLog(attempt.folder, attempt.number, limit=self._log_limit)
        try:
            prepare(self._ports, attempt.task.kind, queued, attempt.folder, verify=True)
            ended = process.run(
                read_entry_point(queued.entry_point),
                attempt.folder,
                workdir=Path(queued.workdir) if queued.workdir else Path.cwd(),
                environment=process.environment_for(
                    attempt.task.id, attempt.folder / MANIFEST, attempt.output, queued.seed
                ),
                log=live,
                limit=queued.time_limit or self._time_limit,
                interrupted=lambda: "stopped" if stop.is_set() else self._cancelled(attempt),
            )
        except (HomeUnusable, Unavailable):
            self._as(attempt.task)(release_task, task_id=attempt.task.id, attempt=attempt.number)
            raise
        except MLifeError as e:
            live.say(str(e))
            live.end()
            self._fail(attempt, str(e), 0.0)
            return False
        live.end()
        return self._record(attempt, ended, list(live.tail))

    def _cancelled(self, attempt: Attempt) -> process.Why | None:
        news = self._ports.store.read_stream(f"task/{attempt.task.id}", attempt.task.version)
        return "cancelled" if any(isinstance(r.event, TaskCancelled) for r in news) else None

    # ── recording ────────────────────────────────────────────────────────────────────────────────

    def _record(self, attempt: Attempt, ended: process.Ended, tail: list[str]) -> bool:
        """Write down how an attempt ended. True if its code was killed."""
        task_id = attempt.task.id
        match ended.why:
            case "cancelled":
                self._remove(task_id)
            case "stopped":
                self._as(attempt.task)(release_task, task_id=task_id, attempt=attempt.number)
            case "too long":
                limit = attempt.queued.time_limit or self._time_limit
                self._fail(attempt, f"it took longer than its limit of {limit:g} seconds", ended.seconds)
            case _ if ended.code in KILLED:
                log.warning("task %s: the code of attempt %d was killed", task_id, attempt.number)
                return True
            case _ if ended.code:
                self._fail(attempt, sentence_of(ended.code, tail or last_lines(attempt.folder)), ended.seconds)
            case _:
                self._finish(attempt, ended.seconds)
        return False

    def _finish(self, attempt: Attempt, seconds: float) -> None:
        """Judge what was left, and record it in one append; the key makes a second try harmless."""
        try:
            prepared = prepare(self._ports, attempt.task.kind, attempt.queued, attempt.folder)
            left = check(self._ports, attempt.output, prepared)
        except (HomeUnusable, Unavailable):
            raise
        except MLifeError as e:
            self._fail(attempt, str(e), seconds)
            return
        except Exception as e:
            log.exception("task %s left what MLife can't judge", attempt.task.id)
            self._fail(attempt, f"what it left can't be judged: {type(e).__name__}: {e}", seconds)
            return
        self._add_config(attempt)
        self._as(attempt.task).under(
            key_of(attempt, "finish"),
            finish_task,
            task_id=attempt.task.id,
            attempt=attempt.number,
            seconds=seconds,
            metrics=left.metrics,
            files=self._kept(attempt.folder),
            digests=self._digests(attempt, prepared),
            model=left.model,
            results=left.results,
        )
        self._remove(attempt.task.id)
        log.info("task %s is done after %.1f s%s", attempt.task.id, seconds, counted(left))

    def _fail(self, attempt: Attempt, error: str, seconds: float) -> None:
        self._as(attempt.task).under(
            key_of(attempt, "fail"),
            fail_task,
            task_id=attempt.task.id,
            attempt=attempt.number,
            error=error[:8_000],
            files=self._kept(attempt.folder),
            seconds=seconds,
        )
        log.warning("task %s failed: %s", attempt.task.id, error)
        self._remove(attempt.task.id)

    def _kept(self, folder: Path) -> dict[str, str]:
        extra = {LOG: folder / LOG}
        source = process.code_of(folder).get("file")
        if source:
            extra[f"code/{Path(source).name}"] = Path(source)
        return keep(self._ports, folder / "output", extra)

    def _digests(self, attempt: Attempt, prepared: Prepared) -> dict[str, str]:
        code = process.code_of(attempt.folder).get("sha256")
        return prepared.digests | ({"code": code} if code else {})

    def _add_config(self, attempt: Attempt) -> None:
        """The configuration, where the code left none."""
        if any(attempt.output.glob("config.*")):
            return
        queued = attempt.queued
        said: dict[str, Any] = {
            "entry_point": queued.entry_point,
            "parameters": queued.parameters,
            "seed": queued.seed,
            "groups": list(queued.group_ids),
            "models": list(queued.model_ids),
            "python": sys.version.split()[0],
        }
        with writing(attempt.output):
            (attempt.output / "config.json").write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2))

    def _as(self, task: TaskState) -> Executor:
        return self._executor.as_(correlation_id=task.iteration_id) if task.iteration_id else self._executor

    def _remove(self, task_id: str) -> None:
        shutil.rmtree(self._runs / task_id, ignore_errors=True)


def _lock(task_id: str) -> str:
    return f"tasks/{task_id}"
