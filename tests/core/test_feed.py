"""What a bus brings is used where it continues what was read, and can never change what is read."""

import threading
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mlife.core.events import Event, Recorded
from mlife.core.feed import Feed
from mlife.core.runner import TIMERS, servable
from mlife.runtime import Home
from tests.contract.drafts import draft
from tests.toys import made, names


class Log:
    """Reads of a log of *size* events, counted."""

    def __init__(self, size: int) -> None:
        self.events: list[Recorded[Event]] = [Recorded(n, 1, draft(f"toy/{n}", "x")) for n in range(1, size + 1)]
        self.reads = 0

    def read(self, after: int, limit: int) -> list[Recorded[Event]]:
        self.reads += limit > 1  # one event is looked up to see that a run is of this log
        return self.events[after : after + limit]


@given(
    offers=st.lists(st.tuples(st.integers(0, 29), st.integers(1, 12)), max_size=12),
    limit=st.integers(1, 9),
)
def test_whatever_is_offered_the_log_is_read_whole_and_in_order(offers: list[tuple[int, int]], limit: int) -> None:
    log = Log(30)
    feed = Feed(log)  # type: ignore[arg-type]
    seen: list[int] = []
    for first, count in offers:
        feed.offer(log.events[first : first + count])
        seen += [r.position for r in feed.after(len(seen), limit)]
    while run := feed.after(len(seen), limit):
        seen += [r.position for r in run]
        feed.forget()

    assert seen == list(range(1, 31))


def test_what_continues_is_not_read_from_the_store() -> None:
    log = Log(30)
    feed = Feed(log)  # type: ignore[arg-type]
    feed.offer(log.events[:10])
    feed.offer(log.events[10:20])

    assert [r.position for r in feed.after(0, 100)] == list(range(1, 21))
    feed.forget()
    feed.offer(log.events[20:30])
    assert [r.position for r in feed.after(20, 100)] == list(range(21, 31))
    assert log.reads == 0


def follows(home: Home) -> Callable[[], None]:
    stop = threading.Event()
    thread = threading.Thread(target=home.runner.work, args=(stop,), daemon=True)
    thread.start()

    def end() -> None:
        stop.set()
        home.ports.store.wake()
        thread.join()

    return end


def test_two_workers_that_share_the_work_do_all_of_it_once(toy_home: Home, second: Home) -> None:
    ends = [follows(toy_home), follows(second)]
    try:
        everything = servable()
        assert TIMERS in everything
        assert toy_home.runner.serve(everything[::2])
        assert second.runner.serve(everything[1::2])
        made(toy_home, "bear", "duck")
        second.runner.settle()
        assert toy_home.runner.serve([])
        assert second.runner.serve(everything)  # the first one has died
        made(toy_home, "cat")
        second.runner.settle()
    finally:
        for end in ends:
            end()

    assert names(toy_home) == ["bear", "duck", "cat"]
