"""A badcase's life: new, triaged, planned, claimed, verified, shipped, closed; regressed, recurring, old model."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from mlife.badcases import commands
from mlife.badcases.events import BadcaseClosed, BadcaseRegressed
from mlife.badcases.views import lists, turns
from mlife.core.errors import Refused
from mlife.serving.events import DeploymentActivated, ModelJudged
from mlife.training.events import ModelTrained
from tests.badcases.conftest import NOW, Field, report, traffic


def trained(model_id: str, *parents: str, iteration_id: str | None = None) -> ModelTrained:
    return ModelTrained(
        model_id=model_id,
        task_id="tsk-1",
        name=model_id,
        system="digits",
        function="digit",
        sha256="0" * 64,
        size=1,
        metrics={},
        parents=parents,
        digests={},
        iteration_id=iteration_id,
    )


def judged(model_id: str, badcase_id: str, verdict: str, lower: float = 0.8) -> ModelJudged:
    one: dict[str, Any] = {
        "badcase_id": badcase_id, "verdict": verdict, "passes": 19, "evidence": 20, "lower": lower, "upper": 0.99,
        "missing": 0, "broken": False, "sentence": f"{verdict}: 19 of 20 pass", "pinned": 10, "siblings": 10,
    }  # fmt: skip
    return ModelJudged(
        model_id=model_id,
        system="digits",
        function="digit",
        opponent_id=None,
        passed=True,
        sentences=("passed",),
        test_sets=(),
        badcases=(one,),
        digests={},
        seen_at=1,
    )


def activated(model_id: str, version: str, reason: str = "created") -> DeploymentActivated:
    return DeploymentActivated(
        deployment_id=f"dep-{version}",
        system="digits",
        function="digit",
        model_ids=(model_id,),
        version=version,
        target="local",
        digests={},
        uris={},
        badcases={},
        share=1.0,
        answered_by=model_id,
        reason=reason,
    )


def status(field: Field, badcase_id: str) -> str:
    found = field.read(lists.badcase, badcase_id)
    assert found is not None
    return str(found.status)


def only(field: Field) -> str:
    (one,) = field.read(lists.badcases, now=NOW).items
    return str(one.badcase_id)


def events_of(field: Field, badcase_id: str, cls: type) -> list[Any]:
    stream = field.home.ports.store.read_stream(f"badcase/{badcase_id}")
    return [r.event for r in stream if isinstance(r.event, cls)]


@pytest.fixture
def shipped(field: Field) -> tuple[Field, str]:
    """9 read as 4 on version 1.0 of mdl-1, fixed by mdl-2, which answers as version 2.0."""
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"))
    field.count(traffic(1_000))
    field.send(*(report(picture=n, observed_at=f"2026-11-20T03:{n:02d}:00Z") for n in range(20)))
    badcase_id = only(field)
    field.happen(trained("mdl-2", "mdl-1"), judged("mdl-2", badcase_id, "fixed"), activated("mdl-2", "2.0"))
    return field, badcase_id


def test_the_status_follows_the_loop_from_report_to_closing(field: Field) -> None:
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"))
    field.send(*(report(picture=n) for n in range(12)))
    badcase_id = only(field)
    seen = [status(field, badcase_id)]
    field.do(commands.triage, badcase_id=badcase_id, note="a real one")
    seen.append(status(field, badcase_id))
    opened = field.do(
        commands.open_iteration, system="digits", function="digit", title="open tops", badcase_ids=[badcase_id]
    )
    iteration_id = opened.events[0].iteration_id
    seen.append(status(field, badcase_id))
    field.happen(trained("mdl-2", "mdl-1", iteration_id=iteration_id))
    seen.append(status(field, badcase_id))
    field.happen(judged("mdl-2", badcase_id, "fixed"))
    seen.append(status(field, badcase_id))
    field.happen(activated("mdl-2", "2.0"))
    seen.append(status(field, badcase_id))
    field.count(traffic(150, version="2.0"))
    seen.append(status(field, badcase_id))
    field.count(traffic(100, version="2.0", hour=1))
    seen.append(status(field, badcase_id))

    assert seen == ["new", "triaged", "fix planned", "fix claimed", "verified", "shipped", "shipped", "closed"]
    (closing,) = events_of(field, badcase_id, BadcaseClosed)
    assert (closing.model_id, closing.bake, closing.iteration_id) == ("mdl-2", 250, iteration_id)
    story = [line.word for line in field.read(turns.story, iteration_id)]
    assert story == ["opened", "model trained", "badcase closed"]


def test_a_verdict_that_is_not_fixed_ships_and_closes_nothing(field: Field) -> None:
    field.send(*(report(picture=n) for n in range(3)))
    badcase_id = only(field)
    field.happen(trained("mdl-2"), judged("mdl-2", badcase_id, "unproven"), activated("mdl-2", "2.0"))
    field.count(traffic(5_000, version="2.0"))

    assert status(field, badcase_id) == "new"
    assert events_of(field, badcase_id, BadcaseClosed) == []


def test_reports_of_a_device_on_the_old_model_are_counted_and_are_no_regression(shipped: tuple[Field, str]) -> None:
    field, badcase_id = shipped
    field.count(traffic(1_000, version="2.0"))
    assert status(field, badcase_id) == "closed"
    field.send(*(report(picture=f"stale {n}", device="cam-old") for n in range(30)))

    assert status(field, badcase_id) == "closed"
    assert events_of(field, badcase_id, BadcaseRegressed) == []
    assert field.read(lists.badcase, badcase_id).reports == 50


def test_two_files_are_no_regression_and_a_clear_rate_is(shipped: tuple[Field, str]) -> None:
    field, badcase_id = shipped
    field.count(traffic(1_000, version="2.0"))
    field.send(*(report(picture=f"again {n}", version="2.0") for n in range(2)))
    assert status(field, badcase_id) == "closed"
    field.send(*(report(picture=f"more {n}", version="2.0") for n in range(18)))

    assert status(field, badcase_id) == "regressed"
    (regression,) = events_of(field, badcase_id, BadcaseRegressed)
    assert (regression.model_id, regression.fixed_by, regression.files) == ("mdl-2", "mdl-2", 20)
    assert regression.p_value < 0.05


def test_one_file_sent_many_times_is_no_regression(shipped: tuple[Field, str]) -> None:
    field, badcase_id = shipped
    field.count(traffic(1_000, version="2.0"))
    field.send(*(report(picture="the same", version="2.0", report_id=str(n)) for n in range(40)))

    assert status(field, badcase_id) == "closed"


def test_a_model_that_replaced_the_fixing_one_regresses_against_its_fix(shipped: tuple[Field, str]) -> None:
    field, badcase_id = shipped
    field.count(traffic(1_000, version="2.0"))
    field.happen(trained("mdl-3", "mdl-2"), judged("mdl-3", badcase_id, "failing"), activated("mdl-3", "3.0"))
    field.count(traffic(1_000, version="3.0"))
    field.send(*(report(picture=f"hotfix {n}", version="3.0") for n in range(20)))
    assert status(field, badcase_id) == "regressed"
    (regression,) = events_of(field, badcase_id, BadcaseRegressed)
    assert (regression.model_id, regression.fixed_by) == ("mdl-3", "mdl-2")

    field.happen(activated("mdl-2", "2.0", reason="rollback of dep-3.0"))
    assert status(field, badcase_id) == "shipped"

    field.happen(trained("mdl-4", "mdl-3"), judged("mdl-4", badcase_id, "fixed"), activated("mdl-4", "4.0"))
    field.count(traffic(1_000, version="4.0"))
    assert status(field, badcase_id) == "closed"
    field.send(*(report(picture=f"late {n}", version="3.0") for n in range(5)))
    assert status(field, badcase_id) == "closed"


def test_a_rollback_to_a_model_without_the_fix_takes_shipped_and_closed_back(shipped: tuple[Field, str]) -> None:
    field, badcase_id = shipped
    assert status(field, badcase_id) == "shipped"
    field.count(traffic(1_000, version="2.0"))
    assert status(field, badcase_id) == "closed"
    field.happen(activated("mdl-1", "1.0", reason="rollback of dep-2.0"))

    assert status(field, badcase_id) == "verified"


def test_without_traffic_counts_it_is_recurring_and_never_regressed(field: Field) -> None:
    field.happen(trained("mdl-1"), activated("mdl-1", "1.0"))
    field.send(*(report(picture=n) for n in range(20)))
    badcase_id = only(field)
    field.happen(trained("mdl-2", "mdl-1"), judged("mdl-2", badcase_id, "fixed"), activated("mdl-2", "2.0"))
    field.send(*(report(picture=f"again {n}", version="2.0") for n in range(50)))

    assert status(field, badcase_id) == "recurring"
    assert events_of(field, badcase_id, BadcaseRegressed) == []


def test_a_report_of_an_unknown_version_is_only_counted(shipped: tuple[Field, str]) -> None:
    field, badcase_id = shipped
    field.count(traffic(1_000, version="2.0"))
    field.send(*(report(picture=f"who {n}", version="9.9") for n in range(50)))

    assert status(field, badcase_id) == "closed"
    assert field.read(lists.badcase, badcase_id).reports == 70


def test_a_mute_ends_by_itself_when_its_time_has_come(field: Field) -> None:
    field.send(report())
    badcase_id = only(field)
    field.do(commands.mute, badcase_id=badcase_id, until=NOW.replace(hour=13), reason="known, fixed on Monday")
    assert status(field, badcase_id) == "muted"
    for wrong in ("2020-11-24T12:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"):
        with pytest.raises(Refused, match="no time to mute until"):
            field.do(commands.mute, badcase_id=badcase_id, until=datetime.fromisoformat(wrong), reason="x")
    field.clock.move(hours=2)
    field.settle()

    assert status(field, badcase_id) == "new"


def test_what_was_rejected_is_triaged_again_only_after_reopening(field: Field) -> None:
    field.send(report())
    badcase_id = only(field)
    field.do(commands.reject, badcase_id=badcase_id, reason="truth_was_wrong")
    assert status(field, badcase_id) == "rejected"
    with pytest.raises(Refused, match="was rejected"):
        field.do(commands.triage, badcase_id=badcase_id)
    field.do(commands.reopen, badcase_id=badcase_id, reason="the truth was right")

    assert status(field, badcase_id) == "triaged"
