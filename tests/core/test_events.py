"""An event's envelope, its bytes and its ids."""

import hashlib
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlife.core.errors import Corrupt, Invalid
from mlife.core.events import (
    Recorded,
    canonical_json,
    derived_id,
    from_micros,
    registry,
    rfc3339,
    stored_bytes,
    to_micros,
    uuid5_bytes,
)
from mlife.runtime import Home
from tests.toys import ToyMade, ToyReported, make, paint


def test_events_are_immutable_and_closed() -> None:
    made = ToyMade(toy_id="toy-1", name="bear")
    with pytest.raises(ValidationError):
        made.name = "duck"
    with pytest.raises(ValidationError):
        ToyMade(toy_id="toy-1", name="bear", colour="red")  # type: ignore[call-arg]


def test_an_event_travels_as_the_contract_s_cloud_event(toy_home: Home) -> None:
    do = toy_home.do.as_(
        actor="ada", correlation_id="itr-1", traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    )
    toy = do.under("key", make, name="bear").first(ToyMade).toy_id
    do.as_(causation_id=toy_home.ports.store.read()[0].draft.id, source="/mlife/simulation")(
        paint, toy_id=toy, colour="red"
    )
    made, painted = (r.as_cloud_event() for r in toy_home.ports.store.read())

    assert list(made) == [
        "specversion",
        "id",
        "source",
        "subject",
        "type",
        "dataschema",
        "time",
        "datacontenttype",
        "partitionkey",
        "sequence",
        "streamversion",
        "correlationid",
        "actor",
        "traceparent",
        "digest",
        "data",
    ]
    assert made["id"] == str(uuid.UUID(bytes=derived_id("key", 0)))
    assert (made["source"], painted["source"]) == ("/mlife", "/mlife/simulation")
    assert made["subject"] == f"toy/{toy}"
    assert made["partitionkey"] == toy
    assert made["dataschema"] == "urn:mlife:schema:mlife.toy.made.v1"
    assert (painted["sequence"], painted["streamversion"]) == ("00000000000000000002", 2)
    assert painted["causationid"] == made["id"]
    assert datetime.fromisoformat(made["time"]).tzinfo == UTC
    data = toy_home.ports.store.read()[0].draft.data
    assert made["digest"] == hashlib.sha256(data).hexdigest()
    assert made["data"] == {"toy_id": toy, "name": "bear", "wake_at": None}


def test_an_event_is_decoded_once_and_shown_shortly(toy_home: Home) -> None:
    toy_home.do(make, name="bear")
    (recorded,) = toy_home.ports.store.read()
    assert recorded.event is recorded.event
    assert repr(recorded).startswith("<mlife.toy.made.v1 at 1 in toy/toy-")
    assert recorded.id == uuid.UUID(bytes=recorded.draft.id)
    assert abs(datetime.now(UTC) - recorded.time) < timedelta(minutes=1)


def test_derived_ids_are_uuid5_and_the_parts_can_not_run_together() -> None:
    made = uuid.UUID(bytes=derived_id("handler", "cause", 1))
    namespace = uuid.UUID(bytes=hashlib.sha1(b"urn:mlife:events").digest()[:16])

    assert made.version == 5
    assert made.variant == uuid.RFC_4122
    assert made.bytes == hashlib.sha1(namespace.bytes + b"handler\0cause\x001").digest()[:6] + made.bytes[6:]
    assert made.bytes == uuid5_bytes(b"handler\0cause\x001")
    assert len({derived_id("ab", "c"), derived_id("a", "bc"), derived_id("abc"), derived_id("a", "b", "c")}) == 4


@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_keep_every_microsecond(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment
    assert datetime.fromisoformat(rfc3339(to_micros(moment))) == moment


def test_moments_of_other_zones_are_the_same_moment() -> None:
    there = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert from_micros(to_micros(there)) == there


def test_canonical_json_does_not_depend_on_order_or_escapes() -> None:
    assert canonical_json({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode() == canonical_json({"a": "ü", "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(ValidationError):
        ToyReported(uid="a", toy_id="t", fields=float("nan"))  # type: ignore[arg-type]
    with pytest.raises(Corrupt, match="can't be written as JSON"):
        stored_bytes(ToyMade.model_construct(toy_id="a", name=object()))  # type: ignore[arg-type]


def test_a_recorded_event_of_an_unknown_type_is_still_shown_as_it_is(toy_home: Home) -> None:
    toy_home.do(make, name="bear")
    (known,) = toy_home.ports.store.read()
    stranger = Recorded[ToyMade](1, 1, known.draft._replace(type="mlife.other.thing.v1"))

    assert stranger.as_cloud_event()["type"] == "mlife.other.thing.v1"
    assert registry.find(stranger.draft.type) is None
    with pytest.raises(Corrupt):
        _ = stranger.event


def test_a_text_with_a_nul_is_refused_and_one_that_spells_it_is_kept() -> None:
    with pytest.raises(Invalid, match="NUL"):
        stored_bytes(ToyMade(toy_id="toy-1", name="be\0ar"))
    assert stored_bytes(ToyMade(toy_id="toy-1", name="be\\u0000ar")).find(rb'"be\\u0000ar"') > 0


def test_an_event_that_no_bus_could_carry_is_refused() -> None:
    with pytest.raises(Invalid, match=r"8,000,\d+ bytes; an event has at most"):
        stored_bytes(ToyMade(toy_id="toy-1", name="b" * 8_000_000))
