"""What `mlife doctor` looks at: which checks a configuration asks for. No part needs another one to be looked at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mlife.core.assignment import assigned
from mlife.core.errors import MLifeError, Unavailable
from mlife.core.events import registry
from mlife.core.health import Check, Finding
from mlife.core.health.following import BEGINS, followers, parked_finding
from mlife.core.moving import check_not_moved
from mlife.core.topics import FEEDBACK, LOG, topics
from mlife.runtime import ROOMS, Home, Settings, load_features, needing, open_home
from mlife.runtime.moving import signpost_of
from mlife.runtime.watching import published
from mlife.runtime.working import Role, names_of

GIGABYTE: Final = 1_000_000_000
FREE_WANTED: Final = 1 * GIGABYTE

KAFKA_SECONDS: Final = 12.0
"""A broker that answers the door and nothing else is given up by its client after eight."""

HOME_SECONDS: Final = 15.0
"""Opening the home asks the database more than once."""

EXTRAS: Final = (
    ("onnxruntime", "onnx", "serving models here"),
    ("sklearn", "demo", "`mlife demo`"),
    ("pyarrow", "parquet", "exports as Parquet"),
    ("eventsourcing", "eventsourcing", "applications of the eventsourcing library in the same log"),
)


def part_checks(chosen: Settings, *, fix: bool = False) -> list[Check]:
    """
    Checks of each part by itself; the home need not be openable.

    Args:
        fix: make what is missing (topics, bucket, folder, file modes), and say what was made.
    """
    checks = [Check("home", lambda: _home(chosen, fix=fix))]
    if not chosen.store.startswith("sqlite:"):
        checks.append(Check("database", lambda: _database(chosen)))
    if not chosen.is_alone:
        checks.append(Check("kafka", lambda: _kafka(chosen, fix=fix), KAFKA_SECONDS))
    checks.append(Check("files", lambda: _files(chosen, fix=fix)))
    if chosen.webhook:
        checks.append(Check("webhook", lambda: _webhooks(chosen)))
    checks.append(Check("extras", _extras))
    return checks


def home_check(chosen: Settings) -> Check:
    """The check of what needs the home opened: log, projections, handlers, relay."""
    return Check("log", lambda: _opened(chosen), HOME_SECONDS)


# --- parts ---


def _home(chosen: Settings, *, fix: bool) -> Iterator[Finding]:
    folder = chosen.home
    if fix:
        folder.mkdir(parents=True, exist_ok=True)
    yield Finding("home", "ok", str(folder))
    yield from _disk("disk", folder)
    keys = folder / "keys.db"
    if keys.exists() and keys.stat().st_mode & 0o077:
        if fix:
            keys.chmod(0o600)
            yield Finding("keys", "ok", "keys.db could be read by others; only its owner may now")
        else:
            yield Finding("keys", "wrong", "keys.db can be read by others", f"chmod 600 {keys}, or --fix")
    is_open = "token set" if chosen.token else "no token: this machine only"
    yield Finding("network", "ok", is_open)
    yield _limits(chosen)


def _disk(what: str, folder: Path) -> Iterator[Finding]:
    there = next((f for f in (folder, *folder.parents) if f.exists()), folder)
    free = shutil.disk_usage(there).free
    if free < FREE_WANTED:
        yield Finding(what, "wrong", f"{free / GIGABYTE:.1f} GB free", "free some space before writes are refused")
    else:
        yield Finding(what, "ok", f"{free / GIGABYTE:.0f} GB free")


def _database(chosen: Settings) -> Iterator[Finding]:
    with needing("cluster", "MLIFE_STORE is PostgreSQL"):
        from mlife.adapters.health_postgres import check_postgres
    try:
        yield from check_postgres(chosen.store)
    except Unavailable as away:
        yield Finding("database", "wrong", away.message, "start it, or correct host and port in MLIFE_STORE")


def _kafka(chosen: Settings, *, fix: bool) -> Iterator[Finding]:
    with needing("cluster", "MLIFE_BUS is Kafka"):
        from mlife.adapters.health_kafka import check_unreadable, knock, readers
        from mlife.adapters.kafka_connection import connection
        from mlife.adapters.topics_kafka import check_topics, ensure_topics
    load_features(ROOMS)
    there = connection(chosen.bus)
    wanted = topics(registry, partitions=there.partitions)
    try:
        knock(there)
    except Unavailable as away:
        yield Finding("kafka", "wrong", away.message, "start it, or correct host and port in MLIFE_BUS")
        return
    if fix:
        made = ensure_topics(there, wanted).made
        if made:
            yield Finding("topics", "ok", f"made now: {', '.join(made)}")
    yield from check_topics(there, wanted)
    groups = readers(there)
    for role in ("projections", "handlers"):
        members = groups[f"mlife-{role}"].members if f"mlife-{role}" in groups else ()
        yield _workers(role, [(host, held.get(LOG, frozenset())) for host, held in members], there.partitions)
    if "mlife-intake" in groups:
        yield _intake(groups["mlife-intake"].lags, len(groups["mlife-intake"].members))
    yield from check_unreadable(there)


def _workers(role: Role, members: Sequence[tuple[str, frozenset[int]]], partitions: int) -> Finding:
    """Who runs what of *role*; *members* are hosts and the partitions of the log's topic that each was given."""
    if not members:
        return Finding(f"workers {role}", "wrong", f"nobody runs {role}", f"start `mlife worker {role}`")
    names = names_of(role)
    told = [f"{host}: {', '.join(sorted(assigned(names, held, partitions))) or 'waits'}" for host, held in members]
    return Finding(f"workers {role}", "ok", "; ".join(sorted(told)))


