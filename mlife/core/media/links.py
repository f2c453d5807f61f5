"""
Linked bytes: who reads what a report links to, and which addresses a stranger's link may lead to.

A fetcher is a plug-in by the scheme of the link, made for each system from its `[links.<system>]` table in mlife.toml.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, Protocol, TypeAlias, cast

from mlife.core.errors import Misconfigured, MLifeError, Unavailable, shortened
from mlife.core.media.plugins import FETCHERS, plugin

MOST_BYTES = 256 << 20
"""Of one linked file."""
MOST_SECONDS = 20.0
"""For one linked file, from the look-up of its host's name to its last byte."""

AWAY_SECONDS = 60.0
"""Until a host is asked again that did not answer, or took too long; twice as long each time it happens again."""
LONGEST_AWAY = 600.0
MOST_AWAY = 1_000
IN_MEMORY = 4 << 20


class Unreadable(MLifeError):
    """
    A link whose bytes can't be had; the message says why, as the predicate of a sentence about the link.

    Args:
        is_passing: another try may help.
        is_away: the host does not answer at all, and is not asked again for a while.
    """

    status = 502
    title = "Link can't be read"

    def __init__(self, message: str, *, remedy: str = "", is_passing: bool = False, is_away: bool = False) -> None:
        super().__init__(message, remedy=remedy)
        self.is_passing, self.is_away = is_passing or is_away, is_away


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How much one link may cost.

    Args:
        stop: set when the process is to end; then nothing more is waited for.
    """

    bytes: int = MOST_BYTES
    seconds: float = MOST_SECONDS
    stop: threading.Event | None = None

    @property
    def until(self) -> float:
        """The moment (`time.monotonic`) that is the last, counted from now."""
        return time.monotonic() + self.seconds

    def left(self, until: float) -> float:
        """
        Seconds until the moment *until*, which was counted before.

        Raises:
            Unreadable: there are none. Unavailable: the process is to end; another reads the link.
        """
        if self.stop is not None and self.stop.is_set():
            raise Unavailable("links are not read any more: the process ends")
        left = until - time.monotonic()
        if left <= 0:
            raise Unreadable(f"takes longer than {self.seconds:g} s", is_away=True)
        return left


def kept(pieces: Iterable[bytes], told: int | None, bounds: Bounds, until: float) -> BinaryIO:
    """
    What comes, to be read from its start; the caller closes it.

    Args:
        told: how many bytes will come, if anybody said so. until: the last moment, as of `Bounds.until`.

    Raises:
        Unreadable: there is more of it than *bounds* allow, or it takes longer.
    """
    if told is not None and told > bounds.bytes:
        raise Unreadable(f"has {told:,} bytes; at most {bounds.bytes:,} are read")
    found, size = SpooledTemporaryFile(IN_MEMORY), 0  # noqa: SIM115 - the caller closes it
    try:
        for piece in pieces:
            size += len(piece)
            if size > bounds.bytes:
                raise Unreadable(f"has more than {bounds.bytes:,} bytes")
            bounds.left(until)
            found.write(piece)
    except BaseException:
        found.close()
        raise
    found.seek(0)
    return cast("BinaryIO", found)


class Fetcher(Protocol):
    """Reads links of one scheme for one system; may be used from many threads."""

    def fetch(self, uri: str, bounds: Bounds) -> BinaryIO:
        """
        The bytes, to be read once from their start, within *bounds*; the caller closes them.

        Raises:
            Unreadable: they can't be had.
        """


Options: TypeAlias = Mapping[str, Any]
"""What mlife.toml says of a system's links."""
MakeFetcher: TypeAlias = Callable[[Options], Fetcher]


class Links:
    """
    Every system's fetchers.

    Args:
        options: system → its table of mlife.toml; `*`: of systems that have none.
    """

    def __init__(self, options: Mapping[str, Options]) -> None:
        self._options = options
        self._fetcher = lru_cache(maxsize=256)(self._made)
        self._away: dict[tuple[str, str], tuple[float, float]] = {}
        self.stop: threading.Event | None = None
        """Set when the process is to end; see `Bounds`."""

    def fetch(self, system: str, uri: str, bounds: Bounds | None = None) -> BinaryIO:
        """
        The bytes that *uri* of a report of *system* leads to.

        Raises:
            Unreadable: they can't be had, or nothing installed reads such links.
        """
        scheme, _, rest = uri.partition(":")
        host = (system, rest.removeprefix("//").partition("/")[0])
        again, pause = self._away.get(host, (0.0, 0.0))
        if again > time.monotonic():
            raise Unreadable("leads to a host that did not answer in time a moment ago", is_passing=True)
        try:
            found = self._fetcher(system, scheme.lower()).fetch(uri, replace(bounds or Bounds(), stop=self.stop))
        except Unreadable as e:
            if e.is_away:  # many links to one dead host must not cost a time-out each
                if len(self._away) >= MOST_AWAY:
                    self._away.clear()
                pause = min(2 * pause or AWAY_SECONDS, LONGEST_AWAY)
                self._away[host] = (time.monotonic() + pause, pause)
            raise
        self._away.pop(host, None)
        return found

    def _made(self, system: str, scheme: str) -> Fetcher:
        make: MakeFetcher | None = plugin(FETCHERS, scheme)
        if make is None:
            raise Unreadable(
                f"begins with {shortened(scheme, 40)}, and nothing installed reads that",
                remedy=f"install a plug-in for {FETCHERS}, or send the bytes",
            )
        try:
            return make(self._options.get(system, self._options.get("*", {})))
        except Misconfigured as e:
            raise Unreadable(e.message, remedy=e.remedy) from e


def public_addresses(host: str, port: int) -> list[str]:
    """
    The addresses of *host*, if a stranger may lead us to every one of them.

    Whoever connects must take one of these and not ask for the name again: the answer may be another then.

    Raises:
        Unreadable: the name is unknown, or has an address that is not public (of this machine, its network, a cloud's
            metadata service). One bad address of several is enough: which one is taken must not be luck.
    """
    found = addresses(host, port)
    for address in found:
        if not is_public(address):
            raise Unreadable(
                f"leads to {host} at {address}, which is no public address",
                remedy='if the system may read from there, name the host in mlife.toml: [links.<system>] hosts = ["…"]',
            )
    return found


def addresses(host: str, port: int) -> list[str]:
    """The addresses of *host*, in the resolver's order. Raises Unreadable: there are none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise Unreadable(f"names the host {shortened(host, 100)}, which nobody knows", is_away=True) from e
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def is_public(address: str) -> bool:
    """Is it an address of the public Internet? IPv4 in IPv6's clothes is looked at as IPv4."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    is_near = any(found in network for network in _NEAR)
    return found.is_global and not (found.is_multicast or found.is_reserved or is_near)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NEAR = [ipaddress.ip_network(name) for name in ("192.0.0.0/24", "168.63.129.16/32", "fec0::/10", "3fff::/20")]
"""Networks that pass for global though they are not: clouds' own services, sites of before `fc00::`, examples."""
