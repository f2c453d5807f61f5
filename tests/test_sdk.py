"""The SDK, as training code and as a feedback stream see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest

from mlife import sdk

MANIFEST = {
    "manifest": 1, "task_id": "tsk-1", "kind": "testing", "seed": 7, "parameters": {"C": 1.0},
    "groups": [
        {"group_id": "grp-1", "name": "home", "purpose": "testing", "digest": "sha256:0", "rows": [
            {"sha256": "aa", "file": "/nowhere/a.png", "path": "a.png", "md5": "0", "annotation": "7"}]},
        {"group_id": "grp-2", "name": "field", "purpose": "training", "digest": "sha256:0", "rows_file": "rows.jsonl"},
    ],
    "models": [{"model_id": "mdl-1", "path": "/nowhere/m.onnx", "sha256": "bb"}],
}  # fmt: skip


@pytest.fixture
def output(tmp_path, monkeypatch):
    rows = tmp_path / "rows.jsonl"
    annotation = {"type": "class", "label": "3"}
    rows.write_text(json.dumps({"sha256": "cc", "file": "c", "path": "c.png", "annotation": annotation}) + "\n")
    manifest = json.loads(json.dumps(MANIFEST).replace("rows.jsonl", str(rows)))
    (tmp_path / "task.json").write_text(json.dumps(manifest))
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("MLIFE_TASK_ID", "tsk-1")
    monkeypatch.setenv("MLIFE_TASK", str(tmp_path / "task.json"))
    monkeypatch.setenv("MLIFE_OUTPUT", str(tmp_path / "out"))
    return tmp_path / "out"


def test_a_task_leaves_what_the_contract_names(output, capsys):
    with sdk.task() as t:
        assert [(r.label, r.group) for r in t.rows()] == [("7", "home"), ("3", "field")]
        assert [r.sha256 for r in t.rows("training")] == ["cc"]
        t.progress(0.4, "epoch\n4/10")
        t.log_metrics({"accuracy": 0.5})
        t.log_metrics({"loss": 1})
        t.record("aa", "7", 0.9)
        t.record("cc", {"type": "scalar", "value": 2}, model_id="mdl-1")
        t.save_model(b"onnx")

    assert capsys.readouterr().out == "MLIFE progress 0.4 epoch 4/10\n"
    assert json.loads((output / "metrics.json").read_text()) == {"accuracy": 0.5, "loss": 1.0}
    assert [json.loads(line) for line in (output / "results.jsonl").read_text().splitlines()] == [
        {"sha256": "aa", "prediction": {"type": "class", "label": "7"}, "score": 0.9, "model_id": "mdl-1"},
        {"sha256": "cc", "prediction": {"type": "scalar", "value": 2}, "score": None, "model_id": "mdl-1"},
    ]
    assert json.loads((output / "config.json").read_text()) == {"parameters": {"C": 1.0}, "seed": 7}
    assert {p.name for p in output.iterdir()} == {"metrics.json", "results.jsonl", "config.json", "model.onnx"}


def test_numbers_that_are_none_are_refused_at_once(output):
    with sdk.task() as t:
        for wrong in (
            lambda: t.log_metrics({"loss": float("nan")}),
            lambda: t.record("aa", "7", float("inf")),
            lambda: t.progress(float("nan")),
            lambda: t.model("mdl-9"),
        ):
            with pytest.raises(sdk.SdkError):
                wrong()


def test_code_that_no_task_started_is_told_so(monkeypatch):
    monkeypatch.delenv("MLIFE_TASK", raising=False)
    monkeypatch.delenv("MLIFE_OUTPUT", raising=False)
    with pytest.raises(sdk.SdkError, match="start one with"), sdk.task():
        pass


class Server:
    """A server that answers with *script*, then accepts every line except those that say bad."""

    def __init__(self, *script):
        self.script, self.seen, self.pauses = list(script), [], []

    def client(self, **more):
        transport = httpx.MockTransport(self.answer)
        return sdk.Client("http://mlife.test", transport=transport, sleep=self.pauses.append, **more)

    def answer(self, request):
        self.seen.append(request)
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        lines = request.content.decode().splitlines()
        refused = [{"line": i, "problem": "bad"} for i, line in enumerate(lines, 1) if "bad" in line]
        answer = {"position": len(self.seen), "accepted": len(lines) - len(refused), "known": 0, "refused": refused}
        return httpx.Response(200, json=answer)


def test_reports_travel_in_batches_and_keep_their_line_numbers():
    server = Server()
    reports = [{"n": 1}, {"n": float("nan")}, {"n": 3}, {"n": "bad"}, {"at": datetime(2026, 11, 24, 3, tzinfo=UTC)}]
    with server.client(batch=2) as client:
        answer = client.report_many(reports)
    assert [len(r.content.splitlines()) for r in server.seen] == [2, 2]
    assert (answer.position, answer.accepted, [r["line"] for r in answer.refused]) == (2, 3, [2, 4])
    assert b"2026-11-24T03:00:00Z" in server.seen[1].content


def test_what_may_be_lost_is_sent_again_with_the_same_key():
    server = Server(httpx.ConnectError("down"), httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(429))
    assert server.client().report({"n": 1}).accepted == 1
    assert len({r.headers["Idempotency-Key"] for r in server.seen}) == 1
    assert server.pauses[1] == 7.0
    assert 0.05 < server.pauses[0] < server.pauses[2] < 1.5


def test_a_server_that_stays_away_is_an_error_with_a_remedy():
    server = Server(*[httpx.Response(503)] * 3)
    with pytest.raises(sdk.SdkError, match=r"did not answer 3 times \(HTTP 503\): send it again"):
        server.client(attempts=3).report({"n": 1})
    assert len(server.pauses) == 2


def test_a_refusal_is_not_tried_again():
    server = Server(httpx.Response(401, json={"title": "Not allowed", "detail": "the token is wrong"}))
    with pytest.raises(sdk.SdkError, match="401: the token is wrong"):
        server.client().report({"n": 1})
    assert len(server.seen) == 1


def test_traffic_is_sent_as_the_contract_spells_it():
    server = Server(httpx.Response(200, json={"position": 5}))
    day = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": "2026-01-02T00:00:00Z"}
    assert server.client().traffic(system="s", function="f", version="1", count=9, **day) == 5
    assert json.loads(server.seen[0].content) == {
        "system": "s", "function": "f", "version": "1", "count": 9,
        "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z",
    }  # fmt: skip
