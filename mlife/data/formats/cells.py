r"""
How a typed value stands in a form that knows only text: the cells of CSV, the elements of XML.

Free columns have a kind: `str`, `int`, `float`, `bool` or `json` (anything, as JSON text). Known columns have
their own. `annotation` and `prelabel` hold the bare label, or JSON when the cell starts with `{` or is a
JSON string in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from mlife.data.formats.values import GREATEST_INT, JSON, LEAST_INT, Unreadable

KINDS = ("str", "int", "float", "bool", "json")
LABELS = frozenset({"annotation", "prelabel"})

_INT = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_EXPECTED = {"int": "a whole number of at most 64 bits", "float": "a finite number", "bool": "true or false"}


def kind_of(value: JSON) -> str:
    """The kind whose cells can hold *value*; null and anything nested need `json`."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "str" if isinstance(value, str) else "json"


def read_cell(text: str, kind: str) -> object:
    """The value that *text* is as *kind*, or `Unreadable`."""
    if kind == "str":
        return text
    if kind == "json":
        return parse_json(text)
    word = text.strip()
    if kind == "bool" and word.lower() in {"true", "false"}:
        return word.lower() == "true"
    if kind == "int" and _INT.fullmatch(word):
        return int(word)  # 19 digits may pass 64 bits; the check of the row says so
    if kind == "float" and _FLOAT.fullmatch(word):
        return float(word)
    return Unreadable(text, f"is no {kind}", _EXPECTED[kind])


def write_cell(value: JSON, kind: str) -> str:
    """*value* as text that `read_cell` turns back into it."""
    if kind == "json":
        return dump_json(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def read_known(name: str, text: str) -> object:
    """The value of the known column *name*; text that says nothing is None."""
    if name in LABELS:
        return _read_label(text)
    if name == "size" and text.strip():
        return read_cell(text, "int")
    return text if text.strip() else None


def write_known(value: Any) -> str:
    """The value of a known column (not None) as text."""
    if isinstance(value, str) and value.startswith(("{", '"')):
        return dump_json(value)
    return dump_json(value) if isinstance(value, dict) else str(value)


def _read_label(text: str) -> object:
    word = text.strip()
    if word.startswith("{"):
        return parse_json(word)
    if word.startswith('"'):
        # A person's label may begin with a quotation mark; ours is a whole JSON string.
        inner = parse_json(word)
        return inner if isinstance(inner, str) else word
    return word or None


def dump_json(value: JSON) -> str:
    """Compact JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def parse_json(text: str) -> object:
    """
    The JSON value of *text*, strictly: NaN, endless numbers and doubled keys come as `Unreadable` in their place, so
    that the row's check can name their field.
    """
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as e:
        return Unreadable(text, f"is not JSON: {e.msg.lower()} at character {e.pos + 1}", "valid JSON")
    except RecursionError:
        return Unreadable(text, "is nested too deeply", "JSON of a few levels")


def _number(text: str) -> object:
    return int(text) if len(text) < 20 else _long_number(text)


def _long_number(text: str) -> object:
    # int() of a million digits takes minutes, so the length is judged first.
    if len(text) == 20 and LEAST_INT <= int(text) <= GREATEST_INT:
        return int(text)
    return Unreadable(text, "is too large", _EXPECTED["int"])


def _fraction(text: str) -> object:
    if len(text) > 400:
        return Unreadable(text, f"is a number of {len(text):,} characters", "at most 400")
    value = float(text)
    return value if isfinite(value) else Unreadable(text, "is not finite", _EXPECTED["float"])


def _constant(text: str) -> object:
    return Unreadable(text, "is not finite", _EXPECTED["float"])


def _object(pairs: list[tuple[str, Any]]) -> object:
    members: Mapping[str, Any] = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return Unreadable(twice, f"has the key {twice[:40]!r} twice", "each key once")


decoder = json.JSONDecoder(
    parse_int=_number, parse_float=_fraction, parse_constant=_constant, object_pairs_hook=_object
)
