"""How an S3 server and our bucket are, for `mlife doctor`; with *fix* the bucket is made and leftovers are removed."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from minio.error import S3Error

from mlife.adapters.s3 import S3, address_of
from mlife.adapters.s3_leftovers import leftovers, remove_leftovers
from mlife.core.errors import MLifeError
from mlife.core.health import Finding
from mlife.core.health.clocks import clock_finding

SECONDS: Final = 2.0
LOCAL: Final = ("127.", "localhost", "[::1]")


def check_s3(url: str, *, fix: bool = False) -> Iterator[Finding]:
    """
    Findings about the server and the bucket at *url*.

    Args:
        fix: make the bucket if it is missing, and remove what the dead left there.

    Raises:
        Misconfigured, Unavailable: it can't be used at all, and why.
    """
    s3 = S3(address_of(url), connect=SECONDS, read=SECONDS, tries=1)
    yield from _reached(s3)
    is_there = s3.has_bucket()
    if not is_there and fix:
        with s3.translated():
            s3.client.make_bucket(s3.address.bucket, location=s3.address.region)
        yield Finding("files bucket", "ok", f"made now: {s3.address.bucket}")
    elif not is_there:
        missing = f"there is no bucket {s3.address.bucket}"
        yield Finding("files bucket", "wrong", missing, "`mlife doctor --fix` makes it")
        return
    yield _written(s3)
    yield _versions(s3)
    yield _left(s3, fix=fix)


def _reached(s3: S3) -> Iterator[Finding]:
    before, began = datetime.now(UTC), time.perf_counter()
    with s3.translated():
        answer = s3.pool.request("GET", f"{s3.base}/", redirect=False)  # without a key: any answer tells the time
    trip = (time.perf_counter() - began) * 1000
    links = f"clients get links to {s3.address.links}" if s3.address.links else "clients get no links"
    yield Finding("files", "ok", f"{s3.shown}, {trip:.0f} ms away; {links}")
    if not s3.address.is_encrypted and not s3.address.host.startswith(LOCAL):
        yield Finding(
            "files encryption", "note", "the connection is not encrypted", "say s3+https, and ca=… if need be"
        )
    if "VERSITYGW" in answer.headers.get("Server", ""):
        lost = "versitygw answers before bytes are on the disk: a power cut may lose what was acknowledged"
        yield Finding("files durability", "note", lost, "mount its folder with the option sync, or take another server")
    said = answer.headers.get("Date")
    if said:
        # whole seconds, cut off: the middle of the second is the best guess
        theirs = parsedate_to_datetime(said).replace(microsecond=500_000)
        yield clock_finding("files", theirs, before, datetime.now(UTC))


def _written(s3: S3) -> Finding:
    """Whether the key may do what is needed: write, read, delete."""
    name = f"{s3.address.prefix}probe"
    try:
        with s3.translated():
            s3.client.put_object(s3.address.bucket, name, io.BytesIO(b"mlife doctor"), 12)
            s3.client.stat_object(s3.address.bucket, name)
            s3.client.remove_object(s3.address.bucket, name)
    except MLifeError as e:
        return Finding.of("files writes", e)
    except S3Error as e:
        return Finding("files writes", "wrong", f"what was written is not there ({e.code})", "see the server's log")
    return Finding("files writes", "ok", "its key may write, read and delete")


def _versions(s3: S3) -> Finding:
    try:
        with s3.translated():
            state = s3.client.get_bucket_versioning(s3.address.bucket).status
    except (MLifeError, S3Error) as e:
        return Finding("files versions", "note", f"it does not say whether it keeps old versions ({e})")
    if state == "Enabled":
        return Finding("files versions", "ok", "old versions are kept; what is deleted by mistake can be had back")
    more = "" if state is None else f" ({state.lower()})"
    return Finding("files versions", "ok", f"old versions are not kept{more}; files are never overwritten")


def _left(s3: S3, *, fix: bool) -> Finding:
    try:
        if fix:
            removed = remove_leftovers(s3)
            return Finding("files leftovers", "ok", f"{removed} removed now" if removed else "none")
        count = sum(1 for _ in leftovers(s3))
    except MLifeError as e:
        return Finding("files leftovers", "note", f"can't be listed: {e.message}", e.remedy)
    if count:
        what = f"{count} uploads that were begun before yesterday and never ended"
        return Finding("files leftovers", "note", what, "`mlife doctor --fix` removes them")
    return Finding("files leftovers", "ok", "none")
