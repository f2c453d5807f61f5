"""Values of free fields in words, and descriptions that a template makes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

JSON = Any
LONGEST_VALUE = 200
"""Characters of a text by which it is looked for; a longer one is kept, and found by its beginning."""
YES, NO = "yes", "no"
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
