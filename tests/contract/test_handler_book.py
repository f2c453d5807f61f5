"""What every handler book must do; an adapter joins by its name and its fixture."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mlife.adapters.handlers_postgres import PostgresHandlerBook
from mlife.adapters.handlers_sqlite import SqliteHandlerBook
from mlife.adapters.postgres import Postgres
from mlife.core.handler import DeadLetter, HandlerBook


@pytest.fixture
def sqlite_opener(tmp_path: Path) -> Iterator[Callable[[], HandlerBook]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(SqliteHandlerBook(tmp_path / "handlers.db")))


@pytest.fixture
def postgres_opener(postgres_url: str) -> Iterator[Callable[[], HandlerBook]]:
    with ExitStack() as opened:
        yield lambda: PostgresHandlerBook(opened.enter_context(closing(Postgres(postgres_url))))


@pytest.fixture(params=["sqlite", "postgres"])
def another(request: pytest.FixtureRequest) -> Callable[[], HandlerBook]:
    """Opens the same book once more, as another process does."""
    return request.getfixturevalue(f"{request.param}_opener")


@pytest.fixture
def book(another: Callable[[], HandlerBook]) -> HandlerBook:
    """An empty handler book."""
    return another()


def failed(position: int, key: str = "bc-1", handler: str = "h") -> DeadLetter:
    return DeadLetter(handler, key, position, 3, "ValueError: no")


def waiting(position: int, key: str = "bc-1", handler: str = "h") -> DeadLetter:
    return DeadLetter(handler, key, position, 0, "")


def test_checkpoints_are_kept_for_each_handler(book: HandlerBook) -> None:
    assert book.positions() == {}
    book.move({"h": 4, "g": 2})
    book.move({"h": 9})
    assert book.positions() == {"h": 9, "g": 2}


def test_a_checkpoint_never_moves_backwards_when_one_of_two_processes_is_late(book: HandlerBook) -> None:
    book.move({"h": 9, "g": 2})
    book.attempt("h", 10)
    book.move({"h": 4, "g": 3})
    assert book.positions() == {"h": 9, "g": 3}
    assert book.attempt("h", 10) == 2


def test_attempts_are_counted_until_the_fact_is_behind_the_checkpoint(book: HandlerBook) -> None:
    assert [book.attempt("h", 5), book.attempt("h", 5), book.attempt("g", 5)] == [1, 2, 1]
    assert book.attempt("h", 5, -1) == 1
    book.move({"h": 4})
    assert book.attempt("h", 5) == 2
    book.move({"h": 5})
    assert book.attempt("h", 5) == 1
    assert book.attempt("g", 5) == 2


def test_attempts_at_a_parked_fact_are_counted_however_far_the_others_are(book: HandlerBook) -> None:
    book.park(failed(5))
    assert book.attempt("h", 5) == 1
    book.move({"h": 100})
    assert book.attempt("h", 5) == 2


def test_letters_come_in_position_order_by_handler_and_key(book: HandlerBook) -> None:
    for letter in (failed(9), waiting(12), failed(3, "bc-2"), failed(5, handler="g")):
        book.park(letter)

    assert [x.position for x in book.letters()] == [3, 5, 9, 12]
    assert [x.position for x in book.letters("h")] == [3, 9, 12]
    assert book.letters("h", "bc-1") == [failed(9), waiting(12)]
    assert book.parked_keys("h") == {"bc-1", "bc-2"}
    assert book.parked_keys("nobody") == set()


def test_a_waiting_letter_never_overwrites_what_is_known_of_a_failed_one(book: HandlerBook) -> None:
    book.park(failed(5))
    book.park(waiting(5))
    assert book.letters() == [failed(5)]


def test_a_retry_is_asked_for_a_key_and_starts_to_count_anew(book: HandlerBook) -> None:
    for letter in (failed(5), waiting(8), failed(6, "bc-2")):
        book.park(letter)
    for _ in range(3):
        book.attempt("h", 5)

    assert book.due() == []
    assert book.ask_retry("h", "bc-1") == 2
    assert book.due() == [("h", "bc-1")]
    assert [x.retry for x in book.letters("h", "bc-1")] == [True, True]
    assert book.attempt("h", 5) == 1
    assert book.ask_retry("h", "nothing") == 0


def test_a_retry_that_fails_leaves_nothing_of_the_key_to_be_retried(book: HandlerBook) -> None:
    for letter in (failed(5), waiting(8)):
        book.park(letter)
    book.ask_retry("h", "bc-1")
    book.park(failed(5))

    assert book.due() == []
    assert [x.retry for x in book.letters()] == [False, False]


def test_what_waits_for_a_letter_that_is_gone_is_due(book: HandlerBook) -> None:
    for letter in (failed(5), waiting(8), waiting(9), failed(7, "bc-2"), waiting(10, "bc-2")):
        book.park(letter)
    book.unpark("h", 5)

    assert book.due() == [("h", "bc-1")]
    book.unpark("h", 8)
    book.unpark("h", 9)
    assert book.due() == []
    assert book.parked_keys("h") == {"bc-2"}


def test_all_of_it_outlives_the_process(book: HandlerBook, another: Callable[[], HandlerBook]) -> None:
    book.move({"h": 4})
    book.park(failed(5))
    book.attempt("h", 7)
    again = another()
    assert (again.positions(), again.letters(), again.attempt("h", 7)) == ({"h": 4}, [failed(5)], 2)


def test_processes_that_write_at_once_count_and_park_every_time(
    book: HandlerBook, another: Callable[[], HandlerBook]
) -> None:
    books = [book, another(), another()]
    together = threading.Barrier(len(books))

    def work(n: int) -> None:
        together.wait()
        for position in range(1, 31):
            books[n].attempt("h", 100)
            books[n].move(dict.fromkeys("fgh", position * (n + 1)))
            books[n].park(failed(200 + position, f"bc-{n}"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(books))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert book.attempt("h", 100, 0) == 90
    assert book.positions() == {"f": 90, "g": 90, "h": 90}
    assert len(book.letters()) == 30
