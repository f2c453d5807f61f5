"""The loop on real data reaches the figures that the product promises, and its log bears them out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Told, mlife

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


def test_the_field_is_read_by_v2_and_home_is_kept(told: Told) -> None:
    accuracy = told.result["accuracy"]

    assert accuracy["v1"]["digits"] >= 0.98
    assert accuracy["v1"]["field"] <= 0.5
    assert accuracy["v2"]["field"] >= 0.88
    assert accuracy["v2"]["digits"] >= 0.98
    assert accuracy["v1"]["digits"] - accuracy["v2"]["digits"] <= 0.015


def test_the_gate_refuses_the_hotfix_and_passes_the_others(told: Told) -> None:
    assert told.result["gate"] == {"v1": "passed", "v2": "passed", "v3": "refused", "v4": "passed"}
    assert told.result["accuracy"]["v3"]["masked"] > told.result["accuracy"]["v2"]["masked"]
    assert told.result["accuracy"]["v3"]["field"] < told.result["accuracy"]["v2"]["field"]


def test_resends_and_second_reporters_become_fewer_pictures_and_fewer_badcases(told: Told) -> None:
    r = told.result

    assert r["sends"] > r["reports"] > r["pictures"] > r["badcases"]
    assert 55 <= r["badcases"] <= 70
    assert r["badcases_fixed"] + r["badcases_unproven"] + r["badcases_failing"] == r["badcases"]


def test_what_came_back_is_regressed_and_a_stale_device_is_not_blamed_on_the_new_model(told: Told) -> None:
    assert told.result["regressed"] >= 1
    assert told.result["old_model_reports"] >= 1
    assert told.result["badcases_closed"] >= 1


def test_random_field_items_reach_about_as_much(told: Told) -> None:
    assert abs(told.result["field_random_baseline"] - told.result["accuracy"]["v2"]["field"]) < 0.05


def test_every_id_it_ends_with_is_in_the_log(told: Told) -> None:
    events = [
        json.loads(line)
        for line in mlife("event", "tail", "--after", "0", "--home", str(told.home)).stdout.splitlines()
    ]

    assert [int(e["sequence"]) for e in events] == list(range(1, told.result["events"] + 1))
    subjects = {e["subject"].partition("/")[2] for e in events}
    ids = told.result["task_ids"] + told.result["model_ids"] + told.result["deployment_ids"]
    assert ids
    assert set(ids) <= subjects


@pytest.mark.parametrize("projection", ["badcases", "data", "training", "serving", "timeline"])
def test_every_row_is_what_a_fresh_replay_gives(told: Told, projection: str) -> None:
    verified = mlife("projection", "verify", projection, "--home", str(told.home))

    assert verified.returncode == 0, verified.stderr


def test_telling_it_again_changes_nothing(told: Told) -> None:
    again = mlife("demo", "--home", str(told.home), "--json", timeout=120)

    assert again.returncode == 0, again.stderr[-2000:]
    after = json.loads(again.stdout.splitlines()[-1])
    assert {k: v for k, v in after.items() if k != "seconds"} == {
        k: v for k, v in told.result.items() if k != "seconds"
    }


def test_a_home_holds_the_demo_of_one_seed(tmp_path: Path) -> None:
    (tmp_path / "demo" / "0").mkdir(parents=True)

    other = mlife("demo", "--home", str(tmp_path), "--seed", "1")

    assert other.returncode == 1
    assert "holds the demo of seed 0" in other.stderr
    assert "--seed 0" in other.stderr
