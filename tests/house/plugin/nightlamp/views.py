"""The lamps that are lit."""

from sqlalchemy import Column, Integer, Table, Text, select

from mlife.core.projection import Reader
from mlife.core.tables import metadata

lamp_rows = Table(
    "lamp_rows", metadata, Column("badcase_id", Text, primary_key=True), Column("place", Text), Column("lit", Integer)
)


def lamps(read: Reader) -> list[tuple[str, str, int]]:
    """Badcase, place, and how often its lamp was lit."""
    rows = read.all(select(lamp_rows.c.badcase_id, lamp_rows.c.place, lamp_rows.c.lit).order_by(lamp_rows.c.badcase_id))
    return [(r.badcase_id, r.place, r.lit) for r in rows]
