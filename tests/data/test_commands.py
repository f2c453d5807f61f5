"""What may happen to documents, groups and requests; decided without a store."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mlife.core.command import Given, given_for_test
from mlife.core.errors import NotFound, Refused
from mlife.core.events import Event
from mlife.core.names import test_document_id
from mlife.data.commands import (
    append_test_rows,
    close_request,
    count_classes,
    credit_request,
    group_items,
    import_document,
    remove_rows,
    request_collection,
    seal,
)
from mlife.data.events import (
    CollectionClosed,
    CollectionRequested,
    DocumentGrouped,
    DocumentImported,
    DocumentRowsAdded,
    DocumentRowsRemoved,
    GroupRowsFrozen,
)
from mlife.data.leakage import Use

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HEAD = DocumentImported(document_id="doc-1", name="field", rows=2)
REQUEST = CollectionRequested(
    request_id="req-1", system="dms", function="digit", what="nines", wanted={"9": 40}, iteration_id="itr-1"
)


def given(*events: Event) -> Given:
    return given_for_test(events, now=NOW)


def row(n: int, label: str | None = "9", **more: Any) -> dict[str, Any]:
    return {"path": f"{n}.png", "md5": f"{n:032x}", "sha256": f"{n:064x}", "annotation": label, **more}


def added(*rows: dict[str, Any], first: int = 1) -> DocumentRowsAdded:
    return DocumentRowsAdded(document_id="doc-1", first=first, rows=rows)


def grouped(rows: list[dict[str, Any]], purpose: str = "training", uses: list[Use] | None = None, **more: Any) -> Any:
    return group_items(
        given(), name="g", purpose=purpose, documents={"doc-1": 2}, rows=rows, uses=uses or [], checked_at=7, **more
    )


def test_an_import_belongs_to_the_iteration_of_its_request() -> None:
    (made,) = import_document(
        given(REQUEST), document_id="doc-1", name="x", rows=1, by_class={"9": 1}, columns={}, request_id="req-1"
    )

    assert isinstance(made, DocumentImported)
    assert made.iteration_id == "itr-1"


def test_an_import_is_for_the_function_that_asked_unless_it_says_another() -> None:
    it = {"document_id": "doc-1", "name": "x", "rows": 1, "by_class": {"9": 1}, "columns": {}, "request_id": "req-1"}
    (made,) = import_document(given(REQUEST), **it)
    (other,) = import_document(given(REQUEST), **it, system="dms", function="sign")
    assert isinstance(made, DocumentImported)
    assert isinstance(other, DocumentImported)
    assert (made.system, made.function) == ("dms", "digit")
    assert (other.system, other.function) == ("dms", "sign")


def test_a_taken_document_id_is_refused_with_the_way_to_append() -> None:
    with pytest.raises(Refused, match="--into doc-1"):
        import_document(given(HEAD), document_id="doc-1", name="x", rows=1, by_class={}, columns={})


@pytest.mark.parametrize("events", [(), (REQUEST, CollectionClosed(request_id="req-1", complete=True))])
def test_a_document_answers_only_an_open_request(events: tuple[Event, ...]) -> None:
    with pytest.raises((Refused, NotFound), match="req-1"):
        import_document(
            given(*events), document_id="doc-1", name="x", rows=1, by_class={}, columns={}, request_id="req-1"
        )


def test_the_first_pinned_rows_make_the_test_document() -> None:
    document_id = test_document_id("dms", "digit")

    head, rows = append_test_rows(
        given(), document_id=document_id, system="dms", function="digit", badcase_id="bc-1", rows=[row(1), row(2)]
    )

    assert isinstance(head, DocumentImported)
    assert isinstance(rows, DocumentRowsAdded)
    assert (head.purpose, head.rows, head.by_class) == ("testing", 2, {"9": 2})
    assert [r["badcase_id"] for r in rows.rows] == ["bc-1", "bc-1"]
    assert document_id.startswith("doc-test-")
    assert document_id != test_document_id("dms", "digi/t")


def test_a_file_is_pinned_once_for_a_badcase_but_may_stand_for_two() -> None:
    there = added({**row(1), "badcase_id": "bc-1"})

    def pin(badcase_id: str) -> list[Event]:
        return append_test_rows(
            given(HEAD, there), document_id="doc-1", system="s", function="f", badcase_id=badcase_id, rows=[row(1)]
        )

    assert pin("bc-1") == []
    (new,) = pin("bc-2")
    assert isinstance(new, DocumentRowsAdded)
    assert new.first == 2


def test_rows_that_a_document_has_not_cannot_be_removed() -> None:
    with pytest.raises(Refused, match="no row 3"):
        remove_rows(given(HEAD, added(row(1), row(2))), document_id="doc-1", numbers=[1, 3], reason="x")


def test_a_row_is_removed_once() -> None:
    gone = DocumentRowsRemoved(document_id="doc-1", numbers=(1,), reason="blurred")
    history = (HEAD, added(row(1), row(2)), gone)

    assert remove_rows(given(*history), document_id="doc-1", numbers=[1], reason="x") == []
    (left,) = remove_rows(given(*history), document_id="doc-1", numbers=[2, 1, 2], reason="x")
    assert isinstance(left, DocumentRowsRemoved)
    assert left.numbers == (2,)


def test_a_group_freezes_rows_in_chunks_before_its_seal() -> None:
    *frozen, head = grouped([row(n, str(n % 3)) for n in range(2_500)])

    assert isinstance(head, DocumentGrouped)
    assert [len(f.rows) for f in frozen if isinstance(f, GroupRowsFrozen)] == [1_000, 1_000, 500]
    assert head.rows == 2_500
    assert sum(head.by_class.values()) == 2_500
    assert head.digest == seal(r for f in frozen for r in f.rows)
    assert head.task_id.startswith("tsk-")


def test_a_seal_covers_order_and_content_but_not_the_order_of_columns() -> None:
    rows = [row(1), row(2)]

    assert seal(rows) == seal([dict(reversed(r.items())) for r in rows])
    assert seal(rows) != seal(rows[::-1])
    assert seal(rows) != seal([row(1), row(2, "4")])


def test_a_file_named_twice_with_the_same_annotation_is_frozen_once() -> None:
    same, other_label = {**row(1), "path": "copy.png"}, row(1, "4")

    *_, head = grouped([row(1), same, other_label])

    assert (head.rows, head.duplicates) == (2, 1)


def test_a_leak_is_refused_with_the_file_and_where_it_is_used() -> None:
    uses = [Use(row(1)["sha256"], "reported", "bc-77")]

    with pytest.raises(Refused, match=r"1 of 2 rows .* 1\.png is a reported file of bc-77"):
        grouped([row(1), row(2)], uses=uses)


def test_leaks_can_be_left_out_and_are_counted() -> None:
    uses = [Use(row(1)["sha256"], "testing", "doc-test-1")]

    *_, head = grouped([row(1), row(2)], uses=uses, without_leaks=True)

    assert (head.rows, head.left_out) == (1, 1)


def test_a_group_of_nothing_but_leaks_is_refused() -> None:
    with pytest.raises(Refused, match="no row is left"):
        grouped([row(1)], uses=[Use(row(1)["md5"], "reported", "bc-1")], without_leaks=True)


def test_a_row_with_several_classes_counts_for_each_once() -> None:
    boxes = [{"label": "mask", "x": 0, "y": 0, "width": 1, "height": 1}] * 2
    labels = {"type": "labels", "labels": ["night", "rain"]}

    assert count_classes([row(1, None), {"annotation": labels}, {"annotation": {"type": "boxes", "boxes": boxes}}]) == {
        "": 1,
        "mask": 1,
        "night": 1,
        "rain": 1,
    }


def test_a_document_is_credited_to_its_request_once() -> None:
    (received,) = credit_request(given(REQUEST), request_id="req-1", document_id="doc-1", rows=3, by_class={"9": 3})

    assert (
        credit_request(given(REQUEST, received), request_id="req-1", document_id="doc-1", rows=3, by_class={"9": 3})
        == []
    )


def test_closing_a_closed_request_does_nothing() -> None:
    (closed,) = close_request(given(REQUEST), request_id="req-1", complete=False, note="no budget")

    assert close_request(given(REQUEST, closed), request_id="req-1") == []


def test_a_request_says_who_asked_and_mints_its_id() -> None:
    (made,) = request_collection(given(), system="dms", function="digit", what="thin nines", wanted={"9": 40})

    assert isinstance(made, CollectionRequested)
    assert made.request_id.startswith("req-")
    assert made.by == "tester"
