"""
Reports and traffic, the floods: whole runs are added up in memory, and few rows are written.

Reports are read as plain JSON and not as events: intake checked them, and building an object would double the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from mlife.projections.badcases.declared import badcases
from mlife.projections.badcases.fields import Declared, count_fields, declared, kept, with_secret_place
from mlife.projections.badcases.history import begin
from mlife.projections.badcases.homes import homes_of, sliced
from mlife.projections.badcases.priority import weigh
from mlife.projections.badcases.standing import restate
from sqlalchemy import select

from mlife.badcases.events import BadcaseReported, TrafficCounted
from mlife.badcases.fingerprint import Explanation, explain
from mlife.badcases.views.tables import (
    badcase_clients,
    badcase_places,
    badcase_rows,
    badcase_text,
    badcase_versions,
    badcase_weeks,
    report_rows,
    report_text,
    traffic_rows,
    traffic_totals,
)
from mlife.badcases.views.tables.alarms import badcase_days, traffic_days
from mlife.badcases.wording import place_in
from mlife.core.events import EPOCH, Recorded
from mlife.core.projection import Tx
from mlife.core.query import version_key
from mlife.core.sealing import TEXT as SEALED
from mlife.core.sealing import is_sealed

JSON = dict[str, Any]
SEVERITIES = {"minor": 1, "major": 2, "critical": 3}
SETTLED = ("shipped", "closed", "recurring")
"""Statuses that a report alone may change."""
DAY = 86_400_000_000
"""Of microseconds."""

explained = lru_cache(maxsize=20_000)(explain)
ordered = lru_cache(maxsize=5_000)(version_key)


@badcases.on(BadcaseReported)
def take_reports(run: Sequence[Recorded[BadcaseReported]], tx: Tx) -> None:
    """One row a report; badcases, weeks, versions and clients are counted up, each where its badcase is counted."""
    counted = _Counts()
    homes = homes_of(tx, {recorded.json["badcase_id"] for recorded in run})
    rules = _rules(tx, homes.values())
    fields = declared(tx)
    secret = with_secret_place(fields)
    rows: list[JSON] = []
    words: list[tuple[int, str]] = []
    for recorded in run:
        report = recorded.json
        row = _row(recorded.position, report)
        if secret and (row["system"], row["function"]) in secret:
            row["place"] = report.get("place")
        rows.append(row)
        if (home := homes.get(row["badcase_id"])) is not None:
            row |= {"badcase_id": home, "origin_id": row["badcase_id"], "placed_id": row["badcase_id"]}
            counted.add(row, report["fingerprint"], rules[home])
        else:
            counted.add(row, report["fingerprint"], report["fingerprint_version"])
        if row["description"] and not row["description"].startswith(SEALED):
            words.append((recorded.position, row["description"]))
    tx.insert(report_rows, rows)
    _find_by_fields(tx, fields, run, rows)
    counted.write(tx)
    if words:
        tx.index_text(report_text, words)
    _follow_up(tx, run, counted.badcases)


def _rules(tx: Tx, badcase_ids: Iterable[str]) -> dict[str, int]:
    """Badcases into which others are merged → the version of the rule that made them."""
    b = badcase_rows.c
    return {
        row.badcase_id: row.first_rule
        for some in sliced(badcase_ids)
        for row in tx.execute(select(b.badcase_id, b.first_rule).where(b.badcase_id.in_(some)))
    }


def _find_by_fields(tx: Tx, known: Declared, run: Sequence[Recorded[BadcaseReported]], rows: Sequence[JSON]) -> None:
    """Rows of the declared fields of a run's reports."""
    for (system, function), fields in known.items():
        mine = [
            (row["number"], row["badcase_id"], recorded.json["fields"])
            for row, recorded in zip(rows, run, strict=True)
            if row["fields"] is not None and row["function"] == function and row["system"] == system
        ]
        if mine:
            count_fields(tx, mine, fields)


