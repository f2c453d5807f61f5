"""
The packed record: consecutive events of the log as one Kafka record, for the workers (`mlife.log`).

The form is private to one version of MLife's workers and relay. It is by column, because that is five times as fast in
Python as event by event and compresses better: a magic number with the form's version, a seal, first and last position,
then one zstd frame (with checksum) of the columns: versions, times, lengths of the data, flags, ids, causation ids,
digests, the stored bytes, and at the end all texts, separated by NUL (which no text of a log holds).

The seal (keyed BLAKE2b over all the rest) takes a secret that stands beside the log. What a topic holds anybody may
have put there, and workers would fold it without looking into the log; so what is not sealed is not even unpacked.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Final, TypeVar

import zstandard

from mlife.core.errors import Corrupt
from mlife.core.events import Draft, Event, Recorded

E_co = TypeVar("E_co", bound=Event, covariant=True)

PACKED: Final = 1_000_000
"""Bytes of stored data after which `packed` begins another record; one event may be larger than that."""

MOST_UNPACKED: Final = 256 << 20
"""Bytes that a record may have when it is unpacked: what claims more is broken."""

_MAGIC: Final = b"mlp\x02"
_HEAD: Final = struct.Struct(">4s16sQQ")
_FIXED: Final = 8 + 8 + 4 + 1 + 16 + 16 + 32
"""Bytes of an event beside its data and its texts."""

_SINGLE, _CORRELATED, _CAUSED, _ACTED, _TRACED = 1, 2, 4, 8, 16
_TEXTS: Final = 7
_NO_ID: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class Packed:
    """
    A record of `mlife.log`, whose events are not decoded yet.

    Args:
        first, last: positions of its events; it has each one between.
    """

    first: int
    last: int
    _seal: bytes
    _columns: bytes

    def is_sealed_with(self, secret: bytes) -> bool:
        """Has somebody made it who knows *secret*, as it is?"""
        return hmac.compare_digest(self._seal, _seal(secret, self.first, self.last, self._columns))

    def events(self) -> list[Recorded[Event]]:
        """
        The events, as the log has them.

        Raises:
            Corrupt: the bytes are not what `pack` made.
        """
        try:
            return _events(self.first, self.last - self.first + 1, _unzipped(self._columns))
        except (struct.error, ValueError, zstandard.ZstdError) as e:
            raise _broken(f"events {self.first} to {self.last} can't be unpacked ({e})") from e


def pack(events: Sequence[Recorded[E_co]], secret: bytes) -> bytes:
    """
    Consecutive *events* (at least one) as one record, sealed with *secret* (16 to 64 bytes).

    Raises:
        Corrupt: they are not consecutive, or a text holds a NUL.
    """
    first, count = events[0].position, len(events)
    last = events[-1].position
    if last - first + 1 != count:
        raise Corrupt(f"{count} events from {first} to {last} are not consecutive", remedy="check the log for gaps")
    drafts = [r.draft for r in events]
    ids, streams, singles, types, keys, times, sources, correlations, causes, actors, traces, datas, digests = zip(
        *drafts, strict=True
    )
    texts = chain.from_iterable(
        zip(
            *(streams, types, keys, sources),
            *(map(_text, column) for column in (correlations, actors, traces)),
            strict=True,
        )
    )
    joined = "\0".join(texts)
    if joined.count("\0") != _TEXTS * count - 1:
        raise Corrupt(f"a text of the events {first} to {last} holds a NUL", remedy="check who writes into the log")
    flags = [
        single
        | _CORRELATED * (c is not None)
        | _CAUSED * (by is not None)
        | _ACTED * (a is not None)
        | _TRACED * (t is not None)
        for single, c, by, a, t in zip(singles, correlations, causes, actors, traces, strict=True)
    ]
    columns = b"".join(
        (
            struct.pack(f"<{count}Q", *[r.version for r in events]),
            struct.pack(f"<{count}q", *times),
            struct.pack(f"<{count}I", *map(len, datas)),
            bytes(flags),
            *ids,
            *(by or _NO_ID for by in causes),
            *digests,
            *datas,
            joined.encode(),
        )
    )
    frame = _zstd.compressor.compress(columns)
    return _HEAD.pack(_MAGIC, _seal(secret, first, last, frame), first, last) + frame


def packed(events: Sequence[Recorded[E_co]], secret: bytes) -> Iterator[bytes]:
    """*events* as records of a bounded size (`PACKED`); what is larger by itself has a record of its own."""
    begin = size = 0
    for place, recorded in enumerate(events):
        more = len(recorded.draft.data)
        if size and size + more > PACKED:
            yield pack(events[begin:place], secret)
            begin, size = place, 0
        size += more
    if begin < len(events):
        yield pack(events[begin:], secret)


def unpack(record: bytes) -> Packed:
    """
    What *record* says it holds; its `events()` are decoded when they are asked for.

    Raises:
        Corrupt: it is no packed record, or one of another version.
    """
    if len(record) < _HEAD.size or record[:3] != _MAGIC[:3]:
        raise _broken(f"{len(record)} bytes that begin with {record[:8]!r} are no record of mlife.log")
    magic, seal, first, last = _HEAD.unpack_from(record)
    if magic != _MAGIC:
        raise Corrupt(
            f"a record of mlife.log has form {magic[3]}, and this program knows form {_MAGIC[3]}",
            remedy="run the same MLife as relay and as workers; what can't be read here is read from the log itself",
        )
    if not 1 <= first <= last:
        raise _broken(f"a record of mlife.log says that it goes from {first} to {last}")
    return Packed(first, last, seal, record[_HEAD.size :])


def _seal(secret: bytes, first: int, last: int, frame: bytes) -> bytes:
    seal = hashlib.blake2b(_HEAD.pack(_MAGIC, b"", first, last), key=secret, digest_size=16)
    seal.update(frame)
    return seal.digest()


def _text(value: str | None) -> str:
    return value or ""


def _broken(what: str) -> Corrupt:
    return Corrupt(what, remedy="nothing is lost: the events are in the log. Look who else writes to the topic")


class _Zstd(threading.local):
    """Of each thread its own: they may not be shared, and making one takes longer than using it."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=True)
        self.decompressor = zstandard.ZstdDecompressor()


