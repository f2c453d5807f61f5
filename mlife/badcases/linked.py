"""What decisions need to know of the bytes that one report links to."""

from __future__ import annotations

from mlife.badcases.events.media import ReportDataFetched, ReportDataUnreadable
from mlife.core.command import State
from mlife.core.events import Event


class ReportData(State):
    """
    The bytes of a report's links.

    `fetched`: number of the link → SHA-256 of its bytes. `unreadable`: number → why they could not be had last.
    """

    category = "report-data"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.fetched: dict[int, str] = {}
        self.unreadable: dict[int, str] = {}

    def apply(self, event: Event) -> None:
        """Take one event of the stream into account."""
        match event:
            case ReportDataFetched():
                self.fetched[event.number] = event.sha256
                self.unreadable.pop(event.number, None)
            case ReportDataUnreadable():
                self.unreadable[event.number] = event.reason
