"""Published schemas: what is committed is what the program says, and what was published never changes."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from mlife.core import schema_files
from mlife.core.command import Executor
from mlife.core.errors import Misconfigured, NotFound
from mlife.core.events import Event, EventKind, Personal, event, registry, upcast
from mlife.core.schema_examples import golden
from mlife.core.schema_files import as_bytes, check, event_schema, own_kinds, write
from mlife.core.sealing import Sealer
from mlife.runtime import Home
from mlife.server import make_app

ROOT = Path(__file__).parents[2]


# --- of this repository ---


def test_every_published_schema_of_this_repository_is_honoured(home: Home) -> None:
    assert check(ROOT, own_kinds(), make_app(home)) == []


def test_every_event_class_has_an_example_that_fills_every_field(home: Home) -> None:
    kinds = own_kinds()
    assert {k.topic for k in kinds} == {
        "mlife.badcases",
        "mlife.data",
        "mlife.training",
        "mlife.serving",
        "mlife.control",
    }
    for kind in kinds:
        shown = golden(kind)
        assert shown == golden(kind)
        decoded = registry.decode(kind.type, json.dumps(shown["data"]).encode())
        assert None not in [getattr(decoded, n) for n in kind.cls.model_fields], kind.type


def test_every_personal_field_can_hold_what_sealing_makes_of_it(home: Home) -> None:
    """A limit on the length of a personal field would make sealed events unreadable."""
    for kind in (k for k in own_kinds() if k.personal):
        system = getattr(kind.cls.model_validate(golden(kind)["data"]), "system", None) or ""
        sealer = Sealer(home.sealer.keys, {system: kind.personal})
        made = kind.cls.model_validate(golden(kind)["data"])
        draft = Executor(home.ports.store, sealer).draft(made, b"e" * 16, home.do.clock.now())
        sealed = registry.decode(kind.type, draft.data)
        opened = kind.cls.model_validate(sealer.open(sealed.model_dump(mode="json", by_alias=True)))
        assert opened == made, kind.type
        assert b"fleet-7" not in draft.data


def test_no_class_is_declared_outside_a_file_of_events(home: Home) -> None:
    outside = {k.cls.__module__ for k in own_kinds() if not {"events", "control"} & {*k.cls.__module__.split(".")}}
    assert outside == set()


def test_links_of_the_catalogue_lead_to_files_and_headings() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    for target in set(re.findall(r"\]\(([^)#]+)\)", page)):
        assert (ROOT / "docs" / target).exists(), target
    headings = {h.replace("`", "").replace(".", "") for h in re.findall(r"^### (.+)$", page, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) == headings


def test_the_topics_and_their_messages_refer_to_what_is_there() -> None:
    topics = json.loads((ROOT / "schemas" / "asyncapi.json").read_text())

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from (v for k, v in node.items() if k == "$ref")
            for v in node.values():
                yield from references(v)

    assert topics["asyncapi"].startswith("3.")
    found = list(references(topics))
    assert len(found) > 50
    for reference in found:
        if reference.startswith("#/"):
            node = topics
            for part in reference[2:].split("/"):
                node = node[part]
        else:
            assert (ROOT / "schemas" / reference).exists(), reference


# --- how promises are kept ---


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    registry._kinds.pop("mlife.lamp.lit", None)


def declared(version: int = 1, **changed: Any) -> EventKind:
    """The event `mlife.lamp.lit`; the fields in *changed* take the place of its own, None removes one."""
    registry._kinds.pop("mlife.lamp.lit", None)
    fields: dict[str, Any] = {
        "lamp_id": str,
        "brightness": float,
        "colour": Literal["white", "red"],
        "who": Annotated[str | None, Personal],
    }
    fields = {n: t for n, t in {**fields, **changed}.items() if t is not None}
    body = {"__annotations__": fields, "__module__": "mlife.lamps.events", "__doc__": "A lamp was lit.", "who": None}
    cls = type("LampLit", (Event,), body)
    event("mlife.lamp.lit", stream="lamp/{lamp_id}", key="lamp_id", version=version)(cls)
    return cls.declared


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose schemas came with an earlier release."""
    monkeypatch.setattr(schema_files, "__version__", "0.9.0")
    write(tmp_path, [declared()])
    monkeypatch.setattr(schema_files, "__version__", "1.0.0")
    assert write(tmp_path, [declared()]) == ["schemas/asyncapi.json"]
    assert check(tmp_path, [declared()]) == []
    return tmp_path


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    assert set(write(tmp_path, [declared()])) == {
        "schemas/mlife.lamp.lit.v1.json",
        "schemas/examples/mlife.lamp.lit.v1.json",
        "schemas/asyncapi.json",
        "docs/events.md",
    }
    assert write(tmp_path, [declared()]) == []
    assert check(tmp_path, [declared()]) == []


