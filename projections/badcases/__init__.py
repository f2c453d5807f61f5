"""Badcases: reports and traffic, the floods, are counted in `reports`; everything else is folded in `life`."""

from mlife.projections.badcases import life, reports
from mlife.projections.badcases.declared import badcases

__all__ = ["badcases", "life", "reports"]
