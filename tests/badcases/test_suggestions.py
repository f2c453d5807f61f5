"""Suggestions: what looks alike or is described alike, merged or dismissed by people."""

from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from PIL import Image, ImageDraw, ImageEnhance
from starlette.testclient import TestClient

from mlife.adapters.likeness_pillow import alike, likeness
from mlife.badcases.suggesting import suggest, suggestion_id
from mlife.badcases.views import grouping, lists
from tests.badcases.conftest import NOW, Field, report
from tests.conftest import drain


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


def test_a_picture_that_is_scaled_recompressed_or_darker_keeps_its_hash_and_another_does_not() -> None:
    mark = likeness(picture())
    for same in (picture(side=300), picture(kind="JPEG"), picture(light=0.8)):
        assert (mark ^ likeness(same)).bit_count() <= 6
    assert (mark ^ likeness(picture(5))).bit_count() > 12


def test_every_pair_within_the_distance_is_found_and_no_other() -> None:
    hashes = [(n * 0x9E3779B97F4A7C15) % 2**64 for n in range(200)]
    hashes += [h ^ 0b1011 for h in hashes[:5]]
    exact = {(i, j, (a ^ b).bit_count()) for i, a in enumerate(hashes) for j, b in enumerate(hashes) if i < j}

    assert set(alike(hashes, 20)) == {pair for pair in exact if pair[2] <= 20}


def test_descriptions_with_the_same_rare_words_are_alike_and_common_words_are_not_enough() -> None:
    said = {
        "bc-1": ["half-worn mask under the chin"],
        "bc-2": ["mask half-worn, under chin"],
        "bc-3": ["under the bridge there was heavy rain"],
        "bc-4": ["under the table there sat a dog"],
    }
    found = suggest({}, {}, said, (), alike)

    assert [(s.one, s.other, s.why) for s in found] == [("bc-1", "bc-2", "similar words")]
    assert "mask" in found[0].sentence
    assert suggest({}, {}, said, {suggestion_id("bc-2", "bc-1")}, alike) == []


def stored(field: Field, body: bytes) -> str:
    field.home.ports.blobs.put(BytesIO(body))
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def two(field: Field) -> tuple[Field, str, str]:
    """Two badcases with pictures that look alike, and a third that looks like nothing else."""
    for truth, body in (("9", picture()), ("7", picture(light=0.9)), ("1", picture(5))):
        sent = report(truth)
        sent["data"] = [{"uri": f"s3://cam/{truth}.png", "media_type": "image/png", "sha256": stored(field, body)}]
        field.send(sent)
    ids = {b.title: b.badcase_id for b in field.read(lists.badcases, now=NOW).items}
    one, other = sorted((ids["9 read as 4"], ids["7 read as 4"]))
    return field, one, other


def test_similar_pictures_are_suggested_and_accepting_merges(two: tuple[Field, str, str], client: TestClient) -> None:
    field, one, other = two
    (found,) = client.get("/api/v1/suggestions").json()["suggestions"]
    assert (found["one"], found["other"], found["why"]) == (one, other, "similar pictures")
    assert "They are two" in client.get("/suggestions").text

    client.post("/api/v1/badcases/merge", json={"badcase_ids": [one, other], "suggested_by": found["suggestion_id"]})
    drain(field.home)
    assert client.get("/api/v1/suggestions").json()["suggestions"] == []
    assert {home.badcase_id for b in (one, other) if (home := field.read(grouping.home_of, b))} <= {one, other}


def test_a_dismissed_suggestion_stays_away_until_it_is_taken_back(
    two: tuple[Field, str, str], client: TestClient
) -> None:
    field, one, other = two
    made = client.post("/api/v1/suggestions/dismiss", json={"one": other, "other": one, "why": "similar pictures"})
    drain(field.home)
    assert client.get("/api/v1/suggestions").json()["total"] == 0
    client.post(f"/suggestions/{made.json()['suggestion_id']}/restore")
    drain(field.home)
    assert client.get("/api/v1/suggestions").json()["total"] == 1
