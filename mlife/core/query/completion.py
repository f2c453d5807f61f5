"""What could be typed next, for a completion box."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from mlife.core.query.fields import Field, Searchable
from mlife.core.query.nodes import ANY, FIELD, NONE, Exact
from mlife.core.query.parser import MAX_CHARACTERS

MAX_COMPLETIONS = 50

_MEANING = {":": "is", "!=": "is not", "<": "below", "<=": "at most", ">": "above", ">=": "at least"}
_KEYWORDS = {
    "OR": "what matches either side",
    "NOT": "what does not match",
    "AND": "what matches both sides; a space says the same",
}
_HINTS = {
    "date": (
        ("today", "since midnight, UTC"),
        ("yesterday", "the day before"),
        ("7d", "seven days ago"),
        ("2w", "two weeks ago"),
    ),
    "flag": (("yes", ""), ("no", "")),
}


@dataclass(frozen=True, slots=True)
class Completion:
    """
    One offer.

    Args:
        start: offset of what it replaces, from 0.
        end: offset after it: the caret.
        insert: the new text.
        label: what the box shows.
        help: why one would choose it.
        count: how many rows have this value; None: not counted.
    """

    start: int
    end: int
    insert: str
    label: str
    help: str
    count: int | None = None


Values = Callable[[Field, str], Sequence[tuple[str, int]]]
"""The values of a field that begin with a text, most rows first, with how many rows have each."""


def no_values(_field: Field, _begun: str) -> Sequence[tuple[str, int]]:
    """Where nothing is known of the rows."""
    return ()


def complete(
    text: str, caret: int, searchable: Searchable, values: Values = no_values, names: Iterable[str] = ()
) -> list[Completion]:
    """
    What could stand at *caret*, best first, at most 50. It never fails, whatever was typed so far.

    Args:
        text: the whole box.
        caret: offset in *text*; one outside is moved to the nearer end.
        searchable: the fields.
        values: of a field, with counts. names: of fields that people made (`Searchable.families`).
    """
    caret = max(0, min(caret, len(text), MAX_CHARACTERS))
    piece = _piece(text[:caret])
    body = piece.lstrip("-")
    found = FIELD.match(body)
    if found is None:
        return _names(body, caret, searchable, names)[:MAX_COMPLETIONS]
    field = searchable.field(found["name"])
    if field is None:
        return []
    return _values(field, found["op"], body[found.end() :], caret, values)[:MAX_COMPLETIONS]


def _piece(before: str) -> str:
    """The unfinished piece at the end of *before*; an opening quote reaches up to the end."""
    start, in_quotes, skip = 0, False, False
    for place, character in enumerate(before):
        if skip:
            skip = False
        elif in_quotes:
            skip = character == "\\"
            in_quotes = character != '"'
        elif character == '"':
            in_quotes = True
        elif character.isspace() or character in "()":
            start = place + 1
    return before[start:]


def _names(typed: str, caret: int, searchable: Searchable, names: Iterable[str]) -> list[Completion]:
    """Fields that begin like *typed* (by an alias too), the operators of a whole name, then keywords."""
    start = caret - len(typed)
    offers = []
    if whole := searchable.field(typed):
        offers += [Completion(caret, caret, op, f"{typed}{op}", _MEANING[op]) for op in whole.operators]
    for field in searchable.fields:
        if any(n.startswith(typed.lower()) for n in (field.name, *field.aliases)) and field is not whole:
            offers.append(Completion(start, caret, f"{field.name}:", field.name, field.help))
    for name in names:
        if name.startswith(typed.lower()) and (made := searchable.field(name)) is not None:
            offers.append(Completion(start, caret, f"{name}:", name, made.help))
    if typed:
        offers += [
            Completion(start, caret, f"{word} ", word, meaning)
            for word, meaning in _KEYWORDS.items()
            if word.startswith(typed)
        ]
    return offers


def _values(field: Field, op: str, typed: str, caret: int, values: Values) -> list[Completion]:
    """Values of *field* that begin like the last one of the list *typed*."""
    last = typed.rpartition(",")[2]
    start = caret - len(last)
    begun = last.removeprefix('"')
    counts = dict(values(field, begun))
    hints = [*((c, "") for c in field.choices or ()), *_HINTS.get(field.kind, ())]
    hints += [(v, "") for v in counts if v not in (field.choices or ())]
    offers = [
        Completion(start, caret, str(Exact(v)), v, meaning, counts.get(v))
        for v, meaning in hints
        if v.lower().startswith(begun.lower())
    ]
    if op in {":", "=", "!="} and not last.startswith('"'):
        presence = ((ANY, f"rows with any {field.name}"), (NONE, f"rows without {field.name}"))
        offers += [Completion(start, caret, v, v, meaning) for v, meaning in presence if v.startswith(begun.lower())]
    return offers
