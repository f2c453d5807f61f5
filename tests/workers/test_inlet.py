"""Whatever comes on `mlife.log`, the runner reads the log whole and in order, and decodes a batch once."""

import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlife.core import feed as feeding
from mlife.core.assignment import assigned, partition_of
from mlife.core.errors import Unavailable
from mlife.core.events import Event, Recorded
from mlife.core.feed import Feed
from mlife.core.inlet import Inlet
from mlife.core.packing import pack
from tests.contract.drafts import draft

SIZE = 40


class Log:
    """A log of *SIZE* events that counts its reads, can be away, and does nothing when it is woken."""

    def __init__(self) -> None:
        self.events: list[Recorded[Event]] = [Recorded(n, 1, draft(f"toy/{n}", "x")) for n in range(1, SIZE + 1)]
        self.read_events = 0
        self.is_away = False

    def read(self, after: int, limit: int) -> Sequence[Recorded[Event]]:
        if self.is_away:
            raise Unavailable("the log is away")
        found = self.events[after : after + limit]
        self.read_events += len(found)
        return found

    def wake(self) -> None:
        """Nobody sleeps."""

    def secret(self) -> bytes:
        if self.is_away:
            raise Unavailable("the log is away")
        return b"known to few"

    def record(self, first: int, count: int, secret: bytes = b"") -> bytes:
        return pack(self.events[first - 1 : first - 1 + count], secret or self.secret())


def inlet_of(log: Log, feed: Feed, *, reads: bool = True) -> Inlet:
    return Inlet(log, feed, log.secret, lambda: reads)  # type: ignore[arg-type]


def bring(inlet: Inlet, record: bytes | None) -> bool:
    """As an agent does it; was it of use?"""
    packed = inlet.opened(record)
    if packed is not None:
        inlet.offer(packed)
    return packed is not None


good = st.tuples(st.integers(1, SIZE), st.integers(1, 12))
noise = st.sampled_from(["foreign", "torn", "changed", "garbage", "empty", "none"])


@given(st.lists(st.one_of(good, noise), max_size=25), st.integers(1, 9))
def test_whatever_comes_the_log_is_read_whole_and_in_order(sent: list[tuple[int, int] | str], limit: int) -> None:
    log = Log()
    feed = Feed(log)  # type: ignore[arg-type]
    inlet = inlet_of(log, feed)
    bad = {
        "foreign": log.record(3, 5, uuid.uuid4().bytes),
        "torn": log.record(3, 5)[:-7],
        "changed": log.record(1, 9)[:-9] + b"\0" * 9,
        "garbage": b'{"system": "dms"}',
        "empty": b"",
        "none": None,
    }
    seen: list[Recorded[Event]] = []
    for one in sent:
        bring(inlet, bad[one] if isinstance(one, str) else log.record(*one))
        seen += feed.after(len(seen), limit)
    while run := feed.after(len(seen), limit):
        seen += run

    assert [r.position for r in seen] == list(range(1, SIZE + 1))
    assert [r.draft for r in seen] == [r.draft for r in log.events]


def test_a_batch_is_decoded_once_and_saves_reading_the_store() -> None:
    log = Log()
    feed = Feed(log)  # type: ignore[arg-type]
    inlet = inlet_of(log, feed)

    assert [bring(inlet, log.record(1, 20)) for _ in range(8)] == [True, *[False] * 7]
    assert [r.position for r in feed.after(0, 100)] == list(range(1, 21))
    assert not bring(inlet, log.record(11, 10)), "the runner has read it"
    assert bring(inlet, log.record(11, 20))
    assert [r.position for r in feed.after(20, 100)] == list(range(21, 31))
    assert log.read_events == 2, "of each run, the last one is looked up"


def test_what_the_log_has_lost_since_is_not_folded() -> None:
    """A database that was put back from a backup, under workers that know more; what came then is another history."""
    log = Log()
    feed = Feed(log)  # type: ignore[arg-type]
    inlet = inlet_of(log, feed)
    bring(inlet, log.record(1, 20))
    del log.events[9:]
    assert [r.position for r in feed.after(0, 100)] == list(range(1, 10)), "it ends before"

    bring(inlet, Log().record(10, 20))
    log.events += Log().events[9:]
    assert [r.draft for r in feed.after(9, 5)] == [r.draft for r in log.events[9:14]]


def test_a_worker_that_runs_nothing_opens_nothing() -> None:
    log = Log()
    feed = Feed(log)  # type: ignore[arg-type]

    assert not bring(inlet_of(log, feed, reads=False), log.record(1, 20))


def test_a_runner_that_is_far_behind_reads_the_store_until_it_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlife.core.inlet.OFFERED", 10)
    log = Log()
    feed = Feed(log)  # type: ignore[arg-type]
    inlet = inlet_of(log, feed)

    assert not bring(inlet, log.record(21, 5))
    assert len(feed.after(0, 15)) == 15
    assert bring(inlet, log.record(21, 5))


def test_what_is_unread_is_bounded_in_events_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "OFFERED", 20)
    log = Log()
    feed = Feed(log)  # type: ignore[arg-type]
    inlet = inlet_of(log, feed)
    bring(inlet, log.record(1, 9))
    assert not inlet.is_full
    bring(inlet, log.record(10, 2))
    assert inlet.is_full
    feed.after(0, 4)
    assert not inlet.is_full

    monkeypatch.setattr(feeding, "OFFERED_BYTES", 2 * 7 * len(log.events[0].draft.data))
    assert inlet.is_full
    feed.after(4, 100)
    assert not inlet.is_full
    bring(inlet, log.record(12, 25))
    assert [r.position for r in feed.after(11, 100)] == list(range(12, 37)), "what comes at once is kept whole"


def test_while_the_store_is_away_records_are_passed_over_and_nothing_is_raised(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log()
    feed = Feed(log)  # type: ignore[arg-type]
    inlet = inlet_of(log, feed)
    early = [log.record(1, 5), log.record(6, 5)]
    log.is_away = True
    for record in early:
        bring(inlet, record)
    log.is_away = False
    bring(inlet, log.record(11, 5))

    assert [m for m in caplog.messages if "away" in m] == ["a record of mlife.log is passed over: the log is away"], (
        "the same is said once a minute"
    )
    assert [r.position for r in feed.after(10, 9)] == list(range(11, 16))


def test_another_logs_records_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    inlet = inlet_of(log, Feed(log))  # type: ignore[arg-type]
    for first in (1, 6, 11):
        bring(inlet, log.record(first, 5, uuid.uuid4().bytes))

    assert [m for m in caplog.messages if "not sealed" in m] == [caplog.messages[0]]
    assert "prefix" in caplog.messages[0]


@given(st.sets(st.text(min_size=1)), st.integers(1, 64), st.integers(1, 9))
def test_every_name_is_run_by_exactly_one_of_those_who_share_the_partitions(
    names: set[str], partitions: int, workers: int
) -> None:
    held = [set(range(w, partitions, workers)) for w in range(workers)]
    shares = [assigned(names, mine, partitions) for mine in held]

    assert sorted(name for share in shares for name in share) == sorted(names)


def test_a_name_keeps_its_partition_for_ever() -> None:
    there = {name: partition_of(name, 8) for name in ("badcases", "data", "serving", "timeline", "training")}
    assert there == {"badcases": 4, "data": 3, "serving": 1, "timeline": 2, "training": 6}
    assert partition_of("timers", 8) == 1
