"""The table: for the terminal, for `docs/benchmarks.md`, and for `build/bench.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mlife.bench.figures import Figure

BEGIN, END = "<!-- made by mlife bench --write-docs -->", "<!-- end -->"
HEADINGS = ("name", "what", "value", "baseline", "ratio", "goal", "", "log", "projections")


def cells(f: Figure) -> tuple[str, ...]:
    """A figure as text, in the order of the headings."""
    goal = ""
    if f.goal is not None:
        what = f"{f.goal:g} ×" if f.judged == "ratio" else f"{number(f.goal)} {f.unit}"
        goal = f"{'≥' if f.better == 'high' else '≤'} {what}"
    return (
        f.name,
        f.says,
        f"{number(f.value)} {f.unit}",
        "" if f.baseline is None else number(f.baseline),
        "" if f.ratio is None else f"{f.ratio:.2f} ×",
        goal,
        {True: "✓", False: "✗ missed", None: ""}[f.ok],
        f"{f.events:,}",
        str(f.projections),
    )


def number(value: float) -> str:
    """Three digits, or whole with separators."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_markdown(figures: Sequence[Figure]) -> str:
    """The table as Markdown."""
    rows = [cells(f) for f in figures]
    lines = [f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS)]
    return "\n".join(lines + [f"| `{name}` | {' | '.join(rest)} |" for name, *rest in rows])


def write_json(path: Path, figures: Sequence[Figure]) -> None:
    """Write `bench.json`; figures of earlier runs that were not measured now are kept."""
    told = {f.name: f.as_json() for f in read_json(path)} | {f.name: f.as_json() for f in figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> list[Figure]:
    """The figures of earlier runs."""
    told: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    names = {f.name for f in fields(Figure)}
    return [Figure(name, **{k: v for k, v in row.items() if k in names}) for name, row in told.items()]


def write_docs(path: Path, figures: Sequence[Figure], machine: str) -> None:
    """Replace the table between the markers of *path*."""
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{machine}\n\n{as_markdown(figures)}\n{END}{after}")
