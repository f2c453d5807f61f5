"""What follows from what happens to models and deployments."""

from __future__ import annotations

import hashlib

from mlife.handlers.gate_evidence import judge_on

from mlife.core.errors import HomeUnusable, MLifeError, Unavailable
from mlife.core.events import Recorded
from mlife.core.handler import Do, Ports, handler
from mlife.data.commands import record_file
from mlife.serving import views
from mlife.serving.answering import offers_of, target_called
from mlife.serving.commands import activate, fail_deployment
from mlife.serving.events import DeploymentCreated, DeploymentRolledBack, ModelAdded, ModelJudgementAsked
from mlife.serving.states import Deployment, slot_of
from mlife.training.events import ModelTrained


@handler("serving.activate", on=(DeploymentCreated, DeploymentRolledBack))
def activate_deployment(fact: Recorded[DeploymentCreated | DeploymentRolledBack], do: Do) -> None:
    """
    Hand the models to the target, ask it who answers, and say so.

    Safe to repeat: what was dealt with is seen in the stream before the target is touched. If the process dies between
    the target's switch and the event, the target is empty again and the fact is handled again.
    """
    e = fact.event
    if isinstance(e, DeploymentRolledBack):
        _switch(do, e.to, undoes=e.deployment_id)
    else:
        _switch(do, e.deployment_id, undoes=None)


def _switch(do: Do, deployment_id: str, *, undoes: str | None) -> None:
    known = _as_it_is(do.ports, deployment_id)
    created = known.created
    if created is None or known.failed or (undoes is None and (known.activated or known.rolled_back)):
        return
    slot = f"{created.system}/{slot_of(created.function, created.target)}"
    try:
        target = target_called(do.ports, created.target)
        with do.read() as read:
            now = [s.deployment_id for s in views.answering(read) if s.slot == slot]
            if undoes is not None and now != [undoes]:
                return
            offers, digests, uris = offers_of(do.ports, read, created.system, created.function, created.model_ids)
        answered_by = target.take(
            slot=slot,
            deployment_id=deployment_id,
            version=created.version,
            offers=offers,
            since=do.ports.store.head(),
        )
    except (HomeUnusable, Unavailable):  # neither the model's fault nor the deployment's: it is tried again
        raise
    except MLifeError as e:
        do(fail_deployment, deployment_id=deployment_id, error=str(e))
        return
    do(
        activate,
        deployment_id=deployment_id,
        digests=digests,
        uris=uris,
        answered_by=answered_by,
        undoes=undoes,
    )


def _as_it_is(ports: Ports, deployment_id: str) -> Deployment:
    state = Deployment(deployment_id)
    for recorded in ports.store.read_stream(f"{Deployment.category}/{deployment_id}"):
        state.apply(recorded.event)
    return state


@handler("serving.judge_again", on=ModelJudgementAsked)
def judge_as_asked(fact: Recorded[ModelJudgementAsked], do: Do) -> None:
    """A person asked for the gate's word. Safe to repeat: a verdict that says the same is not written again."""
    judge_on(do, fact, [fact.event.model_id])


@handler("data.record_model_file", on=(ModelTrained, ModelAdded))
def record_the_model_file(fact: Recorded[ModelTrained | ModelAdded], do: Do) -> None:
    """A model's file is one of the store like any other, whoever put it there. Safe to repeat: it is recorded once."""
    e = fact.event
    md5 = hashlib.md5(usedforsecurity=False)
    with do.ports.blobs.open(e.sha256) as content:
        while piece := content.read(1 << 20):
            md5.update(piece)
    do(
        record_file,
        sha256=e.sha256,
        md5=md5.hexdigest(),
        size=e.size,
        media_type="application/onnx",
        name=f"{e.name}.onnx",
    )
