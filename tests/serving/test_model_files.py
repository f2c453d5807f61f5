"""A model's file is a file of the store like any other."""

from __future__ import annotations

from mlife.core.events import derived_id
from mlife.runtime import Home
from mlife.serving.commands import add_model
from tests.conftest import drain


def test_an_adopted_model_is_recorded_among_the_files_once(home: Home) -> None:
    stored = home.ports.blobs.put(b"a model")
    for name in ("reader", "the same reader"):
        home.do(add_model, sha256=stored.sha256, size=stored.size, name=name, system="digits", function=name)
    drain(home)
    drain(home)

    recorded = home.ports.store.find([derived_id(f"file/{stored.sha256}")])
    (fact,) = recorded.values()
    assert fact.event.model_dump(include={"sha256", "md5", "size", "media_type"}) == {
        "sha256": stored.sha256,
        "md5": stored.md5,
        "size": 7,
        "media_type": "application/onnx",
    }
    assert home.book.letters() == []
