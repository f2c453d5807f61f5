"""
The fleet: cameras that watch drivers, and people who report what they take wrong.

Nothing here is the product's: it plays the customers. A camera looks for a face (`face`), cuts it out and asks the
model whether the driver smiles (`expression`). Who reports a failure looks at the picture, and tells the kind of mask.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mlife.demo.digits import Rows
from mlife.demo.faces import Sightings
from mlife.demo.field import Answered, Shift

SYSTEM, EXPRESSION, FACE = "dms", "expression", "face"
FLEETS = ("fleet-north", "fleet-east", "fleet-south", "fleet-west")
"""Ten drivers each, in the order of their numbers."""
PLACES = ("city", "motorway", "depot")
SHIFT_DAYS = 2
"""Days that one count of traffic is about."""


def fleet_of(driver: str) -> str:
    """Whose driver it is."""
    return FLEETS[(int(driver.rpartition("-")[2]) - 1) * len(FLEETS) // 40]


def failures(shift: Shift, seen: Sightings, answered: Answered) -> Iterator[dict[str, Any]]:
    """Faces that were not found, and smiles that were read wrong, in order of time."""
    frames, count = seen.frames, len(seen.frames)
    cut = {frame: n for n, frame in enumerate(seen.places)}
    for n, place in enumerate(_mixed(count)):
        at = shift.begins + (shift.ends - shift.begins) * (n + 1) / (count + 1)
        face = cut.get(place)
        if face is None:
            yield _report(shift, frames, place, FACE, ("face", "no face", None), at)
        elif answered.labels[face] != seen.faces.labels[face]:
            said = (seen.faces.labels[face], answered.labels[face], answered.scores[face])
            yield _report(shift, seen.faces, face, EXPRESSION, said, at)


def traffic(shift: Shift, seen: Sightings) -> Iterator[dict[str, Any]]:
    """How many pictures each fleet asked about: every one for a face, and those with one for an expression."""
    steps = max(1, (shift.ends - shift.begins).days // SHIFT_DAYS)
    step = (shift.ends - shift.begins) / steps
    for function, rows in ((FACE, seen.frames), (EXPRESSION, seen.faces)):
        counts = Counter(fleet_of(driver) for driver in rows.columns["driver"])
        for fleet, total in sorted(counts.items()):
            for n in range(steps):
                yield {
                    "system": SYSTEM,
                    "function": function,
                    "version": shift.version,
                    "client": fleet,
                    "device": f"{fleet}-cab",
                    "from": _text(shift.begins + step * n),
                    "to": _text(shift.begins + step * (n + 1)),
                    "count": total * (n + 1) // steps - total * n // steps,
                }


def _report(
    shift: Shift, rows: Rows, place: int, function: str, said: tuple[str, str, float | None], at: datetime
) -> dict[str, Any]:
    truth, label, score = said
    digest, fleet = rows.sha256[place], fleet_of(rows.columns["driver"][place])
    where = PLACES[int(digest[:8], 16) % len(PLACES)]
    return {
        "system": SYSTEM,
        "function": function,
        "version": shift.version,
        "data": [{"uri": f"sha256:{digest}", "media_type": "image/png", "sha256": digest}],
        "prediction": {"type": "class", "label": label, "score": score},
        "truth": {"type": "class", "label": truth},
        "client": fleet,
        "device": f"{fleet}-cab",
        "severity": "major" if function == FACE else "minor",
        "observed_at": _text(at),
        "fields": {"mask": rows.columns["mask"][place], "place": where},
    }


def _mixed(count: int) -> list[int]:
    """The places 0 to *count* in an order that looks like chance, and is always the same."""
    return sorted(range(count), key=lambda place: hashlib.sha256(str(place).encode()).digest())


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
