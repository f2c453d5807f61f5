"""A small table with every kind of field, rows for it, and a second opinion on what a query matches."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Engine,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    insert,
    select,
)

from mlife.core import query as q
from mlife.core.query.nodes import both, either, negated

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text),
    Column("severity", Text),
    Column("done", Boolean),
    Column("count", Integer, nullable=False),
    Column("rate", Double),
    Column("seen", DateTime(timezone=True)),
    Column("seen_text", Text),
    Column("seen_number", BigInteger),
    Column("version", Text),
    Column("version_key", Text),
)
clients = Table("clients", metadata, Column("thing", Integer), Column("client", Text))

SEVERITIES = ("minor", "major", "critical")
c = things.c
THINGS = q.Searchable(
    name="things",
    key=c.id,
    fields=[
        q.Field("name", c.name, "text", "What it is called.", aliases=("title",)),
        q.Field("severity", c.severity, "choice", "How bad it is.", choices=SEVERITIES, ordered=True),
        q.Field("done", c.done, "flag", "Nothing is left to do."),
        q.Field("count", c.count, "number", "How often."),
        q.Field("rate", c.rate, "number", "How often per request."),
        q.Field("seen", c.seen, "date", "When it was seen."),
        q.Field("seen_text", c.seen_text, "date", "The same, kept as text."),
        q.Field("seen_number", c.seen_number, "date", "The same, kept as microseconds."),
        q.Field("version", c.version_key, "version", "Which version it was."),
        q.Field(
            "client",
            clients.c.client,
            "text",
            "Who saw it.",
            via=lambda condition: c.id.in_(select(clients.c.thing).where(condition)),
        ),
    ],
    text=q.contains_text(c.name),
    default_sort="-count",
)

# From the lowest to the highest; those on one line are the same version.
VERSIONS = (
    ("nightly",),
    ("0",),
    ("0.9",),
    ("1-rc1", "1.0.0-RC.1"),
    ("1", "1.0", "v1.0.0"),
    ("1.0+build2",),
    ("1.0.5",),
    ("1.1-beta",),
    ("1.4-alpha",),
    ("1.4-alpha.1",),
    ("1.4-rc2",),
    ("1.4-rc10",),
    ("1.4",),
    ("1.4.post1",),
    ("1.4.1",),
    ("1.9",),
    ("1.10",),
    ("2.3.0", "2.3"),
    ("10.0",),
    ("20261124063000",),
)
RANK = {version: rank for rank, same in enumerate(VERSIONS) for version in same}

# Each date as it can be typed: its first instant and the first instant after it; None for a single instant.
DATES: dict[str, tuple[datetime, datetime | None]] = {
    "2025": (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    "2026-11": (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
    "2025-12": (datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    "2026-11-20": (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)),
    "2026-11-20T05:10+02:00": (datetime(2026, 11, 20, 3, 10, tzinfo=UTC), datetime(2026, 11, 20, 3, 11, tzinfo=UTC)),
    "2026-11-20T03:10:05Z": (
        datetime(2026, 11, 20, 3, 10, 5, tzinfo=UTC),
        datetime(2026, 11, 20, 3, 10, 6, tzinfo=UTC),
    ),
    "today": (datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)),
    "yesterday": (datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)),
    "now": (NOW, None),
    "30min": (NOW - timedelta(minutes=30), None),
    "12h": (NOW - timedelta(hours=12), None),
    "7d": (NOW - timedelta(days=7), None),
    "2w": (NOW - timedelta(days=14), None),
    "+2d": (NOW + timedelta(days=2), None),
}
AGES = {"30min", "12h", "7d", "2w", "+2d"}
NAMES = (
    "digit",
    "Digit",
    "di%it",
    "di_it",
    "thin stroke",
    "thin",
    "thinner",
    "none",
    "any",
    "a..b",
    "",
    'say "hi"',
    "\\",
    "é",
    "*",
)

edges = [m for pair in DATES.values() for m in pair if m]
moments = st.sampled_from(
    edges + [m - timedelta(microseconds=1) for m in edges] + [m + timedelta(hours=5) for m in edges]
)


def _row(fields: dict[str, Any]) -> dict[str, Any]:
    seen, version = fields["seen"], fields["version"]
    return fields | {
        "seen_text": seen and q.moment_text(seen),
        "seen_number": None if seen is None else (seen - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1),
        "version_key": None if version is None else q.version_key(version),
    }


rows = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.none() | st.sampled_from(NAMES),
            "severity": st.none() | st.sampled_from(SEVERITIES),
            "done": st.none() | st.booleans(),
            "count": st.integers(-3, 12),
            "rate": st.none() | st.sampled_from([0.0, 0.25, 1.5, -2.0]),
            "seen": st.none() | moments,
            "version": st.none() | st.sampled_from(sorted(RANK)),
            "clients": st.lists(st.none() | st.sampled_from(["lab", "fleet-7", "fleet-70"]), max_size=2),
        }
    ).map(_row),
    max_size=10,
).map(lambda found: [row | {"id": number} for number, row in enumerate(found, 1)])


def fill(engine: Engine, found: list[dict[str, Any]]) -> None:
    """Make *found* the only rows."""
    with engine.begin() as connection:
        connection.execute(delete(things))
        connection.execute(delete(clients))
        if found:
            connection.execute(insert(things), [{k: v for k, v in r.items() if k != "clients"} for r in found])
        if seen_by := [{"thing": r["id"], "client": name} for r in found for name in r["clients"]]:
            connection.execute(insert(clients), seen_by)


def matches(node: q.Node, row: dict[str, Any]) -> bool:
    """Does *row* match? Written without a look at the compiler."""
    if isinstance(node, q.And):
        return all(matches(child, row) for child in node.children)
    if isinstance(node, q.Or):
        return any(matches(child, row) for child in node.children)
    if isinstance(node, q.Not):
        return not matches(node.child, row)
    if isinstance(node, q.Text):
        return _folded(node.value) in _folded(row["name"] or "")
    if node.op == "!=":
        return not matches(q.Term(node.name, ":", node.values), row)
    held = row["clients"] if node.name == "client" else [row["name" if node.name == "title" else node.name]]
    return any(_holds(node, value, held, row) for value in node.values)


def _folded(text: str) -> str:
    """SQLite folds the case of ASCII only."""
    return re.sub("[A-Z]", lambda letter: letter[0].lower(), text)


def _holds(term: q.Term, value: Any, held: list[Any], row: dict[str, Any]) -> bool:
    known = [h for h in held if h is not None]
    if isinstance(value, q.Missing):
        return not known
    if isinstance(value, q.Present):
        return bool(known)
    if term.name.startswith("seen"):
        return row["seen"] is not None and _in_time(term.op, value, row["seen"])
    if isinstance(value, q.Prefix) and term.name == "version":
        return any(_release(k).startswith(_release(value.text + "x")) for k in known if k != "nightly")
    if isinstance(value, q.Prefix):
        return any(k.startswith(value.text) for k in known)
    rank: Callable[[Any], Any] = {
        "severity": SEVERITIES.index,
        "done": lambda v: {"yes": True, "no": False}.get(v, v),
        "count": float,
        "rate": float,
        "version": RANK.__getitem__,
    }.get(term.name, str)
    if isinstance(value, q.Range):
        return any(
            (value.low is None or rank(k) >= rank(value.low)) and (value.high is None or rank(k) <= rank(value.high))
            for k in known
        )
    return any(_compared(term.op, rank(k), rank(value.text)) for k in known)


def _release(version: str) -> str:
    """The dotted numbers, without the zeros at the end, each closed by a dot."""
    numbers = re.match(r"v?([0-9.]*[0-9])", version)
    assert numbers
    padded = [*numbers[1].split("."), "0", "0", "0"]
    return "".join(f"{n}." for n in (padded[: numbers[1].count(".") + 1] if version.endswith(".x") else padded))


def _compared(op: str, one: Any, other: Any) -> bool:
    return {":": one == other, "<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[op]


def _in_time(op: str, value: Any, seen: datetime) -> bool:
    if isinstance(value, q.Range):
        low, high = DATES.get(value.low or ""), DATES.get(value.high or "")
        below = high is None or (seen < high[1] if high[1] else seen <= high[0])
        return below and (low is None or seen >= low[0])
    start, end = DATES[value.text]
    if op == ":" and value.text in AGES:
        return min(start, NOW) <= seen <= max(start, NOW)
    last = end - timedelta(microseconds=1) if end else start
    return {
        ":": start <= seen <= last,
        "<": seen < start,
        "<=": seen <= last,
        ">": seen > last,
        ">=": seen >= start,
    }[op]


def _terms(name: str, words: list[str], *, compares: bool, stars: tuple[str, ...] = ()) -> st.SearchStrategy[q.Node]:
    plain = st.sampled_from(words).map(q.Exact)
    special = st.sampled_from([q.Missing(), q.Present(), *map(q.Prefix, stars)])
    pairs = [q.Range(a, b) for i, a in enumerate(words) for b in words[i:]] if compares else []
    ranges = st.sampled_from([*pairs, *(q.Range(w, None) for w in words), *(q.Range(None, w) for w in words)])
    values = st.one_of(plain, special, ranges) if compares else plain | special
    term = st.builds(
        q.Term, st.just(name), st.sampled_from([":", "!="]), st.lists(values, min_size=1, max_size=3).map(tuple)
    )
    if not compares:
        return term
    return term | st.builds(q.Term, st.just(name), st.sampled_from(["<", "<=", ">", ">="]), plain.map(lambda v: (v,)))


_BY_TIME = ["2025", "2025-12", "2w", "7d", "2026-11-20", "2026-11-20T05:10+02:00", "2026-11-20T03:10:05Z"]
_BY_TIME += ["yesterday", "12h", "30min", "now", "+2d"]
leaves = st.one_of(
    st.builds(
        q.Text, st.sampled_from(["thin", "Stroke", "thin stroke", "%", "_", "digit", '"hi"', "-x", "OR"]), st.booleans()
    ),
    _terms("name", list(NAMES), compares=False, stars=("di", "di%", "di_", "thin", "thin ", "é", "*")),
    _terms("title", ["thin"], compares=False),
    _terms("severity", list(SEVERITIES), compares=True, stars=("m", "c")),
    _terms("done", ["yes", "no"], compares=False),
    _terms("count", ["-1", "0", "2", "7.5", "999999999999999999", "1e30"], compares=True),
    _terms("rate", ["-2", "0.25", "1"], compares=True),
    *(_terms(name, _BY_TIME, compares=True) for name in ("seen", "seen_text", "seen_number")),
    _terms("version", [v[-1] for v in VERSIONS[1:]], compares=True, stars=("1.", "1.0.", "1.4.", "0.", "2.3.0.")),
    _terms("client", ["lab", "fleet-7"], compares=False, stars=("fleet",)),
)


def _combined(inner: st.SearchStrategy[q.Node]) -> st.SearchStrategy[q.Node]:
    several = st.lists(inner, min_size=2, max_size=3)
    return several.map(both) | several.map(either) | inner.map(negated)


queries = st.recursive(leaves, _combined, max_leaves=6)