_zstd = _Zstd()


def _unzipped(frame: bytes) -> bytes:
    size = zstandard.frame_content_size(frame)
    if not 0 <= size <= MOST_UNPACKED:
        raise ValueError(f"it claims {size} bytes")
    return _zstd.decompressor.decompress(frame, allow_extra_data=False)


def _events(first: int, count: int, columns: bytes) -> list[Recorded[Event]]:
    if count * _FIXED > len(columns):
        raise ValueError(f"{len(columns)} bytes are too few for {count} events")
    versions = struct.unpack_from(f"<{count}Q", columns, 0)
    times = struct.unpack_from(f"<{count}q", columns, 8 * count)
    lengths = struct.unpack_from(f"<{count}I", columns, 16 * count)
    flags = columns[20 * count : 21 * count]
    ids = _cut(columns, 21 * count, 16, count)
    causes = _cut(columns, 37 * count, 16, count)
    digests = _cut(columns, 53 * count, 32, count)
    offsets = list(accumulate(lengths, initial=_FIXED * count))
    if offsets[-1] > len(columns):
        raise ValueError(f"the data would end at byte {offsets[-1]} of {len(columns)}")
    datas = [columns[a:b] for a, b in pairwise(offsets)]
    texts = columns[offsets[-1] :].decode().split("\0")
    if len(texts) != _TEXTS * count:
        raise ValueError(f"{len(texts)} texts instead of {_TEXTS * count}")
    drafts = map(
        Draft,
        ids,
        texts[0::_TEXTS],
        [f & _SINGLE for f in flags],
        texts[1::_TEXTS],
        texts[2::_TEXTS],
        times,
        texts[3::_TEXTS],
        [t if f & _CORRELATED else None for t, f in zip(texts[4::_TEXTS], flags, strict=True)],
        [c if f & _CAUSED else None for c, f in zip(causes, flags, strict=True)],
        [t if f & _ACTED else None for t, f in zip(texts[5::_TEXTS], flags, strict=True)],
        [t if f & _TRACED else None for t, f in zip(texts[6::_TEXTS], flags, strict=True)],
        datas,
        digests,
    )
    return [Recorded(p, v, d) for p, v, d in zip(range(first, first + count), versions, drafts, strict=True)]


def _cut(columns: bytes, start: int, width: int, count: int) -> list[bytes]:
    """*count* values of *width* bytes each from byte *start* on."""
    return [columns[at : at + width] for at in range(start, start + width * count, width)]
