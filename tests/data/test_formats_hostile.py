"""Bad documents: each item judged by itself, named by line and field; the good ones are kept."""

from __future__ import annotations

import gc
import io
import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlife.core.errors import Refusal
from mlife.data.formats import Form, Limits, Row, check_row, read_document, write_document

MD5 = "0cc175b9c0f1b6a831c399e269772661"
GOOD = Row("good.png", MD5, "x")
HEAD = "path,md5,annotation"
BOX = {"label": "a", "x": 0, "y": 0, "width": 1, "height": 1}
LINE = {"label": "a", "points": [[0, 0], [1, 1]]}
BACKWARDS = {"label": "a", "start": 2, "end": 1}


def read(data: bytes | str, form: str, limits: Limits | None = None) -> list[Row | Refusal]:
    raw = data.encode() if isinstance(data, str) else data
    return list(read_document(io.BytesIO(raw), form, limits=limits))


def refusals(found: list[Row | Refusal]) -> list[tuple[int, str, str]]:
    return [(f.line, f.field, f.problem) for f in found if isinstance(f, Refusal)]


def rows(found: list[Row | Refusal]) -> list[Row]:
    return [f for f in found if isinstance(f, Row)]


def fault(**values: object) -> Refusal:
    row = check_row({"path": "a.png", "md5": MD5, "annotation": "x", **values}, 7)
    assert isinstance(row, Refusal), row
    assert row.line == 7
    assert row.problem
    return row


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("../../etc/passwd", "'..'"),
        ("a/../../b", "'..'"),
        ("..\\..\\windows\\win.ini", "'..'"),
        ("a/..", "'..'"),
        ("/etc/passwd", "absolute"),
        ("\\\\server\\share\\x", "absolute"),
        ("C:\\x.png", "drive"),
        ("c:x.png", "drive"),
        ("file:///etc/passwd", "kind 'file'"),
        ("javascript:alert(1)", "unknown kind"),
        ("data:text/html,x", "unknown kind"),
        ("s3://b/../c", "'..'"),
        ("https://h/%2e%2e/c", "'..'"),
        ("https://h/%252e%252e/c", "'..'"),
        ("https://user:secret@h/a", "password"),
        ("http://[bad/a", "valid link"),
        ("s3://", "kind"),
        ("a\0.png", "NUL"),
        ("a\n.png", "U+000A"),
        ("a\x1b[2J.png", "U+001B"),
        ("folder/", "folder"),
        (".", "folder"),
        ("", "empty"),
        ("x" * 1025, "1,025"),
        (7, "number"),
        (None, "empty"),
        (["a"], "list"),
    ],
)
def test_a_path_that_could_leave_its_folder_is_refused(path, problem):
    refusal = fault(path=path)

    assert refusal.field == "path"
    assert problem in refusal.problem
    assert len(refusal.value) <= 200
    assert "secret" not in refusal.value
    assert refusal.value.isprintable()


