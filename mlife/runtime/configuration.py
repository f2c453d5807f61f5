"""The configuration: `mlife.toml`, overridden by `MLIFE_*`, overridden by flags."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mlife.core.allowance import Allowance, Allowances
from mlife.core.errors import Misconfigured, without_secrets

SCHEMES: Final = {
    "store": {"sqlite": "a file", "postgresql": "a PostgreSQL database"},
    "bus": {"inprocess": "none", "kafka": "Kafka"},
    "files": {"file": "a folder", "s3+http": "an S3 server", "s3+https": "an S3 server, encrypted"},
}
"""What each setting may begin with."""

KNOWN: Final = ("home", "store", "bus", "files", "token", "webhook", "webhook_secret", "mail")


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
        webhook, webhook_secret: URLs that alarms are posted to, and what they are signed with; blanks between several.
        mail: `smtp+starttls://user:secret@host?from=…&to=…`: whom alarms are sent to.
        personal: system → names of the personal fields that are sealed beside `reporter`.
        intake: how much each sender may bring over HTTP.
        links: system (`*`: any other) → how the links of its reports are read: `hosts`, `s3` and what plug-ins know.
    """

    home: Path
    store: str = field(repr=False)
    bus: str = field(repr=False)
    files: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    webhook: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    mail: str | None = field(default=None, repr=False)
    personal: Mapping[str, frozenset[str]] = field(default_factory=dict)
    intake: Allowances = field(default_factory=Allowances)
    links: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

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
    unknown = sorted(told.keys() - {*KNOWN, "intake", "personal", "links"})
    if unknown:
        raise Misconfigured(
            f"{file.name} has unknown settings: {', '.join(unknown)}",
            remedy=f"use {', '.join(KNOWN)}, [personal], [intake], [links]",
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
        webhook=chosen["webhook"],
        webhook_secret=chosen["webhook_secret"],
        mail=chosen["mail"],
        personal=_personal(told.get("personal", {})),
        intake=_intake(told.get("intake", {})),
        links=_links(told.get("links", {})),
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


def _links(told: Any) -> dict[str, dict[str, Any]]:
    if not (isinstance(told, dict) and all(isinstance(options, dict) for options in told.values())):
        raise Misconfigured(
            "[links] of mlife.toml is no table of tables",
            remedy='write [links.dms] and below it hosts = ["cam.example"]',
        )
    return told


LIMITS: Final = ("rate", "burst", "quota")
"""Names in `[intake]`, and in `[intake.clients.NAME]` for a sender that is named."""


def _intake(told: Any) -> Allowances:
    if not isinstance(told, dict) or not isinstance(told.get("clients", {}), dict):
        raise Misconfigured("[intake] of mlife.toml is no table", remedy="write [intake], then lines as rate = 500")
    _known(told, (*LIMITS, "at_once", "clients"), "[intake]")
    each = _allowance({name: told[name] for name in LIMITS if name in told}, "[intake]")
    named = {
        client: _allowance(limits, f"[intake.clients.{client}]") for client, limits in told.get("clients", {}).items()
    }
    at_once = told.get("at_once", Allowances.at_once)
    if not isinstance(at_once, int) or isinstance(at_once, bool) or at_once < 1:
        raise Misconfigured(f"at_once is {at_once!r} in [intake]", remedy="let it be a whole number of at least 1")
    return Allowances(each, named, at_once)


def _allowance(told: Any, where: str) -> Allowance:
    if not isinstance(told, dict):
        raise Misconfigured(f"{where} of mlife.toml is no table", remedy="write lines as rate = 500 below it")
    _known(told, LIMITS, where)
    for name, value in told.items():
        kinds = (int, float) if name == "rate" else (int,)
        if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value < 10**12:
            raise Misconfigured(f"{name} is {value!r} in {where}", remedy="give a number; 0 is no limit")
    return Allowance(**told)


def _known(told: Mapping[str, Any], names: Sequence[str], where: str) -> None:
    if unknown := sorted(told.keys() - set(names)):
        raise Misconfigured(f"{where} has unknown settings: {', '.join(unknown)}", remedy=f"use {', '.join(names)}")


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
