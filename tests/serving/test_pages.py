"""Models and deployments as pages, as JSON, and on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from mlife.cli import root
from tests.conftest import drain
from tests.serving.conftest import FUNCTION, SYSTEM, constant_model

FORM = {"Accept": "text/html"}


def test_the_lists_say_how_to_make_them_non_empty(client, shop):
    shop.drain()
    assert "mlife model add" in client.get("/models", headers=FORM).text
    assert "mlife deployment create" in client.get("/deployments", headers=FORM).text


def test_a_model_page_says_what_the_gate_says_and_why(client, shop, first):
    v1, home_set = first
    badcase = shop.report(["r0", "r1"], "sad", "happy", v1)
    pinned = shop.group("pinned", {"r0": "sad", "r1": "sad"})
    bad = shop.model("bad", parents=(v1,))
    wrong = {f"home-{n}": "sad" for n in range(20)} | {"r0": "happy"}
    shop.test({v1: {"r0": "happy", "r1": "happy"}, bad: wrong}, [home_set, pinned])

    page = client.get(f"/models/{bad}", headers=FORM).text
    assert f"refused: 2 test sets against {v1}" in page
    assert "test set home: 20 rows broken, 0 fixed" in page
    assert f"/badcases/{badcase}" in page
    assert "Override and deploy" in page
    assert 'name="override_reason"' in page
    passed = client.get(f"/models/{v1}", headers=FORM).text
    assert "override_reason" not in passed
    said = client.get(f"/api/v1/models/{bad}").json()
    assert said["known_badcases"][0]["verdict"] == "unproven"
    assert client.get(f"/api/v1/verdicts?model={bad}").json()["verdicts"][0]["passed"] is False


def test_models_are_found_by_the_query_language(client, shop, first):
    shop.model("other")
    shop.drain()
    found = client.get("/api/v1/models?q=gate:passed").json()
    assert [m["model_id"] for m in found["models"]] == [first[0]]
    assert found["facets"]["gate"] == {"passed": 1, "not judged": 1}
    assert client.get("/api/v1/models?q=colour:red").status_code == 422
    page = client.get("/models?q=colour:red", headers=FORM)
    assert page.status_code == 200
    assert "query-error" in page.text


def test_a_form_deploys_and_another_one_rolls_back(client, shop, first):
    shop.deploy(first[0], "1.0")
    v2 = shop.model("v2")
    told = {
        "system": SYSTEM,
        "function": FUNCTION,
        "model_ids": v2,
        "version": "2.0",
        "metrics": "client=lab\npending=3",
    }
    refused = client.post("/deployments", data=told, headers=FORM)
    assert refused.status_code == 409
    assert "was never judged" in refused.text

    signed = told | {"override_by": "mira", "override_reason": "customer waits"}
    answer = client.post("/deployments", data=signed, headers=FORM, follow_redirects=False)
    assert answer.status_code == 303
    shop.drain()
    page = client.get(answer.headers["location"], headers=FORM).text
    assert "mira ships it all the same: customer waits" in page
    assert "asked which model answers, local said" in page
    dep = answer.headers["location"].split("/")[2].split("?")[0]
    assert client.get(f"/api/v1/deployments/{dep}").json()["deployment"]["metrics"] == {"client": "lab", "pending": 3}

    client.post(f"/deployments/{dep}/rollback", data={"reason": "dark pictures"}, headers=FORM)
    shop.drain()
    assert "rolled back" in client.get(f"/deployments/{dep}", headers=FORM).text
    assert "is answered by" in client.get("/deployments", headers=FORM).text


def test_programs_deploy_by_json_once_for_a_key(client, shop, first):
    body = {"system": SYSTEM, "model_ids": [first[0]], "version": "1.0"}
    one = client.post("/api/v1/deployments", json=body, headers={"Idempotency-Key": "k1"}).json()
    two = client.post("/api/v1/deployments", json=body, headers={"Idempotency-Key": "k1"}).json()
    assert one == two
    shop.drain()
    dep = one["deployment_id"]
    stale = client.post(f"/api/v1/deployments/{dep}/annotate", json={"note": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    fresh = client.post(f"/api/v1/deployments/{dep}/annotate", json={"note": "x"}, headers={"If-Match": '"2"'})
    assert fresh.status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"system": "dms", "version": "1"}, "model_ids"),
        ({"system": "dms", "model_ids": ["m"], "version": "1", "decide": "x"}, "decide"),
        ({"system": 7, "model_ids": ["m"], "version": "1"}, "system"),
    ],
)
def test_a_body_that_does_not_fit_names_the_field(client, body, field):
    answer = client.post("/api/v1/deployments", json=body)
    assert answer.status_code == 422
    assert field in {e["field"] for e in answer.json()["errors"]}


def test_a_model_made_elsewhere_is_adopted_and_deployed_alone(client, shop):
    told = {
        "name": "bought",
        "system": "shop",
        "function": "price",
        "metrics": '{"accuracy": 0.8}',
        "note": "from a partner",
    }
    file = {"file": ("bought.onnx", constant_model("cheap"))}
    one = client.post("/api/v1/models", data=told, files=file).json()
    two = client.post("/api/v1/models", data=told, files=file).json()
    assert (one["known"], two["known"], one["model_id"]) == (False, True, two["model_id"])
    shop.drain()

    dep = shop.deploy(one["model_id"], "1", override="no tests here", system="shop")
    assert shop.deployment(dep).state == "active"
    assert client.get(f"/models/{one['model_id']}/file").content == constant_model("cheap")
    assert "from a partner" in client.get(f"/models/{one['model_id']}", headers=FORM).text
    bad = client.post("/api/v1/models", data=told, files={"file": ("x.onnx", b"no model")})
    assert bad.status_code == 422
    assert "no ONNX file" in bad.json()["detail"]


@pytest.mark.parametrize("path", ["/models/mdl-none", "/deployments/dep-none", "/models/mdl-none/file"])
def test_what_is_not_there_is_not_found(client, shop, path):
    shop.drain()
    assert client.get(path, headers=FORM).status_code == 404


def run(home, *args):
    """The command line on a home; its output."""
    noun, verb, *rest = args
    return CliRunner().invoke(root, [noun, verb, "--home", str(home.settings.home), *rest], catch_exceptions=True)


def test_the_command_line_adopts_judges_ships_and_takes_back(shop, first, tmp_path):
    file = tmp_path / "v9.onnx"
    file.write_bytes(constant_model("v9"))
    added = run(shop.home, "model", "add", str(file), "--system", SYSTEM, "--function", FUNCTION, "--metric", "acc=0.9")
    assert added.exit_code == 0, added.output
    model_id = added.output.split()[0]
    assert "v9" in run(shop.home, "model", "list").output
    assert json.loads(run(shop.home, "model", "show", model_id, "--json").output)["metrics"] == {"acc": 0.9}

    judged = run(shop.home, "model", "judge", first[0])
    assert "passed: 1 test set" in judged.output
    drain(shop.home)
    assert len(shop.events("mlife.model.judged.v1")) == 1

    shipped = ["--system", SYSTEM, "--model", first[0], "--version", "1.0", "--json"]
    made = json.loads(run(shop.home, "deployment", "create", *shipped).output)
    assert made["state"] == "created"
    shop.drain()
    assert "active" in run(shop.home, "deployment", "show", made["deployment_id"]).output
    refused = run(shop.home, "deployment", "create", "--system", SYSTEM, "--model", model_id, "--version", "9")
    assert "was never judged" in str(refused.exception)
    out = tmp_path / "copy.onnx"
    run(shop.home, "model", "download", model_id, str(out))
    assert out.read_bytes() == constant_model("v9")


def test_the_command_line_shows_and_loads_policies(shop, tmp_path):
    file = tmp_path / "strict.toml"
    file.write_text("largest_loss = 0.01\n")
    loaded = run(shop.home, "policy", "load", str(file), "--function", "dms/emotion")
    assert "dms/emotion is judged by it from now on" in loaded.output
    shown = json.loads(run(shop.home, "policy", "show", "dms/emotion", "--json").output)
    assert (shown["largest_loss"], shown["from"]) == (0.01, "dms/emotion")
    file.write_text("largest_loss = ")
    assert "can't be read" in str(run(shop.home, "policy", "load", str(file)).exception)


def test_the_command_line_compares_two_models_row_by_row(shop, first):
    v1, home_set = first
    v2 = shop.model("v2", parents=(v1,))
    shop.test({v1: {"home-0": "sad"}, v2: {"home-1": "sad"}}, [home_set])
    (row,) = [json.loads(line) for line in run(shop.home, "model", "compare", v2, v1, "--json").output.splitlines()]
    assert (row["rows"], row["fixed"], row["broken"], row["kept"]) == (40, 1, 1, 38)
