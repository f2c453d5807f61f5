"""
Sealing: declared personal fields are ciphertext inside the stored bytes, from the first event on.

AES-256-GCM with one key per data subject (the report's `reporter`, else its `client`). Dropping the key erases the
person everywhere, and every digest stays valid. The nonce is derived from key, event, field and text, so that sealing
the same event twice gives the same bytes: a resend is recognised, and no nonce meets two texts. In a field that holds
JSON, texts and numbers are sealed wherever they stand; names of its members and true, false, null are not.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mlife.core.events import Event
from mlife.core.ports import Keys

TEXT, NUMBER = "sealed:v1:", "sealed:n1:"
FACTS = frozenset({"sha256", "md5", "media_type"})
"""Members of a sealed link that stay readable: the leakage guard must know a reported file, whoever is in it."""

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

    def seal(self, cls: type[Event], event_id: bytes, data: dict[str, Any]) -> dict[str, Any]:
        """*data* (an event's JSON) with its sealed fields as ciphertext; the same object if there is none."""
        names = [n for n in sorted(self.fields_of(cls, data.get("system"))) if data.get(n)]
        if not names:
            return data
        subject = data.get("reporter") or data.get("client")
        key_id, key = self.keys.of_subject(str(subject) if subject else f"event {event_id.hex()}")
        sealed = dict(data)
        for n in names:
            sealed[n] = _walk(data[n], partial(_seal, key_id, key, event_id, n), FACTS)
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


def _seal(key_id: str, key: bytes, event_id: bytes, name: str, leaf: Any) -> Any:
    if isinstance(leaf, str):
        mark, text = TEXT, leaf
    elif isinstance(leaf, (int, float)) and not isinstance(leaf, bool):
        mark, text = NUMBER, json.dumps(leaf)
    else:
        return leaf
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
