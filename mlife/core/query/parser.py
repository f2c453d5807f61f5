"""
From text to nodes, by recursive descent.

    query   := [or]                       nothing typed = everything
    or      := and ("OR" and)*
    and     := unary (["AND"] unary)*
    unary   := ("-" | "NOT")* atom
    atom    := "(" or ")" | term | text   a space, ")" or the end follows each
    term    := name operator value ("," value)*
    text    := (word | quoted) ["*"]
    value   := text | [word] ".." [word] | "none" | "any"
    "AND" and "OR" stand between spaces.

The limits keep a hostile query cheap: reading takes one pass over at most 2,000 characters.
"""

from __future__ import annotations

import re
from typing import NoReturn, cast

from mlife.core.query.nodes import (
    ANY,
    EVERYTHING,
    FIELD,
    NONE,
    OPERATOR_CHARACTERS,
    QUOTED,
    VALUE,
    WORD,
    Exact,
    Missing,
    Node,
    Operator,
    Prefix,
    Present,
    Range,
    Term,
    Text,
    Value,
    both,
    either,
    negated,
)
from mlife.core.query.problem import QueryError, Span

MAX_CHARACTERS = 2_000
MAX_DEPTH = 20
MAX_TERMS = 100

SPACE = re.compile(r"\s*")
# A database refuses NUL and half a surrogate pair; the other control characters are never meant.
UNREADABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
KEYWORD = re.compile(r"(?:AND|OR)(?=\s|\Z)|NOT(?=[\s(]|\Z)")
ESCAPED = re.compile(r'\\(["\\])')


