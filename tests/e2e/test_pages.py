"""Every page of the product, on the demo's home, in a real browser: wide and narrow, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mlife.badcases.functions import function_id
from mlife.bench.pages import WATCHED
from tests.browsing import ROOT, Visit, violations
from tests.e2e.conftest import Told

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("demo")]
SHOTS = ROOT / "build" / "screenshots" / "product"

LISTS = {
    "desk": "/",
    "badcases": "/badcases?limit=12",  # axe takes its time for each row, and all are alike
    "needs me": "/badcases/needs",
    "touched rows": "/documents/touched?system=digits&function=digit&q=class:9",
    "reports": "/reports",
    "statistics": "/badcases/statistics",
    "statistics of reports": "/reports/statistics?q=function:digit",
    "advanced search": "/badcases/search?q=open:yes%20night",
    "bulk jobs": "/bulk",
    "saved views": "/views",
    "grouping": "/grouping",
    "grouping of a function": "/grouping/digits-reader/digit?look=this",
    "suggestions": "/suggestions",
    "report form": "/badcases/report?system=digits-reader&function=digit&type=boxes&prediction=4",
    "import": "/badcases/import",
    "functions": "/functions",
    "function": f"/functions/{function_id('digits-reader', 'digit')}",
    "causes": "/causes",
    "alarms": "/alarms",
    "rules": "/rules",
    "rule preview": "/rules/preview?kind=rate_change",
    "iterations": "/iterations",
    "documents": "/documents",
    "groups": "/groups",
    "requests": "/requests",
    "files": "/files",
    "tasks": "/tasks",
    "board": "/tasks?view=board",
    "models": "/models",
    "deployments": "/deployments",
    "history": "/history",
    "system": "/system",
}
FIRST = {
    "badcase": ("/api/v1/badcases", "badcases", "badcase_id"),
    "cause": ("/api/v1/causes", "causes", "cause_id"),
    "alarm": ("/api/v1/alarms", "alarms", "alarm_id"),
    "rule": ("/api/v1/rules", "rules", "rule_id"),
    "iteration": ("/api/v1/iterations", "iterations", "iteration_id"),
    "document": ("/api/v1/documents", "documents", "document_id"),
    "group": ("/api/v1/groups", "groups", "group_id"),
    "request": ("/api/v1/requests", "requests", "request_id"),
    "task": ("/api/v1/tasks", "tasks", "task_id"),
    "model": ("/api/v1/models", "models", "model_id"),
    "deployment": ("/api/v1/deployments", "deployments", "deployment_id"),
}


def page_of(address: str, name: str) -> str:
    """The address of a page; of a thing's page, that of the first thing in its list."""
    if name in LISTS:
        return LISTS[name]
    if name == "parts of a badcase":
        return page_of(address, "badcase") + "/grouping"
    if name == "timeline":
        return "/history/" + page_of(address, "badcase").rpartition("/")[2]
    if name == "event":
        return "/events/1"
    api, plural, key = FIRST[name]
    answer = httpx.get(address + api, timeout=30).raise_for_status().json()
    return f"/{plural}/{answer[plural][0][key]}"


@pytest.fixture(scope="module")
def tabs(chromium: Any, address: str) -> Iterator[list[Visit]]:
    """A wide light tab and a narrow dark one, for all pages: a context for each would take half the time."""
    kinds = [("light", 1360, 1040), ("dark", 360, 780)]
    made = [
        Visit(
            chromium,
            address,
            viewport={"width": w, "height": h},
            color_scheme=theme,
            bypass_csp=True,
            reduced_motion="reduce",  # a toast that fades in has too little contrast on its way
        )
        for theme, w, h in kinds
    ]
    for tab in made:
        tab.context.add_init_script(WATCHED)
    yield made
    for tab in made:
        tab.context.close()


@pytest.mark.parametrize("name", [*LISTS, *FIRST, "parts of a badcase", "timeline", "event"])
def test_a_page_is_accessible_fits_its_screen_and_stands_still(
    told: Told, address: str, tabs: list[Visit], axe: str, name: str
) -> None:
    path = page_of(address, name)
    for tab in tabs:
        check(tab, path, name, axe)


def test_every_part_is_accessible_in_both_themes_on_both_screens(told: Told, tabs: list[Visit], axe: str) -> None:
    for tab in tabs:
        check(tab, "/design", "design", axe)
        other = "dark" if tab is tabs[0] else "light"
        tab.page.emulate_media(color_scheme=other)
        check(tab, "/design", f"design-{other}", axe)
        tab.page.emulate_media(color_scheme=None)


def check(tab: Visit, path: str, name: str, axe: str) -> None:
    """Look at a page: nothing jumps, nothing is cut off, axe finds nothing, and nothing is asked of other servers."""
    tab.complaints.clear()
    page = tab.to(path)
    page.wait_for_function("[...document.images].every(i => i.loading === 'lazy' || i.complete)")
    width = page.viewport_size["width"]

    assert page.evaluate("window.shifted ?? 0") == 0, f"{path} jumps while it loads"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than {width} px"
    assert violations(page, axe) == []
    assert tab.complaints == []
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True)


def test_a_page_of_badcases_weighs_little(told: Told, address: str) -> None:
    with httpx.Client(base_url=address, headers={"Accept": "text/html", "Accept-Encoding": "gzip"}) as client:
        page = client.get("/badcases")
        linked = re.findall(r'"(/static/[^"]+\.(?:css|js))"', page.text)
        weights = {path: weight(client, path) for path in ("/badcases", *linked)}

    assert page.text.count("data-row") >= 50
    assert len(linked) >= 3
    assert sum(weights.values()) <= 60_000, weights


def weight(client: httpx.Client, path: str) -> int:
    """Bytes of an answer's body on the wire."""
    with client.stream("GET", path) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        return sum(len(part) for part in answer.iter_raw())


def test_a_query_with_a_slip_points_at_the_character(told: Told, address: str, visit: Callable[..., Visit]) -> None:
    page = visit().to("/badcases?q=function:digit+colour:red")

    assert "colour" in page.locator("main").inner_text()


def test_every_api_list_answers_with_problem_details_for_a_wrong_query(told: Told, address: str) -> None:
    for api, _, _ in FIRST.values():
        answer = httpx.get(address + api, params={"after": "rubbish"}, timeout=30)
        assert answer.status_code in (200, 422), f"{api}: {answer.status_code}"
        if answer.status_code == 422:
            assert answer.headers["content-type"] == "application/problem+json"
