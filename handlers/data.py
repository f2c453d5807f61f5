"""What follows from what happens to documents."""

from __future__ import annotations

from mlife.core.events import Recorded
from mlife.core.handler import Do, handler
from mlife.data.commands import credit_request
from mlife.data.events import DocumentGrouped, DocumentImported
from mlife.training.commands import draft_task


@handler("data.credit_request", on=DocumentImported)
def credit_the_request(fact: Recorded[DocumentImported], do: Do) -> None:
    """A document that answers a collection request is counted for it. Safe to repeat: a document counts once."""
    e = fact.event
    if e.request_id is not None:
        do(credit_request, request_id=e.request_id, document_id=e.document_id, rows=e.rows, by_class=e.by_class)


@handler("training.draft_task", on=DocumentGrouped)
def draft_the_task(fact: Recorded[DocumentGrouped], do: Do) -> None:
    """The Task ID that grouping minted becomes a draft task. Safe to repeat: a Task ID is drafted once."""
    e = fact.event
    do(
        draft_task,
        task_id=e.task_id,
        kind="testing" if e.purpose == "testing" else "training",
        group_ids=(e.group_id,),
        name=e.name,
        system=e.system,
        function=e.function,
        iteration_id=e.iteration_id,
    )
