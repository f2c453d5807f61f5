"""
The field: devices that ask a model, and people who report what it reads wrong.

Nothing here is the product's: it plays the customers. They resend, two of them report the same picture, and each device
counts its traffic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mlife.demo.digits import Rows

SYSTEM, FUNCTION = "digits-reader", "digit"
CLIENTS = ("fleet-7", "store-12", "post-office", "lab")
PLACES = ("counter", "gate", "scanner", "phone")
RESENT = 6
"""One report in so many is sent again, as an unsure client does."""
SHARED = 9
"""One failure in so many is reported by a second client too."""
INTERVALS = 2
"""Traffic counts per device and shift."""


@dataclass(frozen=True)
class Shift:
    """
    Some weeks of one kind of picture, answered by one version.

    Args:
        name: purpose of the rows, e.g. `field_seen`.
        version: what the devices say they run.
        begins, ends: UTC.
        clients: who is in the field; None: all of them.
    """

    name: str
    version: str
    begins: datetime
    ends: datetime
    clients: tuple[str, ...] = CLIENTS


@dataclass(frozen=True)
class Answered:
    """What the model said about each picture of a shift: label and score."""

    rows: Rows
    labels: tuple[str, ...]
    scores: tuple[float | None, ...]

    @property
    def wrong(self) -> list[int]:
        """Places of the pictures that were read wrong."""
        return [i for i, (said, true) in enumerate(zip(self.labels, self.rows.labels, strict=True)) if said != true]

    @property
    def share_right(self) -> float:
        """In [0, 1]."""
        return 1 - len(self.wrong) / len(self.rows)


def client_of(shift: Shift, place: int) -> str:
    """Which client met the picture at *place*."""
    return shift.clients[_draw(shift.name, place, "client") % len(shift.clients)]


def device_of(shift: Shift, client: str) -> str:
    """The client's device that met this kind of picture: covered digits come from another one."""
    return f"{client}-{'gate' if shift.name.startswith('covered') else 'counter'}"


def reports(shift: Shift, answered: Answered) -> Iterator[dict[str, Any]]:
    """The failures of a shift as its clients send them: in order of time, with second reporters and resends."""
    wrong = answered.wrong
    span = shift.ends - shift.begins
    for n, place in enumerate(wrong):
        at = shift.begins + span * (n + 1) / (len(wrong) + 1)
        report = _report(shift, answered, place, client_of(shift, place), at)
        yield report
        if _draw(shift.name, place, "again") % RESENT == 0:
            yield report
        if len(shift.clients) > 1 and _draw(shift.name, place, "shared") % SHARED == 0:
            second = shift.clients[(shift.clients.index(report["client"]) + 1) % len(shift.clients)]
            yield _report(shift, answered, place, second, at + timedelta(minutes=7))


def traffic(shift: Shift, rows: int) -> Iterator[dict[str, Any]]:
    """How many pictures each device asked about, interval by interval; together they are *rows*."""
    by_client = [0] * len(shift.clients)
    for place in range(rows):
        by_client[shift.clients.index(client_of(shift, place))] += 1
    step = (shift.ends - shift.begins) / INTERVALS
    for client, total in zip(shift.clients, by_client, strict=True):
        left = total
        for n in range(INTERVALS):
            count = left if n == INTERVALS - 1 else total // INTERVALS
            left -= count
            yield {
                "system": SYSTEM,
                "function": FUNCTION,
                "version": shift.version,
                "client": client,
                "device": device_of(shift, client),
                "from": _text(shift.begins + step * n),
                "to": _text(shift.begins + step * (n + 1)),
                "count": count,
            }


def _report(shift: Shift, answered: Answered, place: int, client: str, at: datetime) -> dict[str, Any]:
    digest = answered.rows.sha256[place]
    return {
        "system": SYSTEM,
        "function": FUNCTION,
        "version": shift.version,
        "data": [{"uri": f"sha256:{digest}", "media_type": "image/png", "sha256": digest}],
        "prediction": {"type": "class", "label": answered.labels[place], "score": answered.scores[place]},
        "truth": {"type": "class", "label": answered.rows.labels[place]},
        "client": client,
        "device": device_of(shift, client),
        "severity": "major" if _draw(shift.name, place, "severity") % 4 == 0 else "minor",
        "observed_at": _text(at),
        "fields": {"place": PLACES[_draw(shift.name, place, "place") % len(PLACES)]},
    }


def _draw(*parts: object) -> int:
    """A number that depends on nothing but *parts*."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def confusions(answered: Sequence[Answered]) -> dict[tuple[str, str], int]:
    """(truth, what was read instead) → how often."""
    counts: dict[tuple[str, str], int] = {}
    for a in answered:
        for place in a.wrong:
            pair = (a.rows.labels[place], a.labels[place])
            counts[pair] = counts.get(pair, 0) + 1
    return counts
