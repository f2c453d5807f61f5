"""
Webhooks, signed as Standard Webhooks says (https://www.standardwebhooks.com).

The address that a host's name has is judged, and that very address is connected to: a private one is refused unless the
setting says `private+https://`. Redirects are not followed, proxies of the environment are not asked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import orjson

from mlife import __version__
from mlife.adapters.notifying import Limit, NotTaken
from mlife.core.errors import Misconfigured, shortened
from mlife.core.events import rfc3339, to_micros
from mlife.core.media.links import Unreadable, addresses, is_public
from mlife.core.ports import Notice

SECONDS = 10.0
"""For one read or write."""
PRIVATE = "private+"
PREFIX = "whsec_"
"""Of every secret."""


class Webhook:
    """
    One URL that notices are posted to.

    Args:
        url: `https://…` or `http://…`; `private+` before it allows private addresses.
        secrets: `whsec_…` each; a request bears a signature by each of them, so that one can follow another.
        now: seconds since 1970.
    """

    channel = "webhook"

    def __init__(self, url: str, secrets: tuple[str, ...], now: Callable[[], float] = time.time) -> None:
        self._is_private = url.startswith(PRIVATE)
        self._url = url.removeprefix(PRIVATE)
        try:
            parts = urlsplit(self._url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            raise Misconfigured(
                "MLIFE_WEBHOOK holds something that is no URL a webhook can have",
                remedy="write https://host/path, several with blanks between them, without a name or password",
            )
        self._keys = tuple(_key(s) for s in secrets)
        if not self._keys:
            raise Misconfigured(
                "MLIFE_WEBHOOK is set and MLIFE_WEBHOOK_SECRET is not: nobody could tell our calls from others'",
                remedy="set it to whsec_ and at least 24 random bytes in Base64",
            )
        self._host, self._secure = parts.hostname, parts.scheme == "https"
        self._port = port or (443 if self._secure else 80)
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._shown_host = parts.netloc
        self._now = now
        self.name = f"{self._shown_host} {hashlib.sha256(self._url.encode()).hexdigest()[:8]}"
        """Host and a mark; path and query may hold a secret."""

    def tell(self, notice: Notice) -> None:
        """Post it once. Raises NotTaken: no answer in time, or another one than 2xx; 410 is final."""
        body = orjson.dumps({"type": notice.type, "timestamp": rfc3339(to_micros(notice.at)), "data": notice.data})
        try:
            with Limit() as limit:
                connection = http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)
                connection.sock = self._socket(limit)
                try:
                    connection.request("POST", self._path, body, self._headers(notice, body))
                    answer = connection.getresponse()
                    answer.read(65_536)
                finally:
                    connection.close()
        except (OSError, http.client.HTTPException) as e:
            raise NotTaken(f"no answer: {shortened(str(e) or type(e).__name__, 120)}") from e
        if not 200 <= answer.status < 300:
            raise NotTaken(f"it answered {answer.status}", is_final=answer.status == 410)

    def judged(self) -> list[str]:
        """The addresses that may be connected to. Raises NotTaken: the host has none."""
        try:
            found = addresses(self._host, self._port)
        except Unreadable as e:
            raise NotTaken(f"it {e.message}") from e
        closed = [] if self._is_private else [a for a in found if not is_public(a)]
        if closed:
            where = closed[0] if closed[0] == self._host else f"{self._host} at {closed[0]}"
            raise NotTaken(f"it leads to {where}, which is no public address; if it may, write private+ before its URL")
        return found

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        sent = str(int(self._now()))
        return {
            "Host": self._shown_host,
            "Content-Type": "application/json",
            "User-Agent": f"mlife/{__version__}",
            "webhook-id": notice.id,
            "webhook-timestamp": sent,
            "webhook-signature": " ".join(signature(key, notice.id, sent, body) for key in self._keys),
        }

    def _socket(self, limit: Limit) -> socket.socket:
        judged = self.judged()
        fault: OSError = OSError("no address")
        for address in judged:
            try:
                sock = socket.create_connection((address, self._port), timeout=SECONDS)
                limit.watch(sock)
                return self._secured(sock, limit) if self._secure else sock
            except OSError as e:
                fault = e
        raise NotTaken(f"it can't be reached: {shortened(fault.strerror or str(fault), 120)}")

    def _secured(self, sock: socket.socket, limit: Limit) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        secure = context.wrap_socket(sock, server_hostname=self._host, do_handshake_on_connect=False)
        limit.watch(secure)
        secure.do_handshake()
        return secure


def signature(key: bytes, notice_id: str, sent: str, body: bytes) -> str:
    """`v1,…` over id, time and body, as Standard Webhooks has it."""
    signed = f"{notice_id}.{sent}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(PREFIX) or len(key) < 24:
        raise Misconfigured(
            "MLIFE_WEBHOOK_SECRET is no secret of Standard Webhooks",
            remedy="set it to whsec_ and at least 24 random bytes in Base64",
        )
    return key
