"""Homes as what moves house: which adapters keep the sign on a door, which events name files, what a target is told."""

from __future__ import annotations

import json
import logging
import os
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from mlife.core.errors import HomeUnusable, Misconfigured, Refused, Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.moving import House, Signpost, check_not_moved
from mlife.core.moving.files import Shelf
from mlife.core.moving.small import KeyRing
from mlife.runtime import Home, Settings, settings
from mlife.runtime.watching import published

log = logging.getLogger("mlife.moving")

FILES_NAMED: Final = {
    "mlife.file.stored": "sha256",
    "mlife.model.trained": "sha256",
    "mlife.model.added": "sha256",
    "mlife.task.finished": "files",
    "mlife.task.failed": "files",
}
"""Events that say that bytes are stored: the field with the digest, or with names and digests."""


@contextmanager
def house_of(home: Home) -> Iterator[House]:
    """What the opened *home* keeps, for the block."""
    with signpost_of(home.settings) as sign:
        yield House(
            name=home.settings.shown("store"),
            store=home.ports.store,
            files=cast("Shelf", home.ports.blobs),
            keys=cast("KeyRing", home.keys),
            book=home.book,
            locks=home.ports.locks,
            sign=sign,
            names_files=files_named,
            busy=lambda: _busy(home.settings),
        )


def _busy(chosen: Settings) -> str:
    """Who works on a cluster's log now. While Kafka is away nobody can say whether workers run."""
    if chosen.is_alone:
        return ""
    from mlife.adapters.health_kafka import readers
    from mlife.adapters.kafka_connection import connection

    if published(chosen).is_led:
        return "a relay publishes it"
    try:
        found = [name for name, group in readers(connection(chosen.bus)).items() if group.members]
    except Unavailable as away:
        log.warning("nobody can say whether workers run: %s", away.message)
        return ""
    return f"workers run ({', '.join(sorted(found))})" if found else ""


@contextmanager
def signpost_of(chosen: Settings) -> Iterator[Signpost]:
    """Where the sign of the home that *chosen* names is kept, for the block; the home itself is not opened."""
    if chosen.store.startswith("sqlite:"):
        from mlife.adapters.moved_sqlite import SqliteSignpost

        yield SqliteSignpost(Path("/" + chosen.store.partition(":")[2].lstrip("/")))
        return
    from mlife.adapters.moved_postgres import PostgresSignpost
    from mlife.adapters.postgres import Postgres

    database = Postgres(chosen.store, size=2)
    try:
        yield PostgresSignpost(database)
    finally:
        database.close()


def refuse_if_moved(chosen: Settings) -> None:
    """
    Refuse to work on a home that was moved elsewhere, or that another one is being moved into.

    Raises:
        Refused: with where to work instead.
    """
    with signpost_of(chosen) as post:
        check_not_moved(post.read(), chosen.shown("store"))


def files_named(recorded: Recorded[Event]) -> Iterable[str]:
    """The SHA-256 of each file whose bytes the event says are stored."""
    field = FILES_NAMED.get(recorded.draft.type.rpartition(".v")[0])
    if field is None:
        return ()
    told = recorded.json.get(field) or ()
    digests = told.values() if isinstance(told, dict) else [told]
    return [str(d).removeprefix("sha256:") for d in digests]


def settings_in(file: Path) -> Settings:
    """
    The settings that *file* alone says: environment variables are those of the home that is moved.

    Raises:
        Misconfigured: there is no such file, or something in it is wrong.
    """
    try:
        told: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise Misconfigured(
            f"there is no {file}", remedy="write the target's mlife.toml first: home, store, bus, files"
        ) from e
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise Misconfigured(f"{file} can't be read as TOML ({e})", remedy="mend it") from e
    home = told.get("home", ".mlife")
    folder = Path(home).absolute() if isinstance(home, str) else ""
    alone = {"store": f"sqlite:///{folder}/mlife.db", "bus": "inprocess", "files": f"file:///{folder}/files"}
    flags = {name: told.get(name, default) for name, default in alone.items()}
    return settings(home, config=file, **flags)


def hand_over(source: Settings, file: Path) -> list[str]:
    """
    Let the target's configuration *file* seal what *source* seals and, if it names no token, ask for the same one.

    Returns:
        What was added, in words.

    Raises:
        Refused: the file has a `[personal]` of its own that seals less.
        HomeUnusable: the file can't be written.
    """
    target = settings_in(file)
    text = file.read_text(encoding="utf-8")
    told = tomllib.loads(text)
    added = []
    for system, names in source.personal.items():
        unsealed = names - target.personal.get(system, frozenset())
        if unsealed and "personal" in told:
            raise Refused(
                f"{file} does not seal {', '.join(sorted(unsealed))} of {system}, which are sealed here",
                remedy=f"add to its [personal]: {_line(system, names)}",
            )
    if source.personal and "personal" not in told:
        lines = [_line(system, names) for system, names in sorted(source.personal.items())]
        text = "\n".join([text.rstrip("\n"), "", "[personal]", *lines, ""])
        added.append("[personal]")
    if source.token and not told.get("token"):
        text = f"token = {json.dumps(source.token)}\n{text}"
        added.append("token")
    if added:
        _write(file, text)
    return added


def _line(system: str, names: Iterable[str]) -> str:
    return f"{json.dumps(system)} = {json.dumps(sorted(names))}"


def _write(file: Path, text: str) -> None:
    half = file.with_name(f"{file.name}.new")
    try:
        handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding="utf-8") as out:  # noqa: PTH123 - of a handle
            out.write(text)
        half.chmod(file.stat().st_mode & 0o777)
        half.replace(file)
    except OSError as e:
        raise HomeUnusable(f"{file} can't be written ({e.strerror})", remedy="make it writable for this user") from e
