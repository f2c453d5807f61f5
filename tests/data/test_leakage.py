"""No file trains and tests: leaks planted by every route that we know of are caught."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mlife.badcases.events import BadcasePinned, BadcaseReported
from mlife.core.command import Given
from mlife.core.errors import Refused
from mlife.core.events import Event
from mlife.data.intake import DataIntake, Grouped, Selection
from mlife.runtime import Home
from tests.data.conftest import picture, row

REPORTED, TESTED, TRAINED, CLEAN = (picture(n) for n in range(4))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def reported(content: bytes, link: dict[str, Any] | None = None) -> BadcaseReported:
    uid = sha256(content)[:32]
    return BadcaseReported(
        system="dms",
        function="digit",
        version="1",
        data=(link or {"uri": "s3://cam/1.png", "sha256": sha256(content)},),
        prediction={"type": "class", "label": "4"},
        truth={"type": "class", "label": "9"},
        observed_at=datetime(2026, 11, 24, tzinfo=UTC),
        report_id=uid,
        uid=uid,
        badcase_id="bc-1",
        fingerprint="x",
        fingerprint_version=1,
        content_sha256=uid,
    )


def record(home: Home, *events: Event) -> None:
    def say(_: Given) -> list[Event]:
        return list(events)

    home.do(say)


def group(data: DataIntake, document_id: str, purpose: str = "training", **more: Any) -> Grouped:
    return data.group(Selection([document_id]), name="g", purpose=purpose, **more)


@pytest.fixture
def past(home: Home, data: DataIntake, settle: Callable[[], int]) -> DataIntake:
    """A reported file, a row of a test document, a row that was trained on."""
    data.put_named([(REPORTED, "r.png"), (TESTED, "t.png"), (TRAINED, "old.png"), (CLEAN, "c.png")])
    record(home, reported(REPORTED))
    data.import_rows([row(TESTED)], name="held out", purpose="testing")
    group(data, data.import_rows([row(TRAINED)], name="first").document_id)
    settle()
    return data


@pytest.mark.parametrize("purpose", ["training", "validation"])
@pytest.mark.parametrize(("content", "why"), [(REPORTED, "reported file of bc-1"), (TESTED, "testing row of doc-")])
@pytest.mark.parametrize("by", ["path", "md5", "sha256"])
def test_reported_and_testing_files_stay_out_of_training(
    past: DataIntake, purpose: str, content: bytes, why: str, by: str
) -> None:
    planted = row(content, path=f"renamed/{by}.png")
    if by == "sha256":
        planted["sha256"] = sha256(content)
    document_id = past.import_rows([row(CLEAN), planted], name="collected").document_id

    with pytest.raises(Refused, match=f"1 of 2 rows .*renamed/{by}.png is a {why}"):
        group(past, document_id, purpose)


def test_a_leak_hidden_among_several_documents_is_caught(past: DataIntake) -> None:
    first = past.import_rows([row(CLEAN)], name="a").document_id
    second = past.import_rows([row(picture(9)), row(REPORTED, path="z.png")], name="b").document_id
    past.put(picture(9))

    with pytest.raises(Refused, match=r"1 of 3 rows .* z\.png"):
        past.group(Selection([first, second]), name="g", purpose="training")


def test_a_trained_file_stays_out_of_testing(past: DataIntake) -> None:
    document_id = past.import_rows([row(TRAINED, path="again.png"), row(CLEAN)], name="t").document_id

    with pytest.raises(Refused, match=r"again\.png was trained on in grp-"):
        group(past, document_id, "testing")


def test_what_is_frozen_for_testing_stays_out_of_training_even_after_its_row_is_removed(
    home: Home, past: DataIntake
) -> None:
    from mlife.data.commands import remove_rows

    document_id = past.import_rows([row(CLEAN)], name="x").document_id
    tested = group(past, document_id, "testing").group.group_id
    home.do(remove_rows, document_id=document_id, numbers=[1], reason="moved")
    other = past.import_rows([row(CLEAN, path="other.png")], name="y").document_id

    with pytest.raises(Refused, match=tested):
        group(past, other)


def test_a_row_removed_from_a_test_document_may_train_again(home: Home, past: DataIntake) -> None:
    from mlife.data.commands import remove_rows

    held_out = past.import_rows([row(CLEAN)], name="held", purpose="testing").document_id
    document_id = past.import_rows([row(CLEAN, path="other.png")], name="y").document_id
    with pytest.raises(Refused, match=held_out):
        group(past, document_id)

    home.do(remove_rows, document_id=held_out, numbers=[1], reason="not held out any more")

    assert group(past, document_id).group.rows == 1


def test_without_leaks_freezes_the_rest_and_says_how_many_were_left_out(past: DataIntake) -> None:
    rows = [row(c, path=f"{n}.png") for n, c in enumerate([REPORTED, TESTED, CLEAN])]
    document_id = past.import_rows(rows, name="mixed").document_id

    made = group(past, document_id, without_leaks=True).group

    assert (made.rows, made.left_out) == (1, 2)


def test_a_pinned_report_is_a_testing_row_and_tests(home: Home, past: DataIntake, settle: Callable[[], int]) -> None:
    pin = {"uid": "u1", "sha256": sha256(REPORTED), "annotation": {"type": "class", "label": "9"}, "must_pass": True}
    record(
        home,
        BadcasePinned(badcase_id="bc-1", system="dms", function="digit", document_id="doc-test-1", rows=(pin,)),
    )
    settle()

    with pytest.raises(Refused, match=r"1 of 1 rows .* reported file"):
        group(past, "doc-test-1")
    assert group(past, "doc-test-1", "testing").group.by_class == {"9": 1}


def test_a_report_that_links_a_stored_file_by_its_address_counts(home: Home, data: DataIntake) -> None:
    data.put(CLEAN)
    record(home, reported(CLEAN, {"uri": f"sha256:{sha256(CLEAN)}"}))

    with pytest.raises(Refused, match="reported file"):
        group(data, data.import_rows([row(CLEAN)], name="x").document_id)


def test_a_report_that_came_before_its_bytes_is_found_by_the_md5_of_a_row(home: Home, data: DataIntake) -> None:
    record(home, reported(CLEAN))
    document_id = data.import_rows([row(CLEAN)], name="x").document_id  # knows the MD5 only
    data.put(CLEAN)

    with pytest.raises(Refused, match="reported file"):
        group(data, document_id)


def test_two_files_made_to_share_an_md5_are_two_files(data: DataIntake) -> None:
    from mlife.data.leakage import Use, find_leaks

    mine = {"path": "a.png", "md5": "m" * 32, "sha256": "a" * 64}
    other = Use("m" * 32, "reported", "bc-1", sha256="b" * 64)

    assert find_leaks([mine], "training", [other]) == []
    assert len(find_leaks([{**mine, "sha256": None}], "training", [other])) == 1
