"""Free fields that are declared: checked, found by, undone; and nothing is lost that is not declared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from mlife.badcases import commands
from mlife.badcases.functions import function_id
from mlife.badcases.intake.declared import schema_of
from mlife.badcases.intake.schema import FieldDeclared, Schema
from mlife.badcases.views import fields, lists, statistics
from mlife.badcases.views.export import columns_of, rows_of
from mlife.badcases.views.tables import badcase_fields, report_fields
from mlife.core.command import check_input
from mlife.core.errors import Invalid, NotFound
from mlife.runtime import open_home, settings
from tests.badcases.conftest import NOW, Field, report

PLACE = {"name": "place", "type": "choice", "choices": ["tunnel", "street"], "required": True}
SPEED = {"name": "Speed", "type": "number", "label": "Speed (km/h)"}
NIGHT = {"name": "night", "type": "flag"}
BUILT = {"name": "built", "type": "date"}
DRIVER = {"name": "driver", "type": "text", "personal": True}
ALL = [PLACE, SPEED, NIGHT, BUILT, DRIVER]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.cluster)])
def field(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Field]:
    """A home on each database."""
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    with open_home(settings(tmp_path / "home", config=tmp_path / "no.toml", store=store)) as home:
        yield Field(home)


def describe(field: Field, *declared: dict[str, Any], template: str | None = None) -> None:
    given = {"system": "digits", "function": "digit", "fields": list(declared), "template": template}
    field.do(commands.describe_function, **check_input(commands.describe_function, given))


def found(field: Field, q: str) -> set[int]:
    """Positions of the reports that match; the same question of badcases must have an answer, too."""
    reports = field.read(lists.reports, q, now=NOW).items
    badcases = field.read(lists.badcases, q, now=NOW).items
    assert {r.badcase_id for r in reports} == {b.badcase_id for b in badcases} or "-" in q or ":none" in q
    return {r.position for r in reports}


def send(field: Field, n: int, truth: str = "9", **free: Any) -> int:
    return field.send(report(truth, picture=n, fields=free)).position


def test_reports_are_found_by_what_is_declared_and_by_nothing_else(field: Field) -> None:
    describe(field, *ALL)
    one = send(field, 1, "9", place="tunnel", Speed=50, night=True, built="2026-01-05", driver="Ann", other="x")
    two = send(field, 2, "8", place="street", Speed=80.5, night=False, built="2025-03-01T10:00:00+01:00")

    assert found(field, "field.place:tunnel") == {one}
    assert found(field, "field.place:tun*,street") == {one, two}
    assert found(field, "field.speed:50") == {one}
    assert found(field, "field.Speed>50") == {two}
    assert found(field, "field.speed:40..60 field.night:yes") == {one}
    assert found(field, "field.built>=2026") == {one}
    assert found(field, "field.built<2026") == {two}
    assert found(field, "-field.place:tunnel") == {two}
    assert found(field, "field.driver:Ann") == found(field, "field.other:x") == set()
    assert found(field, "field.driver:none") == {one, two}


def test_a_field_that_is_declared_later_finds_what_came_before(field: Field) -> None:
    one = send(field, 1, place="tunnel", Speed="fast")
    assert found(field, "field.place:tunnel") == set()
    describe(field, PLACE, SPEED)
    assert found(field, "field.place:tunnel") == {one}
    assert found(field, "field.speed:any") == set()  # it does not fit, and is kept as it is
    describe(field, {**SPEED, "type": "text"})
    assert found(field, "field.speed:fast") == {one}
    assert found(field, "field.place:tunnel") == set()


def test_to_undo_is_to_say_an_earlier_revision_again(field: Field) -> None:
    one = send(field, 1, place="tunnel", Speed=3)
    describe(field, PLACE)
    describe(field, SPEED)
    field.do(commands.restore_function, system="digits", function="digit", revision=1)
    schema = schema_of(field.home.ports.store, "digits", "digit")

    assert (schema.revision, [f.name for f in schema.fields]) == (3, ["place"])
    assert (found(field, "field.place:tunnel"), found(field, "field.speed:3")) == ({one}, set())
    assert field.do(commands.restore_function, system="digits", function="digit", revision=3).events == ()
    with pytest.raises(NotFound, match="no revision 9"):
        field.do(commands.restore_function, system="digits", function="digit", revision=9)


def test_a_value_of_another_type_is_refused_by_name_and_the_others_are_taken(field: Field) -> None:
    describe(field, *ALL)
    wrong = [
        ({"Speed": "50"}, "fields.Speed", "a number, without quotes"),
        ({"Speed": True}, "fields.Speed", "a number, without quotes"),
        ({"place": "bridge"}, "fields.place", "one of tunnel, street"),
        ({"night": "yes"}, "fields.night", "true or false, without quotes"),
        ({"built": "soon"}, "fields.built", "a date or moment"),
    ]
    reports = [report(picture=n, fields=free) for n, (free, _, _) in enumerate(wrong)]
    answer = field.intake.reports([*reports, report(picture=99, fields={"unheard": {"of": 1}, "place": None})])

    assert answer.accepted == 1
    for line, (refusal, (_, name, expected)) in enumerate(zip(answer.refused, wrong, strict=True), 1):
        assert (refusal.line, refusal.field) == (line, name)
        assert refusal.expected.startswith(expected)


def test_what_was_taken_before_it_was_declared_is_known_when_it_is_sent_again(field: Field) -> None:
    early = report(fields={"Speed": "fast"}, report_id="early")
    field.send(early)
    describe(field, SPEED)
    again = field.intake.reports([early, {**early, "fields": {"Speed": "slow"}}], ids=True)
    assert (again.known, again.accepted, [r.field for r in again.refused]) == (1, 0, ["fields.Speed"])
    assert [i["report_id"] for i in again.ids or ()] == ["early"]


def test_counts_by_field_follow_reports_that_move(field: Field) -> None:
    describe(field, PLACE, SPEED)
    for n in range(4):
        send(field, n, "9", place="tunnel" if n else "street", Speed=n % 2)
    event = next(r.event for r in field.home.ports.store.read(0) if hasattr(r.event, "uid"))
    field.do(
        commands.correct_report,
        uid=event.uid, badcase_id=event.badcase_id, system="digits", function="digit", prediction=event.prediction,
        truth={"type": "class", "label": "7"}, reason="looked again",
    )  # fmt: skip
    with field.home.ports.views.read() as read:
        counted = {(r.badcase_id, r.name, r.value): r.frequency for r in read.all(select(badcase_fields))}
        rows = read.all(select(report_fields))
    assert sum(counted.values()) == len(rows) == 8
    assert {key[1:]: n for key, n in counted.items() if key[0] == event.badcase_id} == {
        ("place", "tunnel"): 3, ("speed", "0"): 1, ("speed", "1"): 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "template", "name"),
    [
        ([PLACE, {**PLACE, "name": "Place"}], None, "name"),
        ([{"name": "x", "type": "choice"}], None, "choices"),
        ([{"name": "x", "type": "text", "choices": ["a"]}], None, "choices"),
        ([PLACE], "{speed} in it", "template"),
        ([PLACE], "no field", "template"),
    ],
)
def test_what_is_not_clear_can_not_be_declared(
    field: Field, declared: list[dict[str, Any]], template: str | None, name: str
) -> None:
    with pytest.raises(Invalid) as refused:
        describe(field, *declared, template=template)
    assert refused.value.refusals[0].field == name


def test_what_there_is_shows_functions_versions_and_what_is_declared(field: Field) -> None:
    describe(field, PLACE, template="in the {place}")
    send(field, 1, place="tunnel")
    send(field, 2, place="street")
    (system,) = field.read(fields.tree)
    (function,) = system.functions
    assert (system.system, function.function, function.reports, function.revision) == ("digits", "digit", 2, 1)
    assert [(v.version, v.reports) for v in function.versions] == [("1.0", 2)]
    assert field.read(fields.function, function_id("digits", "digit")) == function
    assert field.read(fields.function, "fn-nothing") is None


def test_a_template_makes_descriptions_of_what_is_said() -> None:
    schema = Schema("s", "f", 1, tuple(FieldDeclared.of(f) for f in (PLACE, SPEED, NIGHT)), "{place}  at {Speed} km/h")
    assert schema.describe({"place": "tunnel", "Speed": 50.0}) == "tunnel at 50 km/h"
    assert schema.describe({"place": "tunnel"}) is None
    assert schema.missing({"Speed": 1}) == ["place"]
    assert schema.undeclared({"Speed": 1, "b": 1, "a": 2}) == ["a", "b"]


def test_declared_fields_are_facets_of_the_list_and_columns_of_exports(field: Field) -> None:
    describe(field, *ALL)
    send(field, 1, "9", place="tunnel", Speed=50, night=True, driver="Ann", other="x")
    send(field, 2, "8", place="tunnel", night=False)
    facets = field.read(statistics.facets, "truth:9", now=NOW)
    assert [(s.value, s.count) for s in facets["place"]] == [("tunnel", 1)]
    assert [(s.value, s.count) for s in facets["field.night"]] == [("yes", 1)]
    declared = field.read(fields.sought)
    columns = [c.name for c in columns_of("reports", declared)]
    assert columns[-4:] == ["field.built", "field.night", "field.place", "field.speed"]
    with field.home.ports.views.read() as read:
        rows = [row for part in rows_of(read, "reports", now=NOW, sort="position", declared=declared) for row in part]
    assert [tuple(row[-4:]) for row in rows] == [(None, "yes", "tunnel", 50.0), (None, "no", "tunnel", None)]
