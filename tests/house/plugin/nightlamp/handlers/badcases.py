"""What follows from what happens to badcases."""

from mlife.badcases.events import BadcaseReported
from mlife.core.events import Recorded
from mlife.core.handler import Do, handler
from nightlamp.commands import light


@handler("nightlamp.light", on=BadcaseReported)
def light_lamp(fact: Recorded[BadcaseReported], do: Do) -> None:
    """A failure in the dark gets a lamp; safe to repeat, a lit lamp is not lit again."""
    place = fact.event.fields.get("place")
    if place and fact.event.fields.get("dark"):
        do(light, badcase_id=fact.event.badcase_id, place=place)
