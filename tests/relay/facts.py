"""Random facts of all components. The relay does not look inside of them, so neither do they hold anything."""

import hashlib
import random
from typing import Any

from mlife.core.events import Draft, EventKind, registry
from mlife.core.ports import Append, EventStore

KEYS = 40


def installed() -> list[EventKind]:
    """What every process of MLife knows, and no event of a test's own that happens to be imported in this one."""
    return [kind for kind in registry if kind.cls.__module__.startswith("mlife.")]


class Facts:
    """Appends facts to *store* as *chance* has it: any type, few keys, some with every attribute and some with none."""

    def __init__(self, store: EventStore, chance: random.Random) -> None:
        self._store, self.chance = store, chance
        self._types = [kind.type for kind in installed()]

    def draft(self, **values: Any) -> Draft:
        chance, body = self.chance, b'{"n":"%s"}' % (b"x" * self.chance.randrange(900))
        name = chance.randbytes(16)
        some = chance.random() < 0.5
        made = Draft(
            id=name,
            stream=f"fact/{name.hex()}",
            single=1,
            type=chance.choice(self._types),
            key=f"key-{chance.randrange(KEYS)}",
            time=1_700_000_000_000_000 + chance.randrange(10**15),
            source="/mlife/dms" if some else "/mlife",
            correlation_id="itr-1" if some else None,
            causation_id=chance.randbytes(16) if some else None,
            actor="Zoë 👩‍🔬" if some else None,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" if some else None,
            data=body,
            digest=b"",
        )._replace(**values)
        return made._replace(digest=hashlib.sha256(made.data).digest())

    def append(self, count: int) -> int:
        """Write *count* facts at once; the head then."""
        return self._store.append(Append([self.draft() for _ in range(count)], whole=False)).position
