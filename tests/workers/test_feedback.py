"""Values of messages are judged like reports of HTTP, each by itself, however many there are."""

from typing import Any

import pytest

from mlife.badcases.events import BadcaseReported
from mlife.badcases.intake.feedback import Feedback
from mlife.badcases.intake.taking import Intake
from mlife.core.errors import Unavailable
from mlife.runtime import Home
from tests.workers.cluster import facts
from tests.workers.customers import plain, structured


def test_of_thousands_every_refusal_names_its_place(home: Home) -> None:
    values = [b"nonsense" if n % 2 else plain(n) for n in range(4_300)]
    judged = Feedback(Intake(home.ports.store, home.sealer))(values)

    assert (judged.accepted, judged.known) == (2_150, 0)
    assert sorted(r.line for r in judged.refused) == list(range(2, 4_301, 2))
    assert [r.event.report_id for r in facts(home, BadcaseReported)] == [f"r{n}" for n in range(0, 4_300, 2)]


def test_a_whole_batch_of_nonsense_is_refused_whole(home: Home) -> None:
    judged = Feedback(Intake(home.ports.store, home.sealer))([b"nonsense"] * 2_000)

    assert sorted(r.line for r in judged.refused) == list(range(1, 2_001))


def test_one_on_which_mlife_itself_fails_is_refused_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = Intake._prepare_report

    def faulty(self: Intake, item: Any, *more: Any) -> Any:
        if item["report_id"] == "r3":
            raise RecursionError("too deep")
        return prepare(self, item, *more)

    monkeypatch.setattr(Intake, "_prepare_report", faulty)
    judged = Feedback(Intake(home.ports.store, home.sealer))([plain(1), structured(2), plain(3), structured(4)])

    assert [r.line for r in judged.refused] == [3]
    assert "MLife met a fault of its own (RecursionError: too deep)" in judged.refused[0].problem
    assert [r.event.report_id for r in facts(home, BadcaseReported)] == ["r1", "r2", "r4"]


def test_an_outage_refuses_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    feedback = Feedback(Intake(home.ports.store, home.sealer))

    def away(*_: Any) -> Any:
        raise Unavailable("the log is away")

    with monkeypatch.context() as now:
        now.setattr(type(home.ports.store), "submit", away)
        with pytest.raises(Unavailable):
            feedback([plain(1), b"nonsense"])
    assert feedback([plain(1), b"nonsense"]).accepted == 1


def test_a_report_that_says_another_thing_under_the_same_id_is_refused_with_the_difference(home: Home) -> None:
    feedback = Feedback(Intake(home.ports.store, home.sealer))
    feedback([plain(1)])
    judged = feedback([plain(1), plain(1, description="in a tunnel")])

    assert (judged.accepted, judged.known) == (0, 1)
    ((line, field),) = [(r.line, r.field) for r in judged.refused]
    assert (line, field) == (2, "description")
