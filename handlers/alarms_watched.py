"""The facts after which a rule with lines may see something else."""

from mlife.badcases.events import (
    BadcaseAssigned,
    BadcaseClosed,
    BadcaseMerged,
    BadcaseMuted,
    BadcasePinned,
    BadcasePrioritised,
    BadcaseRegressed,
    BadcaseRejected,
    BadcaseRejoined,
    BadcaseReopened,
    BadcaseReported,
    BadcaseSplit,
    BadcaseTakenBack,
    BadcaseTriaged,
    BadcaseUnmerged,
    BadcaseUnmuted,
    CauseDeleted,
    CauseExtended,
    CauseMerged,
    CauseNamed,
    CauseReduced,
    CauseReopened,
    CauseTakenBack,
    GroupingApplied,
    GroupingUnapplied,
    IterationClosed,
    IterationOpened,
    ReportCorrected,
    TrafficCounted,
)
from mlife.serving.events import DeploymentActivated, ModelAdded, ModelJudged
from mlife.training.events import ModelTrained

WATCHED = (
    *(BadcaseReported, ReportCorrected, TrafficCounted),
    *(BadcaseTriaged, BadcaseAssigned, BadcasePrioritised, BadcaseMuted, BadcaseUnmuted, BadcaseRejected),
    *(BadcaseReopened, BadcaseTakenBack, BadcasePinned, BadcaseClosed, BadcaseRegressed),
    *(BadcaseMerged, BadcaseUnmerged, BadcaseSplit, BadcaseRejoined, GroupingApplied, GroupingUnapplied),
    *(CauseNamed, CauseExtended, CauseReduced, CauseMerged, CauseDeleted, CauseReopened, CauseTakenBack),
    *(IterationOpened, IterationClosed, ModelAdded, ModelTrained, ModelJudged, DeploymentActivated),
)
"""What a query over badcases may ask for, status, owner, cause, iteration and counts included, changes by these."""
