"""Merge, split, and what follows; why a report is where it is; doors that say the same."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.events import BadcaseMerged
from mlife.badcases.regrouping import to_merge, to_split
from mlife.badcases.views import details, grouping, lists, turns
from mlife.core.command import given_for_test
from mlife.core.errors import NotFound, Refused
from tests.badcases.conftest import NOW, Field, report
from tests.badcases.test_life import activated, judged, trained
from tests.conftest import drain

NINE, SEVEN, ONE = "9 read as 4", "7 read as 4", "1 read as 4"


def ids_of(field: Field) -> dict[str, str]:
    """Title → id of the badcases that are listed."""
    return {b.title: b.badcase_id for b in field.read(lists.badcases, now=NOW).items}


def merged(field: Field, one: str, into: str) -> Any:
    return field.do(commands.merge, **field.read(to_merge, [one], into))


def split_off(field: Field, badcase_id: str, reports: list[int], title: str = "with masks") -> str:
    given = field.read(to_split, badcase_id, reports, None, now=NOW)
    return str(field.do(commands.split, **given, title=title).events[0].badcase_id)


@pytest.fixture
def three(field: Field) -> tuple[Field, dict[str, str]]:
    """9, 7 and 1 read as 4, with three, two and one report."""
    field.send(*(report("9", picture=n, client=f"c{n}") for n in range(3)))
    field.send(*(report("7", picture=n, client="c1") for n in range(2)))
    field.send(report("1", picture="other"))
    return field, ids_of(field)


def test_a_merge_counts_old_and_new_reports_in_one_badcase(three: tuple[Field, dict[str, str]]) -> None:
    field, ids = three
    merged(field, ids[SEVEN], ids[NINE])
    field.send(report("7", picture="new", client="c9"))

    one = field.read(lists.badcase, ids[NINE])
    assert (one.reports, one.pictures, one.clients) == (6, 4, 4)
    assert (one.title, one.truth) == (NINE, "9")
    assert set(ids_of(field)) == {NINE, ONE}
    assert [b.badcase_id for b in field.read(lists.badcases, "7", now=NOW).items] == [ids[NINE]]


def test_an_unmerge_gives_back_what_came_with_the_merge_and_what_came_since(
    three: tuple[Field, dict[str, str]],
) -> None:
    field, ids = three
    merged(field, ids[SEVEN], ids[NINE])
    field.send(report("7", picture="new"))
    field.do(commands.unmerge, badcase_id=ids[SEVEN])

    assert [field.read(lists.badcase, ids[t]).reports for t in (NINE, SEVEN)] == [3, 3]
    assert field.read(grouping.home_of, ids[SEVEN]) is None


def test_what_was_merged_into_a_merged_badcase_goes_with_it_and_comes_back_with_it(
    three: tuple[Field, dict[str, str]],
) -> None:
    field, ids = three
    merged(field, ids[ONE], ids[SEVEN])
    merged(field, ids[SEVEN], ids[NINE])
    assert field.read(lists.badcase, ids[NINE]).reports == 6
    assert field.read(grouping.home_of, ids[ONE]).badcase_id == ids[NINE]

    field.do(commands.unmerge, badcase_id=ids[SEVEN])
    assert [field.read(lists.badcase, ids[t]).reports for t in (NINE, SEVEN, ONE)] == [3, 3, 0]
    assert field.read(grouping.home_of, ids[ONE]).badcase_id == ids[SEVEN]


def test_pins_verdicts_causes_and_iterations_follow_a_merge_and_come_back(
    three: tuple[Field, dict[str, str]],
) -> None:
    field, ids = three
    seven, nine = ids[SEVEN], ids[NINE]
    row = {"uid": "u", "sha256": "a" * 64, "annotation": {"type": "class", "label": "7"}}
    field.do(commands.pin, badcase_id=seven, system="digits", function="digit", rows=[row])
    field.do(commands.name_cause, system="digits", function="digit", title="masks", badcase_ids=[seven])
    field.do(commands.open_iteration, system="digits", function="digit", title="turn", badcase_ids=[seven])
    field.happen(trained("mdl-2"), judged("mdl-2", seven, "failing"), judged("mdl-2", nine, "fixed"))
    before = told(field, seven), told(field, nine)
    merged(field, seven, nine)

    pins, verdicts, causes, iterations, status = told(field, nine)
    assert (pins, verdicts, len(causes), len(iterations)) == (["a" * 64], [("mdl-2", "failing")], 1, 1)
    assert status == "fix planned"
    assert field.read(turns.targets, iterations[0]) == [nine]

    field.do(commands.unmerge, badcase_id=seven)
    assert (told(field, seven), told(field, nine)) == before


def told(field: Field, badcase_id: str) -> tuple[Any, ...]:
    """What holds for a badcase."""
    b = field.read(lists.badcase, badcase_id)
    return (
        [p.sha256 for p in field.read(details.pins, [badcase_id])],
        [(v.model_id, v.verdict) for v in field.read(details.verdicts, badcase_id)],
        [cause_id for cause_id, _ in b.causes],
        [iteration_id for iteration_id, _ in b.iterations],
        b.status,
    )


def test_what_is_said_of_a_merged_badcase_afterwards_holds_where_it_is_counted(
    three: tuple[Field, dict[str, str]],
) -> None:
    field, ids = three
    merged(field, ids[SEVEN], ids[NINE])
    field.happen(trained("mdl-2"), judged("mdl-2", ids[SEVEN], "fixed"), activated("mdl-2", "2.0"))
    field.do(commands.name_cause, system="digits", function="digit", title="masks", badcase_ids=[ids[SEVEN]])

    assert told(field, ids[NINE])[1:3] == ([("mdl-2", "fixed")], [field.read(turns.causes)[0].cause_id])
    assert told(field, ids[NINE])[4] == "shipped"


def test_a_merge_that_can_not_be_is_refused_with_a_way_out(three: tuple[Field, dict[str, str]]) -> None:
    field, ids = three
    field.send(report("7", function="letter"))
    letter = next(b.badcase_id for b in field.read(lists.badcases, now=NOW).items if b.function == "letter")
    merged(field, ids[SEVEN], ids[NINE])
    for one, into, why in (
        (ids[NINE], ids[NINE], "into itself"),
        (ids[NINE], ids[SEVEN], f"is itself merged into {ids[NINE]}"),
        (ids[SEVEN], ids[ONE], "is merged into"),
        (letter, ids[NINE], "function letter"),
    ):
        with pytest.raises(Refused, match=why) as refused:
            merged(field, one, into)
        assert refused.value.remedy
    with pytest.raises(NotFound):
        merged(field, "bc-000000000000", ids[NINE])
    assert merged(field, ids[SEVEN], ids[NINE]).events == ()


def test_of_two_people_who_merge_two_badcases_into_each_other_the_second_is_refused() -> None:
    known = [
        {"badcase_id": b, "system": "digits", "function": "digit", "title": b, "reports": 1} for b in ("bc-a", "bc-b")
    ]
    given = given_for_test([BadcaseMerged(badcase_id="bc-a", into="bc-b", system="digits", function="digit")], now=NOW)
    with pytest.raises(Refused, match="bc-a is itself merged into bc-b"):
        commands.merge(given, badcase_ids=["bc-b"], into="bc-a", known=[commands.Known(**k) for k in known])
    assert given.versions["badcase/bc-a"] == 1, "the append checks that nobody was faster"


def test_a_split_counts_chosen_reports_apart_and_new_ones_where_they_were(
    three: tuple[Field, dict[str, str]],
) -> None:
    field, ids = three
    chosen = [r.position for r in field.read(lists.reports_of, ids[NINE])][:2]
    new = split_off(field, ids[NINE], chosen)
    field.send(report("9", picture="later"))

    made = field.read(lists.badcase, new)
    assert (made.reports, made.title, made.truth, made.prediction) == (2, "with masks", "9", "4")
    assert field.read(lists.badcase, ids[NINE]).reports == 2
    assert "a person split them off" in grouping_sentence(field, new)

    field.do(commands.rejoin, badcase_id=new)
    assert field.read(lists.badcase, ids[NINE]).reports == 4
    assert field.read(grouping.home_of, new).badcase_id == ids[NINE]
    field.do(commands.split_again, badcase_id=new)
    assert field.read(lists.badcase, new).reports == 2


def grouping_sentence(field: Field, badcase_id: str) -> str:
    from mlife.badcases.fingerprint import explain

    (part,) = field.read(grouping.parts_of, badcase_id)
    return explain(part.fingerprint, part.rule).sentence


def test_a_split_by_a_query_takes_what_it_finds_and_no_more(three: tuple[Field, dict[str, str]]) -> None:
    field, ids = three
    given = field.read(to_split, ids[NINE], [], "client:c1,c2", now=NOW)
    new = field.do(commands.split, **given, title="two fleets").events[0]
    field.send(report("9", picture="later", client="c2"))

    assert len(new.reports) == 2
    assert field.read(lists.badcase, new.badcase_id).reports == 2


@pytest.mark.parametrize("chosen", ["none", "all", "foreign"])
def test_a_split_of_nothing_of_all_or_of_what_is_elsewhere_is_refused(
    three: tuple[Field, dict[str, str]], chosen: str
) -> None:
    field, ids = three
    mine = [r.position for r in field.read(lists.reports_of, ids[NINE])]
    theirs = [r.position for r in field.read(lists.reports_of, ids[SEVEN])]
    with pytest.raises(Refused) as refused:
        split_off(field, ids[NINE], {"none": [], "all": mine, "foreign": theirs}[chosen])
    assert refused.value.remedy


def test_a_correction_moves_a_report_out_of_a_split_and_correcting_it_back_moves_it_in_again(
    three: tuple[Field, dict[str, str]],
) -> None:
    field, ids = three
    chosen = [r.position for r in field.read(lists.reports_of, ids[NINE])][:2]
    new = split_off(field, ids[NINE], chosen)
    correct(field, chosen[0], "7")
    assert [field.read(lists.badcase, b).reports for b in (new, ids[SEVEN])] == [1, 3]
    correct(field, chosen[0], "9")
    assert [field.read(lists.badcase, b).reports for b in (new, ids[SEVEN])] == [2, 2]


def correct(field: Field, position: int, label: str) -> None:
    (recorded,) = field.home.ports.store.read(position - 1, 1)
    e: Any = recorded.event
    field.do(
        commands.correct_report,
        uid=e.uid,
        badcase_id=e.badcase_id,
        position=position,
        system=e.system,
        function=e.function,
        prediction=e.prediction,
        fields=e.fields,
        truth={"type": "class", "label": label},
        reason="looked again",
    )


def test_a_report_says_each_event_that_brought_it_where_it_is(three: tuple[Field, dict[str, str]]) -> None:
    field, ids = three
    chosen = [r.position for r in field.read(lists.reports_of, ids[NINE])][:1]
    new = split_off(field, ids[NINE], chosen)
    merged(field, new, ids[SEVEN])
    merged(field, ids[SEVEN], ids[ONE])

    way = field.read(grouping.way_of, chosen[0])
    assert [(s.how, s.badcase_id) for s in way] == [("split", new), ("merged", ids[SEVEN]), ("merged", ids[ONE])]
    assert sorted(s.number for s in way) == [s.number for s in way]
    parts = field.read(grouping.parts_of, ids[ONE])
    assert [(p.how, p.badcase_id, p.reports) for p in parts] == [
        ("fingerprint", ids[ONE], 1),
        ("merged", ids[SEVEN], 2),
        ("merged", new, 1),
    ]


# --- doors ---


@pytest.fixture
def door(three: tuple[Field, dict[str, str]], client: TestClient) -> tuple[TestClient, Field, dict[str, str]]:
    field, ids = three
    return client, field, ids


def test_the_address_of_a_merged_badcase_leads_to_its_home_with_a_sentence_and_a_way_back(
    door: tuple[TestClient, Field, dict[str, str]],
) -> None:
    client, field, ids = door
    made = client.post(
        "/api/v1/badcases/merge", json={"badcase_ids": [ids[SEVEN], ids[NINE]], "reason": "one and the same"}
    )
    assert made.json()["merged"] == [ids[SEVEN]]
    assert made.json()["into"] == ids[NINE]
    drain(field.home)
    shown = client.get(f"/badcases/{ids[SEVEN]}")
    assert shown.url.path == f"/badcases/{ids[NINE]}"
    assert "is merged into this one by" in shown.text
    assert "one and the same" in shown.text
    assert f'action="/badcases/{ids[SEVEN]}/unmerge"' in shown.text
    assert client.get(f"/api/v1/badcases/{ids[SEVEN]}").json()["badcase"]["reports"] == 5
    refused = client.post(f"/api/v1/badcases/{ids[SEVEN]}/triage", json={})
    assert refused.status_code == 409
    assert ids[NINE] in refused.json()["remedy"]

    client.post(f"/badcases/{ids[SEVEN]}/unmerge")
    drain(field.home)
    assert client.get(f"/badcases/{ids[SEVEN]}").url.path == f"/badcases/{ids[SEVEN]}"


def test_a_merge_of_many_is_taken_back_as_one_by_its_toast_and_all_or_none(
    door: tuple[TestClient, Field, dict[str, str]],
) -> None:
    client, field, ids = door
    chosen = {"selected": "*", "q": "function:digit"}
    with pytest.raises(Refused, match="more than 1,000 badcases"):
        field.read(to_merge, [f"bc-{n}" for n in range(1_001)], ids[NINE])
    client.post("/badcases/merge", data=chosen, follow_redirects=False)
    undo = orjson.loads(base64.urlsafe_b64decode(client.cookies["mlife_said"]))[1]
    drain(field.home)
    assert list(ids_of(field)) == [NINE]
    refused = client.post("/api/v1/badcases/unmerge", json={"badcase_ids": [ids[SEVEN], ids[NINE]]})
    assert refused.status_code == 409
    drain(field.home)
    assert list(ids_of(field)) == [NINE]

    assert client.post(undo, follow_redirects=False).status_code == 303
    drain(field.home)
    assert set(ids_of(field)) == {NINE, SEVEN, ONE}


def test_reports_are_split_off_from_the_gallery_and_the_toast_undoes_it(
    door: tuple[TestClient, Field, dict[str, str]],
) -> None:
    client, field, ids = door
    chosen = [str(r.position) for r in field.read(lists.reports_of, ids[NINE])][:2]
    gallery = client.get(f"/badcases/{ids[NINE]}/grouping?selected={','.join(chosen)}").text
    assert gallery.count(" checked") >= 2
    answer = client.post(
        f"/badcases/{ids[NINE]}/split", data={"selected": chosen, "title": "with masks"}, follow_redirects=False
    )
    assert answer.status_code == 303
    new = answer.headers["location"].partition("?")[0].rpartition("/")[2]
    drain(field.home)
    assert field.read(lists.badcase, new).reports == 2
    assert "Take the split back" in client.get(f"/badcases/{new}").text

    client.post(f"/badcases/{new}/rejoin", follow_redirects=False)
    drain(field.home)
    assert field.read(lists.badcase, ids[NINE]).reports == 3
    led = client.get(f"/badcases/{new}")
    assert led.url.path == f"/badcases/{ids[NINE]}"
    assert "was split off, and taken back" in led.text


def test_a_correction_is_taken_back_by_its_toast_and_that_again(
    door: tuple[TestClient, Field, dict[str, str]],
) -> None:
    client, field, ids = door
    place = field.read(lists.reports_of, ids[NINE])[0].position

    def counts() -> list[int]:
        drain(field.home)
        return [field.read(lists.badcase, ids[t]).reports for t in (NINE, SEVEN)]

    assert client.post(f"/api/v1/reports/{place}/correction/undo").status_code == 409
    page = client.post(f"/reports/{place}/correct", data={"label": "7", "reason": "looked again"})
    assert f'action="/reports/{place}/correction/undo"' in page.text
    assert counts() == [2, 3]
    client.post(f"/reports/{place}/correction/undo")
    assert counts() == [3, 2]
    client.post(f"/reports/{place}/correction/undo")
    assert counts() == [2, 3]


def test_why_is_answered_to_programs_with_counts_and_events(
    door: tuple[TestClient, Field, dict[str, str]],
) -> None:
    client, field, ids = door
    client.post(f"/api/v1/badcases/{ids[SEVEN]}/merge", json={"into": ids[NINE]})
    drain(field.home)
    told = client.get(f"/api/v1/badcases/{ids[NINE]}/grouping").json()

    assert told["totals"] == {"reports": 5, "pictures": 3, "clients": 3}
    assert [(p["how"], p["reports"]) for p in told["parts"]] == [("fingerprint", 3), ("merged", 2)]
    assert client.get(f"/api/v1/events/{told['parts'][1]['number']}").json()
