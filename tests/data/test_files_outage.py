"""The server of files goes away, or runs full, in the middle: no event points to bytes that are not there."""

import hashlib
import io
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from mlife.adapters.blobs_minio import MinioBlobs
from mlife.core.errors import HomeUnusable, MLifeError, Unavailable
from mlife.data.events import DocumentRowsAdded, FileStored
from mlife.data.intake import DataIntake
from mlife.runtime import Home, open_home, settings
from tests.adapters.small_s3 import SmallS3, can_mount
from tests.components import _make_bucket, started
from tests.data.conftest import drain_projections, row

FILES = 120


@pytest.fixture
def home_on(tmp_path: Path) -> Iterator[Callable[[str], Home]]:
    """Opens a home whose files are at a URL."""
    opened = []

    def made(url: str) -> Home:
        entered = open_home(settings(tmp_path / "home", config=tmp_path / "no.toml", files=url))
        opened.append(entered)
        return entered.__enter__()

    yield made
    for entered in opened:
        entered.__exit__(None, None, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Many small files and some of several parts."""
    chance, made = random.Random(5), tmp_path / "pictures"
    made.mkdir()
    for n in range(FILES):
        (made / f"{n:03}.bin").write_bytes(chance.randbytes(9_000_000 if n % 40 == 7 else 5_000))
    return made


def intake(home: Home) -> DataIntake:
    return DataIntake(home.ports, home.do, see=lambda _: drain_projections(home))


def as_document(folder: Path) -> bytes:
    rows = [{**row(f.read_bytes(), "9"), "path": f.name} for f in sorted(folder.iterdir())]
    return b"\n".join(json.dumps(r).encode() for r in rows)


def imported(home: Home, folder: Path) -> Any:
    return intake(home).import_document(io.BytesIO(as_document(folder)), "ndjson", name="field", files=folder)


def pointed_to(home: Home) -> set[str]:
    """What events of the log say is stored: files, and the rows of documents."""
    found: set[str] = set()
    for recorded in home.ports.store.read():
        event = recorded.event
        if isinstance(event, FileStored):
            found.add(event.sha256)
        if isinstance(event, DocumentRowsAdded):
            found.update(r["sha256"] for r in event.rows if r.get("sha256"))
    return found


def check_all_there(home: Home, url: str, cache: Path) -> int:
    """Every byte that an event points to is there, seen by somebody who has no copies; how many files there are."""
    blobs, names = MinioBlobs(url, cache=cache / uuid4().hex), pointed_to(home)
    for name in names:
        blobs.open(name, verify=True).close()
    return len(names)


def when(url: str, count: int, then: Callable[[], None], cache: Path) -> threading.Thread:
    """Do *then* as soon as the server has *count* files."""
    blobs = MinioBlobs(url, cache=cache)

    def watch() -> None:
        while sum(1 for _ in blobs) < count:
            time.sleep(0.005)
        then()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def soon(ask: Callable[[], Any], seconds: float = 30) -> Any:
    """What *ask* gives once the server has come to itself."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except MLifeError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.mark.parametrize(("at", "way"), [(1, "kill"), (30, "stop"), (70, "kill")])
def test_files_and_a_document_stop_cleanly_when_the_server_goes_away_and_are_whole_when_sent_again(
    home_on: Callable[[str], Home], s3_server: Any, folder: Path, tmp_path: Path, at: int, way: str
) -> None:
    home = home_on(s3_server.url)
    watching = when(s3_server.url, at, getattr(s3_server, way), tmp_path / "watch")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="the files' server"):
        imported(home, folder)
    assert time.monotonic() - began < 60
    watching.join()
    assert not [r for r in home.ports.store.read() if isinstance(r.event, DocumentRowsAdded)]

    s3_server.start()
    soon(lambda: check_all_there(home, s3_server.url, tmp_path / "eyes"))
    told = imported(home, folder)

    assert (told.rows, told.missing, told.refused) == (FILES, 0, [])
    assert check_all_there(home, s3_server.url, tmp_path / "eyes") == FILES


