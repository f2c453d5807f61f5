"""The numbers of a judgement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """
    The numbers that a function is judged by.

    Fields:
        confidence: of the interval around a badcase's share of passes.
        fixed_from: the interval's lower bound from which a badcase is fixed.
        failing_to: the interval's upper bound up to which it is failing.
        significance: p below which a loss is believed (exact McNemar, two-sided).
        largest_loss: share of a test set that may be lost even when the loss is not significant; 0.015 = 1.5 points.
        first_model_from: accuracy that the first model needs, on test sets that `thresholds` does not name.
        thresholds: accuracy that the first model needs, per test set.
        regressed_files: distinct files from which a fixed badcase may count as regressed.
        regressed_significance: p below which the rate of its return is believed (exact, one-sided).
        bake_requests: requests that a fix must serve before its badcase closes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    fixed_from: float = Field(default=0.60, ge=0, le=1)
    failing_to: float = Field(default=0.60, ge=0, le=1)
    significance: float = Field(default=0.05, ge=0, le=1)
    largest_loss: float = Field(default=0.015, ge=0, le=1)
    first_model_from: float = Field(default=0.90, ge=0, le=1)
    thresholds: Mapping[str, float] = Field(default_factory=dict)
    regressed_files: int = Field(default=3, ge=1)
    regressed_significance: float = Field(default=0.05, ge=0, le=1)
    bake_requests: int = Field(default=200, ge=0)

    def digest(self) -> str:
        """SHA-256 of the policy's canonical JSON, as `sha256:…`."""
        return digest_of(self.model_dump(mode="json"))


def digest_of(value: object) -> str:
    """SHA-256 of *value*'s canonical JSON, as `sha256:…`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
