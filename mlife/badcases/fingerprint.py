"""
Which badcase a report belongs to: an explained and versioned rule.

The fingerprint *is* its explanation: a JSON list of the parts that were compared. Two reports are in one badcase if and
only if their fingerprints are the same text; the badcase's id is derived from it and from the rule's version.

    ["class","digits","digit","9","4"]            system digits, function digit: 9 read as 4
    ["key","digits","digit","thin-strokes"]       the client grouped them itself
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mlife.badcases.signature import UNKNOWN, signature
from mlife.core.errors import Corrupt

JSON = Any
VERSION = 1
"""Of the rule: raised when the same report would get another fingerprint. Reports keep the one they came with."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why reports are in one badcase, in words.

    Args:
        version: of the rule.
        type: the annotation type, or `key` if the client grouped them itself.
        parts: (what was compared, what it was), in order.
        truth, prediction: labels where the type is `class`; truth None: unknown. Both None for other types.
        title: the failure in a few words, e.g. `9 read as 4`.
        sentence: the whole reason.
    """

    version: int
    type: str
    parts: tuple[tuple[str, str], ...]
    truth: str | None
    prediction: str | None
    title: str
    sentence: str


def fingerprint(report: Mapping[str, JSON]) -> str:
    """The fingerprint of a checked report (its system, function, key, truth and prediction)."""
    system, function, key = report["system"], report["function"], report.get("key")
    if key:
        return _text(["key", system, function, key])
    kind, *errors = signature(system, function, report.get("truth"), report["prediction"])
    return _text([kind, system, function, *errors])


def badcase_id(fingerprint: str, version: int = VERSION) -> str:
    """`bc-` and 12 hexadecimal digits, a function of fingerprint and rule version."""
    named = f"{fingerprint}\0{version}".encode()
    return f"bc-{hashlib.sha256(named).hexdigest()[:12]}"


def explain(fingerprint: str, version: int = VERSION) -> Explanation:
    """
    What *fingerprint* says, in words.

    Raises:
        Corrupt: no rule of this program makes such a fingerprint.
    """
    try:
        kind, system, function, *errors = orjson.loads(fingerprint)
    except ValueError as e:
        raise Corrupt(f"{fingerprint[:80]!r} is no fingerprint of version {version}: {e}") from e
    truth = prediction = None
    if kind == "key":
        title, what = errors[0], (("key", errors[0]),)
        because = f"their client gave them the key “{errors[0]}”"
    elif kind == "class":
        truth, prediction = errors
        shown = UNKNOWN if truth is None else truth
        title, what = f"{shown} read as {prediction}", (("truth → prediction", f"{shown} → {prediction}"),)
        because = title if truth is not None else f"the truth is unknown and {prediction} was said"
    else:
        said = [e for e in errors if e != UNKNOWN]
        unknown = errors[:1] == [UNKNOWN]
        title = f"? read as {', '.join(said) or kind}" if unknown else ", ".join(errors)
        what = (("difference", title),)
        because = f"the truth is unknown; said: {', '.join(said) or kind}" if unknown else title
    return Explanation(
        version,
        kind,
        (("system", system), ("function", function), ("compared as", kind), *what),
        truth,
        prediction,
        title,
        f"same system {system}, same function {function}, and {because}",
    )


def _text(parts: list[str | None]) -> str:
    return orjson.dumps(parts).decode()


@dataclass(frozen=True, slots=True)
class Grouping:
    """
    The badcase of a report, ready to be stored.

    Args:
        json: the members `badcase_id`, `fingerprint`, `fingerprint_version` as they stand in the event's JSON.
    """

    badcase_id: str
    fingerprint: str
    json: str


class Groupings:
    """Groupings by what decides about them; class reports, the bulk of all, meet few different ones."""

    LARGEST = 50_000

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Grouping] = {}

    def of(self, report: Mapping[str, JSON]) -> Grouping:
        """The grouping of a checked report."""
        prediction, truth, key = report["prediction"], report.get("truth"), report.get("key")
        at: tuple[Any, ...]
        if key:
            at = (report["system"], report["function"], key)
        elif prediction["type"] == "class":
            at = (report["system"], report["function"], truth and truth["label"], prediction["label"])
        else:
            return _grouping(fingerprint(report))
        known = self._known.get(at)
        if known is None:
            if len(self._known) >= self.LARGEST:
                self._known.clear()
            known = self._known[at] = _grouping(fingerprint(report))
        return known


def _grouping(text: str) -> Grouping:
    group = badcase_id(text)
    json = f'"badcase_id":"{group}","fingerprint":{orjson.dumps(text).decode()},"fingerprint_version":{VERSION}'
    return Grouping(group, text, json)
