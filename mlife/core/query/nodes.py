"""
The parsed query: immutable nodes that know where they were typed.

Two nodes are equal when they mean the same; where they were typed does not count. `str(node)` is the normal form of a
query: parsing it gives an equal node, and it is never longer or deeper than what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlife.core.query.problem import Span

Operator = Literal[":", "!=", "<", "<=", ">", ">="]

# A name, then an operator. GitHub's `stars:>=5` is understood as well. Each class ends where the next begins, so that
# matching takes one pass.
FIELD = re.compile(r"(?P<name>[^\W\d][\w.-]*)(?P<op>:?(?:<=|>=|<|>)|!=|:|=)")
WORD = re.compile(r"[^\s\"()]+")
VALUE = re.compile(r"[^\s\"(),]+")
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
OPERATOR_CHARACTERS = "!=<>:"
KEYWORDS = frozenset({"AND", "OR", "NOT"})
_ESCAPING = re.compile(r'"|\\(?=["\\]|\Z)')
NONE, ANY = "none", "any"


def quoted(text: str) -> str:
    """*text* in quotes; a backslash is doubled where it would be read as an escape only: the shortest form."""
    return '"' + _ESCAPING.sub(r"\\\g<0>", text) + '"'


@dataclass(frozen=True, slots=True)
class Exact:
    """One value as it stands."""

    text: str
    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        plain = VALUE.fullmatch(self.text) and not (
            "*" in self.text
            or ".." in self.text
            or self.text[0] in OPERATOR_CHARACTERS
            or self.text.lower() in {NONE, ANY}
        )
        return self.text if plain else quoted(self.text)


@dataclass(frozen=True, slots=True)
class Prefix:
    """Everything that begins with *text*: `thin*`."""

    text: str
    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{Exact(self.text)}*"


@dataclass(frozen=True, slots=True)
class Range:
    """From *low* to *high*, both included; None is open."""

    low: str | None
    high: str | None
    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.low or ''}..{self.high or ''}"


@dataclass(frozen=True, slots=True)
class Missing:
    """`none`: nothing is known."""

    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return NONE


@dataclass(frozen=True, slots=True)
class Present:
    """`any`: something is known, whatever it is."""

    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return ANY


Value = Exact | Prefix | Range | Missing | Present


@dataclass(frozen=True, slots=True)
class Text:
    """
    A word or a phrase of full text.

    Args:
        value: what to look for; it is a phrase when it holds white space.
        prefix: words that begin with it count too.
    """

    value: str
    prefix: bool = False
    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        plain = WORD.fullmatch(self.value) and not (
            "*" in self.value
            or self.value[0] in OPERATOR_CHARACTERS + "-"
            or (self.value in KEYWORDS and not self.prefix)  # before a * it is no word of the language
            or FIELD.match(self.value)
        )
        return (self.value if plain else quoted(self.value)) + "*" * self.prefix


@dataclass(frozen=True, slots=True)
class Term:
    """
    A field, an operator and the values of which one must hold.

    Args:
        name: the field as it was typed.
        op: `=` is kept as `:`.
        values: at least one; exactly one `Exact` for a comparison.
        name_span: where the name was typed.
    """

    name: str
    op: Operator
    values: tuple[Value, ...]
    span: Span = field(default=Span(), compare=False, repr=False)
    name_span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.name}{self.op}{','.join(map(str, self.values))}"


@dataclass(frozen=True, slots=True)
class Not:
    """What *child* does not match, rows without a value included."""

    child: Node
    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return f"-{_grouped(self.child)}"


@dataclass(frozen=True, slots=True)
class And:
    """What all *children* match; without children: everything."""

    children: tuple[Node, ...]
    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return " ".join(map(_grouped, self.children))


@dataclass(frozen=True, slots=True)
class Or:
    """What at least one of *children* matches."""

    children: tuple[Node, ...]
    span: Span = field(default=Span(), compare=False, repr=False)

    def __str__(self) -> str:
        return " OR ".join(map(str, self.children))


Node = Text | Term | Not | And | Or
EVERYTHING = And(())


def _grouped(node: Node) -> str:
    return f"({node})" if isinstance(node, And | Or) else str(node)


def both(nodes: Sequence[Node]) -> Node:
    """All of *nodes*, flat: an And holds no And."""
    flat = tuple(c for n in nodes for c in (n.children if isinstance(n, And) else (n,)))
    return flat[0] if len(flat) == 1 else And(flat, _around(flat))


def either(nodes: Sequence[Node]) -> Node:
    """At least one of *nodes* (not empty), flat: an Or holds no Or."""
    flat = tuple(c for n in nodes for c in (n.children if isinstance(n, Or) else (n,)))
    return flat[0] if len(flat) == 1 else Or(flat, _around(flat))


def negated(node: Node, span: Span | None = None) -> Node:
    """What *node* does not match; two negations cancel."""
    return node.child if isinstance(node, Not) else Not(node, span or node.span)


def terms_of(node: Node) -> Iterator[Term]:
    """Every field term below *node*, in the order typed."""
    if isinstance(node, Term):
        yield node
    elif isinstance(node, Not):
        yield from terms_of(node.child)
    elif isinstance(node, And | Or):
        for child in node.children:
            yield from terms_of(child)


def has_words(node: Node) -> bool:
    """Is anything asked of the full text?"""
    if isinstance(node, Not):
        return has_words(node.child)
    return isinstance(node, Text) or (isinstance(node, And | Or) and any(has_words(child) for child in node.children))


def _around(nodes: tuple[Node, ...]) -> Span:
    return nodes[0].span.to(nodes[-1].span) if nodes else Span()
