"""What tests of data share: an intake, pictures, and documents over them."""

import hashlib
import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from mlife.adapters.images_pillow import PillowImages
from mlife.data.intake import DataIntake
from mlife.runtime import Home
from tests.conftest import drain


@pytest.fixture
def data(home: Home) -> DataIntake:
    """The intake of a home whose runner is not running: what it needs to see is projected as a command line would."""
    home.ports.extra.setdefault("images", PillowImages())
    return DataIntake(home.ports, home.do, see=lambda _: drain_projections(home))


def drain_projections(home: Home) -> None:
    """Project everything; run no handlers."""
    home.runner.catch_up(home.ports.store.head())


def picture(shade: int, size: int = 8) -> bytes:
    """A PNG that differs for each *shade*."""
    made = io.BytesIO()
    Image.new("RGB", (size, size), (shade % 256, shade // 256 % 256, 77)).save(made, "PNG")
    return made.getvalue()


def row(content: bytes, label: str | None = "9", **more: Any) -> dict[str, Any]:
    """The row of a document that names *content*."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return {"path": f"{md5[:8]}.png", "md5": md5, "annotation": label, **more}


@pytest.fixture
def settle(home: Home) -> Callable[[], int]:
    """Let projections and handlers do all they have to."""
    return lambda: drain(home)
