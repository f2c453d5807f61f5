"""Rules as they are said at the doors: the same words, judged the same, on pages, in the API and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from mlife.badcases.alarms import BUILT_IN, Rule
from mlife.badcases.views.alarms import check_query
from mlife.core.command import explain
from mlife.core.errors import Invalid, Refusal

NOBODY = "nobody"
"""What is said for an empty `deliver`, where a form or an option has no way to say it."""


def rule_of(said: Mapping[str, Any], *, now: datetime, before: Rule | None = None) -> Rule:
    """
    The rule that somebody describes.

    Args:
        before: what is not said is as it was there; None: as in the built-in rule of the same kind.

    Raises:
        Invalid: a field at fault. QueryError: its query can't be asked.
    """
    given = {**(before.model_dump() if before is not None else _defaults(said.get("kind"))), **said}
    deliver = given.get("deliver")
    if isinstance(deliver, str):
        given["deliver"] = [] if deliver == NOBODY else [part.strip() for part in deliver.split(",") if part.strip()]
    try:
        rule = Rule.model_validate(given)
    except ValidationError as e:
        refusals = (_said_of_a_rule(r) for r in explain(e))
        raise Invalid("this is no rule", refusals=tuple(refusals)) from e
    check_query(rule.q, now)
    return rule


def _said_of_a_rule(refusal: Refusal) -> Refusal:
    """One that is about the whole rule does not repeat all of it as the value."""
    problem = refusal.problem.removeprefix("value error, ")
    return replace(refusal, problem=problem, value=refusal.value if refusal.field else "")


def _defaults(kind: Any) -> dict[str, Any]:
    return next((r.model_dump(exclude={"title"}) for r in BUILT_IN.values() if r.kind == kind), {})
