"""Folds lamps into their table."""

from collections.abc import Sequence

from mlife.core.events import Recorded
from mlife.core.projection import Projection, Tx
from nightlamp.events import LampLit
from nightlamp.views import lamp_rows

lamps = Projection("lamps", version=1, tables=[lamp_rows])


@lamps.on(LampLit)
def light(run: Sequence[Recorded[LampLit]], tx: Tx) -> None:
    """One row for each badcase."""
    tx.add(lamp_rows, [{"badcase_id": r.event.badcase_id, "place": r.event.place, "lit": 1} for r in run])
