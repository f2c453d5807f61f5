"""Bulk jobs: the same done to many badcases, step by step, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from mlife.badcases.bulkjob import BulkJob
from mlife.badcases.commands.badcases import (
    assign,
    mute,
    pin,
    prioritise,
    reject,
    reopen,
    take_back,
    triage,
    unmute,
)
from mlife.badcases.events import BulkFinished, BulkProgressed, BulkStarted
from mlife.core.command import Given, check_input
from mlife.core.errors import Invalid, NotFound, Refused
from mlife.core.events import Event

JSON = dict[str, Any]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Command = Callable[..., list[Event]]
ACTIONS: Mapping[str, tuple[Command, str]] = {
    "triage": (triage, "triaged"),
    "assign": (assign, "assigned"),
    "prioritise": (prioritise, "prioritised"),
    "mute": (mute, "muted"),
    "unmute": (unmute, "no longer muted"),
    "reject": (reject, "rejected"),
    "reopen": (reopen, "reopened"),
    "pin": (pin, "added to the test data"),
    "undo": (take_back, "as it was before"),
}
"""What can be done to a badcase: the command, and what is said of it afterwards."""

UNDO = "take back"
"""What an undoing is called."""
MOST_AT_ONCE = 20_000
"""Badcases of one job: its list travels in one event."""
STEP = 100
"""Badcases dealt with in one append."""
UNDO_ID = "u"
"""What an undoing's id ends with: one job is undone once."""


def action_named(name: str) -> tuple[Command, str]:
    """
    The action called *name*.

    Raises:
        NotFound: there is none.
    """
    if name not in ACTIONS:
        raise NotFound(f"nothing is called {name}", remedy=f"choose one of {', '.join(ACTIONS)}")
    return ACTIONS[name]


def start_bulk(
    given: Given,
    *,
    action: Name,
    query: Annotated[str, Field(max_length=2_000)] = "",
    badcase_ids: list[Name],
    input: JSON | None = None,
) -> list[Event]:
    """
    Begin to do the same to many badcases; `take_step` goes on with it.

    Raises:
        Invalid: the input does not fit the action; said before anything is done.
    """
    command, _ = action_named(action)
    ids = tuple(dict.fromkeys(badcase_ids))
    if not ids:
        raise Refused("no badcase is selected", remedy="select rows with x, or all that match, and try again")
    if len(ids) > MOST_AT_ONCE:
        raise Refused(
            f"{len(ids)} badcases are too many for one job", remedy=f"narrow the query to at most {MOST_AT_ONCE}"
        )
    said = dict(input or {})
    blank: JSON = {"rows": [], "system": "-", "function": "-"} if action == "pin" else {}
    check_input(command, {**blank, **said, "badcase_id": ids[0]})
    bulk_id = given.new_id("blk")
    return [BulkStarted(bulk_id=bulk_id, action=action, query=query, badcase_ids=ids, input=said, by=given.actor)]


def undo_bulk(given: Given, *, bulk_id: Name) -> list[Event]:
    """Begin to take back what a job changed; what somebody changed since stays as it is, and is named."""
    job = _job(given, bulk_id)
    if job.undoes is not None:
        raise Refused(f"{bulk_id} is an undoing itself", remedy="do the action again")
    if job.running:
        raise Refused(f"{bulk_id} is still running", remedy="wait until it is finished, or stop it first")
    if not job.changed:
        raise Refused(f"{bulk_id} changed nothing", remedy="there is nothing to take back")
    undoing = given(BulkJob, bulk_id + UNDO_ID)
    if undoing.exists:
        return []
    return [
        BulkStarted(
            bulk_id=bulk_id + UNDO_ID,
            action=UNDO,
            query=job.query,
            badcase_ids=tuple(job.changed),
            undoes=bulk_id,
            by=given.actor,
        )
    ]


def stop_bulk(given: Given, *, bulk_id: Name) -> list[Event]:
    """End a job before its list is through; what it did stays, and can be taken back."""
    job = _job(given, bulk_id)
    return [BulkFinished(bulk_id=bulk_id, stopped=True, by=given.actor)] if job.running else []


def take_step(given: Given, *, bulk_id: Name, at: int, items: Sequence[JSON]) -> list[Event]:
    """
    Do the next piece of a job: its changes and its progress are one append, so that no item is ever done twice.

    Args:
        at: how many were dealt with before; where the job is further on, nothing is left to do.
        items: for each badcase of the piece `badcase_id` and the action's `input`, or the `problem` that it has.
    """
    job = _job(given, bulk_id)
    if not job.running or job.done != at or not items:
        return []
    given.actor = job.by  # whoever asked for it acts, whichever process takes the step
    events: list[Event] = []
    changed: dict[str, int] = {}
    refused: list[JSON] = []
    for item in items:
        badcase_id = item["badcase_id"]
        try:
            made = _done_to(given, job, item)
        except (Refused, NotFound, Invalid) as e:
            refused.append({"badcase_id": badcase_id, "problem": _in_words(e)})
            continue
        if made:
            changed[badcase_id] = given.versions[f"badcase/{badcase_id}"] + 1
            events += made
    done = at + len(items)
    unchanged = len(items) - len(changed) - len(refused)
    events.append(
        BulkProgressed(bulk_id=bulk_id, done=done, changed=changed, unchanged=unchanged, refused=tuple(refused))
    )
    if done >= len(job.badcase_ids):
        events.append(BulkFinished(bulk_id=bulk_id, by=job.by))
    return events


def _done_to(given: Given, job: BulkJob, item: JSON) -> list[Event]:
    """The action on one badcase."""
    if "problem" in item:
        raise Refused(item["problem"])
    if job.undoes is not None:
        of = given(BulkJob, job.undoes)
        if of.action == "pin":
            raise Refused("test data stays", remedy="take the rows out of its test document by hand")
        return take_back(given, badcase_id=item["badcase_id"], version=of.changed[item["badcase_id"]])
    command, _ = action_named(job.action)
    return command(given, **check_input(command, {**item["input"], "badcase_id": item["badcase_id"]}))


def _in_words(fault: Refused | NotFound | Invalid) -> str:
    if isinstance(fault, Invalid) and fault.refusals:
        return "; ".join(f"{r.field} {r.problem}" for r in fault.refusals)
    return str(fault)


def _job(given: Given, bulk_id: str) -> BulkJob:
    job = given(BulkJob, bulk_id)
    if not job.exists:
        raise NotFound(f"there is no bulk job {bulk_id}", remedy="look for it by `mlife bulk list`")
    return job
