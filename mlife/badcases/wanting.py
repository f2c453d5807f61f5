"""Which linked bytes of a badcase are not here yet, and can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlife.badcases.commands.media import MOST_WANTED
from mlife.badcases.events import BadcaseReported
from mlife.badcases.views.media import here, positions_of
from mlife.core.ports import Blobs, EventStore
from mlife.core.projection import Reader

JSON = Mapping[str, Any]
MOST_REPORTS = 100
"""Reports of a badcase, the newest, whose links are asked for at once."""


def digest_said(link: JSON) -> str | None:
    """The SHA-256 of a link's file, if the client said it."""
    uri = link.get("uri") or ""
    digest: str | None = link.get("sha256") or (uri.removeprefix("sha256:") if uri.startswith("sha256:") else None)
    return digest


def is_readable(link: JSON) -> bool:
    """Does it lead anywhere? A pending one does not yet; a digest alone never does."""
    uri = link.get("uri") or ""
    return bool(uri) and not uri.startswith("sha256:") and not link.get("pending")


def links_to_want(store: EventStore, blobs: Blobs, read: Reader, badcase_id: str) -> list[dict[str, Any]]:
    """`links` of the command `want_data`: those of the newest reports that lead somewhere and are not in the store."""
    positions = positions_of(read, badcase_id, limit=MOST_REPORTS)
    known = here(read, positions)
    wanted = []
    for position in positions:
        (recorded,) = store.read(position - 1, 1)
        report = recorded.event
        assert isinstance(report, BadcaseReported)  # the table names reports only
        for number, link in enumerate(report.data):
            if (position, number) in known or not is_readable(link):
                continue
            if (digest := digest_said(link)) and blobs.has(digest):
                continue
            wanted.append({"position": position, "uid": report.uid, "number": number})
    return wanted[:MOST_WANTED]
