"""A field name that Python keeps for itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AliasChoices, Field

From = Annotated[datetime, Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")]
"""`from` is a keyword in Python and the plain word in JSON."""
