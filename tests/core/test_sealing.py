"""Sealing: no personal plaintext is stored, a resend has the same bytes, a dropped key erases and breaks no digest."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlife.core.sealing import ERASED, Sealer
from mlife.runtime import Home
from tests.toys import ToyReported, only_toys, report, wire_toys

PERSON = "Ada Lovelace <ada@example.org>"


@pytest.fixture
def sealing_home(tmp_path: Path) -> Iterator[Home]:
    """A home where the system `nursery` wants `client` and `fields` sealed beside `reporter`."""
    with only_toys():
        home = wire_toys(tmp_path / "home", {"nursery": frozenset({"client", "fields"})})
        yield home
        home.close()


def stored(home: Home, position: int = 1) -> bytes:
    (recorded,) = home.ports.store.read(position - 1, 1)
    assert hashlib.sha256(recorded.draft.data).digest() == recorded.draft.digest
    return recorded.draft.data


def shown(home: Home, position: int = 1) -> dict[str, Any]:
    (recorded,) = home.ports.store.read(position - 1, 1)
    return home.sealer.open(recorded.event.model_dump(mode="json"))


def everything(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.name.startswith("keys.db"))


def test_the_reporter_is_always_sealed_and_can_be_read_again(sealing_home: Home) -> None:
    sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON, system="elsewhere", client="fleet-7")

    assert b"Lovelace" not in stored(sealing_home)
    assert b"fleet-7" in stored(sealing_home)  # not declared by that system
    assert shown(sealing_home)["reporter"] == PERSON


def test_nothing_of_a_declared_field_is_in_any_file_of_the_home(sealing_home: Home) -> None:
    fields = {"badge": 4711007, "notes": ["met Ada Lovelace", {"phone": 0.123456789, "home": True, "none": None}]}
    sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON, client="fleet-7", fields=fields)
    sealing_home.see(1)

    found = everything(sealing_home.settings.home)
    for trace in (b"Lovelace", b"fleet-7", b"4711007", b"0.123456789"):
        assert trace not in found
    assert shown(sealing_home)["fields"] == fields
    assert shown(sealing_home)["client"] == "fleet-7"


def test_the_same_report_sealed_again_has_the_same_bytes(sealing_home: Home) -> None:
    event = ToyReported(uid="r1", toy_id="t", reporter=PERSON, client="fleet-7", fields={"a": "x", "b": "x", "n": 7})
    now = sealing_home.do.clock.now()
    once, twice = (sealing_home.do.draft(event, bytes([n]) * 16, now) for n in (1, 2))

    assert once.id == twice.id  # of a single event: derived from its stream, whatever key it came under
    assert (once.data, once.digest) == (twice.data, twice.digest)
    assert not sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON).known
    assert sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON).known


def test_equal_texts_of_two_reports_can_not_be_told_to_be_equal(sealing_home: Home) -> None:
    sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON)
    sealing_home.do(report, uid="r2", toy_id="t", reporter=PERSON)
    first, second = (sealing_home.ports.store.read(n, 1)[0].event.reporter for n in (0, 1))
    assert first != second


def test_a_dropped_key_erases_the_person_everywhere_and_no_digest_breaks(sealing_home: Home) -> None:
    for n in range(3):
        sealing_home.do(report, uid=f"r{n}", toy_id="t", reporter=PERSON, client="fleet-7", fields={"n": n, "x": [1]})
    sealing_home.do(report, uid="r9", toy_id="t", reporter="Bob")
    before = [stored(sealing_home, n) for n in range(1, 5)]
    assert sealing_home.sealer.keys.drop(PERSON)

    for n in range(1, 4):
        seen = shown(sealing_home, n)
        assert (seen["reporter"], seen["client"]) == (ERASED, ERASED)
        assert seen["fields"] == {"n": ERASED, "x": [ERASED]}
    assert shown(sealing_home, 4)["reporter"] == "Bob"
    assert [stored(sealing_home, n) for n in range(1, 5)] == before


def test_a_report_sent_again_after_the_erasure_changes_nothing(sealing_home: Home) -> None:
    sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON)
    sealing_home.sealer.keys.drop(PERSON)
    assert sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON).known
    assert shown(sealing_home)["reporter"] == ERASED


def test_without_a_reporter_or_client_the_event_is_its_own_subject(sealing_home: Home) -> None:
    sealing_home.do(report, uid="r1", toy_id="t", fields={"who": "Ada Lovelace"})
    assert b"Lovelace" not in stored(sealing_home)
    assert shown(sealing_home)["fields"] == {"who": "Ada Lovelace"}


@pytest.mark.parametrize(
    "written",
    ["sealed:v1:", "sealed:v1:nokey", "sealed:v1:a:!!!", "sealed:n1:x:", "sealed:v1:a:AAAA:b", "sealed", ""],
)
def test_what_only_looks_sealed_does_no_harm(sealing_home: Home, written: str) -> None:
    assert sealing_home.sealer.open({"a": [written]})["a"][0] in {written, ERASED}


def test_a_ciphertext_that_was_changed_is_not_shown_as_something_else(sealing_home: Home) -> None:
    sealing_home.do(report, uid="r1", toy_id="t", reporter=PERSON)
    sealed = sealing_home.ports.store.read(0, 1)[0].event.reporter
    changed = sealed[:-6] + ("AAAAA=" if sealed[-6:] != "AAAAA=" else "BBBBB=")
    assert sealing_home.sealer.open(changed) in {ERASED, changed}
    assert sealing_home.sealer.open(sealed[: len(sealed) - 8]) != PERSON


JSONISH = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=5), JSONISH, max_size=3))
def test_whatever_is_sealed_comes_back_as_it_was(sealing_home: Home, fields: dict[str, Any]) -> None:
    sealer: Sealer = sealing_home.sealer
    data = {"system": "nursery", "reporter": PERSON, "fields": fields}
    sealed = sealer.seal(ToyReported, b"e" * 16, data)
    opened = sealer.open(sealed)

    assert sealed["reporter"] != PERSON
    if not any(str(x).startswith("sealed:") for x in _leaves(fields)):
        assert opened == data
    assert data["fields"] is fields


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in _leaves(v)]
    if isinstance(value, list):
        return [leaf for v in value for leaf in _leaves(v)]
    return [value]
