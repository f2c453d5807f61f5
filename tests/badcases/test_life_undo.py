"""Taking back what people did, comments, and why a priority is what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.events import BadcaseClosed, CommentDeleted, CommentEdited
from mlife.badcases.states import PEOPLES, Badcase
from mlife.badcases.views import comments, lists, priority
from mlife.core.command import Given, given_for_test
from mlife.core.errors import NotFound, Refused
from mlife.core.events import Event
from mlife.core.sealing import Sealer
from mlife.runtime import Home
from tests.badcases.conftest import NOW, Field, report, traffic
from tests.badcases.test_life import only, status


@pytest.fixture
def home(either_home: Home) -> Home:
    """Every test on both databases."""
    return either_home


BC = "bc-000000000001"
Act = tuple[Callable[..., list[Event]], dict[str, Any]]

actions: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just(commands.triage), st.fixed_dictionaries({"note": st.sampled_from(["", "real"])})),
    st.tuples(st.just(commands.assign), st.fixed_dictionaries({"owner": st.sampled_from([None, "ana", "ben"])})),
    st.tuples(
        st.just(commands.prioritise),
        st.fixed_dictionaries({"priority": st.sampled_from([None, 0.0, 50.0, 100.0]), "reason": st.just("why")}),
    ),
    st.tuples(
        st.just(commands.mute),
        st.fixed_dictionaries(
            {"until": st.integers(1, 5).map(lambda d: NOW + timedelta(days=d)), "reason": st.just("x")}
        ),
    ),
    st.tuples(st.just(commands.unmute), st.just({})),
    st.tuples(
        st.just(commands.reject), st.fixed_dictionaries({"reason": st.sampled_from(["not_a_failure", "wont_fix"])})
    ),
    st.tuples(st.just(commands.reopen), st.fixed_dictionaries({"reason": st.just("back")})),
)


def values(given: Given) -> dict[str, Any]:
    state = given(Badcase, BC)
    return {name: getattr(state, name) for name in PEOPLES}


def on(events: list[Event]) -> Given:
    return given_for_test(events, now=NOW)


def carry_out(events: list[Event], command: Callable[..., list[Event]], **input: Any) -> bool:
    """Whether it wrote something; what is refused writes nothing."""
    try:
        new = command(on(events), badcase_id=BC, **input)
    except Refused:
        return False
    events += new
    return bool(new)


@settings(max_examples=150, deadline=None)
@given(st.lists(actions, max_size=12))
def test_any_actions_taken_back_in_reverse_give_the_start(acts: list[Act]) -> None:
    events: list[Event] = []
    states = [values(on(events))]
    for command, input in acts:
        if carry_out(events, command, **input):
            states.append(values(on(events)))
    while len(states) > 1:
        assert values(on(events)) == states.pop()
        events += commands.take_back(on(events), badcase_id=BC)
    assert values(on(events)) == states[0]
    with pytest.raises(Refused, match="nothing that can be taken back"):
        commands.take_back(on(events), badcase_id=BC)


@settings(max_examples=150, deadline=None)
@given(st.lists(actions, max_size=8), st.integers(1, 8))
def test_an_action_from_the_middle_is_taken_back_alone_or_refused(acts: list[Act], version: int) -> None:
    events: list[Event] = []
    for command, input in acts:
        carry_out(events, command, **input)
    before = values(on(events))
    possible = on(events)(Badcase, BC).actions.possible()
    if version not in possible:
        with pytest.raises(Refused):
            commands.take_back(on(events), badcase_id=BC, version=version)
        return
    undone = next(a for a in on(events)(Badcase, BC).actions._live if a.version == version)
    events += commands.take_back(on(events), badcase_id=BC, version=version)

    assert values(on(events)) == before | {k: v for k, v in undone.before.items() if k in PEOPLES}


def test_what_has_changed_since_is_not_taken_back() -> None:
    events: list[Event] = []
    carry_out(events, commands.assign, owner="ana")
    carry_out(events, commands.triage)
    carry_out(events, commands.assign, owner="ben")
    with pytest.raises(Refused, match=r"changed since: its owner by version 3 \(assigned\)"):
        commands.take_back(on(events), badcase_id=BC, version=1)
    carry_out(events, commands.take_back, version=3)
    carry_out(events, commands.take_back, version=1)

    assert values(on(events))["owner"] is None
    assert values(on(events))["triaged"] is True


def test_what_the_field_showed_is_nobodys_to_take_back() -> None:
    closing = BadcaseClosed(badcase_id=BC, model_id="mdl-1", deployment_id="dep-1", bake=200, sentence="fixed")
    with pytest.raises(Refused, match="nothing that can be taken back"):
        commands.take_back(on([closing]), badcase_id=BC)
    with pytest.raises(Refused, match="no person's action"):
        commands.take_back(on([closing]), badcase_id=BC, version=1)


def test_the_tables_follow_what_is_taken_back(field: Field) -> None:
    field.send(report())
    bc = only(field)
    field.do(commands.prioritise, badcase_id=bc, priority=97, reason="shown at the fair")
    field.do(commands.reject, badcase_id=bc, reason="wont_fix")
    computed = field.read(priority.why, bc).computed
    assert (status(field, bc), field.read(lists.badcase, bc).priority) == ("rejected", 97)
    field.do(commands.take_back, badcase_id=bc)
    field.do(commands.take_back, badcase_id=bc)

    assert status(field, bc) == "new"
    found = field.read(lists.badcase, bc)
    assert found.priority == pytest.approx(computed, abs=0.01)
    assert found.priority_reason is None


def test_a_mute_that_is_taken_back_never_ends_by_itself(field: Field) -> None:
    field.send(report())
    bc = only(field)
    field.do(commands.mute, badcase_id=bc, until=NOW.replace(hour=13), reason="known")
    field.do(commands.take_back, badcase_id=bc)
    assert status(field, bc) == "new"
    head = field.home.ports.store.head()
    field.clock.move(hours=2)
    field.settle()

    assert field.home.ports.store.head() == head


def test_comments_are_written_edited_and_deleted_and_the_log_keeps_them(field: Field, client: TestClient) -> None:
    field.send(report())
    bc = only(field)
    url = f"/api/v1/badcases/{bc}/comments"
    first = client.post(url, json={"text": "  wet lenses  "}, headers={"x-actor": "ana"}).json()["comment_id"]
    second = client.post(url, json={"text": "<b>not</b> only"}).json()["comment_id"]
    client.post(f"{url}/{first}/edit", json={"text": "wet lenses, mostly"}, headers={"x-actor": "ben"})
    client.post(f"{url}/{second}/delete")
    field.settle()

    (left,) = client.get(url).json()["comments"]
    assert (left["text"], left["by"], left["edited_by"]) == ("wet lenses, mostly", "ana", "ben")
    kept = [type(r.event) for r in field.home.ports.store.read_stream(f"comments/{bc}")]
    assert kept[2:] == [CommentEdited, CommentDeleted]
    page = client.get(f"/badcases/{bc}", headers={"accept": "text/html"}).text
    assert "wet lenses, mostly" in page
    assert "<b>not</b>" not in page
    assert client.post(f"{url}/com-none/edit", json={"text": "x"}).status_code == 404
    assert client.post(url, json={"text": " "}).status_code == 409
    assert field.read(comments.comments_on, "bc-none") == []


def test_a_comment_that_says_the_same_again_changes_nothing() -> None:
    written = commands.write_comment(on([]), badcase_id=BC, system="digits", text="x")
    given = on(written)
    comment_id: str = written[0].comment_id  # type: ignore[attr-defined]

    assert commands.edit_comment(given, badcase_id=BC, system="digits", comment_id=comment_id, text=" x ") == []
    with pytest.raises(NotFound, match="comment"):
        commands.delete_comment(given, badcase_id=BC, comment_id="com-other")


def test_the_terms_of_a_priority_add_up_and_a_person_comes_before_them(field: Field) -> None:
    field.count(traffic(1_000))
    field.send(*(report(picture=n, client=f"fleet-{n % 3}", severity="major") for n in range(6)))
    bc = only(field)
    told = field.read(priority.why, bc)
    points = {t.term: t.points for t in told.terms}

    assert points["frequency"] == pytest.approx(45 * 60 / 80)  # 6 per 1,000, times ten
    assert points["severity"] == pytest.approx(25 * 2 / 3)
    assert points["customers"] == pytest.approx(7.5)
    assert points["trend"] == pytest.approx(7.5)
    assert told.priority == pytest.approx(sum(points.values()), abs=0.01)
    assert "6.00 per 1,000 requests" in told.terms[0].sentence


def test_undo_is_a_button_a_word_and_a_door(field: Field, client: TestClient) -> None:
    field.send(report())
    bc = only(field)
    client.post(f"/badcases/{bc}/triage", data={"note": "real"})
    field.settle()
    page = client.get(f"/badcases/{bc}", headers={"accept": "text/html"}).text
    assert f'action="/badcases/{bc}/undo?version=1"' in page
    assert client.get(f"/api/v1/badcases/{bc}").json()["can_be_taken_back"] == {"1": "triaged"}
    got = client.post(f"/badcases/{bc}/undo?version=1", data={}, follow_redirects=False)
    field.settle()

    assert got.status_code == 303
    assert status(field, bc) == "new"
    assert client.post(f"/api/v1/badcases/{bc}/undo", json={}).status_code == 409


def test_the_text_of_a_comment_can_be_sealed_and_is_read_by_those_who_have_the_key(
    field: Field, client: TestClient
) -> None:
    field.send(report())
    bc = only(field)
    sealer = Sealer(field.home.keys, {"digits": frozenset({"text"})})
    field.home.do = replace(field.home.do, sealer=sealer)
    field.do(commands.write_comment, badcase_id=bc, system="digits", text="call Jo Doe")
    (stored,) = field.read(comments.comments_on, bc)

    assert "Jo Doe" not in stored.text
    assert client.get(f"/api/v1/badcases/{bc}/comments").json()["comments"][0]["text"] == "call Jo Doe"
    page = client.get(f"/badcases/{bc}", headers={"accept": "text/html"}).text
    assert page.count("call Jo Doe") == 3  # as a comment, in the form that changes it, and in the timeline
