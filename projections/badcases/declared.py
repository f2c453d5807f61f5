"""The projection itself; the other modules say how it folds what."""

from __future__ import annotations

from mlife.badcases.views.tables import TABLES, TEXTS
from mlife.core.projection import Projection

badcases = Projection("badcases", version=4, tables=TABLES, texts=TEXTS)
