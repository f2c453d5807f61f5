"""
Links by which somebody without a key may get or put one object, for a while.

The client library signs the host alone; here further headers are signed, so that the server takes only the bytes with
the size and the SHA-256 that the link was made for (Signature Version 4, "Authenticating Requests: Using Query
Parameters").
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

from mlife.adapters.s3 import Address, as_query


def signed(
    address: Address,
    method: str,
    name: str,
    *,
    base: str,
    at: datetime,
    seconds: int,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """
    The URL of the object *name*, good for *method* during *seconds* after *at* (UTC).

    Args:
        base: scheme and host that the request will go to.
        headers: that the request must have, by lower-case names.
    """
    path = quote(f"/{address.bucket}/{name}")
    moment = at.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{address.region}/s3/aws4_request"
    sent = {**(headers or {}), "host": urlsplit(base).netloc}
    names = ";".join(sorted(sent))
    asked = as_query(
        {
            **(query or {}),
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{address.key}/{scope}",
            "X-Amz-Date": moment,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": names,
        }
    )
    lines = [f"{n}:{sent[n]}" for n in sorted(sent)]
    request = "\n".join([method, path, asked, *lines, "", names, "UNSIGNED-PAYLOAD"])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{address.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{base}{path}?{asked}&X-Amz-Signature={hmac.digest(key, to_sign.encode(), 'sha256').hex()}"
