"""A depot manager's day in a real browser, against the real server process and its live stream."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import FloatRect, Locator, Page, expect

from bookings import operations
from bookings.models import Booking
from bookings.operations.closure_acts import Choice
from bookings.operations.closure_plan import Outage, Outcome
from depots.models import ChargingSession, Evse, Membership
from depots.operations import report_status
from depots.operations.meter_readings import add_readings
from depots.operations.transaction_reports import Reading
from depots.periods import Period
from tests import factories
from tests.browser.yards import Yard, make_yard, tomorrow
from tests.factories import DISPATCHER, MANAGER, change_slot

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AXE = Path(__file__).parent / "vendor/axe.min.js"
SOON_MS = 2_000  # how long an open board may lag behind the database


def bar_of(page: Page, booking: Booking) -> Locator:
    return page.locator(f"#timeline .bar-in[data-booking='{booking.pk}']")


def entry_of(page: Page, booking: Booking, evse: Evse | None = None) -> Locator:
    row = f"#plan [data-evse='{evse.uid}'] " if evse else "#plan "
    return page.locator(f"{row}[data-booking='{booking.pk}']")


def box_of(part: Locator) -> FloatRect:
    """Where it is. A server that has just begun has pages load afresh, which draws every bar anew: ask until it stands."""
    expect(part).to_be_visible()
    return next(box for box in (part.bounding_box() for _ in range(100)) if box)


def hour_px(bar: Locator) -> float:
    """The width of an hour, from a bar that lasts one."""
    return box_of(bar.locator("xpath=ancestor::article"))["width"]


def drag(page: Page, bar: Locator, *, hours: float, to: Evse | None = None) -> None:
    """Move a one hour bar with the mouse by some hours, and to another EVSE's row."""
    width = hour_px(bar)
    box = box_of(bar)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    to_y = y
    if to is not None:
        row = box_of(page.locator(f"#timeline [data-evse='{to.uid}']"))
        to_y = row["y"] + row["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 8, y, steps=2)
    page.mouse.move(x + hours * width, to_y, steps=8)
    page.mouse.up()


def test_a_bar_dragged_to_another_evse_and_hour_is_moved_and_can_be_moved_back(
    yard: Yard, opened: Callable[..., Page]
) -> None:
    booking = yard.book(yard.evses[0], 10)
    page = opened(yard.manager, yard.board)

    drag(page, bar_of(page, booking), hours=2, to=yard.evses[1])

    expect(entry_of(page, booking, yard.evses[1])).to_contain_text("12:00–13:00")
    booking.refresh_from_db()
    assert (booking.evse_id, booking.starts_at, booking.ends_at) == (
        yard.evses[1].pk,
        tomorrow(12),
        tomorrow(13),
    )
    expect(page.get_by_role("status", name="Messages")).to_contain_text("moved")

    page.get_by_role("button", name="Undo").click()

    expect(entry_of(page, booking, yard.evses[0])).to_contain_text("10:00–11:00")
    booking.refresh_from_db()
    assert (booking.evse_id, booking.starts_at) == (yard.evses[0].pk, tomorrow(10))


def test_the_end_of_a_bar_can_be_pulled(yard: Yard, opened: Callable[..., Page]) -> None:
    booking = yard.book(yard.evses[0], 10)
    page = opened(yard.manager, yard.board)
    bar = bar_of(page, booking)
    width = hour_px(bar)
    box = box_of(bar.locator("xpath=ancestor::article"))

    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3 + width / 2, box["y"] + box["height"] / 2, steps=6)
    page.mouse.up()

    expect(entry_of(page, booking)).to_contain_text("10:00–11:30")
    booking.refresh_from_db()
    assert (booking.starts_at, booking.ends_at) == (tomorrow(10), tomorrow(11.5))


def test_a_move_onto_a_taken_slot_is_refused_in_words_and_the_bar_goes_back(
    yard: Yard, opened: Callable[..., Page]
) -> None:
    booking, other = yard.book(yard.evses[0], 10), yard.book(yard.evses[1], 10)
    page = opened(yard.manager, yard.board)
    bar = bar_of(page, booking)
    before = box_of(bar)

    drag(page, bar, hours=0.1, to=yard.evses[1])

    expect(page.get_by_role("status", name="Messages")).to_contain_text("taken")
    expect(entry_of(page, booking, yard.evses[0])).to_contain_text("10:00–11:00")
    page.wait_for_function(
        "([id, y]) => document.querySelector(`#timeline .bar-in[data-booking='${id}']`).getBoundingClientRect().y === y",
        arg=[booking.pk, before["y"]],
    )
    assert box_of(bar) == before
    booking.refresh_from_db()
    assert (booking.evse_id, booking.starts_at) == (yard.evses[0].pk, tomorrow(10))
    expect(entry_of(page, other, yard.evses[1])).to_be_visible()


