"""What a page of 50 badcases costs its reader: bytes on the wire, and the time to first paint in a real browser."""

from __future__ import annotations

import http.client
import shutil
import statistics
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import orjson

from mlife.bench.figures import Bench, Figure, figure
from mlife.bench.reports import reports
from mlife.bench.server import Server, up
from mlife.core.projection import projections

PAGE = "/badcases"
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
WATCHED = """new PerformanceObserver(list => {
  for (const e of list.getEntries()) window.shifted = (window.shifted ?? 0) + e.value;
}).observe({type: "layout-shift", buffered: true});
new PerformanceObserver(list => {
  for (const e of list.getEntries()) window.largest = e.startTime;
}).observe({type: "largest-contentful-paint", buffered: true})"""


@figure("pages")
def pages(bench: Bench) -> Iterator[Figure]:
    """The list of badcases in a home with many of them, its server on loopback."""
    count = bench.size(20_000, 2_000)
    many = len(projections)
    with up(bench.folder / "home") as server:
        bench.say("pages: sending reports")
        told = server.post("/api/v1/reports", b"\n".join(map(orjson.dumps, reports(count))), "application/x-ndjson")
        server.get(f"/api/v1/badcases?min_position={orjson.loads(told)['position']}")
        parts = {path: compressed(server, path) for path in (PAGE, *linked(server))}
        yield Figure(
            "page_kilobytes", "a page of 50 badcases with its stylesheet and scripts, compressed, without pictures",
            sum(parts.values()) / 1_000, "kB", count, many, goal=60,
        )  # fmt: skip
        yield Figure("page_html_kilobytes", "of it the page itself", parts[PAGE] / 1_000, "kB", count, many)
        program = shutil.which("chromium")
        if program is None or find_spec("playwright") is None:
            bench.say("pages: nothing is painted, there is no chromium or no playwright here")
            return
        bench.say("pages: painting")
        times, whole, shifted = paints(server, program, bench.size(15, 5))
    yield Figure(
        "first_paint", "its first contentful paint in Chromium on this machine, the second visit and later, median",
        statistics.median(times), "ms", count, many, goal=100,
    )  # fmt: skip
    yield Figure(
        "whole_paint", "its largest contentful paint, when all of it is shown, of the same visits, median",
        statistics.median(whole), "ms", count, many,
    )  # fmt: skip
    yield Figure("layout_shift", "how much of it jumps while it loads (CLS)", shifted, "", count, many, goal=0)


def compressed(server: Server, path: str) -> int:
    """Bytes of the answer's body as a browser gets it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
        return len(connection.getresponse().read())
    finally:
        connection.close()


def linked(server: Server) -> list[str]:
    """The stylesheets and scripts that the page names."""
    words = server.get(PAGE).decode().split('"')
    return list(dict.fromkeys(w for w in words if w.startswith("/static/") and w.endswith((".css", ".js"))))


def paints(server: Server, program: str, rounds: int) -> tuple[list[float], list[float], float]:
    """Milliseconds to the first and the largest contentful paint of each visit but the first; the worst shift."""
    from playwright.sync_api import sync_playwright

    found, whole, worst = list[float](), list[float](), 0.0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        page: Any = browser.new_page(viewport={"width": 1360, "height": 1040})
        page.add_init_script(WATCHED)
        for _ in range(rounds + 1):
            page.goto(f"http://127.0.0.1:{server.port}{PAGE}", wait_until="load")
            found.append(painted(page))
            whole.append(float(page.evaluate("window.largest ?? 0")))
            worst = max(worst, float(page.evaluate("window.shifted ?? 0")))
        browser.close()
    return found[1:], whole[1:], worst


def painted(page: Any, patience: int = 100) -> float:
    """Milliseconds to the first contentful paint, which may come after the load; what may still jump has its time."""
    for _ in range(patience):
        page.wait_for_timeout(100)  # waiting for a function would evaluate a text, which the page's policy forbids
        if (at := page.evaluate(FIRST_PAINT)) is not None:
            return float(at)
    raise AssertionError(f"{PAGE} was not painted")
