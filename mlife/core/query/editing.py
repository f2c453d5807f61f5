"""Changing a query by program: what a facet, a bar of a chart or a filter chip links to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from mlife.core.query.fields import Searchable
from mlife.core.query.nodes import (
    And,
    Exact,
    Missing,
    Node,
    Not,
    Or,
    Range,
    Term,
    Text,
    Value,
    both,
    either,
    has_words,
    negated,
    terms_of,
)
from mlife.core.query.parser import parse
from mlife.core.query.values import moment_text

Plain = str | int | float | bool | date


def narrow(
    query: str, field: str, value: Plain | Range | Sequence[Plain] | None, *, searchable: Searchable | None = None
) -> str:
    """
    *query* with *field* held to *value*; what it said about the field alone is replaced.

    Args:
        query: as typed; it must be readable.
        field: its name.
        value: one value, several of which one must hold, a `Range`, or None for rows without a value.
        searchable: knows the aliases under which the field may have been typed.

    Returns:
        the normal form of the new query, at the place of the old term if there was one.
    """
    term: Node = Term(field, ":", _values(value))
    names = _names(field, searchable)
    kept: list[Node] = []
    placed = False
    for part in _conjuncts(parse(query)):
        said = [t.name.lower() in names for t in terms_of(part)]
        if not said or not all(said) or has_words(part):
            kept.append(part)
        elif not placed:
            kept.append(term)
            placed = True
    return str(both(kept if placed else [*kept, term]))


def without(query: str, field: str, *, searchable: Searchable | None = None) -> str:
    """*query* with *field* free: it matches each row that it would match if the field had some other value."""
    return str(_freed(parse(query), _names(field, searchable), negative=False) or And(()))


def carry(query: str, to: Searchable) -> tuple[str, list[str]]:
    """What of *query* can be asked of *to*, and the terms that can't, because it has no such field."""
    parts = _conjuncts(parse(query))
    kept = [p for p in parts if all(to.field(t.name) for t in terms_of(p)) and (to.text or not has_words(p))]
    return str(both(kept)), [str(p) for p in parts if p not in kept]


def _freed(node: Node, names: frozenset[str], *, negative: bool) -> Node | None:
    """*node* without what it says about the field; None when nothing is left that could exclude a row."""
    if isinstance(node, Term):
        return None if node.name.lower() in names else node
    if isinstance(node, Not):
        child = _freed(node.child, names, negative=not negative)
        return negated(child) if child else None
    if isinstance(node, Text):
        return node
    children = [_freed(c, names, negative=negative) for c in node.children]
    kept = [c for c in children if c]
    # A choice between "anything" and something is anything; negated, "and" is such a choice.
    if isinstance(node, Or) is not negative:
        if len(kept) < len(children):
            return None
    elif not kept:
        return None
    return either(kept) if isinstance(node, Or) else both(kept)


def _conjuncts(node: Node) -> tuple[Node, ...]:
    return node.children if isinstance(node, And) else (node,)


def _names(field: str, searchable: Searchable | None) -> frozenset[str]:
    known = searchable.field(field) if searchable else None
    return frozenset({field.lower(), *((known.name, *known.aliases) if known else ())})


def _values(value: Plain | Range | Sequence[Plain] | None) -> tuple[Value, ...]:
    if value is None:
        return (Missing(),)
    if isinstance(value, Range):
        return (value,)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(Exact(_spelled(v)) for v in value)
    return (Exact(_spelled(value)),)


def _spelled(value: Plain) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment_text(value).replace(".000000Z", "Z")
    return str(value)
