"""What a rule would do to the reports that are there: which badcases would split, and which would become one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mlife.badcases.commands.ruling import Moved
from mlife.badcases.events import BadcaseReported, ReportCorrected
from mlife.badcases.fingerprint import Rule, badcase_id, explain, fingerprint, version_of
from mlife.badcases.views.ruling import Placed, placed_reports
from mlife.core.errors import Refused
from mlife.core.events import Recorded
from mlife.core.ports import EventStore
from mlife.core.projection import Reader

STRETCH = 2_000
"""Positions of the log that are read at once."""
MOST_LOOKED_AT = 500_000
"""Reports of a function that a look goes through."""
MOST_MOVED = 100_000
"""Reports in one event."""


@dataclass
class Effect:
    """
    What a rule does.

    Args:
        reports: how many were looked at. same: how many stay where they are.
        moved: (badcase that fingerprints name, badcase where rules put them now, fingerprint under the rule) →
            positions of reports.
    """

    reports: int = 0
    same: int = 0
    moved: dict[tuple[str, str, str], list[int]] = field(default_factory=dict)

    def splits(self) -> dict[str, dict[str, int]]:
        """Badcase → the fingerprints that its reports would have → how many."""
        found: dict[str, dict[str, int]] = {}
        for (_, now, text), numbers in self.moved.items():
            into = found.setdefault(now, {})
            into[text] = into.get(text, 0) + len(numbers)
        return found

    def merges(self) -> dict[str, dict[str, int]]:
        """Fingerprint under the rule → the badcases that would become one under it → how many reports of each."""
        found: dict[str, dict[str, int]] = {}
        for (_, now, text), numbers in self.moved.items():
            of = found.setdefault(text, {})
            of[now] = of.get(now, 0) + len(numbers)
        return {text: of for text, of in found.items() if len(of) > 1}

    def as_moved(self) -> Iterator[Moved]:
        """As it is applied."""
        for (origin, _, text), numbers in sorted(self.moved.items()):
            for start in range(0, len(numbers), MOST_MOVED):
                yield Moved(
                    from_badcase_id=origin,
                    badcase_id=badcase_id(text, version_of(text)),
                    fingerprint=text,
                    fingerprint_version=version_of(text),
                    reports=numbers[start : start + MOST_MOVED],
                )

    def told(self) -> dict[str, Any]:
        """For programs and pages."""
        return {
            "reports": self.reports,
            "same": self.same,
            "moved": self.reports - self.same,
            "splits": [
                {"badcase_id": now, "into": [_named(text, n) for text, n in sorted(into.items())]}
                for now, into in sorted(self.splits().items())
            ],
            "merges": [
                {
                    **_named(text, sum(of.values())),
                    "of": [{"badcase_id": b, "reports": n} for b, n in sorted(of.items())],
                }
                for text, of in sorted(self.merges().items())
            ],
        }


def _named(text: str, reports: int) -> dict[str, Any]:
    version = version_of(text)
    return {"badcase_id": badcase_id(text, version), "title": explain(text, version).title, "reports": reports}


def effect_of(
    store: EventStore, read: Reader, opened: Callable[[Any], Any], system: str, function: str, rule: Rule
) -> Effect:
    """
    What *rule* would do to the reports of a function.

    Args:
        opened: unseals what is sealed.

    Raises:
        Refused: there are more reports than a look goes through.
    """
    effect = Effect()
    for placed, recorded in _reports(store, read, system, function):
        effect.reports += 1
        if effect.reports > MOST_LOOKED_AT:
            raise Refused(
                f"{function} of {system} has more than {MOST_LOOKED_AT:,} reports",
                remedy="let the rule hold for new reports, and merge or split old badcases by hand",
            )
        event = recorded.event
        truth = event.truth if placed.origin_id == event.badcase_id else _corrected(store, event)
        named = {"system": system, "function": function, "key": event.key, "prediction": event.prediction}
        text = fingerprint({**named, "truth": truth, "fields": opened(event.fields)}, rule)
        if badcase_id(text, version_of(text)) == placed.ruled_id:
            effect.same += 1
        else:
            effect.moved.setdefault((placed.origin_id, placed.ruled_id, text), []).append(placed.number)
    return effect


def _reports(
    store: EventStore, read: Reader, system: str, function: str
) -> Iterator[tuple[Placed, Recorded[BadcaseReported]]]:
    """The reports of a function with their events, the oldest first; the log is read a stretch at a time."""
    held: dict[int, Recorded[Any]] = {}
    for placed in placed_reports(read, system, function):
        if placed.number not in held:
            held = {e.position: e for e in store.read(placed.number - 1, STRETCH)}
        yield placed, held[placed.number]


def _corrected(store: EventStore, event: BadcaseReported) -> Any:
    """The truth of a report that may have been corrected."""
    for recorded in reversed(store.read_stream(f"correction/{event.uid}")):
        if isinstance(recorded.event, ReportCorrected):
            return recorded.event.truth
    return event.truth
