"""What is told of an alarm outside: the same facts to a program and to a person, without anything personal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mlife.badcases.views.rows import AlarmView
from mlife.core.ports import Notice


def notice_of(alarm: AlarmView, occasion: str, delivery_id: str) -> Notice:
    """The message about an alarm that was raised or has ended."""
    at = alarm.raised_at if occasion == "raised" or alarm.ended_at is None else alarm.ended_at
    said = alarm.sentence if occasion == "raised" else f"{alarm.sentence} – {alarm.ended}"
    data: dict[str, Any] = {
        "alarm_id": alarm.alarm_id,
        "sentence": said,
        "kind": alarm.kind,
        "rule_id": alarm.rule_id,
        "rule_version": alarm.rule_version,
        "system": alarm.system,
        "function": alarm.function,
        "version": alarm.version or None,
        "cause_id": alarm.cause_id,
        "badcases": alarm.badcases,
        "badcase_ids": list(alarm.badcase_ids),
        "reports": alarm.reports,
        "rate": alarm.rate,
        "usual": alarm.usual,
        "raised_at": _moment(alarm.raised_at),
        "ended_at": None if alarm.ended_at is None else _moment(alarm.ended_at),
        "path": f"/alarms/{alarm.alarm_id}",
    }
    lines = [
        said,
        "",
        f"{alarm.system}, {alarm.function}" + (f", version {alarm.version}" if alarm.version else ""),
        f"{alarm.badcases} badcases, {alarm.reports} reports",
        f"Rule {alarm.rule_id}, version {alarm.rule_version}",
        f"Page: /alarms/{alarm.alarm_id}",
        f"In the terminal: mlife alarm show {alarm.alarm_id}",
    ]
    return Notice(delivery_id, f"mlife.alarm.{occasion}", at, f"MLife: {said}", "\n".join(lines), data)


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
