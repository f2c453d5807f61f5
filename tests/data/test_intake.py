"""Files, documents and groups come in whole, once, and judged item by item."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlife.core.errors import Invalid, NotFound, Refused
from mlife.data import views
from mlife.data.commands import remove_rows, request_collection
from mlife.data.events import CollectionRequested, DocumentImported, DocumentRowsAdded, FileStored
from mlife.data.formats import Form
from mlife.data.intake import DataIntake, Selection, local_path
from mlife.runtime import Home
from tests.data.conftest import drain_projections, picture, row


def types_in(home: Home) -> list[str]:
    return [r.draft.type for r in home.ports.store.read()]


def ndjson(*rows: dict[str, Any]) -> io.BytesIO:
    return io.BytesIO(b"".join(json.dumps(r).encode() + b"\n" for r in rows))


def take(data: DataIntake, *rows: dict[str, Any], **said: Any) -> Any:
    return data.import_document(ndjson(*rows), "ndjson", **{"name": "field", **said})


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_is_stored_with_all_below_it_and_twice_changes_nothing(
    home: Home, data: DataIntake, tmp_path: Path
) -> None:
    (tmp_path / "p/deep").mkdir(parents=True)
    (tmp_path / "p/a.png").write_bytes(picture(1))
    (tmp_path / "p/deep/b.png").write_bytes(picture(2))
    (tmp_path / "p/deep/copy.png").write_bytes(picture(1))
    (tmp_path / "p/.hidden").write_bytes(b"x")

    first = data.put_many([tmp_path / "p"])
    again = data.put_many([tmp_path / "p"])

    assert (first.new, first.known) == (2, 1)
    assert [f.name for f in first.files] == ["a.png", "deep/b.png", "deep/copy.png"]
    assert (again.new, again.known) == (0, 3)
    assert types_in(home) == [FileStored.declared.type] * 2
    assert {f.media_type for f in first.files} == {"image/png"}


def test_the_bytes_are_in_the_store_before_the_event_is(home: Home, data: DataIntake) -> None:
    append = home.ports.store.append
    seen: list[bool] = []

    class Watching:
        def __getattr__(self, name: str) -> Any:
            return getattr(home.ports.store, name)

        def append(self, asked: Any) -> Any:
            seen.extend(home.ports.blobs.has(d.key) for d in asked.drafts)
            return append(asked)

    import dataclasses

    DataIntake(dataclasses.replace(home.ports, store=Watching()), home.do).put(picture(1))

    assert seen == [True]


def test_one_unreadable_file_is_refused_and_the_others_are_stored(data: DataIntake, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_bytes(b"hello")
    told = data.put_many([tmp_path / "good.txt", tmp_path / "absent.txt"])

    assert told.new == 1
    assert [(r.line, r.field) for r in told.refused] == [(2, "absent.txt")]


def test_a_file_above_the_limit_is_refused(data: DataIntake) -> None:
    with pytest.raises(Invalid, match="more than 3 bytes"):
        data.put(b"four", limit=3)


def test_a_link_leads_to_the_local_bytes(home: Home, data: DataIntake) -> None:
    put = data.put(b"hello", name="h.txt")

    path = local_path(home.ports, f"sha256:{put.sha256}")

    assert path is not None
    assert path.read_bytes() == b"hello"
    assert local_path(home.ports, "sha256:" + "0" * 64) is None
    assert local_path(home.ports, "../../etc/passwd") is None


# ── documents ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", list(Form))
def test_what_is_imported_comes_out_again_in_every_form(data: DataIntake, form: Form) -> None:
    boxes = {"type": "boxes", "boxes": [{"label": "mask", "x": 1, "y": 2.5, "width": 3, "height": 4}]}
    rows = [
        row(picture(1), lux=0.5, ok=True),
        row(picture(2), None, place="=1+1"),
        {**row(picture(3)), "annotation": boxes},
    ]
    document_id = take(data, *rows).document_id
    drain_of(data)

    out = io.BytesIO(b"".join(data.export_document(document_id, form)))
    again = data.import_document(out, form, name="again").document_id
    drain_of(data)

    assert list(data.export_document(again, "ndjson")) == list(data.export_document(document_id, "ndjson"))


def drain_of(data: DataIntake) -> None:
    data._documents._see(0)


def test_bad_rows_are_reported_and_good_ones_kept_in_one_append(home: Home, data: DataIntake) -> None:
    told = take(data, row(b"a"), {"path": "../up.png", "md5": "0" * 32, "annotation": "1"}, {"path": "x"}, row(b"b"))

    assert told.rows == 2
    assert [(r.line, r.field) for r in told.refused] == [(2, "path"), (3, "md5")]
    assert types_in(home) == [DocumentImported.declared.type, DocumentRowsAdded.declared.type]


def test_a_document_without_a_good_row_leaves_nothing_behind(home: Home, data: DataIntake) -> None:
    with pytest.raises(Invalid, match="no row of field can be taken") as refused:
        take(data, {"path": "x"}, {"md5": "y"})

    assert len(refused.value.refusals) == 2
    assert home.ports.store.head() == 0


def test_sending_a_document_again_changes_nothing(home: Home, data: DataIntake) -> None:
    first = take(data, row(b"a"), row(b"b"))
    head = home.ports.store.head()

    again = take(data, row(b"a"), row(b"b"))

    assert (again.document_id, again.known, again.position) == (first.document_id, True, first.position - 1)
    assert home.ports.store.head() == head


def test_a_long_document_is_cut_into_events_of_a_thousand_rows(home: Home, data: DataIntake) -> None:
    told = take(data, *({"path": f"{n}.png", "md5": f"{n:032x}", "annotation": "1"} for n in range(2_345)))

    events = [r.event for r in home.ports.store.read_stream(f"document/{told.document_id}")]
    assert [(e.first, len(e.rows)) for e in events if isinstance(e, DocumentRowsAdded)] == [
        (1, 1_000),
        (1_001, 1_000),
        (2_001, 345),
    ]
    for recorded in home.ports.store.read():
        assert hashlib.sha256(recorded.draft.data).digest() == recorded.draft.digest


def test_rows_whose_bytes_lie_in_a_folder_are_stored_first(home: Home, data: DataIntake, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    told = take(data, row(picture(1), path="a.png"), row(picture(2), path="b.png"), files=tmp_path)

    assert (told.files, told.missing) == (1, 1)
    assert types_in(home)[0] == FileStored.declared.type
    drain_projections(home)
    with home.ports.views.read() as read:
        first, second = (views.row(read, told.document_id, n) for n in (1, 2))
    assert first is not None
    assert second is not None
    assert (first.stored, first.sha256, first.size) == (True, hashlib.sha256(picture(1)).hexdigest(), len(picture(1)))
    assert (second.stored, second.sha256) == (False, None)


@pytest.mark.parametrize("known_before", [True, False])
def test_a_wrong_md5_is_refused_with_the_right_one(data: DataIntake, tmp_path: Path, *, known_before: bool) -> None:
    content = picture(1)
    wrong = {**row(content, path="a.png"), "md5": "0" * 32, "sha256": hashlib.sha256(content).hexdigest()}
    if known_before:
        data.put(content)
    else:
        (tmp_path / "a.png").write_bytes(content)

    told = take(data, wrong, row(b"other"), files=None if known_before else tmp_path)

    (refusal,) = told.refused
    assert (refusal.field, refusal.line) == ("md5", 1)
    assert hashlib.md5(content, usedforsecurity=False).hexdigest() in refusal.expected


def test_a_link_out_of_the_folder_is_refused(data: DataIntake, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics/a.png").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(Invalid) as refused:
        take(data, row(b"secret", path="a.png"), files=tmp_path / "pics")

    assert "leads out of the folder" in refused.value.refusals[0].problem


def test_a_row_whose_path_can_t_be_followed_costs_that_row_alone(data: DataIntake, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_bytes(b"good")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe")
    paths = ["loop", "x" * 300, "folder.png", "pipe", "good.txt/below"]

    told = take(data, *(row(b"", path=p) for p in paths), row(b"good", path="good.txt"), files=tmp_path)

    assert [(r.line, r.field) for r in told.refused] == [(n, "path") for n in range(1, 5)]
    assert [r.problem.partition(":")[0] for r in told.refused] == ["can't be followed"] * 2 + ["is no file"] * 2
    assert (told.rows, told.missing, told.files) == (2, 1, 1)


def test_a_file_whose_name_is_no_utf8_is_stored_with_the_others(data: DataIntake, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/good.txt").write_bytes(b"good")
    Path(os.fsdecode(bytes(tmp_path) + b"/p/bad\xff.txt")).write_bytes(b"bad")

    told = data.put_many([tmp_path / "p"])

    assert (told.new, told.refused) == (2, [])
    assert sorted(f.name for f in told.files) == ["bad?.txt", "good.txt"]


def test_rows_are_appended_to_a_document_and_repeats_are_refused(home: Home, data: DataIntake) -> None:
    document_id = take(data, row(b"a"), row(b"b")).document_id

    told = take(data, row(b"b"), row(b"c"), into=document_id)

    assert told.rows == 1
    assert told.refused[0].problem == f"is row 2 of {document_id} already (same MD5 and path)"
    drain_projections(home)
    with home.ports.views.read() as read:
        head = views.document(read, document_id)
    assert head is not None
    assert (head.rows, head.next_number) == (3, 4)


def test_appending_to_a_document_that_is_not_there_is_refused(data: DataIntake) -> None:
    with pytest.raises(NotFound, match="doc-nowhere"):
        take(data, row(b"a"), into="doc-nowhere")


def test_a_row_that_was_removed_can_come_again(home: Home, data: DataIntake) -> None:
    document_id = take(data, row(b"a"), row(b"b")).document_id
    home.do(remove_rows, document_id=document_id, numbers=[1], reason="blurred")

    assert take(data, row(b"a"), row(b"b"), into=document_id).rows == 1


def test_a_document_answers_its_request(home: Home, data: DataIntake, settle: Callable[[], int]) -> None:
    asked = home.do(request_collection, system="s", function="f", what="nines", wanted={"9": 3, "4": 1})
    request_id = asked.first(CollectionRequested).request_id

    take(data, row(b"a"), row(b"b"), row(b"c", "7"), request_id=request_id)
    settle()

    with home.ports.views.read() as read:
        found = views.request(read, request_id)
    assert found is not None
    assert {c.label: (c.wanted, c.received) for c in found.classes} == {"4": (1, 0), "7": (0, 1), "9": (3, 2)}
    assert (found.useful, found.still_wanted) == (2, {"9": 1, "4": 1})


def test_forty_thousand_rows_need_little_memory(home: Home, data: DataIntake, tmp_path: Path) -> None:
    long = tmp_path / "long.csv"
    with long.open("w") as out:
        out.write("path,md5,annotation\n")
        for n in range(40_000):
            out.write(f"{n}.png,{'bad' if n == 20_000 else f'{n:032x}'},{n % 10}\n")
    import tracemalloc

    tracemalloc.start()
    with long.open("rb") as source:
        told = data.import_document(source, "csv", name="long")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (told.rows, told.refused_count) == (39_999, 1)
    assert told.refused[0].line == 20_002
    assert peak < 16 << 20


# ── groups ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def digits(data: DataIntake) -> str:
    """A document of 60 stored pictures, 20 of each of three classes."""
    data.put_named((picture(n), f"{n}.png") for n in range(60))
    return str(take(data, *(row(picture(n), str(n % 3), lux=n) for n in range(60))).document_id)


def rows_of(home: Home, group_id: str) -> list[views.GroupRow]:
    drain_projections(home)
    with home.ports.views.read() as read:
        return list(views.group_rows(read, group_id))


def test_a_query_selects_what_is_frozen(home: Home, data: DataIntake, digits: str) -> None:
    made = data.group(Selection([digits], query="class:1 lux>=30"), name="g", purpose="training").group

    frozen = rows_of(home, made.group_id)
    assert [r.fields["lux"] for r in frozen] == [n for n in range(30, 60) if n % 3 == 1]
    assert all(r.sha256 and r.label == "1" for r in frozen)
    assert made.documents == {digits: 2}


def test_parts_of_one_split_never_share_a_file_and_are_the_same_each_time(
    home: Home, data: DataIntake, digits: str
) -> None:
    def part(low: float, high: float) -> set[str]:
        made = data.group(Selection([digits], part=(low, high), seed=7), name="g", purpose="training")
        return {r.sha256 for r in rows_of(home, made.group.group_id)}

    train, rest, again = part(0, 0.7), part(0.7, 1), part(0, 0.7)

    assert train == again
    assert not train & rest
    assert len(train | rest) == 60
    assert 30 <= len(train) <= 52


def test_frames_of_one_sequence_fall_into_one_part(home: Home, data: DataIntake) -> None:
    data.put_named((picture(n), f"{n}.png") for n in range(60))
    document_id = take(data, *(row(picture(n), sequence=f"video {n % 6}") for n in range(60))).document_id

    made = data.group(Selection([document_id], part=(0, 0.5), seed=3), name="g", purpose="training")

    per_video: dict[str, int] = {}
    for r in rows_of(home, made.group.group_id):
        per_video[r.body["sequence"]] = per_video.get(r.body["sequence"], 0) + 1
    assert per_video
    assert set(per_video.values()) == {10}


def test_at_most_so_many_of_each_class_are_drawn(data: DataIntake, digits: str) -> None:
    made = data.group(Selection([digits], per_class=4, seed=1), name="g", purpose="training").group

    assert made.by_class == {"0": 4, "1": 4, "2": 4}
    assert made.sample == "4 of each class, seed 1"


def test_rows_without_bytes_are_refused_with_the_way_out(data: DataIntake) -> None:
    document_id = take(data, row(b"never stored")).document_id

    with pytest.raises(Refused, match="1 of 1 rows have no bytes in the store"):
        data.group(Selection([document_id]), name="g", purpose="training")


def test_rows_without_annotation_do_not_test(data: DataIntake) -> None:
    data.put(b"x")
    document_id = take(data, row(b"x", None)).document_id

    with pytest.raises(Refused, match="no annotation to test against"):
        data.group(Selection([document_id]), name="g", purpose="testing")


def test_the_same_key_makes_the_group_once(data: DataIntake, digits: str) -> None:
    first = data.group(Selection([digits]), name="g", purpose="training", key="k")
    again = data.group(Selection([digits]), name="g", purpose="training", key="k")

    assert (again.group.group_id, again.known) == (first.group.group_id, True)


@pytest.mark.parametrize(
    ("selection", "why"),
    [
        (Selection([]), "no document"),
        (Selection(["doc-nowhere"]), "doc-nowhere"),
        (Selection(["a", "b"], numbers=[1]), "belong to one document"),
        (Selection(["a"], part=(0.5, 0.5)), "no part"),
        (Selection(["a"], per_class=0), "per_class is 0"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(data: DataIntake, selection: Selection, why: str) -> None:
    with pytest.raises((Invalid, NotFound), match=why):
        data.group(selection, name="g", purpose="training")
