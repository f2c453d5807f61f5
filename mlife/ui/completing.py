"""
Completion in the box: one address that every box with a query asks, whatever list the query is over.

A feature says once what can be asked (`completes`); a box says `data-complete="/api/v1/query?of=badcases"`, which the
macros `ui.search` and `ui.query` do. The script of the pages makes a combobox of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter, Request

from mlife.core.errors import NotFound
from mlife.core.projection import Reader
from mlife.core.query import Completion, Searchable, complete, fields_help
from mlife.core.query.counting import values_of
from mlife.ui.doing import Hands

router = APIRouter(tags=["queries"])
Making = Callable[[Reader, Mapping[str, str]], Searchable]


@dataclass(frozen=True)
class _Asking:
    searchable: Searchable | Making
    names: Callable[[Reader], Iterable[str]] | None


_askings: dict[str, _Asking] = {}


def completes(
    searchable: Searchable | Making, name: str = "", names: Callable[[Reader], Iterable[str]] | None = None
) -> None:
    """
    Say what can be asked.

    Args:
        searchable: or what makes it of the address's parameters, such as the columns of a document.
        name: by which boxes call it; default: its own.
        names: of fields that people made, such as `field.speed`.
    """
    called = name or (searchable.name if isinstance(searchable, Searchable) else "")
    _askings[called] = _Asking(searchable, names)


@router.get("/api/v1/query")
def help_with_query(
    request: Request, hands: Hands, of: str = "badcases", q: str = "", caret: int | None = None, field: str = ""
) -> dict[str, Any]:
    """
    What could be typed next at *caret* in a query over *of*, values with their counts, and every field there is.

    With *field* the box holds values of that field alone, as those of an Advanced Search do.
    """
    asking = _askings.get(of)
    if asking is None:
        raise NotFound(f"nothing is asked of {of[:40]!r}", remedy=f"ask of one of {', '.join(sorted(_askings))}")
    with hands.read() as read:
        made = asking.searchable
        searchable = made if isinstance(made, Searchable) else made(read, request.query_params)
        names = [] if asking.names is None else list(asking.names(read))
        before = f"{field}:" if field else ""
        found = complete(
            before + q,
            len(before) + (len(q) if caret is None else max(0, caret)),
            searchable,
            partial(values_of, read, searchable),
            names,
        )
    return {
        "completions": [_told(c, len(before)) for c in found if c.start >= len(before)],
        "fields": [asdict(f) for f in fields_help(searchable)],
    }


def _told(completion: Completion, before: int) -> dict[str, Any]:
    told = asdict(completion)
    return told | {"start": told["start"] - before, "end": told["end"] - before}
