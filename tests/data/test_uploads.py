"""Bytes that pass by the server: announced, put to a link, kept if they are what was announced; downloads too."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from mlife import sdk
from mlife.data.events import FileStored
from mlife.data.pages.uploads import LARGEST_FILE
from mlife.runtime import Home, open_home, settings
from tests.data.conftest import picture, row

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from infra.local import Server

PICTURE = picture(1, 40)
UPLOADS = "/api/v1/files/uploads"


@pytest.fixture
def remote(s3_url: str, tmp_path: Path) -> Iterator[Home]:
    """A running home whose files lie on an S3 server."""
    chosen = settings(tmp_path / "remote", config=tmp_path / "no.toml", files=s3_url)
    with open_home(chosen) as opened, opened.running():
        yield opened


@pytest.fixture
def there(remote: Home) -> "Iterator[TestClient]":
    """A client of its server; it follows no redirect by itself."""
    from starlette.testclient import TestClient

    from mlife.server import make_app

    with TestClient(make_app(remote), follow_redirects=False) as opened:
        yield opened


def announcement(content: bytes, **more: Any) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "name": "a.png", **more}


def sent(offer: dict[str, Any], content: bytes) -> int:
    return httpx.request(offer["method"], offer["url"], content=content, headers=offer["headers"]).status_code


def stored(home: Home) -> list[FileStored]:
    return [r.event for r in home.ports.store.read() if isinstance(r.event, FileStored)]


# ── by hand ──────────────────────────────────────────────────────────────────────────────────────


def test_a_file_that_was_put_to_a_link_is_recorded_as_if_it_had_come_through_the_server(
    remote: Home, there: "TestClient"
) -> None:
    offer = there.post(UPLOADS, json=announcement(PICTURE)).json()
    assert offer["direct"]
    assert sent(offer, PICTURE) == 200
    assert stored(remote) == []

    told = there.post(f"{UPLOADS}/{offer['upload_id']}", json=announcement(PICTURE)).json()

    through = there.post("/api/v1/files?name=a.png", content=PICTURE).json()
    assert through == {
        **told,
        "accepted": 0,
        "known": 1,
        "files": [{**told["files"][0], "known": True}],
    }
    assert told["files"] == [
        {
            "sha256": hashlib.sha256(PICTURE).hexdigest(),
            "md5": hashlib.md5(PICTURE).hexdigest(),
            "size": len(PICTURE),
            "media_type": "image/png",
            "name": "a.png",
            "known": False,
        }
    ]
    assert len(stored(remote)) == 1


def test_what_is_asked_again_is_answered_again_and_recorded_once(remote: Home, there: "TestClient") -> None:
    offer = there.post(UPLOADS, json=announcement(PICTURE)).json()
    sent(offer, PICTURE)
    first = there.post(f"{UPLOADS}/{offer['upload_id']}", json=announcement(PICTURE)).json()

    again = there.post(f"{UPLOADS}/{offer['upload_id']}", json=announcement(PICTURE)).json()
    announced = there.post(UPLOADS, json=announcement(PICTURE)).json()

    assert (first["accepted"], again["accepted"], announced["accepted"]) == (1, 0, 0)
    assert first["position"] == again["position"] == announced["position"]
    assert "url" not in announced
    assert len(stored(remote)) == 1


def test_other_bytes_than_were_announced_are_refused_by_the_store_and_by_the_server(
    remote: Home, there: "TestClient"
) -> None:
    offer = there.post(UPLOADS, json=announcement(PICTURE)).json()
    assert sent(offer, PICTURE[::-1]) == 400
    missing = there.post(f"{UPLOADS}/{offer['upload_id']}", json=announcement(PICTURE))
    assert (missing.status_code, "nothing was put" in missing.json()["detail"]) == (404, True)

    assert sent(offer, PICTURE) == 200
    other = there.post(f"{UPLOADS}/{offer['upload_id']}", json=announcement(PICTURE[::-1], size=7))

    assert other.status_code == 422
    assert [e["field"] for e in other.json()["errors"]] == ["sha256", "size"]
    assert stored(remote) == []
    assert list(remote.ports.blobs) == []  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"sha256": "0" * 63}, 422, "sha256"),
        ({"sha256": "A" * 64}, 422, "sha256"),
        ({"size": -1}, 422, "size"),
        ({"size": "many"}, 422, "size"),
        ({"name": "x" * 1025}, 422, "name"),
        ({"size": LARGEST_FILE + 1}, 413, None),
    ],
)
def test_an_announcement_that_can_not_be_is_refused_by_field(
    there: "TestClient", changes: dict[str, Any], status: int, field: str | None
) -> None:
    for path in (UPLOADS, f"{UPLOADS}/{'0' * 32}"):
        answer = there.post(path, json=announcement(PICTURE, **changes))
        if status == 422:
            assert answer.status_code == 422
            assert [e["field"] for e in answer.json()["errors"]] == [field]
    if status == 413:
        assert there.post(UPLOADS, json=announcement(PICTURE, **changes)).status_code == 413


def test_a_store_that_is_a_folder_says_where_to_send_the_bytes_instead(client: "TestClient", home: Home) -> None:
    offer = client.post(UPLOADS, json=announcement(PICTURE, name="ä/b.png")).json()

    assert offer == {"direct": False, "method": "POST", "url": "/api/v1/files?name=%C3%A4%2Fb.png", "headers": {}}
    told = client.request(offer["method"], offer["url"], content=PICTURE).json()
    assert told["files"][0]["name"] == "ä/b.png"
    assert client.post(f"{UPLOADS}/{'0' * 32}", json=announcement(PICTURE)).status_code == 404
    assert len(stored(home)) == 1


def test_a_download_leads_to_the_store_and_stays_a_download(there: "TestClient") -> None:
    content = b"<html><script>alert(1)</script></html>"
    sha256 = there.post("/api/v1/files?name=w%22e/ü.html", content=content).json()["sha256"]

    answer = there.get(f"/api/v1/files/{sha256}")
    assert answer.status_code == 307
    assert answer.headers["cache-control"] == "no-store"
    file = httpx.get(answer.headers["location"])

    assert file.content == content
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith('attachment; filename="_.html"')
    head = there.head(f"/api/v1/files/{sha256}")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(content)))
    assert there.get(f"/api/v1/files/{sha256}", headers={"If-None-Match": f'"{sha256}"'}).status_code == 304
    assert there.get(f"/api/v1/files/{'0' * 64}").status_code == 404


def test_pictures_on_pages_come_from_the_server_itself_whose_policy_lets_no_other_in(there: "TestClient") -> None:
    put = there.post("/api/v1/files?name=a.png", content=PICTURE).json()
    page = there.get(f"/files/{put['sha256']}?min_position={put['position']}", headers={"Accept": "text/html"})
    thumbnail = there.get(f"/files/{put['sha256']}/thumbnail?size=44")

    assert page.status_code == 200
    assert f'src="/files/{put["sha256"]}/thumbnail' in page.text
    assert "img-src 'self' blob:;" in page.headers["content-security-policy"]
    assert (thumbnail.status_code, thumbnail.headers["content-type"]) == (200, "image/png")


# ── by the SDK ───────────────────────────────────────────────────────────────────────────────────


class ByTestClient(httpx.BaseTransport):
    """The SDK's way to a server in this process."""

    def __init__(self, server: "TestClient") -> None:
        self._server = server

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, headers = request.url.raw_path.decode(), dict(request.headers)
        got = self._server.request(request.method, path, content=request.read(), headers=headers)
        return httpx.Response(got.status_code, content=got.content, headers=got.headers)


