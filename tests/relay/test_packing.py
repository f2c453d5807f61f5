"""The packed record: what goes in comes out, and what is broken says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlife.core.errors import Corrupt
from mlife.core.events import Draft, Event, Recorded
from mlife.core.packing import PACKED, pack, packed, unpack

SECRET = b"the secret of it"

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
drafts = st.builds(
    Draft,
    id=st.binary(min_size=16, max_size=16),
    stream=texts,
    single=st.integers(0, 1),
    type=texts,
    key=texts,
    time=st.integers(-(2**63), 2**63 - 1),
    source=texts,
    correlation_id=st.none() | texts,
    causation_id=st.none() | st.binary(min_size=16, max_size=16),
    actor=st.none() | texts,
    traceparent=st.none() | texts,
    data=st.binary(max_size=100),
    digest=st.binary(min_size=32, max_size=32),
)
DRAFT = Draft(
    b"i" * 16, "report/r", 1, "mlife.x.done.v1", "bc-1", 7, "/mlife", None, None, None, None, b'{"a":1}', b"d" * 32
)


def numbered(listed: list[Draft], first: int = 1) -> list[Recorded[Event]]:
    return [Recorded(first + n, 1 + n % 3, draft) for n, draft in enumerate(listed)]


def plain(events: list[Recorded[Event]]) -> list[tuple[int, int, Draft]]:
    return [(r.position, r.version, r.draft) for r in events]


@given(st.lists(drafts, min_size=1, max_size=20), st.integers(1, 2**63 - 100))
def test_what_was_packed_comes_out_byte_for_byte(listed: list[Draft], first: int) -> None:
    events = numbered(listed, first)

    record = unpack(pack(events, SECRET))

    assert (record.first, record.last) == (first, first + len(listed) - 1)
    assert record.is_sealed_with(SECRET)
    assert plain(record.events()) == plain(events)


@given(st.binary(max_size=200))
def test_bytes_of_somebody_else_are_refused_in_words(noise: bytes) -> None:
    with pytest.raises(Corrupt, match="topic"):
        unpack(noise).events()


@given(st.data())
def test_a_seal_is_good_for_its_record_alone(data: st.DataObject) -> None:
    record = bytearray(pack(numbered([DRAFT] * 5, first=100), SECRET))
    assert not unpack(bytes(record)).is_sealed_with(b"another log's id")

    place = data.draw(st.integers(4, len(record) - 1))
    record[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = unpack(bytes(record))
    except Corrupt:
        return
    assert not changed.is_sealed_with(SECRET)


@given(st.data())
def test_a_changed_byte_is_noticed_or_changes_no_event(data: st.DataObject) -> None:
    """Also where nobody looks at the seal: the events have a checksum."""
    events = numbered([DRAFT] * 5, first=100)
    record = bytearray(pack(events, SECRET))
    place = data.draw(st.integers(36, len(record) - 1))
    record[place] ^= data.draw(st.integers(1, 255))

    try:
        found = unpack(bytes(record)).events()
    except Corrupt:
        return
    assert plain(found) == plain(events)


@pytest.mark.parametrize("cut", [3, 20, 40, -1])
def test_a_record_that_was_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(Corrupt):
        unpack(pack(numbered([DRAFT] * 5), SECRET)[:cut]).events()


def test_a_record_that_has_more_than_it_says_is_refused() -> None:
    with pytest.raises(Corrupt):
        unpack(pack(numbered([DRAFT]), SECRET) + b"x").events()


def test_a_record_of_another_form_says_which_program_is_too_old() -> None:
    record = pack(numbered([DRAFT]), SECRET)

    with pytest.raises(Corrupt, match="form 3, and this program knows form 2"):
        unpack(b"mlp\x03" + record[4:])


def test_a_gap_is_never_packed() -> None:
    with pytest.raises(Corrupt, match="not consecutive"):
        pack([Recorded(1, 1, DRAFT), Recorded(3, 1, DRAFT)], SECRET)


def test_a_text_with_a_nul_is_refused_and_not_shifted_into_the_next() -> None:
    with pytest.raises(Corrupt, match="NUL"):
        pack(numbered([DRAFT._replace(actor="a\0b")]), SECRET)


def test_records_have_a_bounded_size_and_a_large_event_still_goes() -> None:
    large = DRAFT._replace(data=b"x" * (3 * PACKED))
    half = DRAFT._replace(data=b"y" * (PACKED // 2))
    events = numbered([DRAFT, half, half, large, DRAFT, half, DRAFT])

    records = [unpack(r) for r in packed(events, SECRET)]

    assert plain([e for r in records for e in r.events()]) == plain(events)
    assert [r.last - r.first + 1 for r in records] == [2, 1, 1, 3]
    assert list(packed([], SECRET)) == []
