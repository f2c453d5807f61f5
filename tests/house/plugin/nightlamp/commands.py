"""When a lamp may be lit."""

from mlife.core.command import Given, State
from mlife.core.events import Event
from nightlamp.events import LampLit


class Lamp(State):
    """The lamp of a badcase."""

    category = "lamp"


def light(given: Given, *, badcase_id: str, place: str) -> list[Event]:
    """Light the lamp of a badcase, unless it is lit."""
    return [] if given(Lamp, badcase_id).exists else [LampLit(badcase_id=badcase_id, place=place)]
