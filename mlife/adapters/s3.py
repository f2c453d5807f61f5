"""One bucket of an S3 server (MinIO, versitygw or any other): its URL, and a client that gives up within seconds."""

from __future__ import annotations

import os
import re
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import NewConnectionError, ProtocolError

from mlife.adapters.s3_faults import translated
from mlife.core.errors import Misconfigured, shortened, without_secrets

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 10.0

JOIN_SECONDS: Final = 120.0
"""Until the server has copied an object, or joined the parts of a large one: it may have to move gigabytes."""

PAUSES: Final = (0.1, 0.3)
"""Seconds before the second and the third try."""

_AGAIN: Final = frozenset({502, 503, 504})
GIB: Final = 1 << 30
CACHE_GIB: Final = 10
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
_LINKS = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")
_FORM: Final = "write s3+https://key:secret@host/bucket, special characters of key and secret as %XX"
_KNOWN: Final = frozenset({"region", "ca", "links", "cache"})


@dataclass(frozen=True, slots=True)
class Address:
    """
    What the setting `files` says of an S3 server.

    Args:
        host: with the port, if it is not the scheme's own.
        prefix: what the names of all objects begin with; empty, or ends in a slash.
        ca: PEM file of the authority that signed the server's certificate; None for those that everybody trusts.
        links: scheme and host under which clients reach the server by themselves; None: they can't.
        cache_bytes: how much of it is kept on this machine.
    """

    host: str
    is_encrypted: bool
    key: str
    secret: str = field(repr=False)
    bucket: str
    prefix: str = ""
    region: str = "us-east-1"
    ca: str | None = None
    links: str | None = None
    cache_bytes: int = CACHE_GIB * GIB

    @property
    def shown(self) -> str:
        """As people may see it."""
        scheme = "s3+https" if self.is_encrypted else "s3+http"
        return f"{scheme}://{self.host}/{self.bucket}/{self.prefix}".rstrip("/")

    def object_of(self, sha256: str) -> str:
        """The name of the object with the bytes of that digest."""
        return f"{self.files}{sha256[:2]}/{sha256}"

    @property
    def files(self) -> str:
        """What the names of all files begin with."""
        return f"{self.prefix}sha256/"

    @property
    def incoming(self) -> str:
        """What the names of all uploads begin with that nobody has looked at yet."""
        return f"{self.prefix}incoming/"


