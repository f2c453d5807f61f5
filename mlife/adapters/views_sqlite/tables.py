"""Definitions of a generation's tables on SQLite."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Integer, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from mlife.adapters.views_sql.generations import physical_name, physical_names
from mlife.adapters.views_sql.words import TOKENIZER
from mlife.core.errors import Misconfigured
from mlife.core.projection import Projection, Standing

SCHEMA = """
CREATE TABLE IF NOT EXISTS checkpoints (
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (name, version, generation)
) STRICT;
"""


def table_ddl(projection: Projection, standing: Standing) -> Iterator[str]:
    """Statements that make the tables of a generation."""
    dialect = sqlite.dialect()
    for table in projection.tables:
        sql = str(CreateTable(table).compile(dialect=dialect)).rstrip()
        if _is_its_index(table) and not sql.endswith("WITHOUT ROWID"):
            sql += " WITHOUT ROWID"
        yield sql.replace(f"CREATE TABLE {table.name}", f"CREATE TABLE {physical_name(table.name, standing)}")
    for text in projection.texts:
        name = physical_name(text.name, standing)
        yield f"CREATE VIRTUAL TABLE {name} USING fts5(text, tokenize = '{TOKENIZER}')"


def check_tables(c: Connection, projection: Projection, standing: Standing) -> None:
    """
    See that a generation has the tables that this program declares.

    Raises:
        Misconfigured: a table was changed, and the projection's version was not raised.
    """
    rows = c.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    made = {row[0]: row[1] for row in rows}
    for name, declared in zip(physical_names(projection, standing), table_ddl(projection, standing), strict=True):
        if made.get(name) != declared.strip():
            raise Misconfigured(
                f"table {name} of projection {projection.name} is not as this program declares it",
                remedy="raise the projection's version with every change of its tables, or delete views.db: it is made"
                " again from the log",
            )


def _is_its_index(table: Table) -> bool:
    """Keep the rows in the primary key's own tree: one page to find and to write instead of two."""
    keys = list(table.primary_key)
    return bool(keys) and not (len(keys) == 1 and isinstance(keys[0].type, Integer))


def index_ddl(projection: Projection, standing: Standing) -> Iterator[str]:
    """Statements that make the indexes of a generation, where they are missing."""
    dialect = sqlite.dialect()
    for table in projection.tables:
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            sql = str(CreateIndex(index, if_not_exists=True).compile(dialect=dialect))
            sql = sql.replace(f" {index.name} ON", f" {physical_name(str(index.name), standing)} ON")
            yield sql.replace(f" ON {table.name} ", f" ON {physical_name(table.name, standing)} ")


def look_through(c: Connection, projection: Projection, standing: Standing) -> None:
    """
    Have SQLite estimate how many rows each index finds: else it takes any of those that a query could go by.

    It looks at a thousand rows of each. Other connections read the estimates with the schema, so that is changed.
    """
    c.exec_driver_sql("PRAGMA analysis_limit = 1000")
    for table in projection.tables:
        c.exec_driver_sql(f"ANALYZE {physical_name(table.name, standing)}")
    c.exec_driver_sql("CREATE TABLE looked_through (at INTEGER)")
    c.exec_driver_sql("DROP TABLE looked_through")
