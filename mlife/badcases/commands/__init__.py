"""Decisions about badcases, reports, causes, alarms and iterations."""

from mlife.badcases.commands.badcases import (
    assign,
    correct_report,
    mute,
    pin,
    prioritise,
    reject,
    reopen,
    triage,
    unmute,
)
from mlife.badcases.commands.settling import Closing, Regression, raise_alarm, settle
from mlife.badcases.commands.turns import (
    acknowledge_alarm,
    choose_remedy,
    close_iteration,
    extend_cause,
    name_cause,
    open_iteration,
)

__all__ = [
    "Closing",
    "Regression",
    "acknowledge_alarm",
    "assign",
    "choose_remedy",
    "close_iteration",
    "correct_report",
    "extend_cause",
    "mute",
    "name_cause",
    "open_iteration",
    "pin",
    "prioritise",
    "raise_alarm",
    "reject",
    "reopen",
    "settle",
    "triage",
    "unmute",
]
