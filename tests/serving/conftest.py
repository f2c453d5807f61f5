"""A workshop: real small models, test groups, results and reports, put into a home's log as the features would."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from onnx import TensorProto, helper
from PIL import Image

from mlife.badcases.commands import pin
from mlife.badcases.intake.taking import Intake
from mlife.badcases.views.details import pinnable
from mlife.core.command import Given
from mlife.core.events import Event
from mlife.core.handler import handlers
from mlife.data.events import DocumentGrouped
from mlife.runtime import Home
from mlife.serving import views
from mlife.serving.commands import create_deployment, roll_back
from mlife.serving.events import DeploymentCreated
from mlife.training.events import ModelTrained, ResultRecorded, TaskDrafted, TaskFinished
from tests.conftest import drain

SYSTEM, FUNCTION = "dms", "emotion"


def sha_of(name: str) -> str:
    """The digest of a made-up file."""
    return hashlib.sha256(name.encode()).hexdigest()


def constant_model(label: str, size: int = 4) -> bytes:
    """An ONNX classifier that says *label* of every flattened 2 × 2 picture."""
    said = helper.make_tensor("said", TensorProto.STRING, [1], [label.encode()])
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["label"], value=said), helper.make_node("Identity", ["x"], ["unused"])],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, size])],
        [helper.make_tensor_value_info("label", TensorProto.STRING, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.metadata_props.add(key="mlife.input", value='{"kind": "image", "size": [2, 2]}')
    return model.SerializeToString()


def picture(side: int = 8) -> bytes:
    """A grey PNG."""
    out = io.BytesIO()
    Image.new("L", (side, side), 120).save(out, "PNG")
    return out.getvalue()


def write(home: Home, *events: Event) -> int:
    """Put events into the log in one append."""

    def decided(given: Given) -> list[Event]:
        return list(events)

    return home.do(decided).position


@dataclass
class Workshop:
    """What the tests do with a home whose runner is not running."""

    home: Home
    count: int = 0
    groups: dict[str, dict[str, str]] = field(default_factory=dict)

    def drain(self) -> None:
        drain(self.home)

    def _id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}-{self.count:012x}"

    def model(self, name: str, *, parents: tuple[str, ...] = (), label: str | None = None, **more: Any) -> str:
        """A trained model that says *label* (its name) of everything."""
        stored = self.home.ports.blobs.put(constant_model(label or name))
        model_id = self._id("mdl")
        told: dict[str, Any] = {"system": SYSTEM, "function": FUNCTION, "task_id": self._id("tsk")} | more
        write(
            self.home,
            ModelTrained(
                model_id=model_id,
                name=name,
                sha256=stored.sha256,
                size=stored.size,
                metrics={"accuracy": 0.9},
                parents=parents,
                digests={"code": "c0de"},
                **told,
            ),
        )
        return model_id

    def group(self, name: str, rows: Mapping[str, str]) -> str:
        """A test group: file → true label."""
        group_id = self._id("grp")
        self.groups[group_id] = {sha_of(f): label for f, label in rows.items()}
        write(
            self.home,
            DocumentGrouped(
                group_id=group_id,
                task_id=self._id("tsk"),
                name=name,
                purpose="testing",
                system=SYSTEM,
                function=FUNCTION,
                documents={},
                rows=len(rows),
                by_class={},
                digest=f"sha256:{sha_of(group_id)}",
                checked_at=0,
            ),
        )
        return group_id

    def test(self, wrong: Mapping[str, Mapping[str, str]], group_ids: Iterable[str], code: str = "7e57") -> int:
        """
        A testing task that ended well.

        Args:
            wrong: model → file → what it says of it; of every other file it says the truth.
        """
        task_id = self._id("tsk")
        groups = {g: self.groups[g] for g in group_ids}
        results: list[Event] = []
        for model_id, said in wrong.items():
            by_sha = {sha_of(f): label for f, label in said.items()}
            for group_id, rows in groups.items():
                samples = tuple((sha, truth, by_sha.get(sha, truth), 0.5) for sha, truth in rows.items())
                results.append(ResultRecorded(task_id=task_id, model_id=model_id, group_id=group_id, samples=samples))
        write(
            self.home,
            TaskDrafted(task_id=task_id, kind="testing", name="test", group_ids=tuple(groups)),
            *results,
            TaskFinished(
                task_id=task_id,
                attempt=1,
                kind="testing",
                metrics={},
                files={},
                seconds=1.0,
                tested={m: {g: len(rows) for g, rows in groups.items()} for m in wrong},
                digests={"code": code},
            ),
        )
        position = self.home.ports.store.head()
        self.drain()
        return position

    def report(self, files: Iterable[str], truth: str, said: str, model_id: str, *, must_pass: bool = False) -> str:
        """Reports of *files*, pinned as testing rows. Returns the Badcase ID."""
        sent = [
            {
                "report_id": f"{file}-{model_id}",
                "system": SYSTEM,
                "function": FUNCTION,
                "version": "1.0",
                "model_ids": [model_id],
                "data": [{"uri": f"s3://cam/{file}", "sha256": sha_of(file)}],
                "prediction": {"type": "class", "label": said},
                "truth": {"type": "class", "label": truth},
                "client": "fleet-7",
                "observed_at": "2026-01-01T00:00:00Z",
            }
            for file in files
        ]
        answer = Intake(self.home.ports.store, self.home.sealer).reports(sent, ids=True)
        assert not answer.refused, answer.refused
        self.drain()
        with self.home.ports.views.read() as read:
            (badcase_id,) = {named["badcase_id"] for named in answer.as_json()["ids"]}
            rows = pinnable(read, badcase_id)
        self.home.do(pin, badcase_id=badcase_id, system=SYSTEM, function=FUNCTION, rows=rows, must_pass=must_pass)
        self.drain()
        return badcase_id

    def verdict(self, model_id: str) -> views.VerdictView:
        """The latest verdict; there must be one."""
        with self.home.ports.views.read() as read:
            found = views.verdict(read, model_id)
        assert found is not None
        return found

    def badcase(self, model_id: str, badcase_id: str) -> dict[str, Any]:
        """What the latest verdict says of one badcase."""
        (found,) = [b for b in self.verdict(model_id).badcases if b["badcase_id"] == badcase_id]
        return found

    def deploy(self, model_id: str, version: str, override: str | None = None, **more: Any) -> str:
        """Create a deployment and let the handlers do their part."""
        done = self.home.do(
            create_deployment,
            **{"system": SYSTEM, "model_ids": (model_id,), "version": version} | more,
            override={"by": "mira", "reason": override} if override else None,
        )
        self.drain()
        return done.first(DeploymentCreated).deployment_id

    def roll_back(self, deployment_id: str) -> None:
        self.home.do(roll_back, deployment_id=deployment_id, reason="night pictures are read wrong")
        self.drain()

    def deployment(self, deployment_id: str) -> views.DeploymentView:
        """The deployment; there must be one."""
        with self.home.ports.views.read() as read:
            found = views.deployment(read, deployment_id)
        assert found is not None
        return found

    def again(self, *names: str) -> None:
        """Deliver everything to handlers a second time."""
        self.home.book.move(dict.fromkeys(names or handlers, 0))
        self.home.runner._forget()
        self.drain()

    def events(self, type_name: str) -> list[Any]:
        """Events of a type, in order."""
        return [r.event for r in self.home.ports.store.read(0, 100_000, types=[type_name])]


@pytest.fixture
def shop(home: Home) -> Workshop:
    return Workshop(home)


@pytest.fixture
def first(shop: Workshop) -> tuple[str, str]:
    """A first model that passed on one test set of 40 rows, and that set: (model, group)."""
    model = shop.model("v1")
    group = shop.group("home", {f"home-{n}": "happy" for n in range(40)})
    shop.test({model: {}}, [group])
    return model, group


def many(prefix: str, count: int, said: str) -> dict[str, str]:
    """Files *prefix*-0… and what a model says of each."""
    return {f"{prefix}-{n}": said for n in range(count)}
