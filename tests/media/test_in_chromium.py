"""Media in a real browser: pages that everybody can read, a picture to draw on, files that run nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from mlife.data.intake import DataIntake
from mlife.server import make_app
from tests.badcases.conftest import Field, report
from tests.browsing import Visit, violations
from tests.media.conftest import png, wav
from tests.media.test_hostile import FILES
from tests.media.test_overlays import PAIRS

WIDER = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("main *")]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 200))"""
"""What makes a page wider than its screen."""
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def address(told: dict[str, str], field: Field) -> Iterator[str]:
    """A server on the home, which goes on by itself."""
    server = uvicorn.Server(uvicorn.Config(make_app(field.home), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    with field.home.running():
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def told(field: Field) -> dict[str, str]:
    """Pages by name: a report of each kind of drawing, the forms, and files that can and can't be shown."""
    data = DataIntake(field.home.ports, field.home.do)
    files = {name: data.put(body, name=name).sha256 for name, body in FILES.items()}
    picture, sound = data.put(png(160, 120), name="8841.png").sha256, data.put(wav(), name="cough.wav").sha256
    sent = []
    for kind in ("boxes", "segments", "text", "vector"):
        prediction, truth = PAIRS[kind]
        data_of = [{"sha256": sound if kind == "segments" else picture}]
        both = {"prediction": {"type": kind, **prediction}, "truth": {"type": kind, **truth}}
        sent.append({**report(None, report_id=kind, function=kind), "data": data_of, **both})
    field.send(*sent)
    reports = [r for r in field.home.ports.store.read() if r.draft.type == "mlife.badcase.reported.v1"]
    pages = {r.event.function: f"/reports/{r.position}" for r in reports}  # type: ignore[attr-defined]
    pages |= {name: f"/files/{sha256}" for name, sha256 in files.items()}
    return pages | {
        "draw": f"{pages['boxes']}/annotate",
        "mark": f"{pages['segments']}/annotate",
        "play": f"/files/{sound}/play",
        "copy": f"/files/{picture}/edit",
        "cut": f"/files/{sound}/edit",
    }


def test_media_pages_are_accessible_and_fit_each_screen(
    told: dict[str, str], visit: Callable[..., Visit], axe: str
) -> None:
    for options in (
        {"viewport": {"width": 1360, "height": 1040}, "color_scheme": "light"},
        {"viewport": {"width": 360, "height": 780}, "color_scheme": "dark"},
    ):
        tab = visit(bypass_csp=True, **options)
        for name in ("boxes", "segments", "text", "vector", "draw", "mark", "copy", "cut", "half.png"):
            page = tab.to(told[name])
            assert violations(page, axe) == [], name
            assert page.evaluate(WIDER) == [], name


def drag(page: Any, across: tuple[float, float], down: tuple[float, float]) -> None:
    box = page.locator("[data-draw] canvas").bounding_box()
    x, y = [
        [box[o] + box[s] * share for share in shares]
        for o, s, shares in (("x", "width", across), ("y", "height", down))
    ]
    page.mouse.move(x[0], y[0])
    page.mouse.down()
    page.mouse.move(x[1], y[1])
    page.mouse.up()


READY = "document.querySelector('[data-player]')?.readyState >= 1"


def until(page: Any, expression: str) -> None:
    """Wait for it; a function to wait for would evaluate a text, which the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not in five seconds: {expression}")


def test_a_segment_is_jumped_to_and_one_is_marked_from_the_players_time(
    told: dict[str, str], visit: Callable[..., Visit]
) -> None:
    page = visit().to(told["segments"])
    until(page, READY)
    link = page.locator("a[data-seek]").last
    at = float(link.get_attribute("data-seek"))
    link.click()
    until(page, f"document.querySelector('[data-player]').currentTime >= {min(at, 0.9)}")
    assert link.get_attribute("href").startswith(f"{told['play']}#t=")

    page = visit().to(told["mark"])
    until(page, READY)
    page.fill("[data-marks] input", "cough")
    for word, seconds in (("start", 0.25), ("end", 0.75)):
        page.evaluate(f"document.querySelector('[data-player]').currentTime = {seconds}")
        page.click(f"[data-mark={word}]")
    assert page.input_value("#f-lines").splitlines()[-1] == "cough 0.25 0.75"


def test_without_a_script_a_segment_plays_by_itself_and_any_part_of_a_file_is_sent(
    told: dict[str, str], address: str, visit: Callable[..., Visit]
) -> None:
    page = visit(java_script_enabled=False).page
    answer = page.request.get(f"{address}{told['play']}", headers={"Range": "bytes=4-11"})
    assert (answer.status, answer.headers["content-type"]) == (206, "audio/wav")
    assert answer.body() == wav()[4:12]
    assert answer.headers["content-range"] == f"bytes 4-11/{len(wav())}"
    last = page.request.get(f"{address}{told['play']}", headers={"Range": "bytes=-2"})
    assert last.body() == wav()[-2:]
    assert page.request.get(f"{address}{told['play']}", headers={"Range": "bytes=999999-"}).status == 416
    assert page.request.get(f"{address}{told['half.png'].removesuffix('/')}/play").status == 404

    page.goto(f"{address}{told['segments']}")
    page.locator("a[data-seek]").first.click()
    page.wait_for_url("**/play#t=*")
    assert page.locator("video, audio").count() == 1


def test_what_is_drawn_stands_in_the_fields(told: dict[str, str], visit: Callable[..., Visit]) -> None:
    tab = visit()  # under the real content security policy
    page = tab.to(told["copy"])
    drag(page, (0.25, 0.75), (0.25, 0.75))
    values = [int(page.input_value(f"#crop-{name}")) for name in ("x", "y", "width", "height")]
    assert all(abs(a - b) <= 1 for a, b in zip(values, [40, 30, 80, 60], strict=True)), values

    page = tab.to(told["draw"])
    page.fill("#draw-label", "hat")
    drag(page, (0.25, 0.75), (0.0, 0.25))
    before, drawn = page.input_value("textarea").splitlines()
    assert before == "mask 4 5 20 12"
    assert drawn.startswith("hat 40 0 80")


def test_a_copy_is_made_without_a_script(told: dict[str, str], visit: Callable[..., Visit]) -> None:
    page = visit(java_script_enabled=False).to(told["copy"])
    page.fill("#crop-width", "10")
    page.fill("#crop-height", "10")
    with page.expect_navigation():
        page.get_by_role("button", name="Crop").click(no_wait_after=True)
    page.wait_for_load_state("load")

    assert "Made by crop of" in page.inner_text("main")


def test_nothing_in_a_hostile_file_runs_wherever_it_is_opened(
    told: dict[str, str], chromium: Any, address: str
) -> None:
    tab = Visit(chromium, address)  # the browser complains that the sandbox forbids the style of its own picture viewer
    for name in FILES:
        page = tab.to(told[name])
        assert page.evaluate("window.harmed") is None, name
        page = tab.to(f"{told[name]}/thumbnail?size=384")
        assert page.evaluate("window.harmed") is None, name
        page = tab.to(told[name])
        with page.expect_download() as download:
            page.evaluate(f"location.href = '/api/v1{told[name]}'")
        assert download.value.suggested_filename
    tab.context.close()
    assert all("Applying inline style" in complaint for complaint in tab.complaints)
