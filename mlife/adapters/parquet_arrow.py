"""Parquet by pyarrow, one row group at a time, so that memory does not grow with the file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

GROUP = 50_000
"""Rows of a row group: fewer make large files slow to read, more take memory."""


class _Pipe(io.RawIOBase):
    """What was written and not yet taken."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._at += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        """What was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def parquet(columns: Sequence[tuple[str, str]], parts: Iterable[Sequence[Sequence[Any]]]) -> Iterator[bytes]:
    """
    The file, piece by piece: Zstandard, dictionaries for text, moments in UTC with microseconds.

    Args:
        columns: name and kind (text, integer, number, moment) of each value of a row.
        parts: rows, some at a time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "moment": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns])
    pipe = _Pipe()
    with pq.ParquetWriter(pipe, schema, compression="zstd") as writer:
        for rows in _groups(parts):
            arrays = [pa.array(values, type=f.type) for values, f in zip(zip(*rows, strict=True), schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema), row_group_size=GROUP)
            yield pipe.taken()
    yield pipe.taken()


def _groups(parts: Iterable[Sequence[Sequence[Any]]]) -> Iterator[list[Sequence[Any]]]:
    group: list[Sequence[Any]] = []
    for part in parts:
        group += part
        if len(group) >= GROUP:
            yield group
            group = []
    if group:
        yield group
