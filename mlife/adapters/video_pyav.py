"""Copies of film, made with PyAV: a frame as a picture, a stretch, another coding. Runs in the workshop's process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlife.core.media.conversions import CannotConvert, Conversion, Parameter, Values
from mlife.core.media.moving import trimmed, unchanged

MOST_PIXELS = 4096 * 4096
MOST_FRAMES = 60 * 60 * 10
CODERS = ("libx264", "mpeg4")
"""What a film is coded with: the first that is there."""


def _opened(source: Path) -> Any:
    import av

    try:
        # Local files only: a playlist in a stranger's file must not lead elsewhere.
        film = av.open(str(source), options={"protocol_whitelist": "file"})
    except (av.FFmpegError, OSError, ValueError) as e:
        raise CannotConvert(f"is no film that can be read: {e}") from e
    if not film.streams.video:
        raise CannotConvert("has no pictures in it")
    picture = film.streams.video[0]
    picture.codec_context.thread_count = 1
    if picture.width * picture.height > MOST_PIXELS:
        raise CannotConvert(f"has {picture.width} × {picture.height} pixels; at most {MOST_PIXELS:,} are read")
    return film


def seconds_of(source: Path) -> float | None:
    """How long it is; None: it does not say."""
    with _opened(source) as film:
        return round(film.duration / 1_000_000, 6) if film.duration else None


def _frames(film: Any, start: float, end: float) -> Iterator[tuple[float, Any]]:
    """(seconds, frame) from *start* up to *end*."""
    import av

    stream = film.streams.video[0]
    if start > 0:
        film.seek(int(start / stream.time_base), stream=stream, backward=True)
    try:
        for count, frame in enumerate(film.decode(stream)):
            at = frame.time if frame.time is not None else 0.0
            if at >= end:
                return
            if count > MOST_FRAMES:
                raise CannotConvert(f"has more than {MOST_FRAMES:,} frames in that stretch")
            if at >= start - 1e-6:
                yield at, frame
    except av.FFmpegError as e:
        raise CannotConvert(f"breaks off: {e}") from e


def frame(source: Path, target: Path, values: Values) -> str:
    """The picture that is shown at a moment, as PNG."""
    at = float(values["at"])
    with _opened(source) as film:
        shown = next(_frames(film, at, float("inf")), None)
        if shown is None:
            raise CannotConvert(f"has no frame at {at:g} s")
        shown[1].to_image().save(target, "PNG")
    return ".png"


def trim(source: Path, target: Path, values: Values) -> str:
    """The stretch, coded anew so that it begins at the very frame."""
    start, end = float(values["start"]), float(values["end"])
    if end <= start:
        raise CannotConvert("has no stretch that ends before it begins")
    return _coded(source, target, start, end, 0)


def transcode(source: Path, target: Path, values: Values) -> str:
    """As MP4, no wider than is asked."""
    return _coded(source, target, 0.0, float("inf"), int(values["width"]))


def _coded(source: Path, target: Path, start: float, end: float, width: int) -> str:
    import av

    with _opened(source) as film, av.open(str(target), "w", format="mp4") as made:
        picture = film.streams.video[0]
        coder = next((c for c in CODERS if c in av.codecs_available), None)
        if coder is None:
            raise CannotConvert("can't be coded: this FFmpeg has no coder of ours")
        rate = picture.average_rate or 25
        out: Any = made.add_stream(coder, rate=rate)
        share = min(1.0, width / picture.width) if width else 1.0
        # coders want even sides
        out.width, out.height = (max(2, int(side * share) // 2 * 2) for side in (picture.width, picture.height))
        out.pix_fmt = "yuv420p"
        count = 0
        for count, (_, shown) in enumerate(_frames(film, start, end), 1):
            again = shown.reformat(width=out.width, height=out.height, format="yuv420p")
            again.pts, again.time_base = count - 1, 1 / rate
            made.mux(out.encode(again))
        if not count:
            raise CannotConvert("has no frame in that stretch")
        made.mux(out.encode())
    return ".mp4"


FRAME = Conversion(
    label="Take a frame",
    takes=("video/",),
    run=frame,
    parameters=(Parameter("at", "At, seconds"),),
)
TRIM = Conversion(
    label="Trim",
    takes=("video/",),
    run=trim,
    parameters=(Parameter("start", "From, seconds"), Parameter("end", "To, seconds")),
    moves=lambda truth, v: trimmed(truth, start=float(v["start"]), end=float(v["end"])),
)
TRANSCODE = Conversion(
    label="Transcode to MP4",
    takes=("video/",),
    run=transcode,
    parameters=(Parameter("width", "At most this wide, pixels", "whole", 640, 16, 4096),),
    moves=lambda truth, _: unchanged(truth) if truth["type"] in {"class", "labels", "segments", "text"} else None,
)
