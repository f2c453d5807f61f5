"""Whatever strangers write, it is text on every page: it opens no tag, adds no attribute, and leads nowhere else."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from mlife.runtime import Home

EVIL = """ hostile=1 "hostile=2 'hostile=3 <hostile>{{7*7}} --><script>hostile</script>"""
WORD = "\"hostile=4 '<hostile>"
MOST_PAGES = 150


class Marks(HTMLParser):
    """Finds tags and attributes that only hostile text can have made, and where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.made += [tag] * ("hostile" in tag) + [f"{tag} {name}" for name, _ in attrs if "hostile" in name]
        if tag == "script" and not dict(attrs).get("src"):
            self.made.append("script")
        self.links += [value or "" for name, value in attrs if name in {"href", "hx-get"}]


def made_by(text: str) -> Marks:
    found = Marks()
    found.feed(text)
    return found


@pytest.fixture
def filled(running_home: Home, client: TestClient) -> TestClient:
    """A server where every text that a client or person may write is hostile."""
    content = b"hostile"
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).hexdigest()
    of = {"system": "dms<hostile>", "function": WORD}

    def write(path: str, **how: Any) -> Any:
        answer = client.post(f"/api/v1{path}", **how)
        assert answer.status_code == 200, answer.text
        return answer.json()

    write("/files", params={"name": EVIL}, content=content)
    write("/files", params={"name": EVIL}, content=b"free")
    report = {
        **of, "version": WORD, "data": [{"sha256": sha256, "uri": "https://x/\"hostile=5"}], "client": WORD,
        "prediction": {"type": "class", "label": WORD}, "truth": {"type": "class", "label": f"{WORD}2"},
        "observed_at": "2026-11-20T00:00:00Z", "description": EVIL, "device": WORD, "fields": {WORD: EVIL},
    }  # fmt: skip
    write("/reports", json=report)
    row = {"path": f"{WORD}.png", "md5": md5, "sha256": sha256, "annotation": WORD, "labelled_by": WORD, "x": EVIL}
    free = {**row, "sha256": hashlib.sha256(b"free").hexdigest()}
    free["md5"] = hashlib.md5(b"free", usedforsecurity=False).hexdigest()
    document = write("/documents", params={"form": "json", "name": EVIL, **of}, json=[row, free])["document_id"]
    running_home.runner.settle()
    badcase = client.get("/api/v1/badcases").json()["badcases"][0]["badcase_id"]
    write(f"/badcases/{badcase}/triage", json={"note": EVIL})
    write(f"/badcases/{badcase}/assign", json={"owner": WORD})
    write("/causes", json={**of, "title": EVIL, "explanation": EVIL, "badcase_ids": [badcase]})
    write("/iterations", json={**of, "title": EVIL, "badcase_ids": [badcase]})
    write("/requests", json={**of, "what": EVIL, "wanted": {WORD: 3}})
    write("/groups", json={"documents": [document], "name": EVIL[:100], "purpose": "training", "without_leaks": True})
    running_home.runner.settle()
    return client


def test_hostile_text_is_text_on_every_page(filled: TestClient) -> None:
    todo, seen = deque(["/"]), {"/"}
    hostile_pages = visited = 0
    while todo and (visited := visited + 1) <= MOST_PAGES:
        path = todo.popleft()
        answer = filled.get(path, headers={"Accept": "text/html"})
        assert answer.status_code in (200, 204), f"{path}: {answer.text[:300]}"
        if "html" not in answer.headers.get("content-type", ""):
            continue
        marks = made_by(answer.text)
        assert not marks.made, f"{path}: {marks.made}"
        hostile_pages += "hostile" in answer.text
        for link in marks.links:
            assert re.match(r"[/?#]|https://x/", link), f"{path} leads to {link}"
            place = link.partition("#")[0]
            if place.startswith("/") and place not in seen and "export" not in place:
                seen.add(place)
                todo.append(place)
    assert hostile_pages > 40


def test_a_command_to_copy_is_one_command_whatever_the_path_holds(running_home: Home, client: TestClient) -> None:
    row = {"path": "a.png; rm -rf ~ $(id)", "md5": "0" * 32, "annotation": "x"}
    document = client.post("/api/v1/documents", params={"form": "json", "name": "d"}, json=[row]).json()["document_id"]
    running_home.runner.settle()

    shown = client.get(f"/documents/{document}/rows/1", headers={"Accept": "text/html"}).text

    assert "mlife file put &#39;a.png; rm -rf ~ $(id)&#39;" in shown


def test_a_report_is_copied_whole(filled: TestClient) -> None:
    shown = filled.get("/reports/3", headers={"Accept": "text/html"}).text
    copied = re.findall(r'data-copy="([^"]*)"', shown)

    assert any("&#34;observed_at&#34;" in text and text.endswith("}") for text in copied)
