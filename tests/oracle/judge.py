"""
Judges a run whose writers have ended: `python -m tests.oracle.judge RUN SECONDS`, in the run's environment.

Waits until everything has drained, gathers what there is, and prints one JSON object: `findings` (none is good) and
`figures`.
"""

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select

from mlife.core.errors import MLifeError
from mlife.core.events import Recorded
from mlife.core.handler import handlers
from mlife.core.ports import iterate
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.core.runner import TRIES
from mlife.runtime import Home, open_home, settings
from tests.oracle import tailing, verdict
from tests.oracle.journal import attempts, lines, notes, reached, sights
from tests.oracle.parts import Part

HANDLE = ("runner", "handlers")
"""Slots whose processes let handlers act."""
DIED = "the process died while it was handled"
QUIET = 1.5
"""Seconds without news, everything at the head, after which nothing more is expected."""


class Bus:
    """What there is to gather where no Kafka is."""

    def lag(self, home: Home) -> dict[str, int]:
        """Position of each part of the bus that must reach the head."""
        return {}

    def findings(self, log: verdict.Log, run: Path) -> Iterator[str]:
        """What topics say about the log."""
        return iter(())


def drain(home: Home, run: Path, seconds: float, bus: Bus, waited: dict[str, float]) -> list[str]:
    """
    Wait until followers, projections, handlers and bus stand at the head and it stands still.

    Args:
        waited: is told for how many seconds each was behind.
    """
    began = time.monotonic()
    deadline = began + seconds
    behind: dict[str, object] = {}
    head, since = -1, began
    while time.monotonic() < deadline:
        try:
            now = home.ports.store.head()
            if now != head:
                head, since = now, time.monotonic()
            behind = {name: at for name, at in _places(home, run, bus).items() if at != head}
        except MLifeError as e:
            behind, since = {"the home": str(e)}, time.monotonic()
        waited.update(dict.fromkeys(behind, round(time.monotonic() - began, 1)))
        if not behind and time.monotonic() - since > QUIET:
            return []
        time.sleep(0.25)
    return [f"not drained after {seconds:g} s: head {head}, and {behind}"]


def retried(home: Home, run: Path) -> int:
    """
    Ask for another try of what was parked because its process was killed again and again; how many keys that were.

    Three deaths in a row look like a fact that kills, and parking it is right. A letter with fewer kills behind it
    stays, and is found.
    """
    kills = [line["wall"] for line in lines(run / "happened.jsonl") if line.get("who", "").startswith(HANDLE)]
    keys = set()
    for letter in [one for name in handlers for one in home.book.letters(name) if one.attempts]:
        (fact,) = home.ports.store.read(letter.position - 1, 1)
        if letter.error == DIED and sum(k * 1e6 > fact.draft.time for k in kills) >= TRIES:
            keys.add((letter.handler, letter.key))
    for handler, key in keys:
        home.book.ask_retry(handler, key)
    return len(keys)


def _places(home: Home, run: Path, bus: Bus) -> dict[str, object]:
    standings = {s.name: s for s in home.ports.views.standings() if s.state in {"live", "stopped"}}
    stands: dict[str, object] = {
        f"projection {n}": standings[n].position if n in standings else "missing" for n in projections
    }
    stands |= {f"projection {s.name}": s.error for s in standings.values() if s.state == "stopped"}
    moved = home.book.positions()
    stands |= {f"handler {name}": moved.get(name, "missing") for name in handlers}
    stands |= {f"retry of {key} by {name}": "due" for name, key in home.book.due()}
    return stands | reached(run / "journals") | bus.lag(home)


