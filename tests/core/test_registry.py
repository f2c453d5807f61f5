"""Declaring events: the decorator is the registration, a clash names the other class, old versions are upcast."""

from typing import Annotated, Any

import pytest

from mlife.badcases.events import BadcaseReported
from mlife.core.errors import Corrupt, Misconfigured
from mlife.core.events import Event, EventKind, Personal, Registry, event, registry, stored_bytes, upcast
from tests.toys import ToyMade, ToyReported


def declared(name: str, version: int = 1, **options: Any) -> type[Event]:
    """A class declared as *name*; taken out of the registry again by `forgotten`."""

    @event(name, stream="thing/{id}", key="id", version=version, **options)
    class Thing(Event):
        id: str
        score: float | None = None
        who: Annotated[str | None, Personal] = None

    return Thing


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    yield
    registry._kinds.pop("mlife.thing.done", None)


def test_a_declaration_gives_type_stream_key_topic_and_personal_fields() -> None:
    kind = ToyReported.declared
    made = ToyReported(uid="r1", toy_id="toy-1")

    assert (kind.type, kind.topic, kind.single) == ("mlife.toy.reported.v1", "mlife.toys", True)
    assert (kind.stream_of(made), kind.key_of(made)) == ("toyreport/r1", "toy-1")
    assert kind.personal == {"reporter", "client", "fields"}
    assert registry.kind("mlife.toy.reported.v1") is registry.kind("mlife.toy.reported") is kind
    assert registry.find("mlife.toy.unheard.v1") is None


def test_the_topic_is_that_of_the_feature_whose_events_hold_the_class() -> None:
    assert BadcaseReported.declared.topic == "mlife.badcases"
    assert declared("mlife.thing.done").declared.topic == __name__


@pytest.mark.parametrize("name", ["badcase.reported", "mlife.Badcase.reported", "mlife.reported", "mlife.a.b.v1", ""])
def test_a_name_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match="is no event name"):
        declared(name)


def test_two_classes_of_one_name_are_refused_and_both_are_named_even_if_they_are_called_alike() -> None:
    first = declared("mlife.thing.done")
    with pytest.raises(Misconfigured, match=f"{__name__}.*Thing and by {__name__}.*Thing"):
        declared("mlife.thing.done")
    assert registry.kind("mlife.thing.done").cls is first


def test_an_unknown_type_names_it_and_what_to_install() -> None:
    with pytest.raises(Corrupt, match=r"no installed feature declares the event mlife\.other\.thing\.v1"):
        registry.decode("mlife.other.thing.v1", b"{}")


def test_old_versions_are_upcast_step_by_step() -> None:
    cls = declared("mlife.thing.done", version=3)
    upcast(cls, from_version=1)(lambda old: {**old, "score": None})
    upcast(cls, from_version=2)(lambda old: {**old, "who": "nobody"})

    assert registry.decode("mlife.thing.done.v1", b'{"id": "a"}') == cls(id="a", who="nobody")
    assert registry.decode("mlife.thing.done.v2", b'{"id": "a", "score": 0.5}') == cls(id="a", score=0.5, who="nobody")
    assert registry.decode("mlife.thing.done.v3", b'{"id": "a", "score": 0.5}') == cls(id="a", score=0.5)


@pytest.mark.parametrize(
    ("type_name", "data", "said"),
    [
        ("mlife.thing.done.v2", b'{"id": "a"}', "newer than this program"),
        ("mlife.thing.done.v1", b'{"id": 7}', "not valid"),
        ("mlife.thing.done.v1", b'{"id": "a", "colour": "red"}', "not valid"),
        ("mlife.thing.done.v1", b'{"id": "a"', "not valid"),
        ("mlife.thing.done.v1", b"", "not valid"),
        ("mlife.thing.done.v0", b'{"id": "a"}', "no @upcast leads from mlife.thing.done.v0"),
        ("mlife.thing.done.v0", b"nonsense", "not valid"),
        ("mlife.thing.done", b"{}", "has no version"),
    ],
)
def test_bytes_that_are_not_what_they_say_are_named_as_corrupt(type_name: str, data: bytes, said: str) -> None:
    declared("mlife.thing.done")
    with pytest.raises(Corrupt, match=said):
        registry.decode(type_name, data)


def test_an_upcaster_that_fails_is_named() -> None:
    cls = declared("mlife.thing.done", version=2)
    upcast(cls, from_version=1)(lambda old: {**old, "score": old["points"] / 100})
    with pytest.raises(Corrupt, match=r"@upcast of mlife\.thing\.done\.v1 failed: KeyError: 'points'"):
        registry.decode("mlife.thing.done.v1", b'{"id": "a"}')


def test_registries_are_apart_and_list_their_kinds_by_name() -> None:
    own = Registry()
    for name in ("mlife.b.done", "mlife.a.done"):
        own.add(EventKind(name, 1, ToyMade, "s/{id}", "id", False, "mlife.toys", frozenset()))
    assert [k.name for k in own] == ["mlife.a.done", "mlife.b.done"]


def test_every_stored_event_of_every_feature_comes_back_equal() -> None:
    made = ToyReported(uid="ü", toy_id="t", fields={"f": 0.1, "n": [1, None]}, reporter="Zoë")
    assert registry.decode(made.declared.type, stored_bytes(made)) == made