@pytest.mark.parametrize(
    ("field", "value", "at"),
    [
        ("md5", "xyz", "md5"),
        ("md5", MD5[:-1], "md5"),
        ("md5", "", "md5"),
        ("md5", 12, "md5"),
        ("sha256", MD5, "sha256"),
        ("size", -1, "size"),
        ("size", 1.5, "size"),
        ("size", True, "size"),
        ("size", "many", "size"),
        ("size", 2**63, "size"),
        ("media_type", "picture", "media_type"),
        ("captured_at", "0000-01-01T00:00:00Z", "captured_at"),
        ("captured_at", "9999-12-31T23:59:59-12:00", "captured_at"),
        ("captured_at", "1899-12-31", "captured_at"),
        ("captured_at", "yesterday", "captured_at"),
        ("captured_at", "2026-02-30", "captured_at"),
        ("captured_at", "2026-11-24T25:00:00Z", "captured_at"),
        ("captured_at", 1764000000, "captured_at"),
        ("annotation", 7, "annotation"),
        ("annotation", ["sad"], "annotation"),
        ("annotation", "x" * 257, "annotation"),
        ("annotation", "a\nb", "annotation"),
        ("annotation", {}, "annotation.type"),
        ("annotation", {"type": "klass", "label": "x"}, "annotation.type"),
        ("annotation", {"type": ["class"]}, "annotation.type"),
        ("annotation", {"type": "class", "lable": "x"}, "annotation.label"),
        ("annotation", {"type": "class", "label": " x"}, "annotation.label"),
        ("annotation", {"type": "class", "label": "x", "score": 1.5}, "annotation.score"),
        ("annotation", {"type": "class", "label": "x", "score": "0.5"}, "annotation.score"),
        ("annotation", {"type": "boxes", "boxes": [{**BOX, "width": 0}]}, "annotation.boxes[0].width"),
        ("annotation", {"type": "boxes", "boxes": [BOX, {**BOX, "x": "1"}]}, "annotation.boxes[1].x"),
        ("annotation", {"type": "polygons", "polygons": [LINE]}, "annotation.polygons[0].points"),
        ("annotation", {"type": "segments", "segments": [BACKWARDS]}, "annotation.segments[0].end"),
        ("annotation", {"type": "labels", "labels": ["a"], "scores": []}, "annotation.scores"),
        ("annotation", {"type": "vector", "values": [1, float("inf")]}, "annotation.values[1]"),
        ("annotation", {"type": "text", "text": "\ud800"}, "annotation.text"),
        ("lux", float("nan"), "lux"),
        ("lux", 10**30, "lux"),
        ("lux", -(10**50), "lux"),
        ("note", "a\0b", "note"),
        ("deep", [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]], "deep" + "[0]" * 16),
        ("thing", object(), "thing"),
        (" ", 1, ""),
        ("x" * 129, 1, "x" * 39 + "…"),
        ("a\nb", 1, "a\\nb"),
        ("MD5", MD5, "md5"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_its_field(field, value, at):
    assert fault(**{field: value}).field == at


def test_times_after_now_are_refused_when_the_moment_is_given():
    limits = Limits(now=datetime(2026, 11, 24, tzinfo=UTC))
    values = {"path": "a.png", "md5": MD5, "annotation": "x"}

    assert isinstance(check_row({**values, "captured_at": "2026-11-24T12:00:00Z"}, 1, limits), Row)
    late = check_row({**values, "captured_at": "2026-11-26T00:00:00Z"}, 1, limits)
    assert isinstance(late, Refusal)
    assert late.problem == "is in the future"


@pytest.mark.parametrize("name", ["path", "md5", "annotation"])
def test_a_required_column_must_be_there(name):
    values = {"path": "a.png", "md5": MD5, "annotation": None}
    del values[name]
    others = ",".join(n for n in ("path", "md5", "annotation") if n != name)

    assert refusals(read(json.dumps(values), "ndjson")) == [(1, name, "is missing")]
    assert refusals(read(f"{others}\na,b\n", "csv")) == [(1, name, "is missing in the header")]


def item(annotation: str = '"x"', more: str = "") -> str:
    return f'{{"path": "a.png", "md5": "{MD5}", "annotation": {annotation}{", " if more else ""}{more}}}'


BAD_OBJECTS = [
    ('{"path": "a.png", "md5": NaN, "annotation": "x"}', "md5"),
    (item('{"type": "scalar", "value": Infinity}'), "annotation.value"),
    (item('"' + "x" * 1_200_000 + '"'), "annotation"),
    (item(more='"lux": 1e999'), "lux"),
    (item(more='"lux": ' + "9" * 100_000), "lux"),
    (item(more='"lux": 0.' + "9" * 100_000), "lux"),
    (item(more='"o": {"a": 1, "a": 2}'), "o"),
    (item(more='"path": "b.png"'), ""),
    (item(more='"Path": "b.png"'), "path"),
    (item(more=r'"note": "\ud800"'), "note"),
    (item(more=r'"note": "\u0000"'), "note"),
    (item(more=", ".join(f'"c{i}": 1' for i in range(300))), ""),
    ('{"path": "a.png", "md5": }', ""),
    ('{"path": "a.png" "md5": "x"}', ""),
    ("{'path': 'a.png'}", ""),
    ("[" * 100_000 + "]" * 100_000, ""),
    ("[1, 2]", ""),
    ("7", ""),
    ("null", ""),
    ('"a string, with ] and } in it"', ""),
]


@pytest.mark.parametrize(("bad", "field"), BAD_OBJECTS, ids=[b[:60] for b, _ in BAD_OBJECTS])
@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_a_bad_json_item_costs_itself_only(form, bad, field):
    good = json.dumps(GOOD.as_json())
    other = json.dumps({**GOOD.as_json(), "path": "other.png"})
    text = f"[{good},\n{bad},\n{other}]" if form == "json" else f"{good}\n{bad}\n{other}\n"

    found = read(text, form)

    assert [r.path for r in rows(found)] == ["good.png", "other.png"]
    assert [(line, at) for line, at, _ in refusals(found)] == [(2, field)]
    assert all(len(f.value) <= 200 for f in found if isinstance(f, Refusal))


@pytest.mark.parametrize("form", ["json", "ndjson", "csv"])
def test_a_ten_megabyte_cell_costs_its_row_only(form):
    big = "y" * 10_000_000
    items = [GOOD.as_json(), {**GOOD.as_json(), "path": "big.png", "note": big}, {**GOOD.as_json(), "path": "z.png"}]
    if form == "csv":
        text = f"{HEAD},note:str\ngood.png,{MD5},x,\nbig.png,{MD5},x,{big}\nz.png,{MD5},x,\n"
    else:
        text = json.dumps(items) if form == "json" else "\n".join(map(json.dumps, items))

    found = read(text, form)

    assert [r.path for r in rows(found)] == ["good.png", "z.png"]
    assert [f.line for f in found if isinstance(f, Refusal)] == [3 if form == "csv" else 2]


def test_a_ten_megabyte_xml_cell_costs_its_row_only():
    text = "".join(
        f"<row><path>{n}.png</path><md5>{MD5}</md5><annotation>{a}</annotation></row>\n"
        for n, a in [("a", "x"), ("b", "y" * 10_000_000), ("c", "x")]
    )

    found = read(f"<document>{text}</document>", "xml")

    assert [r.path for r in rows(found)] == ["a.png", "c.png"]
    assert [f[:2] for f in refusals(found)] == [(2, "annotation")]


@pytest.mark.parametrize("form", ["csv", "ndjson", "json"])
def test_a_byte_that_is_not_utf8_costs_its_row_only(form):
    texts = [b"".join(write_document([Row(f"{i}.png", MD5, "LABEL") for i in range(3)], form))]
    spoilt = texts[0].replace(b"LABEL", b"na\xefve", 2).replace(b"na\xefve", b"fine", 1)

    found = read(spoilt, form)

    assert [r.path for r in rows(found)] == ["0.png", "2.png"]
    assert refusals(found) == [
        ({"csv": 3, "ndjson": 2, "json": 2}[form], "annotation", "contains the byte 0xef, which is not UTF-8")
    ]


def test_an_odd_byte_at_the_end_of_utf16_costs_the_last_row_only():
    found = read(f"{HEAD}\na.png,{MD5},x\nb.png,{MD5},y".encode("utf-16") + b"z", "csv")

    assert [r.path for r in rows(found)] == ["a.png"]
    assert [(line, at) for line, at, _ in refusals(found)] == [(3, "annotation")]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (f"{HEAD}\n".encode("utf-16-le"), "UTF-16"),
        (f"{HEAD}\n".encode("utf-32"), "UTF-32"),
        (b"PK\x03\x04rest", "Excel"),
        (b"\x1f\x8b\x08rest", "gzip"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_what_is_no_text_is_called_by_its_name(data, problem):
    for form in ("csv", "json", "ndjson"):
        (only,) = refusals(read(data, form))
        assert problem in only[2]


CSV_HEADERS = [
    ("path,md5,annotation,a,A,a", "a", "twice"),
    ("path,md5,annotation,MD5", "md5", "twice"),
    ("path,md5,annotation,lux:int,lux:str", "lux", "twice"),
    ("path,,md5,annotation", "", "without a name"),
    ("path,md5,label", "annotation", "missing"),
    ("path,md5,annotation," + "x" * 200, "x" * 39 + "…", "200 characters"),
    ('path,md5,annotation,"a\nb"', "a\\nb", "U+000A"),
    ('path,md5,annotation,"never closed', "", "unexpected end"),
    ("", "path", "missing"),
]


@pytest.mark.parametrize(("header", "field", "problem"), CSV_HEADERS, ids=[h[:40] for h, _, _ in CSV_HEADERS])
def test_a_bad_csv_header_is_one_refusal(header, field, problem):
    (only,) = (
        refusals(read(f"{header}\na,b,c\n", "csv")) if header else refusals(read("", "csv")) or [(1, "path", "missing")]
    )

    assert only[1] == field
    assert problem in only[2]


BAD_RECORDS = [
    f"a.png,{MD5}",
    f"a.png,{MD5},x,1,surplus",
    f'a.png,{MD5},"never closed,1',
    f'a.png,{MD5},"closed"early,1',
    f'a.png,{MD5},"two\nlines",1,surplus',
    f"a.png,{MD5},x,one",
    f"a.png,{MD5},x,99999999999999999999",
    f"a.png,{MD5},x,9223372036854775808",
    f"a.png,{MD5},x,1.0",
    f'a.png,{MD5},"{{""type"": ""class""}}",1',
    f'a.png,{MD5},"{{""type"": ",1',
    f"a.png,{MD5},a\0b,1",
    f"../a.png,{MD5},x,1",
    ",,,1",
]


@pytest.mark.parametrize("bad", BAD_RECORDS)
def test_a_bad_csv_record_costs_itself_only(bad):
    after = [f'{i}.png,{MD5},"quoted, {i}",{i}' for i in range(5)]

    found = read("\n".join([HEAD + ",lux:int", f"good.png,{MD5},x,1", bad, *after]), "csv")

    assert [r.path for r in rows(found)] == ["good.png", *(f"{i}.png" for i in range(5))]
    assert refusals(found)[0][0] == 3
    assert len(refusals(found)) <= 1 + bad.count("\n")


def test_many_unclosed_quotes_cost_linear_time():
    bad = f'a.png,{MD5},"open'
    lines = [HEAD, *([bad] * 2_000), *(f"{i}.png,{MD5},x" for i in range(2_000))]

    found = read("\n".join(lines), "csv")

    assert len(rows(found)) == 2_000
    assert len(refusals(found)) == 2_000


XML_BOMBS = [
    '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><document>&b;</document>',
    '<!DOCTYPE d SYSTEM "file:///etc/passwd"><document/>',
    '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><document><row><path>&x;</path></row></document>',
    '<!DOCTYPE d [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]><document/>',
    "<!DOCTYPE document><document/>",
]


@pytest.mark.parametrize("bomb", XML_BOMBS)
def test_an_xml_document_type_is_refused_outright(bomb):
    assert refusals(read('<?xml version="1.0"?>' + bomb, "xml")) == [
        (1, "", "declares a document type or an entity; reading stopped here")
    ]


ROW = f"<row><path>%s.png</path><md5>{MD5}</md5><annotation>x</annotation>%s</row>\n"
BAD_ROWS = [
    ("<size>many</size>", "size"),
    ('<column name="lux" type="int">one</column>', "lux"),
    ('<column name="lux" type="integer">1</column>', "lux"),
    ('<column name="o" type="json">{"a": NaN}</column>', "o.a"),
    ('<column name="o" type="json">{</column>', "o"),
    ("<column>1</column>", "column"),
    ('<column name="path">b.png</column>', "path"),
    ("<lux><unit>lm</unit></lux>", "lux"),
    ("<lux unit='lm'>1</lux>", "lux"),
    ("loose text", ""),
    ("".join(f"<c{i}>1</c{i}>" for i in range(300)), ""),
]


@pytest.mark.parametrize(("bad", "field"), BAD_ROWS, ids=[b[:40] for b, _ in BAD_ROWS])
def test_a_bad_xml_row_costs_itself_only(bad, field):
    found = read(f"<document>\n{ROW % ('a', '')}{ROW % ('b', bad)}{ROW % ('c', '')}</document>", "xml")

    assert [r.path for r in rows(found)] == ["a.png", "c.png"]
    assert [(line, at) for line, at, _ in refusals(found)] == [(3, field)]


@pytest.mark.parametrize(
    "tail",
    [
        "<row><path>",
        "</row>",
        "&undefined;",
        "\x01",
        "<row " + "a" * 9_000_000,
        "<a>" * 100,
        "<row><path a='1' a='2'/></row>",
    ],
)
def test_xml_that_breaks_keeps_the_rows_before_and_says_that_reading_stopped(tail):
    found = read(f"<document>\n{ROW % ('a', '')}{ROW % ('b', '')}{tail}", "xml")

    assert [r.path for r in rows(found)] == ["a.png", "b.png"]
    assert refusals(found)[-1][2].endswith("reading stopped here")


@pytest.mark.parametrize("encoding", ["x-unknown", "idna", "shift_jis"])
def test_xml_in_a_strange_encoding_is_refused(encoding):
    (only,) = refusals(read(f'<?xml version="1.0" encoding="{encoding}"?><document/>', "xml"))

    assert "reading stopped here" in only[2]


@pytest.mark.parametrize("end", ["", ",", ', {"path": "b.pn'])
def test_a_list_that_is_cut_off_says_so(end):
    found = read(f"[{json.dumps(GOOD.as_json())}{end}", "json")

    assert rows(found) == [GOOD]
    assert refusals(found)[-1][0] == 1 + end.count("{")
    assert "cut off" in refusals(found)[-1][2]


def test_what_follows_a_list_is_refused():
    found = read(f"[{json.dumps(GOOD.as_json())}] [1]", "json")

    assert rows(found) == [GOOD]
    assert refusals(found) == [(2, "", "stands after the end of the list")]


@pytest.mark.parametrize("form", list(Form))
def test_a_repeated_row_is_reported_with_the_first(form):
    other = Row("a.png", "f" * 32, "x")
    data = b"".join(write_document([GOOD, other, Row("good.png", MD5, "y"), Row("b.png", MD5, "x")], form))

    found = read(data, form)

    assert [r.path for r in rows(found)] == ["good.png", "a.png", "b.png"]
    ((line, field, problem),) = refusals(found)
    offset = {"csv": 1, "xml": 2}.get(form, 0)
    assert (line, field) == (3 + offset, "path")
    assert problem == f"repeats line {1 + offset} (same MD5 and path)"


@pytest.mark.parametrize("form", list(Form))
def test_a_long_document_with_one_bad_row_takes_little_memory(form):
    count, bad = 20_000, 6_789

    def chunks():
        def items():
            for i in range(count):
                yield Row("../x.png" if i == bad else f"{i}.png", MD5, "sad", extra={"lux": i, "place": "tunnel"})

        return write_document(items(), form)

    class Piped(io.RawIOBase):
        def __init__(self):
            self.source, self.rest = chunks(), b""

        def readable(self):
            return True

        def readinto(self, buffer):
            while not self.rest and (piece := next(self.source, None)) is not None:
                self.rest = piece
            size = min(len(self.rest), len(buffer))
            buffer[:size], self.rest = self.rest[:size], self.rest[size:]
            return size

    list(read_document(io.BytesIO(b"".join(chunks())), form))  # what is made once is made now
    gc.collect()
    tracemalloc.start()
    good, refused = 0, []
    for found in read_document(Piped(), form):
        if isinstance(found, Row):
            good += 1
        else:
            refused.append(found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert good == count - 1
    assert [(r.field, r.value) for r in refused] == [("path", "../x.png")]
    # The spool of a CSV stays in memory up to 8 MiB; a list of the rows would take 16 MB. Whatever else the process
    # allocates meanwhile counts too: 8.9 MB were seen in a run of many tests, less than 3 MB alone.
    assert peak < 13 << 20


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(Form)), st.binary(max_size=300))
def test_any_bytes_give_rows_or_refusals(form, data):
    for found in read(data, form):
        assert isinstance(found, Row | Refusal)


SAMPLES = {
    f: b"".join(write_document([Row("a.png", MD5, "x", extra={"n": 1, "t": 'q"uo\nte'}), GOOD], f)) for f in Form
}


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(list(Form)), st.data())
def test_a_document_damaged_anywhere_gives_rows_or_refusals(form, data):
    sample = bytearray(SAMPLES[form])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(sample)))
        sample[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=4))

    for found in read(bytes(sample), form):
        assert isinstance(found, Row | Refusal)
        if isinstance(found, Refusal):
            assert found.line >= 1
            assert found.problem
