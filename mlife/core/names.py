"""Names that several features derive from the same thing, so that they must not be spelt twice."""

from __future__ import annotations

from mlife.core.events import derived_id


def test_document_id(system: str, function: str) -> str:
    """The id of the test document of a function, where its pinned reports and held-out rows are kept."""
    return f"doc-test-{derived_id('test document', system, function).hex()[:12]}"


test_document_id.__test__ = False  # type: ignore[attr-defined]  # a test runner collects by name
