"""What is proposed as a cause: what badcases share and others don't, and never what is chance."""

from __future__ import annotations

import random
from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.proposing import Candidate, Seen, proposal_id_of, proposals_of
from mlife.badcases.views import causes, proposals
from mlife.runtime import Home
from tests.badcases.conftest import Field, report


@pytest.fixture
def home(either_home: Home) -> Home:
    """Every test on both databases."""
    return either_home


TUNNELS = 9


def counted(places: dict[str, dict[str, int]], elsewhere: dict[str, int]) -> tuple[list[Candidate], Seen]:
    """Badcase → place → reports, and reports of badcases that are no candidates."""
    candidates = [Candidate(b, sum(n.values())) for b, n in places.items()]
    of: dict[str, dict[str, int]] = {}
    everywhere = dict(elsewhere)
    for badcase_id, counts in places.items():
        for place, n in counts.items():
            of.setdefault(place, {})[badcase_id] = n
            everywhere[place] = everywhere.get(place, 0) + n
    return candidates, Seen("place", of, everywhere, sum(everywhere.values()))


def test_badcases_that_share_a_place_are_proposed_with_the_shares() -> None:
    places = {f"bc-{n}": {"tunnel": 15, "bridge": 1} for n in range(TUNNELS)}
    places |= {f"bc-other-{n}": {"tunnel": 2, "street": 14} for n in range(20)}
    candidates, seen = counted(places, {"street": 500, "tunnel": 50})
    (found,) = (p for p in proposals_of("dms", "emotion", candidates, [seen]) if p.value == "tunnel")

    assert found.badcase_ids == tuple(f"bc-{n}" for n in range(TUNNELS))
    assert found.share == pytest.approx(15 / 16)
    assert found.elsewhere == pytest.approx(91 / 872)
    assert found.score == pytest.approx((found.share - found.elsewhere) * 144)
    assert found.sentence == "these 9 badcases share place=tunnel (94% of reports, 10% elsewhere)"
    assert found.proposal_id == proposal_id_of("dms", "emotion", "place", "tunnel")


def test_what_all_reports_have_and_what_too_few_badcases_share_is_not_proposed() -> None:
    everywhere = {f"bc-{n}": {"tunnel": 10} for n in range(10)}
    assert proposals_of("s", "f", *_asked(counted(everywhere, {}))) == []
    assert proposals_of("s", "f", *_asked(counted(everywhere, {"tunnel": 1000}))) == []
    two = {f"bc-{n}": {"tunnel": 10} for n in range(2)}
    assert proposals_of("s", "f", *_asked(counted(two, {"street": 1000}))) == []


def _asked(both: tuple[list[Candidate], Seen]) -> tuple[list[Candidate], list[Seen]]:
    return both[0], [both[1]]


def test_chance_is_hardly_ever_proposed() -> None:
    proposed = 0
    for seed in range(40):
        dice = random.Random(seed)
        places = {f"bc-{n}": _drawn(dice, dice.choice([1, 2, 5, 10, 40])) for n in range(60)}
        proposed += len(proposals_of("s", "f", *_asked(counted(places, _drawn(dice, 500)))))

    assert proposed <= 2


