"""What people decide about which reports belong together: merge, unmerge, split, rejoin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mlife.badcases.events.grouping import BadcaseMerged, BadcaseRejoined, BadcaseSplit, BadcaseUnmerged
from mlife.badcases.fingerprint import split_fingerprint
from mlife.badcases.places import Place
from mlife.core.command import Given
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event

Name = Annotated[str, Field(min_length=1, max_length=128)]
Title = Annotated[str, Field(max_length=200)]
Words = Annotated[str, Field(max_length=2_000)]
MOST_MERGED = 1_000
"""Badcases in one merge."""
MOST_SPLIT = 100_000
"""Reports in one split: its event names each, and stays below a megabyte."""


class Known(BaseModel):
    """What the query tables say of a badcase; a stream of a badcase that nobody touched says nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    badcase_id: str
    system: str
    function: str
    title: str
    reports: int


def merge(
    given: Given,
    *,
    badcase_ids: Annotated[list[Name], Field(min_length=1, max_length=MOST_MERGED)],
    into: Name,
    known: list[Known],
    reason: Words = "",
    suggested_by: str | None = None,
) -> list[Event]:
    """
    Count badcases in another one, old reports and new, until it is taken back.

    Neither side may be merged already, so that there are no cycles; both streams are read, so that of two people who
    decide at once the second decides again.

    Args:
        badcase_ids: those that become other names; *into* among them is passed over.
        known: what is known of all of them.
    """
    by_id = {k.badcase_id: k for k in known}
    target = _existing(by_id, into)
    merged_into = given(Place, into).merged_into
    if merged_into is not None:
        raise Refused(f"{into} is itself merged into {merged_into}", remedy=f"merge into {merged_into}, or unmerge it")
    others = [b for b in dict.fromkeys(badcase_ids) if b != into]
    if not others:
        raise Refused(f"{into} can't be merged into itself", remedy="choose another badcase, or two of them")
    return [
        BadcaseMerged(
            badcase_id=badcase_id,
            into=into,
            system=target.system,
            function=target.function,
            reason=reason,
            suggested_by=suggested_by,
            by=given.actor,
        )
        for badcase_id in others
        if _may_be_merged(given, _existing(by_id, badcase_id), target)
    ]


def _may_be_merged(given: Given, one: Known, target: Known) -> bool:
    """
    May *one* be counted in *target*? False: it is already.

    Raises:
        Refused: no, and why.
    """
    where = given(Place, one.badcase_id).merged_into
    if where == target.badcase_id:
        return False
    if where is not None:
        raise Refused(f"{one.badcase_id} is merged into {where} already", remedy=f"unmerge it first, or merge {where}")
    if (one.system, one.function) != (target.system, target.function):
        raise Refused(
            f"{one.badcase_id} is of {one.system}, function {one.function}, and {target.badcase_id} of "
            f"{target.system}, function {target.function}",
            remedy="merge within one function; what two functions share is a cause: name it, and add both",
        )
    if not one.reports:
        raise Refused(
            f"{one.badcase_id} has no reports: all of them are counted elsewhere",
            remedy="look where they are on its page, and merge that",
        )
    return True


def _existing(by_id: Mapping[str, Known], badcase_id: str) -> Known:
    if badcase_id not in by_id:
        raise no_such("badcase", badcase_id)
    return by_id[badcase_id]


def unmerge(given: Given, *, badcase_id: Name, reason: Words = "") -> list[Event]:
    """Take a merge back: what came with it, and what came for it since, is counted by itself again."""
    where = given(Place, badcase_id).merged_into
    if where is None:
        raise Refused(f"{badcase_id} is not merged", remedy="unmerge one that is: the page of its home lists them")
    return [BadcaseUnmerged(badcase_id=badcase_id, was_into=where, reason=reason, by=given.actor)]


def unmerge_all(given: Given, *, badcase_ids: Annotated[list[Name], Field(max_length=MOST_MERGED)]) -> list[Event]:
    """Take several merges back in one append; if one of them can't be, none is."""
    return [event for badcase_id in dict.fromkeys(badcase_ids) for event in unmerge(given, badcase_id=badcase_id)]


def split(
    given: Given,
    *,
    badcase_id: Name,
    reports: Annotated[list[Annotated[int, Field(ge=1)]], Field(max_length=MOST_SPLIT)],
    counted: int,
    system: Name,
    function: Name,
    title: Title,
    reason: Words = "",
    q: str | None = None,
) -> list[Event]:
    """
    Count some reports of a badcase in a badcase of their own.

    Args:
        badcase_id: where they are counted now. counted: how many reports it has.
        reports: their positions. q: the query that chose them; they are what it chose, and stay so.
        title: what they are, in a few words.
    """
    if not title.strip():
        raise Refused("a split needs a title", remedy="say in a few words what these reports show")
    chosen: Sequence[int] = sorted(set(reports))
    if not chosen:
        raise Refused("no report is chosen", remedy=f"choose reports of {badcase_id}, or a query that finds some")
    if len(chosen) >= counted:
        raise Refused(
            f"these are all {counted} reports of {badcase_id}", remedy="leave at least one, or merge the whole badcase"
        )
    place = given(Place, badcase_id)
    if place.merged_into is not None:
        raise Refused(f"{badcase_id} is merged into {place.merged_into}", remedy=f"split {place.merged_into}")
    new_id = given.new_id("bc")
    return [
        BadcaseSplit(
            badcase_id=new_id,
            from_badcase_id=badcase_id,
            system=system,
            function=function,
            title=title.strip(),
            fingerprint=split_fingerprint(system, function, badcase_id, title.strip()),
            reports=tuple(chosen),
            reason=reason,
            q=q or None,
            by=given.actor,
        )
    ]


def rejoin(given: Given, *, badcase_id: Name, reason: Words = "") -> list[Event]:
    """Take a split back: its reports are counted where they came from."""
    place = _split_off(given, badcase_id)
    assert place.split is not None  # said by _split_off
    if place.rejoined:
        return []
    if place.merged_into is not None:
        raise Refused(f"{badcase_id} is merged into {place.merged_into}", remedy="unmerge it first, then rejoin it")
    return [
        BadcaseRejoined(
            badcase_id=badcase_id, from_badcase_id=place.split.from_badcase_id, reason=reason, by=given.actor
        )
    ]


def split_again(given: Given, *, badcase_id: Name, reason: Words = "") -> list[Event]:
    """Take a rejoining back: the same reports are counted in the same badcase of their own again."""
    place = _split_off(given, badcase_id)
    assert place.split is not None  # said by _split_off
    if not place.rejoined:
        return []
    return [place.split.model_copy(update={"reason": reason or place.split.reason, "by": given.actor})]


def _split_off(given: Given, badcase_id: str) -> Place:
    place = given(Place, badcase_id)
    if place.split is None:
        raise Refused(
            f"{badcase_id} was not split off by anybody", remedy="to have it counted elsewhere, merge it there"
        )
    return place
