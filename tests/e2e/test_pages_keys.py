"""The ways through badcases by keyboard and by pointer, in a real browser on a copy of the demo's home."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.browsing import Visit
from tests.e2e.conftest import Told, served

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("demo")]
Open = Callable[..., Visit]
ROW = "document.activeElement.closest('[data-row]')?.querySelector('a.row-link').pathname"


@pytest.fixture(scope="module")
def address(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of these tests' own: they change what they look at."""
    home = shutil.copytree(told.home, tmp_path_factory.mktemp("keys") / "home")
    with served(home) as found:
        yield found


def total(page: Any) -> int:
    """How many badcases the list says there are."""
    said = re.search(r"of (\d+) badcases?", page.locator(".pager").inner_text().replace("\u202f", ""))
    assert said, page.locator(".pager").inner_text()
    return int(said[1])


def press(page: Any, *keys: str) -> None:
    """Type *keys*, each by itself."""
    for key in keys:
        page.keyboard.press(key)


def test_keys_walk_from_the_list_through_badcases_and_back(visit: Open) -> None:
    page = visit().to("/badcases?q=status:closed")
    press(page, "j", "j")
    second = page.evaluate(ROW)
    press(page, "Enter")
    page.wait_for_url(f"**{second}")
    assert page.locator(".crumbs .place").inner_text().startswith("k j 2 of")

    press(page, "j")
    page.wait_for_url(lambda url: not url.endswith(second))
    press(page, "k")
    page.wait_for_url(f"**{second}")
    page.locator(".crumbs a", has_text="Badcases").click()

    page.wait_for_url("**/badcases?q=status:closed")
    assert page.evaluate(ROW) == second, "the row that was left has the focus again"


def test_e_triages_the_row_in_focus_and_leaves_the_reader_there(visit: Open) -> None:
    page = visit().to("/badcases?q=status:new")
    before = total(page)
    press(page, "j")
    row = page.evaluate(ROW)
    press(page, "e")
    page.locator(".toast", has_text="1 of 1 badcases triaged").wait_for()

    assert total(page) == before - 1
    page.goto(page.url.partition("/badcases")[0] + row)
    assert page.locator(".head .chip").inner_text() == "triaged"


def test_a_key_without_a_row_or_a_selection_says_what_is_missing(visit: Open) -> None:
    page = visit().to("/badcases")
    press(page, "e")

    page.locator(".toast", has_text="Nothing is selected").wait_for()
    assert page.url.endswith("/badcases")


def test_a_range_is_selected_with_shift_and_stays_in_the_address(visit: Open) -> None:
    page = visit().to("/badcases")
    ticks = page.locator("input[name=selected]")
    ticks.nth(1).click()
    ticks.nth(4).click(modifiers=["Shift"])

    assert page.locator("[data-selected-count]").inner_text() == "4"
    page.reload()
    assert page.locator("input[name=selected]:checked").count() == 4
    page.get_by_role("link", name="none", exact=True).click()
    assert page.locator("input[name=selected]:checked").count() == 0


def test_all_that_match_are_selected_until_one_is_taken_out(visit: Open) -> None:
    page = visit().to("/badcases?q=function:digit")
    page.get_by_role("link", name=re.compile("select all")).click()
    assert unquote(page.url).endswith("selected=*")
    assert page.locator("[data-selected-count]").inner_text().endswith("badcases")

    page.locator("input[name=selected]:visible").first.uncheck()

    shown = page.locator("input[name=selected]:visible").count()
    assert page.locator("[data-selected-count]").inner_text() == str(shown - 1)
    assert "*" not in unquote(page.url)
    assert page.locator("input[type=hidden][name=selected]").count() == 0


def test_every_figure_narrows_to_as_many_as_it_says(visit: Open) -> None:
    page = visit().to("/badcases")
    facets = page.locator(".facet", has_text="Status").locator("a")
    for place in range(facets.count()):
        said = int(facets.nth(place).locator(".num").inner_text())
        facets.nth(place).click()
        page.wait_for_url("**q=status**")
        assert total(page) == said
        page.locator(".facet [aria-current]").click()
        page.wait_for_url(lambda url: "q=" not in url)

    new = page.locator(".lead a", has_text="new")
    said = int(new.inner_text().split()[0])
    new.click()
    assert total(page) == said


def test_search_is_one_key_away_and_its_answer_is_an_address(visit: Open) -> None:
    page = visit().to("/badcases")
    press(page, "/")
    page.keyboard.type("truth:9 prediction:4")
    press(page, "Enter")
    page.wait_for_url("**q=truth*")

    assert page.locator("#q").input_value() == "truth:9 prediction:4"
    assert total(page) == 1


def test_help_is_a_dialog_that_gives_the_focus_back(visit: Open) -> None:
    page = visit().to("/badcases")
    press(page, "j")
    row = page.evaluate(ROW)
    press(page, "?")

    assert page.evaluate("document.querySelector('#keys').matches(':modal')")
    assert page.evaluate("document.activeElement.closest('dialog')?.id") == "keys"
    assert page.locator("#keys dt").all_inner_texts() == ["/", "j", "k", "x", "Enter", "e", "m", "t", "Esc", "?"]
    press(page, "j", "Escape")
    assert page.evaluate(ROW) == row


def test_t_pins_a_badcase_and_a_second_time_changes_nothing(visit: Open) -> None:
    page = visit().to("/badcases?q=status:new&sort=-reports")
    press(page, "j", "Enter")
    page.wait_for_url("**/badcases/bc-*")
    press(page, "t")
    page.locator(".toast", has_text="added to the test data").wait_for()
    press(page, "t")
    page.locator(".toast", has_text="nothing was left to do").wait_for()


def test_a_dialog_is_modal_and_closes_by_a_click_beside_it(visit: Open) -> None:
    page = visit().to("/design")
    page.get_by_role("button", name="Reject…").click()
    assert page.evaluate("document.querySelector('#ask').matches(':modal')")

    page.mouse.click(5, 5)

    assert not page.evaluate("document.querySelector('#ask').open")
