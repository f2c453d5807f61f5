"""Exports: everything that matches, in every form, harmless to spreadsheets and back again without loss."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mlife.badcases.exporting import RISKY, Column, as_it_was, harmless, written
from mlife.badcases.views import lists
from mlife.badcases.views.export import columns_of, rows_of
from mlife.cli.badcase import command as badcase
from tests.badcases.conftest import NOW, Field, report

RISKS = ["=1+1", "+4", "-4", "@SUM(A1)", "\tx", "'quoted", "plain", "", "a=b"]


@pytest.fixture
def filled(field: Field) -> Field:
    """Reports whose words would be formulas."""
    field.send(
        *(
            report("9", f"{n}", picture=n, description=text or None, client=text.strip() or "fleet-7")
            for n, text in enumerate(RISKS)
        )
    )
    return field


def exported(client: TestClient, what: str, form: str, **asked: str) -> bytes:
    got = client.get(f"/api/v1/{what}/export", params={"format": form, **asked})
    assert got.status_code == 200, got.text
    return bytes(got.content)


def test_csv_is_harmless_to_spreadsheets_and_comes_back_as_it_was(filled: Field, client: TestClient) -> None:
    text = exported(client, "reports", "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert len(rows) == len(RISKS)
    for row in rows:
        assert row["description"][:1] not in RISKY - {"'"}
    assert {as_it_was(row["description"]) for row in rows} == set(RISKS)
    assert {row["score"] for row in rows} == {"0.7"}
    assert {datetime.fromisoformat(row["observed_at"]).isoformat() for row in rows} == {"2026-11-20T03:00:00+00:00"}


@given(st.text())
def test_whatever_a_text_is_it_comes_back(text: str) -> None:
    assert as_it_was(harmless(text)) == text
    assert harmless(text)[:1] not in RISKY - {"'"}


def test_a_negative_number_stays_a_number() -> None:
    columns = [Column("word", "text"), Column("score", "number")]
    (head, body, *_) = b"".join(written("csv", columns, [[("-1", -1.5)]], str, None)).split(b"\r\n")

    assert (head, body) == (b"word,score", b"'-1,-1.5")


def test_ndjson_has_what_the_list_has(filled: Field, client: TestClient) -> None:
    told = [orjson.loads(line) for line in exported(client, "badcases", "ndjson").splitlines()]
    listed = client.get("/api/v1/badcases?limit=500").json()["badcases"]

    assert [b["badcase_id"] for b in told] == [b["badcase_id"] for b in listed]
    for one, other in zip(told, listed, strict=True):
        assert {k: one[k] for k in ("title", "reports", "status", "first_at", "last_version", "priority")} == {
            k: other[k] for k in ("title", "reports", "status", "first_at", "last_version", "priority")
        }


def test_parquet_has_types_and_every_row(filled: Field, client: TestClient) -> None:
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(exported(client, "reports", "parquet")))

    assert table.num_rows == len(RISKS)
    assert str(table.schema.field("observed_at").type) == "timestamp[us, tz=UTC]"
    assert set(table["description"].to_pylist()) == {text or None for text in RISKS}


def test_a_query_and_a_selection_narrow_it(filled: Field, client: TestClient) -> None:
    two = filled.read(lists.matching_ids, "", now=NOW)[:2]
    some = exported(client, "badcases", "csv", selected=",".join(two)).decode().splitlines()
    asked = exported(client, "reports", "ndjson", q="prediction:3").splitlines()

    assert {line.partition(",")[0] for line in some[1:]} == set(two)
    assert len(asked) == 1
    assert len(exported(client, "badcases", "csv", selected="*", q="prediction:3").splitlines()) == 2


def test_what_is_wrong_is_said_before_the_first_byte(filled: Field, client: TestClient) -> None:
    assert client.get("/api/v1/badcases/export?q=colour:red").status_code == 422
    assert client.get("/api/v1/badcases/export?format=xls").status_code == 422
    assert client.get("/api/v1/reports/export?sort=colour").status_code == 422
    assert client.get("/badcases/export").headers["content-disposition"].endswith('.csv"')


def test_memory_does_not_grow_with_the_rows() -> None:
    columns = [Column("n", "integer"), Column("text", "text")]

    def parts(count: int) -> Iterator[Sequence[Sequence[Any]]]:
        for part in range(count):
            yield [(n, f"{part} {n}") for n in range(1_000)]

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in written("csv", columns, parts(count), str, None):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(40) < 1.5 * peak(4)


def test_an_export_is_of_one_moment_on_both_databases(either: Field) -> None:
    either.send(*(report("9", f"{n}0", picture=n) for n in range(len(RISKS))))
    with either.home.ports.views.read() as read:
        parts = rows_of(read, "reports", now=NOW, size=3)
        first = next(parts)
        either.send(report("9", "new", picture="late"))
        rest = [row for part in parts for row in part]

    assert len(first) + len(rest) == len(RISKS)
    assert len(columns_of("reports")) == len(first[0])


def test_a_sealed_word_is_readable_again() -> None:
    columns = [Column("client", "text", sealed=True)]
    (line,) = written("ndjson", columns, [[("sealed:v1:abc",), ("plain",)]], lambda text: text.upper(), None)

    assert line == b'{"client":"SEALED:V1:ABC"}\n{"client":"PLAIN"}\n'


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_a_selection_of_ids_is_exported_at_the_terminal(
    filled: Field, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlife.cli.export.PART", 2)
    ids = filled.read(lists.matching_ids, "", now=NOW)[:3]
    out = tmp_path / "out"
    asked = ["--ids", "-", "--format", form, "-o", str(out), "--home", str(filled.home.settings.home)]
    listed = "badcase_id,title\r\n" + "".join(f"{i},x\r\n" for i in [*ids, ids[0], "bc-none"])
    done = CliRunner().invoke(badcase, ["export", *asked], input=listed, catch_exceptions=False)

    assert (done.exit_code, done.stderr) == (0, "3 of the 4 that are named are badcases\n")
    if form == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        told = pq.read_table(out)["badcase_id"].to_pylist()
    elif form == "csv":
        told = [row[0] for row in csv.reader(io.StringIO(out.read_text()))][1:]
    else:
        told = [orjson.loads(line)["badcase_id"] for line in out.read_bytes().splitlines()]
    assert sorted(told) == sorted(ids)
    nothing = CliRunner().invoke(badcase, ["export", *asked], input="", catch_exceptions=False)
    assert (nothing.exit_code, nothing.stderr) == (0, "")
