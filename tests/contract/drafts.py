"""Events as the log's tests write them: no class stands behind them, the log does not look inside."""

import hashlib

from mlife.core.events import Draft, uuid5_bytes


def draft(
    stream: str,
    name: str = "",
    *,
    event_id: bytes | None = None,
    single: int = 0,
    type: str = "mlife.toy.painted.v1",
    data: bytes | None = None,
) -> Draft:
    """A draft in *stream*; the same *name* gives the same id."""
    body = data if data is not None else f'{{"name":"{name}"}}'.encode()
    return Draft(
        event_id or uuid5_bytes(f"{stream} {name}".encode()),
        stream if not single else f"{stream}/{name}",
        single,
        type,
        stream,
        1_700_000_000_000_000,
        "/mlife",
        None,
        None,
        None,
        None,
        body,
        hashlib.sha256(body).digest(),
    )
