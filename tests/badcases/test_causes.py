"""Causes: named, changed, merged, ended, and all of it taken back; their remedies; what needs a person under them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.events import CauseRemedyChosen
from mlife.badcases.states import Cause
from mlife.badcases.views import causes, lists, needs, turns
from mlife.core.command import Given, given_for_test
from mlife.core.errors import NotFound, Refused
from mlife.core.events import Event
from mlife.core.query import QueryError
from mlife.data.views import requests_for
from mlife.runtime import Home
from tests.badcases.conftest import NOW, Field, report


@pytest.fixture
def home(either_home: Home) -> Home:
    """Every test on both databases."""
    return either_home


A, B = "cau-a", "cau-b"
IDS = ["bc-1", "bc-2", "bc-3"]
Act = tuple[Callable[..., list[Event]], dict[str, Any]]
ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=3)

actions: st.SearchStrategy[Act] = st.one_of(
    st.tuples(
        st.just(commands.rename_cause),
        st.fixed_dictionaries({"cause_id": st.sampled_from([A, B]), "title": st.sampled_from(["x", "y"])}),
    ),
    st.tuples(
        st.sampled_from([commands.extend_cause, commands.reduce_cause]),
        st.fixed_dictionaries({"cause_id": st.sampled_from([A, B]), "badcase_ids": ids}),
    ),
    st.tuples(
        st.just(commands.choose_remedy),
        st.fixed_dictionaries({"cause_id": st.just(A), "remedy": st.sampled_from(["collect", "relabel"])}),
    ),
    st.tuples(
        st.just(commands.choose_remedy),
        st.just({"cause_id": B, "remedy": "collect", "collect": "masks", "wanted": {"happy": 3}}),
    ),
    st.tuples(st.just(commands.merge_causes), st.sampled_from([
        {"cause_id": A, "into_cause_id": B}, {"cause_id": B, "into_cause_id": A},
    ])),
    st.tuples(st.just(commands.delete_cause), st.just({"cause_id": A, "reason": "none"})),
    st.tuples(st.just(commands.reopen_cause), st.sampled_from([{"cause_id": A}, {"cause_id": B}])),
)  # fmt: skip


def on(events: list[Event]) -> Given:
    return given_for_test(events, now=NOW)


def start() -> list[Event]:
    """Two causes that share one badcase."""
    made: list[Event] = []
    for cause_id, held in ((A, IDS[:2]), (B, IDS[1:2])):
        (named,) = commands.name_cause(on([]), system="s", function="f", title=cause_id, badcase_ids=held)
        made.append(named.model_copy(update={"cause_id": cause_id}))
    return made


def values(events: list[Event]) -> list[Any]:
    """What holds of both causes."""
    states = [on(events)(Cause, cause_id) for cause_id in (A, B)]
    return [(s.words, set(s.badcase_ids), s.remedy, s.ended) for s in states]


def about(events: list[Event]) -> str:
    """The cause whose action is taken back first."""
    return str(events[0].cause_id)  # type: ignore[attr-defined]


@settings(max_examples=200, deadline=None)
@given(st.lists(actions, max_size=10))
def test_any_actions_taken_back_in_reverse_give_the_start(acts: list[Act]) -> None:
    events = start()
    done: list[tuple[str, list[Any]]] = []
    for command, input in acts:
        before = values(events)
        try:
            new = command(on(events), **input)
        except Refused:
            continue
        if new:
            done.append((about(new), before))
            events += new
    while done:
        cause_id, before = done.pop()
        events += commands.take_back_of_cause(on(events), cause_id=cause_id)
        assert values(events) == before


def of(field: Field) -> dict[str, set[str]]:
    """Title → badcases, as the tables have it."""
    found = field.read(causes.causes)
    return {c.title: set(field.read(causes.badcases_of_cause, c.cause_id)) for c in found}


@pytest.fixture
def three(field: Field) -> tuple[Field, list[str]]:
    """Three badcases."""
    field.send(report("9", "4"), report("7", "1", picture=2), report("3", "8", picture=3))
    return field, [b.badcase_id for b in field.read(lists.badcases, now=NOW).items]


def named(field: Field, title: str, badcase_ids: list[str]) -> str:
    made = field.do(commands.name_cause, system="digits", function="digit", title=title, badcase_ids=badcase_ids)
    return str(made.events[0].cause_id)


def test_the_tables_follow_every_change_of_a_cause_and_its_taking_back(three: tuple[Field, list[str]]) -> None:
    field, (one, two, other) = three
    a, b = named(field, "a", [one, two]), named(field, "b", [two])
    field.do(commands.merge_causes, cause_id=a, into_cause_id=b)
    assert of(field) == {"b": {one, two}}
    assert field.read(causes.cause, a).into_cause_id == b
    assert [c.title for c in field.read(causes.causes, ended=True)] == ["a"]
    field.do(commands.take_back_of_cause, cause_id=b)  # from the cause that took it in
    assert of(field) == {"a": {one, two}, "b": {two}}
    assert field.read(causes.cause, a).into_cause_id is None

    field.do(commands.extend_cause, cause_id=a, badcase_ids=[other])
    field.do(commands.reduce_cause, cause_id=a, badcase_ids=[one, "bc-none"])
    field.do(commands.rename_cause, cause_id=a, title="c")
    assert of(field) == {"c": {two, other}, "b": {two}}
    field.do(commands.delete_cause, cause_id=a, reason="two things")
    assert of(field) == {"b": {two}}
    assert field.read(lists.badcase, other).causes == ()
    with pytest.raises(Refused, match="was deleted"):
        field.do(commands.extend_cause, cause_id=a, badcase_ids=[one])
    field.do(commands.reopen_cause, cause_id=a)
    assert of(field) == {"c": {two, other}, "b": {two}}
    for _ in range(5):
        field.do(commands.take_back_of_cause, cause_id=a)
    assert of(field) == {"a": {one, two}, "b": {two}}


def test_a_merge_is_not_taken_back_when_its_badcases_have_changed_since() -> None:
    events = start()
    events += commands.merge_causes(on(events), cause_id=A, into_cause_id=B)
    events += commands.reduce_cause(on(events), cause_id=B, badcase_ids=["bc-1"])
    with pytest.raises(Refused, match=r"changed since: its bc-1"):
        commands.take_back_of_cause(on(events), cause_id=A)
    with pytest.raises(Refused, match="was merged into cau-b"):
        commands.extend_cause(on(events), cause_id=A, badcase_ids=["bc-3"])
    events += commands.take_back_of_cause(on(events), cause_id=B)
    events += commands.take_back_of_cause(on(events), cause_id=A)

    assert values(events) == values(start())


def test_causes_of_two_functions_and_of_none_are_not_merged() -> None:
    events = start()
    (strange,) = commands.name_cause(on([]), system="s", function="g", title="c", badcase_ids=[])
    events.append(strange.model_copy(update={"cause_id": "cau-c"}))
    for into, problem in (("cau-c", "about s/f"), (A, "into itself")):
        with pytest.raises(Refused, match=problem):
            commands.merge_causes(on(events), cause_id=A, into_cause_id=into)
    with pytest.raises(NotFound, match="cause"):
        commands.merge_causes(on(events), cause_id=A, into_cause_id="cau-none")


def test_a_remedy_that_says_what_to_collect_is_one_request(three: tuple[Field, list[str]]) -> None:
    field, (one, *_) = three
    cause_id = named(field, "half-worn mask", [one])
    opened = field.do(
        commands.open_iteration, system="digits", function="digit", title="t", badcase_ids=[one], cause_id=cause_id
    )
    chosen = {"cause_id": cause_id, "remedy": "collect", "collect": "masks at night", "wanted": {"9": 40}}
    field.do(commands.choose_remedy, **chosen)
    field.do(commands.choose_remedy, **chosen)  # again

    (request,) = field.read(requests_for, cause_id=cause_id)
    assert (request.what, request.wanted, request.function) == ("masks at night", 40, "digit")
    assert request.iteration_id == opened.events[0].iteration_id
    field.do(commands.choose_remedy, cause_id=cause_id, remedy="relabel", note="the truth was wrong")
    stream = field.home.ports.store.read_stream(f"cause/{cause_id}")
    assert [r.event.remedy for r in stream if isinstance(r.event, CauseRemedyChosen)] == ["collect", "relabel"]
    field.do(commands.take_back_of_cause, cause_id=cause_id)
    found = field.read(causes.cause, cause_id)
    assert (found.remedy, dict(found.wanted), found.collect) == ("collect", {"9": 40}, "masks at night")


def test_a_remedy_takes_only_what_belongs_to_it() -> None:
    events = start()
    with pytest.raises(Refused, match="collects nothing"):
        commands.choose_remedy(on(events), cause_id=A, remedy="relabel", wanted={"9": 1})
    with pytest.raises(Refused, match="excludes nothing"):
        commands.choose_remedy(on(events), cause_id=A, remedy="collect", query="class:9")
    with pytest.raises(QueryError):
        commands.choose_remedy(on(events), cause_id=A, remedy="exclude", query="class:(")


def test_what_needs_a_person_stands_under_its_cause(three: tuple[Field, list[str]], client: TestClient) -> None:
    field, (one, two, other) = three
    assert [(g.cause, g.badcases) for g in field.read(needs.needs)] == [(None, 3)]
    a = named(field, "<i>open</i> tops", [one, two])
    groups = field.read(needs.needs)
    assert [(g.cause and g.cause.title, g.badcases, g.reports) for g in groups] == [
        ("<i>open</i> tops", 2, 2),
        (None, 1, 1),
    ]
    for group in groups:
        found = field.read(lists.badcases, group.query, now=NOW).items
        assert {b.badcase_id for b in found} == {b.badcase_id for b in group.first}
    page = client.get("/badcases/needs", headers={"accept": "text/html"})
    assert page.status_code == 200, page.text[-500:]
    assert "<i>open</i>" not in page.text
    assert "No cause yet" in page.text
    told = client.get("/api/v1/badcases/needs").json()
    assert [g["badcases"] for g in told["groups"]] == [2, 1]

    for badcase_id in (one, two, other):
        field.do(commands.triage, badcase_id=badcase_id)
    assert field.read(needs.needs) == []
    assert "Nothing needs you" in client.get("/badcases/needs", headers={"accept": "text/html"}).text
    assert field.read(causes.cause, a).needing_me == 0


def test_an_iteration_freezes_what_a_query_found_and_says_what_changed(
    three: tuple[Field, list[str]], client: TestClient
) -> None:
    field, _ = three
    said = {"system": "digits", "function": "digit", "title": "turn", "q": "truth:7,9"}
    iteration_id = client.post("/api/v1/iterations", json=said).json()["iteration_id"]
    field.settle()
    found = field.read(turns.iteration, iteration_id)
    assert (found.query, found.badcases) == ("truth:7,9", 2)
    assert found.frozen_at is not None
    assert field.read(turns.changes_of, found, now=NOW) == turns.Changes([], [])
    field.send(report("9", "5", picture=9))
    seven = next(b for b in field.read(lists.badcases, "truth:7", now=NOW).items)
    place = field.read(lists.reports, "truth:7", now=NOW).items[0].position
    client.post(
        f"/api/v1/reports/{place}/correct", json={"truth": {"type": "class", "label": "2"}, "reason": "looked again"}
    )
    field.settle()

    told = client.get(f"/api/v1/iterations/{iteration_id}").json()
    assert [b["title"] for b in told["joined"]] == ["9 read as 5"]
    assert [b["badcase_id"] for b in told["left"]] == [seven.badcase_id]
    page = client.get(f"/iterations/{iteration_id}", headers={"accept": "text/html"}).text
    assert "1 badcase has joined" in page
    assert "An iteration that has ended is not opened again" in page


def test_everything_about_causes_can_be_done_through_the_door(
    three: tuple[Field, list[str]], client: TestClient
) -> None:
    field, (one, two, _) = three
    url = "/api/v1/causes"
    said = {"system": "digits", "function": "digit", "title": "a", "badcase_ids": [one]}
    a = client.post(url, json=said).json()["cause_id"]
    b = client.post(url, json={**said, "title": "b", "badcase_ids": [two]}).json()["cause_id"]
    for action, body in (
        ("rename", {"title": "c", "explanation": "why"}),
        ("extend", {"badcase_ids": [two]}),
        ("reduce", {"badcase_ids": [two]}),
        ("remedy", {"remedy": "collect", "wanted": "9=40, 4=40"}),
        ("merge", {"into_cause_id": b}),
        ("undo", {}),
        ("delete", {"reason": "none"}),
        ("reopen", {}),
    ):
        answer = client.post(f"{url}/{a}/{action}", json=body)
        assert answer.status_code == 200, f"{action}: {answer.text}"
        field.settle()
        assert client.get(f"/causes/{a}", headers={"accept": "text/html"}).status_code == 200
    found = client.get(f"{url}/{a}").json()
    assert found["cause"]["wanted"] == {"9": 40, "4": 40}
    assert found["cause"]["title"] == "c"
    assert client.post(f"{url}/{a}/dance", json={}).status_code == 404
    assert client.post(f"{url}/cau-none/reopen", json={}).status_code == 404


@pytest.mark.parametrize(("chosen", "status"), [("bc-none", 404), ("elsewhere", 409)])
def test_a_cause_and_an_iteration_are_about_badcases_that_there_are_and_of_their_function(
    three: tuple[Field, list[str]], client: TestClient, chosen: str, status: int
) -> None:
    field, (one, *_) = three
    if chosen == "elsewhere":
        field.send(report("1", "2", function="faces"))
        (found,) = field.read(lists.badcases, "function:faces", now=NOW).items
        chosen = found.badcase_id
    said = {"system": "digits", "function": "digit", "title": "a", "badcase_ids": [one, chosen]}
    cause_id = client.post("/api/v1/causes", json={**said, "badcase_ids": [one]}).json()["cause_id"]

    for url, body in (
        ("/api/v1/causes", said),
        ("/api/v1/iterations", said),
        (f"/api/v1/causes/{cause_id}/extend", {"badcase_ids": [chosen]}),
    ):
        refused = client.post(url, json=body)
        assert (refused.status_code, chosen in refused.json()["detail"]) == (status, True)
        assert refused.json()["remedy"]


def test_a_query_that_finds_more_than_a_list_can_hold_is_not_cut_but_refused(
    three: tuple[Field, list[str]], client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MOST_FROZEN", 1)
    said = {"system": "digits", "function": "digit", "title": "turn", "q": "truth:7,9"}

    assert client.post("/api/v1/iterations", json=said).json()["detail"] == "more than 1 badcases match"
