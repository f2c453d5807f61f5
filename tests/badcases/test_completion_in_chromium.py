"""Completion in a real browser, by keyboard and pointer: search boxes, the rule form, Advanced Search."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from mlife.server import make_app
from tests.badcases.conftest import Field
from tests.badcases.test_completion import sent
from tests.browsing import Visit, violations

pytestmark = [pytest.mark.browser]
Open = Callable[..., Visit]
ACTIVE = "document.activeElement.getAttribute('aria-activedescendant')"


@pytest.fixture
def address(field: Field) -> Iterator[str]:
    """A server on a home with some reports."""
    field.send(*sent())
    server = uvicorn.Server(uvicorn.Config(make_app(field.home), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 60
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def offers(page: Any) -> list[str]:
    page.locator("[role=listbox]").wait_for()
    return [text.replace("\n", " ") for text in page.locator("[role=option]").all_inner_texts()]


def test_a_query_is_typed_by_what_is_offered_with_keys_alone(visit: Open, axe: str) -> None:
    page = visit(bypass_csp=True).to("/badcases")
    page.keyboard.press("/")
    page.keyboard.press("Control+a")
    page.keyboard.type("pla")
    assert offers(page)[0].startswith("place")
    assert page.locator("#q").get_attribute("aria-expanded") == "true"
    assert violations(page, axe) == []
    page.keyboard.press("ArrowDown")
    assert page.evaluate(ACTIVE) == "completion-0"
    page.keyboard.press("Enter")
    page.locator("[role=option]", has_text="the tunnel").wait_for()
    assert [o.split()[-1] for o in offers(page)[:2]] == ["2", "1"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Escape")
    assert page.locator("[role=listbox]").count() == 0
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("ArrowDown")
    offers(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#q").input_value() == 'place:"the tunnel"'
    page.keyboard.press("Enter")
    page.wait_for_url("**/badcases?q=place*")
    assert "2 badcases" in page.locator(".lead").inner_text()


@pytest.mark.parametrize(
    ("at", "box", "typed", "first", "said"),
    [
        ("/rules/preview", "[name=q]", "open:yes place:str", "street", "open:yes place:street"),
        ("/badcases/search", "[name='v.client']", "fle", "fleet-0", "fleet-0"),
        ("/badcases/search", "[name=rest]", "trut", "truth", "truth:"),
        ("/reports", "#q", "client:fleet-1 pla", "place", "client:fleet-1 place:"),
        ("/tasks", "#q", "stat", "state", "state:"),
    ],
)
def test_every_box_offers_the_same_way_also_to_the_pointer(
    visit: Open, at: str, box: str, typed: str, first: str, said: str
) -> None:
    page = visit().to(at)
    page.locator(box).click()
    page.locator(box).press("Control+a")
    page.keyboard.type(typed)
    assert offers(page)[0].startswith(first)
    page.locator("[role=option]").first.click()
    assert page.locator(box).input_value() == said
    assert page.evaluate("document.activeElement.matches('[data-complete]')")


def test_the_list_fits_a_narrow_screen_and_closes_when_the_box_is_left(visit: Open) -> None:
    page = visit(viewport={"width": 360, "height": 780}).to("/badcases")
    page.locator("#q").click()
    page.keyboard.press("ArrowDown")
    offers(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Tab")
    assert page.locator("[role=listbox]").count() == 0
