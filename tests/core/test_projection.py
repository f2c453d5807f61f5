"""Projections take long mixed runs, in order, and only of what they fold."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Table, Text, select

from mlife.core.errors import Misconfigured
from mlife.core.events import Recorded
from mlife.core.projection import Projection, Tx, projections
from mlife.core.tables import metadata
from mlife.runtime import Home
from tests.conftest import drain
from tests.toys import ToyMade, ToyPainted, ToyReported, make, paint, report

ledger = Table("ledger", metadata, Column("run", Integer, primary_key=True), Column("what", Text))


@pytest.fixture
def runs(toy_home: Home) -> Iterator[Projection]:
    """Writes a row for each run that it is given."""
    made = Projection("runs", version=1, tables=[ledger])

    @made.on(ToyMade, ToyPainted)
    def fold_toys(run: Sequence[Recorded[Any]], tx: Tx) -> None:
        tx.insert(ledger, [{"run": run[0].position, "what": " ".join(str(r.position) for r in run)}])

    @made.on(ToyReported)
    def fold_reports(run: Sequence[Recorded[ToyReported]], tx: Tx) -> None:
        tx.insert(ledger, [{"run": run[0].position, "what": f"{len(run)} reports"}])

    return made


def test_a_run_goes_on_until_another_function_s_event_comes(toy_home: Home, runs: Projection) -> None:
    toy = toy_home.do(make, name="bear").first(ToyMade).toy_id
    toy_home.do(paint, toy_id=toy, colour="red")
    toy_home.do(lambda given: [skipped()])  # nobody folds it: the run is not cut
    toy_home.do(make, name="duck")
    for uid in "ab":
        toy_home.do(report, uid=uid, toy_id=toy)
    toy_home.do(paint, toy_id=toy, colour="blue")
    drain(toy_home)

    with toy_home.ports.views.read() as read:
        rows = read.all(select(ledger.c.what).order_by(ledger.c.run))
    assert [r.what for r in rows] == ["1 2 4", "2 reports", "7"]


def skipped() -> Any:
    from mlife.core.control import ProjectionSkipped

    return ProjectionSkipped(projection="nobody", skipped=1, reason="a test")


def test_it_tells_what_it_takes_by_name_whatever_the_version(runs: Projection) -> None:
    assert runs.takes("mlife.toy.made.v1")
    assert runs.takes("mlife.toy.made.v7")
    assert not runs.takes("mlife.toy.woken.v1")


def test_one_event_class_is_folded_by_one_function(runs: Projection) -> None:
    with pytest.raises(Misconfigured, match=r"folds mlife\.toy\.made twice: fold_toys and again"):

        @runs.on(ToyMade)
        def again(run: Sequence[Recorded[Any]], tx: Tx) -> None:
            raise AssertionError


def test_a_name_belongs_to_one_projection(runs: Projection) -> None:
    with pytest.raises(Misconfigured, match="two projections are called runs"):
        Projection("runs", version=2, tables=[ledger])
    assert projections["runs"] is runs
