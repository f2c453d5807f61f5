"""
Links of http and https, read through httpcore: each connection goes to an address that was looked at just before.

Names are asked for once a connection, and the address that was judged is the one that is connected to, so a name that
changes its address in between (DNS rebinding) gains nothing; the certificate is held against the name all the same.
Proxies of the environment are not asked: behind one, nobody could see where a link leads.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from string import punctuation
from typing import Any, BinaryIO
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from mlife import __version__
from mlife.core.errors import Misconfigured, shortened
from mlife.core.media.links import Bounds, Options, Unreadable, addresses, kept, public_addresses

REDIRECTS = 5
CONNECT_SECONDS = 5.0
LOOK_SECONDS = 0.5
"""Between looks whether the process is to end."""
_HEADERS: dict[bytes | str, bytes | str] = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # the bytes as they are: their digest is what counts
    "User-Agent": f"mlife/{__version__}",
}


class HttpFetcher:
    """
    Reads links of one system.

    Args:
        options: `hosts`: names that may have private addresses, because the operator says so.
    """

    def __init__(self, options: Options) -> None:
        hosts = options.get("hosts", [])
        if not (isinstance(hosts, list) and all(isinstance(h, str) for h in hosts)):
            raise Misconfigured(
                "hosts of [links] in mlife.toml is no list of names", remedy='write hosts = ["cam.example"]'
            )
        self._trusted = frozenset(h.lower() for h in hosts)
        self._trust = ssl.create_default_context()

    def fetch(self, uri: str, bounds: Bounds) -> BinaryIO:
        """See `Fetcher`."""
        until = bounds.until
        uri = quote(uri, safe=punctuation)  # a link may be written with letters of any script
        backend = _Guarded(self._trusted, bounds, until)
        with httpcore.ConnectionPool(ssl_context=self._trust, network_backend=backend) as pool:
            for _ in range(REDIRECTS + 1):
                _check(uri)
                with _explained(), pool.stream(
                    "GET", uri.encode(), headers=_headers(uri)
                ) as answer:  # fmt: skip
                    if answer.status not in {301, 302, 303, 307, 308}:
                        return _body(answer, bounds, until)
                    uri = _next(uri, answer)
        raise Unreadable(f"leads on more than {REDIRECTS} times")


def _headers(uri: str) -> dict[bytes | str, bytes | str]:
    return {"Host": urlsplit(uri).netloc, **_HEADERS}


def _check(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise Unreadable("is no URL that can be read") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise Unreadable("is no http or https URL that can be read")
    if parts.username is not None or parts.password is not None:
        raise Unreadable("holds a name or password, which does not belong into a report")


def _next(uri: str, answer: httpcore.Response) -> str:
    told = _header(answer, b"location").decode("latin-1")
    if not told:
        raise Unreadable(f"answers {answer.status} and does not say where to go")
    onward = quote(urljoin(uri, told), safe=punctuation)
    if uri.startswith("https:") and not onward.startswith("https:"):
        raise Unreadable("leads on from https to a place without it")
    return onward


def _header(answer: httpcore.Response, name: bytes) -> bytes:
    return next((value for known, value in answer.headers if known.lower() == name), b"")


def _body(answer: httpcore.Response, bounds: Bounds, until: float) -> BinaryIO:
    if answer.status != 200:
        passing = answer.status >= 500 or answer.status in {408, 425, 429}
        raise Unreadable(f"answers {answer.status}", is_passing=passing)
    if _header(answer, b"content-encoding").lower() not in {b"", b"identity"}:
        raise Unreadable("answers with encoded bytes, whose digest is another")
    told = _header(answer, b"content-length")
    return kept(answer.iter_stream(), int(told) if told.isdigit() else None, bounds, until)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, TimeoutError) as e:
        raise Unreadable("leads to a host that does not answer in time", is_away=True) from e
    except httpcore.ConnectError as e:
        raise Unreadable(f"can't be read from its host: {shortened(str(e), 120)}", is_away=True) from e
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as e:
        why = shortened(str(e) or type(e).__name__, 120)
        raise Unreadable(f"can't be read from its host: {why}", is_passing=True) from e


class _Guarded(httpcore.NetworkBackend):
    """Connects to addresses that were looked at, and to nothing else."""

    def __init__(self, trusted: frozenset[str], bounds: Bounds, until: float) -> None:
        self._inner = httpcore.SyncBackend()
        self._trusted, self._bounds, self._until = trusted, bounds, until

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """As the name says; the certificate is compared with *host* later."""
        judged = addresses(host, port) if host.lower() in self._trusted else public_addresses(host, port)
        fault: Exception = Unreadable("leads to a host without an address")
        for address in judged:
            left = min(CONNECT_SECONDS, self._bounds.left(self._until))
            try:
                there = self._inner.connect_tcp(address, port, left, local_address, socket_options)
                return _Hurried(there, self._bounds, self._until)
            except (httpcore.NetworkError, httpcore.TimeoutException) as e:
                fault = e
        raise fault


class _Hurried(httpcore.NetworkStream):
    """A connection that ends with the time there is: a host that sends a byte now and then gains none by it."""

    def __init__(self, inner: httpcore.NetworkStream, bounds: Bounds, until: float) -> None:
        self._inner, self._bounds, self._until = inner, bounds, until
        self._is_silent = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            left = self._bounds.left(self._until)
            try:
                found = self._inner.read(max_bytes, min(LOOK_SECONDS, left))
            except httpcore.ReadTimeout:
                if self._is_silent and left <= LOOK_SECONDS:
                    raise
            else:
                self._is_silent = False
                return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._bounds.left(self._until))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, self._bounds.left(self._until))
        return _Hurried(secured, self._bounds, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
