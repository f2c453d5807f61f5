"""Linked bytes: read at triage, compared, kept once; what can't be read is said; a link leads to no private place."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.adapters.fetch_http import HttpFetcher
from mlife.badcases import commands
from mlife.badcases.events import ReportDataFetched, ReportDataUnreadable
from mlife.badcases.fingerprint import badcase_id
from mlife.badcases.views import lists
from mlife.badcases.views.media import links_of_report, unreadable
from mlife.core.handler import acting, handlers
from mlife.core.media import links as guard
from mlife.core.media.links import Bounds, Links, Unreadable, is_public
from mlife.data import views
from mlife.server import make_app
from tests.badcases.conftest import Field, report
from tests.media.conftest import png

NINE = badcase_id('["class","digits","digit","9","4"]')
PICTURE = png()
SHA = hashlib.sha256(PICTURE).hexdigest()


class Camera(BaseHTTPRequestHandler):
    """A customer's server, with its moods."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        if self.path == "/gone.png":
            self.send_error(404)
            return
        body = b"x" * 5_000 if self.path == "/large" else PICTURE
        self.send_response(200)
        if self.path == "/zipped":
            self.send_header("Content-Encoding", "gzip")
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body) * (2 if self.path == "/broken" else 1)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not into the output of a test."""


@pytest.fixture
def camera() -> Iterator[Any]:
    """The server's address; `.asked` are the paths that were asked for."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


TRUSTED = {"digits": {"hosts": ["127.0.0.1"]}}


def linked(uri: str, **link: Any) -> dict[str, Any]:
    return {**report(report_id=uri[-60:]), "data": [{"uri": uri, **link}]}


def facts(field: Field, *classes: type) -> list[Any]:
    return [r.event for r in field.home.ports.store.read() if isinstance(r.event, classes)]


def position_of_report(field: Field) -> int:
    return next(r.position for r in field.home.ports.store.read() if r.draft.type == "mlife.badcase.reported.v1")


def test_triage_reads_what_reports_link_to(either: Callable[..., Field], camera: Any) -> None:
    field = either(TRUSTED)
    field.send(linked(f"{camera.url}/a.png"), linked(f"{camera.url}/b.png", sha256=SHA))
    assert camera.asked == []  # reports are taken in without a look at their links

    field.do(commands.triage, badcase_id=NINE)

    assert sorted(camera.asked) == ["/a.png", "/b.png"]
    assert field.home.ports.blobs.has(SHA)
    stored = field.read(views.file, SHA)
    assert (stored.media_type, stored.size) == ("image/png", len(PICTURE))  # by looking, not by the server's word
    assert field.read(lists.badcase, NINE).preview == SHA
    assert field.read(lists.badcase, NINE).pictures == 1  # the same bytes under two links are one file
    assert ("reported", NINE) in {(u.kind, u.used_in) for u in field.read(views.uses_of_file, SHA)}


def test_what_cannot_be_read_is_said_with_its_reason_and_tried_again_by_a_person(
    either: Callable[..., Field], camera: Any
) -> None:
    field = either(TRUSTED)
    field.send(
        linked(f"{camera.url}/gone.png"),
        linked(f"{camera.url}/c.png", sha256="0" * 64),
        linked("s3://cam/1.png"),
        linked("http://127.0.0.2:9/x.png"),
    )
    field.do(commands.triage, badcase_id=NINE)

    found, count = field.read(unreadable, NINE)
    reasons = sorted(link.reason for link in found)
    assert count == 4
    assert "answers 404" in reasons[0]
    assert reasons[1].startswith("is in S3, and no server is named")
    assert reasons[2] == "leads to 127.0.0.2 at 127.0.0.2, which is no public address"
    assert reasons[3].startswith("leads to other bytes than the report says")
    assert not field.home.ports.blobs.has(SHA)

    with TestClient(make_app(field.home)) as client:
        page = client.get(f"/badcases/{NINE}", headers={"accept": "text/html"}).text
        assert "Data that could not be read" in page
        assert "answers 404" in page
        again = client.post(f"/api/v1/badcases/{NINE}/fetch").json()
    field.settle()
    assert again["wanted"] == 4
    assert len(facts(field, ReportDataUnreadable)) == 4  # the same reason is said once


