"""Intake: every item is judged by itself, what is sent twice changes nothing, and every door refuses the same."""

from __future__ import annotations

import itertools
import json
import random
import re
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.testclient import TestClient

from mlife.badcases.events import BadcaseReported, TrafficCounted
from mlife.badcases.fingerprint import badcase_id
from mlife.badcases.intake.reading import Reader
from mlife.badcases.intake.taking import Intake
from mlife.badcases.views import tables
from mlife.core.events import derived_id, registry
from mlife.core.sealing import Sealer
from mlife.runtime import Home
from tests.badcases.conftest import Field, FixedClock, report, traffic

ORDINALS = itertools.count()
LABEL = st.text(min_size=1, max_size=12).filter(lambda s: s == s.strip() and s.isprintable())
WORD = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20)
NUMBER = st.floats(-1e6, 1e6)
FREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | NUMBER | LABEL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def annotations(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    length = st.floats(0.5, 100)
    box = st.fixed_dictionaries({"label": LABEL, "x": NUMBER, "y": NUMBER, "width": length, "height": length})
    made: dict[str, st.SearchStrategy[Any]] = {
        "class": st.fixed_dictionaries({"label": LABEL}, optional={"score": st.none() | st.floats(0, 1)}),
        "labels": st.fixed_dictionaries({"labels": st.lists(LABEL, max_size=4)}),
        "boxes": st.fixed_dictionaries({"boxes": st.lists(box, max_size=4)}),
        "scalar": st.fixed_dictionaries({"value": NUMBER}),
        "vector": st.fixed_dictionaries({"values": st.lists(NUMBER, max_size=4)}),
        "text": st.fixed_dictionaries({"text": LABEL}),
    }
    return {"type": kind, **draw(made[kind])}


@st.composite
def reports(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["class", "class", "labels", "boxes", "scalar", "vector", "text"]))
    made = {
        **report(picture=draw(st.integers(0, 50))),
        "prediction": draw(annotations(kind)),
        "truth": draw(st.none() | annotations(kind)),
        "kind": "rare",
    }
    for name, values in {
        "description": LABEL, "client": WORD, "device": WORD, "key": WORD, "report_id": WORD, "reporter": WORD,
        "severity": st.sampled_from(["minor", "major", "critical"]), "model_ids": st.lists(WORD, max_size=2),
        "fields": st.dictionaries(WORD, FREE.filter(lambda v: depth(v) < 4), max_size=4),
        "level": st.sampled_from(["system", "model"]),
    }.items():  # fmt: skip
        if draw(st.booleans()):
            made[name] = draw(st.none() | values)
    return made


def depth(value: Any) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if parts is None else 1 + max(map(depth, parts), default=0)


@pytest.fixture
def intake(home: Home) -> Intake:
    return Intake(home.ports.store, home.sealer, FixedClock())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=reports())
def test_whatever_is_taken_decodes_as_the_event_with_what_was_sent(intake: Intake, sent: dict[str, Any]) -> None:
    if sent.get("report_id"):
        sent = {**sent, "report_id": f"{sent['report_id']} {next(ORDINALS)}"}  # the store is one for all examples
    answer = intake.reports([sent], ids=True)
    assert answer.refused == []
    (told,) = answer.ids or []
    (recorded,) = intake.store.find([derived_id(f"report/{told['uid']}")]).values()
    event = registry.decode(recorded.draft.type, recorded.draft.data)

    assert isinstance(event, BadcaseReported)
    assert recorded.draft.stream == event.declared.stream_of(event)
    assert recorded.draft.key == event.badcase_id == badcase_id(event.fingerprint)
    opened = intake.sealer.open(event.model_dump())
    for name, value in sent.items():
        if value is not None and name not in ("observed_at", "data", "model_ids", "prediction", "truth", "fields"):
            assert opened[name] == value
    assert intake.reports([sent]).known == 1


def test_null_is_the_same_as_absent_and_times_are_compared_in_utc(intake: Intake) -> None:
    first = report(observed_at="2026-11-20T03:00:00Z")
    same = report(observed_at="2026-11-20T04:00:00+01:00", description=None, severity=None)
    answer = intake.reports([first, same, {**first, "observed_at": datetime(2026, 11, 20, 3, tzinfo=UTC)}])

    assert (answer.accepted, answer.known, answer.refused) == (1, 2, [])