def address_of(url: str) -> Address:
    """
    Read `s3+http(s)://key:secret@host:port/bucket[/prefix]?region=…&ca=…&links=…&cache=…`.

    `links` is `off`, or the scheme and host that clients know the server by (default: as here); `cache` is GiB.

    Raises:
        Misconfigured: something in it is wrong; secrets are not shown.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        asked = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _wrong(url, "can't be read as a URL") from None  # what Python says of it repeats the secret
    if not (parts.username and parts.password):
        raise _wrong(url, "names no key and secret")
    if not host or parts.fragment:
        raise _wrong(url, "names no host" if not host else "has a # in it")
    unknown = sorted(asked.keys() - _KNOWN)
    if unknown:
        raise _wrong(url, f"has {shortened(unknown[0], 40)!r} in it, which means nothing", f"say {', '.join(_KNOWN)}")
    bucket, _, prefix = parts.path.strip("/").partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise _wrong(url, f"names the bucket {shortened(bucket, 70)!r}", "name one of 3 to 63 of a-z, 0-9, - and .")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise _wrong(url, f"names the prefix {shortened(prefix, 70)!r}", "use letters, digits, - _ . and / only")
    is_encrypted = parts.scheme == "s3+https"
    shown_host = f"[{host}]" if ":" in host else host
    named = f"{shown_host}:{port}" if port else shown_host
    return Address(
        host=named,
        is_encrypted=is_encrypted,
        key=unquote(parts.username),
        secret=unquote(parts.password),
        bucket=bucket,
        prefix=f"{prefix}/" if prefix else "",
        region=asked.get("region") or "us-east-1",
        ca=asked.get("ca") or None,
        links=_links(url, asked.get("links", f"{'https' if is_encrypted else 'http'}://{named}")),
        cache_bytes=_cache(url, asked.get("cache", str(CACHE_GIB))),
    )


def _links(url: str, said: str) -> str | None:
    if said == "off":
        return None
    if not _LINKS.fullmatch(said):
        raise _wrong(url, f"has links={shortened(said, 80)}", "say links=off, or links=https://host[:port]")
    return said


def _cache(url: str, said: str) -> int:
    if not re.fullmatch(r"\d{1,6}(\.\d{1,3})?", said):
        raise _wrong(url, f"has cache={shortened(said, 40)}", "say how many GiB of files are kept here, as cache=10")
    return int(float(said) * GIB)


def _wrong(url: str, problem: str, remedy: str = _FORM) -> Misconfigured:
    return Misconfigured(f"MLIFE_FILES, {without_secrets(shortened(url, 300))}, {problem}", remedy=remedy)


class S3:
    """
    The server of an `Address`, asked with bounded patience. Any thread may use it, also after a fork.

    Args:
        connect, read: seconds until a server that does not answer is given up. tries: how often it is knocked at.

    Raises:
        Misconfigured: the certificates that it names can't be read.
    """

    def __init__(
        self, address: Address, *, connect: float = CONNECT_SECONDS, read: float = READ_SECONDS, tries: int = 3
    ) -> None:
        self.address = address
        self.shown = address.shown
        self.pool = _Pool(
            tries,
            timeout=urllib3.Timeout(connect=connect, read=read),
            maxsize=16,
            **({"ssl_context": _trust(address)} if address.is_encrypted else {}),
        )
        self.client = Minio(
            address.host,
            access_key=address.key,
            secret_key=address.secret,
            secure=address.is_encrypted,
            region=address.region,
            http_client=self.pool,
        )

    def translated(self) -> Any:
        """A block in which the client's errors become ours; see `s3_faults.translated`."""
        return translated(self.shown)

    def has_bucket(self) -> bool:
        """
        Is our bucket there? Asked in a way that is answered with a reason, unlike HEAD.

        Raises:
            Unavailable, Misconfigured: the server is away, or refuses our key.
        """
        with self.translated():
            try:
                next(self.client.list_objects(self.address.bucket, prefix=self.address.incoming), None)
            except S3Error as e:
                if e.code == "NoSuchBucket":
                    return False
                raise
        return True

    @property
    def base(self) -> str:
        """Scheme and host."""
        return f"{'https' if self.address.is_encrypted else 'http'}://{self.address.host}"


def _trust(address: Address) -> ssl.SSLContext:
    file = address.ca or os.environ.get("SSL_CERT_FILE") or certifi.where()
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as e:  # an SSLError is an OSError, too, but not every Python says so
        said = "is no PEM file of certificates" if isinstance(e, ssl.SSLError) else f"can't be read ({e.strerror})"
        raise Misconfigured(
            f"{shortened(file)}, the authority of {address.shown}, {said}", remedy="correct ca= in MLIFE_FILES"
        ) from e


class _Pool(urllib3.PoolManager):
    """
    Connections of this process only, which knock again where a connection fails.

    Not again where the server took the request and is silent: that took long enough. urllib3's own way to retry tells
    the two apart no more than it can be kept from writing each try to the log.
    """

    def __init__(self, tries: int, **kw: Any) -> None:
        super().__init__(**kw)
        self._pid, self._tries = os.getpid(), tries

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]  # noqa: FBT001, FBT002 - as it is declared there
        if os.getpid() != self._pid:
            self.clear()
            self._pid = os.getpid()
        if (method == "POST" and "uploadId=" in url) or "x-amz-copy-source" in (kw.get("headers") or ()):
            # the server moves bytes of its own before it answers
            kw["timeout"] = urllib3.Timeout(connect=CONNECT_SECONDS, read=JOIN_SECONDS)
        for pause in PAUSES[: self._tries - 1]:
            try:
                answer = super().urlopen(method, url, redirect=redirect, **{**kw, "retries": False})
                if answer.status not in _AGAIN:
                    return answer
                answer.drain_conn()
            except NewConnectionError:
                pass  # nothing was sent
            except ProtocolError:
                if method == "POST":  # it may have been done
                    raise
            time.sleep(pause)
        return super().urlopen(method, url, redirect=redirect, **{**kw, "retries": False})


def as_query(values: dict[str, str]) -> str:
    """*values* as the sorted and strictly encoded query that is signed."""
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in sorted(values.items()))
