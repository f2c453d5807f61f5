"""What tests of an S3 server share."""

from __future__ import annotations

import hashlib
import io
import random
import time
from datetime import timedelta
from urllib.parse import urlsplit

from mlife.adapters.blobs_minio import PART
from tests.components import S3 as S3_SERVER

DIGIT = b"\x89PNG\r\n\x1a\n a digit"
LARGE = random.Random(3).randbytes(2 * PART + 12_345)
NOW = timedelta(0)
IS_MINIO = S3_SERVER.name == "minio"
"""It lists no parts: it removes them by itself."""


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def overwrite(bucket, digest, data):
    address = bucket.address
    bucket.client.put_object(address.bucket, address.object_of(digest), io.BytesIO(data), len(data))


def soon(ask, fault, seconds=30):
    """What *ask* gives as soon as it raises *fault* no more."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except fault:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def with_other(url, **changes):
    parts = urlsplit(url)
    key, secret = changes.get("key", parts.username), changes.get("secret", parts.password)
    host = changes.get("host", f"{parts.hostname}:{parts.port}")
    query = "&".join(q for q in (parts.query, changes.get("query", "")) if q)
    scheme, path = changes.get("scheme", parts.scheme), changes.get("path", parts.path)
    return f"{scheme}://{key}:{secret}@{host}{path}{'?' if query else ''}{query}"
