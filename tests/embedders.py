"""A package with embedders that behave, and others that do not, installed for one test."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlife.core.media import plugins

NAMES = "raises nan narrow ragged dies prints hangs needy no_embedder wide slow"

MODULE = '''
import os, time
from mlife.core.media.embedding import Embedder

def vector(text):
    return [1.0, float(len(text)), 0.5, 0.25]

def each(change):
    """An embedder of texts that does *change* where a text says bad."""
    def embed(texts):
        return [change(t) if "bad" in t else vector(t) for t in texts]
    return Embedder("odd things", "text", "1", 4, 0.9, lambda: embed)

def fails(text):
    if "environment" in text:
        known = sum(name.startswith("MLIFE_") for name in os.environ)
        raise RuntimeError(f"it said {text}, and knows {known} secrets")
    raise RuntimeError("it said bad")

raises = each(fails)
nan = each(lambda t: [float("nan")] * 4)
ragged = each(lambda t: [1.0])
dies = each(lambda t: os._exit(3))
hangs = each(lambda t: time.sleep(60))
narrow = Embedder("odd things", "text", "1", 4, 0.9, lambda: lambda texts: [[1.0, 2.0, 3.0] for t in texts])

def loud(texts):
    print("a lot of noise" * 100, flush=True)
    os.write(1, b"noise")
    return [vector(t) for t in texts]

prints = Embedder("odd things", "text", "1", 4, 0.9, lambda: loud)

def open_needy():
    import unheard_of

needy = Embedder("odd things", "text", "1", 4, 0.9, open_needy)
no_embedder = "embedder"
wide = Embedder("odd things", "text", "1", 9000, 0.9, open_needy)

def take_long(texts):
    with open(JOURNAL, "a") as journal:
        for text in texts:
            time.sleep(0.02)
            print(text, file=journal, flush=True)
    return [vector(t) for t in texts]

slow = Embedder("slow things", "text", "1", 4, 0.9, lambda: take_long)
'''


@dataclass
class Site:
    """Where it is installed; `journal`: what `slow` was asked for."""

    folder: Path

    @property
    def journal(self) -> list[str]:
        file = self.folder / "journal"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The package, for this process and those that it starts."""
    folder = tmp_path / "site"
    info = folder / "oddities-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: oddities\nVersion: 1.0\n")
    points = "\n".join(f"{name} = oddities:{name}" for name in NAMES.split())
    (info / "entry_points.txt").write_text(f"[mlife.embedders]\n{points}\n")
    (folder / "oddities.py").write_text(f"JOURNAL = {str(folder / 'journal')!r}\n{MODULE}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(str(folder))
    _forget()
    yield Site(folder)
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    importlib.invalidate_caches()
    plugins.named.cache_clear()
    plugins.plugin.cache_clear()
