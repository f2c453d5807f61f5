"""What follows from payments; `tests.oracle.verdict` knows by heart what that must be."""

from sqlalchemy import select

from mlife.core.events import Recorded
from mlife.core.handler import Do, handler
from tests.oracle.feature.commands import receipt, stamp
from tests.oracle.feature.events import PursePaid
from tests.oracle.feature.views import payment_rows


@handler("oracle.receipt", on=PursePaid)
def write_receipt(fact: Recorded[PursePaid], do: Do) -> None:
    """One receipt for each payment, and a stamp beside it where the amount is divisible by three."""
    do(receipt, purse_id=fact.event.purse_id, payment=fact.position)
    if fact.event.amount % 3 == 0:
        do(stamp, purse_id=fact.event.purse_id, payment=fact.position)


@handler("oracle.look", on=PursePaid)
def look_it_up(fact: Recorded[PursePaid], do: Do) -> None:
    """A handler may rely on the tables having folded its fact; one that can't is parked, which the verdict sees."""
    with do.read() as read:
        found = read.value(select(payment_rows.c.amount).where(payment_rows.c.position == fact.position))
    assert found == fact.event.amount, f"the tables say {found} of the payment at {fact.position}"
