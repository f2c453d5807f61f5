"""
Writers, relays and workers of one log in one thread, on a real PostgreSQL and a `fake_kafka`, step by step.

Each is a "process": it opens a home of its own, and its death cuts all its connections and forgets what it had in
memory. What is done between two of its steps is up to the caller.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import count
from pathlib import Path
from threading import Event as Flag
from typing import Any

from mlife import runtime
from mlife.adapters.postgres import Postgres
from mlife.adapters.relay_postgres import PostgresRelayBook
from mlife.core.command import Executor
from mlife.core.errors import Conflict, MLifeError
from mlife.core.events import derived_id, registry
from mlife.core.folding import is_outage
from mlife.core.handler import handlers, timers
from mlife.core.packing import unpack
from mlife.core.ports import Append, iterate
from mlife.core.projection import projections
from mlife.core.rebuild import rebuild, verify
from mlife.core.relay import Relay
from mlife.core.runner import TIMERS
from mlife.runtime import Home, settings
from tests.oracle import verdict
from tests.oracle.cutting import scissors
from tests.oracle.fake_kafka import COPIES, Broker, Producer
from tests.oracle.journal import Journal, Witnessed, attempts
from tests.oracle.parts import look

PURSES = ["pur-1", "pur-2"]
NAMES = ["oracle_purses", "oracle_coins", "oracle.receipt", "oracle.look", TIMERS]
"""What workers may be given."""
_REGISTERED: dict[str, dict[str, Any]] = {}


@contextmanager
def only_purses() -> Iterator[None]:
    """The registries hold the oracle's projections and handlers, as in a process where nothing else is installed."""
    tables: dict[str, dict[str, Any]] = {"projections": projections, "handlers": handlers, "timers": timers}
    before = {name: dict(table) for name, table in tables.items()}
    for table in tables.values():
        table.clear()
    if not _REGISTERED:
        import_module("tests.oracle.feature.projections.purses")
        import_module("tests.oracle.feature.handlers.purses")
        _REGISTERED.update({name: dict(table) for name, table in tables.items()})
    try:
        for name, table in tables.items():
            table.update(_REGISTERED[name])
        yield
    finally:
        for name, table in tables.items():
            table.clear()
            table.update(before[name])


