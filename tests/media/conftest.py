"""Files that are made here, and homes of both sizes."""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mlife.runtime import Home, open_home, settings
from tests.badcases.conftest import Field


def png(width: int = 40, height: int = 30, colour: str = "red") -> bytes:
    """A plain picture."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def wav(seconds: float = 1.0, rate: int = 8_000, pitch: float = 440.0) -> bytes:
    """A tone."""
    out = io.BytesIO()
    with wave.open(out, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        samples = (int(12_000 * math.sin(2 * math.pi * pitch * n / rate)) for n in range(int(seconds * rate)))
        written.writeframes(b"".join(struct.pack("<h", s) for s in samples))
    return out.getvalue()


@pytest.fixture
def field(home: Home) -> Field:
    """A home in which nothing happened yet."""
    return Field(home)


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Field]]:
    """Opens a home of either size, with the `[links]` of mlife.toml that it is given."""
    opened: list[Any] = []

    def open_it(links: dict[str, Any] | None = None) -> Field:
        store = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
        chosen = settings(tmp_path / "either", config=tmp_path / "no.toml", store=store)
        context = open_home(replace(chosen, links=links or {}))
        opened.append(context)
        return Field(context.__enter__())

    yield open_it
    for context in opened:
        context.__exit__(None, None, None)