def _drawn(dice: random.Random, reports: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _ in range(reports):
        place = dice.choices(["street", "tunnel", "bridge", "garage"], [50, 25, 15, 10])[0]
        counts[place] = counts.get(place, 0) + 1
    return counts


def test_the_better_of_two_names_for_the_same_badcases_stays() -> None:
    places = {f"bc-{n}": {"tunnel": 10} for n in range(5)}
    candidates, seen = counted(places, {"street": 500})
    twin = Seen("week", {"2026-11-16": dict.fromkeys(places, 9)}, {"2026-11-16": 45}, seen.total)
    (found,) = proposals_of("s", "f", candidates, [twin, seen])

    assert (found.attribute, found.also) == ("place", ("week=2026-11-16",))


def test_a_label_that_draws_others_to_it_is_proposed() -> None:
    candidates = [Candidate(f"bc-{n}", 30, truth=str(n), prediction="4") for n in range(8)]
    candidates += [Candidate(f"bc-x{n}", 5, truth="9", prediction=str(n)) for n in range(5, 9)]
    found = {(p.attribute, p.value) for p in proposals_of("s", "f", candidates, [])}

    assert found == {("prediction", "4")}
    few = [Candidate(f"bc-{n}", 1, truth=str(n), prediction="4" if n < 4 else str(n)) for n in range(8)]
    assert proposals_of("s", "f", few, []) == []


@pytest.fixture
def fleets(field: Field) -> Field:
    """Four badcases of one client, and four of many."""
    sent: list[dict[str, Any]] = []
    for n in range(4):
        sent += [report("9", f"x{n}", picture=f"a{n}{k}", client="fleet-bad") for k in range(10)]
        sent += [report("9", f"y{n}", picture=f"b{n}{k}", client=f"fleet-{k}") for k in range(10)]
    field.send(*sent)
    return field


def test_a_proposal_from_the_tables_is_named_or_dismissed_for_good(fleets: Field, client: TestClient) -> None:
    (found,) = (p for p in fleets.read(proposals.propose) if p.attribute == "client")
    assert (found.value, len(found.badcase_ids), found.share) == ("fleet-bad", 4, 1.0)
    html = {"accept": "text/html"}
    assert "share client=fleet-bad" in client.get("/causes", headers=html).text
    assert "share client=fleet-bad" in client.get("/badcases/needs", headers=html).text

    about = {"system": "digits", "function": "digit", "attribute": "client", "value": "fleet-bad"}
    dismissed = client.post("/api/v1/proposals/dismiss", json=about).json()["proposal_id"]
    fleets.settle()
    assert dismissed == found.proposal_id
    assert fleets.read(proposals.propose) == []
    assert client.get("/api/v1/causes").json()["dismissed"][0]["value"] == "fleet-bad"
    fleets.send(report("9", "x0", picture="more", client="fleet-bad"))
    assert fleets.read(proposals.propose) == []
    client.post(f"/api/v1/proposals/{dismissed}/restore")
    fleets.settle()
    assert [p.value for p in fleets.read(proposals.propose)] == ["fleet-bad"]

    fleets.do(
        commands.name_cause,
        system="digits",
        function="digit",
        title="a dirty lens",
        badcase_ids=list(found.badcase_ids),
        proposal_id=found.proposal_id,
    )
    assert fleets.read(proposals.propose) == []
    (cause,) = fleets.read(causes.causes)
    assert cause.badcases == 4


def test_badcases_that_look_alike_are_proposed_and_once_dismissed_with_whatever_middle_they_are_not() -> None:
    candidates = [Candidate(f"bc-{n}", 5) for n in range(12)]
    ring = [("bc-0", "bc-1", 0.9), ("bc-0", "bc-2", 0.95), ("bc-0", "bc-3", 0.9), ("bc-1", "bc-2", 0.91)]
    loose = [("bc-7", "bc-8", 0.9)]
    (found,) = proposals_of("dms", "emotion", candidates, [], (), [*ring, *loose, ("bc-1", "bc-gone", 1.0)])

    assert set(found.badcase_ids) == {"bc-0", "bc-1", "bc-2", "bc-3"}
    assert (found.attribute, found.value) == ("likeness", "bc-0")
    assert found.sentence == "these 4 badcases look or read alike (67% of their pairs, 3% of others)"
    assert found.score == pytest.approx((4 / 6 - 2 / 62) * 20)
    star = [("bc-0", f"bc-{n}", 0.9) for n in range(4, 9)]
    (fewer,) = proposals_of("dms", "emotion", candidates, [], (), star)
    assert len(fewer.badcase_ids) == 3
    gone = {proposal_id_of("dms", "emotion", "likeness", "bc-2")}
    assert proposals_of("dms", "emotion", candidates, [], gone, [*ring, *loose]) == []


def test_when_all_badcases_look_alike_it_tells_none_apart() -> None:
    candidates = [Candidate(f"bc-{n}", 5) for n in range(8)]
    every = [(a.badcase_id, b.badcase_id, 1.0) for a in candidates for b in candidates if a.badcase_id < b.badcase_id]
    assert proposals_of("dms", "emotion", candidates, [], (), every) == []
    some = every[:14]
    assert all(p.share >= 2 * p.elsewhere for p in proposals_of("dms", "emotion", candidates, [], (), some))
