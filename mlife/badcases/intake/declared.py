"""What is declared of functions, read from the log: every door judges by the same."""

from __future__ import annotations

from mlife.badcases.functions import function_id
from mlife.badcases.intake.schema import Schema, described
from mlife.core.ports import EventStore


def schema_of(store: EventStore, system: str, function: str) -> Schema:
    """What is declared of a function now; nothing, if nothing ever was."""
    events = store.read_stream(f"function/{function_id(system, function)}")
    return described(events[-1].event) if events else Schema(system, function)


class Schemas:
    """What is declared, read once for each function; for a run of reports, and not longer."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._known: dict[tuple[str, str], Schema] = {}

    def of(self, system: str, function: str) -> Schema:
        """What is declared of a function."""
        at = (system, function)
        known = self._known.get(at)
        if known is None:
            known = self._known[at] = schema_of(self._store, system, function)
        return known