def test_a_handler_that_runs_twice_stores_and_says_once(field: Field, camera: Any) -> None:
    field.home.ports.extra["links"] = Links(TRUSTED)
    field.send(linked(f"{camera.url}/a.png"), linked(f"{camera.url}/gone.png"))
    field.do(commands.triage, badcase_id=NINE)
    head = field.home.ports.store.head()

    for name in ("badcases.want_data", "badcases.fetch_data", "data.note_fetched"):
        for fact in field.home.ports.store.read():
            if handlers[name].takes(fact.draft.type):
                handlers[name].run(fact, acting(field.home.do, field.home.ports, name, fact))

    assert field.home.ports.store.head() == head


def test_bytes_that_follow_are_taken_once_and_compared(field: Field, client: TestClient) -> None:
    other = png(colour="blue")
    field.send(
        {**report(), "data": [{"uri": "s3://cam/later.png", "pending": True}, {"uri": "s3://c/2", "sha256": SHA}]}
    )
    at = position_of_report(field)
    field.do(commands.triage, badcase_id=NINE)
    assert [link.number for link in field.read(unreadable, NINE)[0]] == [1]  # a pending link leads nowhere yet

    first = client.post(f"/api/v1/reports/{at}/data/0", content=PICTURE)
    again = client.post(f"/api/v1/reports/{at}/data/0", content=PICTURE)
    changed = client.post(f"/api/v1/reports/{at}/data/0", content=other)
    wrong = client.post(f"/api/v1/reports/{at}/data/1", content=other)
    right = client.post(f"/api/v1/reports/{at}/data/1", content=PICTURE)
    field.settle()

    assert (first.status_code, first.json()["new"]) == (200, True)
    assert (again.status_code, again.json()["new"]) == (200, False)
    assert (changed.status_code, wrong.status_code, right.status_code) == (409, 409, 200)
    assert not field.home.ports.blobs.has(hashlib.sha256(other).hexdigest())
    told = field.read(links_of_report, at)
    assert {n: link.sha256 for n, link in told.items()} == {0: SHA, 1: SHA}
    assert [f.how for f in facts(field, ReportDataFetched)] == ["sent", "sent"]
    assert client.post(f"/api/v1/reports/{at}/data/2", content=PICTURE).status_code == 404
    assert client.post(f"/api/v1/reports/{at}/data/0", content=b"").status_code == 422
    assert client.get(f"/files/{SHA}/thumbnail").headers["content-type"] == "image/png"


def test_sealed_links_are_read_too(field: Field, camera: Any) -> None:
    from dataclasses import replace

    from mlife.badcases.intake.taking import Intake
    from mlife.core.sealing import Sealer

    sealer = Sealer(field.home.keys, {"digits": frozenset({"data"})})
    field.home.do = replace(field.home.do, sealer=sealer)
    field.home.runner.executor = replace(field.home.runner.executor, sealer=sealer)
    field.intake = Intake(field.home.ports.store, sealer, field.clock)
    field.home.ports.extra["links"] = Links(TRUSTED)
    field.send(linked(f"{camera.url}/anna.png"))

    field.do(commands.triage, badcase_id=NINE)

    (fetched,) = facts(field, ReportDataFetched)
    assert fetched.sha256 == SHA
    assert fetched.name == ""  # the name of a sealed link stays sealed


# ── the guard ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 240.0.0.1 "
    "::1 :: fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe "
    "2002:7f00:1:: fec0::1 192.0.0.192 168.63.129.16 64:ff9b:1::7f00:1 3fff::1 not-an-address".split(),
)
def test_no_address_of_a_private_place_is_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert is_public(address)