def findings(home: Home, run: Path, bus: Bus) -> tuple[list[str], dict[str, Any]]:
    """Everything that does not agree, as sentences; and how much was looked at."""
    journals = run / "journals"
    log = list(iterate(home.ports.store))
    tried = attempts(journals)
    saw = sights(journals)
    looks = notes(journals, "looked")
    is_effect = verdict.is_effect(log)
    streamed = verdict.reports_in(log)

    def others(r: Recorded[Any]) -> bool:
        return is_effect(r) or (
            r.draft.type.startswith("mlife.badcase.reported.") and verdict.fields(r)["report_id"] in streamed
        )

    found = [
        *verdict.order(log),
        *verdict.balances(log),
        *verdict.kept(log, tried),
        *verdict.wanted(log, tried, others),
        *verdict.whole(log, tried),
        *verdict.real_time(tried),
        *verdict.answers(log, notes(journals, "did")),
        *(s for one in saw for s in verdict.followed(log, one)),
        *verdict.looked(log, looks, _crashes_of_the_server(run)),
        *verdict.effects(log),
        *verdict.receipts(log),
        *bus.findings(log, run),
        *_files(home, log),
        *_own_writes(journals),
        *_crashes(journals),
        *_tables(home, log),
        *_parked(home),
        *_same_by_other_doors(home, log),
    ]
    figures = {
        "events": len(log),
        "appends": len(tried),
        "acknowledged": sum(len(a.positions) for a in tried),
        "refused": sum(1 for a in tried if a.refused),
        "unanswered": sum(1 for a in tried if not a.refused and a.told_at is None),
        "followed": sum(len(s.entries) for s in saw),
        "looks": len(looks),
        "effects": sum(len(verdict.effects_of(r)) for r in log),
        "seconds of delay (p50, p99, longest)": delays(log, run),
        "reports through Kafka": len(streamed),
        "files": sum(1 for r in log if r.draft.type == "mlife.file.stored.v1"),
    }
    return found, figures


def delays(log: verdict.Log, run: Path) -> dict[str, list[float]]:
    """
    Seconds that readers and causes waited, faults and all: median, 99 of 100, longest.

    Times are those at which a follower was given the events, so short delays are as coarse as it is slow.
    """
    seen: dict[int, float] = {}
    for line in notes(run / "journals", "saw"):
        seen.update((entry[0], line["at"]) for entry in line["entries"] if entry[0] not in seen)
    looks = [max(0.0, k["at"] - seen.get(k["position"] + 1, k["at"])) for k in notes(run / "journals", "looked")]
    places = {r.draft.id: r.position for r in log}
    effects = [
        seen[r.position] - seen[places[r.draft.causation_id]]
        for r in log
        if r.draft.actor == "handler oracle.receipt" and r.draft.causation_id in places
    ]
    return {"reader behind the log": _quantiles(looks), "effect after its cause": _quantiles(effects)}


def _quantiles(seconds: list[float]) -> list[float]:
    ordered = sorted(seconds) or [0.0]
    return [round(ordered[min(len(ordered) - 1, int(q * len(ordered)))], 2) for q in (0.5, 0.99, 1.0)]


def _crashes_of_the_server(run: Path) -> list[float]:
    happened = [line for line in lines(run / "happened.jsonl") if line["what"] == "killed"]
    return [line["at"] for line in happened if line["who"] in {"postgresql", "a backend"}]


def _files(home: Home, log: verdict.Log) -> Iterator[str]:
    """Every file that the log names is there, byte by byte; the judge's home has no copies of its own."""
    for r in log:
        if r.draft.type == "mlife.file.stored.v1":
            sha256 = verdict.fields(r)["sha256"]
            try:
                with home.ports.blobs.open(sha256) as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except MLifeError as e:
                found = str(e)
            if found != sha256:
                yield f"{r!r}: the file is not there ({found})"


def _own_writes(journals: Path) -> Iterator[str]:
    for line in notes(journals, "own"):
        if not line["found"]:
            yield f"{line['part']} waited for {line['position']} and did not find its row (reached {line['reached']})"


def _crashes(journals: Path) -> Iterator[str]:
    for line in notes(journals, "crashed"):
        yield f"{line['part']} crashed: {line['why']}"


