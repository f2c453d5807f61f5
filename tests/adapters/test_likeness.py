"""What is near to what, exactly; the built-in embedders; and embedders that do anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from mlife.adapters import nearest_numpy
from mlife.adapters.likeness_process import ProcessLikeness
from mlife.adapters.nearest_numpy import nearest
from mlife.core.errors import Misconfigured
from mlife.core.media import embedding
from mlife.core.media.embedding import Unembedded
from tests.embedders import Site


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def found(vectors: np.ndarray, owners: np.ndarray, near: float, most: int) -> dict[tuple[int, int], float]:
    one, other, cosine = nearest(vectors, owners.astype(np.int32), near=near, most=most)
    return {(int(i), int(j)): float(c) for i, j, c in zip(one, other, cosine, strict=True)}


def exactly(vectors: np.ndarray, owners: np.ndarray, near: float, most: int) -> dict[tuple[int, int], float]:
    """The same by looking at every pair."""
    cosine = vectors @ vectors.T
    kept = set()
    for i, row in enumerate(cosine):
        others = [j for j in np.argsort(-row, kind="stable") if owners[j] != owners[i] and row[j] >= near]
        kept |= {(min(i, int(j)), max(i, int(j))) for j in others[:most]}
    return {pair: float(cosine[pair]) for pair in kept}


@pytest.mark.parametrize(("near", "most"), [(0.2, 3), (0.5, 100), (-0.9, 1)])
def test_the_nearest_of_another_owner_are_those_that_comparing_every_pair_finds(
    near: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_numpy, "ROWS", 16)
    monkeypatch.setattr(nearest_numpy, "COLUMNS", 64)
    monkeypatch.setattr(nearest_numpy, "MOST_HELD", 500)
    drawn = np.random.default_rng(7)
    vectors, owners = unit(drawn.normal(size=(301, 12))), drawn.integers(0, 90, 301)

    exact = exactly(vectors, owners, near, most)
    assert found(vectors, owners, near, most) == pytest.approx(exact, abs=1e-5)


def test_a_crowd_that_is_all_alike_costs_no_more_than_its_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_numpy, "MOST_HELD", 10_000)
    vectors, owners = unit(np.ones((1_500, 8))), np.arange(1_500)
    assert 0 < len(found(vectors, owners, 0.9, 4)) <= 1_500 * 4
    assert found(vectors, np.zeros(1_500), 0.9, 4) == {}


@pytest.fixture
def likeness(site: Site) -> Iterator[ProcessLikeness]:
    """With the embedders of `tests/embedders.py` beside the built-in ones."""
    made = ProcessLikeness(seconds=1.0)
    yield made
    made.close()


def picture(shift: int = 0, *, light: float = 1.0, side: int = 64, kind: str = "PNG") -> bytes:
    """A dark mark on a bright ground; another *shift* is another mark."""
    made = Image.linear_gradient("L").resize((side, side)).convert("RGB")
    draw = ImageDraw.Draw(made)
    for n in range(6):
        at = (side * ((n * 37 + shift * 53) % 97)) // 97
        draw.ellipse((at, (side * n) // 7, at + side // 4, (side * n) // 7 + side // 5), fill=(n * 40, 30, 200))
    held = BytesIO()
    made = ImageEnhance.Brightness(made).enhance(light)
    made.save(held, kind, **({"quality": 70} if kind == "JPEG" else {}))
    return held.getvalue()


def cosines(likeness: ProcessLikeness, name: str, items: list[bytes]) -> list[float]:
    """Of the first and each other."""
    rows = [np.frombuffer(v, "<f4") for v in likeness.embed(name, items) if isinstance(v, bytes)]
    return [float(rows[0] @ row) for row in rows[1:]]


def test_a_picture_that_is_scaled_recompressed_or_darker_stays_near_and_another_does_not(
    likeness: ProcessLikeness,
) -> None:
    items = [picture(), picture(side=300), picture(kind="JPEG"), picture(light=0.8), picture(5)]
    for name, near in (("outline", 0.8), ("shape", 0.9)):
        *same, other = cosines(likeness, name, items)
        assert min(same) > near
        assert other < 0.75
    plain = BytesIO()
    Image.new("RGB", (40, 40), "grey").save(plain, "PNG")
    assert likeness.embed("outline", [plain.getvalue()]) == likeness.embed("shape", [plain.getvalue()]) == [b""]


def test_texts_with_the_same_long_words_are_near_in_any_order_and_common_words_are_not_enough(
    likeness: ProcessLikeness,
) -> None:
    said = ["half-worn mask under the chin", "mask half-worn, under chin", "under the bridge there was heavy rain"]
    near, far = cosines(likeness, "words", [text.encode() for text in said])
    assert near > 0.9
    assert far < 0.5
    (reordered,) = cosines(
        likeness, "words", [t.encode() for t in ("口罩戴在下巴下面的司机", "司机把口罩戴在下巴下面")]
    )
    assert reordered > 0.6
    assert likeness.embed("words", [b"night"]) == [b""]


def test_an_embedder_that_fails_is_judged_item_by_item_in_words(likeness: ProcessLikeness) -> None:
    items = [b"good 1", b"bad", b"good 2"]

    def reasons(name: str) -> list[str]:
        return [v.reason if isinstance(v, Unembedded) else "a vector" for v in likeness.embed(name, items)]

    assert reasons("raises") == ["a vector", "raises RuntimeError: it said bad", "a vector"]
    assert reasons("nan") == ["a vector", "gives NaN or infinity", "a vector"]
    assert reasons("narrow") == ["gives 1 × 3, and not 1 × 4"] * 3
    assert reasons("ragged") == ["a vector", "gives 1 × 1, and not 1 × 4", "a vector"]
    assert reasons("dies") == ["a vector", "makes its process crash", "a vector"]
    assert reasons("prints") == ["a vector"] * 3


def test_an_embedder_that_hangs_costs_its_item_a_second_and_the_others_go_on(likeness: ProcessLikeness) -> None:
    began = time.monotonic()
    first, second, third = likeness.embed("hangs", [b"good 1", b"bad", b"good 2"])
    assert isinstance(first, bytes)
    assert second == Unembedded("takes longer than 1 s")
    assert isinstance(third, bytes)
    assert time.monotonic() - began < 10


def test_an_embedder_that_can_not_be_opened_says_what_it_needs(likeness: ProcessLikeness) -> None:
    with pytest.raises(Misconfigured, match="the embedder needy needs unheard_of, which is not installed"):
        likeness.embed("needy", [b"x"])
    assert embedding.embedders()["no_embedder"] == "is a str and no Embedder"
    assert embedding.embedders()["wide"] == "has 9000 dimensions; 1 to 4,096 are possible"


def test_secrets_of_ours_are_not_in_the_process_of_an_embedder(
    monkeypatch: pytest.MonkeyPatch, site: Site, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLIFE_TOKEN", "secret")
    likeness = ProcessLikeness()
    (told,) = likeness.embed("raises", [b"bad environment"])
    likeness.close()
    assert told == Unembedded("raises RuntimeError: it said bad environment, and knows 0 secrets")
