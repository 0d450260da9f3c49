"""The base of every page in a real browser: shell, components, dialog, toasts, and one stream for all tabs."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import BrowserContext, Page, expect

from bookings.pages.live import depot_audience, publish
from depots.models import Depot, Membership, Organisation, User
from tests.serving import BerthServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = Path(__file__).parent / "vendor/axe.min.js"
GALLERY = "tests.browser.gallery.urls"
SIZES = [(1440, 900), (390, 844)]


@pytest.fixture
def depot() -> Depot:
    operator = Organisation.objects.create(name="Ladepark")
    return Depot.objects.create(operator=operator, code="LP-1", location_id="LP-1", name="Venlo")


@pytest.fixture
def manager(depot: Depot) -> User:
    user = User.objects.create_user("manager@ladepark.example", "berth-demo")
    Membership.objects.create(user=user, organisation=depot.operator, role=Membership.Role.ADMIN)
    return user


def _sign_in(context: BrowserContext, user: User, url: str, cookie: str = "") -> None:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": cookie or django_settings.SESSION_COOKIE_NAME, "value": session, "url": url}]
    )


def _sign_in_at(context: BrowserContext, user: User, server: BerthServer) -> None:
    """At a server of its own process, whose cookies are named after its address: its sign-in page tells how."""
    page = context.new_page()
    page.goto(server.url)
    name = next(cookie["name"] for cookie in context.cookies() if "csrf" in cookie.get("name", ""))
    page.close()
    _sign_in(context, user, server.url, cookie=name.replace("csrf", "session"))


def _violations(page: Page) -> list[str]:
    """What axe finds wrong, as `rule: where`. Evaluated, as the page's policy allows no injected script.

    What is under way or fading is let come to rest: axe would measure the colours in between.
    """
    page.evaluate(
        """async () => {
          const isMoving = (a) => a.playState === 'running' && a.effect.getComputedTiming().iterations !== Infinity
          while (document.querySelector('.htmx-request') || document.getAnimations().some(isMoving)) {
            await new Promise((done) => setTimeout(done, 20))
          }
        }"""
    )
    page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_way_in_is_accessible_and_fits(page: Page, live_server: object, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{live_server}/")

    assert _violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.urls(GALLERY)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_component_is_accessible_and_fits(
    page: Page, context: BrowserContext, live_server: object, manager: User, width: int, height: int
) -> None:
    complaints: list[str] = []
    page.on(
        "console",
        lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None,
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_viewport_size({"width": width, "height": height})
    _sign_in(context, manager, str(live_server))
    page.goto(f"{live_server}/gallery/")

    assert _violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == []


@pytest.mark.urls(GALLERY)
def test_a_dialog_shows_its_errors_in_place_and_closes_with_a_word(
    page: Page, context: BrowserContext, live_server: object, manager: User
) -> None:
    _sign_in(context, manager, str(live_server))
    page.goto(f"{live_server}/gallery/")

    page.get_by_role("link", name="Cancel").first.click()
    dialog = page.get_by_role("dialog", name="Cancel this booking?")
    dialog.get_by_role("button", name="Cancel the booking").click()
    expect(dialog.get_by_text("This field is required.")).to_be_visible()
    assert _violations(page) == []
    dialog.get_by_label("Reason").fill("Traffic")
    dialog.get_by_role("button", name="Cancel the booking").click()

    expect(page.get_by_role("status").get_by_text("Booking cancelled.")).to_be_visible()
    expect(dialog).to_be_hidden()


@pytest.mark.urls(GALLERY)
def test_the_menu_of_a_small_screen_opens_and_closes_by_keyboard(
    page: Page, context: BrowserContext, live_server: object, manager: User
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    _sign_in(context, manager, str(live_server))
    page.goto(f"{live_server}/gallery/")
    menu = page.get_by_role("button", name="Menu")

    menu.press("Enter")
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.get_by_role("navigation", name="Main")).to_be_hidden()
    expect(menu).to_be_focused()


RENEWED = """([before, after, touch]) => {
  const part = document.createElement('div')
  part.innerHTML = before
  document.body.append(part)
  part.querySelector('[data-sent]')?.dispatchEvent(new CustomEvent('htmx:beforeSwap', {
    bubbles: true, detail: { requestConfig: { elt: part.querySelector('[data-sent]') } }
  }))
  for (const [place, values] of Object.entries(touch)) {
    const found = part.querySelector(place)
    if (values === 'click') found.click()
    else if (found.localName === 'select') for (const one of found.options) one.selected = values.includes(one.value)
    else Object.assign(found, values)
  }
  Idiomorph.morph(part, after, { morphStyle: 'innerHTML' })
  const found = part.querySelector('details')
    ? [part.querySelector('details').open]
    : [...part.querySelectorAll('input, select, textarea')].map((field) =>
        field.localName === 'select' ? [...field.selectedOptions].map((one) => one.value).join()
        : ['checkbox', 'radio'].includes(field.type) ? field.checked : field.value)
  part.remove()
  return found
}"""


def _options(*values: str) -> str:
    return "".join(f"<option{' selected' if value[0] == '*' else ''}>{value.strip('*')}" for value in values)


@pytest.mark.urls(GALLERY)
def test_a_page_that_is_renewed_keeps_what_is_not_sent_and_takes_what_is_answered(
    page: Page, context: BrowserContext, live_server: object, manager: User
) -> None:
    _sign_in(context, manager, str(live_server))
    page.goto(f"{live_server}/gallery/")
    typed = {"[name=a]": {"value": "typed"}}
    chosen = {"select": ["C"]}

    for before, after, touch, expected in (
        ('<input name="a">', '<b>news</b><input name="a">', typed, ["typed"]),
        ('<input name="a" value="old">', '<input name="a" value="new" disabled>', typed, ["typed"]),
        ('<input name="a" value="old">', '<input name="a" value="new">', {}, ["new"]),
        ('<input name="a">', '<input name="b" value="its own">', typed, ["its own"]),
        ('<textarea name="a">old</textarea>', '<textarea name="a">new</textarea>', typed, ["typed"]),
        ('<form data-sent><input name="a"></form>', '<form data-sent><input name="a" value="answer"></form>', typed,
         ["answer"]),
        ('<form data-sent></form><input name="a">', '<form data-sent></form><input name="a">', typed, ["typed"]),
        (f"<select>{_options('*A', 'B', 'C')}</select>", f"<select>{_options('*A', 'B', 'C')}</select>", chosen, ["C"]),
        (f"<select>{_options('*A', 'B', 'C')}</select>", f"<select>{_options('*A', 'C', 'D')}</select>", chosen, ["C"]),
        (f"<select>{_options('*A', 'B', 'C')}</select>", f"<select>{_options('*A', 'B', 'D')}</select>", chosen, ["A"]),
        (f"<select multiple>{_options('*A', 'B', 'C')}</select>", f"<select multiple>{_options('*A', 'C')}</select>",
         chosen, ["C"]),
        ('<input type="checkbox" name="a" value="1">', '<input type="checkbox" name="a" value="1">',
         {"input": {"checked": True}}, [True]),
        ('<input type="checkbox" name="a" value="1">', '<input type="checkbox" name="a" value="2">',
         {"input": {"checked": True}}, [False]),
        ("<details><summary>S</summary></details>", "<details><summary>S</summary></details>", {"summary": "click"},
         [True]),
        ("<details open><summary>S</summary></details>", "<details open><summary>S</summary></details>",
         {"summary": "click"}, [False]),
        ("<details><summary>S</summary></details>", "<details open><summary>S</summary></details>", {}, [True]),
    ):  # fmt: skip
        assert page.evaluate(RENEWED, [before, after, touch]) == expected, (before, after)


# The page's policy forbids Playwright's waiting for an expression: what was heard is written where selectors look.
RECORD = """
window.heard = []
document.body.dataset.heard = ''
document.body.addEventListener('berth:lamp', ({ detail }) => {
  window.heard.push(detail)
  document.body.dataset.heard += ` lamp-${detail.id}`
})
document.body.addEventListener('berth:resync', () => { document.body.dataset.heard += ' resync' })
"""


def _state(page: Page, state: str) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", state)


def _hears(page: Page, *words: str) -> None:
    """One of the words."""
    page.wait_for_selector(", ".join(f"body[data-heard~='{word}']" for word in words), timeout=10_000)


def test_one_stream_serves_all_tabs_and_moves_on_when_its_tab_closes(
    context: BrowserContext, berth_server: BerthServer, manager: User, depot: Depot
) -> None:
    _sign_in_at(context, manager, berth_server)
    streams: list[str] = []
    context.on("request", lambda request: streams.append(request.url) if "/live/" in request.url else None)
    tabs = [context.new_page() for _ in range(3)]
    for tab in tabs:
        tab.goto(f"{berth_server.url}/account/password/")
        tab.evaluate(RECORD)
        _state(tab, "on")

    publish("lamp", 1, [depot_audience(depot.pk)])
    for tab in tabs:
        _hears(tab, "lamp-1")
    assert len(streams) == 1

    tabs[0].close()
    publish("lamp", 2, [depot_audience(depot.pk)])
    for tab in tabs[1:]:
        # A server that has just begun cannot say what was before: then the tabs are told to load afresh.
        _hears(tab, "lamp-2", "resync")
    assert len(streams) == 2
    assert tabs[1].evaluate("heard[0]") == {
        "kind": "lamp", "id": 1, "for": {depot_audience(depot.pk): {}},
    }  # fmt: skip


def test_a_signed_out_tab_says_so_and_asks_no_more(
    context: BrowserContext, berth_server: BerthServer, manager: User
) -> None:
    _sign_in_at(context, manager, berth_server)
    page = context.new_page()
    page.goto(f"{berth_server.url}/account/password/")
    _state(page, "on")

    context.request.post(
        f"{berth_server.url}/account/sign-out/",
        headers={
            "X-CSRFToken": page.locator("[name=csrfmiddlewaretoken]").first.input_value(),
            "Referer": berth_server.url,
        },
    )

    _state(page, "signed-out")
    expect(page.get_by_text("Signed out. Load the page again.").last).to_be_visible()
