"""The installed features: built in or from other packages, found through the same entry points."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from mlife.core.errors import Misconfigured

ROOMS = ("events", "views", "commands")
"""Rooms of a feature that every process needs; `pages` are loaded by the server alone."""

LAYERS = ("projections", "handlers")
"""What follows from facts; loaded after the rooms that declare them, and whole."""


def feature_modules(rooms: Sequence[str]) -> list[str]:
    """
    The modules called as in *rooms* of every installed feature, in a fixed order.

    Built-in features and those of other packages come through the same entry points: one of group `mlife.features`
    names a package. Of `mlife.projections`, `mlife.handlers` and packages that end so, every module counts.

    Raises:
        Misconfigured: a package can't be imported; the message names it.
    """
    found: list[str] = []
    points = {(e.value.rsplit(".", 1)[-1] in LAYERS, e.name, e.value) for e in entry_points(group="mlife.features")}
    for is_layer, name, package in sorted(points):
        module = _imported(name, package)
        inside = [m.name for m in pkgutil.iter_modules(getattr(module, "__path__", []))]
        if is_layer:
            found += [f"{package}.{m}" for m in inside] if "projections" in rooms else []
        else:
            found += [f"{package}.{m}" for m in rooms if m in inside]
    return found


def load_features(rooms: Sequence[str] = ROOMS) -> None:
    """
    Import every installed feature, so that its events, projections and handlers are registered.

    Raises:
        Misconfigured: a feature can't be imported; the message names it.
    """
    for module in feature_modules((*rooms, "projections", "handlers")):
        _imported(module, module)


def _imported(name: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as e:
        raise Misconfigured(
            f"the feature {name} ({module}) can't be imported: {e}", remedy="install what it needs, or remove it"
        ) from e