class SmallCluster:
    """
    Args:
        url: an empty schema.
        folder: for journals.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.broker = Broker()
        self.producers = [Producer(self.broker), Producer(self.broker)]
        self.journal = Journal(folder / "journals" / "all.jsonl")
        self.looks: list[dict[str, Any]] = []
        self._homes: dict[str, Home] = {}
        self._read: dict[str, int] = {}
        self._served: dict[str, Sequence[str]] = {}
        self._numbers = count(1)
        self._writers = count(1)
        self._sent: list[Callable[[Home], Any]] = []

    # --- processes ---

    def home(self, who: str) -> Home:
        """The home of process *who*, which is started if it is not there."""
        if who not in self._homes:
            scissors.owner = who
            load, runtime.load_features = runtime.load_features, lambda rooms: None
            try:
                home = runtime.wire(settings(self.folder / who, config=self.folder / "no.toml", store=self.url))
            finally:
                runtime.load_features = load
            journal = Journal(self.folder / "journals" / f"{who}-{next(self._writers)}.jsonl")
            store = Witnessed(home.ports.store, journal)
            home.do = Executor(store, home.sealer)
            home.ports = replace(home.ports, store=store)
            if who.startswith("worker"):
                home.runner._serves = frozenset()
                home.runner.serve(self._served.get(who, NAMES), timeout=0)
            self._homes[who] = home
        scissors.owner = who
        return self._homes[who]

    def die(self, who: str) -> None:
        """*who* ends without a word."""
        home = self._homes.pop(who, None)
        if home is not None:
            scissors.kill(who)
            self.tolerate(home.close)

    @staticmethod
    def tolerate(act: Callable[[], Any]) -> bool:
        """Do it; False if an outage was in the way. Anything else is a fault."""
        try:
            act()
        except MLifeError as e:
            if not is_outage(e):
                raise
            return False
        return True

    # --- writers ---

    def pay(self, who: str, purse: str, amount: int) -> None:
        """A decision."""
        from tests.oracle.feature.commands import pay

        key = f"pay-{next(self._numbers)}"
        self._send(who, lambda home: home.do.under(key, pay, purse_id=purse, amount=amount))

    def move(self, who: str, amount: int) -> None:
        """A decision on two streams."""
        from tests.oracle.feature.commands import move

        key = f"move-{next(self._numbers)}"
        self._send(who, lambda home: home.do.under(key, move, from_id=PURSES[0], to_id=PURSES[1], amount=amount))

    def sight(self, who: str, many: int) -> None:
        """A batch without decisions."""
        from tests.oracle.feature.events import CoinSighted

        first = next(self._numbers)

        def send(home: Home) -> None:
            events = [CoinSighted(uid=f"{first}-{n}", coin=f"coin-{n % 3}") for n in range(many)]
            drafts = [home.do.draft(e, derived_id(e.uid), home.do.clock.now()) for e in events]
            home.ports.store.append(Append(drafts, whole=False))

        self._send(who, send)

    def send_again(self, who: str, back: int) -> None:
        """What was sent *back* times ago, by whomever."""
        if self._sent:
            self._try(who, self._sent[-1 - back % len(self._sent)])

    def _send(self, who: str, send: Callable[[Home], Any]) -> None:
        self._sent.append(send)
        self._try(who, send)

    def _try(self, who: str, send: Callable[[Home], Any]) -> None:
        try:
            self.tolerate(lambda: send(self.home(who)))
        except Conflict as e:
            raise AssertionError("nobody else writes meanwhile") from e

    # --- relays ---

    def relay(self, number: int, fate: Sequence[int] = (), *, overtaken: bool = False) -> None:
        """
        Relay *number* publishes what there is.

        Args:
            fate: see `Producer`.
            overtaken: in the middle of it its session ends, the other one publishes everything, and it goes on.
        """
        producer = self.producers[number]
        producer.fate = list(fate)
        if overtaken:
            producer.before_publishing = lambda: self._overtake(1 - number, f"relay-{number}")
        self.tolerate(lambda: self._publish(number))
        producer.before_publishing, producer.fate = None, []

    def _publish(self, number: int) -> None:
        home = self.home(f"relay-{number}")
        with closing(Postgres(self.url)) as database:
            Relay(home.ports.store, self.producers[number], PostgresRelayBook(database)).once(Flag())

    def _overtake(self, other: int, victim: str) -> None:
        scissors.kill(victim)
        self.tolerate(lambda: self._publish(other))
        scissors.owner = victim

    # --- workers ---

    def assign(self, who: str, names: Sequence[str]) -> None:
        """A rebalance has given *names* to worker *who*; that others have some of them too is a zombie's doing."""
        self._served[who] = names
        if who in self._homes:
            self._homes[who].runner.serve(names, timeout=0)

    def deliver(self, who: str, many: int, *, jump: int = 0) -> None:
        """Worker *who* gets *many* records of its partition, *jump* from where it was: some again, or some never."""
        records = self.broker.copies().get(int(who[-1]) % COPIES, [])
        start = min(len(records), max(0, self._read.get(who, 0) + jump))
        self._read[who] = min(len(records), start + many)

        def offer() -> None:
            runner = self.home(who).runner
            for record in records[start : start + many]:
                runner.feed.offer(unpack(record).events())

        self.tolerate(offer)

    def work(self, who: str) -> bool:
        """One round of worker *who*; whether it went through."""

        def step() -> None:
            runner = self.home(who).runner
            runner._held.clear()
            runner._act_at = 0.0
            runner.step()

        return self.tolerate(step)

    def rebuild(self, name: str) -> None:
        """A rebuild of projection *name*, from start to flip or fault."""
        self.tolerate(lambda: rebuild(self.home("rebuilder").ports, projections[name]))

    def look(self, who: str = "reader") -> None:
        """A reader looks at the tables."""
        self.tolerate(lambda: self.looks.append({"part": who, "at": float(len(self.looks)), **look(self.home(who))}))

    # --- the end ---

    def settle(self) -> None:
        """Everything is well again, and all that is to be done is done."""
        for who in list(self._homes):
            self.die(who)
        self.broker.deliver_late()
        for name in ("worker-0", "worker-1"):
            self.assign(name, NAMES if name == "worker-0" else [])
        quiet = 0
        for _ in range(300):
            home = self.home("worker-0")
            head = home.ports.store.head()
            self.work("worker-0")
            stands = [s.position for s in home.ports.views.standings() if s.state == "live"]
            done = min([*stands, *(home.book.positions().get(name, 0) for name in handlers)]) >= head
            quiet = quiet + 1 if done and home.ports.store.head() == head else 0
            if quiet == 3:
                break
        else:
            raise AssertionError(f"not settled at {head}: {stands}, {home.book.positions()}")
        self.relay(0)
        self.look()

    def findings(self) -> list[str]:
        """What does not agree."""
        home = self.home("judge")
        log = list(iterate(home.ports.store))
        tried = attempts(self.folder / "journals")
        copies = [(c, [unpack(r).events() for r in self.broker.copies().get(c, [])]) for c in range(COPIES)]
        return [
            *verdict.order(log),
            *verdict.balances(log),
            *verdict.kept(log, tried),
            *verdict.wanted(log, tried, verdict.is_effect(log)),
            *verdict.whole(log, tried),
            *verdict.real_time(tried),
            *verdict.looked(log, self.looks),
            *verdict.effects(log),
            *verdict.receipts(log),
            *verdict.published(log, self.broker.messages(), lambda kind: registry.kind(kind).topic),
            *verdict.carried(log, copies),
            *(f"{p.name}: {difference}" for p in projections.values() for difference in verify(home.ports, p)),
            *(str(letter) for letter in home.book.letters()),
        ]

    def close(self) -> None:
        """End what is left."""
        for who in list(self._homes):
            self.die(who)
