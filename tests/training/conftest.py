"""A home with groups of real files, and the smallest user code that keeps the contract."""

from __future__ import annotations

import hashlib
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlife.core.command import Given
from mlife.core.events import Event
from mlife.data.events import DocumentGrouped, GroupRowsFrozen
from mlife.runtime import Home
from mlife.training import commands, states
from mlife.training.manifest import label_of
from mlife.training.worker import TaskWorker
from tests.conftest import drain

CODE = '''
import json, os, time
from pathlib import Path

import mlife

MODEL = Path(__file__).parent / "constant.onnx"


def train():
    with mlife.task() as t:
        rows = list(t.rows("training"))
        t.progress(0.5, "half way")
        t.save_model(MODEL.read_bytes())
        t.log_metrics({"rows": len(rows)})
        print("trained on", len(rows), "rows, seed", t.seed)


def test():
    """Reads the label out of the file, but for the letters that a parameter says it confuses."""
    with mlife.task() as t:
        for model in t.models:
            for row in t.rows("testing"):
                said = row.read().decode()[0]
                t.record(row.sha256, t.parameters.get(model.model_id, {}).get(said, said), 0.5, model_id=model.model_id)


def fail():
    print("about to divide")
    return 1 / 0


def forget():
    print("I leave nothing")


def slow():
    marks = Path(os.environ["MARKS"])
    with mlife.task() as t:
        with (marks / "begun").open("a") as f:
            f.write(f"{os.getpid()}\\n")
        for i in range(int(t.parameters.get("steps", 10))):
            time.sleep(0.03)
            t.progress((i + 1) / 10, f"step {i + 1}")
        t.save_model(MODEL.read_bytes())
    with (marks / "ended").open("a") as f:
        f.write("x")
'''


@pytest.fixture(scope="session")
def constant_model(tmp_path_factory):
    """An ONNX model that answers class 0 to whatever it is shown."""
    import onnx
    from onnx import TensorProto, helper

    answer = helper.make_node("Constant", [], ["label"], value=helper.make_tensor("zero", TensorProto.INT64, [1], [0]))
    graph = helper.make_graph(
        [answer],
        "constant",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, [1])],
    )
    path = tmp_path_factory.mktemp("model") / "constant.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


@pytest.fixture
def code(tmp_path, constant_model, monkeypatch):
    """A folder with the user's code."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "user_code.py").write_text(textwrap.dedent(CODE))
    (folder / "constant.onnx").write_bytes(constant_model.read_bytes())
    monkeypatch.setenv("MARKS", str(tmp_path))
    return folder


def sealed(given: Given, *, group_id: str, purpose: str, task_id: str, rows: list[dict[str, Any]]) -> list[Event]:
    """Freeze rows as the data feature does."""
    by_class: dict[str, int] = {}
    for row in rows:
        label = label_of(row["annotation"])
        by_class[label] = by_class.get(label, 0) + 1
    return [
        GroupRowsFrozen(group_id=group_id, rows=tuple(rows)),
        DocumentGrouped(
            group_id=group_id,
            task_id=task_id,
            name=f"{purpose} letters",
            purpose=purpose,
            system="post",
            function="letters",
            documents={"doc-1": given(states.Group, group_id).version},
            rows=len(rows),
            by_class=by_class,
            digest=hashlib.sha256(repr(rows).encode()).hexdigest(),
            checked_at=0,
        ),
    ]


@dataclass
class Bench:
    """What a test does again and again."""

    home: Home
    code: Path

    def group(self, purpose: str, letters: str = "abcabc", group_id: str | None = None) -> str:
        rows = []
        for i, letter in enumerate(letters):
            data = f"{letter}{i}{purpose}{group_id or ''}".encode()
            stored = self.home.ports.blobs.put(data)
            rows.append({"path": f"{i}.txt", "md5": stored.md5, "sha256": stored.sha256, "annotation": letter})
        made = group_id or f"grp-{purpose}"
        return self.seal(made, purpose, rows)

    def seal(self, group_id: str, purpose: str, rows: list[dict[str, Any]]) -> str:
        self.home.do(sealed, group_id=group_id, purpose=purpose, task_id=f"tsk-of-{group_id}", rows=rows)
        self.settle()
        return group_id

    def settle(self) -> None:
        if self.home.ports.locks.is_held("runner"):
            self.home.runner.settle()
        else:
            drain(self.home)

    def draft(self, kind: str, *group_ids: str) -> str:
        done = self.home.do(
            commands.draft_task, kind=kind, group_ids=group_ids, system="post", function="letters", name=f"{kind} run"
        )
        return done.events[0].task_id

    def start(self, task_id: str, entry_point: str, **more: Any) -> None:
        more = {"workdir": str(self.code)} | more
        self.home.do(commands.start_task, task_id=task_id, entry_point=entry_point, **more)

    def worker(self, **more: Any) -> TaskWorker:
        home = self.home
        return TaskWorker(home.ports, home.do, home.settings.home / "runs", see=home.see, **more)

    def train(self, entry_point: str = "user_code:train", **more: Any) -> str:
        groups = [r.event for r in self.home.ports.store.read_stream("group/grp-training")]
        task_id = self.draft("training", "grp-training" if groups else self.group("training"))
        self.start(task_id, entry_point, **more)
        return task_id

    def events(self, task_id: str) -> list[Event]:
        return [r.event for r in self.home.ports.store.read_stream(f"task/{task_id}")]

    def words(self, task_id: str) -> list[str]:
        return [e.declared.name.removeprefix("mlife.task.") for e in self.events(task_id)]

    def model(self) -> str:
        task_id = self.train()
        self.worker().once()
        return self.events(task_id)[-1].model_id

    def stored(self, sha256: str) -> bytes:
        with self.home.ports.blobs.open(sha256) as f:
            return f.read()

    def see(self):
        self.settle()
        return self.home.ports.views.read()


@pytest.fixture
def bench(home, code):
    return Bench(home, code)
