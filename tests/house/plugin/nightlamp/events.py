"""What happens to lamps."""

from mlife.core.events import Event, event


@event("mlife.lamp.lit", stream="lamp/{badcase_id}", key="badcase_id", topic="mlife.nightlamp")
class LampLit(Event):
    """A lamp was lit where a badcase was seen in the dark."""

    badcase_id: str
    place: str
