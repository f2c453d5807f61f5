"""Slow hosts: a link costs its deadline and no more, nobody waits for it, nor does the end of a process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from mlife.adapters.fetch_http import HttpFetcher
from mlife.badcases import commands
from mlife.badcases.events import AlarmRaised, ReportDataUnreadable
from mlife.badcases.fingerprint import badcase_id
from mlife.core.errors import Unavailable
from mlife.core.media import links
from mlife.core.media.links import Bounds, Links, Unreadable
from tests.badcases.conftest import Field, report

NINE = badcase_id('["class","digits","digit","9","4"]')
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nX-Long: " + b"x" * 100_000
PATIENCE = 15.0


class TarPit:
    """Accepts, and sends a byte of its answer now and then."""

    def __init__(self, answer: bytes = ANSWER, every: float = 0.05) -> None:
        self.asked, self._answer, self._every, self._end = 0, answer, every, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._end.is_set():
            try:
                there, _ = self._socket.accept()
            except OSError:
                return
            self.asked += 1
            threading.Thread(target=self._drip, args=(there,), daemon=True).start()

    def _drip(self, there: socket.socket) -> None:
        with there:
            for byte in self._answer:
                if self._end.wait(self._every):
                    return
                try:
                    there.sendall(bytes([byte]))
                except OSError:
                    return

    def close(self) -> None:
        self._end.set()
        self._socket.close()


@pytest.fixture
def pit() -> Iterator[TarPit]:
    """A host that drips its header."""
    opened = TarPit()
    yield opened
    opened.close()


def until(came: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not came():
        assert time.monotonic() < end
        time.sleep(0.02)


def happened(field: Field, kind: type) -> bool:
    return any(isinstance(r.event, kind) for r in field.home.ports.store.read())


OWN = {"hosts": ["127.0.0.1"]}


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
def test_a_host_that_drips_is_given_up_when_the_time_is_over_wherever_it_is_in_its_answer(head: bytes) -> None:
    pit = TarPit((head * 50 or ANSWER), every=0.02)
    began = time.monotonic()
    with pytest.raises(Unreadable, match=r"takes longer than 0\.4 s|in time"):
        HttpFetcher(OWN).fetch(f"{pit.url}/a.png", Bounds(seconds=0.4))
    assert time.monotonic() - began < 2.0
    pit.close()


def test_a_slow_host_rests_longer_each_time_and_an_answer_forgives_it(
    pit: TarPit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "AWAY_SECONDS", 0.2)
    monkeypatch.setattr(links, "LONGEST_AWAY", 0.3)
    reads, brief = Links({"digits": OWN}), Bounds(seconds=0.1)

    for rest in (0.2, 0.3, 0.3):
        with pytest.raises(Unreadable, match=r"takes longer|does not answer"):
            reads.fetch("digits", f"{pit.url}/1.png", brief)
        asked = pit.asked
        with pytest.raises(Unreadable, match="did not answer in time a moment ago"):
            reads.fetch("digits", f"{pit.url}/2.png", brief)
        assert pit.asked == asked
        time.sleep(rest)


def test_an_alarm_is_raised_in_time_while_links_lead_to_a_tar_pit_and_the_process_ends_at_once(
    field: Field, pit: TarPit
) -> None:
    field.home.ports.extra["links"] = Links({"digits": OWN})
    field.send(*({**report(report_id=str(n)), "data": [{"uri": f"{pit.url}/{n}.png"}]} for n in range(20)))
    with field.home.running() as runner:
        field.home.do(commands.triage, badcase_id=NINE)
        until(lambda: pit.asked > 0)
        began = time.monotonic()
        at = field.clock.now().isoformat()
        new = [report("8", picture=n, version="2.0", report_id=f"new-{n}", observed_at=at) for n in range(60)]
        assert field.intake.reports(new).accepted == 60
        until(lambda: happened(field, AlarmRaised))
        assert time.monotonic() - began < links.MOST_SECONDS / 2
        assert not happened(field, ReportDataUnreadable)  # it still waits
        with pytest.raises(Unavailable, match=r"badcases\.fetch_data"):
            runner.settle(0.2)
        ended = time.monotonic()
    assert time.monotonic() - ended < 4.0
    assert field.home.book.letters() == []  # what was broken off is no failure, and is done by the next process
    field.home.ports.extra["links"] = Links({})
    field.settle()
    assert happened(field, ReportDataUnreadable)
