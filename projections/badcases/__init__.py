"""Badcases: reports and traffic, the floods, are counted in `reports`; everything else is folded in `life`."""

from mlife.projections.badcases import alarms, bulk, fields, grouping, life, media, reports, saved
from mlife.projections.badcases.declared import badcases

__all__ = ["alarms", "badcases", "bulk", "fields", "grouping", "life", "media", "reports", "saved"]
