"""
The leakage guard: reports test, collected items train, and no file does both.

Rows for training or validation must not be a reported file nor a testing row; rows for testing must not have been in a
training or validation group. A file is its SHA-256, wherever it lies and whatever it is called; where one side knows
the MD5 only, the MD5 decides.

Source: the contract, "Reports test; collected items train".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

UseKind = Literal["reported", "testing", "training", "validation"]
NEVER_WITH: Mapping[str, frozenset[str]] = {
    "training": frozenset({"reported", "testing"}),
    "validation": frozenset({"reported", "testing"}),
    "testing": frozenset({"training", "validation"}),
}
"""Purpose of a group → uses that a file of it must not have."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Use:
    """
    What a file was used for before.

    Args:
        identity: SHA-256 or MD5, hexadecimal.
        kind: what for.
        used_in: the badcase, document or group.
        sha256: of the file when *identity* is its MD5 and the SHA-256 is known too; else empty.
    """

    identity: str
    kind: UseKind
    used_in: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Leak:
    """A row that must not be in a group of that purpose: its place among the rows (from 0), and why."""

    at: int
    path: str
    use: Use

    def __str__(self) -> str:
        what = {
            "reported": "is a reported file of",
            "testing": "is a testing row of",
            "training": "was trained on in",
            "validation": "was validated with in",
        }[self.use.kind]
        return f"{self.path} {what} {self.use.used_in}"


def find_leaks(rows: Sequence[Mapping[str, Any]], purpose: str, uses: Iterable[Use]) -> list[Leak]:
    """Those of *rows* (as in a JSON document) that a group of *purpose* must not have, each with one reason."""
    forbidden = NEVER_WITH[purpose]
    by_identity: dict[str, list[Use]] = {}
    for use in uses:
        if use.kind in forbidden:
            by_identity.setdefault(use.identity, []).append(use)
    leaks = []
    for at, row in enumerate(rows):
        use_or_none = _first_use(row, by_identity)
        if use_or_none is not None:
            leaks.append(Leak(at, str(row["path"]), use_or_none))
    return leaks


def _first_use(row: Mapping[str, Any], by_identity: Mapping[str, list[Use]]) -> Use | None:
    sha256, md5 = row.get("sha256"), row.get("md5")
    if sha256 and (found := by_identity.get(sha256)):
        return found[0]
    for use in by_identity.get(md5 or "", ()):
        if not sha256 or not use.sha256:  # two known SHA-256 are compared above; an equal MD5 then says nothing
            return use
    return None


def describe(leaks: Sequence[Leak], rows: int, purpose: str) -> str:
    """The refusal's sentence: how many, and the first ones with where they are used."""
    first = "; ".join(map(str, leaks[:SHOWN]))
    more = f"; and {len(leaks) - SHOWN:,} more" if len(leaks) > SHOWN else ""
    return f"{len(leaks):,} of {rows:,} rows may not be used for {purpose}: {first}{more}"
