"""What the doors look up before somebody merges, splits or corrects: pages, API and command line ask the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from mlife.badcases.commands.grouping import MOST_MERGED, MOST_SPLIT
from mlife.badcases.events import BadcaseReported
from mlife.badcases.views import grouping
from mlife.core.errors import Refused, no_such
from mlife.core.events import Recorded
from mlife.core.projection import Reader


def to_merge(read: Reader, badcase_ids: Iterable[str], into: str | None) -> dict[str, Any]:
    """The input of `merge`; without *into*, the one with the most reports takes the others in."""
    ids = list(dict.fromkeys(badcase_ids))
    if len(ids) > MOST_MERGED:
        raise Refused(f"more than {MOST_MERGED:,} badcases are too many for one merge", remedy="narrow the query")
    known = grouping.named(read, [*ids, *([into] if into else [])])
    if not into:
        counted = [k for k in known if k.badcase_id in ids]
        if not counted:
            raise Refused("no badcase is selected", remedy="select two or more with x, and try again")
        into = max(counted, key=lambda k: (k.reports, k.badcase_id)).badcase_id
    return {"badcase_ids": ids, "into": into, "known": [asdict(k) for k in known]}


def to_split(
    read: Reader, badcase_id: str, reports: Sequence[int | str], q: str | None, *, now: datetime
) -> dict[str, Any]:
    """
    The input of `split`, beside title and reason.

    Args:
        reports: positions that were chosen. q: or all that a query finds in the badcase, as it is now.
    """
    found = grouping.named(read, [badcase_id])
    if not found:
        raise no_such("badcase", badcase_id)
    if q is not None:
        chosen = grouping.positions(read, badcase_id, q, now=now, limit=MOST_SPLIT + 1)
    else:
        chosen = grouping.counted_in(read, badcase_id, [int(n) for n in reports if str(n).isdecimal()])
        if len(chosen) < len(set(map(str, reports))):
            raise Refused(
                f"some of these reports are not counted in {badcase_id}", remedy="choose them again from its reports"
            )
    if len(chosen) > MOST_SPLIT:
        raise Refused(
            f"the query finds more than {MOST_SPLIT:,} reports",
            remedy="split by a narrower query several times, and merge what came of it",
        )
    (one,) = found
    return {
        "badcase_id": badcase_id,
        "reports": chosen,
        "counted": one.reports,
        "system": one.system,
        "function": one.function,
        "q": q,
    }


def must_be_of(read: Reader, badcase_ids: Iterable[str], system: str, function: str) -> None:
    """
    See that a cause or an iteration of a function is about badcases that there are, and of that function.

    Raises:
        NotFound: there is no such badcase. Refused: some are of another function.
    """
    ids = list(dict.fromkeys(badcase_ids))
    known = {k.badcase_id: (k.system, k.function) for k in grouping.named(read, ids)}
    for badcase_id in ids:
        if badcase_id not in known:
            raise no_such("badcase", badcase_id)
    others = [badcase_id for badcase_id in ids if known[badcase_id] != (system, function)]
    if others:
        raise Refused(
            f"{len(others)} of {len(ids)} badcases are not of {system}/{function}: "
            f"{others[0]} is of {'/'.join(known[others[0]])}",
            remedy=f'choose badcases of one function, by function:"{function}" for example',
        )


def to_correct(recorded: Recorded[BadcaseReported], opened: Callable[[Any], Any]) -> dict[str, Any]:
    """The input of `correct_report` that the report itself gives, beside truth and reason. *opened*: unseals."""
    event = recorded.event
    return {
        "uid": event.uid,
        "badcase_id": event.badcase_id,
        "position": recorded.position,
        "system": event.system,
        "function": event.function,
        "prediction": opened(event.prediction),
        "fields": opened(event.fields),
        "group_key": event.key,
    }
