"""Looking at pictures and descriptions: killed in the middle, with embedders that do anything, by a server's thread."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.adapters.likeness_process import ProcessLikeness
from mlife.badcases import commands, looking
from mlife.badcases.looking import Looker
from mlife.runtime import Home, open_home, settings
from tests.badcases.conftest import Field, report
from tests.embedders import Site

MANY = 60


def described(field: Field, *texts: str) -> None:
    """A badcase for each text; no picture is here."""
    field.send(*(report(f"truth {n}", picture=n, description=text) for n, text in enumerate(texts)))


def use(field: Field, *names: str) -> None:
    field.do(commands.choose_likeness, system="digits", function="digit", embedders=list(names))


def look(field: Field, **limits: float) -> None:
    looker: Any = field.home.ports.extra["looker"]
    looker._likeness = likeness = ProcessLikeness(**limits)
    looker.look("digits", "digit", threading.Event())
    likeness.close()


def until(reached: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def told_of(client: TestClient, name: str) -> dict[str, Any]:
    said: list[dict[str, Any]] = client.get("/api/v1/suggestions").json()["progress"]
    return next(p for p in said if p["name"] == name)


def test_who_is_killed_in_the_middle_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    with open_home(settings(tmp_path / "home", config=tmp_path / "no.toml")) as home:
        field = Field(home)
        described(field, *(f"description number {n}" for n in range(MANY)))
        use(field, "slow")
    command = [sys.executable, "-m", "mlife", "badcase", "suggestions", "--look", "--json"]
    environment = {**os.environ, "MLIFE_HOME": str(tmp_path / "home")}
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(site.journal) > 20)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)

    told = json.loads(done.stdout.splitlines()[-1])
    (slow,) = told["progress"]
    assert (slow["items"], slow["seen"], told["is_done"]) == (MANY, MANY, True)
    assert len(set(site.journal)) == MANY
    assert len(site.journal) <= MANY + 2 * looking.BATCH


def test_what_an_embedder_did_wrong_is_said_and_the_rest_is_suggested(
    field: Field, client: TestClient, site: Site
) -> None:
    described(field, "a bad thing of no length", "quite the same long text", "quite the same long text!")
    use(field, "raises", "words", "needy", "no_embedder")
    look(field)

    raises = told_of(client, "raises")
    assert (raises["items"], raises["seen"], raises["failed"]) == (3, 2, 1)
    assert raises["sentence"].endswith("1 at which it failed (raises RuntimeError: it said bad)")
    shown = client.get("/suggestions").text
    assert "is a str and no Embedder" in shown
    assert "needs unheard_of, which is not installed" in shown
    assert [s["by"] for s in client.get("/api/v1/suggestions").json()["suggestions"]] != []


def test_an_embedder_that_only_fails_is_given_up_until_somebody_wants_another_try(
    field: Field, client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "BATCH", 4)
    described(field, *(f"text that is long enough {n}" for n in range(20)))
    use(field, "narrow")
    look(field)
    narrow = told_of(client, "narrow")
    assert narrow["problem"].startswith("failed 9 times and gave nothing: gives 1 × 3, and not 1 × 4")
    look(field)
    assert told_of(client, "narrow")["failed"] == 9
    assert "Try again" in client.get("/suggestions").text

    assert client.post("/api/v1/suggestions/again", json={"embedder": "narrow"}).json()["tried_again"] == 9
    assert client.get("/api/v1/suggestions").json()["progress"] == []
    assert client.post("/api/v1/suggestions/again", json={"embedder": "narrower"}).status_code == 404


def test_an_embedder_that_hangs_is_said_to_and_holds_up_nothing_for_ever(
    field: Field, client: TestClient, site: Site
) -> None:
    described(field, "a bad one that hangs", "another text that does not")
    use(field, "hangs")
    look(field, seconds=0.5)
    assert told_of(client, "hangs")["sentence"].endswith("1 at which it failed (takes longer than 0.5 s)")


def test_another_version_is_made_anew_and_the_vectors_of_the_old_one_go(field: Field, site: Site) -> None:
    described(field, "one text that is long", "another text that is long")
    use(field, "prints")
    shelf = field.home.ports.extra["shelf"]
    shelf.put("prints@0/4", {"x": b""})
    shelf.put("of another program@0/4", {"x": b""})
    looker: Any = field.home.ports.extra["looker"]
    looker._likeness = ProcessLikeness()  # one that knows the package
    looker.look_at_all(threading.Event())
    assert {k for k in shelf.kinds() if "@" in k} == {"prints@1/4", "of another program@0/4"}


def test_a_server_looks_by_itself_and_two_never_at_once(running_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    field = Field(running_home)
    looker: Looker = running_home.ports.extra["looker"]
    monkeypatch.setattr(looking, "LOOK_SECONDS", 0.05)
    answer = field.intake.reports([report(f"t{n}", picture=n, description="half-worn mask below") for n in range(3)])
    assert answer.refused == []
    stop = threading.Event()
    thread = threading.Thread(target=looker.run, args=(stop,))
    shelf = running_home.ports.extra["shelf"]
    with running_home.ports.locks.hold("looking", timeout=10):
        thread.start()
        running_home.runner.settle()
        time.sleep(0.3)
        assert shelf.kinds() == []
    until(lambda: "suggestions" in shelf.kinds())
    stop.set()
    thread.join()


def test_who_ends_while_an_embedder_hangs_does_not_wait_for_it_and_blames_no_item(
    field: Field, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    described(field, "a bad one that hangs", "a bad one that hangs, too")
    use(field, "hangs")
    looker: Any = field.home.ports.extra["looker"]
    looker._likeness = likeness = ProcessLikeness(seconds=60)
    monkeypatch.setattr(looking, "LOOK_SECONDS", 0.01)
    with field.home.looking():
        until(lambda: "hangs" in likeness._opened)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert field.home.ports.extra["shelf"].kinds() == ["looked"]
    assert likeness._helper.pid is None


def test_what_could_not_be_compared_is_said_and_compared_in_the_next_pass(
    field: Field, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    described(field, "half-worn mask under the chin", "mask half-worn, under chin")
    use(field, "words")
    monkeypatch.setattr("mlife.adapters.likeness_process.COMPARING_SECONDS", 0.0)
    look(field)
    assert "can't be compared: it takes longer than 0 s" in told_of(client, "words")["problem"]
    monkeypatch.undo()
    look(field)
    told = client.get("/api/v1/suggestions").json()
    assert (told["total"], told["progress"][0]["problem"]) == (1, None)