def test_senders_beside_each_other_lose_nothing_that_was_acknowledged_while_the_server_comes_and_goes(
    home_on: Callable[[str], Home], s3_server: Any, tmp_path: Path
) -> None:
    home, chance = home_on(s3_server.url), random.Random(11)
    is_over = threading.Event()
    acknowledged: list[str] = []
    failed: list[MLifeError] = []

    def send(number: int) -> None:
        mine = random.Random(number)
        while not is_over.is_set():
            content = mine.randbytes(mine.choice([100, 20_000, 9_000_000]))
            try:
                acknowledged.append(intake(home).put(content, name=f"{number}").sha256)
            except MLifeError as e:
                failed.append(e)

    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, n) for n in range(4)]
        for _ in range(6):
            time.sleep(chance.uniform(0.05, 0.5))
            s3_server.kill()
            time.sleep(chance.uniform(0.05, 0.3))
            s3_server.start()
        soon(lambda: intake(home).put(b"the end"))
        is_over.set()
        for sender in senders:
            sender.result()

    assert {type(e) for e in failed} == {Unavailable}
    assert set(acknowledged) <= pointed_to(home)
    assert check_all_there(home, s3_server.url, tmp_path / "eyes") == len(set(acknowledged)) + 1


@pytest.mark.skipif(not can_mount(), reason="mounting a small disk needs user namespaces")
def test_a_server_that_runs_full_in_the_middle_refuses_the_rest_and_takes_it_when_there_is_room(
    home_on: Callable[[str], Home], folder: Path, tmp_path: Path
) -> None:
    server = started(lambda: SmallS3(tmp_path / "small"))
    try:
        soon(lambda: _make_bucket(server, "mlife"))
        home = home_on(server.url)
        watching = when(server.url, 20, server.fill, tmp_path / "watch")
        with pytest.raises(HomeUnusable, match="is full"):
            imported(home, folder)
        watching.join()
        assert not [r for r in home.ports.store.read() if isinstance(r.event, DocumentRowsAdded)]
        check_all_there(home, server.url, tmp_path / "eyes")

        server.free()
        told = soon(lambda: imported(home, folder))

        assert (told.rows, told.missing, told.refused) == (FILES, 0, [])
        assert check_all_there(home, server.url, tmp_path / "eyes") == FILES
    finally:
        server.stop()


@pytest.mark.parametrize("when_killed", ["before the bytes", "before it is told", "while it is told"])
def test_an_upload_by_a_link_survives_the_server_or_is_not_recorded(
    home_on: Callable[[str], Home], s3_server: Any, tmp_path: Path, when_killed: str
) -> None:
    home, content = home_on(s3_server.url), random.Random(1).randbytes(9_000_000)
    said = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    link = intake(home).upload_link(said["sha256"], said["size"], 600)  # type: ignore[arg-type]
    assert link is not None
    if when_killed == "before the bytes":
        s3_server.kill()
        with pytest.raises(httpx.TransportError):
            httpx.put(link.url, content=content, headers=dict(link.headers))
        s3_server.start()
    assert httpx.put(link.url, content=content, headers=dict(link.headers)).status_code == 200
    if when_killed == "before it is told":
        s3_server.kill()
    if when_killed == "while it is told":
        threading.Timer(0.02, s3_server.kill).start()

    with suppress(Unavailable):
        intake(home).take_upload(link.upload_id, **said)  # type: ignore[arg-type]
    time.sleep(0.1)
    s3_server.start()
    soon(lambda: check_all_there(home, s3_server.url, tmp_path / "eyes"))

    assert soon(lambda: intake(home).take_upload(link.upload_id, **said)).sha256 == said["sha256"]  # type: ignore[arg-type]
    assert check_all_there(home, s3_server.url, tmp_path / "eyes") == 1
