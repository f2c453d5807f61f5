"""What a function's reports may say beside what all reports say."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mlife.core.events import Event, event

JSON = dict[str, Any]


@event("mlife.function.described", stream="function/{function_id}", key="function_id")
class FunctionDescribed(Event):
    """
    Somebody declared the free fields of a function's reports; this is all of them from now on.

    Fields:
        function_id: a function of system and function: `fn-` and 12 hexadecimal digits.
        revision: from 1; one more each time.
        fields: `{"name", "type", "label", "help", "required", "personal", "choices"}` each; the type is text, number,
            choice, flag or date.
        template: of descriptions, with fields in braces: `{place}: {what} in the way`. None: descriptions are free.
        restores: the earlier revision that this says again; None: it is new.
    """

    function_id: str
    system: str
    function: str
    revision: int = Field(ge=1)
    fields: tuple[JSON, ...] = ()
    template: str | None = None
    restores: int | None = None
    by: str | None = None
