"""What people decide about which reports belong together. Each of these can be taken back by another."""

from __future__ import annotations

from pydantic import Field

from mlife.core.events import Event, event


@event("mlife.badcase.merged", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseMerged(Event):
    """
    A badcase is the same failure as another one: its reports, old and new, are counted there.

    Its pins, verdicts, causes and iterations follow. Nothing is moved in the log: it is another name from now on.

    Fields:
        into: the badcase that it is counted in; not merged itself at that moment.
        suggested_by: the suggestion that led to it, if one did.
    """

    badcase_id: str
    into: str
    system: str
    function: str
    reason: str = ""
    suggested_by: str | None = None
    by: str | None = None


@event("mlife.badcase.unmerged", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseUnmerged(Event):
    """
    A merge is taken back: all that came with it, and what came for it since, is counted by itself again.

    Fields:
        was_into: where it was counted.
    """

    badcase_id: str
    was_into: str
    reason: str = ""
    by: str | None = None


@event("mlife.badcase.split", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseSplit(Event):
    """
    Some reports of a badcase are another failure: they are counted in a badcase of their own.

    New reports go on to the old one: a split is of reports that somebody looked at, not a rule.

    Fields:
        badcase_id: the new one; when a split that was taken back is made again, the one it was.
        from_badcase_id: where the reports were counted.
        reports: their positions in the log. Those that have gone elsewhere by then stay there.
        fingerprint: says in its JSON that a person did it, and of what.
        q: the query that chose them, if one did.
    """

    badcase_id: str
    from_badcase_id: str
    system: str
    function: str
    title: str
    fingerprint: str
    reports: tuple[int, ...] = Field(min_length=1)
    reason: str = ""
    q: str | None = None
    by: str | None = None


@event("mlife.badcase.rejoined", stream="badcase/{badcase_id}", key="badcase_id")
class BadcaseRejoined(Event):
    """A split is taken back: its reports are counted where they came from."""

    badcase_id: str
    from_badcase_id: str
    reason: str = ""
    by: str | None = None


@event("mlife.grouping.ruled", stream="grouping/{function_id}", key="function_id")
class GroupingRuled(Event):
    """
    From now on reports of a function are told apart by these, beside what went wrong. Old reports stay where they are.

    Fields:
        revision: from 1; one more each time.
        template: the description that is made of declared fields is compared; None: it is not.
        fields: names of declared fields whose values are compared.
    """

    function_id: str
    system: str
    function: str
    revision: int = Field(ge=1)
    template: str | None = None
    fields: tuple[str, ...] = ()
    reason: str = ""
    by: str | None = None


@event("mlife.grouping.applied", stream="grouping/{function_id}", key="function_id")
class GroupingApplied(Event):
    """
    Somebody saw what the rule would do to old reports and wanted it: these are counted by it now.

    One event for each pair of badcases; all of one application have its id.

    Fields:
        from_badcase_id: what their fingerprints named. badcase_id: what the rule names.
        reports: their positions in the log. Those that were corrected since the look stay as they are.
    """

    function_id: str
    system: str
    function: str
    application_id: str
    revision: int = Field(ge=1)
    from_badcase_id: str
    badcase_id: str
    fingerprint: str
    fingerprint_version: int = Field(ge=1)
    reports: tuple[int, ...] = Field(min_length=1)
    by: str | None = None


@event("mlife.grouping.unapplied", stream="grouping/{function_id}", key="function_id")
class GroupingUnapplied(Event):
    """An application is taken back: its reports are counted as before it."""

    function_id: str
    application_id: str
    by: str | None = None


@event("mlife.suggestion.dismissed", stream="suggestion/{suggestion_id}", key="suggestion_id")
class SuggestionDismissed(Event):
    """
    Two badcases that look alike are two failures; nobody is asked again.

    Fields:
        suggestion_id: a function of the two badcases. why: what had led to it.
    """

    suggestion_id: str
    one: str
    other: str
    why: str = ""
    reason: str = ""
    by: str | None = None


@event("mlife.likeness.chosen", stream="likeness/{function_id}", key="function_id")
class LikenessChosen(Event):
    """
    From now on badcases of a function are suggested as one by what these embedders find alike.

    Fields:
        embedders: names of plug-ins; empty: nothing is compared but files. None: whatever is installed.
    """

    function_id: str
    system: str
    function: str
    embedders: tuple[str, ...] | None = None
    reason: str = ""
    by: str | None = None


@event("mlife.suggestion.restored", stream="suggestion/{suggestion_id}", key="suggestion_id")
class SuggestionRestored(Event):
    """A dismissal is taken back."""

    suggestion_id: str
    by: str | None = None
