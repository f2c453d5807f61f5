"""A free field that is declared personal is ciphertext wherever it could lie, whoever sent it, and can be erased."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mlife.badcases import commands
from mlife.badcases.intake.feedback import Feedback
from mlife.badcases.views import fields, lists
from mlife.badcases.views.export import rows_of
from mlife.core.command import check_input
from mlife.core.errors import Invalid, Refused
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.core.sealing import ERASED, Veiled
from mlife.runtime import open_home, settings
from mlife.server import make_app
from tests.badcases.conftest import NOW, Field, report

SECRET = "Ada-Lovelace-4711"
DRIVER = {"name": "driver", "type": "text", "personal": True}
ILL = {"name": "ill", "type": "flag", "personal": True}
BADGE = {"name": "badge", "type": "number", "personal": True}
PLACE = {"name": "where", "type": "text"}


def describe(field: Field, *declared: dict[str, Any], template: str | None = None) -> None:
    given = {"system": "digits", "function": "digit", "fields": list(declared), "template": template}
    field.do(commands.describe_function, **check_input(commands.describe_function, given))


def everything(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def a_report(n: int, **other: Any) -> dict[str, Any]:
    free = {"driver": f"{SECRET}-{n}", "ill": True, "badge": 900471100 + n, "where": "tunnel"}
    return report(picture=n, report_id=str(n), client="fleet-7", fields=free | other)


def test_no_door_leaves_a_personal_field_readable_in_any_file_of_the_home(tmp_path: Path) -> None:
    chosen = settings(tmp_path / "home", config=tmp_path / "no.toml")
    with open_home(chosen) as home, TestClient(make_app(home)) as client:
        field = Field(home)
        describe(field, DRIVER, ILL, BADGE, PLACE, template="in the {where}")
        other_case = {**a_report(1), "fields": {"DRIVER": {"name": [SECRET, 900471100]}}}
        wrong = a_report(2, where=7)
        batch = "\n".join(json.dumps(r) for r in (a_report(3), other_case, wrong))
        answer = client.post("/api/v1/reports", content=batch, headers={"content-type": "application/x-ndjson"}).json()
        assert (answer["accepted"], [r["field"] for r in answer["refused"]]) == (2, ["fields.where"])
        event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "x", "data": a_report(4)}
        assert Feedback(field.intake)([json.dumps(event).encode()]).accepted == 1
        row = f"{SECRET}-5,yes,street,2026-11-20T03:00:00Z,4,9,s3://cam/5.png"
        table = f"driver,ill,where,observed_at,prediction,truth,uri\n{row}\n"
        constants = "system=digits\nfunction=digit\nversion=1\nclient=fleet-7"
        shown = client.post("/badcases/import", files={"file": ("a.csv", table), "constants": (None, constants)}).text
        kept = shown.partition('name="kept" value="')[2].partition('"')[0]
        taking = {"kept": (None, kept), "constants": (None, constants), "take": (None, "1")}
        assert client.post("/badcases/import", files=taking, follow_redirects=False).status_code == 303
        form = {"fields.driver": f"{SECRET}-6", "fields.ill": "yes", "fields.where": "hall", "system": "digits"}
        form |= {"function": "digit", "version": "1", "prediction": "4", "truth": "9", "uri": "s3://cam/6.png"}
        assert client.post("/badcases/report", data=form, follow_redirects=False).status_code == 303
        field.settle()

        (position, *_) = [r.position for r in field.read(lists.reports, "field.where:tunnel", now=NOW).items]
        assert field.read(lists.reports, f'"{SECRET}" or field.driver:any', now=NOW).total == 0
        declared = field.read(fields.sought)
        assert "driver" not in declared
        with home.ports.views.read() as read:
            parts = rows_of(read, "reports", now=NOW, sort="position", declared=declared)
            assert SECRET not in str(list(parts))
        there = client.get(f"/api/v1/reports/{position}").json()["report"]["fields"]
        assert (there["ill"], there["driver"][:17], there["where"]) == (True, SECRET, "tunnel")
        assert SECRET not in client.get("/api/v1/events?after=0&limit=100").text
        assert verify(home.ports, projections["badcases"]) == []
        home.keys.drop("fleet-7")
        gone = client.get(f"/api/v1/reports/{position}").json()["report"]["fields"]
        assert (gone["driver"], gone["ill"], gone["badge"], gone["where"]) == (ERASED, ERASED, ERASED, "tunnel")

    found = everything(tmp_path)
    assert SECRET.encode() not in found
    assert b"9004711" not in found


def test_what_was_sent_before_a_field_was_declared_is_known_and_what_comes_after_is_sealed(field: Field) -> None:
    field.send(a_report(1))
    describe(field, DRIVER, ILL, BADGE)
    again = field.intake.reports([a_report(1), a_report(2)])
    assert (again.known, again.accepted) == (1, 1)
    twice = field.intake.reports([a_report(2), a_report(2, driver="another")])
    assert (twice.known, [r.field for r in twice.refused]) == (1, ["fields"])
    before, after = (r.draft.data for r in field.home.ports.store.read() if r.draft.stream.startswith("report/"))
    assert (SECRET.encode() in before, SECRET.encode() in after) == (True, False)


def test_a_personal_field_names_no_badcase_and_makes_no_description(field: Field) -> None:
    with pytest.raises(Invalid) as told:
        describe(field, DRIVER, PLACE, template="{driver} in the {where}")
    assert "may name a person" in told.value.refusals[0].problem
    open_to_all = {**DRIVER, "personal": False}
    describe(field, open_to_all)
    field.do(commands.rule_grouping, system="digits", function="digit", fields=["driver"])
    with pytest.raises(Refused, match="compares driver"):
        describe(field, DRIVER)


@pytest.mark.parametrize("free", [{"a": "sealed:v1:x:y"}, {"a": [{"b": "sealed:n1:x"}]}])
def test_a_text_that_looks_sealed_is_refused(field: Field, free: dict[str, Any]) -> None:
    answer = field.intake.reports(
        [report(fields=free), report(client="sealed:v1:0:AAAA"), report(description="sealed: x")]
    )
    assert (answer.accepted, len(answer.refused)) == (1, 2)
    assert answer.refused[0].field.startswith("fields.a")
    assert answer.refused[0].problem == answer.refused[1].problem == "begins as what MLife has sealed"


def test_what_is_veiled_is_read_with_its_key_and_in_no_other_way() -> None:
    text, key = SECRET.encode() * 1000, bytes(range(32))
    veiled = Veiled(io.BytesIO(text), key).read()
    assert SECRET.encode() not in veiled
    assert Veiled(io.BytesIO(veiled), key).read(17) == text[:17]
    assert Veiled(io.BytesIO(veiled), bytes(32)).read() != text
