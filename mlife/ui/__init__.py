"""
What every page is made of: templates, macros, charts, one stylesheet, one script.

A feature's `pages.py` needs these names and no others; `pages.py` here says how they fit together.
"""

from mlife.ui.charts import (
    Bar,
    Cell,
    Interval,
    Mark,
    Series,
    bars,
    comparison,
    curve,
    distribution,
    matrix,
    sparkline,
)
from mlife.ui.frame import mount
from mlife.ui.looks import look
from mlife.ui.pages import answer, page, render, see, selection, templates_from, with_query
from mlife.ui.rooms import Iteration, Step, iteration_box, rail, under_way
from mlife.ui.static import static_file

__all__ = [
    "Bar",
    "Cell",
    "Interval",
    "Iteration",
    "Mark",
    "Series",
    "Step",
    "answer",
    "bars",
    "comparison",
    "curve",
    "distribution",
    "iteration_box",
    "look",
    "matrix",
    "mount",
    "page",
    "rail",
    "render",
    "see",
    "selection",
    "sparkline",
    "static_file",
    "templates_from",
    "under_way",
    "with_query",
]
