"""Seeded reports as a fleet would send them: 20,000 badcases, several systems' versions, clients and devices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

BADCASES: Final = 20_000
FUNCTIONS: Final = ("emotion", "gaze", "seatbelt", "drowsiness")
LABELS: Final = 71
"""Per side: 4 functions × 71 × 71 pairs are more than the badcases."""
CLIENTS: Final = 40
DEVICES: Final = 5_000
PLACES: Final = ("tunnel", "motorway", "city", "garage", "ferry")
REMARKS: Final = ("half-worn mask, night", "low sun from the left", "child on the back seat", "dirty lens")


def reports(count: int, *, start: int = 0, seed: int = 1) -> Iterator[dict[str, Any]]:
    """
    Reports number *start* to *start* + *count*; a report is a function of its number and the seed.

    Every other one meets any of the 20,000 badcases, the rest follow Zipf's law, as failures in the field do: the most
    frequent badcase has 5 % of all reports. 200,000 reports meet 99 % of the badcases.
    """
    for number in range(start, start + count):
        yield report(number, seed)


def report(number: int, seed: int = 1) -> dict[str, Any]:
    """One report, about 520 bytes as JSON."""
    chance = random.Random(seed << 40 | number)  # noqa: S311 - made up on purpose, and the same in every run
    bits = chance.getrandbits(64)
    badcase = bits % BADCASES if bits & 1 << 40 else int(BADCASES ** chance.random())
    function, pair = badcase % len(FUNCTIONS), badcase // len(FUNCTIONS)
    made: dict[str, Any] = {
        "system": "dms",
        "function": FUNCTIONS[function],
        "version": f"2.{bits % 3}.0",
        "data": [
            {
                "uri": f"s3://field/{number % 365:03d}/{bits:016x}.jpg",
                "media_type": "image/jpeg",
                "sha256": f"{chance.getrandbits(256):064x}",
            }
        ],
        "prediction": {"type": "class", "label": f"said {pair % LABELS}", "score": bits % 997 / 1_000},
        "truth": {"type": "class", "label": f"is {pair // LABELS}"},
        "client": f"fleet-{bits % CLIENTS}",
        "device": f"cam-{bits % DEVICES}",
        "severity": ("minor", "major", "critical")[bits % 3],
        "observed_at": f"2026-03-{1 + bits % 28:02d}T{bits % 24:02d}:{bits % 60:02d}:{number % 60:02d}Z",
        "fields": {"place": PLACES[bits % 5], "lux": bits % 900, "speed_kmh": bits % 130},
        "report_id": f"{seed}-{number}",
    }
    if bits % 3 == 0:
        made["description"] = REMARKS[bits % 4]
    return made


def batches(count: int, *, start: int = 0, size: int = 1_000, seed: int = 1) -> list[list[dict[str, Any]]]:
    """*count* reports in lists of *size*."""
    made = list(reports(count, start=start, seed=seed))
    return [made[at : at + size] for at in range(0, count, size)]
