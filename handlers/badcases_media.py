"""What follows from links to bytes: they are read at triage at the latest, and the store's log is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from hashlib import file_digest
from typing import Any
from urllib.parse import unquote, urlsplit

from mlife.badcases.commands.media import record_data, record_unreadable, want_data
from mlife.badcases.events import BadcaseReported, BadcaseTriaged, ReportDataFetched, ReportDataWanted
from mlife.badcases.wanting import digest_said, links_to_want
from mlife.core.errors import Invalid, Refused
from mlife.core.events import Recorded
from mlife.core.handler import Do, handler
from mlife.core.media.links import MOST_BYTES, Unreadable
from mlife.core.ports import StoredFile
from mlife.data.storing import note_stored

READERS = 4
"""Links that are read at the same time."""


@handler("badcases.want_data", on=BadcaseTriaged)
def want_the_bytes(fact: Recorded[BadcaseTriaged], do: Do) -> None:
    """A badcase that is taken seriously gets the bytes of its links. Safe to repeat: what is here is not asked for."""
    badcase_id = fact.event.badcase_id
    with do.read() as read:
        links = links_to_want(do.ports.store, do.ports.blobs, read, badcase_id)
    if links:
        do(want_data, badcase_id=badcase_id, links=links)


@handler("badcases.fetch_data", on=ReportDataWanted, slow=True)
def fetch_the_bytes(fact: Recorded[ReportDataWanted], do: Do) -> None:
    """
    Read the links of one step, a few at a time; each is in the store, or it is said why not.

    Safe to repeat: the same bytes are stored once, and the same reason is said once.
    """
    with ThreadPoolExecutor(READERS, thread_name_prefix="mlife-fetch") as pool:
        found = list(pool.map(lambda link: _read(do, link), fact.event.links))
    for wanted, (report, outcome) in zip(fact.event.links, found, strict=True):
        if report is None:
            continue
        place: dict[str, Any] = {
            "uid": report.uid,
            "position": wanted["position"],
            "number": wanted["number"],
            "badcase_id": fact.event.badcase_id,
        }
        if isinstance(outcome, Unreadable):
            do(
                record_unreadable,
                **place,
                reason=outcome.message,
                remedy=outcome.remedy,
                is_passing=outcome.is_passing,
            )
            continue
        with suppress(Refused):  # somebody sent other bytes meanwhile: those that came first stay
            do(record_data, **place, **outcome)


def _read(do: Do, wanted: dict[str, Any]) -> tuple[BadcaseReported | None, Any]:
    found = do.ports.store.read(wanted["position"] - 1, 1)
    report = found[0].event if found else None
    if not isinstance(report, BadcaseReported) or wanted["number"] >= len(report.data):
        return None, None
    sent = report.data[wanted["number"]]
    link = do.open(sent)
    uri = link.get("uri") or ""
    try:
        with closing(do.ports.extra["links"].fetch(report.system, uri)) as stream:
            _compare(stream, digest_said(link))
            stored: StoredFile = do.ports.blobs.put(stream, limit=MOST_BYTES)
    except Unreadable as e:
        return report, e
    except Invalid as e:
        return report, Unreadable(f"broke off: {e.message}", is_passing=True)
    with do.ports.blobs.open(stored.sha256) as content:
        media_type = do.ports.extra["images"].sniff(content.read(4096))
    name = unquote(urlsplit(uri).path.rsplit("/", 1)[-1]) if sent.get("uri") == uri else ""
    return report, {
        "sha256": stored.sha256,
        "md5": stored.md5,
        "size": stored.size,
        "media_type": media_type,
        "name": name,
    }


def _compare(stream: Any, said: str | None) -> None:
    """Raises Unreadable: the link leads to other bytes than the report was made of."""
    if said is None:
        return
    found = file_digest(stream, "sha256").hexdigest()
    if found != said:
        raise Unreadable(
            f"leads to other bytes than the report says: SHA-256 {found[:16]}…, not {said[:16]}…",
            remedy="send the file that was reported",
        )
    stream.seek(0)


@handler("data.note_fetched", on=ReportDataFetched)
def tell_the_store(fact: Recorded[ReportDataFetched], do: Do) -> None:
    """Bytes of a report are a file like any other. Safe to repeat: a file is told of once."""
    e = fact.event
    do(note_stored, sha256=e.sha256, md5=e.md5, size=e.size, media_type=e.media_type, name=e.name)
