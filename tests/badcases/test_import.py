"""Tables of reports: what a column means, what a preview says, what is refused, and truth that comes later."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.intake.declared import Schemas
from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.intake.schema import Schema
from mlife.badcases.intake.spreadsheet import Spreadsheet, report_table
from mlife.badcases.views import lists
from mlife.core.command import check_input
from mlife.core.errors import Invalid
from tests.badcases.conftest import NOW, Field

HEAD = "system,function,version,observed_at,prediction,truth,uri"
ROW = "digits,digit,1.0,2026-11-20T03:00:00Z,4,9,s3://cam/1.png"


def items(text: str, piece: int = 1 << 20, **more: dict[str, str]) -> list[tuple[int, dict]]:
    reader = report_table(Schema, **more)
    data = text.encode()
    found = [i for start in range(0, len(data), piece) for i in reader.feed(data[start : start + piece])]
    return [*found, *reader.finish()]


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_row_is_a_report_however_the_bytes_come(piece: int) -> None:
    text = (
        "\ufeffOrt;system;function;type;prediction;truth;score;uri;model_ids;description\r\n"
        'Tunnel;dms;seat;boxes;"belt 1 2 3 4\nbelt 5 6 7 8";-;;s3://cam/1.jpg;mdl-1 mdl-2;"he said ""no""; twice"\r\n'
        "\r\n"
        "Street;dms;mood;class;happy;;0.5;s3://cam/2.jpg;;\r\n"
    )
    (first, one), (second, two) = items(text, piece, columns={"Ort": "fields.place"}, constants={"version": "2.3"})

    assert (first, second) == (2, 5)
    assert one["prediction"]["boxes"][1] == {"label": "belt", "x": 5, "y": 6, "width": 7, "height": 8}
    assert one["truth"] == {"type": "boxes", "boxes": []}
    assert one["description"] == 'he said "no"; twice'
    assert one["model_ids"] == ["mdl-1", "mdl-2"]
    assert two["prediction"] == {"type": "class", "label": "happy", "score": 0.5}
    assert "truth" not in two
    assert [r["fields"]["place"] for r in (one, two)] == ["Tunnel", "Street"]
    assert [r["version"] for r in (one, two)] == ["2.3", "2.3"]


def test_a_table_that_can_not_be_read_says_why() -> None:
    for text, told in (
        ("a,a\n1,2\n", "two columns"),
        (b"a\n\xff\n".decode("latin-1"), None),
    ):
        if told:
            with pytest.raises(Invalid, match=told):
                items(text)
    with pytest.raises(Invalid, match="no column Ort"):
        items("a\n1\n", columns={"Ort": "fields.place"})
    reader = Spreadsheet(dict)
    with pytest.raises(Invalid, match="no UTF-8"):
        list(reader.feed(b"a\n\xff\n"))


@pytest.mark.parametrize("cell", ["y" * 1_000_001, '"' + "y\n" * 600_000 + '"'])
def test_a_cell_that_is_too_long_costs_its_row_and_no_other(cell: str) -> None:
    found = items(f"a,b\n{cell},1\nx,2\n")
    assert [type(item) for _, item in found] == [Unfit, dict]
    assert (found[0][1].field, found[0][1].expected) == ("a", "at most 1,000,000")
    assert found[1][1]["fields"] == {"a": "x", "b": "2"}


def test_a_preview_takes_nothing_and_says_what_would_become_of_it(field: Field, client: TestClient) -> None:
    table = f"{HEAD}\n{ROW}\n{ROW}\n{ROW.replace('s3:', 'file:')}\n"
    csv = {"content-type": "text/csv"}
    before = field.home.ports.store.head()
    looked = client.post("/api/v1/reports?preview=true&ids=true", content=table, headers=csv).json()
    assert field.home.ports.store.head() == before
    assert (looked["accepted"], looked["known"]) == (1, 1)
    assert [(r["line"], r["field"]) for r in looked["refused"]] == [(4, "data.0.uri")]
    taken = client.post("/api/v1/reports", content=table, headers=csv).json()
    assert (taken["accepted"], taken["known"], taken["refused"]) == (1, 1, looked["refused"])
    again = client.post("/api/v1/reports?preview=true", content=table, headers=csv).json()
    assert (again["accepted"], again["known"]) == (0, 2)


def test_columns_and_what_no_row_says_come_with_the_address(field: Field, client: TestClient) -> None:
    given = {"system": "digits", "function": "digit", "fields": [{"name": "speed", "type": "number"}]}
    field.do(commands.describe_function, **check_input(commands.describe_function, given))
    table = "Zeit,said,is,link,v\n2026-11-20T03:00:00Z,4,9,s3://cam/1.png,50\n2026-11-20T03:00:00Z,4,9,s3://c/2,fast\n"
    address = (
        "/api/v1/reports?column.Zeit=observed_at&column.said=prediction&column.is=truth&column.link=uri"
        "&column.v=fields.speed&set.system=digits&set.function=digit&set.version=1.0"
    )
    taken = client.post(address, content=table, headers={"content-type": "text/csv"}).json()
    field.settle()
    assert taken["accepted"] == 1
    assert [(r["line"], r["field"], r["value"]) for r in taken["refused"]] == [(3, "fields.speed", "fast")]
    assert len(field.read(lists.reports, "field.speed:50", now=NOW).items) == 1


def test_the_page_shows_what_would_be_refused_before_anything_is_taken(field: Field, client: TestClient) -> None:
    table = f"{HEAD},place\n{ROW},tunnel\n{ROW.replace('2026-11-20T03:00:00Z', 'yesterday')},street\n"
    head = field.home.ports.store.head()
    shown = client.post("/badcases/import", files={"file": ("failures.csv", table)})
    assert shown.status_code == 200
    assert "is no moment" in shown.text
    assert "Take 1 report" in shown.text
    assert field.home.ports.store.head() == head
    kept = shown.text.partition('name="kept" value="')[2].partition('"')[0]
    with field.home.ports.blobs.open(kept[:64]) as stored:  # who has the store has no table of clients
        assert b"tunnel" not in stored.read()
    done = client.post("/badcases/import", files={"kept": (None, kept), "take": (None, "1")}, follow_redirects=False)
    assert done.status_code == 303
    field.settle()
    assert field.read(lists.badcases, "", now=NOW).total == 1
    assert client.post("/badcases/import", files={"take": (None, "1")}).status_code == 422


def test_the_page_names_what_columns_may_be_where_nothing_can_be_read_and_lists_refusals_by_line(
    field: Field, client: TestClient
) -> None:
    theirs = client.post("/badcases/import", files={"file": ("theirs.csv", "Seen,Said\nyesterday,K\n")})
    assert "say below what its columns are" in theirs.text
    field.do(
        commands.describe_function, system="digits", function="digit", fields=[{"name": "speed", "type": "number"}]
    )
    late = ROW.replace("2026-11-20T03:00:00Z", "yesterday")
    table = f"{HEAD},speed\n{ROW},fast\n{late},1\n{ROW},2\n"
    shown = client.post("/badcases/import", files={"file": ("failures.csv", table)})
    assert "say below what its columns are" not in shown.text
    lines = re.findall(r'<td class="num">(\d+)</td>', shown.text)
    assert lines == ["2", "3"]


def test_truth_for_many_reports_moves_them_and_says_what_does_not_fit(field: Field, client: TestClient) -> None:
    from tests.badcases.conftest import report

    field.send(*(report(None, picture=n, report_id=f"r{n}") for n in range(3)))
    uid = next(r.event.uid for r in field.home.ports.store.read(0) if r.event.report_id == "r1")
    table = f"uid,report_id,client,truth\n,r0,fleet-7,9\n{uid},,,8\n,r2,nobody,7\n,r2,fleet-7,\n"
    address = "/api/v1/reports/truth?reason=two+people+looked"
    told = client.post(address, content=table, headers={"content-type": "text/csv"}).json()
    assert (told["corrected"], [(r["line"], r["field"]) for r in told["refused"]]) == (
        2,
        [(4, "report_id"), (5, "truth")],
    )
    field.settle()
    shown = {b.title for b in field.read(lists.badcases, "", now=NOW).items}
    assert shown == {"9 read as 4", "8 read as 4", "? read as 4"}
    again = client.post(address, content=table, headers={"content-type": "text/csv"}).json()
    assert (again["corrected"], again["unchanged"]) == (0, 2)
    disputed = client.post("/api/v1/reports/truth", json=[{"uid": uid, "truth": None, "reason": "unclear"}]).json()
    assert disputed["corrected"] == 1
    wrong = client.post("/api/v1/reports/truth", json={"uid": uid, "truth": {"type": "scalar", "value": 1}}).json()
    assert wrong["corrected"] == 0
    assert Schemas(field.home.ports.store).of("digits", "digit").fields == ()
