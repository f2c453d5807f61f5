"""
What answers, kept as the log says.

The log decides which deployment answers; a target only holds what is needed to do it. A process that starts, or finds
that another one activated something meanwhile, lets its target take up what is active.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from mlife.core.errors import Corrupt, Misconfigured, MLifeError, NotFound, Unavailable
from mlife.core.handler import Ports
from mlife.core.ports import Answering, Offer, Target
from mlife.serving import views
from mlife.serving.commands import LOCAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlife.core.projection import Reader

log = logging.getLogger("mlife.serving")


def target_called(ports: Ports, name: str) -> Target:
    """
    The target that deployments call *name*: the built-in one, or a plug-in's at `ports.extra["target:<name>"]`.

    Raises:
        NotFound: there is none.
    """
    found = ports.extra.get("target" if name == LOCAL else f"target:{name}")
    if found is None:
        known = [LOCAL, *(k.partition(":")[2] for k in ports.extra if k.startswith("target:"))]
        raise NotFound(
            f"there is no target {name!r} here",
            remedy=f"deploy to {' or '.join(known)}, or install the target's package",
        )
    return cast("Target", found)


def offers_of(
    ports: Ports, read: Reader, system: str, function: str | None, model_ids: Sequence[str]
) -> tuple[list[Offer], dict[str, str], dict[str, str]]:
    """
    The models as a target takes them, their digests by Model ID, and the URIs of their files.

    Raises:
        Corrupt: the query tables do not know one of the models.
        NotFound: the file of one of them is not in the store.
    """
    known = views.models_by_id(read, model_ids)
    offers: list[Offer] = []
    for model_id in model_ids:
        model = known.get(model_id)
        if model is None:
            raise Corrupt(f"the deployed model {model_id} is not in the query tables", remedy="rebuild `serving`")
        path = ports.blobs.path(model.sha256)
        if path is None:
            raise Misconfigured(
                f"the file store keeps {model_id} elsewhere", remedy="serve from a store that has local files"
            )
        offers.append(Offer(f"{system}.{function or model.function or model_id}", model_id, model.sha256, path))
    digests = {o.model_id: o.sha256 for o in offers}
    return offers, digests, {o.model_id: f"sha256:{o.sha256}" for o in offers}


def restore(ports: Ports) -> int:
    """
    Let the built-in target take up everything that is active on it. Safe at any time, any number of times.

    A model that can't be loaded is logged and left out: the others answer.

    Returns:
        How many deployments answer.
    """
    target = target_called(ports, LOCAL)
    restored = 0
    with ports.views.read() as read:
        for slot in views.answering(read, target=LOCAL):
            try:
                _take_up(ports, read, target, slot)
                restored += 1
            except MLifeError as e:
                log.warning("%s is active on %s but can't answer: %s", slot.deployment_id, LOCAL, e)
    return restored


def asked_for(ports: Ports, name: str) -> Answering:
    """
    The model that answers to *name*, `<system>.<function>` or the Model ID of an active one, as the log says by now.

    While the query tables or the files can't be read, what was taken up before goes on answering.

    Raises:
        NotFound: nothing answers to it.
        Unavailable: nothing does now, because something is away.
    """
    target = target_called(ports, LOCAL)
    away: Unavailable | None = None
    try:
        with ports.views.read() as read:
            for slot in views.answering(read, target=LOCAL):
                if name in slot.model_ids or name.startswith(f"{slot.system}."):
                    _take_up(ports, read, target, slot)
    except Unavailable as e:
        log.warning("answering with what was taken up before: %s", e)
        away = e
    found = target.answering(name)
    if found is None and away is not None:
        raise away
    if found is None:
        served = sorted({a.name for a in target.held()})
        raise NotFound(
            f"no active model answers to {name!r}",
            remedy=f"ask for one of {', '.join(served)}" if served else "deploy a model to `local` first",
        )
    return found


def _take_up(ports: Ports, read: Reader, target: Target, slot: views.SlotView) -> None:
    """Let *target* hold what the log says, unless it does, or took something newer whose event is on its way."""
    held = [a for a in target.held() if a.slot == slot.slot]
    if held and (held[0].deployment_id == slot.deployment_id or held[0].since >= slot.since):
        return
    offers, _, _ = offers_of(ports, read, slot.system, slot.function, slot.model_ids)
    target.take(slot=slot.slot, deployment_id=slot.deployment_id, version=slot.version, offers=offers, since=slot.since)
