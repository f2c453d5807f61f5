"""
Reports from a table: CSV as spreadsheets write it (commas, semicolons or tabs; UTF-8), one report a row.

Columns are named like the fields of a report; docs/intake.md has the list. What no field is named like becomes a free
field, so that no column is lost. Cells are text: declared fields give them their types, and nothing else is guessed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from mlife.badcases.intake.reading import LARGEST_DOCUMENT, Item
from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.intake.schema import Schema
from mlife.badcases.intake.typed import TYPES, annotation_of
from mlife.badcases.wording import PLACE
from mlife.core.errors import Invalid

JSON = Any
PLAIN: Final = (
    *("system", "function", "version", "level", "observed_at", "description", "client", "device", "place"),
    *("reporter", "severity", "kind", "key", "report_id"),
)
LINKED: Final = ("uri", "sha256", "media_type")
SPECIAL: Final = ("type", "prediction", "truth", "score", "model_ids", "data")
COLUMNS: Final = (*PLAIN, *LINKED, *SPECIAL)
"""Names that mean a field of a report; `fields.NAME`, and every other name, is a free field."""
FREE: Final = "fields."
LONGEST_CELL = 1_000_000
"""Characters of it; a report with a longer one could not be taken."""
csv.field_size_limit(2 * LARGEST_DOCUMENT)  # a row is bounded already, and the reader would lose its place in it


class Spreadsheet:
    """
    A reader of CSV, as `Reader` is one of JSON. Rows are given as soon as they are whole.

    Args:
        make: what a row's texts by column are.
        columns: the table's own names → those of `COLUMNS`, or `fields.NAME`; others mean themselves. An empty name
            leaves the column out.
        constants: what every row says that does not say it: column → text.
    """

    def __init__(
        self,
        make: Callable[[Mapping[str, str]], JSON],
        *,
        columns: Mapping[str, str] | None = None,
        constants: Mapping[str, str] | None = None,
    ) -> None:
        self._make = make
        self._columns, self._constants = dict(columns or {}), dict(constants or {})
        self._rest = bytearray()
        self._quoted, self._whole = False, 0
        self._names: list[str] | None = None
        self._delimiter = ","
        self._line = 0

    def feed(self, some: bytes) -> Iterable[Item]:
        """
        The rows that *some* completes.

        Raises:
            Invalid: a row without end, or a header that can't be used.
        """
        for n, part in enumerate(some.split(b'"')):
            self._quoted ^= n > 0
            end = -1 if self._quoted else part.rfind(b"\n")
            if end >= 0:
                self._whole = len(self._rest) + (n > 0) + end + 1
            self._rest += b'"' + part if n > 0 else part
        if len(self._rest) - self._whole > LARGEST_DOCUMENT:
            raise Invalid(
                "a row of this table does not end: a quotation mark is open",
                remedy="close it; a quotation mark inside a quoted cell is written twice",
            )
        whole = bytes(memoryview(self._rest)[: self._whole])
        del self._rest[: self._whole]
        self._whole = 0
        return self._rows(whole) if whole else ()

    def finish(self) -> Iterable[Item]:
        """The last row, if no line end follows it."""
        whole, self._rest = bytes(self._rest), bytearray()
        return self._rows(whole) if whole.strip() else ()

    def _rows(self, whole: bytes) -> list[Item]:
        try:
            text = whole.decode("utf-8-sig" if self._line == 0 else "utf-8")
        except UnicodeDecodeError as e:
            raise Invalid(
                f"this table is no UTF-8 after line {self._line + whole[: e.start].count(10)}",
                remedy="save it as CSV UTF-8",
            ) from None
        if self._names is None:
            head = text.partition("\n")[0]
            self._delimiter = max(",;\t", key=head.count)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter)
        items: list[Item] = []
        begun = self._line
        for cells in rows:
            line = self._line + 1
            self._line = begun + rows.line_num
            if self._names is None:
                self._names = self._header(cells)
            elif any(cell.strip() for cell in cells):
                items.append((line, self._item(cells)))
        return items

    def _header(self, cells: Sequence[str]) -> list[str]:
        own = [cell.strip() for cell in cells]
        unknown = sorted(self._columns.keys() - set(own))
        if unknown:
            raise Invalid(f"this table has no column {', '.join(unknown)}", remedy=f"map one of {', '.join(own)[:500]}")
        names = [self._columns.get(name, name) for name in own]
        doubled = sorted({n for n in names if n and names.count(n) > 1})
        if doubled:
            raise Invalid(f"two columns of this table are {', '.join(doubled)}", remedy="rename one, or leave it out")
        return names

    def _item(self, cells: Sequence[str]) -> JSON:
        assert self._names is not None  # the header came first
        if len(cells) > len(self._names):
            return Unfit("", cells[len(self._names)], "is a cell more than there are columns", "a name for each column")
        longest = max(cells, key=len)
        if len(longest) > LONGEST_CELL:
            name = self._names[cells.index(longest)]
            return Unfit(name, longest, f"has {len(longest):,} characters", f"at most {LONGEST_CELL:,}")
        row = self._constants | {
            name: cell.strip() for name, cell in zip(self._names, cells, strict=False) if name and cell.strip()
        }
        return self._make(row)


def report_table(
    schema_of: Callable[[str, str], Schema],
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> Spreadsheet:
    """A reader of reports; *schema_of* says what is declared of a function."""

    def make(row: Mapping[str, str]) -> JSON:
        return report_of(row, schema_of(row.get("system", ""), row.get("function", "")))

    return Spreadsheet(make, columns=columns, constants=constants)


def report_of(row: Mapping[str, str], schema: Schema) -> dict[str, JSON]:
    """
    A report from texts by column, of a table or of a form; empty texts say nothing.

    Free fields are read by what is declared of them (so is the place, where a function declared it), and a missing
    description is made by the function's template.
    """
    told = {name: text for name, text in row.items() if text != ""}
    if PLACE in told and PLACE in schema.by_name:  # it is the function's own field of that name, and is read as such
        told.setdefault(FREE + PLACE, told.pop(PLACE))
    report: dict[str, JSON] = {name: told[name] for name in PLAIN if name in told}
    kind = told.get("type", "class")
    if "prediction" in told:
        report["prediction"] = annotation_of(kind, told["prediction"])
        if "score" in told and isinstance(report["prediction"], dict):
            report["prediction"]["score"] = _number(told["score"])
    if "truth" in told:
        report["truth"] = annotation_of(kind, told["truth"])
    if kind not in TYPES:
        report["prediction"] = {"type": kind}
    if "model_ids" in told:
        report["model_ids"] = told["model_ids"].replace(",", " ").split()
    report["data"] = _links(told)
    free = {
        name.removeprefix(FREE): _free(schema, name.removeprefix(FREE), text)
        for name, text in told.items()
        if name not in COLUMNS
    }
    if free:
        report["fields"] = free
    if "description" not in report and (made := schema.describe(free)) is not None:
        report["description"] = made
    return report


def _links(told: Mapping[str, str]) -> JSON:
    if "data" in told:
        try:
            return orjson.loads(told["data"])
        except orjson.JSONDecodeError:
            return told["data"]
    link = {name: told[name] for name in LINKED if name in told}
    return [link] if link else []


def _free(schema: Schema, name: str, text: str) -> JSON:
    declared = schema.by_name.get(name)
    return declared.read(text) if declared is not None else text


def _number(text: str) -> JSON:
    try:
        return float(text)
    except ValueError:
        return text
