"""The depot offers something else instead of what was asked for or is booked, and the fleet answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings import operations, scheduler
from bookings.errors import (
    BookingError,
    ChangedMeanwhile,
    NothingToDecide,
    OfferImpossible,
    SlotTaken,
    WrongStatus,
)
from bookings.models import Booking, BookingRequest, Occupancy
from bookings.notifications.resolving import news_of
from bookings.operations import CounterOffer
from bookings.pages import waiting_asks
from bookings.pages.offer_words import offer_words
from depots.models import Depot, Evse
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_user,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import make_bound, per_kwh

pytestmark = pytest.mark.django_db

LATER = CounterOffer(period=slot(14, 15))
SOON = NOW + timedelta(minutes=1)


@pytest.fixture
def evse() -> Evse:
    return make_evse(make_depot(terms={"approval": True}))


def ask(evse: Evse, **wishes: Any) -> Booking:
    truck = make_vehicle()
    asked = {"period": slot(10, 11), "actor": DISPATCHER, "now": NOW, **wishes}
    return book_slot(fleet=truck.fleet, option=option_of(evse), vehicle=truck, evse=evse, **asked)


def confirmed(evse: Evse, **wishes: Any) -> Booking:
    booking = ask(evse, **wishes)
    return operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)


def offer(booking: Booking, what: CounterOffer = LATER, **asked: Any) -> Booking:
    return operations.offer_instead(
        booking_id=booking.pk, offer=what, **{"actor": MANAGER, "now": NOW, **asked}
    )


def accept(booking: Booking, **asked: Any) -> Booking:
    return operations.accept_counter_offer(
        booking_id=booking.pk, **{"actor": DISPATCHER, "now": SOON, **asked}
    )


def decline(booking: Booking) -> Booking:
    return operations.decline_counter_offer(booking_id=booking.pk, actor=DISPATCHER, now=SOON)


def spans(booking: Booking) -> set[Any]:
    return set(Occupancy.objects.filter(holder=booking.pk).values_list("kind", "evse", "span"))


def told(booking: Booking) -> list[str]:
    event = booking.events.order_by("pk").last()
    assert event is not None
    return [news.kind for news in news_of(event, booking)]


def test_an_offer_keeps_its_place_beside_the_one_that_was_asked_for(evse: Evse) -> None:
    other = make_evse(evse.depot, max_power_w=150_000)

    booking = offer(ask(evse), CounterOffer(period=slot(14, 15), evse=other, note="Roadworks"))

    assert (booking.status, booking.period, booking.evse) == ("requested", slot(10, 11), evse)
    assert spans(booking) == {("booking", evse.pk, slot(10, 11)), ("pending", other.pk, slot(14, 15))}
    assert booking.decide_until == NOW + timedelta(minutes=30)
    with pytest.raises(SlotTaken):
        ask(other, period=slot(14, 15))
    words = offer_words(booking)
    assert words is not None
    assert words.words == f"{other} · Tue 15 Jan, 15:00–16:00 · at least 150 kW"
    assert told(booking) == ["offered"]


def test_an_offer_that_is_accepted_is_the_booking_at_the_price_it_had(evse: Evse) -> None:
    make_bound(per_kwh("0.50"), depot=evse.depot)
    booking = offer(ask(evse))
    price = booking.quote

    accept(booking)

    booking.refresh_from_db()
    assert (booking.status, booking.period, booking.quote) == ("confirmed", slot(14, 15), price)
    assert (spans(booking), booking.decide_until) == ({("booking", evse.pk, slot(14, 15))}, None)
    assert list(booking.requests.values_list("kind", "decision")) == [
        ("create", "declined"), ("offer", "accepted"),
    ]  # fmt: skip
    assert sorted(booking.events.filter(kind="changed").values_list("detail__offer", flat=True)) == [
        "accepted"
    ]


@pytest.mark.parametrize(
    ("of", "what", "becomes", "news"),
    [
        ("requested", LATER, "declined", ["offer_declined", "declined"]),
        ("confirmed", LATER, "confirmed", ["offer_declined"]),
        ("confirmed", CounterOffer(period=slot(14, 15), cancels=True), "cancelled", ["offer_declined", "cancelled_by_depot"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["declined", "run out"])
def test_without_a_yes_the_booking_is_what_the_offer_said(
    evse: Evse, of: str, what: CounterOffer, becomes: str, news: list[str], how: str
) -> None:
    booking = offer(ask(evse) if of == "requested" else confirmed(evse), what)

    if how == "declined":
        decline(booking)
    else:
        scheduler.run_tick(at(8, 31))

    booking.refresh_from_db()
    assert (booking.status, booking.period, booking.decide_until) == (becomes, slot(10, 11), None)
    assert not Occupancy.objects.filter(holder=booking.pk, kind="pending").exists()
    assert told(booking) == news
    with pytest.raises(NothingToDecide):
        accept(booking)


def test_what_overtakes_an_offer_gives_its_place_back(evse: Evse) -> None:
    cancelled, changed, again = (offer(confirmed(make_evse(evse.depot))) for _ in range(3))

    operations.cancel_booking(
        booking_id=cancelled.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=SOON
    )
    change_slot(booking_id=changed.pk, period=slot(16, 17), by="depot", actor=MANAGER, now=SOON)
    offer(again, CounterOffer(period=slot(12, 13)))

    for booking in (cancelled, changed):
        assert not Occupancy.objects.filter(holder=booking.pk, kind="pending").exists()
        with pytest.raises(NothingToDecide):
            accept(booking)
    assert Occupancy.objects.get(holder=again.pk, kind="pending").span == slot(12, 13)
    assert BookingRequest.objects.filter(booking=again, kind="offer", decision="pending").count() == 1


def test_the_depot_withdraws_what_it_offered_and_does_not_accept_it_itself(evse: Evse) -> None:
    booking = offer(confirmed(evse))

    with pytest.raises(NothingToDecide, match="fleet has to answer"):
        operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=SOON)
    assert waiting_asks.waiting(Depot.objects.all(), now=NOW) == []
    operations.decide(booking_id=booking.pk, accept=False, actor=MANAGER, now=SOON)

    booking.refresh_from_db()
    assert (booking.status, booking.period) == ("confirmed", slot(10, 11))
    with pytest.raises(NothingToDecide):
        accept(booking)


@pytest.mark.parametrize(
    ("what", "refused"),
    [
        (CounterOffer(period=slot(14, 15), until=at(10, 1)), OfferImpossible),
        (CounterOffer(period=slot(14, 15), until=at(7)), OfferImpossible),
        (CounterOffer(period=slot(6, 7)), BookingError),
        (CounterOffer(), BookingError),
        (CounterOffer(power_w=900_000), BookingError),
    ],
)
def test_an_offer_that_cannot_be_kept_is_none(
    evse: Evse, what: CounterOffer, refused: type[BookingError]
) -> None:
    booking = ask(evse)
    before = spans(booking)

    with pytest.raises(refused):
        offer(booking, what)

    booking.refresh_from_db()
    assert (spans(booking), booking.version) == (before, 1)


def test_neither_a_taken_place_nor_a_stale_form_nor_a_partners_booking_makes_an_offer(evse: Evse) -> None:
    booking, other = confirmed(evse), make_evse(evse.depot)
    ask(other, period=slot(14, 15))
    with pytest.raises(SlotTaken):
        offer(booking, CounterOffer(period=slot(14, 15), evse=other))
    with pytest.raises(ChangedMeanwhile):
        offer(booking, seen_version=booking.version + 5)
    Booking.objects.filter(pk=booking.pk).update(armed_evse=evse)
    with pytest.raises(WrongStatus):
        offer(booking)
    Booking.objects.filter(pk=booking.pk).update(armed_evse=None)
    type(booking.fleet).objects.filter(pk=booking.fleet_id).update(is_partner=True)

    with pytest.raises(OfferImpossible):
        offer(booking)

    assert not BookingRequest.objects.filter(kind="offer").exists()


def test_a_manager_offers_and_a_dispatcher_accepts_on_their_pages(evse: Evse, time_machine: Any) -> None:
    time_machine.move_to(NOW, tick=False)
    booking = ask(evse)
    manager = client_of(make_user(evse.depot.operator, "depot_manager"))
    fleet = client_of(make_user(booking.fleet))
    times = {"starts_at": "2030-01-15T15:00", "ends_at": "2030-01-15T16:00", "until": "2030-01-15T10:00"}
    form = {"evse": evse.uid, "kw": "120", "note": "Roadworks", "version": str(booking.version), **times}

    assert f"/requests/{booking.pk}/offer/" in manager.get("/requests/").content.decode()
    manager.post(f"/requests/{booking.pk}/offer/", form)
    page = fleet.get(f"/bookings/{booking.pk}/").content.decode()
    fleet.post(f"/bookings/{booking.pk}/offer/acceptance/", {"version": "2"})

    assert "Tue 15 Jan, 15:00–16:00 · at least 120 kW" in page
    assert "Roadworks" in page
    booking.refresh_from_db()
    assert (booking.status, booking.period, booking.promised_power_w) == (
        "confirmed", slot(14, 15), 120_000,
    )  # fmt: skip


def test_a_manager_may_say_that_a_booking_is_lost_without_a_yes(evse: Evse, time_machine: Any) -> None:
    """As of one whose EVSE is closed then."""
    time_machine.move_to(NOW, tick=False)
    booking = confirmed(evse)
    manager = client_of(make_user(evse.depot.operator, "depot_manager"))
    times = {"starts_at": "2030-01-15T15:00", "ends_at": "2030-01-15T16:00"}

    form = {"evse": evse.uid, "version": str(booking.version), "cancels": "on", **times}
    manager.post(f"/requests/{booking.pk}/offer/", form)
    decline(booking)

    booking.refresh_from_db()
    assert (booking.status, booking.cancelled_by) == ("cancelled", "depot")
