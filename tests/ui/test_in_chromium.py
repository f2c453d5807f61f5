"""Pages in a real browser, both themes, wide and narrow. Screenshots go to `build/screenshots`."""

from __future__ import annotations

import pytest

from tests.browsing import ROOT, violations

pytestmark = pytest.mark.browser
SHOTS = ROOT / "build" / "screenshots" / "ui"
PAGES = {
    "list": "/badcases?selected=bc-7131,bc-7262",
    "detail": "/badcases/bc-7000",
    "parts": "/-/gallery",
    "empty": "/badcases?q=nothing",
    "query-error": "/badcases?q=function:digit+colour:red",
    "error": "/fail/input",
}
SHIFT = """() => new Promise(done => { let sum = 0;
  const add = list => list.getEntries().forEach(e => { sum += e.value });
  new PerformanceObserver(add).observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(sum), 300) })"""
FOCUS = """() => { const e = document.activeElement, s = getComputedStyle(e), r = e.closest('tr');
  const lined = s.outlineStyle !== 'none' || (r && getComputedStyle(r).outlineStyle !== 'none');
  return [e.tagName, e.textContent.trim().slice(0, 30), lined] }"""


@pytest.mark.parametrize("width", [1360, 360])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits_its_screen(visit, axe, name, theme, width):
    tab = visit(viewport={"width": width, "height": 1040 if width > 500 else 780}, color_scheme=theme, bypass_csp=True)
    page = tab.to(PAGES[name])
    page.wait_for_function("[...document.images].every(i => i.loading === 'lazy' || i.complete)")
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}-{theme}-{width}.png", full_page=True)

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page, axe) == []


def test_nothing_jumps_while_a_page_loads_and_refreshes(visit):
    page = visit().to("/badcases/bc-7000")
    page.evaluate("htmx.ajax('GET', '/-/live?seen=older', {target: '#live', swap: 'outerHTML'})")

    assert page.evaluate(SHIFT) < 0.005
    assert page.locator("#count-badcases").inner_text() == "1\u202f135"


def test_keys_move_select_open_and_search(visit):
    page = visit().to("/badcases")

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.evaluate("location.href").endswith("selected=bc-7131")
    assert page.locator("[data-selected-count]").inner_text() == "1"
    page.keyboard.press("k")
    page.keyboard.press("x")
    page.reload()
    assert page.locator("input[name=selected]:checked").count() == 2

    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/badcases/bc-7000")


def test_single_keys_can_be_switched_off(visit):
    page = visit().to("/badcases")

    page.keyboard.press("?")
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("j")

    assert page.evaluate("document.activeElement.closest('[data-row]')") is None


def test_what_is_selected_on_another_page_stays_selected(visit):
    page = visit().to("/badcases?selected=bc-elsewhere")

    page.locator("input[value=bc-7000]").check()

    assert page.evaluate("location.href").endswith("selected=bc-elsewhere,bc-7000")
    assert "selected=bc-elsewhere,bc-7000" in page.locator("a[rel=next][data-keep]").get_attribute("href")


def test_tab_reaches_every_control_and_shows_where_it_is(visit):
    page = visit().to("/badcases")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS)[1] == "Skip to the page"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    seen = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        tag, text, lined = page.evaluate(FOCUS)
        if tag == "BODY":
            break
        assert lined, f"{tag} {text} has no visible focus"
        seen.add(text)
    assert {"Report a badcase", "Statistics", "fleet-7540", "Older"} <= seen


def test_the_whole_row_is_its_link_but_a_link_inside_keeps_its_own(visit):
    page = visit().to("/badcases")
    page.locator("tr[data-row] td.num").nth(1).click(force=True)
    page.wait_for_url("**/badcases/bc-7131")

    page.go_back()
    page.locator("tr[data-row] a.ref").first.click()
    page.wait_for_url("**/serving")


def test_a_theme_chosen_by_hand_stays(visit):
    page = visit(color_scheme="light").to("/badcases")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)

    page.get_by_role("button", name="dark").click()
    dark = page.evaluate(paper)
    page.reload()

    assert light != dark == page.evaluate(paper)
    assert page.get_by_role("button", name="dark").get_attribute("aria-pressed") == "true"


def test_a_live_log_grows_until_the_task_ends(visit):
    page = visit().to("/-/gallery")

    page.get_by_text("epoch 6/6").wait_for(timeout=15_000)

    assert page.locator(".log .tail").count() == 0
    assert page.locator(".log").inner_text().count("epoch") == 6


def test_a_refused_action_is_told_in_a_toast(visit):
    page = visit().to("/badcases")
    page.evaluate("htmx.ajax('POST', '/badcases/mute', {target: '#main', swap: 'none'}).catch(() => 0)")

    page.locator(".toast.alarm", has_text="select rows first").wait_for()


def test_without_script_one_can_read_choose_act_and_undo(visit):
    tab = visit(java_script_enabled=False, viewport={"width": 360, "height": 780})
    page = tab.to("/badcases")

    page.get_by_role("button", name="Menu").click()
    page.locator("#rail").get_by_role("button", name="dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"

    page.locator("summary", has_text="Filter").click()
    assert page.get_by_role("link", name="fleet-7").is_visible()
    page.locator("input[value=bc-7000]").check()
    page.locator("form").get_by_role("button", name="Mute").click()
    assert page.get_by_text("1 badcase muted").is_visible()
    assert page.get_by_role("button", name="Undo").is_visible()


def test_a_dialog_needs_no_script(visit):
    page = visit(java_script_enabled=False).to("/-/gallery")

    page.get_by_role("button", name="Reject…").click()
    assert page.get_by_role("heading", name="Reject bc-7000?").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("heading", name="Reject bc-7000?").is_visible()


def test_text_is_copied(visit):
    tab = visit()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.to("/badcases/bc-7000")
    page.get_by_role("button", name="copy sha256:0f3a9c11d2").click()
    page.get_by_text("copied").wait_for()

    assert page.evaluate("navigator.clipboard.readText()") == "sha256:0f3a9c11d2"
