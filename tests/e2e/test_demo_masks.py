"""The story of the masks: what it ends with is what the log and the tables say, whatever the numbers are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Told, mlife

pytest.importorskip("cv2", reason="the scenario needs OpenCV: pip install 'mlife[demo]'")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("masks")]
MASKS = ("bare", "chin", "half-worn", "fully-worn")


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Told:
    home = tmp_path_factory.mktemp("masks") / "home"
    ran = mlife("demo", "--scenario", "masks", "--home", str(home), "--json", timeout=300)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return Told(home, json.loads(ran.stdout.splitlines()[-1]))


def listed(masks: Told, *words: str) -> list[dict[str, Any]]:
    ran = mlife(*words, "--home", str(masks.home), "--json")
    assert ran.returncode == 0, ran.stderr[-2000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_the_detector_misses_faces_under_masks_and_finds_bare_ones(masks: Told) -> None:
    met = masks.result["field"]["1.0"]

    assert met["bare"]["missed"] / met["bare"]["met"] < 0.05
    for kind in ("half-worn", "fully-worn"):
        assert met[kind]["missed"] / met[kind]["met"] > 0.05
    assert sum(kind["missed"] for kind in met.values()) == masks.result["statistics"]["function"]["face"]


def test_a_half_worn_mask_is_misread_more_often_than_none(masks: Told) -> None:
    met = masks.result["field"]["1.0"]
    share = {kind: c["wrong"] / (c["met"] - c["missed"]) for kind, c in met.items()}

    assert share["half-worn"] > 2 * share["bare"]


def test_an_alarm_is_raised_for_each_function_with_its_numbers(masks: Told) -> None:
    shown = {a["function"]: a for a in listed(masks, "alarm", "list") if a["version"] == "1.0"}

    assert shown.keys() == {"expression", "face"}
    for function, alarm in shown.items():
        assert alarm["sentence"] == masks.result["alarms"][function]


def test_the_statistics_name_the_function_that_dominates(masks: Told) -> None:
    functions = masks.result["statistics"]["function"]

    assert masks.result["dominating_function"] == max(functions, key=lambda f: functions[f]) == "expression"
    assert sum(masks.result["statistics"]["client"].values()) == sum(functions.values())
    assert set(masks.result["statistics"]["place"]) == {"city", "motorway", "depot"}


def test_the_cause_has_several_badcases_and_each_remedy_is_recorded(masks: Told) -> None:
    causes = masks.result["causes"]
    shown = {c["cause_id"]: c["remedy"] for c in listed(masks, "cause", "list")}

    assert causes["half-worn"]["title"] == "half-worn mask"
    assert causes["half-worn"]["badcases"] >= 3
    assert {title: shown[c["cause_id"]] for title, c in causes.items()} == {
        "half-worn": "collect",
        "fully-worn": "exclude",
        "no face": "fix_code",
    }


def test_two_trainings_differ_in_the_fully_worn_masks_only(masks: Told) -> None:
    rows, excluded = masks.result["rows"], masks.result["excluded"]

    assert rows["without training"] < rows["with training"]
    assert masks.result["accuracy"]["with"] != masks.result["accuracy"]["without"]
    for kind, c in excluded.items():
        if kind in MASKS:
            right = {name: masks.result["accuracy"][name][kind] for name in ("with", "without")}
            assert c["fixed"] - c["broken"] == pytest.approx((right["without"] - right["with"]) * rows[kind], abs=0.1)


def test_collecting_half_worn_masks_helps_where_they_are_worn(masks: Told) -> None:
    collected = masks.result["collected"]["half-worn"]

    assert collected["fixed"] > collected["broken"]
    assert collected["p"] < 0.05


def test_every_kind_of_mask_is_a_test_slice_that_every_model_was_judged_on(masks: Told) -> None:
    for name, shares in masks.result["accuracy"].items():
        assert set(MASKS) <= shares.keys(), name
    for kind in MASKS:
        assert masks.result["rows"][kind] >= 50


def test_what_is_shipped_is_what_the_gate_and_the_slices_say(masks: Told) -> None:
    gate, shipped = masks.result["gate"], masks.result["shipped"]

    assert set(gate) == {"v1", "with", "without"}
    assert gate["v1"] == "passed"
    assert masks.result["served_by"] == masks.result["model_ids"][list(gate).index(shipped)]
    assert gate[shipped] == "passed" or "passed" not in (gate["with"], gate["without"])


def test_the_page_of_the_iteration_reads_as_the_story(masks: Told) -> None:
    told = json.dumps(listed(masks, "iteration", "show", masks.result["iteration_id"]))

    for id in (*masks.result["task_ids"][2:], masks.result["deployment_ids"][-1]):
        assert id in told
    for word in ("collect", "exclude", "fix code", "deployment active", "gate passed", "of half-worn masks"):
        assert word in told


def test_telling_it_again_changes_nothing(masks: Told) -> None:
    again = mlife("demo", "--scenario", "masks", "--home", str(masks.home), "--json", timeout=300)

    assert again.returncode == 0, again.stderr[-2000:]
    assert {**json.loads(again.stdout.splitlines()[-1]), "seconds": 0} == {**masks.result, "seconds": 0}


def test_a_home_holds_one_scenario(tmp_path: Path) -> None:
    (tmp_path / "demo" / "masks-0").mkdir(parents=True)

    other = mlife("demo", "--home", str(tmp_path))

    assert other.returncode == 1
    assert "holds the scenario masks, seed 0" in other.stderr
    assert "--scenario masks --seed 0" in other.stderr
