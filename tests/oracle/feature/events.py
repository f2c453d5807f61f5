"""What happens to purses."""

from mlife.core.events import Event, event

TOPIC = "mlife.oracle"


@event("mlife.purse.paid", stream="purse/{purse_id}", key="purse_id", topic=TOPIC)
class PursePaid(Event):
    """
    Something went in or out; *balance* is what the one who decided believed to be in it then.

    Two who decide on the same balance, and are both believed, leave a sum that does not fit.
    """

    purse_id: str
    amount: int
    balance: int


@event("mlife.purse.receipted", stream="receipt/{purse_id}", key="purse_id", topic=TOPIC)
class PurseReceipted(Event):
    """A handler saw a payment; *number* counts the receipts of a purse."""

    purse_id: str
    payment: int
    number: int


@event("mlife.purse.stamped", stream="stamp/{purse_id}/{payment}", key="purse_id", topic=TOPIC)
class PurseStamped(Event):
    """The handler's second effect, where the amount is divisible by three."""

    purse_id: str
    payment: int


@event("mlife.coin.sighted", stream="sighting/{uid}", key="coin", single=True, topic=TOPIC)
class CoinSighted(Event):
    """One of a flood; needs no decision."""

    uid: str
    coin: str
    note: str = ""
