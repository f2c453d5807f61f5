"""Saved views: a name for a query, shared, found in lists, refused when it can't be read."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.commands.saved import view_id_of
from mlife.badcases.views import lists
from mlife.badcases.views.saved import badcases_of_view, saved_view, saved_views
from mlife.core.errors import NotFound, Refused
from tests.badcases.conftest import NOW, Field, report

HTML = {"accept": "text/html"}


@pytest.fixture
def filled(field: Field) -> Field:
    """Two badcases of two functions."""
    field.send(report("9", "4"), report("3", "5", picture=2, function="letter"))
    return field


def test_a_view_finds_what_its_query_finds_when_it_is_asked(filled: Field) -> None:
    filled.do(commands.save_view, name="Open digits", query="function:digit")
    assert filled.read(badcases_of_view, "open-digits", now=NOW) == filled.read(
        lists.matching_ids, "function:digit", now=NOW
    )
    filled.send(report("7", "1", picture=3))

    assert len(filled.read(badcases_of_view, "open-digits", now=NOW)) == 2
    with pytest.raises(NotFound):
        filled.read(badcases_of_view, "nothing", now=NOW)
    with pytest.raises(Refused, match="more than 1"):
        filled.read(badcases_of_view, "open-digits", now=NOW, limit=1)


def test_the_same_name_means_the_new_query_and_a_removed_one_nothing(filled: Field) -> None:
    assert filled.do(commands.save_view, name="Night", query="open:yes").events
    assert filled.do(commands.save_view, name="Night", query="open:yes").events == ()
    filled.do(commands.save_view, name="night", query="status:new", sort="-reports")
    (view,) = filled.read(saved_views)
    assert (view.name, view.query, view.sort, view.saved_by) == ("night", "status:new", "-reports", "ann")
    filled.do(commands.remove_view, view_id="night")

    assert filled.read(saved_views) == []
    assert filled.do(commands.remove_view, view_id="night").events == ()
    filled.do(commands.save_view, name="Night", query="open:yes")
    assert filled.read(saved_view, "night").query == "open:yes"
    with pytest.raises(NotFound):
        filled.do(commands.remove_view, view_id="never")


def test_a_view_that_was_removed_or_overwritten_comes_back_and_goes_again(client: TestClient, field: Field) -> None:
    def query() -> str | None:
        field.settle()
        return next((v.query for v in field.read(saved_views)), None)

    url = "/api/v1/views"
    for q in ("open:yes", "status:new"):
        client.post(url, json={"name": "Night", "query": q})
    client.post(f"{url}/night/undo")
    assert query() == "open:yes"
    client.post(f"{url}/night/undo")
    assert query() == "status:new"
    page = client.post("/views/night/remove", headers=HTML)
    assert query() is None
    assert 'action="/views/night/undo"' in page.text
    client.post("/views/night/undo")
    assert query() == "status:new"
    assert client.post(f"{url}/never/undo").status_code == 404
    client.post(url, json={"name": "Day", "query": ""})
    client.post(f"{url}/day/undo")
    assert query() == "status:new"


def test_reports_have_views_of_their_own(filled: Field) -> None:
    filled.do(commands.save_view, name="Unsure", query="score<0.5", of="reports")
    assert [v.of for v in filled.read(saved_views, "reports")] == ["reports"]
    assert filled.read(saved_views, "badcases") == []
    with pytest.raises(Refused, match="finds reports"):
        filled.read(badcases_of_view, "unsure", now=NOW)


@pytest.mark.parametrize(
    ("name", "id"), [("Night, fleet 7", "night-fleet-7"), ("  A_b  ", "a-b"), ("Nächte", "nächte"), ("…", "")]
)
def test_a_name_has_one_id(name: str, id: str) -> None:
    assert view_id_of(name) == id


def test_a_view_is_saved_from_a_list_opened_there_and_refused_with_its_mistake(
    filled: Field, client: TestClient
) -> None:
    sent = client.post(
        "/views", data={"name": "Digits", "q": "function:digit", "of": "badcases"}, follow_redirects=False
    )
    assert sent.status_code == 303
    filled.settle()
    listed = client.get("/badcases?q=function:digit", headers=HTML).text
    assert ">Digits</span>" in listed
    assert "Save this view" in listed
    opened = client.get("/views/digits", headers=HTML, follow_redirects=False)
    assert opened.headers["location"] == "/badcases?q=function%3Adigit"
    assert client.get("/views", headers=HTML).text.count("Digits") >= 1
    told = client.post("/api/v1/views", json={"name": "Bad", "query": "colour:red"})
    assert told.status_code == 422
    assert "did you mean" in told.json()["detail"] or "no field colour" in told.json()["detail"]
    assert client.post("/api/v1/views", json={"name": "…", "query": ""}).status_code == 409
    assert client.post("/api/v1/views", json={"name": "x", "query": "", "sort": "colour"}).status_code == 422
    removed = client.post("/api/v1/views/digits/remove").json()
    filled.settle()

    assert removed["view_id"] == "digits"
    assert client.get("/api/v1/views").json()["views"] == []
    assert client.get("/api/v1/views/digits").status_code == 404


def test_a_rebuild_gives_the_same_views(filled: Field) -> None:
    from mlife.core import rebuild
    from mlife.core.projection import projections

    filled.do(commands.save_view, name="a", query="open:yes")
    filled.do(commands.save_view, name="b", query="open:yes")
    filled.do(commands.remove_view, view_id="a")

    assert rebuild.verify(filled.home.ports, projections["badcases"]) == []
