"""
The processes of a run that are not MLife's own: `python -m tests.oracle.parts WHAT RUN NAME SEED [PREDECESSOR]`.

Each lives until SIGTERM (then it finishes what it is at) or SIGKILL, opens the home that the environment names, and
journals to `RUN/journals/NAME.jsonl`. What a writer does follows from its seed and its name, so that its successor can
send again what a killed one may have sent.
"""

import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, select

from mlife.badcases.intake.taking import Intake
from mlife.core.command import Executor
from mlife.core.errors import Conflict, MLifeError
from mlife.core.events import Recorded, derived_id
from mlife.core.folding import is_outage
from mlife.core.ports import Append
from mlife.data.intake import DataIntake
from mlife.runtime import Home, settings, wire
from tests.oracle import tailing
from tests.oracle.journal import Journal, Witnessed, lines, print_of
from tests.oracle.verdict import STREAM

PURSES = [f"pur-{n}" for n in range(6)]
"""Few, so that decisions race."""
COINS = [f"coin-{n}" for n in range(40)]
THREADS = 3
"""Of each writer: they meet in its group commit."""
SIZES = (*[1] * 20, *[2] * 10, *[7] * 6, *[30] * 3, 300)


class Part:
    """
    What all parts share: the home, the journal, the end.

    Args:
        run: folder of the run.
        name: of this process; a successor has another.
    """

    def __init__(self, run: Path, name: str, seed: str, predecessor: str = "") -> None:
        self.run, self.name, self.seed, self.predecessor = run, name, seed, predecessor
        self.journal = Journal(run / "journals" / f"{name}.jsonl")
        self.size = (run / "size").read_text()
        self.stop = threading.Event()

    @contextmanager
    def home(self) -> Iterator[Home]:
        """The home, opened as soon as it can be; its appends are journalled."""
        opened = self._opened()
        store = Witnessed(opened.ports.store, self.journal)
        opened.do = Executor(store, opened.sealer)
        opened.ports = replace(opened.ports, store=store)
        try:
            yield opened
        finally:
            opened.close()

    def _opened(self) -> Home:
        while True:
            try:
                return wire(settings())
            except MLifeError as e:
                if not is_outage(e) or self.stop.is_set():
                    raise
                time.sleep(0.2)

    def patiently(self, act: Callable[[], Any]) -> bool:
        """Do it; False if an outage was in the way."""
        try:
            act()
        except MLifeError as e:
            if not is_outage(e):
                raise
            self.stop.wait(0.2)
            return False
        return True


# --- writing ---


