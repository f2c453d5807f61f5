"""Tasks in the browser and for programs."""

from __future__ import annotations

import re
import threading
import time

import pytest

JSON = {"Accept": "application/json"}


@pytest.fixture
def tested(bench):
    """Two models, the second worse on b and better on c, tested together on one group."""
    old, new = bench.model(), bench.model()
    group = bench.group("testing", "aabbcc")
    task_id = bench.draft("testing", group)
    bench.start(
        task_id, "user_code:test", model_ids=[old, new], parameters={old: {"c": "a"}, new: {"b": "a", "c": "c"}}
    )
    bench.worker().once()
    bench.settle()
    return task_id, old, new, group


def test_a_program_drafts_starts_and_follows_a_task(bench, client):
    group = bench.group("training")
    made = client.post("/api/v1/tasks", json={"kind": "training", "group_ids": [group], "function": "letters"})
    assert made.status_code == 201
    task_id = made.json()["task_id"]
    bench.settle()
    start = {"entry_point": "user_code:train", "workdir": str(bench.code), "seed": 3}
    answer = client.post(f"/api/v1/tasks/{task_id}/start", json=start, headers={"Idempotency-Key": "1"})
    assert (
        answer.json()
        == client.post(f"/api/v1/tasks/{task_id}/start", json=start, headers={"Idempotency-Key": "1"}).json()
    )
    bench.worker().once()
    bench.settle()

    task = client.get(f"/api/v1/tasks/{task_id}").json()["task"]

    assert (task["state"], task["seed"], task["metrics"]) == ("done", 3, {"rows": 6})
    assert client.get(f"/api/v1/tasks/{task_id}/progress").json()["state"] == "done"
    assert "trained on 6 rows" in client.get(f"/api/v1/tasks/{task_id}/log").text
    assert client.get("/api/v1/tasks", params={"q": "state:done kind:training"}).json()["total"] == 1
    assert (
        client.get(f"/api/v1/tasks/{task_id}/files/model.onnx").content == (bench.code / "constant.onnx").read_bytes()
    )


def test_what_a_program_asks_wrongly_is_answered_with_what_would_work(bench, client):
    task_id = bench.draft("testing", bench.group("testing"))
    bench.settle()

    no_model = client.post(f"/api/v1/tasks/{task_id}/start", json={"entry_point": "user_code:test"})
    unknown = client.post(f"/api/v1/tasks/{task_id}/start", json={"entry_point": "a:b", "colour": 1})
    stale = client.post(f"/api/v1/tasks/{task_id}/cancel", json={}, headers={"If-Match": '"9"'})

    assert (no_model.status_code, unknown.status_code, stale.status_code) == (409, 422, 412)
    assert "Model ID" in no_model.json()["detail"]
    assert "mlife model list" in no_model.json()["remedy"]
    assert unknown.json()["errors"][0]["field"] == "colour"
    assert client.get("/api/v1/tasks/tsk-none").status_code == 404
    assert client.get("/api/v1/tasks", params={"q": "colour:red"}).status_code == 422


def test_a_person_starts_a_draft_by_the_form_and_is_led_back_to_the_task(bench, client):
    task_id = bench.draft("training", bench.group("training"))
    bench.settle()
    page = client.get(f"/tasks/{task_id}")
    assert "Say what code is to run" in page.text

    form = {
        "entry_point": "user_code:train",
        "workdir": str(bench.code),
        "group_ids": ["grp-training"],
        "parameters": "{}",
    }
    answer = client.post(f"/tasks/{task_id}/start", data=form, follow_redirects=False)

    assert answer.status_code == 303
    bench.settle()
    shown = client.get(answer.headers["location"])
    assert "Waits for a free worker" in shown.text
    refused = client.post(f"/tasks/{task_id}/start", data={**form, "parameters": "{"}, headers={"Accept": "text/html"})
    assert refused.status_code == 422
    assert "the parameters can" in refused.text


def test_a_test_shows_accuracy_classes_and_wrong_samples_that_lead_to_a_report(tested, client):
    task_id, old, new, group = tested

    page = client.get(f"/tasks/{task_id}").text

    assert "2 of 6 wrong" in page
    assert f"/comparisons?model={old}&amp;other={new}" in page
    link = re.search(r'href="(/badcases/report\?[^"]*)"', page)[1].replace("&amp;", "&")
    assert "function=letters" in link
    assert re.search("truth=[bc]&prediction=a", link)
    samples = client.get(f"/api/v1/tasks/{task_id}/samples", params={"model": new, "wrong": 1}).json()["samples"]
    assert {(s["truth"], s["label"]) for s in samples} == {("b", "a")}
    assert len(samples) == 2
    assert (
        client.get(f"/tasks/{task_id}/samples", params={"model": old, "group": group, "truth": "c"}).status_code == 200
    )


def test_two_models_are_compared_on_the_same_rows(tested, client):
    _, old, new, group = tested

    counted = client.get("/api/v1/comparisons", params={"model": new, "other": old, "state": "broken"}).json()

    (counts,) = counted["groups"]
    assert (counts["group_id"], counts["rows"], counts["p_value"]) == (group, 6, 1.0)
    assert [counts[s] for s in ("fixed", "broken", "still_failing", "kept")] == [2, 2, 0, 2]
    assert {(r["truth"], r["other_label"], r["label"]) for r in counted["rows"]} == {("b", "b", "a")}
    assert "report as badcase" in client.get("/comparisons", params={"model": new, "other": old}).text
    assert client.get("/comparisons", params={"model": new, "other": "mdl-none"}).status_code == 404
    alone = client.get("/comparisons", params={"model": new, "other": old, "state": "kept", "group": "grp-none"})
    assert "No row is kept" in alone.text


def test_list_and_board_show_every_state_and_say_what_to_do_when_empty(bench, client):
    bench.settle()
    assert "No task yet" in client.get("/tasks").text
    done, failed = bench.train(), bench.train("user_code:fail")
    bench.worker().once()
    draft = bench.draft("testing")
    bench.settle()

    for address in ("/tasks", "/tasks?view=board"):
        page = client.get(address).text
        assert all(t in page for t in (done, failed, draft))
    assert "the code ended with exit code 1" in page
    assert "have no field colour" in client.get("/tasks?q=colour:red").text
    assert client.get("/tasks/draft?kind=training").status_code == 200
    assert "ZeroDivisionError" in client.get(f"/tasks/{failed}").text


def test_a_running_task_moves_on_the_page_and_reloads_it_at_its_end(bench, client, running_home):
    task_id = bench.train("user_code:slow", parameters={"steps": 40})
    stop = threading.Event()
    thread = threading.Thread(target=bench.worker().run, args=(stop,))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        page = ""
        while "step " not in page and time.monotonic() < deadline:
            page = client.get(f"/tasks/{task_id}/live?seen=running-1").text
            time.sleep(0.03)
        assert "<progress" in page
        assert client.get(f"/api/v1/tasks/{task_id}/progress").json()["progress"]["share"] > 0
        rail = client.get("/-/live").text
        assert f'href="/tasks/{task_id}"' in rail
        assert "<progress" in rail
        while (answer := client.get(f"/tasks/{task_id}/live?seen=running-1")).headers.get("HX-Refresh") is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answer.text == ""
    finally:
        stop.set()
        thread.join()
