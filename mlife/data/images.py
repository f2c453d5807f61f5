"""The port through which pictures are looked at; `mlife/adapters/images_pillow.py` provides it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from mlife.core.errors import Misconfigured
from mlife.core.handler import Ports

SNIFFED = 4096
"""Bytes that `sniff` wants to see."""


class Picture(Protocol):
    """A small picture, encoded anew; pixels."""

    body: bytes
    media_type: str
    width: int
    height: int


class NoPicture(Protocol):
    """Why a file can't be shown, as the predicate of a sentence about it."""

    problem: str


class Images(Protocol):
    """Looks at pictures of strangers, in a process of its own."""

    def sniff(self, head: bytes) -> str:
        """The media type of a file that begins with *head*; `application/octet-stream` if it can't be told."""

    def thumbnail(self, source: Path | bytes, box: tuple[int, int] = (256, 256)) -> Picture | NoPicture:
        """The first frame of *source*, upright, to fit into *box* (pixels)."""


def images_of(ports: Ports) -> Images:
    """
    The pictures' port.

    Raises:
        Misconfigured: the runtime wired none.
    """
    found = ports.extra.get("images")
    if found is None:
        raise Misconfigured("no reader of pictures is wired", remedy="runtime.wire puts it at ports.extra['images']")
    return cast("Images", found)
