"""Where it happened: a field of a report like client and device, at every door, and as it was sent before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.intake.report import check
from mlife.badcases.intake.schema import FieldDeclared, Schema
from mlife.badcases.intake.spreadsheet import report_of
from mlife.badcases.intake.taking import Intake
from mlife.badcases.regrouping import to_merge
from mlife.badcases.views import lists, proposals, statistics
from mlife.badcases.views.export import columns_of, rows_of
from mlife.badcases.views.report_statistics import analyse_reports
from mlife.core.command import check_input
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.core.sealing import Sealer
from tests.badcases.conftest import NOW, Field, report

PERSONAL = {"name": "place", "type": "text", "personal": True}


def found(field: Field, q: str) -> set[int]:
    """Positions of the reports that match; badcases must be found by the same."""
    reports = field.read(lists.reports, q, now=NOW).items
    badcases = field.read(lists.badcases, q, now=NOW).items
    assert {r.badcase_id for r in reports} == {b.badcase_id for b in badcases} or "-" in q or ":none" in q
    return {r.position for r in reports}


def describe(field: Field, *fields: dict[str, Any]) -> None:
    given = {"system": "digits", "function": "digit", "fields": list(fields)}
    field.do(commands.describe_function, **check_input(commands.describe_function, given))


def exported(field: Field) -> list[Any]:
    """The column `place` of an export of all reports."""
    at = [c.name for c in columns_of("reports")].index("place")
    with field.home.ports.views.read() as read:
        return [
            field.home.sealer.open(row[at])
            for part in rows_of(read, "reports", now=NOW, sort="position")
            for row in part
        ]


def test_a_place_is_found_counted_and_exported_whether_it_is_a_field_or_a_free_field(either: Field) -> None:
    field = either
    own = field.send(report("9", picture=1, place="tunnel")).position
    free = field.send(report("8", picture=2, fields={"place": "tunnel"})).position
    both = field.send(report("8", picture=3, place="street", fields={"place": "tunnel"})).position
    field.send(report("8", picture=4), report("8", picture=5, fields={"place": ["no", "place"]}))

    assert found(field, "place:tunnel") == {own, free}
    assert found(field, "place:str*") == {both}
    assert found(field, "place:any -place:tunnel") == {both}
    assert len(found(field, "place:none")) == 2
    shares = {s.value: s.count for s in field.read(analyse_reports, "", now=NOW).shares["place"]}
    assert shares == {"tunnel": 2, "street": 1}
    assert {s.value: s.count for s in field.read(statistics.analyse, "", now=NOW)["place"]} == shares
    assert {s.value: s.count for s in field.read(statistics.facets, "truth:8", now=NOW)["place"]} == {
        "tunnel": 1,
        "street": 1,
    }
    assert exported(field) == ["tunnel", "tunnel", "street", None, None]
    assert verify(field.home.ports, projections["badcases"]) == []


def test_counts_by_place_follow_reports_that_are_merged_and_come_back(either: Field) -> None:
    field = either
    field.send(report("9", picture=1, place="tunnel"), report("8", picture=2, place="street"))
    nine, eight = (field.read(lists.badcases, q, now=NOW).items[0].badcase_id for q in ("truth:9", "truth:8"))
    field.do(commands.merge, **field.read(to_merge, [nine], eight))
    assert {s.value for s in field.read(statistics.places_of, eight)} == {"tunnel", "street"}
    field.do(commands.unmerge, badcase_id=nine)
    assert [s.value for s in field.read(statistics.places_of, eight)] == ["street"]
    assert verify(field.home.ports, projections["badcases"]) == []


def test_a_place_that_may_name_a_person_is_no_place_and_becomes_one_when_it_no_longer_may(either: Field) -> None:
    field = either
    early = field.send(report(picture=1, fields={"place": "at Ann's"})).position
    own = field.send(report(picture=2, place="tunnel")).position
    describe(field, PERSONAL)
    late = field.send(report(picture=3, fields={"place": "at Ben's"})).position

    assert found(field, "place:any") == {own}
    assert [s.value for s in field.read(statistics.facets, "", now=NOW)["place"]] == ["tunnel"]
    describe(field, {**PERSONAL, "personal": False})
    assert {early, own} <= found(field, "place:any")
    assert found(field, "place:any") <= {early, own, late}
    assert verify(field.home.ports, projections["badcases"]) == []


def test_where_a_system_seals_places_nobody_is_found_by_one_and_who_has_the_key_reads_it(
    field: Field, client: TestClient
) -> None:
    sealer = Sealer(field.home.keys, {"digits": frozenset({"place"})})
    field.intake = Intake(field.home.ports.store, sealer, field.clock)
    field.home.do = replace(field.home.do, sealer=sealer)
    own = field.send(report(picture=1, place="at Ann's")).position
    field.send(report(picture=2, fields={"place": "at Ann's", "lamp": "on"}))

    assert b"Ann" not in b"".join(r.draft.data for r in field.home.ports.store.read(0))
    assert found(field, 'place:"at Ann\'s"') == set()
    assert field.read(statistics.facets, "", now=NOW)["place"] == []
    assert field.read(analyse_reports, "", now=NOW).shares["place"] == []
    assert exported(field) == ["at Ann's", "at Ann's"]
    assert client.get(f"/api/v1/reports/{own}").json()["place"] == "at Ann's"
    assert field.intake.reports([report(picture=1, place="at Ann's")]).known == 1
    assert verify(field.home.ports, projections["badcases"]) == []


def test_badcases_that_share_a_place_are_proposed_as_one_cause(field: Field) -> None:
    tunnel = [report(t, picture=f"{t}{n}", place="tunnel") for t in "123" for n in range(8)]
    field.send(*tunnel, *(report("9", picture=n, fields={"place": "street"}) for n in range(40)))
    (proposal,) = [p for p in field.read(proposals.propose) if p.attribute == "place"]
    assert (proposal.value, len(proposal.badcase_ids)) == ("tunnel", 3)


def test_doors_take_a_place_and_refuse_what_is_none(client: TestClient, field: Field) -> None:
    taken = client.post("/api/v1/reports", json=report(picture=1, place="tunnel")).json()
    assert taken["accepted"] == 1
    wrapped = {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "data": report(picture=2, place="tunnel")}
    assert client.post("/api/v1/reports", json=wrapped).json()["accepted"] == 1
    refused = client.post("/api/v1/reports", json=report(picture=3, place=7))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "place")
    typed = {
        "system": "digits",
        "function": "digit",
        "version": "1",
        "prediction": "4",
        "truth": "9",
        "uri": "s3://cam/1.png",
        "observed_at": "2026-11-20T03:00",
        "place": "tunnel",
    }
    assert client.post("/badcases/report", data=typed, follow_redirects=False).status_code == 303
    field.settle()
    assert len(found(field, "place:tunnel")) == 3
    listed = client.get("/api/v1/reports?q=place:tunnel").json()["reports"]
    assert {r["place"] for r in listed} == {"tunnel"}
    html = {"accept": "text/html"}
    assert "tunnel" in client.get(f"/reports/{listed[0]['position']}", headers=html).text
    assert "place%3Atunnel" in client.get(f"/badcases/{listed[0]['badcase_id']}", headers=html).text


def test_a_column_place_is_the_place_or_the_functions_own_field_of_that_name() -> None:
    row = {"system": "s", "function": "f", "prediction": "4", "place": "7"}
    assert report_of(row, Schema("s", "f"))["place"] == "7"
    row_own = report_of(row, Schema("s", "f", 1, (FieldDeclared("place", "number"),)))
    assert (row_own.get("place"), row_own["fields"]) == (None, {"place": 7})


def test_a_report_without_a_place_is_what_it_was() -> None:
    with_none, text = check(report(place=None), NOW)
    assert text == check(report(), NOW)[1]
    assert b"place" not in text
    assert with_none["client"] == "fleet-7"
