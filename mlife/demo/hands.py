"""
The hands of the demo's team: each method is one command of the product, under a key of its own.

A key makes a command happen once: when the demo was killed and is started again, it does everything again from the
beginning, and what was done before answers with what it did.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mlife.badcases.intake.taking import Answer, Intake
from mlife.core.command import Decision, Done, Executor
from mlife.core.errors import Refused, Unavailable
from mlife.core.events import Event, derived_id
from mlife.data.commands import request_collection
from mlife.data.events import CollectionRequested, DocumentGrouped
from mlife.data.intake import DataIntake, Selection
from mlife.demo.digits import Rows
from mlife.demo.field import FUNCTION, SYSTEM, Answered
from mlife.demo.weeks import SOURCE, Calendar
from mlife.runtime import Home
from mlife.serving.answering import asked_for
from mlife.serving.commands import create_deployment, roll_back
from mlife.serving.events import DeploymentCreated
from mlife.serving.views import deployment, model, verdict
from mlife.training.commands import draft_task, start_task
from mlife.training.events import TaskDrafted
from mlife.training.views import task as task_view

E = TypeVar("E", bound=Event)
PATIENCE = 120.0
"""Seconds that a handler or a task may take before the demo gives up."""


class Hands:
    """
    What the team can do on one home, for one function of one system.

    Args:
        seed: part of every key and of every training.
        name: of the folder in which the demo prepares what it imports.
        training, testing: the user's own code, as entry points.
    """

    def __init__(
        self, home: Home, seed: int, calendar: Calendar, *, name: str, system: str = SYSTEM, function: str = FUNCTION,
        training: str = "mlife.demo.train_digits:main", testing: str = "mlife.demo.test_digits:main",
    ) -> None:  # fmt: skip
        self.home = home
        self.seed = seed
        self.calendar = calendar
        self.system, self.function = system, function
        self.training, self.testing = training, testing
        self.workshop = home.settings.home / "demo" / name
        self.documents: dict[str, str] = {}
        self._answered: dict[tuple[str, str], Answered] = {}
        home.do = home.runner.executor = replace(home.do.as_(source=SOURCE), clock=calendar)

    # --- anything ---

    def as_(self, who: str) -> Executor:
        """Commands in the name of a person."""
        return self.home.do.as_(actor=who)

    def do(self, who: str, step: str, decide: Decision[Any], *, during: str | None = None, **input: Any) -> Done:
        """One command of a person, once. *during*: the iteration whose story it is told in."""
        return self.as_(who).as_(correlation_id=during).under(f"demo:{self.seed}:{step}", decide, **input)

    def was_done(self, step: str) -> bool:
        """Did this demo carry out *step* before it was killed?"""
        return bool(self.home.ports.store.find([derived_id(f"demo:{self.seed}:{step}", 0)]))

    def known(self, step: str, cls: type[E]) -> E:
        """The event that a step of this demo wrote."""
        (recorded,) = self.home.ports.store.find([derived_id(f"demo:{self.seed}:{step}", 0)]).values()
        assert isinstance(recorded.event, cls)
        return recorded.event

    def settle(self) -> None:
        """Wait until projections and handlers have dealt with all that happened."""
        self.home.runner.settle(PATIENCE)

    # --- data ---

    def document(self, who: str, name: str, rows: Rows, **more: Any) -> str:
        """Import labelled pictures as a person would: a folder and a CSV beside it. Returns the Document ID."""
        folder = self._folder(name, rows)
        with (folder / "labels.csv").open("rb") as table:
            imported = self._data(who).import_document(
                table, "csv", name=name, files=folder, system=self.system, function=self.function, **more
            )
        assert not imported.refused_count, imported.refused[:3]  # the demo's own data are good
        self.documents[name] = imported.document_id
        return imported.document_id

    def _folder(self, name: str, rows: Rows) -> Path:
        folder = self.workshop / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "labels.csv").open("w", newline="") as out:
            table = csv.writer(out)
            table.writerow(["path", "md5", "annotation", "sha256", *rows.columns])
            for n, (png, label, digest) in enumerate(zip(rows.pngs, rows.labels, rows.sha256, strict=True)):
                path = f"{n:04d}.png"
                (folder / path).write_bytes(png)
                table.writerow([path, rows.md5[n], label, digest, *(values[n] for values in rows.columns.values())])
        return folder

    def group(
        self, who: str, name: str, purpose: str, documents: Sequence[str], query: str = "", **more: Any
    ) -> DocumentGrouped:
        """Group Items: freeze rows as a set; the Task ID comes with it."""
        done = self._data(who).group(
            Selection(list(documents), query), name=name, purpose=purpose, system=self.system, function=self.function,
            key=f"demo:{self.seed}:group:{name}", **more,
        )  # fmt: skip
        return done.group

    def request(self, who: str, step: str, wanted: Mapping[str, int], what: str, **more: Any) -> str:
        """Ask for data. Returns the Request ID."""
        done = self.do(
            who,
            step,
            request_collection,
            system=self.system,
            function=self.function,
            what=what,
            wanted=dict(wanted),
            **more,
        )
        return done.first(CollectionRequested).request_id

    def _data(self, who: str) -> DataIntake:
        return DataIntake(self.home.ports, self.as_(who), see=self.home.see)

    # --- tasks ---

    def train(self, task_id: str, name: str, parents: Sequence[str]) -> str:
        """Run the user's training code on a drafted task. Returns the Model ID."""
        self._start(task_id, self.training, parents=tuple(parents), model_name=name)
        return str(self._finished(task_id).model_id)

    def test(self, task_id: str, model_ids: Sequence[str], group_ids: Sequence[str]) -> None:
        """Run the user's testing code on models and groups, and let the gate judge."""
        self._start(task_id, self.testing, model_ids=tuple(model_ids), group_ids=tuple(group_ids))
        self._finished(task_id)
        self.settle()

    def draft_test(self, name: str, group_ids: Sequence[str], iteration: str | None = None) -> str:
        """A testing task on groups that exist. Returns its Task ID."""
        done = self.do(
            "ana", f"draft:{name}", draft_task, kind="testing", name=name, group_ids=tuple(group_ids),
            system=self.system, function=self.function, iteration_id=iteration,
        )  # fmt: skip
        return done.first(TaskDrafted).task_id

    def _start(self, task_id: str, entry_point: str, **more: Any) -> None:
        self.settle()  # the handler has drafted the task
        self.do("ana", f"start:{task_id}", start_task, task_id=task_id, entry_point=entry_point, seed=self.seed, **more)

    def _finished(self, task_id: str) -> Any:
        deadline = time.monotonic() + PATIENCE
        while True:
            with self.home.ports.views.read() as read:
                found = task_view(read, task_id)
            if found is not None and found.state == "done":
                return found
            if found is not None and found.state in ("failed", "cancelled"):
                raise Refused(f"task {task_id} {found.state}: {found.error}", remedy=f"mlife task show {task_id}")
            if time.monotonic() > deadline:
                raise Unavailable(f"task {task_id} has not ended after {PATIENCE:g} s", remedy="is a worker running?")
            time.sleep(0.03)

    # --- models ---

    def passed(self, model_id: str) -> bool:
        """The gate's word."""
        with self.home.ports.views.read() as read:
            found = verdict(read, model_id)
        return found is not None and found.passed

    def breaks(self, model_id: str) -> int:
        """Badcases that were fixed and that *model_id* breaks, by the gate."""
        with self.home.ports.views.read() as read:
            found = verdict(read, model_id)
        return len(found.with_word("broken")) if found is not None else 0

    def deploy(self, who: str, model_id: str, version: str, override: str = "", iteration: str | None = None) -> str:
        """Ship a model and wait until the target answers with it. Returns the Deployment Task ID."""
        done = self.do(
            who, f"deploy:{version}", create_deployment, system=self.system, function=self.function,
            model_ids=(model_id,), version=version, iteration_id=iteration,
            override={"by": who, "reason": override} if override else None,
        )  # fmt: skip
        deployment_id = done.first(DeploymentCreated).deployment_id
        self.settle()
        with self.home.ports.views.read() as read:
            found = deployment(read, deployment_id)
        if found is None or found.activated_at is None:
            raise Unavailable(
                f"deployment {deployment_id} is not active", remedy=f"mlife deployment show {deployment_id}"
            )
        return deployment_id

    def roll_back(self, who: str, deployment_id: str, reason: str) -> None:
        """Take a deployment back."""
        self.do(who, f"back:{deployment_id}", roll_back, deployment_id=deployment_id, reason=reason)
        self.settle()

    def served_by(self) -> str:
        """Ask the served model itself which model it is."""
        return asked_for(self.home.ports, f"{self.system}.{self.function}").model_id

    def answer(self, model_id: str, rows: Rows) -> Answered:
        """What a device that carries *model_id* says about pictures."""
        known = self._answered.get((model_id, rows.purpose))
        if known is None:
            with self.home.ports.views.read() as read:
                found = model(read, model_id)
            assert found is not None  # it was trained here
            digest = found.sha256
            path = self.home.ports.blobs.path(digest)
            assert path is not None  # the embedded store is a folder
            predictor = self.home.ports.models.load(path)
            said = predictor.predict_files(rows.pngs)
            known = Answered(rows, tuple(s["label"] for s in said), tuple(s["score"] for s in said))
            self._answered[model_id, rows.purpose] = known
        return known

    # --- field ---

    def send(self, reports: Iterable[Mapping[str, Any]], traffic: Iterable[Mapping[str, Any]]) -> tuple[int, Answer]:
        """Reports and traffic as they come in. Returns how many reports were sent, and the answer to them."""
        intake = Intake(self.home.ports.store, self.home.sealer, clock=self.calendar, source=SOURCE)
        counted = intake.traffic(traffic)
        sent = list(reports)
        answer = intake.reports(sent)
        assert not answer.refused + counted.refused, (answer.refused[:3], counted.refused[:3])
        return len(sent), answer

    def keep_pictures(self, rows: Rows) -> None:
        """Put the pictures of reports into the store, as a client's upload does."""
        self._data("fleet-7").put_named((png, f"{rows.purpose}-{n:04d}.png") for n, png in enumerate(rows.pngs))
