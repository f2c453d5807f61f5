"""Documents keep everything, with its type, through every form."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlife.core.errors import Invalid, Refusal
from mlife.data.formats import Form, Row, check_row, form_of, read_document, write_document

MD5 = "0cc175b9c0f1b6a831c399e269772661"
FORMS = list(Form)

words = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\ufffe\uffff"), max_size=12
)
AWKWARD = [
    *["", " ", "null", "true", "007", "1.10", "{}", "[1]", '"', '""', "a,b;c", "\r\n", " \n", "\x85", "\ufeff"],
    *["=1+1", "'=1", "''-x", "+", "-5", "@a", "\t=", "＝x", "\\N", "\\E", "\\"],
    *["\x01\x1f", "\ufffe", "]]>", "&amp;", "<row>"],
]
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), st.sampled_from(AWKWARD)
)
numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(texts, v, max_size=3)), max_leaves=6
)
labels = st.one_of(words.filter(lambda w: w and w == w.strip()), st.sampled_from(["=x", "-1", '"', "{a", '"a"', "7"]))
annotations = st.one_of(
    st.none(),
    labels,
    st.builds(
        lambda label, more: {**more, "type": "class", "label": label},
        labels,
        st.dictionaries(texts, values, max_size=2),
    ),
    st.builds(lambda v: {"type": "vector", "values": v}, st.lists(numbers, max_size=4)),
    st.builds(lambda t: {"type": "text", "text": t}, texts),
)
md5s = st.text("0123456789abcdef", min_size=32, max_size=32)


def is_free_name(name: str) -> bool:
    row = check_row({"path": "a", "md5": MD5, "annotation": None, name: 1})
    return isinstance(row, Row) and name in row.extra


names = st.one_of(words, st.sampled_from(["=name", "a:int", "a:b:json", "column", "'@", "lux", "x:STR", "row"])).filter(
    is_free_name
)
loose_rows = st.fixed_dictionaries(
    {"path": st.one_of(st.just("a/b.png"), words.map(lambda w: f"x/{w}.png")), "md5": md5s, "annotation": annotations},
    optional={
        "sha256": st.text("0123456789abcdef", min_size=64, max_size=64),
        "size": st.integers(0, 2**63 - 1),
        "media_type": st.sampled_from(["image/png", "audio/x-wav"]),
        "file_type": words,
        "collection_place": words,
        "captured_at": st.sampled_from(["2026-11-24T03:00:00Z", "1999-12-31 23:59:59.123456+08:00", "2020-02-29"]),
        "sequence": words,
        "prelabel": annotations,
        "prelabel_model": words,
        "labelled_by": words,
        "labelled_at": st.just("2026-11-24T03:00:00.5Z"),
    },
)


def documents() -> st.SearchStrategy[list[Row]]:
    """Rows as a program would make them, checked, no two alike."""

    def build(parts: list[tuple[dict[str, object], dict[str, object]]]) -> list[Row]:
        rows = [check_row({**free, **known}) for known, free in parts]
        return list({(r.path, r.md5): r for r in rows if isinstance(r, Row)}.values())

    return st.lists(st.tuples(loose_rows, st.dictionaries(names, values, max_size=4)), max_size=6).map(build)


def written(rows: Iterable[Row], form: Form) -> bytes:
    return b"".join(write_document(rows, form))


def read(data: bytes, form: Form | str) -> list[Row | Refusal]:
    return list(read_document(io.BytesIO(data), form))


def one(data: bytes | str, form: str) -> Row | Refusal:
    found = read(data.encode() if isinstance(data, str) else data, form)
    assert len(found) == 1, found
    return found[0]


@settings(max_examples=150, deadline=None)
@given(documents(), st.lists(st.sampled_from(FORMS), min_size=1, max_size=4))
def test_a_document_survives_any_chain_of_forms(rows, chain):
    current = rows
    for form in chain:
        current = read(written(current, form), form)

    assert current == rows
    # Equality alone would let True pass for 1 and 1 for 1.0.
    assert [repr(sorted(r.extra.items())) for r in current] == [repr(sorted(r.extra.items())) for r in rows]
    assert [repr(r.annotation) for r in current] == [repr(r.annotation) for r in rows]


@pytest.mark.parametrize(("first", "second"), [*itertools.product(FORMS, FORMS)])
def test_every_pair_of_forms_keeps_every_type(first, second):
    extra = {"s": "007", "i": 7, "f": 7.0, "b": True, "n": None, "o": {"a": [1, 2.5, None, "x"]}, "e": ""}
    box = {"type": "boxes", "boxes": [{"label": "mask", "x": 1, "y": 2.5, "width": 3, "height": 4, "occluded": True}]}
    rows = [
        Row("a.png", MD5, "sad", size=3, extra=extra),
        Row(
            "b.png", MD5, box, prelabel={"type": "class", "label": "sad", "score": 1}, extra={"s": "=cmd|' /C calc'!A0"}
        ),
        Row("c.png", MD5, None, extra={"s": None, "i": "seven", "f": -0.5, "other": []}),
    ]

    again = read(written(read(written(rows, first), first), second), second)  # type: ignore[arg-type]

    assert again == rows
    assert [repr(r.extra) for r in again] == [
        repr({k: r.extra[k] for k in a.extra}) for r, a in zip(rows, again, strict=True)
    ]


@pytest.mark.parametrize("form", FORMS)
def test_rows_that_can_be_read_only_once_are_written_too(form):
    rows = [Row(f"{i}.png", MD5, "x", extra={f"c{i}": i}, line=i) for i in range(3)]

    assert written(iter(rows), form) == written(rows, form)


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_document_has_no_rows(form):
    assert read(written([], form), form) == []


def test_a_spreadsheets_csv_reads_as_its_maker_meant_it():
    text = (
        "\ufeffsep=;\r\nPath;MD5;Annotation;Collection place;lux;night;serial;version;temp;;\r\n"
        f"img\\1.jpg;{MD5.upper()}; sad ;tunnel;12;TRUE;007;1.10;21.5;;\r\n"
        f"./img//2.jpg;{MD5};;;;FALSE;12;2.0;-3;;\r\n;;;;;;;;;;\r\n"
    )

    assert read(text.encode(), "csv") == [
        Row("img/1.jpg", MD5, "sad", collection_place="tunnel",
            extra={"lux": 12, "night": True, "serial": "007", "version": "1.10", "temp": 21.5}),
        Row("img/2.jpg", MD5, None, extra={"night": False, "serial": "12", "version": "2.0", "temp": -3}),
    ]  # fmt: skip


def test_a_column_becomes_numbers_only_if_every_cell_would_be_written_back_as_it_is():
    head = "path,md5,annotation,a,b,c,d,e,f\n"
    rows = [
        f"{i}.png,{MD5},x,{cells}\n"
        for i, cells in enumerate(["1,1,1e5,9223372036854775807,true,1.5", "2,x,2,9223372036854775808,1,"])
    ]

    found = read((head + "".join(rows)).encode(), "csv")

    assert [r.extra for r in found if isinstance(r, Row)] == [
        {"a": 1, "b": "1", "c": "1e5", "d": "9223372036854775807", "e": "true", "f": 1.5},
        {"a": 2, "b": "x", "c": "2", "d": "9223372036854775808", "e": "1"},
    ]


def test_a_person_may_declare_the_kind_of_a_column():
    row = one(f'path,md5,annotation,v:STR,w:float,j:json\na.png,{MD5},x,12,12,"[1,""a""]"\n', "csv")

    assert isinstance(row, Row)
    assert repr(row.extra) == repr({"v": "12", "w": 12.0, "j": [1, "a"]})


def test_csv_from_a_stream_that_cannot_seek_is_read_the_same():
    class Socket(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.rest = data

        def readable(self) -> bool:
            return True

        def readinto(self, buffer) -> int:
            piece, self.rest = self.rest[:7], self.rest[7:]
            buffer[: len(piece)] = piece
            return len(piece)

    data = f"path,md5,annotation,lux\na.png,{MD5},x,12\n".encode()

    assert list(read_document(Socket(data), "csv")) == [Row("a.png", MD5, "x", extra={"lux": 12})]


def test_formulas_are_text_to_a_spreadsheet():
    rows = [Row("=cmd.png", MD5, "@sum", labelled_by="+49", extra={"=n": "=cmd|' /C calc'!A0", "neg": -5, "t": "'=x"})]

    header, line = written(rows, Form.CSV).decode().splitlines()

    assert line == f"'=cmd.png,{MD5},'@sum,'+49,'=cmd|' /C calc'!A0,-5,''=x"
    assert header == "path,md5,annotation,labelled_by,'=n:str,neg:int,t:str"
    assert read(written(rows, Form.CSV), "csv") == rows


def test_other_programs_xml_is_read():
    text = f'<images><image path="a.png" md5="{MD5}"><annotation>sad</annotation><lux>12</lux></image></images>'

    assert one(text, "xml") == Row("a.png", MD5, "sad", extra={"lux": "12"})


def test_json_may_be_an_array_or_lines():
    row = {"path": "a.png", "md5": MD5, "annotation": "x"}

    assert (
        one(json.dumps(row), "json") == one(json.dumps([row], indent=2), "json") == one(f"\n {json.dumps(row)}", "json")
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", FORMS)
def test_byte_order_marks_and_utf_16_are_understood(form, encoding):
    rows = [Row("größe/笑.png", MD5, "fröhlich 😀")]
    text = written(rows, form).decode()
    if encoding.startswith("utf-16"):
        text = text.replace('encoding="UTF-8"', 'encoding="UTF-16"')
    mark = "\ufeff" if encoding in {"utf-16-le", "utf-16-be"} else ""

    assert read((mark + text).encode(encoding), form) == rows


def test_lines_may_end_as_on_any_system():
    for end in ("\n", "\r\n", "\r"):
        text = end.join(["path,md5,annotation", f"a.png,{MD5},x", f"b.png,{MD5},y"])
        assert read(text.encode(), "csv") == [Row("a.png", MD5, "x"), Row("b.png", MD5, "y")]


def test_values_are_made_uniform():
    values = {
        "path": "./a\\b//c.png",
        "md5": MD5.upper(),
        "annotation": " sad ",
        "sha256": "sha256:" + "AB" * 32,
        "captured_at": "2026-11-24 03:00:00.25+08:00",
        "labelled_at": "2026-11-24",
        "collection_place": "  ",
    }

    assert check_row(values) == Row(
        "a/b/c.png",
        MD5,
        "sad",
        "ab" * 32,
        captured_at="2026-11-23T19:00:00.250000Z",
        labelled_at="2026-11-24T00:00:00Z",
    )


@pytest.mark.parametrize("link", ["s3://cam/8841.jpg", "https://host/a.png?x=1", "gs://b/c d.png"])
def test_links_to_stores_are_paths(link):
    row = check_row({"path": link, "md5": MD5, "annotation": None})

    assert isinstance(row, Row)
    assert row.path == link


def test_the_form_is_told_by_a_name_or_a_media_type():
    told = [form_of(n) for n in ["a.CSV", "x/y.tsv", "a.json", "a.jsonl", "ndjson", "a.xml", "text/csv; charset=utf-8"]]

    assert told == ["csv", "csv", "json", "ndjson", "ndjson", "xml", "csv"]
    with pytest.raises(Invalid, match="picture"):
        form_of("picture.png")
