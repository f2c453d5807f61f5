"""
Why an item can't be taken, as it is told to the one who sent it: which field, what stood there, what would be right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson
from pydantic_core import ValidationError

from mlife.core.annotation import EXAMPLES
from mlife.core.errors import Refusal, shortened

JSON = Any
MOST_FIELDS = 100
DEEPEST_FIELD = 4
LONGEST_TEXT = 10_000

EXPECTED: dict[str, str] = {
    "system": "1 to 128 characters without white space and / ? # %",
    "data": '1 to 100 links, such as [{"uri": "s3://cam/8841.jpg"}]',
    "uri": "s3://…, https://…, http://… or sha256:…; put other files into the store first (mlife file put)",
    "sha256": "64 lower-case hexadecimal digits",
    "media_type": "such as image/jpeg",
    "observed_at": "RFC 3339 with a time zone, such as 2026-11-24T03:00:00Z, from 1990 to tomorrow",
    "from": "RFC 3339 with a time zone, such as 2026-11-24T03:00:00Z, before `to`",
    "to": "RFC 3339 with a time zone, such as 2026-11-24T04:00:00Z, after `from`",
    "count": "a whole number, at least 0",
    "description": f"text of at most {LONGEST_TEXT:,} characters",
    "fields": f"at most {MOST_FIELDS} members, {DEEPEST_FIELD} levels deep, of finite numbers and short texts",
    "level": "system or model",
    "severity": "minor, major or critical",
    "kind": "failure, rare or long_tail",
    "prediction": f"one of the types {', '.join(EXAMPLES)}, such as {EXAMPLES['class']}",
    "truth": f"null, or of the prediction's type, such as {EXAMPLES['class']}",
    "score": "a number from 0 to 1",
    "label": "1 to 256 characters, without white space around them",
}
_WORDS = "1 to 128 characters"
_LINK = ("uri", "sha256", "media_type", "pending")


class Unfit(Exception):
    """
    An item can't be taken. It never leaves this feature: it becomes a `Refusal`.

    Args:
        field: dotted path; empty for the item as a whole.
        value: what stood there.
    """

    def __init__(self, field: str, value: object, problem: str, expected: str = "") -> None:
        super().__init__(problem)
        self.field, self.value, self.problem, self.expected = field, value, problem, expected

    def at(self, line: int) -> Refusal:
        """The refusal of the item on *line*."""
        value = "null" if self.value is None else shortened(self.value)
        return Refusal(line, shortened(self.field), value, self.problem, self.expected)


def unfit(fault: ValidationError, under: str = "", fields: Iterable[str] = ()) -> Unfit:
    """
    The first of pydantic's errors as it is told to a client, with the other fields at fault by name.

    Args:
        fields: those that the item as a whole may have.
    """
    errors = fault.errors(include_url=False, include_context=True)
    first = errors[0]
    paths = list(dict.fromkeys(".".join(map(str, _path(e, under))) for e in errors))
    path = _path(first, under)
    name = next((str(p) for p in reversed(path) if not isinstance(p, int)), "")
    value, problem = first["input"], _problem(first)
    if first["type"] == "missing":
        value = ""
    elif isinstance(value, dict | list) and first["type"] != "extra_forbidden":
        value = shortened(_spelled(value)) if _small(value) else type(value).__name__
    others = f" (and wrong: {', '.join(paths[1:6])}{'…' if len(paths) > 6 else ''})" if len(paths) > 1 else ""
    expected = EXPECTED.get(name, _WORDS)
    if first["type"] == "extra_forbidden":
        expected = f"one of {', '.join(fields if len(path) == 1 else _LINK)}"
    if first["type"] == "union_tag_invalid" or first["type"] == "union_tag_not_found":
        expected = EXPECTED["prediction"]
    elif len(path) > 1 and path[0] in ("prediction", "truth") and name not in ("score", "label"):
        expected = EXAMPLES.get(str(first["loc"][1 - bool(under)]), EXPECTED["prediction"])
    return Unfit(paths[0], value, problem + others, expected)


def _spelled(value: JSON) -> str:
    try:
        return orjson.dumps(value, default=repr).decode()
    except TypeError:  # a number beyond 64 bits or half a character; to be refused, not to fail on
        return json.dumps(value, default=repr)


def _small(value: JSON) -> bool:
    return len(value) <= 20


def _path(error: Any, under: str) -> tuple[Any, ...]:
    """Where it is, without the type by which the union was told apart."""
    loc = (under, *error["loc"]) if under else tuple(error["loc"])
    if loc[-1:] == ("[key]",):  # the name itself is at fault, and is told as the value
        return loc[:-2]
    if len(loc) > 1 and loc[0] in ("prediction", "truth") and loc[1] in EXAMPLES:
        return (loc[0], *loc[2:])
    return loc


def _problem(error: Any) -> str:
    """pydantic's error as half a sentence about the value."""
    given, context = error["input"], error.get("ctx", {})
    known = {
        "missing": "is missing",
        "extra_forbidden": "is no field of this",
        "string_too_short": "is empty",
        "too_short": "is empty",
        "too_long": f"has more than {context.get('max_length')} items",
        "finite_number": "is not finite",
        "string_unicode": "holds half a character",
        "string_pattern_mismatch": "is not allowed",
        "literal_error": "is not allowed",
        "union_tag_not_found": "has no type",
        "union_tag_invalid": f"has the unknown type {shortened(context.get('tag', ''), 40)}",
    }
    if error["type"] == "string_too_long":
        return f"has {len(given):,} characters"
    wanted = _WANTED.get(error["type"])
    if wanted is not None:
        return f"is no {wanted} but {_kind(given)}"
    return known.get(error["type"]) or str(error["msg"][:1].lower() + error["msg"][1:])


_WANTED = {
    "string_type": "text",
    "float_type": "number",
    "int_type": "whole number",
    "list_type": "list",
    "dict_type": "object",
    "model_attributes_type": "object",
    "bool_type": "true or false",
}


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), f"a {type(value).__name__}")
