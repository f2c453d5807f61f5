"""
Sealing: declared personal fields are ciphertext inside the stored bytes, from the first event on.

AES-256-GCM with one key per data subject (the report's `reporter`, else its `client`). Dropping the key erases the
person everywhere, and every digest stays valid. The nonce is derived from key, event, field and text, so that sealing
the same event twice gives the same bytes: a resend is recognised, and no nonce meets two texts. In a field that holds
JSON, texts and numbers are sealed wherever they stand; names of its members and true, false, null are not. A free field
that is declared personal is sealed whole, whatever its value is.
"""

from __future__ import annotations

import base64
import hmac
import io
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

from mlife.core.events import Event
from mlife.core.ports import Keys

TEXT, NUMBER = "sealed:v1:", "sealed:n1:"
"""How sealed texts begin, and sealed JSON; nobody may send a text that does."""
FACTS = frozenset({"sha256", "md5", "media_type"})
"""Members of sealed links that stay readable: the leakage guard must know a reported file, whoever is in it."""

ERASED = "(erased)"
ALWAYS = frozenset({"reporter"})


@dataclass(frozen=True)
class Sealer:
    """
    Seals and opens personal fields.

    Args:
        keys: where the keys are.
        declared: system → names of the personal fields that it wants sealed; `reporter` always is.
    """

    keys: Keys
    declared: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def fields_of(self, cls: type[Event], system: str | None) -> frozenset[str]:
        """Which fields of *cls* are sealed for *system*."""
        return cls.declared.personal & (ALWAYS | self.declared.get(system or "", frozenset()))

    def seal(
        self, cls: type[Event], event_id: bytes, data: dict[str, Any], free: Collection[str] = ()
    ) -> dict[str, Any]:
        """
        *data* (an event's JSON) with its sealed fields as ciphertext; the same object if there is none.

        Args:
            free: names in lower case of members of `fields` that are personal, whether or not all of them are sealed.
        """
        names = [n for n in sorted(self.fields_of(cls, data.get("system"))) if data.get(n)]
        told = (data.get("fields") or {}) if free else {}
        whole = [n for n, value in told.items() if value is not None and n.lower() in free]
        if not names and not whole:
            return data
        subject = data.get("reporter") or data.get("client")
        key_id, key = self.keys.of_subject(str(subject) if subject else f"event {event_id.hex()}")
        sealed = dict(data)
        if whole:
            own = {n: _sealed(key_id, key, event_id, f"fields.{n}", data["fields"][n]) for n in whole}
            sealed["fields"] = data["fields"] | own
        for n in names:
            readable = FACTS if n == "data" else frozenset[str]()
            sealed[n] = _walk(sealed[n], partial(_seal, key_id, key, event_id, n), readable)
        return sealed

    def open(self, value: Any) -> Any:
        """*value* with every sealed text in it readable again, or `(erased)` where the key was dropped."""
        return _walk(value, self._open_leaf)

    def _open_leaf(self, leaf: Any) -> Any:
        mark = next((m for m in (TEXT, NUMBER) if isinstance(leaf, str) and leaf.startswith(m)), None)
        if mark is None:
            return leaf
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            key_id, body = leaf.removeprefix(mark).split(":", 1)
            raw = base64.b64decode(body, altchars=b"-_", validate=True)
        except ValueError:
            return leaf  # somebody really wrote that
        key = self.keys.by_id(key_id)
        if key is None:
            return ERASED
        try:
            text = AESGCM(key).decrypt(raw[:12], raw[12:], None).decode()
        except (InvalidTag, ValueError):
            return ERASED
        return json.loads(text) if mark == NUMBER else text


class Veiled(io.RawIOBase):
    """
    The bytes of *source* as ciphertext; those of ciphertext as they were. Read once, from its start.

    For what must lie somewhere between two requests: nobody can read it but who brings the key back.

    Args:
        key: 32 random bytes, for this source alone.
    """

    def __init__(self, source: BinaryIO, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._source = source
        self._stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def read(self, size: int = -1) -> bytes:
        return self._stream.update(self._source.read(size))


def is_sealed(value: Any) -> bool:
    """Is *value* of a stored event ciphertext, or is anything in it?"""
    if isinstance(value, str):
        return value.startswith((TEXT, NUMBER))
    if isinstance(value, list | dict):
        return any(map(is_sealed, value.values() if isinstance(value, dict) else value))
    return False


def _seal(key_id: str, key: bytes, event_id: bytes, name: str, leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, bool) or is_sealed(leaf):
        return leaf
    return _sealed(key_id, key, event_id, name, leaf)


def _sealed(key_id: str, key: bytes, event_id: bytes, name: str, value: Any) -> str:
    mark, text = (TEXT, value) if isinstance(value, str) else (NUMBER, json.dumps(value))
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # the mark is part of it: the text "7" and the number 7 must not share a nonce
    nonce = hmac.digest(key, event_id + f"{name}\0{mark}\0{text}".encode(), "sha256")[:12]
    body = base64.urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), None)).decode()
    return f"{mark}{key_id}:{body}"


def _walk(value: Any, change: Callable[[Any], Any], facts: frozenset[str] = frozenset()) -> Any:
    """*value* with every leaf changed; names in an object are no leaves and stay, and so do members in *facts*."""
    if isinstance(value, list):
        return [_walk(v, change, facts) for v in value]
    if isinstance(value, dict):
        return {k: v if k in facts else _walk(v, change, facts) for k, v in value.items()}
    return change(value)