def _tables(home: Home, log: verdict.Log) -> Iterator[str]:
    """Each read model equals a fresh replay; and the oracle's own a fold in a few lines of Python."""
    from tests.oracle.feature.views import coin_rows, payment_rows

    for name, projection in projections.items():
        yield from (f"projection {name}: {difference}" for difference in verify(home.ports, projection))
    paid = [
        (r.position, verdict.fields(r)["purse_id"], verdict.fields(r)["amount"])
        for r in log
        if r.draft.type == "mlife.purse.paid.v1"
    ]
    coins: dict[str, int] = {}
    for r in log:
        if r.draft.type == "mlife.coin.sighted.v1":
            coins[verdict.fields(r)["coin"]] = coins.get(verdict.fields(r)["coin"], 0) + 1
    with home.ports.views.read() as read:
        rows = [tuple(row) for row in read.all(select(payment_rows).order_by(payment_rows.c.position))]
        counted = {row[0]: row[1] for row in read.all(select(coin_rows.c.coin, coin_rows.c.sightings))}
    if rows != paid:
        yield f"the table of payments has {len(rows)} rows that are not the {len(paid)} payments of the log"
    if counted != coins:
        yield f"the table of coins says {counted}, and the log {coins}"


def _parked(home: Home) -> Iterator[str]:
    for name in handlers:
        for letter in home.book.letters(name):
            yield f"handler {name} has parked {letter.key} at {letter.position}: {letter.error or 'waits'}"
    for s in home.ports.views.standings():
        if s.state == "stopped":
            yield f"projection {s.name} has stopped: {s.error}"


def _same_by_other_doors(home: Home, log: verdict.Log) -> Iterator[str]:
    """`find` and `read_stream` tell the same as reading through."""
    found = home.ports.store.find([r.draft.id for r in log])
    wrong = [r for r in log if r.draft.id not in found or found[r.draft.id].position != r.position]
    yield from (f"{r!r} is not found by its id" for r in wrong[:5])
    streams: dict[str, list[int]] = {}
    for r in log:
        if not r.draft.single:
            streams.setdefault(r.stream, []).append(r.position)
    for stream in sorted(streams, key=lambda s: -len(streams[s]))[:50]:
        if [r.position for r in home.ports.store.read_stream(stream)] != streams[stream]:
            yield f"read_stream({stream!r}) tells other positions than the log"


def tailed(run: Path, size: str) -> dict[str, Any]:
    """The verdict on a log that was only written and followed."""
    log = tailing.LOGS[size](Part(run, "judge", ""))
    events = list(tailing.whole(log))
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline and min(reached(run / "journals").values()) < events[-1].position:
        time.sleep(0.1)
    tried = attempts(run / "journals")
    found = tailing.findings(events, tried, sights(run / "journals"), dense=size == "tailed")
    found += _crashes(run / "journals") if size == "tailed" else []
    return {"findings": found, "figures": {"events": len(events), "appends": len(tried)}}


def main(folder: str, seconds: str) -> None:
    """Judge, and say so."""
    run = Path(folder)
    size = (run / "size").read_text()
    if size in tailing.LOGS:
        sys.stdout.write(orjson.dumps(tailed(run, size)).decode() + "\n")
        return
    began = time.monotonic()
    with open_home(settings()) as home:
        bus = the_bus()
        waited: dict[str, float] = {}
        late = drain(home, run, float(seconds), bus, waited)
        drained = time.monotonic() - began
        parked = 0
        while not late and (keys := retried(home, run)):
            parked += keys
            late = drain(home, run, float(seconds), bus, {}) if parked < 100 else ["keys are parked for ever"]
        found, figures = findings(home, run, bus)
    figures |= {
        "keys that kills parked": parked,
        "last to drain": dict(sorted(waited.items(), key=lambda one: -one[1])[:4]),
        "seconds to drain": round(drained, 1),
        "seconds to judge": round(time.monotonic() - began - drained, 1),
    }
    sys.stdout.write(orjson.dumps({"findings": late + found, "figures": figures}).decode() + "\n")


def the_bus() -> Bus:
    """Kafka's, if the settings name one."""
    if settings().is_alone:
        return Bus()
    from tests.oracle.topics import Kafka

    return Kafka(settings().bus)


if __name__ == "__main__":
    main(*sys.argv[1:])
