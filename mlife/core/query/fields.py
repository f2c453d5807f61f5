"""What can be asked: a feature declares its fields once, in its `views.py`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, and_, func, or_

from mlife.core.errors import Misconfigured
from mlife.core.query.nodes import Text
from mlife.core.query.problem import QueryError, Span

Kind = Literal["text", "choice", "flag", "number", "date", "version", "free"]
Matcher = Callable[[Sequence[Text]], ColumnElement[bool]]

_NAME = re.compile(r"[^\W\d][\w.-]*")
_EQUAL = (":", "!=")
_ORDERED = (":", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True)
class Counted:
    """A small table of values: the *value*, how many rows have it (an aggregate), and which rows of it count."""

    value: ColumnElement[Any]
    count: ColumnElement[Any]
    which: ColumnElement[bool] | None = None


@dataclass(frozen=True)
class Field:
    """
    One thing that can be asked about.

    Args:
        name: lower case; letters of any script, digits, `_`, `.` and `-`.
        column: what it compares with. A "version" compares with the column that holds `version_key`. A "date" column
            may be a DateTime, text in the fixed form of `moment_text`, or microseconds since 1970 as an integer.
        kind: how values are read and compared.
        help: one sentence for a person, without the name.
        choices: the only values of a "choice".
        aliases: other names.
        ordered: the choices are listed from the lowest, and can be compared.
        order: what to sort by instead of *column*, e.g. the rank of an ordered choice.
        via: for a column of another table: turns the condition on it into a condition on the row, e.g.
            `lambda c: badcases.c.id.in_(select(reports.c.badcase_id).where(c))`. Such a field does not sort.
        counted: where the values that there are, are counted for a completion box; without it the rows are.
        amount, moment: of a "free" field, whose type the data says: where its numbers and its dates are, to be compared
            in order; *column* has every value as text.
    """

    name: str
    column: ColumnElement[Any]
    kind: Kind
    help: str
    choices: tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ()
    ordered: bool = False
    order: ColumnElement[Any] | None = None
    via: Callable[[ColumnElement[bool]], ColumnElement[bool]] | None = None
    amount: ColumnElement[Any] | None = None
    moment: ColumnElement[Any] | None = None
    counted: Counted | None = None

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not _NAME.fullmatch(name) or name != name.lower():
                raise Misconfigured(f"{name!r} can't name a field", remedy="use lower case, digits and _ . -")
        if (self.kind == "choice") != bool(self.choices):
            raise Misconfigured(f"field {self.name} is a {self.kind}", remedy="give choices to a choice and only to it")

    @property
    def operators(self) -> tuple[str, ...]:
        return _ORDERED if self.kind in {"number", "date", "version", "free"} or self.ordered else _EQUAL

    @property
    def sortable(self) -> bool:
        return self.via is None

    @property
    def sort_column(self) -> ColumnElement[Any]:
        return self.column if self.order is None else self.order


@dataclass(frozen=True)
class Searchable:
    """
    A table that can be searched.

    Args:
        name: plural, as in the URL; a cursor belongs to it.
        key: unique and never null; the last word when rows are equal.
        fields: in the order in which help shows them.
        text: turns the words of full text, all of which must be found, into a condition that is never null; None when
            there is no full text.
        default_sort: used when nobody asks for another.
        shown: which rows lists show; None: all.
        large: too many rows to count values by reading them: only `counted` ones are told.
        families: beginning of a name, such as `field.` → the field of a name that begins so, for names that people
            make.
    """

    name: str
    key: ColumnElement[Any]
    fields: Sequence[Field]
    text: Matcher | None = None
    default_sort: str = ""
    shown: ColumnElement[bool] | None = None
    large: bool = False
    families: Mapping[str, Callable[[str], Field]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [n for f in self.fields for n in (f.name, *f.aliases)]
        if doubled := sorted({n for n in names if names.count(n) > 1}):
            raise Misconfigured(f"{self.name} has two fields named {', '.join(doubled)}", remedy="rename one")

    def field(self, name: str) -> Field | None:
        """The field of that name or alias, in any case; None when there is none."""
        wanted = name.lower()
        if found := next((f for f in self.fields if wanted == f.name or wanted in f.aliases), None):
            return found
        return next((make(wanted) for start, make in self.families.items() if wanted.startswith(start)), None)

    def expect_field(self, name: str, span: Span, *, part: str = "query") -> Field:
        """
        The field of that name or alias.

        Raises:
            QueryError: there is none; names the nearest and all.
        """
        if found := self.field(name):
            return found
        names = [n for f in self.fields for n in (f.name, *f.aliases)]
        near = difflib.get_close_matches(name.lower()[:80], names, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        quote = (
            f'; to look for the text, write "{span.source[span.start :].split()[0]}" in quotes'
            if part == "query"
            else ""
        )
        every = ", ".join([*(f.name for f in self.fields), *(f"{start}…" for start in self.families)])
        raise QueryError(
            f"{self.name} have no field {name[:80]}", span, expected=f"{hint}The fields are {every}{quote}", part=part
        )


@dataclass(frozen=True, slots=True)
class FieldHelp:
    """One row of a help panel or of generated documentation."""

    name: str
    aliases: tuple[str, ...]
    kind: str
    help: str
    choices: tuple[str, ...]
    operators: tuple[str, ...]
    sortable: bool
    example: str


def fields_help(searchable: Searchable) -> list[FieldHelp]:
    """Every field with its operators and an example that works, in the declared order."""
    return [
        FieldHelp(f.name, f.aliases, f.kind, f.help, f.choices or (), f.operators, f.sortable, example(f))
        for f in searchable.fields
    ]


def example(field: Field) -> str:
    """A term with *field* that can be typed as it is."""
    if field.choices:
        return f"{field.name}:{Text(field.choices[0])}"
    tail = {"text": ":word*", "flag": ":yes", "number": ">=10", "date": ">7d", "version": ">=1.4", "free": ":word"}
    return field.name + tail[field.kind]


def contains_text(*columns: ColumnElement[Any]) -> Matcher:
    """
    A matcher for small tables without an index of words: every word must be in one of *columns*, in any case.

    It reads every row. The end of a word is not looked at, so `thin` and `thin*` are the same here.
    """

    def matcher(words: Sequence[Text]) -> ColumnElement[bool]:
        found = [or_(*(func.coalesce(c, "").icontains(w.value, autoescape=True) for c in columns)) for w in words]
        return and_(*found)

    return matcher