def test_a_drag_that_lowers_power_asks_the_manager_first(yard: Yard, opened: Callable[..., Page]) -> None:
    booking = yard.book(yard.evses[0], 10)
    weak = yard.evses[1]
    Evse.objects.filter(pk=weak.pk).update(max_power_w=booking.promised_power_w // 2)
    page = opened(yard.manager, yard.board)
    asked = page.get_by_role("dialog", name="Less power there")

    drag(page, bar_of(page, booking), hours=1, to=weak)
    expect(asked).to_contain_text(f"{booking.promised_power_w // 1000} kW")
    asked.get_by_role("button", name="Leave it where it is").click()

    expect(bar_of(page, booking)).to_contain_text("10:00–11:00")
    booking.refresh_from_db()
    assert booking.evse == yard.evses[0]

    drag(page, bar_of(page, booking), hours=1, to=weak)
    asked.get_by_role("button", name="Move it with less power").click()

    expect(entry_of(page, booking, weak)).to_contain_text("11:00–12:00")
    booking.refresh_from_db()
    assert (booking.evse, booking.starts_at) == (weak, tomorrow(11))


def open_by_keyboard(page: Page, link: Locator) -> Locator:
    """The first field of the dialog that a link of the list opens. A page whose server has just begun loads its list afresh, and
    with a link that goes its request is gone: somebody presses Enter again, and not for ever."""
    field = page.get_by_label("EVSE", exact=True)
    for _ in range(3):
        link.press("Enter")
        with suppress(AssertionError):
            expect(field).to_be_focused()
            break
    expect(field).to_be_focused()
    return field


def test_a_booking_is_moved_by_keyboard_alone(yard: Yard, opened: Callable[..., Page]) -> None:
    booking = yard.book(yard.evses[0], 10)
    page = opened(yard.manager, yard.board)

    evse = open_by_keyboard(page, entry_of(page, booking).get_by_role("link"))
    evse.press("ArrowDown")
    later = page.get_by_role("button", name="15 min later")
    while not later.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(entry_of(page, booking, yard.evses[1])).to_contain_text("10:15–11:15")
    expect(page.get_by_role("dialog")).to_be_hidden()
    booking.refresh_from_db()
    assert (booking.evse_id, booking.starts_at) == (yard.evses[1].pk, tomorrow(10.25))

    page.get_by_role("button", name="Undo").click()

    expect(entry_of(page, booking, yard.evses[0])).to_contain_text("10:00–11:00")
    booking.refresh_from_db()
    assert (booking.evse_id, booking.starts_at) == (yard.evses[0].pk, tomorrow(10))


def test_what_others_do_appears_on_an_open_board(yard: Yard, opened: Callable[..., Page]) -> None:
    page = opened(yard.manager, yard.board)

    booking = yard.book(yard.evses[2], 14)

    expect(bar_of(page, booking)).to_have_attribute("data-status", "confirmed", timeout=SOON_MS)
    expect(entry_of(page, booking, yard.evses[2])).to_contain_text("14:00–15:00")

    period = Period(tomorrow(15), tomorrow(16))
    change_slot(booking_id=booking.pk, period=period, actor=DISPATCHER, now=timezone.now())

    expect(entry_of(page, booking)).to_contain_text("15:00–16:00", timeout=SOON_MS)

    operations.cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now()
    )

    expect(bar_of(page, booking)).to_have_count(0, timeout=SOON_MS)
    expect(entry_of(page, booking)).to_have_attribute("data-status", "cancelled")


def test_news_arrives_while_a_bar_is_held_in_the_hand(yard: Yard, opened: Callable[..., Page]) -> None:
    booking = yard.book(yard.evses[0], 10)
    page = opened(yard.manager, yard.board)
    bar = bar_of(page, booking)
    width = hour_px(bar)
    box = box_of(bar)

    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 20 + width, box["y"] + 20, steps=5)
    other = yard.book(yard.evses[2], 14)
    expect(bar_of(page, other)).to_be_visible(timeout=SOON_MS)
    page.mouse.up()

    expect(entry_of(page, booking)).to_contain_text("11:00–12:00")


