"""
Plug-ins for media, found through entry points; the built-in ones come through the same door.

`mlife.renderers`: annotation type, or `<type>.<image|audio|video>`, to a `Renderer`. `mlife.conversions`: name to a
`Conversion`. `mlife.fetchers`: scheme of a link to what makes a `Fetcher`. `mlife.embedders`: name to an `Embedder`.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final

from mlife.core.errors import Misconfigured

RENDERERS: Final = "mlife.renderers"
CONVERSIONS: Final = "mlife.conversions"
FETCHERS: Final = "mlife.fetchers"
EMBEDDERS: Final = "mlife.embedders"


@cache
def named(group: str) -> dict[str, str]:
    """
    Name → `module:object` of every plug-in of *group*.

    Raises:
        Misconfigured: two plug-ins have one name.
    """
    found: dict[str, str] = {}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, p.value)):
        other = found.setdefault(point.name, point.value)
        if other != point.value:
            raise Misconfigured(
                f"{other} and {point.value} are both called {point.name} in {group}", remedy="rename or remove one"
            )
    return found


@cache
def plugin(group: str, name: str) -> Any:
    """
    The plug-in called *name*, imported when it is first asked for; None if there is none.

    Raises:
        Misconfigured: it can't be imported.
    """
    if name not in named(group):
        return None
    (point,) = {p for p in entry_points(group=group) if p.name == name}
    try:
        return point.load()
    except (ImportError, AttributeError) as e:
        raise Misconfigured(
            f"the plug-in {name} ({point.value}) of {group} can't be loaded: {e}",
            remedy="install what it needs, or remove it",
        ) from e
