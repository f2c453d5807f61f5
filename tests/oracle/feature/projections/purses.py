"""Two projections, so that two processes can be given one each."""

from collections.abc import Sequence

from mlife.core.events import Recorded
from mlife.core.projection import Projection, Tx
from tests.oracle.feature.events import CoinSighted, PursePaid
from tests.oracle.feature.views import coin_rows, payment_rows, purse_rows

purses = Projection("oracle_purses", version=1, tables=[purse_rows, payment_rows])
coins = Projection("oracle_coins", version=1, tables=[coin_rows])


@purses.on(PursePaid)
def fold_payments(run: Sequence[Recorded[PursePaid]], tx: Tx) -> None:
    """A row for each payment, and sums: what is folded twice or left out shows in both."""
    tx.insert(
        payment_rows, [{"position": r.position, "purse_id": r.event.purse_id, "amount": r.event.amount} for r in run]
    )
    tx.add(
        purse_rows,
        [
            {
                "purse_id": r.event.purse_id,
                "balance": r.event.amount,
                "payments": 1,
                "first_position": r.position,
                "last_position": r.position,
            }
            for r in run
        ],
    )


@coins.on(CoinSighted)
def fold_sightings(run: Sequence[Recorded[CoinSighted]], tx: Tx) -> None:
    tx.add(coin_rows, [{"coin": r.event.coin, "sightings": 1, "last_position": r.position} for r in run])