def test_the_same_report_id_of_two_clients_is_two_reports_and_of_one_with_other_content_is_refused(
    intake: Intake,
) -> None:
    one = report(report_id="1", client="a")
    answer = intake.reports([one, {**one, "client": "b"}, {**one, "version": "2.0", "device": "cam-1"}, one])

    assert (answer.accepted, answer.known) == (2, 1)
    (refusal,) = answer.refused
    assert (refusal.line, refusal.field, refusal.value) == (3, "device", "cam-1")
    assert "in device, version" in refusal.problem


def test_the_same_interval_counts_once_and_another_count_is_refused_with_both(intake: Intake) -> None:
    answer = intake.traffic([traffic(100), traffic(100), traffic(90), traffic(5, hour=1)])

    assert (answer.accepted, answer.known) == (2, 1)
    assert answer.refused[0].line == 3
    assert "differs from the 100" in answer.refused[0].problem
    kept = [r.event for r in intake.store.read()]
    assert [e.count for e in kept if isinstance(e, TrafficCounted)] == [100, 5]


GOOD = orjson.dumps(report())
OTHER = orjson.dumps(report("7", "1", picture=2))
FORMS = {
    "lines": GOOD + b"\n" + OTHER + b"\n",
    "lines of windows": GOOD + b"\r\n" + OTHER + b"\r\n",
    "blank lines and a BOM": b"\xef\xbb\xbf\n" + GOOD + b"\n\n" + OTHER,
    "array": b"[" + GOOD + b"," + OTHER + b"]",
    "pretty array": json.dumps([json.loads(GOOD), json.loads(OTHER)], indent=2).encode(),
    "cloud events": b"\n".join(
        orjson.dumps({"specversion": "1.0", "id": str(n), "source": "/x", "type": "t", "data": orjson.loads(d)})
        for n, d in enumerate((GOOD, OTHER))
    ),
    "cloud event batch": orjson.dumps(
        [
            {"specversion": "1.0", "id": str(n), "source": "/x", "type": "t", "data": orjson.loads(d)}
            for n, d in enumerate((GOOD, OTHER))
        ]
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_every_form_gives_the_same_reports_however_its_bytes_are_cut(intake: Intake, form: str, piece: int) -> None:
    sending = intake.sending()
    for start in range(0, len(FORMS[form]), piece):
        sending.feed(FORMS[form][start : start + piece])
    answer = sending.finish()

    assert (answer.accepted, answer.refused) == (2, [])
    assert [r.event.truth["label"] for r in intake.store.read()] == ["9", "7"]  # type: ignore[attr-defined]


def test_one_pretty_printed_object_is_one_report(intake: Intake) -> None:
    assert intake.reports(json.dumps(report(), indent=4).encode()).accepted == 1


def changed(**other: Any) -> bytes:
    return orjson.dumps({**report(), **other})


HOSTILE: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b"{nonsense", "", "is no JSON"),
    "half a line": (GOOD[:80], "", "is no JSON"),
    "not UTF-8": (GOOD.replace(b"fleet-7", b"fl\xffet"), "", "is no UTF-8"),
    "UTF-16": (GOOD.decode().encode("utf-16").replace(b"\n", b""), "", "looks like UTF-16"),
    "UTF-16 without its mark": (GOOD.decode().encode("utf-16-le").replace(b"\n", b""), "", "looks like UTF-16"),
    "no object": (b"[1, 2]", "", "is no JSON object"),
    "a number": (b"7", "", "is no JSON object"),
    "null": (b"null", "", "is no JSON object"),
    "deep nesting": (b'{"a":' * 5000 + b"1" + b"}" * 5000, "", "is no JSON"),
    "an unknown field": (changed(colour="red"), "colour", "is no field"),
    "nothing": (b"{}", "system", "is missing"),
    "NaN": (GOOD.replace(b"0.7", b"NaN"), "prediction.score", "is not finite"),
    "Infinity": (GOOD.replace(b"0.7", b"1e999"), "prediction.score", "is not finite"),
    "a huge number": (changed(fields={"a": 1.0}).replace(b"1.0}", b"1" * 40 + b"}"), "fields.a", "beyond 64 bits"),
    "NaN in a free field": (changed(fields={"a": 1.5}).replace(b"1.5", b"NaN"), "fields.a", "is not finite"),
    "10 MB of description": (changed(description="x" * 10_000_000), "description", "has 10,000,000 characters"),
    "year 0": (changed(observed_at="0000-01-01T00:00:00Z"), "observed_at", "is no moment"),
    "1989": (changed(observed_at="1989-12-31T23:59:59Z"), "observed_at", "is before 1990"),
    "the future": (changed(observed_at="2031-01-01T00:00:00Z"), "observed_at", "is in the future"),
    "yesterday": (changed(observed_at="yesterday"), "observed_at", "is no moment"),
    "no time zone": (changed(observed_at="2026-11-20T03:00:00"), "observed_at", "has no time zone"),
    "a number as time": (changed(observed_at=1700000000), "observed_at", "is no moment"),
    "a path of the server": (changed(data=[{"uri": "file:///etc/passwd"}]), "data.0.uri", "is not allowed"),
    "a script as link": (changed(data=[{"uri": "javascript:alert(1)"}]), "data.0.uri", "is not allowed"),
    "a link to nothing": (changed(data=[{"pending": True}]), "data", "link to nothing"),
    "no data": (changed(data=[]), "data", "is empty"),
    "a NUL": (changed(client="a\x00b"), "client", "control character U+0000"),
    "an escape": (changed(device="a\x1b[31m"), "device", "control character U+001B"),
    "an escape of 8 bits": (changed(device="a\x9b31m"), "device", "control character U+009B"),
    "half a character": (GOOD.replace(b"fleet-7", b"\\ud800"), "client", "holds half a character"),
    "a number as label": (changed(prediction={"type": "class", "label": 4}), "prediction.label", "is no text"),
    "an unknown type": (changed(prediction={"type": "mask"}), "prediction", "unknown type"),
    "two types": (changed(truth={"type": "scalar", "value": 3}), "truth.type", "another type"),
    "no failure": (orjson.dumps(report("9", "9")), "truth", "is what was predicted"),
    "a system with a slash": (changed(system="a/b"), "system", "is not allowed"),
    "too many fields": (changed(fields={str(n): n for n in range(101)}), "fields", "are too many"),
    "too deep": (changed(fields={"a": {"b": {"c": {"d": {"e": 1}}}}}), "fields.a.b.c.d", "too deep"),
    "a cloud event without data": (b'{"specversion": "1.0"}', "data", "is no JSON object"),
    "a box of no width": (
        changed(
            prediction={"type": "boxes", "boxes": [{"label": "a", "x": 1, "y": 1, "width": 0, "height": 2}]}, truth=None
        ),
        "prediction.boxes.0.width",
        "greater than 0",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_can_t_be_taken_is_named_by_line_and_field_and_the_good_ones_are_kept(intake: Intake, name: str) -> None:
    bad, at, problem = HOSTILE[name]
    answer = intake.reports(GOOD + b"\n" + bad + b"\n" + OTHER)

    assert answer.accepted == 2
    (refusal,) = answer.refused
    assert (refusal.line, refusal.field) == (2, at)
    assert problem in refusal.problem
    assert refusal.expected
    assert len(refusal.value) <= 200
    assert refusal.value.isprintable()
    assert intake.store.head() == 2


def _said(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The refusals; what time it is here is left out, because a minute may end between two doors."""
    return [{**r, "problem": re.sub(r"it is \S+ here", "it is … here", r["problem"])} for r in answer["refused"]]


def test_every_door_gives_the_same_answer(home: Home, client: TestClient, tmp_path: Any) -> None:
    from mlife.cli.badcase import command

    body = b"\n".join([GOOD, *(bad for bad, _, _ in HOSTILE.values()), OTHER, GOOD])
    by_python = Intake(home.ports.store, home.sealer, home.do.clock).reports(body).as_json()
    by_http = client.post("/api/v1/reports", content=body, headers={"content-type": "application/x-ndjson"}).json()
    ran = CliRunner().invoke(command, ["report", "-", "--json", "--home", str(tmp_path / "other")], input=body)
    by_cli = json.loads(ran.stdout)

    assert (by_python["accepted"], by_python["known"], len(by_python["refused"])) == (2, 1, len(HOSTILE))
    assert _said(by_http) == _said(by_cli) == _said(by_python)
    assert (by_http["accepted"], by_http["known"]) == (0, 3)  # the same home: all known now
    assert (by_cli["accepted"], by_cli["known"]) == (2, 1)
    assert ran.exit_code == 1


def test_python_items_that_json_can_t_say_are_refused(intake: Intake) -> None:
    bad: list[Any] = [
        report(fields={"a": float("nan")}),
        report(fields={"a": 2**80}),
        report(fields={"a": object()}),
        report(fields={"a": "\ud800"}),
        report(observed_at=None),
        report(observed_at=datetime.max.replace(tzinfo=UTC)),
        report(version=b"1.0"),
        ["no", "object"],
        None,
    ]
    answer = intake.reports([report(), *bad, report("7", "1")])

    assert answer.accepted == 2
    assert [r.line for r in answer.refused] == list(range(2, 11))


def test_an_array_that_is_too_long_to_be_held_is_refused_with_what_to_do() -> None:
    from mlife.core.errors import Invalid

    reader = Reader()
    for _ in range(32):
        assert reader.feed(b"[" + b" " * 999_000) == []

    with pytest.raises(Invalid, match="send NDJSON"):
        reader.feed(b" " * 1_000_000)


def test_an_array_of_more_things_than_memory_holds_is_refused_unparsed() -> None:
    from mlife.core.errors import Invalid

    reader = Reader()
    for _ in range(7):
        reader.feed(b"[[],[]," + b"[]," * 333_000)

    tracemalloc.start()
    with pytest.raises(Invalid, match=r"2,000,000 objects and arrays.*NDJSON"):
        reader.finish()
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_line_without_end_costs_no_memory_and_is_refused(intake: Intake) -> None:
    sending = intake.sending()
    sending.feed(GOOD + b"\n" + b'{"description": "')
    for _ in range(30):
        sending.feed(b"x" * 1_000_000)
    sending.feed(b'"}\n' + OTHER)
    answer = sending.finish()

    assert answer.accepted == 2
    assert [(r.line, r.problem) for r in answer.refused] == [(2, "is a line of more than 16 MB")]


def test_refusals_beyond_a_thousand_are_counted_not_spelled_out(intake: Intake) -> None:
    answer = intake.reports(b"{}\n" * 1_500)

    assert (len(answer.refused), answer.refused_more) == (1_000, 500)


def test_declared_personal_fields_are_ciphertext_and_a_resend_is_known(home: Home) -> None:
    sealer = Sealer(home.sealer.keys, {"digits": frozenset({"client", "description"})})
    intake = Intake(home.ports.store, sealer, FixedClock())
    sent = report(description="Ann's driver", reporter="Ann", client="fleet-Ann")
    first, second = intake.reports([sent]), intake.reports([sent, {**sent, "version": "2.0", "report_id": None}])
    (recorded, _) = home.ports.store.read()

    assert b"Ann" not in recorded.draft.data
    assert (first.accepted, second.known, second.accepted) == (1, 1, 1)
    assert sealer.open(recorded.event.model_dump())["description"] == "Ann's driver"


COUNTED = (tables.badcase_rows, tables.badcase_weeks, tables.badcase_versions, tables.badcase_clients)
NUMBERS = {"first_event", "first_number", "last_number", "number"}


def contents(field: Field) -> list[list[dict[str, Any]]]:
    """The tables without positions, which depend on the order in which reports came."""
    with field.home.ports.views.read() as read:
        return [
            sorted(
                ({k: v for k, v in row._mapping.items() if k not in NUMBERS} for row in read.all(select(table))),
                key=repr,
            )
            for table in (*COUNTED, tables.report_rows)
        ]


def test_a_resend_in_any_order_and_batching_gives_the_same_tables(field: Field, tmp_path: Any) -> None:
    from mlife.runtime import open_home
    from mlife.runtime import settings as home_settings

    rng = random.Random(5)
    sent = [
        report(
            str(n % 7), str((n + 1 + n % 3) % 7), picture=n % 40, client=f"fleet-{n % 5}", version=f"1.{n % 3}",
            observed_at=f"2026-1{n % 2}-{1 + n % 20:02d}T03:00:00Z", severity=["minor", "major", None][n % 3],
        )
        for n in range(300)
    ]  # fmt: skip
    field.send(*sent)
    once = contents(field)
    field.send(*sent)
    assert contents(field) == once

    with open_home(home_settings(tmp_path / "second", config=tmp_path / "none.toml")) as home:
        second = Field(home)
        shuffled = sent * 2
        rng.shuffle(shuffled)
        rest = iter(shuffled)
        while some := list(itertools.islice(rest, rng.randrange(1, 90))):
            second.send(*some)

        assert contents(second) == once
