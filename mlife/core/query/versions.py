"""
A version as text that sorts.

Databases compare text, and as text 1.10 comes before 1.9. `version_key` turns a version into a key that sorts as people
count. A projection stores the key in a column beside the version; a field of kind "version" names that column.

The key is made of marked pieces. A digit marks what comes next, and the marks sort as the pieces must:

    0   no number at all ("nightly"): before every number
    1   a pre-release follows ("-rc1"): before the version itself
    3   the end of a plain version
    4   a build or post-release follows ("+cu118", ".post1"): after the version itself
    5   one more number, as two digits of length and the number: 9 is 5019, 10 is 50210

`1.10-rc1` is `5011` `50210` `1` `2rc` `1011`. In a tail, 1 marks a number and 2 a word. Only digits and the
version's own letters occur, so that every collation sorts the keys alike. Zeros at the end do not count (1.4 is
1.4.0), nor does case, a leading v, or which punctuation separates the pieces.
"""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)", re.IGNORECASE)
_PIECES = re.compile(r"([0-9]+)|([^\W\d_]+)")
_AFTER = re.compile(r"\+|[-._]?(?:post|patch|build|rev)", re.IGNORECASE)
_LONGEST_NUMBER = 99

_NOT_A_NUMBER, _PRE_RELEASE, _PLAIN, _POST_RELEASE, _NUMBER = "0", "1", "3", "4", "5"


def version_key(text: str) -> str:
    """
    The sortable form of any version; never fails, and equal for versions that are the same.

    Args:
        text: dotted numbers, with a pre-release or build after them if you like: 1.4, v2.3.0-rc1, 2026.11+cu118.
    """
    text = text.strip()
    found = _NUMBERS.match(text)
    if found is None:
        return _NOT_A_NUMBER + _tail(text)
    numbers, rest = _numbers(found[1]), text[found.end() :]
    tail = _tail(rest)
    if not tail:
        return numbers + _PLAIN
    return numbers + (_POST_RELEASE if _AFTER.match(rest) else _PRE_RELEASE) + tail


def is_numbered(text: str) -> bool:
    """Does *text* begin with a number, so that it can come before or after another version?"""
    return _NUMBERS.match(text.strip()) is not None


def family_bounds(text: str) -> tuple[str, str] | None:
    """
    The keys between which every version of the family *text* lies, pre-releases included: 1.4 for 1.4.*.

    Returns the lowest key and the first key after it, or None when *text* is not just dotted numbers.
    """
    found = _NUMBERS.fullmatch(text)
    if found is None:
        return None
    *first, last = found[1].split(".")
    after = ".".join([*first, str(int(last) + 1)])
    return _numbers(found[1]) + _PRE_RELEASE, _numbers(after)


def _numbers(dotted: str) -> str:
    numbers = [n.lstrip("0") for n in dotted.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return "".join(_NUMBER + _counted(n or "0") for n in numbers)


def _counted(digits: str) -> str:
    """A number of any size so that longer is larger: two digits of length, then the number."""
    digits = digits[:_LONGEST_NUMBER]
    return f"{len(digits):02}{digits}"


def _tail(text: str) -> str:
    return "".join(
        f"1{_counted(number.lstrip('0') or '0')}" if number else f"2{word}"
        for number, word in _PIECES.findall(text.casefold())
    )