def _row(number: int, report: JSON) -> JSON:
    prediction, truth, link = report["prediction"], report.get("truth"), report["data"][0]
    uri, sha256 = link.get("uri") or "", link.get("sha256")
    if sha256 is None and uri.startswith("sha256:"):
        sha256 = uri[7:]
    models = report.get("model_ids")
    return {
        "number": number,
        "uid": report["uid"],
        "badcase_id": report["badcase_id"],
        "system": report["system"],
        "function": report["function"],
        "version": report["version"],
        "version_order": ordered(report["version"]),
        "model_id": models[0] if models else "",
        "client": _pseudonym(report.get("client")),
        "device": report.get("device"),
        "place": report.get("place") or place_in(report.get("fields")),
        "severity": report.get("severity"),
        "kind": report.get("kind") or "failure",
        "observed_at": _micros(datetime.fromisoformat(report["observed_at"])),
        "truth": truth.get("label") if truth else None,
        "predicted": prediction.get("label"),
        "score": prediction.get("score"),
        "picture": sha256 or uri,
        "sha256": sha256,
        "media_type": link.get("media_type"),
        "description": report.get("description"),
        "fields": kept(report.get("fields")),
        "origin_id": None,
        "placed_id": None,
    }


def _pseudonym(client: str | None) -> str | None:
    """A sealed client by the id of its key: the same for all that the person sent, and not the name."""
    if client is not None and client.startswith(SEALED):
        return "sealed " + client.removeprefix(SEALED).split(":", 1)[0]
    return client


