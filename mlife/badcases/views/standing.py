"""How far the fix of a badcase has come: which models have it, and what share of the traffic they answer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from mlife.badcases.standing import Facts, has_fix
from mlife.badcases.views.models import active, behind, parents, requests_of, requests_since
from mlife.badcases.views.tables import badcase_rows, badcase_verdicts
from mlife.core.judgement import Standing, Word
from mlife.core.projection import Reader

b, v = badcase_rows.c, badcase_verdicts.c


@dataclass(frozen=True, slots=True)
class Shipped:
    """
    Where the fix of a badcase is.

    Args:
        models: those that answer now and have the fix, by their own verdict or that of the nearest judged ancestor.
        versions: what devices call them.
        requests: of the function, that were counted since the youngest of them became active; None: not counted.
        with_fix: those of them that a version with the fix answered.
    """

    models: tuple[str, ...]
    versions: tuple[str, ...]
    requests: int | None
    with_fix: int | None

    @property
    def share(self) -> float | None:
        """Share of the traffic that has the fix, 0 to 1; None: nothing was counted since."""
        return (self.with_fix or 0) / self.requests if self.requests else None

    @property
    def sentence(self) -> str:
        """The share in words."""
        if self.share is None:
            return f"version {', '.join(self.versions)} has the fix; no traffic was counted since"
        return f"{self.share:.0%} of {self.requests:,} requests were answered with the fix since it became active"


def shipped(read: Reader, badcase_id: str) -> Shipped | None:
    """Where the fix of a badcase is; None: no model that answers now has it. A rollback takes it away again."""
    found = read.one(select(b.system, b.function).where(b.badcase_id == badcase_id))
    if found is None:
        return None
    verdicts = {
        row.model_id: (Standing(Word(row.verdict), 1.0 - row.low), row.number)
        for row in read.all(select(v.model_id, v.verdict, v.low, v.number).where(v.badcase_id == badcase_id))
    }
    if not any(standing.word is Word.FIXED for standing, _ in verdicts.values()):
        return None
    answering = active(read, found.system, found.function)
    facts = Facts(verdicts=verdicts, parents=parents(read))
    fixing = [d for d in answering if any(has_fix(m, facts) for m in d.model_ids)]
    if not fixing:
        return None
    since = max(d.activated for d in fixing)
    meant = behind(read)
    counts = {
        version: requests_since(read, found.system, found.function, version, since)
        for version in requests_of(read, found.system, found.function)
    }
    with_fix = {n for n in counts if any(has_fix(m, facts) for m in meant.get((found.system, n), ()))}
    return Shipped(
        models=tuple(sorted({m for d in fixing for m in d.model_ids if has_fix(m, facts)})),
        versions=tuple(sorted({d.version for d in fixing})),
        requests=sum(counts.values()) if counts else None,
        with_fix=sum(counts[n] for n in with_fix) if counts else None,
    )