def client_of(server: "TestClient", **more: Any) -> sdk.Client:
    return sdk.Client("http://testserver", transport=ByTestClient(server), sleep=lambda _: None, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pictures/deep").mkdir(parents=True)
    (tmp_path / "pictures/a.png").write_bytes(PICTURE)
    (tmp_path / "pictures/deep/large.bin").write_bytes(bytes(3_000_000))
    (tmp_path / "pictures/.hidden").write_bytes(b"x")
    return tmp_path / "pictures"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stores of files were asked by the SDK."""
    urls: list[str] = []
    put = httpx.Client.put

    def counted(self: httpx.Client, url: str, **more: Any) -> httpx.Response:
        urls.append(url)
        return put(self, url, **more)

    monkeypatch.setattr(httpx.Client, "put", counted)
    return urls


def test_the_sdk_puts_large_files_straight_to_the_store_and_small_ones_through_the_server(
    remote: Home, there: "TestClient", folder: Path, asked: list[str]
) -> None:
    with client_of(there) as client:
        told = client.put_files([folder, folder / "a.png"])
        again = client.put_files([folder])

    assert (told.accepted, told.known, told.refused) == (2, 1, [])
    assert [f["name"] for f in told.files] == ["a.png", "deep/large.bin", "a.png"]
    assert (again.accepted, again.known, again.position) == (0, 2, told.position)
    assert len(asked) == 1
    assert "/incoming/" in asked[0]
    assert [e.size for e in stored(remote)] == [len(PICTURE), 3_000_000]


def test_the_sdk_puts_everything_through_a_server_that_gives_no_links(
    home: Home, client: "TestClient", folder: Path, asked: list[str]
) -> None:
    with client_of(client) as sending:
        told = sending.put_files([folder])
        put = sending.put_file(bytes(2_000_000), name="zeros")

    assert told.accepted == 2
    assert put["files"][0]["name"] == "zeros"
    assert asked == []
    assert len(stored(home)) == 3


def test_the_sdk_goes_through_the_server_where_it_can_not_reach_the_store(
    s3_url: str, tmp_path: Path, folder: Path, asked: list[str]
) -> None:
    from starlette.testclient import TestClient

    from mlife.server import make_app

    chosen = settings(tmp_path / "h", config=tmp_path / "no.toml", files=f"{s3_url}?links=http://127.0.0.1:9")
    with open_home(chosen) as home, TestClient(make_app(home)) as server, client_of(server) as client:
        told = client.put_files([folder, folder / "deep/large.bin"])

        assert (told.accepted, told.known) == (2, 1)
        assert len(asked) == 1
        assert home.ports.blobs.size(told.files[1]["sha256"]) == 3_000_000


def test_the_sdk_judges_each_file_by_itself(there: "TestClient", folder: Path) -> None:
    with client_of(there) as client:
        told = client.put_files([folder / "absent", folder / "a.png"])
        with pytest.raises(sdk.FileRefused, match="is no file"):
            client.put_file(folder / "absent")

    assert [(r["line"], r["field"]) for r in told.refused] == [(1, "absent")]
    assert told.accepted == 1


def test_a_file_that_changes_while_the_sdk_sends_it_is_refused_and_not_stored(
    remote: Home, there: "TestClient", folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = httpx.Client.put

    def changed(self: httpx.Client, url: str, **more: Any) -> httpx.Response:
        (folder / "deep/large.bin").write_bytes(bytes(2_999_999) + b"!")
        return put(self, url, **more)

    monkeypatch.setattr(httpx.Client, "put", changed)

    with client_of(there) as client, pytest.raises(sdk.FileRefused, match="may have changed meanwhile"):
        client.put_file(folder / "deep/large.bin")

    assert stored(remote) == []


def test_the_token_of_the_server_is_not_told_to_the_store(
    remote: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.testclient import TestClient

    from mlife.server import make_app

    seen: list[httpx.Headers] = []
    send = httpx.Client.send

    def watched(self: httpx.Client, request: httpx.Request, **more: Any) -> httpx.Response:
        if request.method == "PUT":
            seen.append(request.headers)
        return send(self, request, **more)

    monkeypatch.setattr(httpx.Client, "send", watched)
    with TestClient(make_app(remote, token="the-token")) as server, client_of(server, token="the-token") as client:
        assert client.put_file(folder / "deep/large.bin")["accepted"] == 1

    assert len(seen) == 1
    assert "authorization" not in seen[0]


# ── the rest works as it did ─────────────────────────────────────────────────────────────────────


def test_a_document_over_files_on_the_server_is_imported_and_grouped(remote: Home, there: "TestClient") -> None:
    contents = [picture(n) for n in range(6)]
    there.post("/api/v1/files", files=[("file", (f"{n}.png", c)) for n, c in enumerate(contents)])
    lines = b"\n".join(json.dumps(row(c, "9")).encode() for c in contents)

    told = there.post("/api/v1/documents", params={"name": "field", "form": "ndjson"}, content=lines).json()

    assert (told["accepted"], told["missing"]) == (6, 0)
    for event in stored(remote):
        path = remote.ports.blobs.path(event.sha256)
        assert path is not None
        assert path.read_bytes() in contents


def test_a_store_that_is_away_is_503_and_soon_again(s3_server: "Server", tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    from mlife.server import make_app

    chosen = settings(tmp_path / "h", config=tmp_path / "no.toml", files=s3_server.url)
    with open_home(chosen) as home, TestClient(make_app(home), follow_redirects=False) as server:
        put = server.post("/api/v1/files?name=a.png", content=PICTURE).json()
        s3_server.kill()

        for answer in (
            server.post("/api/v1/files?name=b.png", content=b"other"),
            server.post("/api/v1/files", files=[("file", ("b.png", b"other"))]),
            server.get(f"/api/v1/files/{put['sha256']}"),
            server.post(f"{UPLOADS}/{'0' * 32}", json=announcement(b"other")),
        ):
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert "is away" in answer.json()["detail"]
        assert len(stored(home)) == 1

        s3_server.start()
        assert server.post("/api/v1/files?name=b.png", content=b"other").json()["accepted"] == 1


def test_the_command_line_puts_files_to_the_store_itself(
    s3_url: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from mlife.cli.file import command

    monkeypatch.setenv("MLIFE_FILES", s3_url)
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> dict[str, Any]:
        done = CliRunner().invoke(command, [*args, "--json", "--home", str(tmp_path / "here")])
        assert done.exit_code == 0, (done.output, done.exception)
        return dict(json.loads(done.stdout))

    told = run("put", str(folder))
    shown = run("show", f"sha256:{told['files'][0]['sha256']}")

    assert (told["accepted"], told["refused"]) == (2, [])
    assert Path(shown["path"]).read_bytes() == PICTURE
    assert not (tmp_path / "here/files").exists()
