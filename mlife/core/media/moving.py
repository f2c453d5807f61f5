"""How a truth about a file reads on a copy of it: shifted with the crop, cut with the trim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JSON = Any


def unchanged(annotation: Mapping[str, JSON]) -> dict[str, JSON]:
    """Where the copy shows the same at the same places."""
    return dict(annotation)


def cropped(
    annotation: Mapping[str, JSON], *, x: float, y: float, width: float, height: float
) -> dict[str, JSON] | None:
    """
    The annotation on the part of a picture whose upper left corner is *x*, *y*.

    Boxes are cut at the edges and left out where nothing of them remains; points outside are left out; outlines keep
    their corners, which may lie outside, as long as some of it is inside. What is about the whole picture stays.
    """
    kind = annotation["type"]
    if kind == "boxes":
        cut = [_cut(box, x, y, width, height) for box in annotation["boxes"]]
        return {**annotation, "boxes": [box for box in cut if box is not None]}
    if kind == "points":
        moved = [{**p, "x": p["x"] - x, "y": p["y"] - y} for p in annotation["points"]]
        return {**annotation, "points": [p for p in moved if 0 <= p["x"] <= width and 0 <= p["y"] <= height]}
    if kind == "polygons":
        shifted = [
            {**polygon, "points": [[a - x, b - y] for a, b in polygon["points"]]} for polygon in annotation["polygons"]
        ]
        return {**annotation, "polygons": [p for p in shifted if _touches(p["points"], width, height)]}
    return None if kind == "segments" else dict(annotation)


def _cut(box: Mapping[str, JSON], x: float, y: float, width: float, height: float) -> dict[str, JSON] | None:
    left, top = max(0.0, box["x"] - x), max(0.0, box["y"] - y)
    right, bottom = min(width, box["x"] + box["width"] - x), min(height, box["y"] + box["height"] - y)
    if right <= left or bottom <= top:
        return None
    return {**box, "x": left, "y": top, "width": right - left, "height": bottom - top}


def _touches(points: list[list[float]], width: float, height: float) -> bool:
    """Whether the box around an outline meets the picture."""
    across, down = [p[0] for p in points], [p[1] for p in points]
    return min(across) < width and max(across) > 0 and min(down) < height and max(down) > 0


def trimmed(annotation: Mapping[str, JSON], *, start: float, end: float) -> dict[str, JSON] | None:
    """
    The annotation on the stretch from *start* to *end* seconds.

    Segments are cut; what is about the whole file stays, but a transcript: nobody knows which of its words remain.
    """
    if annotation["type"] == "text":
        return None
    if annotation["type"] != "segments":
        return dict(annotation)
    kept = []
    for segment in annotation["segments"]:
        first, last = max(segment["start"], start) - start, min(segment["end"], end) - start
        if last > first:
            kept.append({**segment, "start": round(first, 6), "end": round(last, 6)})
    return {**annotation, "segments": kept}
