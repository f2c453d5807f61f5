"""Definitions of a generation's tables on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Connection, Index, MetaData, Table
from sqlalchemy.schema import CreateIndex, CreateTable

from mlife.adapters.views_postgres.dialect import DIALECT
from mlife.adapters.views_sql.generations import named, physical_name, physical_names
from mlife.core.errors import Misconfigured
from mlife.core.projection import Projection, Standing

VERSION = 1
SCHEMA = """
CREATE TABLE checkpoints (
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    error text COLLATE "C" NOT NULL DEFAULT '',
    hold bigint NOT NULL DEFAULT 0,
    ddl text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (name, version, generation)
) WITH (fillfactor = 50);
COMMENT ON COLUMN checkpoints.hold IS 'the advisory lock that readers of the generation share';
COMMENT ON COLUMN checkpoints.ddl IS 'what made its tables';
"""

LONGEST_NAME = 63
"""Bytes; PostgreSQL cuts longer names, and two might become one."""

BETWEEN = ";\n"


def table_ddl(projection: Projection, standing: Standing) -> list[str]:
    """Statements that make the tables of a generation, one for each of its names."""
    made = [str(CreateTable(_physical(t, standing)).compile(dialect=DIALECT)).strip() for t in projection.tables]
    for text in projection.texts:
        name = physical_name(text.name, standing)
        made.append(
            f'CREATE TABLE {_fitting(name)} (key BIGINT PRIMARY KEY, text TEXT COLLATE "C" NOT NULL,'
            " words TSVECTOR NOT NULL)"
        )
    return made


def index_ddl(projection: Projection, standing: Standing) -> Iterator[str]:
    """Statements that make the indexes of a generation, where they are missing."""
    for table in projection.tables:
        made = _physical(table, standing)
        for index in sorted(made.indexes, key=lambda i: str(i.name)):
            yield str(CreateIndex(index, if_not_exists=True).compile(dialect=DIALECT))
    for text in projection.texts:
        index_name = _fitting(physical_name(f"{text.name}_words", standing))
        yield f"CREATE INDEX IF NOT EXISTS {index_name} ON {physical_name(text.name, standing)} USING gin (words)"


def _physical(table: Table, standing: Standing) -> Table:
    """*table* as it is made: named for its generation, its keys given and not counted."""
    made = table.to_metadata(MetaData(), name=_fitting(physical_name(table.name, standing)))
    for column in made.columns:
        column.autoincrement = False
    for index in list(made.indexes):
        made.indexes.remove(index)
        Index(
            _fitting(physical_name(str(index.name), standing)),
            *(_in_sqlite_order(e) for e in index.expressions),
            unique=index.unique,
            **index.dialect_kwargs,
        )
    return made


def _in_sqlite_order(element: Any) -> Any:
    """NULL is below everything, so that the index serves `ORDER BY` as `dialect` writes it."""
    return element.nulls_first() if isinstance(element, Column) and element.nullable else element


def _fitting(name: str) -> str:
    if len(name.encode()) > LONGEST_NAME:
        raise Misconfigured(f"{name} is too long a name for PostgreSQL", remedy="choose a shorter one in `views.py`")
    return name


def remember(c: Connection, projection: Projection, standing: Standing) -> None:
    """Keep beside the checkpoint what made the tables."""
    c.exec_driver_sql(
        "UPDATE checkpoints SET ddl = %(ddl)s"
        " WHERE name = %(name)s AND version = %(version)s AND generation = %(generation)s",
        {**named(standing), "ddl": BETWEEN.join(table_ddl(projection, standing))},
    )


def check_tables(c: Connection, projection: Projection, standing: Standing) -> None:
    """
    See that a generation has the tables that this program declares.

    Raises:
        Misconfigured: a table was changed, and the projection's version was not raised; or it was dropped.
    """
    names = physical_names(projection, standing)
    stored = c.exec_driver_sql(
        "SELECT ddl FROM checkpoints WHERE name = %(name)s AND version = %(version)s AND generation = %(generation)s",
        named(standing),
    ).scalar()
    there = c.exec_driver_sql(
        "SELECT n FROM unnest(%(names)s::text[]) n WHERE to_regclass(quote_ident(n)) IS NOT NULL", {"names": names}
    )
    found = set(there.scalars())
    made = set(str(stored).split(BETWEEN))
    for name, declared in zip(names, table_ddl(projection, standing), strict=True):
        if name not in found or declared not in made:
            raise Misconfigured(
                f"table {name} of projection {projection.name} is not as this program declares it",
                remedy="raise the projection's version with every change of its tables, or DELETE FROM checkpoints"
                f" WHERE name = '{projection.name}': they are made again from the log",
            )
