"""Suggestions: what looks alike or is described alike, found beside requests, merged or dismissed by people."""

from __future__ import annotations

import hashlib
import json
import threading
from io import BytesIO
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw, ImageEnhance
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.looking import Look, Looker
from mlife.badcases.suggesting import MOST_OF_ONE, Finder, alike, same_files, strongest, suggestion_id
from mlife.badcases.views import grouping, lists
from mlife.cli import root
from mlife.runtime import Home
from tests.badcases.conftest import NOW, Field, report
from tests.conftest import drain


@pytest.fixture
def home(either_home: Home) -> Home:
    """Every test on both databases."""
    return either_home


def picture(shift: int = 0, *, light: float = 1.0, side: int = 64, kind: str = "PNG") -> bytes:
    """A dark mark on a bright ground; another *shift* is another mark."""
    made = Image.linear_gradient("L").resize((side, side)).convert("RGB")
    draw = ImageDraw.Draw(made)
    for n in range(6):
        at = (side * ((n * 37 + shift * 53) % 97)) // 97
        draw.ellipse((at, (side * n) // 7, at + side // 4, (side * n) // 7 + side // 5), fill=(n * 40, 30, 200))
    made = ImageEnhance.Brightness(made).enhance(light)
    held = BytesIO()
    made.save(held, kind, **({"quality": 70} if kind == "JPEG" else {}))
    return held.getvalue()


def stored(field: Field, body: bytes) -> str:
    field.home.ports.blobs.put(BytesIO(body))
    return hashlib.sha256(body).hexdigest()


def sent(field: Field, truth: str, body: bytes | None, **other: Any) -> dict[str, Any]:
    """A report of a badcase of its own, whose bytes are here if there are any."""
    said = report(truth, picture=f"none of {truth}", **other)
    if body is not None:
        said["data"] = [{"uri": f"s3://cam/{truth}.png", "media_type": "image/png", "sha256": stored(field, body)}]
    return said


def look(field: Field) -> Look:
    """One pass, as the thread of a server does it."""
    looker: Looker = field.home.ports.extra["looker"]
    found = looker.look("digits", "digit", threading.Event())
    field.home.ports.extra["looker"]._likeness.rest()
    return found


def ids(field: Field) -> dict[str, str]:
    """Truth → badcase."""
    return {b.title[0]: b.badcase_id for b in field.read(lists.badcases, now=NOW).items}


@pytest.fixture
def two(field: Field) -> tuple[Field, str, str]:
    """Two badcases with pictures that look alike, and a third that looks like nothing else; looked at."""
    field.send(*(sent(field, t, body) for t, body in (("9", picture()), ("7", picture(light=0.9)), ("1", picture(5)))))
    look(field)
    one, other = sorted((ids(field)["9"], ids(field)["7"]))
    return field, one, other


# --- what is suggested, purely ---

WORDS = Finder("words", "words", "text", 0.7)
SHAPE = Finder("shape", "shapes", "picture", 0.9)


def test_of_several_reasons_the_strongest_stands_and_names_the_others() -> None:
    of = {"f1": ["bc-1"], "f2": ["bc-2"], "t1": ["bc-1"], "t2": ["bc-2"]}
    found = strongest([*alike(SHAPE, of, [("f1", "f2", 0.95)]), *alike(WORDS, of, [("t1", "t2", 0.97)])])

    (one,) = found
    assert (one.why, one.by, one.keys) == ("similar descriptions", "words", ("t1", "t2"))
    assert one.strength == pytest.approx(0.9)
    assert "cosine 0.97" in one.sentence
    assert "pictures" in one.also[0]


def test_the_same_file_comes_first_and_a_file_of_too_many_badcases_tells_none_apart() -> None:
    crowd = {f"bc-{n}": ["of all", f"own {n}"] for n in range(MOST_OF_ONE + 1)}
    assert list(same_files(crowd)) == []
    few = {"bc-1": ["x"], "bc-2": ["x"], "bc-3": ["y"]}
    (found,) = strongest([*alike(SHAPE, {"x": ["bc-1", "bc-2"], "y": ["bc-3"]}, []), *same_files(few)])
    assert (found.one, found.other, found.why, found.keys) == ("bc-1", "bc-2", "same file", ("x", "x"))
    assert found.suggestion_id == suggestion_id("bc-2", "bc-1")


# --- what is looked at, and kept ---


def test_similar_pictures_are_suggested_with_why_and_accepting_merges(
    two: tuple[Field, str, str], client: TestClient
) -> None:
    field, one, other = two
    told = client.get("/api/v1/suggestions").json()
    (found,) = told["suggestions"]
    assert (found["one"], found["other"], found["why"]) == (one, other, "similar pictures")
    assert found["likeness"] > 0.9
    assert {p["name"]: (p["items"], p["seen"]) for p in told["progress"]} == {
        "outline": (3, 3),
        "shape": (3, 3),
        "words": (0, 0),
    }
    shown = client.get("/suggestions").text
    assert shown.count(f"/files/{found['keys'][0]}/thumbnail") == 1
    assert shown.count(f"/files/{found['keys'][1]}/thumbnail") == 1

    client.post("/api/v1/badcases/merge", json={"badcase_ids": [one, other], "suggested_by": found["suggestion_id"]})
    drain(field.home)
    assert client.get("/api/v1/suggestions").json()["suggestions"] == []
    assert {h.badcase_id for b in (one, other) if (h := field.read(grouping.home_of, b))} <= {one, other}


def test_a_dismissed_suggestion_stays_away_until_it_is_taken_back(
    two: tuple[Field, str, str], client: TestClient
) -> None:
    field, one, other = two
    made = client.post("/api/v1/suggestions/dismiss", json={"one": other, "other": one, "why": "similar pictures"})
    drain(field.home)
    look(field)
    told = client.get("/api/v1/suggestions").json()
    assert (told["total"], [d["one"] for d in told["dismissed"]]) == (0, [one])
    assert "Suggest it again" in client.get("/suggestions").text
    client.post(f"/api/v1/suggestions/{made.json()['suggestion_id']}/restore")
    drain(field.home)
    assert client.get("/api/v1/suggestions").json()["total"] == 1


def test_descriptions_are_compared_and_shown_side_by_side_and_sealed_ones_are_not(
    field: Field, client: TestClient
) -> None:
    said = {"9": "half-worn mask under the chin", "7": "mask half-worn, under chin", "1": "heavy rain on the bridge"}
    field.send(*(sent(field, truth, None, description=text) for truth, text in said.items()))
    look(field)
    (found,) = client.get("/api/v1/suggestions").json()["suggestions"]
    assert (found["why"], found["by"]) == ("similar descriptions", "words")
    assert {text for texts in found["texts"] for text in texts} == {said["9"], said["7"]}
    assert "under chin" in client.get("/suggestions").text
    shelf = field.home.ports.extra["shelf"]
    assert all(b"chin" not in body for kind in shelf.kinds() for body in _all(shelf, kind, field))


def _all(shelf: Any, kind: str, field: Field) -> list[bytes]:
    """What the shelf has of a kind."""
    keys = [hashlib.sha256(t.encode()).hexdigest() for t in ("half-worn mask under the chin",)]
    from mlife.badcases.functions import function_id

    return list(shelf.get(kind, [*keys, function_id("digits", "digit")]).values())


def test_no_page_and_no_report_waits_for_a_picture_and_what_is_not_here_is_said(
    field: Field, client: TestClient
) -> None:
    field.send(sent(field, "9", picture()), sent(field, "7", None), sent(field, "1", b"no picture at all"))
    told = client.get("/api/v1/suggestions").json()
    assert (told["progress"], told["is_done"]) == ([], False)
    assert "it is looked at beside other work" in client.get("/suggestions").text

    look(field)
    shape = next(p for p in client.get("/api/v1/suggestions").json()["progress"] if p["name"] == "shape")
    assert (shape["items"], shape["seen"], shape["absent"], shape["unreadable"]) == (3, 1, 1, 1)
    assert shape["sentence"].startswith("2 of 3 pictures looked at; 1 whose bytes are not here; 1 that can’t be read")


def test_what_was_looked_at_is_not_looked_at_again_and_a_new_badcase_costs_itself_alone(
    two: tuple[Field, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    field, _, _ = two
    looker: Any = field.home.ports.extra["looker"]
    embedded: list[int] = []
    whole = looker._likeness.embed
    monkeypatch.setattr(
        looker._likeness, "embed", lambda name, items: embedded.append(len(items)) or whole(name, items)
    )
    look(field)
    assert embedded == []
    field.send(sent(field, "3", picture(9)))
    look(field)
    assert embedded == [1, 1]


def test_embedders_are_chosen_and_switched_off_for_each_function(
    two: tuple[Field, str, str], client: TestClient
) -> None:
    field, _, _ = two
    of = {"system": "digits", "function": "digit"}
    client.post("/api/v1/suggestions/embedders", json={**of, "embedders": ["words"]})
    drain(field.home)
    assert [s.name for s in look(field).embedders] == ["words"]
    assert client.get("/api/v1/suggestions").json()["total"] == 0

    refused = client.post("/api/v1/suggestions/embedders", json={**of, "embedders": ["clip"]})
    assert refused.status_code == 409
    assert "no embedder is called clip" in refused.text
    client.post("/suggestions/embedders", data={**of}, follow_redirects=False)
    drain(field.home)
    told = client.get("/api/v1/suggestions").json()
    assert (told["chosen"], look(field).embedders) == ([], [])
    client.post("/api/v1/suggestions/embedders", json={**of, "embedders": None})
    drain(field.home)
    look(field)
    assert client.get("/api/v1/suggestions").json()["total"] == 1


# --- the same at the command line ---


def test_the_command_line_lists_dismisses_restores_and_merges(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLIFE_STORE", field.home.settings.store)
    field.send(sent(field, "9", picture()), sent(field, "7", picture(light=0.9)))

    def told(*words: str) -> Any:
        done = CliRunner().invoke(root, ["badcase", *words, "--json", "--home", str(field.home.settings.home)])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])

    assert told("suggestions", "digits", "digit")["suggestions"] == []
    (found,) = told("suggestions", "digits", "digit", "--look")["suggestions"]
    asked = found["suggestion_id"]
    told("suggestions", "digits", "digit", "--dismiss", asked, "--reason", "they differ")
    assert told("suggestions")["total"] == 0
    told("suggestions", "--restore", asked)
    assert told("suggestions", "digits")["suggestions"] == [found]
    assert told("embedders", "digits", "digit", "--off")["embedders"] == []
    assert told("embedders", "digits", "digit")["chosen"] == []
    into = told("suggestions", "--merge", asked)["into"]
    assert into in {found["one"], found["other"]}
    assert told("suggestions")["total"] == 0


def test_dismissing_and_choosing_twice_is_one_event(field: Field) -> None:
    for command, given in (
        (commands.choose_likeness, {"system": "digits", "function": "digit", "embedders": ["words", "shape"]}),
        (commands.dismiss_suggestion, {"one": "bc-1", "other": "bc-2"}),
    ):
        assert len(field.do(command, **given).events) == 1
        assert field.do(command, **given).events == ()
