"""What follows by itself: pinned reports become test rows, answers are credited; twice is once."""

import hashlib
from collections.abc import Callable

from mlife.badcases.events import BadcasePinned
from mlife.core.command import Given
from mlife.core.events import Event
from mlife.core.handler import acting, handlers
from mlife.core.names import test_document_id
from mlife.data import views
from mlife.data.commands import request_collection
from mlife.data.events import CollectionReceived, CollectionRequested, DocumentRowsAdded
from mlife.data.intake import DataIntake
from mlife.runtime import Home
from tests.data.conftest import picture, row

SHA = hashlib.sha256(picture(1)).hexdigest()
DOCUMENT = test_document_id("dms", "digit")


def pin(home: Home, *digests: str, badcase_id: str = "bc-1") -> None:
    def say(_: Given) -> list[Event]:
        rows = tuple(
            {"uid": f"u-{d[:4]}", "sha256": d, "annotation": {"type": "class", "label": "9"}, "must_pass": False}
            for d in digests
        )
        return [BadcasePinned(badcase_id=badcase_id, system="dms", function="digit", document_id=DOCUMENT, rows=rows)]

    home.do(say)


def deliver_again(home: Home, name: str) -> None:
    """As after a crash between a handler's effect and its checkpoint."""
    for fact in home.ports.store.read():
        if handlers[name].takes(fact.draft.type):
            handlers[name].run(fact, acting(home.do, home.ports, name, fact))


def test_the_first_pin_makes_the_test_document_and_later_ones_append(
    home: Home, data: DataIntake, settle: Callable[[], int]
) -> None:
    data.put(picture(1))
    pin(home, SHA)
    settle()
    pin(home, SHA, "b" * 64)
    settle()

    with home.ports.views.read() as read:
        rows = views.test_document_rows(read, "dms", "digit")
        pinned = views.pinned(read, ["bc-1", "bc-none"])
    assert [(r.sha256, r.stored, r.label) for r in rows] == [(SHA, True, "9"), ("b" * 64, False, "9")]
    assert rows[0].md5 == hashlib.md5(picture(1), usedforsecurity=False).hexdigest()
    assert rows[0].body["report"] == f"u-{SHA[:4]}"
    assert [(p.sha256, p.annotation, p.must_pass) for p in pinned["bc-1"]] == [
        (SHA, "9", False),
        ("b" * 64, "9", False),
    ]
    assert list(pinned) == ["bc-1"]


def test_pinning_delivered_twice_appends_once(home: Home, data: DataIntake, settle: Callable[[], int]) -> None:
    pin(home, SHA)
    settle()
    deliver_again(home, "data.append_test_rows")
    settle()

    added = [r for r in home.ports.store.read() if r.draft.type == DocumentRowsAdded.declared.type]
    assert len(added) == 1
    assert added[0].draft.causation_id is not None


def test_a_file_pinned_by_two_badcases_is_evidence_of_both(home: Home, settle: Callable[[], int]) -> None:
    pin(home, SHA)
    pin(home, SHA, badcase_id="bc-2")
    settle()

    with home.ports.views.read() as read:
        found = views.pinned(read, ["bc-1", "bc-2"])
    assert {k: [p.sha256 for p in v] for k, v in found.items()} == {"bc-1": [SHA], "bc-2": [SHA]}


def test_an_answer_delivered_twice_is_credited_once(home: Home, data: DataIntake, settle: Callable[[], int]) -> None:
    asked = home.do(request_collection, system="s", function="f", what="nines", wanted={"9": 3})
    request_id = asked.first(CollectionRequested).request_id
    data.import_rows([row(b"a"), row(b"b")], name="x", request_id=request_id)
    settle()
    deliver_again(home, "data.credit_request")
    settle()

    received = [r.event for r in home.ports.store.read() if r.draft.type == CollectionReceived.declared.type]
    assert [(c.rows, c.by_class) for c in received if isinstance(c, CollectionReceived)] == [(2, {"9": 2})]


def test_a_document_that_answers_nothing_is_credited_to_nothing(
    home: Home, data: DataIntake, settle: Callable[[], int]
) -> None:
    data.import_rows([row(b"a")], name="x")
    settle()

    assert CollectionReceived.declared.type not in [r.draft.type for r in home.ports.store.read()]
