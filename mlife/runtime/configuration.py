"""The configuration: `mlife.toml`, overridden by `MLIFE_*`, overridden by flags."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mlife.core.errors import Misconfigured, without_secrets

SCHEMES: Final = {
    "store": {"sqlite": "a file", "postgresql": "a PostgreSQL database"},
    "bus": {"inprocess": "none", "kafka": "Kafka"},
    "files": {"file": "a folder", "s3+http": "an S3 server", "s3+https": "an S3 server, encrypted"},
}
"""What each setting may begin with."""

KNOWN: Final = ("home", "store", "bus", "files", "token")


@dataclass(frozen=True)
class Settings:
    """
    Which home this is, and what it is made of.

    Args:
        home: folder of what is kept on this machine: everything in the embedded size, runs and caches in the other.
        store: `sqlite:///path` or `postgresql://…`; query tables, handlers' book and keys are beside the log.
        bus: `inprocess`, or `kafka://host:port,…`: then `mlife relay` and `mlife worker` do what `mlife up` does alone.
        files: `file:///path` or `s3+https://key:secret@host/bucket`.
        token: needed by every HTTP request if set; must be set to listen beyond loopback.
        personal: system → names of the personal fields that are sealed beside `reporter`.
    """

    home: Path
    store: str = field(repr=False)
    bus: str = field(repr=False)
    files: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    personal: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        """Does one process project and handle, found by a lock, and no bus?"""
        return self.bus == "inprocess"

    def shown(self, name: str) -> str:
        """The setting *name* as it may be printed."""
        return without_secrets(str(getattr(self, name)))


def settings(home: str | Path | None = None, *, config: Path | None = None, **flags: str | None) -> Settings:
    """
    Read the configuration.

    Raises:
        Misconfigured: a file that is no TOML, an unknown setting, or a value that can't be served.
    """
    named = os.environ.get("MLIFE_CONFIG")
    file = config or Path(named or "mlife.toml")
    if config is None and named and not file.exists():
        raise Misconfigured(f"MLIFE_CONFIG names {named}, and there is no such file", remedy="correct the name")
    told = _toml(file)
    unknown = sorted(told.keys() - {*KNOWN, "personal"})
    if unknown:
        raise Misconfigured(
            f"{file.name} has unknown settings: {', '.join(unknown)}", remedy=f"use {', '.join(KNOWN)}, [personal]"
        )
    chosen = {k: flags.get(k) or os.environ.get(f"MLIFE_{k.upper()}") or told.get(k) for k in KNOWN}
    for name, value in chosen.items():
        if value is not None and not isinstance(value, str):
            raise Misconfigured(f"{name} is {value!r} in {file.name}, which is no text", remedy="put it in quotes")
    folder = Path(home or chosen["home"] or ".mlife").absolute()
    made = Settings(
        home=folder,
        store=chosen["store"] or f"sqlite:///{folder}/mlife.db",
        bus=chosen["bus"] or "inprocess",
        files=chosen["files"] or f"file:///{folder}/files",
        token=chosen["token"],
        personal=_personal(told.get("personal", {})),
    )
    _check(made)
    return made


def _personal(told: Any) -> dict[str, frozenset[str]]:
    is_right = isinstance(told, dict) and all(
        isinstance(names, list) and all(isinstance(n, str) for n in names) for names in told.values()
    )
    if not is_right:
        raise Misconfigured(
            "[personal] of mlife.toml is no table of lists", remedy='write a line for each system: dms = ["client"]'
        )
    return {system: frozenset(names) for system, names in told.items()}


def _check(made: Settings) -> None:
    for name, schemes in SCHEMES.items():
        value = str(getattr(made, name))
        scheme, colon, rest = value.partition(":")
        if scheme not in {"file", "sqlite"} and any(c.isspace() or c in "\"'" for c in value):
            raise Misconfigured(
                f"MLIFE_{name.upper()} has a blank or a quote in it, which no URL has",
                remedy="write them as %20, %22 and %27; the settings of a cluster are URLs",
            )
        if scheme not in schemes or (scheme != "inprocess" and not (colon and rest.startswith("//"))):
            raise Misconfigured(
                f"MLIFE_{name.upper()} is {without_secrets(value)!r}, which names nothing that MLife can use",
                remedy=" or ".join(f"{s}{'' if s == 'inprocess' else '://…'} ({what})" for s, what in schemes.items()),
            )
    if not made.is_alone and not made.store.startswith("postgresql:"):
        raise Misconfigured(
            "MLIFE_BUS is kafka, and MLIFE_STORE is a file of this machine, which other machines can't read",
            remedy="set MLIFE_STORE to postgresql://…, or leave MLIFE_BUS out",
        )


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise Misconfigured(f"{path} is no TOML: {e}", remedy="mend the line it names") from e
    except OSError as e:
        raise Misconfigured(f"{path} can't be read ({e.strerror})", remedy="make it readable for this user") from e
