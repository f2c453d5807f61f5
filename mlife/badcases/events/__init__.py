"""What happens to reports, badcases, causes, alarms and iterations. Topic `mlife.badcases`."""

from mlife.badcases.events.alarms import AlarmAcknowledged, AlarmRaised
from mlife.badcases.events.badcases import (
    BadcaseAssigned,
    BadcaseClosed,
    BadcaseMuted,
    BadcasePinned,
    BadcasePrioritised,
    BadcaseRegressed,
    BadcaseRejected,
    BadcaseReopened,
    BadcaseTriaged,
    BadcaseUnmuted,
)
from mlife.badcases.events.causes import CauseExtended, CauseNamed, CauseRemedyChosen
from mlife.badcases.events.iterations import IterationClosed, IterationOpened
from mlife.badcases.events.reports import BadcaseReported, ReportCorrected, TrafficCounted

__all__ = [
    "AlarmAcknowledged",
    "AlarmRaised",
    "BadcaseAssigned",
    "BadcaseClosed",
    "BadcaseMuted",
    "BadcasePinned",
    "BadcasePrioritised",
    "BadcaseRegressed",
    "BadcaseRejected",
    "BadcaseReopened",
    "BadcaseReported",
    "BadcaseTriaged",
    "BadcaseUnmuted",
    "CauseExtended",
    "CauseNamed",
    "CauseRemedyChosen",
    "IterationClosed",
    "IterationOpened",
    "ReportCorrected",
    "TrafficCounted",
]
