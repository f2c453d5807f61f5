"""Names that several features derive from the same thing, so that they must not be spelt twice."""

from __future__ import annotations

from difflib import get_close_matches

from mlife.core.errors import NotFound
from mlife.core.events import derived_id, registry


def test_document_id(system: str, function: str) -> str:
    """The id of the test document of a function, where its pinned reports and held-out rows are kept."""
    return f"doc-test-{derived_id('test document', system, function).hex()[:12]}"


test_document_id.__test__ = False  # type: ignore[attr-defined]  # a test runner collects by name


def event_type(name: str) -> str:
    """
    *name*, with or without its version, if an installed feature declares it.

    Raises:
        NotFound: none does; the remedy has the nearest ones.
    """
    names = [kind.name for kind in registry]
    if name in names or any(name == kind.type for kind in registry):
        return name
    near = get_close_matches(name.rsplit(".v", 1)[0], names, 3) or names[:3]
    raise NotFound(f"there is no event type {name!r}", remedy=f"did you mean {', '.join(near)}?")
