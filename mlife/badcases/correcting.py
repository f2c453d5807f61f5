"""Truth for many reports at once, such as a labelling team's table; each is judged by itself."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from mlife.badcases.commands import correct_report
from mlife.badcases.events import BadcaseReported
from mlife.badcases.intake.reading import Item
from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.intake.typed import annotation_of
from mlife.badcases.regrouping import to_correct
from mlife.core.command import Executor, check_input
from mlife.core.errors import Invalid, NotFound, Refusal, Refused
from mlife.core.events import Recorded, uuid5_bytes
from mlife.core.ports import EventStore

JSON = Any
UNKNOWN = "?"
"""A truth that is disputed: unknown again."""
COLUMNS = ("uid", "report_id", "client", "truth", "reason")


@dataclass
class Corrected:
    """
    What became of truths.

    Args:
        corrected, unchanged: reports that have another truth now, and that had it already.
        refused: those that could not be corrected, with line and field.
    """

    position: int = 0
    corrected: int = 0
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def as_json(self) -> dict[str, JSON]:
        """The answer to a program."""
        return {
            "position": self.position,
            "corrected": self.corrected,
            "unchanged": self.unchanged,
            "refused": [r.as_json() for r in self.refused],
        }


class Correcting:
    """
    Corrects reports by their `uid`, or by `report_id` and the `client` who sent it.

    Args:
        opened: makes sealed texts readable.
        reason: for items that give none.
    """

    def __init__(self, do: Executor, store: EventStore, opened: Callable[[Any], Any], *, reason: str = "") -> None:
        self._do, self._store, self._opened, self._reason = do, store, opened, reason
        self.answer = Corrected()

    def take(self, items: Iterable[Item]) -> None:
        """Items with their lines: `{"uid", "truth", "reason"}`, where a truth is typed, or as text as in a form."""
        for line, item in items:
            try:
                self._correct(item)
            except Unfit as unfit:
                self.answer.refused.append(unfit.at(line))
            except Invalid as fault:
                told = fault.refusals or (Refusal(line, "", "", str(fault), fault.remedy),)
                self.answer.refused += [Refusal(line, r.field, r.value, r.problem, r.expected) for r in told[:1]]
            except (Refused, NotFound) as fault:
                self.answer.refused.append(Refusal(line, "", "", fault.message, fault.remedy))

    def _correct(self, item: JSON) -> None:
        if isinstance(item, Unfit):
            raise item
        if not isinstance(item, Mapping):
            raise Unfit("", item, "is no JSON object", '{"uid": "…", "truth": …, "reason": "…"}')
        if unknown := sorted(item.keys() - set(COLUMNS)):
            raise Unfit(unknown[0], item[unknown[0]], "is no field of this", f"one of {', '.join(COLUMNS)}")
        found = self._report(item)
        report = found.event
        truth = item.get("truth")
        if "truth" not in item or truth == "":
            raise Unfit("truth", "", "is missing", f"the truth, or {UNKNOWN} if it is disputed")
        if isinstance(truth, str):
            truth = None if truth.strip() == UNKNOWN else annotation_of(report.prediction["type"], truth)
        given = check_input(
            correct_report,
            {
                **to_correct(found, self._opened),
                "truth": truth,
                "reason": item.get("reason") or self._reason,
            },
        )
        made = self._do.under(uuid.uuid4().hex, correct_report, **given)
        self.answer.position = max(self.answer.position, made.position)
        self.answer.corrected += bool(made.events)
        self.answer.unchanged += not made.events

    def _report(self, item: Mapping[str, JSON]) -> Recorded[BadcaseReported]:
        uid, report_id = item.get("uid"), item.get("report_id")
        if not uid and not report_id:
            raise Unfit("uid", "", "is missing", "the report's uid, or its report_id (and client)")
        if not uid:
            uid = sha256(f"{item.get('client') or ''}\0{report_id}".encode()).hexdigest()[:32]
        event_id = uuid5_bytes(f"report/{uid}".encode())  # as intake derives it
        found = self._store.find([event_id]).get(event_id)
        if found is None:
            named = ("uid", item["uid"]) if item.get("uid") else ("report_id", report_id)
            raise Unfit(*named, "names no report", "one that was taken, with the client who sent it")
        return found  # type: ignore[return-value]  # what has such an id
