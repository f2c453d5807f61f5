"""Whether another machine's clock says what ours does."""

from __future__ import annotations

from datetime import datetime

from mlife.core.health import Finding

NOTED_SECONDS = 2.0
WRONG_SECONDS = 60.0


def clock_finding(what: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """
    How far the clock of *what* is from ours.

    Args:
        theirs: what it said between our *before* and *after*.
    """
    skew = (theirs - (before + (after - before) / 2)).total_seconds()
    doubt = (after - before).total_seconds() / 2
    off = max(0.0, abs(skew) - doubt)
    said = f"its clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this machine's"
    if off > WRONG_SECONDS:
        return Finding(
            f"{what} clock", "wrong", said, "let both follow the same time servers (chrony, systemd-timesyncd)"
        )
    if off > NOTED_SECONDS:
        return Finding(f"{what} clock", "note", said, "let both follow the same time servers")
    return Finding(f"{what} clock", "ok", f"within {max(abs(skew), doubt):.2f} s of this machine's")