def test_a_bar_that_was_changed_while_it_was_held_goes_where_it_is_now_and_says_so(
    yard: Yard, opened: Callable[..., Page]
) -> None:
    booking = yard.book(yard.evses[0], 10)
    page = opened(yard.manager, yard.board)
    bar = bar_of(page, booking)
    width = hour_px(bar)
    box = box_of(bar)

    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 20 + width, box["y"] + 20, steps=5)
    period = Period(tomorrow(14), tomorrow(15))
    change_slot(booking_id=booking.pk, period=period, actor=DISPATCHER, seen_version=1, now=timezone.now())
    expect(entry_of(page, booking)).to_contain_text("14:00–15:00", timeout=SOON_MS)
    page.mouse.up()

    told = page.get_by_role("status", name="Messages")
    expect(told).to_contain_text("Changed meanwhile by its fleet")
    expect(bar_of(page, booking)).to_contain_text("14:00–15:00")
    booking.refresh_from_db()
    assert booking.period == period


def test_a_charger_tells_its_state_to_an_open_board(yard: Yard, opened: Callable[..., Page]) -> None:
    evse = yard.evses[0]
    page = opened(yard.manager, f"/depots/{yard.depot.code}/board/")
    state = page.locator(f"#timeline [data-state='{evse.uid}']")
    expect(state).to_contain_text("Available")

    says(evse, "faulted", "GroundFailure")

    expect(state).to_contain_text("Faulted GroundFailure", timeout=SOON_MS)
    expect(page.locator(f"#plan [data-state='{evse.uid}']")).to_contain_text("Faulted")

    ChargingSession.objects.create(
        charger=evse.charger, evse=evse, transaction="1", started_at=timezone.now(),
        start_received_at=timezone.now(), power_w=123_000, soc_percent=41,
    )  # fmt: skip
    says(evse, "charging")

    expect(state).to_contain_text("123 kW", timeout=SOON_MS)
    expect(page.locator("[data-number='charging']")).to_have_text("1")
    # Late in the evening the bar is too narrow for words.
    expect(page.locator("#timeline .bar-session .bar-in")).to_have_attribute(
        "title", re.compile("No booking")
    )

    add_readings(
        charger_id=evse.charger_id,
        evse_number=evse.number,
        transaction_id="1",
        readings=[Reading(timezone.now(), None, 150_400, 43.0)],
        now=timezone.now(),
    )

    expect(state).to_contain_text("150 kW", timeout=SOON_MS)
    expect(state).to_contain_text("43 %")


def says(evse: Evse, status: str, error_code: str = "") -> None:
    """Its charger reports a status."""
    report_status(
        charger_id=evse.charger_id, evse_number=evse.number, status=Evse.Status(status), error_code=error_code,
        at=timezone.now(), now=timezone.now(),
    )  # fmt: skip


def test_a_guest_sees_its_own_bookings_and_of_others_only_that_a_slot_is_taken(
    yard: Yard, opened: Callable[..., Page]
) -> None:
    mine, theirs = yard.book(yard.evses[0], 10), yard.book(yard.evses[1], 10, fleet=factories.make_fleet())
    guest = factories.make_user(yard.fleet, Membership.Role.DISPATCHER)
    page = opened(guest, yard.board)

    expect(bar_of(page, mine)).to_be_visible()
    expect(page.locator("#timeline [data-taken]")).to_have_count(1)

    later = yard.book(yard.evses[2], 14, fleet=theirs.fleet)

    expect(page.locator(f"#plan [data-evse='{yard.evses[2].uid}'] [data-taken]")).to_contain_text(
        "14:00–15:00", timeout=SOON_MS
    )
    expect(page.locator("#timeline [data-taken]")).to_have_count(2)
    operations.cancel_booking(
        booking_id=later.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now()
    )
    expect(page.locator("#timeline [data-taken]")).to_have_count(1, timeout=SOON_MS)
    for secret in (theirs.plate, theirs.reference, theirs.fleet.name, later.plate, later.reference):
        assert secret not in page.content()
    drag(page, bar_of(page, mine), hours=1)
    mine.refresh_from_db()
    assert mine.starts_at == tomorrow(10)


def test_an_ask_appears_in_the_queue_and_is_accepted(opened: Callable[..., Page]) -> None:
    yard = make_yard(approval=True, decision_min=600)
    page = opened(yard.manager, "/requests/")
    expect(page.get_by_text("Nothing waits for an answer")).to_be_visible()

    booking = yard.book(yard.evses[0], 10)

    card = page.locator(f"#requests [data-booking='{booking.pk}']")
    expect(card).to_contain_text(booking.plate, timeout=SOON_MS)
    expect(card).to_contain_text("left")
    expect(page.locator(".sidebar [data-count='requests']")).to_have_text("1")

    card.get_by_role("button", name=re.compile("Accept")).click()

    expect(page.get_by_role("status", name="Messages")).to_contain_text("accepted")
    expect(card).to_have_count(0)
    booking.refresh_from_db()
    assert booking.status == "confirmed"


