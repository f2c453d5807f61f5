"""
Charts as geometry: pure functions from values to shapes that the macros of `charts.html` draw as SVG.

x and widths are percent of the drawing's width, so that a chart is fluid while its text keeps its size; y and heights
are pixels. Every chart has `title` and `desc`, its alternative in words; the macros put the data itself one click away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlife.core.errors import Misconfigured
from mlife.ui.filters import NOTHING, number, percent, plural

HEAT_LEVELS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, value ≥ 0, where it leads, and whether it is wrong now (*note* says why)."""

    label: str
    value: float
    href: str | None = None
    alarm: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A release (or the like) over bar number *at*."""

    at: int
    label: str
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Where a bar is drawn. *major* labels stay on narrow screens."""

    of: Bar
    x: float
    y: float
    width: float
    height: float
    middle: float
    major: bool = True


@dataclass(frozen=True, slots=True)
class Tick:
    """A grid line at *at* (pixels from the top or percent from the left) with its words."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class MarkShape:
    """Where a mark is drawn; marks over the same bar are stacked upwards."""

    of: Mark
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars over a base line at *base* pixels, or (distribution) one bar a row."""

    title: str
    desc: str
    unit: str
    bars: Sequence[Shape]
    ticks: Sequence[Tick] = ()
    marks: Sequence[MarkShape] = ()
    height: int = 0
    base: float = 0

    @property
    def path(self) -> str:
        """All bars but the last as one SVG path: a list has hundreds of them, too many for elements of their own."""
        return "".join(f"M{b.x:.1f} {b.y:.1f}h{b.width:.1f}V{self.height}h-{b.width:.1f}z" for b in self.bars[:-1])


