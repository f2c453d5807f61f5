"""
Which badcase a report belongs to: an explained and versioned rule.

The fingerprint *is* its explanation: a JSON list of the parts that were compared. Two reports are in one badcase if and
only if their fingerprints are the same text; the badcase's id is derived from it and from the rule's version.

    ["class","digits","digit","9","4"]            system digits, function digit: 9 read as 4
    ["key","digits","digit","thin-strokes"]       the client grouped them itself
    ["split","digits","digit","bc-…","open tops"] a person split them off another badcase
    ["class","digits","digit","9","4",{"place":"tunnel"}]   the function's rule compares the field place too
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mlife.badcases.signature import UNKNOWN, signature
from mlife.badcases.wording import LONGEST_VALUE, filled, normalised, said, slots
from mlife.core.errors import Corrupt

JSON = Any
VERSION = 1
"""Of the rule: raised when the same report would get another fingerprint. Reports keep the one they came with."""
RULED = 2
"""Version of fingerprints that hold what a function's own rule compares; without such they are as before."""
DESCRIPTION = "described as"
"""What the description is called among the parts; no field can have that name."""


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What is compared of a function's reports beside what went wrong.

    Args:
        revision: 0: nobody made a rule.
        template: of the description; None: it is not compared. fields: declared fields whose values are.
    """

    revision: int = 0
    template: str | None = None
    fields: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Does it compare nothing more?"""
        return self.template is None and not self.fields

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that decide about its parts."""
        return (*self.fields, *(() if self.template is None else slots(self.template)))

    def parts(self, free: Mapping[str, JSON] | None) -> dict[str, str]:
        """What it compares of a report's free fields; what a report does not say is not compared."""
        free = free or {}
        found = {name: normalised(said(free[name])) for name in self.fields if free.get(name) not in (None, "")}
        if self.template is not None:
            described = filled(self.template, free)
            if described is not None:
                found[DESCRIPTION] = described.casefold()
        return {name: found[name][:LONGEST_VALUE] for name in sorted(found)}


PLAIN = Rule()


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    Why reports are in one badcase, in words.

    Args:
        version: of the rule.
        type: the annotation type, `key` if the client grouped them itself, or `split` if a person did.
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


def fingerprint(report: Mapping[str, JSON], rule: Rule = PLAIN) -> str:
    """The fingerprint of a checked report (its system, function, key, truth and prediction, and fields by *rule*)."""
    system, function, key = report["system"], report["function"], report.get("key")
    if key:
        return _text(["key", system, function, key])
    kind, *errors = signature(system, function, report.get("truth"), report["prediction"])
    parts = {} if rule.is_plain else rule.parts(report.get("fields"))
    return _text([kind, system, function, *errors, *([parts] if parts else [])])


def version_of(fingerprint: str) -> int:
    """The version of the rule that makes such a fingerprint: only a rule's parts end in a brace."""
    return RULED if fingerprint.endswith("}]") else VERSION


def badcase_id(fingerprint: str, version: int = VERSION) -> str:
    """`bc-` and 12 hexadecimal digits, a function of fingerprint and rule version."""
    named = f"{fingerprint}\0{version}".encode()
    return f"bc-{hashlib.sha256(named).hexdigest()[:12]}"


def split_fingerprint(system: str, function: str, from_badcase_id: str, title: str) -> str:
    """The fingerprint of reports that a person split off; no report comes with it."""
    return _text(["split", system, function, from_badcase_id, title])


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
    ruled: dict[str, str] = errors.pop() if errors and isinstance(errors[-1], dict) else {}
    truth = prediction = None
    if kind == "key":
        title, what = errors[0], (("key", errors[0]),)
        because = f"their client gave them the key “{errors[0]}”"
    elif kind == "split":
        title, what = errors[1], (("split off", errors[0]),)
        because = f"a person split them off {errors[0]}: “{errors[1]}”"
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
    also = "".join(f", {name} {value}" for name, value in ruled.items())
    return Explanation(
        version,
        kind,
        (("system", system), ("function", function), ("compared as", kind), *what, *ruled.items()),
        truth,
        prediction,
        title + "".join(f", {value}" for value in ruled.values()),
        f"same system {system}, same function {function}, and {because}{also}",
    )


def _text(parts: list[Any]) -> str:
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
        self._rules: dict[tuple[str, str], tuple[Rule, tuple[str, ...]]] = {}
        self._rule_of: Callable[[str, str], Rule] = lambda _system, _function: PLAIN

    def look_again(self, rule_of: Callable[[str, str], Rule]) -> None:
        """Rules may have changed: before a run of reports. *rule_of*: of system and function, asked once for each."""
        self._rules, self._rule_of = {}, rule_of

    def of(self, report: Mapping[str, JSON]) -> Grouping:
        """The grouping of a checked report."""
        system, function = report["system"], report["function"]
        prediction, truth, key = report["prediction"], report.get("truth"), report.get("key")
        ruled = self._rules.get((system, function))
        if ruled is None:
            rule = self._rule_of(system, function)
            ruled = self._rules[system, function] = (rule, rule.names)
        rule, names = ruled
        at: tuple[Any, ...]
        if key:
            at = (system, function, key)
        elif prediction["type"] == "class":
            at = (system, function, truth and truth["label"], prediction["label"])
            if names:
                free = report.get("fields") or {}
                values = [free.get(name) for name in names]
                if any(isinstance(v, list | dict) for v in values):
                    return _grouping(fingerprint(report, rule))
                at = (*at, rule.revision, *values, *map(type, values))  # yes and 1 are equal, and not the same
        else:
            return _grouping(fingerprint(report, rule))
        known = self._known.get(at)
        if known is None:
            if len(self._known) >= self.LARGEST:
                self._known.clear()
            known = self._known[at] = _grouping(fingerprint(report, rule))
        return known


def _grouping(text: str) -> Grouping:
    version = version_of(text)
    group = badcase_id(text, version)
    json = f'"badcase_id":"{group}","fingerprint":{orjson.dumps(text).decode()},"fingerprint_version":{version}'
    return Grouping(group, text, json)
