"""Decisions about single files whose bytes are in the store already."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mlife.core.command import Given
from mlife.core.events import Event
from mlife.data.events import FileDerived, FileStored

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def note_stored(_: Given, *, sha256: Sha256, md5: str, size: int, media_type: str, name: str = "") -> list[Event]:
    """Say that bytes are in the store; what the log knows already is not said again."""
    return [FileStored(sha256=sha256, md5=md5, size=size, media_type=media_type, name=name[:1024])]


def note_derived(
    given: Given, *, sha256: Sha256, source: Sha256, operation: str, parameters: dict[str, Any], media_type: str
) -> list[Event]:
    """Say what a file was made of. Bytes that are the source's own are no copy."""
    if sha256 == source:
        return []
    return [
        FileDerived(
            sha256=sha256,
            source=source,
            operation=operation,
            parameters=parameters,
            media_type=media_type,
            by=given.actor,
        )
    ]