def _micros(moment: datetime) -> int:
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class _Counts:
    """What a run adds to each row, by key."""

    def __init__(self) -> None:
        self.badcases: dict[str, JSON] = {}
        self.days: dict[tuple[str, int], int] = {}
        self.versions: dict[tuple[str, str, str], JSON] = {}
        self.clients: dict[tuple[str, str], int] = {}
        self.places: dict[tuple[str, str], int] = {}

    def add(self, row: JSON, fingerprint: str, fingerprint_version: int) -> None:
        """Count one report."""
        badcase_id, number, at = row["badcase_id"], row["number"], row["observed_at"]
        severity = SEVERITIES.get(row["severity"], 0)
        known = self.badcases.get(badcase_id)
        if known is None:
            made = self.badcases[badcase_id] = new_badcase(row, fingerprint, fingerprint_version, severity)
            if row["placed_id"] is not None:  # the row is there, and what it says of itself stays
                made |= {"truth": None, "predicted": None}
        else:
            _widen(known, number, at)
            known["last_severity"] = max(severity, known["last_severity"])
        day = (badcase_id, at // DAY)
        self.days[day] = self.days.get(day, 0) + 1
        version = (badcase_id, row["version"], row["model_id"])
        seen = self.versions.get(version)
        if seen is None:
            self.versions[version] = {
                "badcase_id": badcase_id,
                "version": row["version"],
                "model_id": row["model_id"],
                "version_order": row["version_order"],
                "frequency": 1,
                "first_at": at,
                "last_at": at,
                "last_number": number,
            }
        else:
            _widen(seen, number, at)
        if row["client"] is not None:
            client = (badcase_id, row["client"])
            self.clients[client] = self.clients.get(client, 0) + 1
        if row["place"] is not None and not is_sealed(row["place"]):
            place = (badcase_id, row["place"])
            self.places[place] = self.places.get(place, 0) + 1

    def write(self, tx: Tx) -> None:
        """Add everything to the tables."""
        tx.add(badcase_rows, self.badcases.values())
        tx.add(badcase_versions, self.versions.values())
        weeks: dict[tuple[str, int], int] = {}
        for (badcase_id, day), count in self.days.items():
            week = (badcase_id, (day + 3) // 7)  # since Monday 29 December 1969
            weeks[week] = weeks.get(week, 0) + count
        tx.add(badcase_weeks, [{"badcase_id": b, "week": w, "frequency": n} for (b, w), n in weeks.items()])
        tx.add(
            badcase_clients,
            [{"badcase_id": b, "client": c, "frequency": n} for (b, c), n in self.clients.items()],
        )
        tx.add(
            badcase_places,
            [{"badcase_id": b, "place": p, "frequency": n} for (b, p), n in self.places.items()],
        )
        tx.add(badcase_days, [{"badcase_id": b, "day": d, "frequency": n} for (b, d), n in self.days.items()])


def new_badcase(row: JSON, fingerprint: str, fingerprint_version: int, severity: int) -> JSON:
    """The row of a badcase that a report is the first of."""
    why: Explanation = explained(fingerprint, fingerprint_version)
    return {
        "badcase_id": row["badcase_id"],
        "system": row["system"],
        "function": row["function"],
        "title": why.title,
        "truth": why.truth,
        "predicted": why.prediction,
        "fingerprint": fingerprint,
        "first_rule": fingerprint_version,
        "first_event": row["number"],
        "first_number": row["number"],
        "last_number": row["number"],
        "first_at": row["observed_at"],
        "last_at": row["observed_at"],
        "last_severity": severity,
        "frequency": 1,
    }


def _widen(row: JSON, number: int, at: int) -> None:
    row["frequency"] += 1
    row["last_number"] = number
    if at < row["first_at"]:
        row["first_at"] = at
    elif at > row["last_at"]:
        row["last_at"] = at


def _follow_up(tx: Tx, run: Sequence[Recorded[BadcaseReported]], touched: Iterable[str]) -> None:
    """After a run: index new badcases, count clients, weigh, and look at settled ones."""
    first = run[0].position
    new = tx.execute(
        select(
            badcase_rows.c.badcase_id,
            badcase_rows.c.first_event,
            badcase_rows.c.title,
            badcase_rows.c.system,
            badcase_rows.c.function,
        ).where(badcase_rows.c.last_number >= first, badcase_rows.c.first_event >= first)
    )
    begin(tx, run, ((n.badcase_id, n.first_event) for n in new))
    tx.index_text(badcase_text, [(n.first_event, f"{n.title} {n.system} {n.function}") for n in new])
    weigh(tx, badcase_rows.c.last_number >= first)
    settled = {
        row[0]
        for row in tx.execute(
            select(badcase_rows.c.badcase_id).where(
                badcase_rows.c.status.in_(SETTLED), badcase_rows.c.last_number >= first
            )
        )
    }
    restate(tx, settled.intersection(touched))


@badcases.on(TrafficCounted)
def count_traffic(run: Sequence[Recorded[TrafficCounted]], tx: Tx) -> None:
    """One row an interval, totals by version; priorities of the functions depend on them."""
    rows = []
    for recorded in run:
        counted = recorded.json
        rows.append(
            {
                "number": recorded.position,
                "system": counted["system"],
                "function": counted["function"],
                "version": counted["version"],
                "from_at": _micros(datetime.fromisoformat(counted["from"])),
                "to_at": _micros(datetime.fromisoformat(counted["to"])),
                "requests": counted["count"],
            }
        )
    tx.insert(traffic_rows, rows)
    tx.add(
        traffic_totals,
        [
            {
                "system": r["system"],
                "function": r["function"],
                "version": r["version"],
                "requests": r["requests"],
                "first_at": r["from_at"],
                "last_at": r["to_at"],
            }
            for r in rows
        ],
    )
    tx.add(
        traffic_days,
        [
            {
                "system": r["system"],
                "function": r["function"],
                "day": (r["to_at"] - 1) // DAY,  # the midnight that ends a day belongs to it
                "requests": r["requests"],
            }
            for r in rows
        ],
    )
    for system, function in sorted({(r["system"], r["function"]) for r in rows}):
        mine = (badcase_rows.c.system == system) & (badcase_rows.c.function == function)
        weigh(tx, mine)
        again = tx.execute(select(badcase_rows.c.badcase_id).where(mine, badcase_rows.c.status == "recurring"))
        restate(tx, {row[0] for row in again})
