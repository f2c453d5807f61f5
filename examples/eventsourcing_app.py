"""
A labelling rota, written with the `eventsourcing` library, in the log of an MLife home.

MLife asks for data (`mlife.collection.requested`); who labels it is this application's affair. Its events stand in the
same log, in the same one order, in streams of their own (`es/<originator>`), so MLife's tools show them and a
projection can fold both. Try it:

    python examples/eventsourcing_app.py .mlife/demo ada req-1
    mlife event tail --home .mlife/demo
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from sqlalchemy import Column, Integer, Table, Text

from mlife.core.control import ApplicationRecorded
from mlife.core.events import Recorded
from mlife.core.projection import Projection, Tx
from mlife.core.tables import metadata
from mlife.data.events import CollectionRequested


class Rota(Aggregate):
    """Whose turn it is to label what a request brings in."""

    @event("Opened")
    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.labellers: list[str] = []

    @staticmethod
    def create_id(request_id: str) -> UUID:
        """One rota for each request."""
        return uuid5(NAMESPACE_URL, f"/rota/{request_id}")

    def sign_up(self, labeller: str) -> None:
        """Take part; a second time changes nothing."""
        if labeller not in self.labellers:
            self._sign_up(labeller)

    @event("SignedUp")
    def _sign_up(self, labeller: str) -> None:
        self.labellers.append(labeller)


class LabellingRota(Application[UUID]):
    """The rotas of a home."""

    def sign_up(self, request_id: str, labeller: str) -> list[str]:
        """Let *labeller* take part in the rota of a request; everybody who does now."""
        try:
            rota: Rota = self.repository.get(Rota.create_id(request_id))
        except AggregateNotFoundError:
            rota = Rota(request_id)
        rota.sign_up(labeller)
        self.save(rota)
        return rota.labellers


def open_rota(home: Path) -> LabellingRota:
    """The application on the log of *home*."""
    return LabellingRota(env={"PERSISTENCE_MODULE": "mlife.adapters.eventsourcing_recorder", "MLIFE_HOME": str(home)})


# A projection of MLife folds both: what MLife wants, and who in the rota deals with it.

rota_rows = Table(
    "rota_rows",
    metadata,
    Column("rota", Text, primary_key=True),
    Column("request_id", Text),
    Column("wanted", Integer),
    Column("labellers", Integer),
)
rota_board = Projection("rota_board", version=1, tables=[rota_rows])


@rota_board.on(CollectionRequested)
def fold_requests(run: Sequence[Recorded[CollectionRequested]], tx: Tx) -> None:
    """How many rows a request wants."""
    tx.add(rota_rows, [board_row(r.event.request_id, wanted=sum(r.event.wanted.values())) for r in run])


@rota_board.on(ApplicationRecorded)
def fold_rota(run: Sequence[Recorded[ApplicationRecorded]], tx: Tx) -> None:
    """How many signed up; the application's events carry their own JSON."""
    mine = [r.event for r in run if r.event.application == LabellingRota.__name__]
    opened = [json.loads(e.state)["request_id"] for e in mine if e.topic.endswith("Rota.Opened")]
    tx.add(rota_rows, [board_row(request_id) for request_id in opened])
    tx.add(rota_rows, [{"rota": e.originator_id, "labellers": 1} for e in mine if e.topic.endswith("Rota.SignedUp")])


def board_row(request_id: str, wanted: int = 0) -> dict[str, Any]:
    """A row to be added; whichever event comes first makes it."""
    return {"rota": str(Rota.create_id(request_id)), "request_id": request_id, "wanted": wanted, "labellers": 0}


if __name__ == "__main__":
    home, labeller, request_id = sys.argv[1:]
    with open_rota(Path(home)) as rota:
        sys.stdout.write(f"{request_id}: {', '.join(rota.sign_up(request_id, labeller))}\n")
