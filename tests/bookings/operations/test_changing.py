"""What a change costs, and what of a booking that charges already can still be changed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bookings import errors, operations
from bookings.models import Booking, Closure, Occupancy, Tariff
from bookings.operations import request_log
from bookings.pricing.tariff_content import Dimension, ElementUse, PriceComponent, TariffElement
from bookings.rules.entitlement import TokenName
from bookings.rules.fit import Needs
from depots.models import ChargingSession, Evse
from depots.periods import Period
from tests.bookings.operations import asks_of_partners
from tests.factories import (
    CHARGER,
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_option,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import add_version, make_prices

pytestmark = pytest.mark.django_db

BY_DEPOT: dict[str, Any] = {"by": "depot", "actor": MANAGER, "now": NOW}
BY_FLEET: dict[str, Any] = {"by": "fleet", "actor": DISPATCHER, "now": NOW}


def priced(*, per_hour: int = 60, approval: bool = False, **wishes: Any) -> Booking:
    """10:00 to 11:00 in a pool of two EVSEs, at so much an hour."""
    depot = make_depot(terms={"approval": approval, "change_until_min": 60})
    evses = [make_evse(depot) for _ in range(2)]
    make_prices(depot, time_per_hour=per_hour)
    truck = make_vehicle()
    booking = book_slot(
        fleet=truck.fleet,
        option=make_option(*evses),
        vehicle=truck,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
        **wishes,
    )
    if approval:
        operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)
    return Booking.objects.get(pk=booking.pk)


def price(booking: Booking) -> str:
    return str(Booking.objects.get(pk=booking.pk).quote["total"])


def dearer() -> None:
    """An hour costs 90 from now on."""
    for tariff in Tariff.objects.filter(kind="booking"):
        hour = PriceComponent(Dimension.TIME, Decimal(90))
        add_version(tariff, TariffElement((hour,), use=ElementUse.BOOKING), number=2)


def other_evse(booking: Booking) -> Evse:
    return booking.option.evses.exclude(pk=booking.evse_id).get()


def charging(booking: Booking, *, at: Any = NOW) -> Booking:
    session = ChargingSession.objects.create(
        charger=booking.evse.charger,
        evse=booking.evse,
        transaction="1",
        started_at=at,
        start_received_at=at,
        token_uid="X",
    )
    return operations.start_charging(booking_id=booking.pk, session=session, actor=CHARGER, now=at)


@pytest.mark.parametrize("wish", ["evse", "time", "end", "closure"])
def test_the_depots_own_moves_keep_the_price(wish):
    booking = priced()
    dearer()

    if wish == "closure":
        closure = operations.close_evse(evse=booking.evse, period=slot(9, 12), actor=MANAGER, now=NOW)
        operations.clear_closure(closure_id=closure.pk, actor=MANAGER, now=NOW)
    else:
        wishes = {
            "evse": {"evse": other_evse(booking)},
            "time": {"period": slot(12, 13)},
            "end": {"ends_at": at(12)},
        }
        change_slot(booking_id=booking.pk, **wishes[wish], **BY_DEPOT)

    assert booking.events.filter(kind="changed").count() == 1
    assert price(booking) == "60.00"


@pytest.mark.parametrize("wish", ["vehicle", "tokens"])
def test_another_vehicle_or_card_keeps_the_price(wish):
    booking = priced()
    dearer()
    booking.fleet.tokens.create(uid="CARD-2")
    wishes = {"vehicle": make_vehicle(booking.fleet), "tokens": [TokenName("CARD-2")]}

    change_slot(booking_id=booking.pk, **{wish: wishes[wish]}, **BY_FLEET)

    assert price(booking) == "60.00"


@pytest.mark.parametrize(
    ("wishes", "after"),
    [({"period": slot(12, 13)}, "90.00"), ({"ends_at": at(12)}, "180.00"), ({"power_w": 100_000}, "90.00")],
    ids=["time", "end", "power"],
)
def test_a_fleets_change_of_time_or_power_has_the_price_in_force_now_and_the_history_says_both(wishes, after):
    booking = priced()
    dearer()

    change_slot(booking_id=booking.pk, **wishes, **BY_FLEET)

    detail = booking.events.get(kind="changed").detail
    assert price(booking) == after
    assert (detail["before"]["price"]["total"], detail["after"]["price"]["total"]) == ("60.00", after)


def test_a_fleets_change_of_evse_has_the_price_in_force_now():
    booking = priced()
    dearer()

    change_slot(booking_id=booking.pk, evse=other_evse(booking), **BY_FLEET)

    assert price(booking) == "90.00"


def test_a_change_that_is_taken_back_brings_the_old_price_back():
    booking = priced()
    dearer()
    changed = change_slot(booking_id=booking.pk, period=slot(12, 13), **BY_FLEET)

    change_slot(booking_id=booking.pk, period=slot(13, 14), restores=changed.version, **BY_FLEET)
    assert price(booking) == "90.00"
    change_slot(booking_id=booking.pk, period=slot(10, 11), restores=changed.version, **BY_FLEET)
    assert price(booking) == "60.00"


def test_a_change_is_granted_at_the_price_it_was_asked_at():
    booking = priced(approval=True)
    change_slot(booking_id=booking.pk, period=slot(12, 14), **BY_FLEET)
    assert price(booking) == "60.00"
    dearer()

    operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    asked = booking.events.get(kind="change_requested").detail["after"]["price"]["total"]
    assert (asked, price(booking)) == ("120.00", "120.00")


def test_a_partners_larger_truck_is_measured_and_remembered():
    depot = make_depot()
    small, large = make_evse(depot, max_vehicle_length_cm=1400), make_evse(depot, max_vehicle_length_cm=2500)
    booking = asks_of_partners.ask(small, option=make_option(small, large), needs=Needs(length_cm=1200))

    moved = asks_of_partners.change(booking, booking.period, needs=Needs(length_cm=1800))

    assert (moved.evse, asks_of_partners.decisions(moved)) == (large, ["accepted", "accepted"])
    assert request_log.needs_of(moved) == Needs(length_cm=1800)


def test_a_partners_truck_that_does_not_fit_any_more_is_declined():
    booking = asks_of_partners.ask(make_evse(max_vehicle_length_cm=1400), needs=Needs(length_cm=1200))

    same = asks_of_partners.change(booking, booking.period, needs=Needs(length_cm=1800))

    assert asks_of_partners.decisions(same) == ["accepted", "declined"]
    assert request_log.needs_of(same) == Needs(length_cm=1200)


@pytest.mark.parametrize("by", [BY_FLEET, BY_DEPOT], ids=["fleet", "depot"])
def test_a_charging_booking_is_shortened_past_its_deadline_and_the_time_is_free(by):
    booking = charging(priced(), at=at(10))

    shorter = change_slot(booking_id=booking.pk, ends_at=at(10, 30), **{**by, "now": at(10, 10)})

    assert (shorter.status, shorter.period) == ("charging", slot(10, (10, 30)))
    assert Occupancy.objects.get(holder=booking.pk).span == slot(10, (10, 30))
    truck = make_vehicle()
    book_slot(
        fleet=truck.fleet,
        option=option_of(booking.evse),
        vehicle=truck,
        period=slot((10, 30), 11),
        actor=DISPATCHER,
        now=at(10, 10),
    )


def test_a_charging_booking_is_extended_while_the_next_slot_is_free_and_told_how_far():
    booking = charging(priced(), at=at(10))
    truck = make_vehicle()
    book_slot(
        fleet=truck.fleet,
        option=option_of(booking.evse),
        vehicle=truck,
        period=slot(12, 13),
        actor=DISPATCHER,
        now=NOW,
    )
    late = {**BY_FLEET, "now": at(10, 50)}

    with pytest.raises(errors.SlotTaken) as refused:
        change_slot(booking_id=booking.pk, ends_at=at(12, 15), **late)
    longer = change_slot(booking_id=booking.pk, period=slot(10, (11, 45)), **late)

    assert refused.value.nearest == slot(10, 12)
    assert (longer.period, longer.evse) == (slot(10, (11, 45)), booking.evse)
    assert Occupancy.objects.get(holder=booking.pk).span == slot(10, (11, 45))


@pytest.mark.parametrize("wish", ["start", "evse", "vehicle", "tokens", "power_w"])
def test_of_a_charging_booking_nothing_but_the_end_is_changed(wish):
    booking = charging(priced(), at=at(10))
    booking.fleet.tokens.create(uid="CARD-2")
    wishes: dict[str, dict[str, Any]] = {
        "start": {"starts_at": at(10, 15)},
        "evse": {"evse": other_evse(booking), "ends_at": at(10, 30)},
        "vehicle": {"vehicle": make_vehicle(booking.fleet), "ends_at": at(10, 30)},
        "tokens": {"tokens": [TokenName("CARD-2")]},
        "power_w": {"power_w": 100_000},
    }

    with pytest.raises(errors.WrongStatus, match="only the end"):
        change_slot(booking_id=booking.pk, **wishes[wish], **{**BY_FLEET, "now": at(10, 10)})


def test_a_charging_booking_does_not_end_in_the_past():
    booking = charging(priced(), at=at(10))

    with pytest.raises(errors.InThePast):
        change_slot(booking_id=booking.pk, ends_at=at(10, 30), **{**BY_FLEET, "now": at(10, 31)})


def test_a_shortening_waits_for_nobody_and_an_extension_for_the_depot():
    booking = priced(approval=True)
    change_slot(booking_id=booking.pk, ends_at=at(10, 45), **BY_FLEET)
    assert Booking.objects.get(pk=booking.pk).period == slot(10, (10, 45))
    charging(booking, at=at(10))

    waits = change_slot(booking_id=booking.pk, ends_at=at(11, 30), **{**BY_FLEET, "now": at(10, 10)})

    assert (waits.period, waits.decide_until) == (slot(10, (10, 45)), at(10, 25))
    longer = operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=at(10, 20))
    assert (longer.status, longer.period) == ("charging", slot(10, (11, 30)))


def test_a_truck_that_stays_past_its_end_may_still_ask_for_more():
    booking = charging(priced(approval=True), at=at(10))

    late = change_slot(booking_id=booking.pk, ends_at=at(11, 30), **{**BY_FLEET, "now": at(11, 5)})

    assert late.decide_until == at(11, 20)
    longer = operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=at(11, 10))
    assert longer.period == slot(10, (11, 30))


def test_an_extension_nobody_decided_on_ends_with_the_session():
    booking = priced(approval=True)
    charging(booking, at=at(10))
    change_slot(booking_id=booking.pk, ends_at=at(11, 30), **{**BY_FLEET, "now": at(10, 40)})

    over = operations.complete(booking_id=booking.pk, at=at(10, 50), actor=CHARGER, now=at(10, 50))

    assert not over.requests.filter(decision="pending").exists()
    assert not Occupancy.objects.filter(holder=booking.pk, kind="pending").exists()


def test_time_given_back_in_a_closure_is_closed():
    booking = charging(priced(), at=at(10))
    closure = operations.close_evse(evse=booking.evse, period=slot(9, 12), actor=MANAGER, now=at(10, 5))

    change_slot(booking_id=booking.pk, ends_at=at(10, 30), **{**BY_DEPOT, "now": at(10, 10)})

    spans = Occupancy.objects.filter(holder=closure.pk).order_by("span").values_list("span", flat=True)
    assert Period(at(10, 30), at(11)) in spans
    assert Closure.objects.get().period == slot(9, 12)


def test_over_a_wire_a_charging_booking_stays_as_it_is():
    evse = make_evse()
    booking = charging(asks_of_partners.ask(evse), at=at(10))

    with pytest.raises(errors.WrongStatus):
        asks_of_partners.change(
            booking, Period(booking.starts_at, booking.ends_at - timedelta(minutes=15)), now=at(10, 10)
        )
