"""Pages over HTTP: negotiation, static files, headers, errors."""

from __future__ import annotations

import re

import orjson
import pytest
from jinja2 import UndefinedError
from starlette.requests import Request

from mlife.core.errors import Misconfigured
from mlife.ui import looks, pages, rooms, static

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def asked(path: str = "/", query: str = "", **headers: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
            "server": ("here", 80),
            "scheme": "http",
        }
    )


def test_one_function_serves_the_page_and_its_json(client):
    html = client.get("/badcases", headers=BROWSER)
    by_accept = client.get("/badcases", headers={"Accept": "application/json"})
    by_address = client.get("/api/v1/badcases", headers=BROWSER)

    assert html.headers["content-type"].startswith("text/html")
    assert "<h1>Badcases</h1>" in html.text
    assert by_accept.json() == by_address.json()
    assert by_accept.json()["position"] == 48211
    assert "Accept" in html.headers["vary"]
    assert "Accept" in by_accept.headers["vary"]


def test_the_head_of_a_page_comes_before_its_queries_have_answered(client):
    gzipped = BROWSER | {"Accept-Encoding": "gzip"}
    with client.stream("GET", "/early", headers=gzipped) as answer:
        parts = answer.iter_text()
        head = next(parts)
        client.get("/early/go")
        rest = "".join(parts)

    assert "mlife.css" in head
    assert 'id="rail"' in head
    assert "<h1>" not in head
    assert "<h1>Found True</h1>" in rest
    assert rest.rstrip().endswith("</html>")
    assert client.get("/early", headers=BROWSER | {"Accept-Encoding": "identity"}).text.count("</html>") == 1


def test_a_page_whose_queries_fail_behind_its_head_says_what_would_work(client):
    told = client.get("/early?broken=true", headers=BROWSER).text

    assert "the tables are away" in told
    assert "start the database" in told
    assert told.count("<h1>") == told.count("<main ") == told.count("</html>") == 1


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("text/html, application/json;q=0.9", False),
        ("text/html;q=0.2, application/json", True),
        ("application/json;q=nonsense", False),
    ],
)
def test_json_goes_to_those_who_like_it_better_than_html(accept, json):
    assert pages.wants_json(asked(accept=accept)) is json


def test_only_the_api_address_is_in_the_published_interface(client):
    paths = client.get("/openapi.json").json()["paths"]

    assert "/api/v1/badcases" in paths
    assert "/badcases" not in paths


def test_htmx_gets_the_block_that_its_target_names():
    request = asked(hx_request="true", hx_target="main")
    problem = {"title": "Gone", "detail": "", "remedy": "", "errors": (), "status": 404}

    part = pages.render(request, "error.html", problem=problem, bare=True).body.decode()

    assert part.strip().startswith('<div class="problem">')
    assert "<html" not in part


def test_a_page_that_names_what_it_was_not_given_fails_loudly():
    with pytest.raises(UndefinedError):
        pages.render(asked(), "error.html", bare=True)


def test_values_are_escaped_wherever_they_stand():
    evil = '"><script>alert(1)</script>'
    problem = {"title": evil, "detail": evil, "remedy": evil, "errors": (), "status": 404}

    text = pages.render(asked(), "error.html", problem=problem, bare=True).body.decode()

    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert") >= 3


def test_another_filter_starts_at_the_first_page_again():
    request = asked("/badcases", "q=a&after=x&sort=-n&selected=a,b&selected=b,c")

    assert pages.with_query(request, q="b & c") == "/badcases?sort=-n&selected=a%2Cb&selected=b%2Cc&q=b+%26+c"
    assert pages.with_query(request, q=None, sort=None, selected=None) == "/badcases"
    assert pages.selection(request) == ["a", "b", "c"]


def test_static_files_are_kept_for_ever_under_their_hash_and_not_under_another(client):
    page = client.get("/badcases", headers=BROWSER).text
    links = re.findall(r'"(/static/[^"]+)"', page)

    assert {link.rsplit("/", 1)[1] for link in links} == {"mlife.css", "mlife.js", "mlife.svg", "htmx.js"}
    for link in links:
        right = client.get(link)
        assert "immutable" in right.headers["cache-control"]
        assert right.headers["content-encoding"] == "gzip"
        old = client.get(re.sub(r"/static/\w+/", "/static/000000000000/", link))
        assert old.content == right.content
        assert old.headers["cache-control"] == "no-cache"
    assert client.get("/static/x/secret.css").status_code == 404
    assert "htmx" in client.get(static.static_url("htmx.js")).text


