"""
The built-in target: models answer in this process.

What answers is one immutable table that is swapped as a whole, so a request meets either the old models or the new
ones. The table is lost with the process and made again from the log (`mlife.serving.answering`).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlife.core.errors import Corrupt, Invalid, NotFound
from mlife.core.ports import Answering, Models, Offer, Predictor


class InProcessTarget:
    """
    The `Target` port over `Models`, for many threads.

    Args:
        models: opens the files.
        name: what deployments call it.
    """

    def __init__(self, models: Models, name: str = "local") -> None:
        self._models = models
        self._name = name
        self._slots: Mapping[str, tuple[Answering, ...]] = {}
        self._swap = threading.Lock()

    @property
    def name(self) -> str:
        """See `Target.name`."""
        return self._name

    def take(self, *, slot: str, deployment_id: str, version: str, offers: Sequence[Offer], since: int) -> str:
        """See `Target.take`. Every model is loaded and has answered a probe before anything is swapped."""
        if not offers:
            raise Invalid(f"{deployment_id} has no models", remedy="deploy at least one")
        ready = tuple(
            Answering(o.name, slot, o.model_id, o.sha256, deployment_id, version, since, self._loaded(o))
            for o in offers
        )
        with self._swap:
            held = self._slots.get(slot, ())
            if not held or held[0].since <= since:
                self._slots = {**self._slots, slot: ready}
        found = self.answering(offers[0].name)
        if found is None:
            raise NotFound(f"nothing answers to {offers[0].name} on {self._name}")
        return found.model_id

    def _loaded(self, offer: Offer) -> Predictor:
        """The model's predictor, checked and asked once; one that answers already is shared."""
        _expect(offer.path, offer.sha256)
        known = next((a.predictor for a in self.held() if a.sha256 == offer.sha256), None)
        predictor = known or self._models.load(offer.path)
        probe(predictor)
        return predictor

    def answering(self, name: str) -> Answering | None:
        """See `Target.answering`. Where two slots have the name, the later one counts."""
        found = [a for models in self._slots.values() for a in models if name in (a.name, a.model_id)]
        newest = max(found, key=lambda a: a.since, default=None)
        # Of one deployment's models, the first answers to the name.
        return next((a for a in found if newest and a.since == newest.since), None)

    def held(self) -> Sequence[Answering]:
        """See `Target.held`."""
        return [a for models in self._slots.values() for a in models]


def probe(predictor: Predictor) -> bool:
    """
    Let a model answer an input of zeros of its own shape.

    Returns:
        Whether it could be asked: a model that does not say what it reads can't.

    Raises:
        Invalid: it does not answer.
    """
    if len(predictor.shape) < 2 or None in predictor.shape[1:]:
        return False
    import numpy as np

    said = predictor.predict(np.zeros([predictor.shape[0] or 1, *predictor.shape[1:]], dtype=np.float32))
    if not said:
        raise Invalid("the model gives no answer to an input of zeros", remedy="export it with a label for each row")
    return True


def _expect(path: Path, sha256: str) -> None:
    """Raises Corrupt unless the file has this digest."""
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError as e:
        raise NotFound(f"there is no model file {path}", remedy="put the file again") from e
    if found != sha256:
        raise Corrupt(
            f"the model file {path} has been changed: its digest is {found}, not {sha256}",
            remedy="put the original file again; the model's page names its digest",
        )
