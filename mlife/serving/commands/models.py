"""Decisions about models, their verdicts, and the policies that they are judged by."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from mlife.core.command import Given, explain
from mlife.core.control import PolicyLoaded
from mlife.core.errors import Invalid, Refused
from mlife.core.events import Event, derived_id
from mlife.core.judgement import Policy
from mlife.serving.events import ModelAdded, ModelJudged, ModelJudgementAsked, ModelNoted
from mlife.serving.judging import Case, judge_case
from mlife.serving.states import (
    DEFAULT_POLICY,
    Model,
    PolicyInForce,
    Verdict,
    existing_model,
    plain_columns,
    plain_name,
    plain_note,
    policy_for,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")


def adopted_id(sha256: str, system: str | None, function: str | None) -> str:
    """The Model ID of a file that is adopted for a function: adopting the same file again finds the same model."""
    return f"mdl-{derived_id('adopted model', sha256, system, function).hex()[:12]}"


def add_model(
    given: Given,
    *,
    sha256: str,
    size: int,
    name: str,
    system: str | None = None,
    function: str | None = None,
    metrics: dict[str, Any] = {},  # noqa: B006 - pydantic copies defaults
    parents: tuple[str, ...] = (),
    note: str = "",
) -> list[Event]:
    """Adopt a model that was made elsewhere; its file is stored and checked. Adopting it again changes nothing."""
    if not _SHA256.fullmatch(sha256):
        raise Invalid(f"{sha256[:80]!r} is no SHA-256", remedy="give 64 hexadecimal digits in lower case")
    model_id = adopted_id(sha256, system, function)
    if given(Model, model_id).made:
        return []
    for parent in parents:
        existing_model(given, parent)
    return [
        ModelAdded(
            model_id=model_id,
            name=plain_name(name, "model name"),
            system=system,
            function=function,
            sha256=sha256,
            size=size,
            metrics=plain_columns(metrics),
            parents=tuple(dict.fromkeys(parents)),
            note=plain_note(note),
            by=given.actor,
        )
    ]


def note_model(given: Given, *, model_id: str, note: str) -> list[Event]:
    """Write a note on a model."""
    existing_model(given, model_id)
    if not note.strip():
        raise Invalid("the note is empty", remedy="write a sentence that the next reader understands")
    return [ModelNoted(model_id=model_id, note=plain_note(note), by=given.actor)]


def ask_judgement(given: Given, *, model_id: str, reason: str = "") -> list[Event]:
    """Ask for the gate's word on a model again; a handler gathers the evidence and judges."""
    existing_model(given, model_id)
    return [ModelJudgementAsked(model_id=model_id, reason=plain_note(reason), by=given.actor)]


def judge_model(given: Given, *, case: Case, seen_at: int, iteration_id: str | None = None) -> list[Event]:
    """
    Judge a model by the policy in force. A verdict that would say the same as the last one is not written again.

    Args:
        seen_at: position of the query tables at which the evidence in *case* was gathered.
    """
    model = existing_model(given, case.model_id)
    if not case.results:
        raise Refused(
            f"{case.model_id} has no results on any test set",
            remedy="run a testing task with it, or deploy it by an override with a name and a reason",
        )
    said = judge_case(
        case,
        policy_for(given, model.system, model.function),
        sha256=model.sha256,
        system=model.system,
        function=model.function,
        seen_at=seen_at,
        iteration_id=iteration_id,
    )
    last = given(Verdict, case.model_id).last
    return [] if last is not None and _same(last, said) else [said]


def _same(last: ModelJudged, now: ModelJudged) -> bool:
    when = {"seen_at", "iteration_id"}
    return last.model_dump(mode="json", exclude=when) == now.model_dump(mode="json", exclude=when)


def load_policy(given: Given, *, function: str = DEFAULT_POLICY, policy: dict[str, Any]) -> list[Event]:
    """
    Use these numbers for judgements from now on.

    Args:
        function: `<system>/<function>`, or `default` for every function without a policy of its own.
        policy: the numbers that differ from the built-in ones, by name.
    """
    if function != DEFAULT_POLICY and not re.fullmatch(r"[^/\s]+/[^/\s]+", function):
        raise Invalid(f"{function!r} names no function", remedy="write <system>/<function>, or default")
    try:
        whole = Policy.model_validate(policy)
    except ValidationError as e:
        raise Invalid("the policy can't be used", remedy="mend the lines below", refusals=tuple(explain(e))) from e
    if whole.fixed_from >= 1:
        raise Invalid("fixed_from is 1", remedy="set it below 1: no number of rows proves a share of 1")
    before = given(PolicyInForce, function).policy
    if before == whole:
        return []
    changed = whole.model_dump(mode="json", exclude_defaults=True)
    return [PolicyLoaded(function=function, policy=changed, digest=whole.digest(), by=given.actor)]
