"""Causes: why badcases happen, and the one remedy chosen; everything can be taken back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field

from mlife.badcases.events import (
    CauseDeleted,
    CauseExtended,
    CauseMerged,
    CauseNamed,
    CauseReduced,
    CauseRemedyChosen,
    CauseRenamed,
    CauseReopened,
    CauseTakenBack,
    ProposalDismissed,
    ProposalRestored,
)
from mlife.badcases.proposing import proposal_id_of
from mlife.badcases.states import Cause, Proposal, remedy_of
from mlife.badcases.undoing import Action
from mlife.core.command import Given
from mlife.core.errors import Refused, no_such
from mlife.core.events import Event
from mlife.core.query import parse

Name = Annotated[str, Field(min_length=1, max_length=128)]
Title = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=10_000)]
Ids = Annotated[list[Name], Field(max_length=20_000)]
Wanted = dict[Annotated[str, Field(max_length=256)], Annotated[int, Field(ge=1, le=10_000_000)]]
FIELDS = {"words": "title", "ended": "end"}
"""Fields of a cause as messages name them; a badcase's membership goes by its id."""


def name_cause(
    given: Given,
    *,
    system: Name,
    function: Name,
    title: Title,
    explanation: Words = "",
    badcase_ids: Ids,
    proposal_id: Name | None = None,
) -> list[Event]:
    """Say why badcases happen."""
    return [
        CauseNamed(
            cause_id=given.new_id("cau"),
            system=system,
            function=function,
            title=_title(title),
            explanation=explanation,
            badcase_ids=tuple(dict.fromkeys(badcase_ids)),
            proposal_id=proposal_id,
            by=given.actor,
        )
    ]


def rename_cause(given: Given, *, cause_id: Name, title: Title, explanation: Words | None = None) -> list[Event]:
    """Say it in other words; without an *explanation* the one that there is stays."""
    cause = _living(given, cause_id)
    words = (_title(title), cause.words[1] if explanation is None else explanation)
    if cause.words == words:
        return []
    return [CauseRenamed(cause_id=cause_id, title=words[0], explanation=words[1], by=given.actor)]


def extend_cause(given: Given, *, cause_id: Name, badcase_ids: Ids) -> list[Event]:
    """Add badcases to a cause."""
    cause = _living(given, cause_id)
    new = _those(badcase_ids, cause, held=False)
    return [CauseExtended(cause_id=cause_id, badcase_ids=new, by=given.actor)] if new else []


def reduce_cause(given: Given, *, cause_id: Name, badcase_ids: Ids) -> list[Event]:
    """Take badcases out of a cause."""
    cause = _living(given, cause_id)
    gone = _those(badcase_ids, cause, held=True)
    return [CauseReduced(cause_id=cause_id, badcase_ids=gone, by=given.actor)] if gone else []


def choose_remedy(
    given: Given,
    *,
    cause_id: Name,
    remedy: Literal["collect", "exclude", "relabel", "fix_code", "wont_fix"],
    note: Words = "",
    collect: Annotated[str, Field(max_length=2_000)] = "",
    wanted: Wanted | None = None,
    query: Annotated[str, Field(max_length=2_000)] = "",
) -> list[Event]:
    """
    Decide what is done about a cause.

    Args:
        collect: what to collect, in words; without them the note or the title says it. wanted: label → rows of it; a
            collection is requested then.
        query: over rows of training data: those to exclude.

    Raises:
        Refused: what belongs to another remedy. QueryError: the query can't be read.
    """
    cause = _living(given, cause_id)
    if (wanted or collect) and remedy != "collect":
        raise Refused(f"the remedy {remedy} collects nothing", remedy="choose collect, or leave collect and wanted out")
    if query and remedy != "exclude":
        raise Refused(f"the remedy {remedy} excludes nothing", remedy="choose exclude, or leave the query out")
    parse(query)
    chosen = CauseRemedyChosen(
        cause_id=cause_id,
        remedy=remedy,
        note=note,
        collect=collect.strip() or ((note.strip() or cause.words[0])[:2_000] if wanted else ""),
        wanted=wanted or {},
        query=query.strip(),
        by=given.actor,
    )
    return [] if cause.remedy == remedy_of(chosen) else [chosen]


def merge_causes(given: Given, *, cause_id: Name, into_cause_id: Name) -> list[Event]:
    """Say that a cause is the same as another, which gets its badcases; its words and remedy stay in its history."""
    if cause_id == into_cause_id:
        raise Refused(f"{cause_id} can't be merged into itself", remedy="name two causes")
    gone, kept = _living(given, cause_id), _living(given, into_cause_id)
    if (gone.system, gone.function) != (kept.system, kept.function):
        raise Refused(
            f"{cause_id} is about {gone.system}/{gone.function}, and {into_cause_id} about "
            f"{kept.system}/{kept.function}",
            remedy="merge causes of one function",
        )
    events: list[Event] = [CauseMerged(cause_id=cause_id, into_cause_id=into_cause_id, by=given.actor)]
    new = tuple(sorted(gone.badcase_ids - kept.badcase_ids))
    if new:
        events.append(CauseExtended(cause_id=into_cause_id, badcase_ids=new, merged_id=cause_id, by=given.actor))
    return events