def refused(uri: str, options: dict[str, Any] | None = None, **bounds: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        HttpFetcher(options or {}).fetch(uri, Bounds(**bounds))
    return caught.value.message


OWN = {"hosts": ["127.0.0.1"]}


def test_a_redirect_is_judged_as_its_target(camera: Any) -> None:
    with HttpFetcher(OWN).fetch(f"{camera.url}/to//a.png", Bounds()) as stream:
        assert stream.read() == PICTURE
    inside = camera.url.replace("127.0.0.1", "localhost")  # trusted is a name, not an address
    assert "no public address" in refused(f"{camera.url}/to/{inside}/secret", OWN)
    assert "no http or https URL" in refused(f"{camera.url}/to/file:///etc/passwd", OWN)
    assert "leads on more than 5 times" in refused(camera.url + "/to/" * 7 + "a.png", OWN)
    assert "/secret" not in camera.asked


def test_a_name_that_changes_its_address_is_asked_for_once_and_that_answer_is_used(
    camera: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    known = socket.getaddrinfo

    def rebinding(host: str, *args: Any, **named: Any) -> Any:
        if host != "cam.example":
            return known(host, *args, **named)
        asked.append(host)
        address = "93.184.215.14" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, camera.server_port))]

    connected = []

    def connect(address: Any, *_: Any, **__: Any) -> Any:
        connected.append(address[0])
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", connect)

    assert "can't be read from its host" in refused(f"http://cam.example:{camera.server_port}/a.png")
    assert (asked, connected) == (["cam.example"], ["93.184.215.14"])


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 80)) for a in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)

    with pytest.raises(Unreadable, match=r"10\.0\.0\.1, which is no public address"):
        guard.public_addresses("cam.example", 80)


def test_size_time_and_form_of_an_answer_are_bounded(camera: Any) -> None:
    assert "has 5,000 bytes; at most 1,000" in refused(f"{camera.url}/large", OWN, bytes=1_000)
    assert "more than 10 bytes" in refused(f"{camera.url}/endless", OWN, bytes=10)
    assert "encoded bytes" in refused(f"{camera.url}/zipped", OWN)
    assert "can't be read from its host" in refused(f"{camera.url}/broken", OWN)
    assert "a name or password" in refused(camera.url.replace("//", "//ann:pw@") + "/a.png", OWN)


def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.png"
        assert "does not answer in time" in refused(address, OWN, seconds=0.5)


def test_a_host_that_is_away_is_not_asked_again_for_every_link() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    reads = Links({"digits": OWN})

    with pytest.raises(Unreadable, match="can't be read from its host"):
        reads.fetch("digits", f"http://127.0.0.1:{port}/1.png")
    with pytest.raises(Unreadable, match="did not answer in time a moment ago"):
        reads.fetch("digits", f"http://127.0.0.1:{port}/2.png")


def test_an_unknown_scheme_and_wrong_options_are_said() -> None:
    with pytest.raises(Unreadable, match="begins with gopher"):
        Links({}).fetch("digits", "gopher://x/y")
    with pytest.raises(Unreadable, match="no list of names"):
        Links({"digits": {"hosts": "all"}}).fetch("digits", "http://x/y")


def test_links_of_s3_are_read_from_the_server_that_is_named(s3_url: str) -> None:
    from mlife.adapters.s3 import S3, address_of

    server = S3(address_of(s3_url))
    bucket = server.address.bucket
    import io

    server.client.put_object(bucket, "cams/8841 a.png", io.BytesIO(PICTURE), len(PICTURE))
    reads = Links({"*": {"s3": s3_url}})

    with reads.fetch("digits", f"s3://{bucket}/cams/8841%20a.png") as stream:
        assert stream.read() == PICTURE
    for uri, said in ((f"s3://{bucket}/none", "is not in its bucket"), ("s3://other/x", "is in the bucket other")):
        with pytest.raises(Unreadable, match=said):
            reads.fetch("digits", uri)
    with pytest.raises(Unreadable, match="at most 10 are read"):
        reads.fetch("digits", f"s3://{bucket}/cams/8841%20a.png", Bounds(bytes=10))
