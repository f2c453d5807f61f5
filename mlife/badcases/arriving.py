"""Bytes that somebody sends for a link of a report: compared, stored, recorded; the same at every door."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import file_digest
from typing import Any

from mlife.badcases.commands.media import record_data
from mlife.badcases.events import BadcaseReported
from mlife.badcases.linked import ReportData
from mlife.badcases.views import details
from mlife.badcases.wanting import digest_said
from mlife.core.command import Done, folded
from mlife.core.errors import Invalid, NotFound
from mlife.core.handler import Ports

SNIFFED = 4096


def report_with_link(ports: Ports, position: int, number: int) -> BadcaseReported:
    """
    The report at *position*, if it has a link *number* (from 0).

    Raises:
        NotFound: it has not, or something else stands there.
    """
    found = ports.store.read(position - 1, 1) if 0 < position < 2**62 else []
    report = found[0].event if found else None
    if not isinstance(report, BadcaseReported) or not 0 <= number < len(report.data):
        raise NotFound(
            f"no report at position {position} has a link {number}", remedy="links of a report are counted from 0"
        )
    return report


def take_bytes(
    ports: Ports,
    carry_out: Callable[..., Done],
    opened: Callable[[Any], Any],
    position: int,
    number: int,
    body: Any,
) -> tuple[str, Done]:
    """
    Store what *body* holds (it can seek) as the bytes of a link; their SHA-256, and what was recorded.

    Args:
        carry_out: carries out a command. opened: unseals.

    Raises:
        Refused: other bytes were reported, or came before; these are not kept. Invalid: there are none.
        NotFound: there is no such link.
    """
    report = report_with_link(ports, position, number)
    body.seek(0)
    head = body.read(SNIFFED)
    if not head:
        raise Invalid("there are no bytes", remedy="send the bytes of the file")
    body.seek(0)
    sha256, expected = file_digest(body, "sha256").hexdigest(), digest_said(opened(report.data[number]))
    with ports.views.read() as read:
        place = details.report_by_position(read, position)
    given: dict[str, Any] = {
        "uid": report.uid,
        "position": position,
        "number": number,
        "badcase_id": place.badcase_id if place else report.badcase_id,
        "sha256": sha256,
        "md5": "",
        "size": 0,
        "media_type": ports.extra["images"].sniff(head),
        "expected": expected,
        "how": "sent",
    }
    known = folded(ReportData, report.uid, ports.store.read_stream(f"report-data/{report.uid}"))
    if (expected or known.fetched.get(number, sha256)) == sha256:  # others are refused below
        body.seek(0)
        stored = ports.blobs.put(body)
        given |= {"md5": stored.md5, "size": stored.size}
    return sha256, carry_out(record_data, **given)
