"""
What pages show of a stored file: its size as a picture, or why it can't be shown; looked at once, and kept by content.

The same for badcases and data. Originals are never sent to be shown: pages show what was encoded anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from starlette.requests import Request

from mlife.core.errors import MLifeError, in_a_line
from mlife.core.media.drawing import Case, Drawing, draw
from mlife.ui.doing import Doing

JSON = Any
SHOWN = 768
"""Side of the picture that marks are drawn over, pixels: one of the sizes that thumbnails are made in."""


@dataclass(frozen=True, slots=True)
class Look:
    """
    What a file is to the eye and the ear.

    Args:
        width, height: of the upright picture, pixels; None for what is none.
        medium: `image`, `audio`, `video` …; empty if nobody looked.
        seconds: of sound and film, where it is known.
        problem: why it can't be shown, as the predicate of a sentence about it: "is truncated"; empty: it can.
    """

    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    problem: str = ""
    medium: str = ""


def cache_of(request: Request) -> Path:
    """Where what can be made again is kept."""
    home: Path = request.app.state.home.settings.home
    return home / "cache"


def keep(kept: Path, body: bytes) -> None:
    """Beside its place first, then renamed: a reader never sees half of it."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f".{uuid4().hex}")
    partial.write_bytes(body)
    partial.replace(kept)


def look_at(request: Request, hands: Doing, sha256: str, media_type: str = "") -> Look:
    """What the stored file is; *media_type* as it is known, else told from its first bytes."""
    kept = cache_of(request) / "looks" / sha256[:2] / f"{sha256}.json"
    if kept.is_file():
        return Look(**orjson.loads(kept.read_bytes()))
    images, blobs = hands.ports.extra["images"], hands.ports.blobs
    if not blobs.has(sha256):
        return Look(problem="is not in the store")
    with blobs.open(sha256) as content:
        media_type = images.sniff(content.read(4096))
    try:
        is_picture = media_type.startswith("image/") and media_type != "image/svg+xml"  # a program as much as a picture
        look = _picture(hands, sha256) if is_picture else _other(hands, sha256, media_type)
    except MLifeError as e:  # a store or a reader that is away is no fact about the file
        return Look(problem=f"can't be looked at now: {in_a_line(e)}")
    look = replace(look, medium=media_type.partition("/")[0])
    keep(kept, orjson.dumps(asdict(look)))
    return look


def _picture(hands: Doing, sha256: str) -> Look:
    path = hands.ports.blobs.path(sha256)
    with hands.ports.blobs.open(sha256) as content:
        found = hands.ports.extra["images"].probe(path or content.read())
    if (problem := getattr(found, "problem", None)) is not None:
        return Look(problem=problem)
    size = (found.height, found.width) if found.turned else (found.width, found.height)
    return Look(*size)


def _other(hands: Doing, sha256: str, media_type: str) -> Look:
    """Sound and film, if what reads them is installed; of everything else there is nothing to see."""
    if media_type.partition("/")[0] not in {"audio", "video"}:
        return Look(problem=f"is {media_type}, which is not shown")
    workshop = hands.ports.extra.get("workshop")
    if workshop is None or (path := hands.ports.blobs.path(sha256)) is None:
        return Look()
    found = workshop.measure(path, media_type)
    return Look(seconds=found.get("seconds"), problem=found.get("problem", ""))


@dataclass(frozen=True, slots=True)
class Shown:
    """
    A drawing, and what it is drawn over.

    Args:
        play: the address of sound or film; None for what is none.
    """

    drawing: Drawing
    look: Look
    src: str | None
    play: str | None = None


def shown_over(
    request: Request,
    hands: Doing,
    *,
    sha256: str | None,
    media_type: str,
    truth: Mapping[str, JSON] | None,
    prediction: Mapping[str, JSON],
) -> Shown:
    """Prediction over truth, on the file if it is here."""
    look = look_at(request, hands, sha256, media_type) if sha256 else Look(problem="is not here")
    case = Case(
        prediction=prediction,
        truth=truth,
        media_type=media_type,
        width=look.width,
        height=look.height,
        seconds=look.seconds,
    )
    is_shown = sha256 and not look.problem and (look.width or look.medium == "audio")
    plays = sha256 and not look.problem and look.medium in {"audio", "video"}
    return Shown(
        draw(case),
        look,
        f"/files/{sha256}/thumbnail?size={SHOWN}" if is_shown else None,
        f"/files/{sha256}/play" if plays else None,
    )
