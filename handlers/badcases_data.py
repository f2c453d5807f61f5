"""What follows for data from what happens to badcases."""

from __future__ import annotations

from typing import Any

from mlife.badcases.events import BadcasePinned, CauseRemedyChosen
from mlife.badcases.views.turns import cause, iterations
from mlife.core.errors import there_is
from mlife.core.events import Recorded
from mlife.core.handler import Do, handler
from mlife.data.commands import append_test_rows, request_collection
from mlife.data.views import FileView, files_by_sha256

SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif", "image/bmp": ".bmp"}


@handler("data.append_test_rows", on=BadcasePinned)
def append_the_pinned(fact: Recorded[BadcasePinned], do: Do) -> None:
    """
    Pinned reports become rows of their function's test document.

    Safe to repeat: a badcase has a file there once. A file whose bytes are not here yet is a row all the same, without
    MD5; it is found by its SHA-256 when they come.
    """
    e = fact.event
    with do.read() as read:
        stored = files_by_sha256(read, [str(row["sha256"]) for row in e.rows])
    do(
        append_test_rows,
        document_id=e.document_id,
        system=e.system,
        function=e.function,
        badcase_id=e.badcase_id,
        rows=[_row(row, stored.get(row["sha256"])) for row in e.rows],
    )


def _row(pinned: dict[str, Any], stored: FileView | None) -> dict[str, Any]:
    suffix = SUFFIXES.get(stored.media_type, "") if stored else ""
    row: dict[str, Any] = {
        "path": f"reports/{pinned['sha256'][:16]}{suffix}",
        "md5": stored.md5 if stored else "",
        "annotation": _plain(pinned["annotation"]),
        "sha256": pinned["sha256"],
    }
    if stored:
        row |= {"size": stored.size, "media_type": stored.media_type}
    return row | {"report": pinned.get("uid"), "must_pass": bool(pinned.get("must_pass"))}


def _plain(annotation: Any) -> Any:
    """A class without more to say is written as its label, as people write documents."""
    if isinstance(annotation, dict) and annotation.keys() == {"type", "label"} and annotation["type"] == "class":
        return annotation["label"]
    return annotation


@handler("data.request_collection", on=CauseRemedyChosen)
def ask_for_data(fact: Recorded[CauseRemedyChosen], do: Do) -> None:
    """
    A remedy that says what to collect, and how much, is a collection request.

    Safe to repeat: a choice makes one request. It belongs to the youngest open iteration of the cause, if there is one.
    """
    e = fact.event
    if e.remedy != "collect" or not e.wanted:
        return
    with do.read() as read:
        about = there_is(cause(read, e.cause_id), "cause", e.cause_id)
        turns = [i.iteration_id for i in iterations(read, only_open=True) if i.cause_id == e.cause_id]
    do(
        request_collection,
        system=about.system,
        function=about.function,
        what=e.collect or about.title,
        wanted=e.wanted,
        cause_id=e.cause_id,
        iteration_id=turns[0] if turns else None,
    )
