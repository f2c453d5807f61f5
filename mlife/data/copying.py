"""Making a copy of a stored file: the same for pages, HTTP and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from mlife.core.command import Done, Executor
from mlife.core.errors import Misconfigured
from mlife.core.handler import Ports
from mlife.core.media.conversions import Workshop
from mlife.data.intake.files import FileIntake, Put
from mlife.data.storing import note_derived
from mlife.data.views import FileView


def make_copy(
    ports: Ports,
    executor: Executor,
    carry_out: Callable[..., Done],
    source: FileView,
    conversion: str,
    values: Mapping[str, Any],
) -> tuple[Put, int]:
    """
    Make a copy of *source* with checked *values*; the file, and the position at which all of it is told.

    Raises:
        Refused: the file can't be converted so. Misconfigured: what it needs is not installed.
    """
    workshop = cast("Workshop | None", ports.extra.get("workshop"))
    if workshop is None:
        raise Misconfigured("no workshop is wired", remedy="runtime.wire puts it at ports.extra['workshop']")
    with TemporaryDirectory(prefix="mlife-copy-") as name:
        folder = Path(name)
        held = ports.blobs.hold(source.sha256, folder / "source")
        made = workshop.convert(conversion, held, values, folder)
        stem = Path(source.name).stem or source.sha256[:12]
        put = FileIntake(ports, executor).put(made.path, name=f"{stem}.{conversion}{made.suffix}")
    done = carry_out(
        note_derived,
        sha256=put.sha256,
        source=source.sha256,
        operation=conversion,
        parameters=dict(values),
        media_type=put.media_type,
    )
    return put, max(put.position, done.position)