@pytest.mark.parametrize("path", ["/badcases", "/api/v1/badcases", "/none", "/fail/fault", "/sample/1.png"])
def test_every_answer_bears_the_safety_headers(client, path):
    headers = client.get(path, headers=BROWSER).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_pages_have_no_inline_script_or_style(client):
    for path in ("/badcases", "/badcases/bc-7000", "/-/gallery", "/none"):
        text = client.get(path, headers=BROWSER).text
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", text)


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}])
def test_a_write_from_another_sites_page_is_refused(client, headers):
    refused = client.post("/badcases/mute", data={"selected": "a"}, headers=headers)

    assert refused.status_code == 403
    assert refused.json()["title"] == "Request from another site"


def test_what_was_done_is_said_once_with_its_undo(client):
    after = client.post("/badcases/mute", data={"selected": ["a", "b"]})
    assert (after.status_code, after.headers["location"]) == (303, "/badcases")

    first = client.get("/badcases", headers=BROWSER).text
    again = client.get("/badcases", headers=BROWSER).text

    assert "2 badcases muted" in first
    assert 'action="/badcases/unmute"' in first
    assert "2 badcases muted" not in again


@pytest.mark.parametrize("cookie", ["x", "W10=", "bnVsbA==", "é", "e30="])
def test_a_forged_message_cookie_harms_nothing(client, cookie):
    page = client.get("/badcases", headers=BROWSER | {"Cookie": b"mlife_said=" + cookie.encode()})

    assert page.status_code == 200


def test_forms_lead_to_this_server_only(client):
    away = client.post("/-/theme", data={"theme": "dark", "back": "//evil.example/"})

    assert away.headers["location"] == "/"


def test_errors_are_problem_details_for_programs_and_pages_for_people(client):
    problem = client.get("/fail/input", headers={"Accept": "application/json"})
    page = client.get("/fail/input", headers=BROWSER)

    assert problem.status_code == page.status_code == 422
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["errors"][0]["field"] == "observed_at"
    assert problem.json()["remedy"].startswith("mend")
    assert "What would work:" in page.text
    assert "RFC 3339" in page.text


def test_a_fault_of_the_program_says_so_and_nothing_of_its_inside(client):
    page = client.get("/fail/secret-inside", headers=BROWSER)

    assert page.status_code == 500
    assert "ZeroDivisionError" in page.text
    assert "secret-inside" not in page.text.replace("/fail/secret-inside", "")


def test_the_rail_is_refreshed_only_when_something_moved(client):
    seen = re.search(r"/-/live\?seen=(\w+)", client.get("/badcases", headers=BROWSER).text).group(1)

    assert client.get(f"/-/live?seen={seen}").status_code == 204
    moved = client.get("/-/live?seen=older").text
    assert "tsk-88 training" in moved
    assert 'hx-swap-oob="true"' in moved


def test_a_room_is_where_its_address_begins():
    room = rooms.RailEntry("Data", "/data", 1)

    assert [room.is_here(p) for p in ("/data", "/data/doc-1", "/database", "/")] == [True, True, False, False]
    assert not rooms.RailEntry("Home", "/", 1).is_here("/data")


def test_clashes_name_the_other(monkeypatch, tmp_path):
    monkeypatch.setattr(rooms, "_entries", {})
    rooms.rail("Data", "/data", order=1)
    rooms.rail("Data", "/data", order=1)
    with pytest.raises(Misconfigured, match="'Data' already"):
        rooms.rail("Other", "/data", order=1)
    with pytest.raises(Misconfigured, match="regressed"):
        looks.look("regressed", shape="check")
    with pytest.raises(Misconfigured, match="exists already"):
        static.static_file("mlife.css", tmp_path)
    with pytest.raises(Misconfigured, match="no folder"):
        pages.templates_from("nowhere", tmp_path / "x.py")


def test_a_message_is_read_from_its_cookie_only_as_text():
    cookie = pages.see("/x", "done", "//evil").headers["set-cookie"]
    said = pages._said(asked(cookie=cookie.split(";")[0]))

    assert said == ("done", "/")
    assert orjson.loads(orjson.dumps(said)) == ["done", "/"]


def test_what_runs_stands_in_the_box_after_the_step_that_is_due(monkeypatch):
    steps = [rooms.Step("requested", "done"), rooms.Step("trained", "now"), rooms.Step("gate")]
    running = rooms.Step("tsk-1 training", "now", "/tasks/tsk-1", 0.5)
    monkeypatch.setattr(rooms, "_under_way", {"tasks": lambda _: [running]})
    monkeypatch.setattr(rooms, "_box", {"ask": lambda _: rooms.Iteration("Masks", None, steps)})

    assert [s.word for s in rooms.iteration(asked()).steps] == ["requested", "trained", "tsk-1 training", "gate"]

    monkeypatch.setattr(rooms, "_box", {"ask": lambda _: None})
    assert rooms.iteration(asked()) == rooms.Iteration("No iteration is open", None, [running])

    monkeypatch.setattr(rooms, "_under_way", {})
    assert rooms.iteration(asked()) is None
