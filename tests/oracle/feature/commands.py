"""What is decided about purses."""

from mlife.core.command import Given, State
from mlife.core.events import Event
from tests.oracle.feature.events import PursePaid, PurseReceipted, PurseStamped


class Purse(State):
    category = "purse"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.balance = 0

    def apply(self, event: Event) -> None:
        assert isinstance(event, PursePaid)
        self.balance = event.balance


class Receipts(State):
    category = "receipt"

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.number = 0

    def apply(self, event: Event) -> None:
        assert isinstance(event, PurseReceipted)
        self.number = event.number


def pay(given: Given, *, purse_id: str, amount: int) -> list[Event]:
    return [PursePaid(purse_id=purse_id, amount=amount, balance=given(Purse, purse_id).balance + amount)]


def move(given: Given, *, from_id: str, to_id: str, amount: int) -> list[Event]:
    """From one purse into another: two streams that must both be as they were read, two events or none."""
    return [*pay(given, purse_id=from_id, amount=-amount), *pay(given, purse_id=to_id, amount=amount)]


def receipt(given: Given, *, purse_id: str, payment: int) -> list[Event]:
    number = given(Receipts, purse_id).number + 1
    return [PurseReceipted(purse_id=purse_id, payment=payment, number=number)]


def stamp(given: Given, *, purse_id: str, payment: int) -> list[Event]:
    return [PurseStamped(purse_id=purse_id, payment=payment)]
