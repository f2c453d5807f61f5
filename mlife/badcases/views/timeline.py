"""What befell a badcase beside what is in its own stream: its first report, verdicts, deployments of its function."""

from __future__ import annotations

import orjson
from sqlalchemy import select

from mlife.badcases.views.rows import Fact
from mlife.badcases.views.tables import badcase_deployments, badcase_rows, badcase_verdicts, report_rows
from mlife.core.projection import Reader

b, d, r, v = badcase_rows.c, badcase_deployments.c, report_rows.c, badcase_verdicts.c
MOST = 100


def milestones(read: Reader, badcase_id: str) -> list[Fact]:
    """Its first report, the gate's latest word for each model, and the last activation of each deployment since."""
    found = read.one(select(b.system, b.function).where(b.badcase_id == badcase_id))
    first = read.one(
        select(r.number, r.version, r.observed_at).where(r.badcase_id == badcase_id).order_by(r.number).limit(1)
    )
    if found is None or first is None:
        return []
    facts = [
        Fact(
            first.number,
            "first reported",
            f"on version {first.version}",
            f"/reports/{first.number}",
            None,
            first.observed_at,
        )
    ]
    judged = select(v.number, v.model_id, v.verdict, v.sentence, v.judged_at).where(v.badcase_id == badcase_id)
    for row in read.all(judged.order_by(v.number.desc()).limit(MOST)):
        said = f"{row.model_id}: {row.sentence}"
        facts.append(
            Fact(row.number, f"judged {row.verdict}", said, f"/models/{row.model_id}", "the gate", row.judged_at)
        )
    active = select(badcase_deployments).where(
        d.system == found.system, d.function.in_(["", found.function]), d.activated_number > first.number
    )
    for row in read.all(active.order_by(d.activated_number.desc()).limit(MOST)):
        models = ", ".join(orjson.loads(row.model_ids))
        said = f"version {row.version} to {row.target}: {models}" + (
            ", replaced since" if row.state != "active" else ""
        )
        href = f"/deployments/{row.deployment_id}"
        facts.append(Fact(row.activated_number, "deployment active", said, href, None, row.activated_at))
    return facts