def nice_ticks(low: float, high: float, about: int = 3) -> list[float]:
    """The multiples of a round step (1, 2 or 5 × a power of ten) in [*low*, *high*], roughly *about* of them."""
    if high - low < 1e-300:  # nothing, or too little for a logarithm
        return [low]
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda m: abs(m * power - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def bars(
    title: str, values: Sequence[Bar], marks: Sequence[Mark] = (), unit: str = "report", height: int = 190
) -> BarChart:
    """Bars in the order given (weeks), with release marks over them."""
    _check(title, values)
    stacked: dict[int, int] = {}
    for mark in marks:
        stacked[mark.at] = stacked.get(mark.at, 0) + 1
        if not 0 <= mark.at < len(values):
            raise Misconfigured(f"chart {title!r}: mark {mark.label!r} at bar {mark.at} of {len(values)}")
    top, base = 14.0 + 10 * max(stacked.values(), default=0), height - 22.0
    highest = max((b.value for b in values), default=0) or 1
    slot = 100 / max(len(values), 1)
    every = max(1, math.ceil(len(values) / 8))
    shapes = []
    for i, bar in enumerate(values):
        tall = (base - top) * bar.value / highest
        major = (len(values) - 1 - i) % every == 0
        shapes.append(Shape(bar, slot * (i + 0.11), base - tall, slot * 0.78, tall, slot * (i + 0.5), major))
    over: dict[int, int] = {}
    drawn = []
    for mark in marks:
        over[mark.at] = over.get(mark.at, 0) + 1
        drawn.append(MarkShape(mark, shapes[mark.at].middle, shapes[mark.at].y + 1 - 10 * over[mark.at]))
    ticks = [Tick(base - (base - top) * t / highest, number(t, _digits(t))) for t in nice_ticks(0, highest) if t]
    return BarChart(title, describe(values, unit), unit, shapes, ticks, drawn, height, base)


def distribution(title: str, values: Sequence[Bar], unit: str = "report") -> BarChart:
    """One horizontal bar for each value, in the order given."""
    _check(title, values)
    highest = max((b.value for b in values), default=0) or 1
    shapes = [Shape(b, 0, 0, 100 * b.value / highest, 0, 0) for b in values]
    return BarChart(title, describe(values, unit), unit, shapes)


def sparkline(title: str, values: Sequence[float], width: int = 88, height: int = 22) -> BarChart:
    """Small bars without words, *width* × *height* pixels (x and widths are pixels too)."""
    plain = [Bar(str(i + 1), v) for i, v in enumerate(values)]
    _check(title, plain)
    highest = max(values, default=0) or 1
    slot = width / max(len(values), 1)
    shapes = []
    for i, bar in enumerate(plain):
        tall = max((height - 1) * bar.value / highest, 0.75)
        shapes.append(Shape(bar, slot * i, height - tall, max(slot - 1.5, 1), tall, 0))
    last = f", latest {number(values[-1], _digits(values[-1]))}" if values else ""
    low, high = (min(values), max(values)) if values else (0, 0)
    desc = f"{len(values)} values from {number(low, _digits(low))} to {number(high, _digits(high))}{last}"
    return BarChart(title, desc, "", shapes, height=height, base=width)


def describe(values: Sequence[Bar], unit: str) -> str:
    """Bars in a sentence: how many, the highest, the latest, what is alarming."""
    if not values:
        return "No data."
    top, last = max(values, key=lambda b: b.value), values[-1]
    says = [
        f"{plural(len(values), 'bar')}. Most: {_count(top.value, unit)} in {top.label}.",
        f"Last: {_count(last.value, unit)} in {last.label}." if last is not top else "",
        *(f"{b.label}: {b.note or 'alarm'}." for b in values if b.alarm),
    ]
    return " ".join(s for s in says if s)


@dataclass(frozen=True, slots=True)
class Cell:
    """A matrix cell. *level* is filled in by `matrix`: 0 for nothing, up to `HEAT_LEVELS` for the highest."""

    value: float
    href: str | None = None
    alarm: bool = False
    level: int = 0


@dataclass(frozen=True, slots=True)
class Matrix:
    """A table of shaded cells; None where a pair has no cell."""

    title: str
    desc: str
    rows: Sequence[tuple[str, Sequence[Cell | None]]]
    columns: Sequence[str]


def matrix(
    title: str, rows: Sequence[str], columns: Sequence[str], cells: Mapping[tuple[str, str], Cell], unit: str = "report"
) -> Matrix:
    """Shade *cells*, keyed by (row, column), by their share of the highest."""
    highest = max((c.value for c in cells.values()), default=0)

    def shaded(key: tuple[str, str]) -> Cell | None:
        cell = cells.get(key)
        if cell is None:
            return None
        level = math.ceil(HEAT_LEVELS * cell.value / highest) if cell.value > 0 else 0
        return Cell(cell.value, cell.href, cell.alarm, level)

    table = [(row, [shaded((row, column)) for column in columns]) for row in rows]
    if not cells:
        return Matrix(title, "No data.", table, columns)
    (row, column), most = max(cells.items(), key=lambda item: item[1].value)
    desc = f"{len(rows)} × {len(columns)}. Most: {_count(most.value, unit)} in {row}, {column}."
    return Matrix(title, desc, table, columns)


@dataclass(frozen=True, slots=True)
class Interval:
    """A share with its interval, all in [0, 1], of *count* rows; *verdict* is the gate's word."""

    share: float
    low: float
    high: float
    count: int
    href: str | None = None
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class Whisker:
    """Where an interval is drawn, in percent; None of all when there is no result."""

    label: str
    of: Interval | None
    x: float = 0
    low: float = 0
    high: float = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Models × test sets on one axis."""

    title: str
    desc: str
    sets: Sequence[tuple[str, Sequence[Whisker]]]
    ticks: Sequence[Tick]
    threshold: float | None


def comparison(
    title: str,
    sets: Sequence[str],
    models: Sequence[str],
    results: Mapping[tuple[str, str], Interval],
    threshold: float | None = None,
) -> Comparison:
    """Results keyed by (set, model) on one axis that ends at 1 and starts at a round share below the lowest bound."""
    lowest = min([r.low for r in results.values()] + ([threshold] if threshold is not None else []), default=0.0)
    step = 0.2 if lowest < 0.4 else 0.1 if lowest < 0.8 else 0.05 if lowest < 0.9 else 0.02
    start = max(0.0, math.floor((lowest - step / 8) / step + 1e-9) * step)

    def place(share: float) -> float:
        return 100 * (share - start) / (1 - start)

    def whisker(name: str, model: str) -> Whisker:
        r = results.get((name, model))
        return Whisker(model, r, place(r.share), place(r.low), place(r.high)) if r else Whisker(model, None)

    rows = [(name, [whisker(name, model) for model in models]) for name in sets]
    count = round((1 - start) / step)
    ticks = [Tick(place(start + i * step), percent(start + i * step)) for i in range(count + 1)]
    says = [
        f"{name}: " + ", ".join(f"{w.label} {percent(w.of.share, 1) if w.of else NOTHING}" for w in drawn) + "."
        for name, drawn in rows
    ]
    line = place(threshold) if threshold is not None else None
    return Comparison(title, " ".join(says) or "No data.", rows, ticks, line)


@dataclass(frozen=True, slots=True)
class Series:
    """A line: points (x, y) in the order of x."""

    label: str
    points: Sequence[tuple[float, float]]
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A series as drawn: an SVG path in a 100 × 100 box, and where its end is (percent, pixels)."""

    of: Series
    path: str
    end_x: float
    end_y: float
    label_y: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over a grid of *height* pixels; the plot itself ends *bottom* pixels above."""

    title: str
    desc: str
    lines: Sequence[Line]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    height: int
    plot: float
    x_label: str
    y_label: str


def curve(
    title: str,
    series: Sequence[Series],
    x_label: str,
    y_label: str,
    *,
    as_percent: bool = False,
    height: int = 200,
) -> Curve:
    """Lines over an axis from zero (or the lowest value, if below) to the highest value."""
    points = [p for s in series for p in s.points]
    if any(not math.isfinite(v) for p in points for v in p):
        raise Misconfigured(f"chart {title!r} has a value that is no number", remedy="leave such points out")
    xs, ys = [x for x, _ in points] or [0.0], [y for _, y in points] or [0.0]
    left, width = min(xs), (max(xs) - min(xs)) or 1.0
    low, high = min(0.0, *ys), max(ys)
    reach = (high - low) or 1.0
    plot = height - 24.0

    def place(x: float, y: float) -> tuple[float, float]:
        return 100 * (x - left) / width, 100 * (high - y) / reach

    lines: list[Line] = []
    for one in (s for s in series if s.points):
        placed = [place(*p) for p in one.points]
        path = "M" + " L".join(f"{x:.2f} {y:.2f}" for x, y in placed)
        lines.append(Line(one, path, placed[-1][0], placed[-1][1] * plot / 100, 0))
    labelled: list[Line] = []
    for drawn in sorted(lines, key=lambda d: d.end_y):  # labels keep 15 pixels from each other
        y = max(drawn.end_y, labelled[-1].label_y + 15) if labelled else drawn.end_y
        labelled.append(Line(drawn.of, drawn.path, drawn.end_x, drawn.end_y, y))
    labelled.sort(key=lambda d: [s.label for s in series].index(d.of.label))

    def word(y: float) -> str:
        return percent(y) if as_percent else number(y, _digits(y))

    y_ticks = [Tick(place(left, t)[1] * plot / 100, word(t)) for t in nice_ticks(low, low + reach)]
    x_ticks = [Tick(100 * (t - left) / width, number(t, _digits(t))) for t in nice_ticks(left, left + width, 5)]
    says = [f"{d.of.label}: from {word(d.of.points[0][1])} to {word(d.of.points[-1][1])}." for d in labelled]
    return Curve(title, " ".join(says) or "No data.", labelled, x_ticks, y_ticks, height, plot, x_label, y_label)


def _check(title: str, values: Sequence[Bar]) -> None:
    for bar in values:
        if not math.isfinite(bar.value) or bar.value < 0:
            raise Misconfigured(f"chart {title!r}: {bar.label} has the value {bar.value}", remedy="bars are at least 0")


def _digits(value: float) -> int:
    """Decimals that *value* needs, at most three."""
    return next((d for d in range(4) if math.isclose(round(value, d), value, abs_tol=1e-9)), 3)


def _count(value: float, unit: str) -> str:
    return f"{number(value, _digits(value))} {unit}{'' if value == 1 or not unit else 's'}".strip()
