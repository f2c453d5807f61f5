"""docs/query.md says what is so."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import get_args

import pytest
from sqlalchemy import Boolean, Column, DateTime, Integer, MetaData, Table, Text, create_engine, select

from mlife.core import query as q
from mlife.core.query import fields, paging, parser
from mlife.core.query.nodes import Operator
from tests.core.query_rows import NOW

PAGE = (Path(__file__).parents[2] / "docs" / "query.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE) + re.findall(r"```query\n(.+?)\n```", PAGE)
MISTAKES = re.findall(r"```mistake\n(.+?)\n```", PAGE, re.DOTALL)

TABLE = Table("badcases", MetaData(), Column("id", Text, primary_key=True))
KINDS: dict[str, fields.Kind] = {
    "function": "text",
    "status": "choice",
    "version": "version",
    "priority": "choice",
    "truth": "text",
    "client": "text",
    "owner": "text",
    "reports": "number",
    "regressed": "flag",
    "first_seen": "date",
    "observed": "date",
    "muted_until": "date",
}
CHOICES = {"status": ("new", "open", "closed"), "priority": ("low", "medium", "high")}
TYPES = {"number": Integer(), "flag": Boolean(), "date": DateTime()}
for name, kind in KINDS.items():
    TABLE.append_column(Column(name, TYPES.get(kind, Text())))
BADCASES = q.Searchable(
    name="badcases",
    key=TABLE.c.id,
    fields=[
        q.Field(name, TABLE.c[name], kind, "", choices=CHOICES.get(name), ordered=name == "priority")
        for name, kind in KINDS.items()
    ],
    text=q.contains_text(TABLE.c.function),
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_of_the_page_runs(example):
    engine = create_engine("sqlite://")
    TABLE.metadata.create_all(engine)
    with engine.connect() as connection:
        page = q.page(select(TABLE.c.id), BADCASES, example, now=NOW, sort="-priority,first_seen")
        assert page.cut(connection.execute(page.select).all()).items == []
    engine.dispose()


@pytest.mark.parametrize("shown", MISTAKES)
def test_a_mistake_of_the_page_is_answered_as_it_says(shown):
    with pytest.raises(q.QueryError) as refused:
        q.compile_query(q.parse(shown.partition("\n")[0]), BADCASES, NOW)
    assert f"{refused.value.pointer()}\n{refused.value}" == shown


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("function=digit", "function:digit"),
        ("NOT status:closed", "-status:closed"),
        ("thin AND stroke", "thin stroke"),
        ("thin OR thick status:new", "thin OR (thick status:new)"),
    ],
)
def test_spellings_that_the_page_calls_the_same_are_the_same(one, other):
    assert one in PAGE or other in PAGE
    assert q.parse(one) == q.parse(other)


def test_the_page_names_every_operator_kind_and_limit():
    assert len(EXAMPLES) > 25
    assert len(MISTAKES) == 2
    assert all(operator in PAGE for operator in get_args(Operator))
    kinds = PAGE.split("Kinds are ")[1].split(". ")[0]
    assert set(re.findall(r"\w+", kinds)) - {"and"} == set(get_args(fields.Kind))
    limits = PAGE.split("## Limits")[1]
    for limit in (parser.MAX_CHARACTERS, parser.MAX_DEPTH, parser.MAX_TERMS):
        assert f"{limit:,}" in limits
    assert f"1 to {paging.MAX_LIMIT}" in PAGE


def real_lists():
    """Everything that the installed features let be asked, by name."""
    rooms = [import_module(f"mlife.{feature}.views") for feature in ("badcases", "data", "training", "serving")]
    inside = [import_module(f"{r.__name__}.{m.name}") for r in rooms for m in iter_modules(getattr(r, "__path__", []))]
    return {v.name: v for room in (*rooms, *inside) for v in vars(room).values() if isinstance(v, q.Searchable)}


def test_the_page_names_every_field_of_every_list():
    told = {
        name: set(re.findall("`(.+?)`", row))
        for name, row in re.findall(r"^\| (\w+) \| `/.+? \| (.+) \|$", PAGE, re.MULTILINE)
    }
    assert told == {name: {field.name for field in asked.fields} for name, asked in real_lists().items()}


def test_the_page_names_every_status_of_a_badcase():
    statuses = next(field.choices for field in real_lists()["badcases"].fields if field.name == "status")
    assert statuses
    assert all(f"`{status}`" in PAGE for status in statuses)
