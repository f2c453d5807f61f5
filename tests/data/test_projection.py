"""The tables of data: delivered twice, rebuilt, removed from, and asked."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from mlife.core import rebuild
from mlife.core.command import Given
from mlife.core.events import Event
from mlife.core.projection import Reader, projections
from mlife.data import views
from mlife.data.commands import close_request, remove_rows, request_collection
from mlife.data.events import CollectionRequested, DocumentImported, DocumentRowsAdded, FileStored
from mlife.data.intake import DataIntake, Selection
from mlife.runtime import Home
from tests.data.conftest import drain_projections, picture, row

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def record(home: Home, *events: Event) -> None:
    def say(_: Given) -> list[Event]:
        return list(events)

    home.do(say)


@pytest.fixture
def filled(home: Home, data: DataIntake, settle: Callable[[], int]) -> str:
    """Something of everything; the id of the document with 40 rows."""
    data.put_named((picture(n), f"{n}.png") for n in range(30))
    boxes = [{"label": name, "x": 0, "y": 0, "width": 1, "height": 1} for name in ("mask", "face", "mask")]
    rows = [
        row(picture(n), ["9", "4", None][n % 3], lux=n, place_="t", captured_at=f"2026-10-{n % 28 + 1:02d}")
        for n in range(39)
    ]
    boxed = {**row(picture(39)), "annotation": {"type": "boxes", "boxes": boxes}}
    asked = home.do(request_collection, system="s", function="f", what="nines", wanted={"9": 3})
    request_id = asked.first(CollectionRequested).request_id
    document_id = data.import_rows([*rows, boxed], name="field", request_id=request_id).document_id
    data.import_rows([row(picture(1), path="held.png")], name="held", purpose="testing", system="s", function="f")
    data.group(Selection([document_id], query="class:9 lux<30"), name="nines", purpose="training")
    home.do(remove_rows, document_id=document_id, numbers=[40, 2], reason="blurred")
    home.do(close_request, request_id=request_id)
    settle()
    return document_id


@pytest.fixture
def read(home: Home, filled: str) -> Iterator[Reader]:
    with home.ports.views.read() as opened:
        yield opened


def test_a_replay_gives_the_same_rows_whatever_the_runs(home: Home, filled: str) -> None:
    assert rebuild.verify(home.ports, projections["data"]) == []


def test_events_delivered_in_one_run_or_one_by_one_fold_the_same(home: Home, filled: str) -> None:
    projection = projections["data"]
    views_ = home.ports.views
    one_by_one = views_.new_generation(projection)
    for recorded in home.ports.store.read():
        mine = [recorded] if projection.takes(recorded.draft.type) else []
        one_by_one = views_.apply(projection, one_by_one, mine, recorded.position)
    at_once = next(s for s in views_.standings() if s.name == "data" and s.state == "live")

    with views_.comparing(projection, at_once, one_by_one) as differences:
        assert differences() == []
    views_.discard(one_by_one)


def test_removed_rows_are_gone_from_counts_lists_and_classes(read: Reader, filled: str) -> None:
    head = views.document(read, filled)
    assert head is not None
    statistics = views.analyse(read, views.rows_condition([head], "", NOW))

    assert (head.rows, head.next_number) == (38, 41)
    assert statistics.rows == 38
    assert views.row(read, filled, 2) is None
    assert "mask" not in statistics.classes


def test_statistics_count_exactly_what_is_selected(read: Reader, filled: str) -> None:
    head = views.document(read, filled)
    assert head is not None
    statistics = views.analyse(read, views.rows_condition([head], "lux<30 -annotation:any", NOW))

    assert (statistics.rows, statistics.unlabelled, statistics.missing, statistics.files) == (10, 10, 0, 10)
    assert statistics.classes == {}
    assert statistics.types == {"png": 10}
    assert sum(statistics.sizes.values()) == 10


def test_a_row_with_several_classes_is_found_by_each(home: Home, data: DataIntake) -> None:
    both = {**row(b"x"), "annotation": {"type": "labels", "labels": ["night", "rain"]}}
    document_id = data.import_rows([both, row(b"y", "night")], name="l").document_id
    drain_projections(home)
    with home.ports.views.read() as read:
        head = views.document(read, document_id)
        assert head is not None
        found = {q: views.row_page(read, [head], q, now=NOW).total for q in ("class:night", "class:rain", "class:day")}
        statistics = views.analyse(read, views.rows_condition([head], "", NOW))

    assert found == {"class:night": 2, "class:rain": 1, "class:day": 0}
    assert statistics.classes == {"night": 2, "rain": 1}


@pytest.mark.parametrize(
    ("q", "count"),
    [
        ("class:9", 13),
        ("-class:9", 25),
        ("missing:yes", 9),
        ("missing:no lux>=28", 2),
        ("lux:5..7", 3),
        ("captured>=2026-10-27", 2),
        ("use:training", 10),
        ("-use:training class:9", 3),
        ("path:*.png", None),
        ("png", 38),
        ("number<=3", 2),
        ("type:png place:tunnel", 0),
    ],
)
def test_rows_are_found_by_the_query_language(read: Reader, filled: str, q: str, count: int | None) -> None:
    head = views.document(read, filled)
    assert head is not None
    if count is None:
        from mlife.core.query import QueryError

        with pytest.raises(QueryError):
            views.row_page(read, [head], q, now=NOW)
    else:
        assert views.row_page(read, [head], q, now=NOW).total == count


def test_pages_of_rows_follow_each_other_without_a_gap(read: Reader, filled: str) -> None:
    head = views.document(read, filled)
    assert head is not None
    numbers: list[int] = []
    after = None
    while True:
        page = views.row_page(read, [head], "", now=NOW, limit=7, after=after)
        numbers += [r.number for r in page.items]
        after = page.after
        if after is None:
            break

    assert numbers == [n for n in range(1, 40) if n != 2]


def test_documents_are_found_by_what_is_in_them(read: Reader, filled: str) -> None:
    def found(q: str) -> list[str]:
        return sorted(d.name for d in views.document_page(read, q, now=NOW).items)

    assert found("class:4") == ["field"]
    assert found("purpose:testing") == ["held"]
    assert found("rows>=10") == ["field"]
    assert found("fiel") == ["field"]
    assert found("type:png") == ["field", "held"]


def test_a_file_says_where_it_is_used(read: Reader, filled: str) -> None:
    group = views.group_page(read, "", now=NOW).items[0]
    first = next(views.group_rows(read, group.group_id))

    uses = {(u.kind, u.used_in) for u in views.uses_of_file(read, first.sha256)}

    assert uses == {("row", filled), ("training", group.group_id)}


def test_a_document_knows_its_groups(read: Reader, filled: str) -> None:
    (group,) = views.groups_of_document(read, filled)

    assert (group.name, group.rows, group.sources) == ("nines", 10, {filled: 2})
    assert views.groups_of_document(read, "doc-other") == []


def test_a_closed_request_keeps_what_came(read: Reader, filled: str) -> None:
    (request,) = views.requests(read, state="complete")

    assert (request.received, request.wanted, request.share) == (40, 3, 1.0)
    assert request.answers == [(filled, "field", 40)]
    assert views.open_requests(read) == 0


def test_bytes_that_come_later_make_a_row_whole(home: Home, data: DataIntake) -> None:
    document_id = data.import_rows([row(picture(200))], name="later").document_id
    data.put(picture(200))
    drain_projections(home)
    with home.ports.views.read() as read:
        found = views.row(read, document_id, 1)

    assert found is not None
    assert (found.stored, found.media_type, found.has_picture) == (True, "image/png", True)


def test_documents_interleaved_in_one_run_keep_their_own_counts(home: Home) -> None:
    def added(document_id: str, first: int, *paths: str) -> DocumentRowsAdded:
        rows: tuple[dict[str, Any], ...] = tuple({"path": p, "md5": f"{p:0>32}", "annotation": "1"} for p in paths)
        return DocumentRowsAdded(document_id=document_id, first=first, rows=rows)

    record(
        home,
        DocumentImported(document_id="doc-a", name="a", rows=2),
        added("doc-a", 1, "1"),
        DocumentImported(document_id="doc-b", name="b", rows=1, purpose="testing"),
        added("doc-b", 1, "2", "3"),
        FileStored(sha256="f" * 64, md5="e" * 32, size=1, media_type="text/plain"),
        added("doc-a", 2, "4"),
    )
    drain_projections(home)
    with home.ports.views.read() as read:
        heads = views.document_list(read, ["doc-b", "doc-a"])

    assert [(d.document_id, d.rows, d.next_number, d.version) for d in heads] == [
        ("doc-b", 2, 3, 2),
        ("doc-a", 2, 3, 3),
    ]
