"""What a selection of rows is made of, and how far two are apart."""

from __future__ import annotations

import random
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlife.data.analysis import Duplicate, analyse, balance, classes_of, compare
from mlife.data.formats import Row


def row(number: int, annotation=None, **values) -> Row:
    return Row(values.pop("path", f"{number}.PNG"), f"{number:032x}", annotation, **values)


def test_rows_are_counted_by_class_type_size_and_place():
    rows = [
        row(1, "sad", size=1023, media_type="image/png", collection_place="tunnel", captured_at="2026-11-24T03:00:00Z"),
        row(2, "sad", size=1024, file_type="PNG", collection_place="tunnel", captured_at="2026-10-01T00:00:00Z"),
        row(3, {"type": "class", "label": "happy"}, size=200 << 20, path="s3://cam/x.jpg?v=1.2", labelled_by="ana"),
        row(4, None, prelabel="sad", path="folder.d/noending", extra={"width": 28, "height": 28}),
        row(5, None, path=".hidden", extra={"width": 33, "height": 8}),
    ]

    found = analyse(iter(rows))

    assert found.rows == 5
    assert found.classes == {"sad": 2, "happy": 1}
    assert found.annotation_types == {"": 2, "label": 2, "class": 1}
    assert found.file_types == {"": 2, "png": 2, "jpg": 1}
    assert found.media_types == {"": 4, "image/png": 1}
    assert found.places == {"": 3, "tunnel": 2}
    assert list(found.file_sizes.items()) == [("under 1 KiB", 1), ("1 to 10 KiB", 1), ("100 MiB and more", 1), ("", 2)]
    assert list(found.image_sizes.items()) == [("up to 32 px", 1), ("33 to 128 px", 1), ("", 3)]
    assert list(found.months.items()) == [("", 3), ("2026-10", 1), ("2026-11", 1)]
    assert found.labellers == {"": 4, "ana": 1}
    assert (found.unlabelled, found.prelabelled) == (2, 1)
    assert found.bytes == 1023 + 1024 + (200 << 20)
    assert found.balance == pytest.approx((2 / 3 * log(3 / 2) + 1 / 3 * log(3)) / log(2))


def test_objects_are_counted_apart_from_the_rows_that_have_them():
    box = {"x": 0, "y": 0, "width": 1, "height": 1}
    boxes = {"type": "boxes", "boxes": [{**box, "label": "mask"}, {**box, "label": "mask"}, {**box, "label": "face"}]}

    found = analyse(
        [row(1, boxes), row(2, {"type": "labels", "labels": ["mask", "night"]}), row(3, {"type": "boxes", "boxes": []})]
    )

    assert found.classes == {"mask": 2, "face": 1, "night": 1}
    assert found.objects == {"mask": 3, "face": 1, "night": 1}


@pytest.mark.parametrize(
    ("annotation", "classes"),
    [
        (None, []),
        ("sad", ["sad"]),
        ({"type": "scalar", "value": 1}, []),
        ({"type": "vector", "values": [1]}, []),
        ({"type": "text", "text": "a"}, []),
        ({"type": "points", "points": [{"label": "eye", "x": 1, "y": 2}]}, ["eye"]),
        ({"type": "segments", "segments": [{"label": "cough", "start": 1, "end": 2}]}, ["cough"]),
        ({"type": "polygons", "polygons": [{"label": "mask", "points": [[0, 0], [1, 0], [1, 1]]}]}, ["mask"]),
    ],
)
def test_every_type_of_annotation_tells_its_classes(annotation, classes):
    assert classes_of(annotation) == classes


def test_the_same_bytes_under_another_name_are_a_duplicate():
    same = "a" * 64
    rows = [row(1, sha256=same), row(2), row(3, sha256=same), Row("x.png", f"{2:032x}", None)]

    found = analyse(rows)

    assert found.duplicates == 2
    assert found.first_duplicates == (Duplicate("3.PNG", 3, 1), Duplicate("x.png", 4, 2))


def test_all_duplicates_are_counted_and_twenty_named():
    found = analyse([Row(f"{i}.png", "a" * 32, "x") for i in range(5_000)])

    assert found.duplicates == 4_999
    assert len(found.first_duplicates) == 20


def test_no_rows_have_no_balance():
    found = analyse([])

    assert (found.rows, found.classes, found.balance) == (0, {}, None)


def test_balance_is_one_for_equal_classes_and_falls_as_one_takes_over():
    assert balance({"a": 5, "b": 5, "c": 5}) == pytest.approx(1)
    assert balance({"a": 999, "b": 1}) == pytest.approx(0.0114, abs=1e-4)
    assert balance({"a": 5, "b": 0}) is None


def labelled(**counts: int) -> list[Row]:
    return [row(i, label) for label, count in counts.items() for i in range(count)]


def test_the_distance_is_the_share_of_rows_that_would_have_to_change():
    found = compare(labelled(a=50, b=50), labelled(a=30, b=50, c=20))

    assert found.distance == pytest.approx(0.2)
    assert [(s.name, s.count_a, s.count_b) for s in found.classes] == [("a", 50, 30), ("c", 0, 20), ("b", 50, 50)]
    assert found.classes[0].share_a == 0.5


def test_selections_with_nothing_in_common_are_at_distance_one():
    assert compare(labelled(a=5), labelled(b=7)).distance == 1


def test_an_empty_side_has_no_distance():
    for sides in ((labelled(a=5), []), ([], []), ([row(1)], labelled(a=5))):
        found = compare(*sides)
        assert (found.distance, found.noise, found.enough) == (None, None, False)


def test_the_noise_is_what_chance_makes_and_the_minimum_sample_keeps_it_at_five_points():
    chance = random.Random(7)
    weights = {"a": 0.5, "b": 0.3, "c": 0.15, "d": 0.05}

    def sample(size: int) -> list[Row]:
        return [row(i, label) for i, label in enumerate(chance.choices(list(weights), weights.values(), k=size))]

    minimum = compare(sample(1000), sample(1000)).minimum_sample
    pairs = [compare(sample(minimum), sample(minimum)) for _ in range(60)]

    assert sum(p.distance for p in pairs) / 60 == pytest.approx(0.05, abs=0.01)
    assert sum(p.noise for p in pairs) / 60 == pytest.approx(0.05, abs=0.005)
    small = compare(sample(20), sample(20))
    assert not small.enough
    assert small.noise > 0.1


counts = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 6))


@given(counts, counts)
def test_distances_are_symmetric_between_zero_and_one_and_zero_for_equals(a, b):
    there, back = compare(labelled(**a), labelled(**b)), compare(labelled(**b), labelled(**a))

    assert there.distance == (None if back.distance is None else pytest.approx(back.distance))
    if there.distance is not None:
        assert 0 <= there.distance <= 1 + 1e-9
        assert compare(labelled(**a), labelled(**a)).distance == 0
