"""Every page of the product, on the demo's home, in a real browser: wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests.browsing import ROOT, Visit, violations
from tests.e2e.conftest import Told

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("demo")]
SHOTS = ROOT / "build" / "screenshots" / "product"

LISTS = {
    "desk": "/",
    "badcases": "/badcases",
    "reports": "/reports",
    "statistics": "/badcases/statistics",
    "causes": "/causes",
    "alarms": "/alarms",
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
    if name == "timeline":
        return "/history/" + page_of(address, "badcase").rpartition("/")[2]
    if name == "event":
        return "/events/1"
    api, plural, key = FIRST[name]
    answer = httpx.get(address + api, timeout=30).raise_for_status().json()
    return f"/{plural}/{answer[plural][0][key]}"


@pytest.mark.parametrize("name", [*LISTS, *FIRST, "timeline", "event"])
def test_a_page_is_accessible_and_fits_each_screen(
    told: Told, address: str, visit: Callable[..., Visit], axe: str, name: str
) -> None:
    path = page_of(address, name)
    SHOTS.mkdir(parents=True, exist_ok=True)
    for theme, width, height in (("light", 1360, 1040), ("dark", 360, 780)):
        tab = visit(viewport={"width": width, "height": height}, color_scheme=theme, bypass_csp=True)
        page = tab.to(path)
        page.wait_for_function("[...document.images].every(i => i.loading === 'lazy' || i.complete)")
        page.screenshot(path=SHOTS / f"{name}-{theme}-{width}.png", full_page=True)

        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than {width} px"
        assert violations(page, axe) == []


def test_a_query_with_a_slip_points_at_the_character(told: Told, address: str, visit: Callable[..., Visit]) -> None:
    page = visit().to("/badcases?q=function:digit+colour:red")

    assert "colour" in page.locator("main").inner_text()


def test_keys_walk_from_the_list_to_a_badcase(told: Told, address: str, visit: Callable[..., Visit]) -> None:
    page = visit().to("/badcases")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/badcases/bc-*")

    assert "reports" in page.locator("main").inner_text()


def test_every_api_list_answers_with_problem_details_for_a_wrong_query(told: Told, address: str) -> None:
    for api, _, _ in FIRST.values():
        answer = httpx.get(address + api, params={"after": "rubbish"}, timeout=30)
        assert answer.status_code in (200, 422), f"{api}: {answer.status_code}"
        if answer.status_code == 422:
            assert answer.headers["content-type"] == "application/problem+json"