class Writer(Part):
    """Threads that write as many kinds of callers do: floods, decisions that race, things sent again."""

    def live(self) -> None:
        """Write until the end."""
        with self.home() as home:
            self._intake = Intake(home.ports.store, home.sealer)
            self._data = DataIntake(home.ports, home.do)
            self._home = home
            threads = [threading.Thread(target=self._write, args=(n,), name=f"writer-{n}") for n in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _write(self, thread: int) -> None:
        try:
            self._write_all(thread)
        except BaseException as e:
            self.journal.note("crashed", why=f"{type(e).__name__}: {e}")
            self.stop.set()
            raise

    def _write_all(self, thread: int) -> None:
        chance = random.Random(f"{self.seed} {self.name} {thread}")
        pace = float((self.run / "pace").read_text())
        for key in self._left_by_predecessor(thread):
            self._carry_out(key)
        done: list[str] = []
        number = 0
        while not self.stop.is_set():
            if done and chance.random() < 0.1:
                key = chance.choice(done[-200:])  # sent again, as a client does that has heard nothing
            else:
                number += 1
                key = f"{self.name}-{thread}-{number}"
                done.append(key)
            self._carry_out(key)
            if chance.random() < 0.3:  # in bursts, so that a kill meets what is on its way
                self.stop.wait(chance.uniform(0.0, 6 * pace))

    def _left_by_predecessor(self, thread: int) -> list[str]:
        path = self.run / "journals" / f"{self.predecessor}.jsonl"
        if not path.exists():
            return []
        keys = [line["key"] for line in lines(path) if line["what"] == "begun"]
        return [key for key in keys if key.startswith(f"{self.predecessor}-{thread}-")][-3:]

    def _carry_out(self, key: str) -> None:
        self.journal.note("begun", key=key)
        chance = random.Random(f"{self.seed} {key}")
        (act,) = chance.choices([self._sight, self._pay, self._move, self._report, self._keep], [60, 12, 5, 8, 2])
        self.patiently(lambda: act(key, chance))

    def _sight(self, key: str, chance: random.Random) -> None:
        """A batch as intake writes it: each draft by itself, some of them known already."""
        drafts = [self._sighting(f"{key}-{n}", chance) for n in range(chance.choice(SIZES))]
        if chance.random() < 0.2:
            drafts.insert(0, self._sighting(f"everybodys-{chance.randrange(50)}", random.Random(1)))
        append = Append(drafts, whole=False)
        if chance.random() < 0.5:
            self._home.ports.store.append(append)
        else:
            self._home.ports.store.submit(append).result()

    def _sighting(self, uid: str, chance: random.Random) -> Any:
        from tests.oracle.feature.events import CoinSighted

        event = CoinSighted(uid=uid, coin=chance.choice(COINS), note="x" * chance.choice((0, 10, 400)))
        return self._home.do.draft(event, derived_id(uid), self._home.do.clock.now())

    def _pay(self, key: str, chance: random.Random) -> None:
        from tests.oracle.feature.commands import pay

        purse = chance.choice(PURSES)
        self._decide(key, pay, purse_id=purse, amount=chance.randint(-50, 100))

    def _move(self, key: str, chance: random.Random) -> None:
        from tests.oracle.feature.commands import move

        from_id, to_id = chance.sample(PURSES, 2)
        self._decide(key, move, from_id=from_id, to_id=to_id, amount=chance.randint(1, 50))

    def _decide(self, key: str, decide: Any, **input: Any) -> None:
        try:
            done = self._home.do.under(key, decide, **input)
        except Conflict:
            return  # others were faster eight times; the journal has it as refused
        last = derived_id(key, len(done.events) - 1).hex()
        self.journal.note("did", id=last, position=done.position, known=done.known)
        if random.random() < 0.05:
            self.patiently(lambda: self._see_own(done.position))

    def _see_own(self, position: int) -> None:
        from tests.oracle.feature.views import payment_rows

        with self._home.ports.views.read(min_position=position, timeout=1.0) as read:
            found = read.value(select(payment_rows.c.position).where(payment_rows.c.position == position))
            self.journal.note("own", position=position, found=found is not None, reached=read.position)

    def _report(self, key: str, chance: random.Random) -> None:
        self._intake.reports([report(f"{key}-{n}", chance) for n in range(chance.choice((1, 1, 3, 10)))])

    def _keep(self, key: str, chance: random.Random) -> None:
        """Bytes first, then the event that says that they are there; rarely so many that they come in parts."""
        size = 9_000_000 if chance.random() < 0.05 else chance.choice((10, 3_000, 100_000))
        self._data.put(random.Random(key).randbytes(size), name=f"{key}.bin")


def report(report_id: str, chance: random.Random) -> dict[str, Any]:
    """A badcase report as a client sends it."""
    return {
        "system": "oracle",
        "function": "digits",
        "version": "1.0",
        "model_ids": ["mdl-1"],
        "client": report_id.partition("-")[0],
        "report_id": report_id,
        "data": [{"uri": f"s3://field/{report_id}.png", "media_type": "image/png"}],
        "prediction": {"type": "class", "label": str(chance.randrange(10)), "score": 0.5},
        "truth": {"type": "class", "label": str(chance.randrange(10, 20))},
        "observed_at": "2026-01-02T03:04:05Z",
    }


# --- following, reading, running ---


class Follower(Part):
    """Tails the log by position, as anything does that must miss nothing."""

    def live(self) -> None:
        """Journal what comes, in the order in which it comes."""
        with self.home() as home:
            self._after = 0
            while not self.stop.is_set():
                self.patiently(lambda: self._follow(home))

    def _follow(self, home: Home) -> None:
        events = home.ports.store.read(self._after, 1_000)
        if events:
            self.journal.note("saw", entries=[entry(r) for r in events])
            self._after = events[-1].position
        else:
            home.ports.store.wait(self._after, 1.0)


def entry(recorded: Recorded[Any]) -> tuple[int, str, str]:
    """What the verdict compares of an event: position, id, fingerprint."""
    return recorded.position, recorded.draft.id.hex(), print_of(recorded.draft)


class Reader(Part):
    """Looks at the query tables all the time; what it must find at a position follows from the log."""

    def live(self) -> None:
        """Journal what each look shows."""
        with self.home() as home:
            while not self.stop.is_set():
                self.patiently(lambda: self._look(home))
                self.stop.wait(0.05)

    def _look(self, home: Home) -> None:
        self.journal.note("looked", **look(home))


def look(home: Home) -> dict[str, Any]:
    """What the query tables show now, in one transaction."""
    from tests.oracle.feature.views import coin_rows, payment_rows, purse_rows

    with home.ports.views.read() as read:
        at = read.position
        payments, newest = read.all(select(func.count(), func.max(payment_rows.c.position)).select_from(payment_rows))[
            0
        ]
        below = read.value(select(func.count()).select_from(payment_rows).where(payment_rows.c.position <= at))
        sums = read.all(select(func.sum(purse_rows.c.payments), func.sum(purse_rows.c.balance)))[0]
        coins = read.value(select(func.sum(coin_rows.c.sightings)))
    return {
        "position": at,
        "payments": payments,
        "newest": newest or 0,
        "below": below,
        "purses": [int(s or 0) for s in sums],
        "coins": int(coins or 0),
    }


class Running(Part):
    """Projects and handles where no bus distributes that; another of its kind waits to take over."""

    def live(self) -> None:
        """Be the runner whenever the lock can be had."""
        with self.home() as home:
            home.runner.lock_wait = 0.05
            home.runner.run(self.stop)


class Producer(Part):
    """A customer who produces reports to Kafka without asking us, some of which nobody can read."""

    def live(self) -> None:
        """Journal what is sent, and what Kafka has acknowledged; what was not is sent again, as a customer would."""
        from kafka import KafkaProducer
        from kafka.errors import KafkaError

        from mlife.adapters.kafka_connection import connection
        from mlife.core.topics import FEEDBACK

        there = connection(settings().bus)
        chance = random.Random(f"{self.seed} {self.name}")
        waiting: list[tuple[str, bytes]] = []
        kafka, number = None, 0
        while not self.stop.is_set() or waiting:
            if not waiting:
                waiting = [self._letter(number + n, chance) for n in range(chance.choice((1, 1, 5, 40)))]
                number += len(waiting)
                self.journal.note("produced", ids=[i for i, _ in waiting if i])
            try:
                kafka = kafka or KafkaProducer(**there.kafka_python(), acks="all", request_timeout_ms=5_000)
                sent = [kafka.send(there.topic(FEEDBACK), body, key=i.encode() or None) for i, body in waiting]
                for future in sent:
                    future.get(20)
            except KafkaError:
                self.stop.wait(0.5)
                continue
            self.journal.note(
                "delivered",
                ids=[i for i, _ in waiting if i],
                noise=[body.decode() for i, body in waiting if not i],
            )
            waiting = []
            self.stop.wait(chance.uniform(0.0, 1.0))
        if kafka is not None:
            kafka.close()

    def _letter(self, number: int, chance: random.Random) -> tuple[str, bytes]:
        """Report id and message; no id for what can't be read. Some are sent twice, by a number that comes again."""
        if chance.random() < 0.05:
            return "", orjson.dumps({"noise": f"{self.name}-{number}"})[: chance.choice((5, 100))]
        report_id = f"{self.name}-{number - 7 * (number > 7 and chance.random() < 0.1)}"
        sent = report(report_id, random.Random(report_id)) | {"client": STREAM}
        if chance.random() < 0.5:
            return report_id, orjson.dumps(sent)
        event = {"specversion": "1.0", "id": report_id, "source": "/camera", "type": "report", "data": sent}
        return report_id, orjson.dumps(event)


class Holder(Part):
    """Holds the writers' lock until it is killed: everybody else's batches wait, judged or not."""

    def live(self) -> None:
        """Hold it; it goes with the database that it is held in."""
        try:
            with self.home() as home, home.ports.store.barrier():
                self.stop.wait(30.0)
        except MLifeError as e:
            if not is_outage(e):
                raise


class TailedWriter(Part):
    """Writes single events, and nothing else, into whichever log the run is about."""

    def live(self) -> None:
        """Write."""
        tailing.write(tailing.LOGS[self.size](self), self.journal, self.name, self.stop)


class TailedFollower(Part):
    """Follows that log."""

    def live(self) -> None:
        """Follow."""
        tailing.follow(tailing.LOGS[self.size](self), self.journal, self.stop)


PARTS: dict[str, type[Any]] = {
    "writer": Writer,
    "follower": Follower,
    "reader": Reader,
    "runner": Running,
    "producer": Producer,
    "holder": Holder,
    "tailed-writer": TailedWriter,
    "tailed-follower": TailedFollower,
}


def main(what: str, run: str, name: str, seed: str, predecessor: str = "") -> None:
    """Live."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    part = PARTS[what](Path(run), name, seed, predecessor)
    signal.signal(signal.SIGTERM, lambda *_: part.stop.set())
    try:
        part.live()
    except MLifeError as e:
        if not (is_outage(e) and part.stop.is_set()):
            part.journal.note("crashed", why=f"{type(e).__name__}: {e}")
            raise
    except BaseException as e:
        part.journal.note("crashed", why=f"{type(e).__name__}: {e}")
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
