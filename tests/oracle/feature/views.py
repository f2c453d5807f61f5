"""The query tables of purses."""

from sqlalchemy import BigInteger, Column, Table, Text

from mlife.core.tables import metadata

purse_rows = Table(
    "oracle_purse_rows",
    metadata,
    Column("purse_id", Text, primary_key=True),
    Column("balance", BigInteger),
    Column("payments", BigInteger),
    Column("first_position", BigInteger),
    Column("last_position", BigInteger),
)
payment_rows = Table(
    "oracle_payment_rows",
    metadata,
    Column("position", BigInteger, primary_key=True),
    Column("purse_id", Text),
    Column("amount", BigInteger),
)
coin_rows = Table(
    "oracle_coin_rows",
    metadata,
    Column("coin", Text, primary_key=True),
    Column("sightings", BigInteger),
    Column("last_position", BigInteger),
)