def delete_cause(given: Given, *, cause_id: Name, reason: Words) -> list[Event]:
    """Say that it is no cause; its badcases are without it."""
    _living(given, cause_id)
    if not reason.strip():
        raise Refused("deleting a cause needs a reason", remedy="say why it is none")
    return [CauseDeleted(cause_id=cause_id, reason=reason, by=given.actor)]


def reopen_cause(given: Given, *, cause_id: Name) -> list[Event]:
    """Make a deleted cause one again, with the badcases that it had."""
    cause = _known(given, cause_id)
    if not cause.ended:
        return []
    if cause.ended == "merged":
        raise Refused(f"{cause_id} was merged into {cause.into}", remedy="take the merge back")
    return [CauseReopened(cause_id=cause_id, badcase_ids=tuple(sorted(cause.badcase_ids)), by=given.actor)]


def take_back_of_cause(
    given: Given, *, cause_id: Name, version: Annotated[int, Field(ge=1)] | None = None
) -> list[Event]:
    """
    Undo what a person did to a cause; a merge is undone in both causes.

    Args:
        version: of the event, in the cause's stream; None: the last that can be taken back.

    Raises:
        Refused: nothing can be, or what it set has changed since.
    """
    cause = _known(given, cause_id)
    action = _chosen(cause, version)
    events: list[Event] = [_restored(cause, action, given.actor)]
    if action.what == "merged":
        other = _known(given, cause.into)
        mine = next((v for v, came_from in other.merged_in.items() if came_from == cause_id), None)
        if mine is not None:
            events.append(_restored(other, _chosen(other, mine), given.actor))
    elif action.version in cause.merged_in:
        other = _known(given, cause.merged_in[action.version])
        merge = max((v for v, what in other.actions.possible().items() if what == "merged"), default=None)
        if other.ended == "merged" and merge is not None:
            events.append(_restored(other, _chosen(other, merge), given.actor))
    return events


def _chosen(cause: Cause, version: int | None) -> Action:
    action = cause.actions.choose(version, cause.id, lambda field: FIELDS.get(field, field))
    if cause.ended and "ended" not in action.before:
        raise Refused(f"{cause.id} was {cause.ended}", remedy="take that back first")
    return action


def _restored(cause: Cause, action: Action, by: str | None) -> CauseTakenBack:
    """The event that makes *cause* what it was before *action*."""
    now: dict[str, Any] = {"words": cause.words, "remedy": cause.remedy, "ended": cause.ended} | dict(action.before)
    added: Iterable[str] = (b for b, held in action.before.items() if held is True)
    removed: Iterable[str] = (b for b, held in action.before.items() if held is False)
    if "ended" in action.before:  # its badcases are counted for it while it is a cause
        added, removed = (cause.badcase_ids, ()) if not now["ended"] else ((), cause.badcase_ids)
    chosen, note, collect, wanted, query = now["remedy"]
    return CauseTakenBack.model_validate(
        {
            "cause_id": cause.id,
            "what": action.what,
            "version": action.version,
            "title": now["words"][0],
            "explanation": now["words"][1],
            "added": tuple(sorted(added)),
            "removed": tuple(sorted(removed)),
            "remedy": chosen,
            "note": note,
            "collect": collect,
            "wanted": dict(wanted),
            "query": query,
            "ended": now["ended"],
            "by": by,
        }
    )


def dismiss_proposal(
    given: Given, *, system: Name, function: Name, attribute: Name, value: Annotated[str, Field(max_length=1_000)]
) -> list[Event]:
    """Say that what badcases share is no cause; it is not proposed again."""
    proposal_id = proposal_id_of(system, function, attribute, value)
    if given(Proposal, proposal_id).dismissed:
        return []
    return [
        ProposalDismissed(
            proposal_id=proposal_id,
            system=system,
            function=function,
            attribute=attribute,
            value=value,
            by=given.actor,
        )
    ]


def restore_proposal(given: Given, *, proposal_id: Name) -> list[Event]:
    """Take a dismissal back."""
    if not given(Proposal, proposal_id).dismissed:
        return []
    return [ProposalRestored(proposal_id=proposal_id, by=given.actor)]


def _title(title: str) -> str:
    if not title.strip():
        raise Refused("a cause needs a title", remedy="say in a few words why it happens, e.g. half-worn mask")
    return title.strip()


def _those(badcase_ids: Iterable[str], cause: Cause, *, held: bool) -> tuple[str, ...]:
    return tuple(b for b in dict.fromkeys(badcase_ids) if (b in cause.badcase_ids) is held)


def _known(given: Given, cause_id: str) -> Cause:
    cause = given(Cause, cause_id)
    if not cause.exists:
        raise no_such("cause", cause_id)
    return cause


def _living(given: Given, cause_id: str) -> Cause:
    cause = _known(given, cause_id)
    if cause.ended == "merged":
        raise Refused(f"{cause_id} was merged into {cause.into}", remedy=f"use {cause.into}, or take the merge back")
    if cause.ended:
        raise Refused(f"{cause_id} was deleted", remedy="reopen it first")
    return cause
