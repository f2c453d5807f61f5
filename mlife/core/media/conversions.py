"""
Conversions: how a copy of a file is made, which leaves the original as it is; a step before Add to Test Data.

A conversion is a plug-in. What it says of itself is read by the server, to draw its form and to check what is given;
`run` is called in a process of its own, with limits, because it reads a stranger's file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from mlife.core.errors import Invalid, NotFound, Refusal, Refused, shortened
from mlife.core.media.plugins import CONVERSIONS, named, plugin

JSON = Any
Values: TypeAlias = Mapping[str, float | int | str]


class CannotConvert(Exception):
    """Raised by `run`: why not, as the predicate of a sentence about the file: "has no frame at 9 s"."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """
    One field of a conversion's form.

    Args:
        kind: `number`, `whole` (number), `text`.
        default: taken where nothing is given; None: it must be given.
        least, most: bounds of a number, or of a text's length.
    """

    name: str
    label: str
    kind: Literal["number", "whole", "text"] = "number"
    default: float | int | str | None = None
    least: float = 0
    most: float = 1e9
    help: str = ""

    def read(self, said: Any) -> float | int | str:
        """
        The value of *said*.

        Raises:
            ValueError: says what would be right.
        """
        if said is None or said == "":
            if self.default is None:
                raise ValueError("a value")
            return self.default
        if self.kind == "text":
            if not isinstance(said, str) or len(said) > self.most:
                raise ValueError(f"a text of at most {self.most:g} characters")
            return said
        expected = f"a {'whole ' * (self.kind == 'whole')}number from {self.least:g} to {self.most:g}"
        try:
            value = float(said)
        except (TypeError, ValueError):
            raise ValueError(expected) from None
        is_whole = self.kind == "whole"
        if not math.isfinite(value) or not self.least <= value <= self.most or (is_whole and value != int(value)):
            raise ValueError(expected)
        return int(value) if is_whole else value


@dataclass(frozen=True, slots=True)
class Conversion:
    """
    How a copy is made.

    Args:
        label: an imperative: "Crop".
        takes: beginnings of the media types that it reads, e.g. `image/`.
        run: from the source to the target (a path that is not there yet) with checked values; the suffix of the copy's
            name. Raises `CannotConvert`.
        moves: how a truth of the source reads on the copy; None: it can't be said.
        draws: what a person may draw on the picture to fill the form: `rectangle`, `outline`, or nothing.
    """

    label: str
    takes: tuple[str, ...]
    run: Callable[[Path, Path, Values], str]
    parameters: tuple[Parameter, ...] = ()
    moves: Callable[[Mapping[str, JSON], Values], dict[str, JSON] | None] | None = None
    draws: Literal["", "rectangle", "outline"] = ""

    def check(self, said: Mapping[str, Any]) -> dict[str, float | int | str]:
        """
        The values of a form or of JSON.

        Raises:
            Invalid: with a refusal for each field at fault.
        """
        values, refusals = {}, []
        known = {p.name for p in self.parameters}
        refusals += [Refusal(1, n, shortened(v), "is no parameter", ", ".join(known)) for n, v in said.items()
                     if n not in known]  # fmt: skip
        for parameter in self.parameters:
            try:
                values[parameter.name] = parameter.read(said.get(parameter.name))
            except ValueError as e:
                given = said.get(parameter.name)
                problem = "is missing" if given in (None, "") else "can't be used"
                refusals.append(Refusal(1, parameter.name, shortened(given or ""), problem, str(e)))
        if refusals:
            raise Invalid(f"{self.label} can't be done so", refusals=tuple(refusals))
        return values


def conversion(name: str) -> Conversion:
    """
    The conversion called *name*.

    Raises:
        NotFound: none is installed under it.
    """
    found: Conversion | None = plugin(CONVERSIONS, name)
    if found is None:
        raise NotFound(f"no conversion is called {shortened(name, 60)}", remedy=f"choose of {', '.join(possible(''))}")
    return found


def possible(media_type: str) -> dict[str, Conversion]:
    """Name → conversion of those that read files of *media_type*; empty: all of them."""
    every = {name: conversion(name) for name in sorted(named(CONVERSIONS))}
    return {n: c for n, c in every.items() if not media_type or media_type.startswith(c.takes)}


@dataclass(frozen=True, slots=True)
class Made:
    """A copy, in a folder that its maker throws away: `path` its bytes, `suffix` the end of its name."""

    path: Path
    suffix: str


class Workshop(Protocol):
    """Makes copies and measures files, in processes with limits."""

    def convert(self, name: str, source: Path, values: Values, folder: Path) -> Made:
        """
        Make a copy in *folder*.

        Raises:
            Refused: the file can't be converted so, with the reason. Misconfigured: what it needs is not installed.
        """

    def measure(self, source: Path, media_type: str) -> Mapping[str, Any]:
        """Of sound and film: `seconds`; or the `problem` of a file that can't be read."""


def refuse_unfit(name: str, media_type: str) -> Conversion:
    """
    The conversion called *name*, if it reads files of *media_type*.

    Raises:
        Refused: it does not. NotFound: there is none.
    """
    found = conversion(name)
    if not media_type.startswith(found.takes):
        raise Refused(
            f"{name} reads {' and '.join(found.takes)}, and the file is {media_type}",
            remedy=f"choose of {', '.join(possible(media_type)) or 'nothing: no conversion reads it'}",
        )
    return found
