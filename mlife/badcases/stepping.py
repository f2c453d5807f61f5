"""How a bulk job goes on: the next piece of its list, and what the action needs to know of each badcase in it."""

from __future__ import annotations

from typing import Any

from mlife.badcases.bulkjob import BulkJob
from mlife.badcases.commands.bulk import STEP
from mlife.badcases.testdata import pinnable_rows
from mlife.badcases.views.bulk import targets
from mlife.core.ports import EventStore
from mlife.core.projection import Reader

JSON = dict[str, Any]


def job_in_log(store: EventStore, bulk_id: str) -> BulkJob:
    """The job as the log has it."""
    job = BulkJob(bulk_id)
    for recorded in store.read_stream(f"bulk/{bulk_id}"):
        job.apply(recorded.event)
        job.version = recorded.version
    return job


def next_step(store: EventStore, read: Reader, bulk_id: str) -> JSON | None:
    """The input of the command `take_step` that goes on with the job; None if it has ended, or never began."""
    job = job_in_log(store, bulk_id)
    if not job.running:
        return None
    piece = job.badcase_ids[job.done : job.done + STEP]
    there = targets(read, piece)
    items: list[JSON] = []
    for badcase_id in piece:
        target = there.get(badcase_id)
        if target is None:
            items.append({"badcase_id": badcase_id, "problem": f"there is no badcase {badcase_id}"})
        elif target.merged_into is not None and job.undoes is None:  # as for one badcase: its home is what is acted on
            items.append({"badcase_id": badcase_id, "problem": f"{badcase_id} is merged into {target.merged_into}"})
        else:
            items.append({"badcase_id": badcase_id, "input": dict(job.input)})
            if job.action == "pin":
                _add_rows(store, read, items[-1], target.system, target.function, target.iteration_id)
    return {"bulk_id": bulk_id, "at": job.done, "items": items}


def _add_rows(
    store: EventStore, read: Reader, item: JSON, system: str, function: str, iteration_id: str | None
) -> None:
    given = item["input"]
    given.setdefault("rows", pinnable_rows(store, read, item["badcase_id"]))
    given |= {"system": system, "function": function}
    given.setdefault("iteration_id", iteration_id)


def told_of(job: BulkJob, position: int) -> dict[str, Any]:
    """A job for programs, as the log has it."""
    state = "running" if job.running else "stopped" if job.stopped else "finished"
    return {
        "bulk_id": job.id,
        "position": position,
        "state": state,
        "total": len(job.badcase_ids),
        "done": job.done,
        "touched": len(job.changed),
        "unchanged": job.unchanged,
        "refused": job.refused,
    }