def parse(text: str) -> Node:
    """
    Read a query; the empty one matches everything.

    Raises:
        QueryError: it can't be read, or passes a limit (2,000 characters, 20 levels, 100 values).
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"the query has {len(text):,} characters",
            Span(text[: MAX_CHARACTERS + 1], MAX_CHARACTERS, MAX_CHARACTERS + 1),
            expected=f"use at most {MAX_CHARACTERS:,}",
        )
    if unreadable := UNREADABLE.search(text):
        raise QueryError(
            f"a character that nobody can type: {unreadable.group()!a}",
            Span(text, *unreadable.span()),
            expected="remove it",
        )
    return _Parser(text).query()


class _Parser:
    """One reading of one text; *at* is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.terms = 0

    def query(self) -> Node:
        self._skip()
        if self._ended():
            return EVERYTHING
        node = self._or()
        if not self._ended():
            self._fail('a ")" that closes nothing', self.at, self.at + 1, 'remove it, or write the "(" before')
        return node

    def _or(self) -> Node:
        parts = [self._and()]
        while self._keyword("OR"):
            parts.append(self._and())
        return either(parts)

    def _and(self) -> Node:
        parts = [self._unary()]
        while not (self._ended() or self._peek() == ")" or self._at_keyword("OR")):
            self._keyword("AND")
            parts.append(self._unary())
        return both(parts)

    def _unary(self) -> Node:
        start, times = self.at, 0
        while not self._ended():
            if self._peek() == "-":
                self.at += 1
                if self._ended() or self._peek().isspace():
                    self._fail("a - with nothing after it", self.at - 1, self.at, "write -word without a space")
            elif not self._keyword("NOT"):
                break
            times += 1
        node = self._atom()
        return negated(node, Span(self.text, start, node.span.end)) if times % 2 else node

    def _atom(self) -> Node:
        if self._ended():
            self._fail("the query ends where a word should follow", self.at, self.at, "write a word or field:value")
        if self._peek() == "(":
            return self._group()
        if self._at_keyword("OR") or self._at_keyword("AND"):
            word = self._word_ahead()
            self._fail(
                f"{word} must stand between two terms",
                self.at,
                self.at + len(word),
                f'write a term before {word}, or "{word}" in quotes to look for the word',
            )
        if self._peek() == ")":
            self._fail(
                'a ")" where a word should stand', self.at, self.at + 1, "write something between the parentheses"
            )
        found = FIELD.match(self.text, self.at)
        return self._term(found) if found else self._text()

    def _group(self) -> Node:
        start = self.at
        if self.depth >= MAX_DEPTH:
            self._fail(f"more than {MAX_DEPTH} parentheses inside each other", start, start + 1, "nest less deeply")
        self.depth += 1
        self.at += 1
        self._skip()
        node = self._or()
        if self._ended():
            self._fail('a "(" that is never closed', start, start + 1, 'write the ")"')
        self.at += 1
        self.depth -= 1
        self._must_end_here(self.at - 1)
        return node

    def _text(self) -> Text:
        start = self.at
        if self._peek() in OPERATOR_CHARACTERS:
            word = self._word_ahead()
            self._fail(
                f"{word} follows no field",
                start,
                start + len(word),
                f'write it between field and value without spaces, or "{word}" in quotes to look for it',
            )
        value, prefix = self._string(WORD)
        span = self._count(start)
        if not value:
            self._fail("nothing to look for", start, self.at, "write a word between the quotes or before the *")
        self._must_end_here(start)
        return Text(value, prefix, span)

    def _term(self, found: re.Match[str]) -> Term:
        start, name = self.at, found["name"]
        op = cast("Operator", {"=": ":"}.get(found["op"], found["op"].lstrip(":") or ":"))
        name_span = Span(self.text, *found.span("name"))
        self.at = found.end()
        values = [self._value(name)]
        while not self._ended() and self._peek() == ",":
            self.at += 1
            values.append(self._value(name))
        span = Span(self.text, start, self.at)
        if op not in {":", "!="} and (len(values) > 1 or not isinstance(values[0], Exact)):
            self._fail(
                f"{op} compares with one value, not with {span.word[found.end() - start :]}",
                found.end(),
                self.at,
                f"write {name}{op}value, or use {name}: for lists, ranges, none and any",
            )
        self._must_end_here(start)
        return Term(name, op, tuple(values), span, name_span)

    def _value(self, name: str) -> Value:
        start = self.at
        if self._ended() or self._peek().isspace() or self._peek() in "),":
            self._fail(
                f"a value must follow {self.text[:start].split()[-1]}",
                start,
                start,
                f"write {name}:value without spaces, or {name}:none for rows without one",
            )
        if self._peek() == "(":
            self._fail(f"a list of {name} needs no parentheses", start, start + 1, f"write {name}:one,two")
        if self._peek() in OPERATOR_CHARACTERS:
            self._fail("no such operator", start, start + 1, "use one of : = != < <= > >=, or put the value in quotes")
        if self._peek() != '"':
            word = VALUE.match(self.text, self.at)
            if word and ".." in word.group():
                return self._range(word, name)
            if word and word.group().lower() in {NONE, ANY}:
                self.at = word.end()
                span = self._count(start)
                return Missing(span) if word.group().lower() == NONE else Present(span)
        text, prefix = self._string(VALUE)
        if prefix and not text:
            self._fail("a * with nothing before it", start, self.at, f"write {name}:any for rows with any value")
        span = self._count(start)
        return Prefix(text, span) if prefix else Exact(text, span)

    def _range(self, word: re.Match[str], name: str) -> Range:
        start, self.at = self.at, word.end()
        low, _, high = word.group().partition("..")
        if ".." in high or not (low or high):
            self._fail(
                f"{word.group()} is not a range",
                start,
                self.at,
                f"write {name}:low..high, {name}:low.. or {name}:..high",
            )
        return Range(low or None, high or None, self._count(start))

    def _string(self, plain: re.Pattern[str]) -> tuple[str, bool]:
        """A word that matches *plain* or a quoted string, and whether a * ends it."""
        start = self.at
        if self._peek() == '"':
            found = QUOTED.match(self.text, start)
            if found is None:
                self._fail("a quote that is never closed", start, start + 1, 'write the closing "')
            self.at = found.end()
            prefix = self.text.startswith("*", self.at)
            self.at += prefix
            return ESCAPED.sub(r"\1", found.group()[1:-1]), prefix
        found = plain.match(self.text, start)
        assert found is not None, "the callers have looked at the first character"
        self.at = found.end()
        word = found.group()
        star = word.find("*")
        if 0 <= star < len(word) - 1:
            self._fail(
                "a * stands at the end of a word only",
                start + star,
                start + star + 1,
                f"move it to the end, or write {Exact(word)} to look for the * itself",
            )
        return word.removesuffix("*"), star >= 0

    def _must_end_here(self, start: int) -> None:
        """After a word comes a space, a ")" or the end."""
        if not (self._ended() or self._peek().isspace() or self._peek() == ")"):
            self._fail(
                f"no space after {self.text[start : self.at]}",
                self.at,
                self.at + 1,
                'write a space here, or put the whole value in quotes ("…", with \\" for a quote inside)',
            )
        self._skip()

    def _count(self, start: int) -> Span:
        """The span of the value that was just read, which counts towards the limit."""
        self.terms += 1
        if self.terms > MAX_TERMS:
            self._fail(f"more than {MAX_TERMS} words and values", start, self.at, "ask for less at once")
        return Span(self.text, start, self.at)

    def _keyword(self, word: str) -> bool:
        """Pass *word* if it comes next."""
        if not self._at_keyword(word):
            return False
        self.at += len(word)
        self._skip()
        return True

    def _at_keyword(self, word: str) -> bool:
        found = KEYWORD.match(self.text, self.at)
        return found is not None and found.group() == word

    def _word_ahead(self) -> str:
        found = WORD.match(self.text, self.at)
        return found.group() if found else ""

    def _peek(self) -> str:
        return self.text[self.at]

    def _ended(self) -> bool:
        return self.at >= len(self.text)

    def _skip(self) -> None:
        found = SPACE.match(self.text, self.at)
        assert found is not None, "no space at all matches too"
        self.at = found.end()

    def _fail(self, problem: str, start: int, end: int, expected: str) -> NoReturn:
        raise QueryError(problem, Span(self.text, start, min(end, len(self.text))), expected=expected)