def test_a_schema_says_stream_key_topic_and_what_is_personal() -> None:
    schema = event_schema(declared())
    assert schema["$id"] == "urn:mlife:schema:mlife.lamp.lit.v1"
    assert (schema["x-stream"], schema["x-partitionkey"], schema["x-topic"]) == (
        "lamp/{lamp_id}",
        "lamp_id",
        "mlife.lamps",
    )
    assert schema["properties"]["who"]["x-personal"] is True
    assert "x-personal" not in schema["properties"]["lamp_id"]
    assert schema["additionalProperties"] is False


def test_until_a_release_has_it_a_version_may_change_and_the_check_says_that_it_is_stale(tmp_path: Path) -> None:
    write(tmp_path, [declared()])
    changed = [declared(brightness=int)]
    told = "\n".join(map(str, check(tmp_path, changed)))

    assert 'field brightness.type was "number" and is "integer"' in told
    assert "make schemas" in told
    write(tmp_path, changed)
    assert check(tmp_path, changed) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"brightness": int}, 'field brightness.type was "number" and is "integer"'),
        ({"brightness": None}, "field brightness is gone"),
        ({"place": str}, "field place is new"),
        ({"colour": Literal["white", "red", "blue"]}, "field colour.enum has blue now"),
        ({"who": str | None}, "field who.x-personal is gone"),
    ],
)
def test_a_published_version_that_would_change_is_refused_with_the_field(
    released: Path, change: dict[str, Any], said: str
) -> None:
    before = {p: p.read_bytes() for p in released.rglob("*") if p.is_file()}
    kind = declared(**change)
    with pytest.raises(Misconfigured, match=re.escape(said)):
        write(released, [kind])

    assert {p: p.read_bytes() for p in released.rglob("*") if p.is_file()} == before
    (fault,) = [f for f in check(released, [kind]) if f.file == "schemas/mlife.lamp.lit.v1.json"]
    assert said in fault.problem
    assert "published with 0.9.0" in fault.problem
    assert "@upcast" in fault.remedy


def test_better_words_are_no_change(released: Path) -> None:
    kind = declared()
    kind.cls.__doc__ = "Somebody lit a lamp."
    assert write(released, [kind]) == [
        "schemas/mlife.lamp.lit.v1.json",
        "schemas/asyncapi.json",
        "docs/events.md",
    ]
    assert json.loads((released / "schemas/mlife.lamp.lit.v1.json").read_text())["x-since"] == "0.9.0"


def test_a_new_version_needs_an_upcaster_from_every_published_one(released: Path) -> None:
    kind = declared(version=2, place=str)
    write(released, [kind])
    (fault,) = check(released, [kind])
    assert fault.file == "schemas/examples/mlife.lamp.lit.v1.json"
    assert "no @upcast leads from mlife.lamp.lit.v1" in fault.problem

    upcast(kind.cls, from_version=1)(lambda old: {**old, "place": "somewhere"})
    assert check(released, [kind]) == []
    assert (released / "schemas/mlife.lamp.lit.v1.json").exists()


def test_a_published_event_that_nobody_declares_any_more_is_a_broken_promise(released: Path) -> None:
    registry._kinds.pop("mlife.lamp.lit")
    assert any("nobody declares mlife.lamp.lit.v1 any more" in f.problem for f in check(released, []))


def test_a_forged_example_and_a_missing_file_are_found(tmp_path: Path) -> None:
    kind = declared()
    write(tmp_path, [kind])
    path = tmp_path / "schemas/examples/mlife.lamp.lit.v1.json"
    shown = json.loads(path.read_text())
    forged = copy.deepcopy(shown)
    forged["data"]["brightness"] = 7.5
    path.write_bytes(as_bytes(forged))
    assert any("digest" in f.problem for f in check(tmp_path, [kind]))
    path.write_text("{")
    with pytest.raises(Exception, match="is no JSON"):
        check(tmp_path, [kind])
    path.unlink()
    assert [f.problem for f in check(tmp_path, [kind])] == ["is missing"]


def test_without_a_checkout_the_check_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="run this in a checkout"):
        check(tmp_path, [declared()])


def test_an_event_of_another_package_is_kept_out_of_ours() -> None:
    declared()
    assert "mlife.lamp.lit" in {k.name for k in own_kinds()}
    assert own_kinds("nightlamp") == []