def _intake(lags: Mapping[str, int], members: int) -> Finding:
    lag = f"{sum(lags.values())} reports wait in {FEEDBACK}"
    if not members:
        return Finding(
            "workers intake", "wrong", f"nobody takes reports from Kafka; {lag}", "start `mlife worker intake`"
        )
    return Finding("workers intake", "ok", f"{members} of them; {lag}")


def _files(chosen: Settings, *, fix: bool) -> Iterator[Finding]:
    if chosen.files.startswith("file:"):
        folder = Path("/" + chosen.files.partition(":")[2].lstrip("/"))
        yield Finding("files", "ok", str(folder))
        if not folder.is_relative_to(chosen.home):
            yield from _disk("files disk", folder)
        return
    with needing("cluster", "MLIFE_FILES is an S3 server"):
        from mlife.adapters.health_s3 import check_s3
    yield from check_s3(chosen.files, fix=fix)


def _webhooks(chosen: Settings) -> Iterator[Finding]:
    """Nothing is posted: whether a target answers stands on the page of the last alarm."""
    from mlife.adapters.notify_webhook import Webhook
    from mlife.adapters.notifying import NotTaken

    for url in (chosen.webhook or "").split():
        try:
            target = Webhook(url, tuple((chosen.webhook_secret or "").split()))
            yield Finding("webhook", "ok", f"{target.name} at {', '.join(target.judged())}; alarms show who took them")
        except NotTaken as e:
            yield Finding("webhook", "wrong", str(e), "mend MLIFE_WEBHOOK; docs/alarms.md")
        except MLifeError as e:
            yield Finding("webhook", "wrong", e.message, e.remedy)


def _extras() -> Iterator[Finding]:
    for module, extra, what in EXTRAS:
        if find_spec(module) is None:
            yield Finding(f"extra {extra}", "note", f"not installed: {what} is off", f"pip install 'mlife[{extra}]'")
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


# --- what needs the home ---


def _opened(chosen: Settings) -> Iterator[Finding]:
    with signpost_of(chosen) as post:
        sign = post.read()
    if sign is not None:
        try:
            check_not_moved(sign, chosen.shown("store"))
        except MLifeError as told:
            yield Finding.of("moved", told)
    with open_home(chosen) as home:
        yield Finding("log", "ok", f"{chosen.shown('store')}, {home.ports.store.head()} events")
        if chosen.is_alone:
            yield _runner(home)
            yield from _following(home, None)
            return
        bus = published(chosen)
        if bus.is_led:
            yield Finding("relay process", "ok", "one leads")
        else:
            yield Finding("relay process", "wrong", "nobody publishes the log", "start `mlife relay`")
        yield from _following(home, bus.position)


def _limits(chosen: Settings) -> Finding:
    """What a sender may bring over HTTP."""
    told = chosen.intake
    named = "".join(f"; {client}: {allowed}" for client, allowed in sorted(told.named.items()))
    return Finding("intake", "ok", f"each sender may bring {told.each}{named}; {told.at_once} requests at once")


def _runner(home: Home) -> Finding:
    if home.ports.locks.is_held("runner"):
        return Finding("runner", "ok", "a process projects and handles")
    return Finding("runner", "note", "no process runs handlers now", "`mlife up` keeps the loop going")


def _following(home: Home, relay: int | None) -> Iterator[Finding]:
    ports = home.ports
    found = followers(ports.store, ports.views, home.book, now=home.do.clock.now(), relay=relay)
    yield from (f.finding for f in found if f.kind != "handler")
    handlers = [f for f in found if f.kind == "handler"]
    told = [f.finding for f in handlers if f.state == "live" and f.finding.state != "ok"]
    yield from told
    new = sum(f.state == "missing" for f in handlers)
    if new:
        yield Finding("handlers", "note", f"{new} of {len(handlers)} have not begun yet", BEGINS["handler"])
    elif not told:
        yield Finding(
            "handlers", "ok", f"all {len(handlers)} follow, the slowest at {min(f.position for f in handlers)}"
        )
    yield parked_finding(home.book.letters())