def test_a_refusal_wants_no_reason_but_takes_one(opened: Callable[..., Page]) -> None:
    yard = make_yard(approval=True, decision_min=600)
    booking = yard.book(yard.evses[0], 10)
    page = opened(yard.manager, "/requests/")

    page.get_by_role("link", name=re.compile("Decline")).click()
    page.get_by_label("Why").fill("The bay is being cleaned")
    page.get_by_role("dialog").get_by_role("button", name="Decline").click()

    expect(page.get_by_text("Nothing waits for an answer")).to_be_visible()
    booking.refresh_from_db()
    assert (booking.status, booking.note) == ("declined", "The bay is being cleaned")


def test_an_evse_is_closed_after_a_look_at_what_stands_in_it(yard: Yard, opened: Callable[..., Page]) -> None:
    booking = yard.book(yard.evses[0], 10)
    page = opened(yard.manager, yard.board)

    page.get_by_role("link", name="Close an EVSE").click()
    boxes = [page.get_by_role("checkbox", name=evse.uid) for evse in yard.evses]
    boxes[0].check()
    page.get_by_label("From").fill(f"{tomorrow(9):%Y-%m-%dT%H:%M}")
    page.get_by_label("To").fill(f"{tomorrow(13):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="See what stands in it").click()
    expect(page.get_by_role("dialog").locator(f"tr[data-booking='{booking.pk}']")).to_contain_text(
        f"Moved to {yard.evses[1].uid}"
    )
    booking.refresh_from_db()
    assert booking.evse_id == yard.evses[0].pk
    does_it = page.get_by_role("button", name="Close and do this")

    page.get_by_text("Another time or EVSE").click()
    boxes[2].check()
    expect(does_it).to_be_disabled()  # what it would do was told for another EVSE
    boxes[2].uncheck()
    does_it.click()

    step = page.locator(f"#closure-act tr[data-booking='{booking.pk}']")
    expect(step).to_contain_text(f"from {yard.evses[0].uid} to {yard.evses[1].uid}")
    booking.refresh_from_db()
    assert booking.evse_id == yard.evses[1].pk
    page.get_by_role("button", name="Take it back").click()
    expect(step).to_contain_text("As it was")
    booking.refresh_from_db()
    assert booking.evse_id == yard.evses[0].pk


@pytest.mark.parametrize("width", [1440, 390])
def test_the_manager_s_pages_are_accessible_and_fit(opened: Callable[..., Page], width: int) -> None:
    yard = make_yard(approval=True, decision_min=600)
    booking = yard.book(yard.evses[0], 10)
    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=timezone.now())
    yard.book(yard.evses[1], 11)
    span, now, code = Period(tomorrow(9), tomorrow(12)), timezone.now(), yard.depot.code
    where = Outage(yard.depot, frozenset({yard.evses[0].pk}), span)
    stays = {booking.pk: Choice(Outcome.STAYS)}
    act = operations.close_evses(outage=where, reason="Cable", choices=stays, actor=MANAGER, now=now)
    closure = act.closures.get()
    every_week = Outage.repeated(yard.depot, frozenset({yard.evses[1].pk}), span, "FREQ=WEEKLY;COUNT=3")
    weekly = operations.close_evses(outage=every_week, offers=True, actor=MANAGER, now=now)
    offer = operations.CounterOffer(period=Period(tomorrow(14), tomorrow(15)))
    operations.offer_instead(booking_id=booking.pk, offer=offer, actor=MANAGER, now=now)
    asked = f"?evse={yard.evses[0].uid}&starts_at={tomorrow(9):%Y-%m-%dT%H:%M}&ends_at={tomorrow(13):%Y-%m-%dT%H:%M}"
    page = opened(yard.manager, yard.board, width=width)
    for path in [
        yard.board,
        f"/depots/{code}/board/bookings/{booking.pk}/",
        "/requests/",
        f"/depots/{code}/closures/",
        f"/depots/{code}/closures/{closure.pk}/",
        f"/depots/{code}/closures/{weekly.closures.order_by('starts_at')[0].pk}/",
        f"/depots/{code}/closures/new/",
        f"/depots/{code}/closures/new/{asked}",
        f"/depots/{code}/closures/acts/{act.pk}/",
        f"/requests/{booking.pk}/offer/",
        f"/depots/{code}/",
        f"/depots/{code}/chargers/CP-1/",
    ]:
        page.goto(page.url.split("/depots/")[0].split("/requests/")[0] + path)

        assert violations(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text() + "; undefined")
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]
