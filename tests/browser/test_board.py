"""How a board is drawn: in the width there is, without a jump, quickly."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect

from bookings.models import Booking
from depots.models import Membership, User
from tests import factories
from tests.browser.yards import Yard, make_yard, sign_in, tomorrow
from tests.serving import BerthServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SHIFTS = """
window.shifts = []
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    if (!hadRecentInput) window.shifts.push([value, sources.map(({ node }) => node?.className || node?.nodeName)])
  }
}).observe({ type: 'layout-shift', buffered: true })
"""
MOST_SHIFT = 0.05
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length > 0"


@pytest.fixture
def yard() -> Yard:
    found = make_yard()
    for hour in (8, 10, 14, 16):
        found.book(found.evses[hour % 3], hour, 2)
    return found


@pytest.fixture
def sitting(browser: Browser, berth_server: BerthServer) -> Callable[..., Page]:
    """Somebody signed in at a screen of some width, whose pages count their layout shifts."""

    def page(user: User, *, width: int) -> Page:
        context = browser.new_context(
            locale="en-GB",
            timezone_id="America/Los_Angeles",
            viewport={"width": width, "height": 900},
            base_url=berth_server.url,
        )
        found = context.new_page()
        sign_in(found, user, berth_server)
        found.add_init_script(SHIFTS)
        return found

    return page


def open_slowly(page: Page, path: str) -> None:
    """As over a bad line: scripts and fonts come only after the page was painted without them."""
    held: list[Route] | None = []

    def keep(route: Route) -> None:
        route.continue_() if held is None else held.append(route)

    slow = re.compile(r".*\.(js|woff2)(\?.*)?$")
    page.route(slow, keep)
    page.goto(path, wait_until="commit")
    page.wait_for_function(PAINTED)
    late, held = held, None
    for route in late:
        route.continue_()
    expect(page.locator("html[data-live='on']")).to_be_attached()
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    page.unroute(slow)


def test_several_days_fit_a_desk_and_use_a_wide_screen(yard: Yard, sitting: Callable[..., Page]) -> None:
    page = sitting(yard.manager, width=1440)
    for view in ("3-days", "week"):
        page.goto(f"{yard.board}&view={view}")
        expect(page.locator("#timeline [data-booking]")).to_have_count(4)
        scrolling = page.evaluate(
            "[document.documentElement, ...document.querySelectorAll('#timeline, #timeline *')].filter((e) =>"
            " e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX !== 'visible' && e.clientWidth > 300)"
            ".map((e) => e.className)"
        )
        assert scrolling == [], view

    page.set_viewport_size({"width": 2400, "height": 900})

    box = page.locator("#timeline").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] >= 2400 - 32


def test_the_column_of_labels_covers_what_scrolls_under_it_below_the_last_row_too(
    yard: Yard, sitting: Callable[..., Page]
) -> None:
    page = sitting(yard.manager, width=1440)
    page.goto(yard.board)
    expect(page.locator("#timeline [data-booking]")).to_have_count(4)
    page.evaluate("document.getElementById('timeline').scrollLeft = 400")

    box = page.locator("#timeline").bounding_box()

    assert box is not None
    inside = {"x": box["x"] + 20, "y": box["y"] + box["height"] - 20}
    there = page.evaluate("({x, y}) => document.elementFromPoint(x, y).className", inside)
    assert there == "tl-corner"


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_jumps_while_its_scripts_and_fonts_arrive(
    yard: Yard, sitting: Callable[..., Page], width: int
) -> None:
    booking = Booking.objects.order_by("pk").first()
    assert booking is not None
    dispatcher = factories.make_user(yard.fleet, Membership.Role.DISPATCHER)
    over = timezone.now() - timedelta(minutes=1)
    earlier = {"starts_at": over - timedelta(hours=1), "ends_at": over, "status": "completed"}
    Booking.objects.filter(evse=yard.evses[1]).update(**earlier)  # a phone leaves it out of today
    paths = {
        yard.manager: [f"/depots/{yard.depot.code}/board/", f"{yard.board}&view=week"],
        dispatcher: ["/", f"/bookings/{booking.pk}/", yard.board],
    }
    jumps = {}

    for user, addresses in paths.items():
        page = sitting(user, width=width)
        for address in addresses:
            open_slowly(page, address)
            shifts = page.evaluate("window.shifts")
            if sum(value for value, _ in shifts) >= MOST_SHIFT:
                jumps[address] = shifts

    assert jumps == {}


@pytest.mark.long
def test_a_week_of_a_large_depot_is_drawn_at_once(yard: Yard, sitting: Callable[..., Page]) -> None:
    """1,500 bars took seconds as components of a calendar library; as plain elements they take one long task."""
    made = Booking.objects.order_by("pk").first()
    assert made is not None
    names = [
        f.attname
        for f in Booking._meta.concrete_fields
        if f.attname not in {"id", "reference", "request_id", "group"}
    ]
    rows = []
    for number in range(1_500):
        booking = Booking(**{name: getattr(made, name) for name in names})
        starts_at = tomorrow(0) + timedelta(minutes=20 * (number // 3))
        booking.evse, booking.starts_at = yard.evses[number % 3], starts_at
        booking.ends_at = starts_at + timedelta(minutes=20)
        rows.append(booking)
    Booking.objects.bulk_create(rows)

    page = sitting(yard.manager, width=1440)
    page.goto(f"{yard.board}&view=week")

    expect(page.locator("#timeline [data-booking]")).to_have_count(1_504)
    assert page.evaluate("performance.getEntriesByName('board-drawn')[0].duration") < 2_000
