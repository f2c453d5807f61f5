"""Values of free fields in words, and descriptions that a template makes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlife.core.sealing import is_sealed

JSON = Any
LONGEST_VALUE = 200
"""Characters of a text by which it is looked for; a longer one is kept, and found by its beginning."""
YES, NO = "yes", "no"
PLACE = "place"
"""Where it happened: a field of a report, and the free field by which clients said it before there was one."""
_SLOT = re.compile(r"\{([^{}]*)\}")


def filled(template: str, free: Mapping[str, JSON]) -> str | None:
    """The description that *template* makes of free fields; None if one of its fields is missing."""
    if any(free.get(name) in (None, "") for name in slots(template)):
        return None
    return normalised(_SLOT.sub(lambda m: said(free[m[1]]), template))


def slots(template: str) -> list[str]:
    """Names of the fields in a template."""
    return _SLOT.findall(template)


def normalised(text: str) -> str:
    """*text* with single blanks and none around it, so that the same words are the same description."""
    return " ".join(text.split())


def said(value: JSON) -> str:
    """A value of a free field as people write it, and as it is looked for."""
    if isinstance(value, bool):
        return YES if value else NO
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def place_in(free: Mapping[str, JSON] | None) -> str | None:
    """
    The place that free fields tell of a report without a `place` of its own: text or a number under that name.

    One that is sealed stays whole; others are as they are looked for.
    """
    value = free.get(PLACE) if free else None
    if isinstance(value, str):
        return value if is_sealed(value) else value[:LONGEST_VALUE] or None
    return said(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
