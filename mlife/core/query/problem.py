"""What a person is told when a query can't be used: the character, the word, and what would be right."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from mlife.core.errors import Invalid


@dataclass(frozen=True, slots=True)
class Span:
    """
    A piece of the text that was typed.

    Args:
        source: the whole text; empty for a node that was made by a program.
        start: offset of the first character, from 0.
        end: offset after the last.
    """

    source: str = ""
    start: int = 0
    end: int = 0

    @property
    def word(self) -> str:
        return self.source[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of *other*."""
        return Span(self.source, self.start, other.end)


class QueryError(Invalid):
    """
    A query, sort order, limit or cursor that can't be used.

    Args:
        problem: what is wrong, with the values.
        span: where.
        expected: what would be right.
        part: what the text is: query, sort, limit or cursor.
    """

    title = "Invalid query"

    def __init__(self, problem: str, span: Span, *, expected: str, part: str = "query") -> None:
        super().__init__(f"{problem} (character {span.start + 1} of the {part})", remedy=expected)
        self.problem, self.span, self.expected, self.part = problem, span, expected, part

    @property
    def position(self) -> int:
        """Offset of the offending character, from 0."""
        return self.span.start

    @property
    def word(self) -> str:
        """The offending word as it was typed."""
        return self.span.word

    def pointer(self) -> str:
        """The text on one line and a line of carets below; wide characters get two."""
        source, start, end = self.span.source, self.span.start, self.span.end
        shown = "".join(c if c.isprintable() else " " for c in source)
        return f"{shown}\n{' ' * _columns(shown[:start])}{'^' * max(1, _columns(shown[start:end]))}"


def _columns(text: str) -> int:
    """Columns of a terminal or a monospaced page that *text* takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    combining = sum(unicodedata.combining(c) > 0 for c in text)
    return len(text) + wide - combining
