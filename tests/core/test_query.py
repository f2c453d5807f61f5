"""The query language as a person meets it: reading, answers to mistakes, completion, narrowing."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from mlife.core import query as q
from mlife.core.errors import Misconfigured
from tests.core import query_rows as table

EVERYTHING = (
    'function:digit status:open version>=1.4 -priority:low "thin stroke" truth:9 (client:fleet-7 OR client:lab)'
    " owner:none first_seen>7d observed:2026-11-01..2026-11-24"
)
ROW = dict.fromkeys(["name", "severity", "done", "rate", "seen", "seen_text", "seen_number", "version", "version_key"])
ROW |= {"count": 0, "clients": []}


def found(engine: Engine, text: str) -> list[int]:
    condition = q.compile_query(q.parse(text), table.THINGS, table.NOW)
    with engine.connect() as connection:
        return list(connection.execute(select(table.c.id).where(condition).order_by(table.c.id)).scalars())


def refusal(text: str) -> q.QueryError:
    with pytest.raises(q.QueryError) as refused:
        q.compile_query(q.parse(text), table.THINGS, table.NOW)
    return refused.value


def test_a_query_of_everything_is_its_own_normal_form():
    assert str(q.parse(EVERYTHING)) == EVERYTHING


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("  a   AND b ", "a b"),
        ("a b OR c", "a b OR c"),
        ("a (b OR c)", "a (b OR c)"),
        ("NOT(a b) ((c))", "-(a b) c"),
        ("NOT -a", "a"),
        ("stars:>=5 n=1", "stars>=5 n:1"),
        ('"thin" "none" owner:"none" owner:NONE', 'thin none owner:"none" owner:none'),
        ('"a:b" "-x" "OR" "a*" a* "thin str"*', '"a:b" "-x" "OR" "a*" a* "thin str"*'),
        (r'"say \"hi\"" "C:\new" "end\\"', r'"say \"hi\"" "C:\new" end\\'.replace(r"end\\", "end\\")),
        ("9→4 10:30 http", "9→4 10:30 http"),
        ("", ""),
    ],
)
def test_each_spelling_has_one_normal_form(typed, normal):
    assert str(q.parse(typed)) == normal


def test_every_node_knows_where_it_was_typed():
    ast = q.parse('count>1 (name:"a b",c* OR -thin)')
    assert isinstance(ast, q.And)
    term, choice = ast.children
    assert isinstance(term, q.Term)
    assert isinstance(choice, q.Or)
    name = choice.children[0]
    assert isinstance(name, q.Term)

    assert (term.name_span.word, name.span.word, [v.span.word for v in name.values], choice.children[1].span.word) == (
        "count",
        'name:"a b",c*',
        ['"a b"', "c*"],
        "-thin",
    )


@pytest.mark.parametrize(
    ("typed", "word", "answer"),
    [
        ("x AND (a", "(", 'write the ")"'),
        ("a b)", ")", "closes nothing"),
        ("()", ")", "write something between"),
        ('a "b', '"', "never closed"),
        ("name:", "", "a value must follow name:"),
        ("severity:minor, major", "", "a value must follow severity:minor,"),
        ("count > 5", ">", "without spaces"),
        ("count>1,2", "1,2", "compares with one value"),
        ("count>1..2", "1..2", "compares with one value"),
        ("count:1..2..3", "1..2..3", "not a range"),
        ("count==1", "=", "no such operator"),
        ("name:(a OR b)", "(", "write name:one,two"),
        ("name:a(b)", "(", "no space after"),
        ("name:*", "*", "name:any"),
        ("a - b", "-", "without a space"),
        ("a OR", "", "the query ends"),
        ("OR a", "OR", "must stand between two terms"),
        ("f*o", "*", "end of a word only"),
        ('""', '""', "nothing to look for"),
        ("a\x00", "\x00", "remove it"),
        ("(" * 21 + "a" + ")" * 21, "(", "nest less deeply"),
        ("a " * 101, "a", "more than 100"),
        ("count:" + ",".join("1" * 101), "1", "more than 100"),
        ("a" * 2001, "a", "at most 2,000"),
        ("serevity:minor", "serevity", "did you mean severity?"),
        ("xyz:1", "xyz", "fields are name, severity, done, count, rate, seen"),
        ("see http://host/a:b", "http", 'write "http://host/a:b" in quotes'),
        ("severity:majr", "majr", "did you mean major? It is one of minor, major, critical"),
        ("severity:x*", "x*", "one of minor, major, critical"),
        ("severity:critical..minor", "critical..minor", "write severity:minor..critical"),
        ("done:maybe", "maybe", "write done:yes"),
        ("name>a", "name>a", "use one of : !="),
        ("name:a..b", "a..b", 'in quotes ("a..b")'),
        ("count:many", "many", "count is a number"),
        ("count:1..x", "x", "count is a number"),
        ("count:nan", "nan", "count is a number"),
        ("count:5*", "5*", "takes no word with *"),
        ("count:9..1", "9..1", "write count:1..9"),
        ("seen:soon", "soon", "today, yesterday, now, or an age"),
        ("seen:2026-02-30", "2026-02-30", "not in the calendar"),
        ("seen:0000..", "0000", "not in the calendar"),
        ("seen>999999w", "999999w", "not in the calendar"),
        ("seen:7m", "7m", "30min, 12h, 7d, 2w"),
        ("seen:7d..14d", "7d..14d", "write seen:14d..7d"),
        ("seen:2026-*", "2026-*", "2026-11 is a month"),
        ("version>nightly", "nightly", "no number to compare by"),
        ("version:1.4*", "1.4*", "write version:1.4.*"),
    ],
)
def test_a_mistake_is_answered_at_its_word_with_what_would_be_right(typed, word, answer):
    error = refusal(typed)

    assert error.word == word
    assert typed[error.position :].startswith(word)
    assert answer in str(error)


def test_the_pointer_stands_below_the_word_even_after_wide_characters():
    assert refusal("字:1\tx").pointer() == "字:1 x\n^^"
    assert refusal("漢字\tcout:1").pointer() == "漢字 cout:1\n     ^^^^"


def test_without_full_text_a_word_is_answered_with_the_fields():
    silent = q.Searchable("things", table.c.id, [q.Field("count", table.c.count, "number", "How often.")])
    with pytest.raises(q.QueryError, match=r"no full text to look for thin in .* fields are count"):
        q.compile_query(q.parse("count:1 thin"), silent, table.NOW)


def test_words_side_by_side_are_looked_up_together():
    asked = []

    def matcher(words):
        asked.append([str(w) for w in words])
        return table.c.id > 0

    searchable = q.Searchable("things", table.c.id, table.THINGS.fields, text=matcher)
    q.compile_query(q.parse('thin count:1 "a b" st* (x OR y)'), searchable, table.NOW)

    assert sorted(asked) == [["thin", '"a b"', "st*"], ["x"], ["y"]]


def test_values_reach_the_database_as_parameters_only():
    attack = "'; DROP TABLE things; --"
    compiled = q.compile_query(q.parse(f'name:"{attack}","{attack}"* "{attack}"'), table.THINGS, table.NOW).compile()

    assert "DROP" not in str(compiled)
    assert attack in compiled.params.values()


def test_a_prefix_is_looked_up_in_the_index(sqlite_engine):
    condition = q.compile_query(q.parse("name:thin*"), table.THINGS, table.NOW)
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS by_name ON things (name)")
        statement = select(table.c.id).where(condition).compile(sqlite_engine, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]

    assert plan == ["SEARCH things USING COVERING INDEX by_name (name>? AND name<?)"]


def test_versions_compare_as_people_count(engine):
    named = [v for same in table.VERSIONS for v in same]
    table.fill(engine, [ROW | {"id": i, "version_key": q.version_key(v)} for i, v in enumerate(named, 1)])
    for version, op in itertools.product([v for v in named if v != "nightly"], [":", "<", "<=", ">", ">="]):
        node = q.Term("version", op, (q.Exact(version),))
        expected = [i for i, v in enumerate(named, 1) if table.matches(node, {"version": v})]
        assert found(engine, str(node)) == expected, node
    for family in ("0.", "1.", "1.0.", "1.4.", "1.1.", "2.", "2.3.0.", "10."):
        node = q.Term("version", ":", (q.Prefix(family),))
        expected = [i for i, v in enumerate(named, 1) if table.matches(node, {"version": v})]
        assert expected
        assert found(engine, str(node)) == expected, node


def test_version_keys_hold_digits_and_letters_only_so_that_every_collation_sorts_them_alike():
    keys = [q.version_key(same[0]) for same in table.VERSIONS]

    assert keys == sorted(keys)
    assert all(key.isalnum() and key.isascii() for key in keys)
    assert q.version_key("1.10-rc1") == "501150210" + "1" + "2rc" + "1011"
    assert q.version_key("") == "0"
    assert q.version_key("9" * 150) < q.version_key("9" * 150 + ".1")


def test_dates_mean_the_stretch_that_they_name_to_the_microsecond(engine):
    near = sorted(
        {e + timedelta(microseconds=d) for pair in table.DATES.values() for e in pair if e for d in (-1, 0, 1)}
    )
    table.fill(engine, [ROW | _seen(m) | {"id": i} for i, m in enumerate(near, 1)])
    for date, op, name in itertools.product(
        table.DATES, [":", "!=", "<", "<=", ">", ">="], ["seen", "seen_text", "seen_number"]
    ):
        node = q.Term(name, op, (q.Exact(date),))
        expected = [i for i, m in enumerate(near, 1) if table.matches(node, {name: m, "seen": m})]
        assert found(engine, str(node)) == expected, node


def _seen(moment: datetime) -> dict[str, Any]:
    whole = moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)
    return {"seen": moment, "seen_text": q.moment_text(moment), "seen_number": whole // timedelta(microseconds=1)}


def test_a_clock_without_a_time_zone_is_refused():
    with pytest.raises(Misconfigured, match="without a time zone"):
        q.compile_query(q.parse("seen:today"), table.THINGS, table.NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("query", "field", "value", "narrowed"),
    [
        ("", "name", "thin stroke", 'name:"thin stroke"'),
        ("thin", "count", 3, "thin count:3"),
        ("name:a thin", "name", "b", "name:b thin"),
        ("title:a thin", "name", "b", "name:b thin"),
        ("(name:a OR name:b) -name:c x", "name", "b", "name:b x"),
        ("(name:a OR count:1)", "name", "b", "(name:a OR count:1) name:b"),
        ("a OR b", "name", "c", "(a OR b) name:c"),
        ("", "name", "none", 'name:"none"'),
        ("", "name", None, "name:none"),
        ("", "done", True, "done:yes"),
        ("", "severity", ["minor", "major"], "severity:minor,major"),
        ("seen>7d", "seen", q.Range("2026-11-16", "2026-11-22"), "seen:2026-11-16..2026-11-22"),
        ("", "seen", table.NOW, "seen:2026-11-24T12:30:00Z"),
    ],
)
def test_a_figure_links_to_the_query_narrowed_to_it(query, field, value, narrowed):
    assert q.narrow(query, field, value, searchable=table.THINGS) == narrowed
    assert q.narrow(narrowed, field, value, searchable=table.THINGS) == narrowed


@pytest.mark.parametrize(
    ("query", "freed"),
    [
        ("name:a thin", "thin"),
        ("title:a", ""),
        ("(name:a OR count:1) x", "x"),
        ("(name:a count:1) OR (name:b count:2)", "count:1 OR count:2"),
        ("-(name:a count:1)", ""),
        ("-(name:a OR count:1)", "-count:1"),
    ],
)
def test_a_chip_taken_away_leaves_the_rest(query, freed):
    assert q.without(query, "name", searchable=table.THINGS) == freed


@pytest.mark.parametrize(
    ("typed", "offers"),
    [
        (
            "",
            [
                "name:",
                "severity:",
                "done:",
                "count:",
                "rate:",
                "seen:",
                "seen_text:",
                "seen_number:",
                "version:",
                "client:",
            ],
        ),
        ("x (se", ["severity:", "seen:", "seen_text:", "seen_number:"]),
        ("-ti", ["name:"]),
        ("count", [":", "!=", "<", "<=", ">", ">="]),
        ("name", [":", "!="]),
        ("severity:", ["minor", "major", "critical", "any", "none"]),
        ("severity:minor,m", ["minor", "major"]),
        ("severity>=m", ["minor", "major"]),
        ("title:n", ["none"]),
        ("seen>", ["today", "yesterday", "7d", "2w"]),
        ("a O", ["OR "]),
        ('"severity:', []),
        ("nothing:", []),
    ],
)
def test_the_box_offers_what_can_be_typed_next(typed, offers):
    completions = q.complete(typed + " rest", len(typed), table.THINGS)

    assert [o.insert for o in completions] == offers
    for offer in completions:
        assert (typed[: offer.start] + offer.insert).startswith(typed[: offer.start])
        assert offer.end == len(typed)


def test_help_shows_for_every_field_an_example_that_works():
    shown = q.fields_help(table.THINGS)

    assert [h.name for h in shown] == [f.name for f in table.THINGS.fields]
    for help_row in shown:
        q.compile_query(q.parse(help_row.example), table.THINGS, table.NOW)
    assert [h.name for h in shown if not h.sortable] == ["client"]
    assert next(h for h in shown if h.name == "severity").choices == table.SEVERITIES


def test_a_wrong_declaration_is_refused_when_it_is_made():
    with pytest.raises(Misconfigured, match="can't name a field"):
        q.Field("two words", table.c.name, "text", "")
    with pytest.raises(Misconfigured, match="give choices"):
        q.Field("name", table.c.name, "choice", "")
    with pytest.raises(Misconfigured, match="two fields named name"):
        q.Searchable("things", table.c.id, [table.THINGS.fields[0]] * 2)
