"""A form that builds a query, one row a field: for people who do not know the language yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from mlife.core.query.fields import Field, Searchable
from mlife.core.query.nodes import And, Exact, Missing, Node, Not, Operator, Present, Term, Value, both
from mlife.core.query.parser import parse
from mlife.core.query.problem import QueryError

WORDS = {
    ":": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "none": "is not known",
    "any": "is known",
}
"""What a row can say of its field, and the words for it."""


@dataclass(frozen=True, slots=True)
class FormRow:
    """
    What the form says of one field.

    Args:
        op: of `WORDS`. value: as typed; several with commas; empty: the row says nothing, but for none and any.
    """

    op: str = ":"
    value: str = ""


def choices_of(field: Field) -> list[tuple[str, str]]:
    """What can be said of a field: operator and words."""
    return [(op, WORDS[op]) for op in (*field.operators, "none", "any")]


def built(rows: Mapping[str, FormRow], rest: str = "") -> str:
    """
    The query that says what *rows*, by field, and the words *rest* say.

    Raises:
        QueryError: *rest* can't be read; what the rows say is looked at where the query is used.
    """
    terms = [_term(name, row) for name, row in rows.items()]
    other = parse(rest)
    children = other.children if isinstance(other, And) else (other,)
    return str(both([*(t for t in terms if t is not None), *children]))


def _term(name: str, row: FormRow) -> Node | None:
    if row.op == "none":
        return Term(name, ":", (Missing(),))
    if row.op == "any":
        return Term(name, ":", (Present(),))
    if not row.value.strip():
        return None
    op: Operator = cast("Operator", row.op) if row.op in WORDS else ":"
    typed = row.value.strip()
    try:
        found = parse(f"{name}{op}{typed}")
    except QueryError:
        found = None
    if isinstance(found, Term):
        return found
    if op not in {":", "!="}:
        return Term(name, op, (Exact(typed),))
    values: list[Value] = []
    for part in filter(None, (p.strip() for p in typed.split(","))):
        try:
            one = parse(f"{name}:{part}")
        except QueryError:
            one = None
        values += one.values if isinstance(one, Term) else (Exact(part),)
    return Term(name, op, tuple(values)) if values else None


def taken_apart(query: str, searchable: Searchable) -> tuple[dict[str, FormRow], str]:
    """
    A query as the form shows it: rows by field, and what no row can say, as text.

    Raises:
        QueryError: it can't be read.
    """
    node = parse(query)
    rows: dict[str, FormRow] = {}
    rest: list[Node] = []
    for part in node.children if isinstance(node, And) else (node,):
        term, negative = (part.child, True) if isinstance(part, Not) else (part, False)
        field = searchable.field(term.name) if isinstance(term, Term) else None
        row = _row(term, negative=negative) if isinstance(term, Term) and field is not None else None
        if row is None or field is None or field.name in rows or field not in searchable.fields:
            rest.append(part)
        else:
            rows[field.name] = row
    return rows, str(both(rest))


def _row(term: Term, *, negative: bool) -> FormRow | None:
    if negative and term.op != ":":
        return None
    op = "!=" if negative else term.op
    if len(term.values) == 1 and isinstance(term.values[0], Missing | Present):
        missing = isinstance(term.values[0], Missing) is (op == ":")
        return FormRow("none" if missing else "any")
    return FormRow(op, ",".join(map(str, term.values)))
