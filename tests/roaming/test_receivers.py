"""What partners are to hear of: a booking its own partner, a calendar everybody who sees it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bookings.core import calendars
from bookings.core.calendars import raise_marked
from bookings.models import Booking, BookingOption
from bookings.operations import cancel_booking
from depots.models import Agreement
from roaming import access, published
from roaming.models import Delivery, Partner
from roaming.ocpi.style import NEWEST
from roaming.ocpi.times import time_out
from roaming.ocpi.v2_3_0 import dialect
from roaming.outbound import fan_out
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_vehicle,
    open_depot,
    option_of,
    place_hold,
    slot,
)
from tests.roaming.partners import BOOKINGS, Caller, data, make_partner

pytestmark = pytest.mark.django_db
ELEVEN = slot(11, 12)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def tick() -> list[int]:
    """What a worker's tick does; gives the offers it told of."""
    return raise_marked(timezone.now)


def wishes(kind: str) -> set[tuple[Partner, int]]:
    return {(d.partner, d.object_id) for d in Delivery.objects.filter(kind=kind, next_try_at__isnull=False)}


def own_booking(evse: Any) -> Booking:
    vehicle = make_vehicle()
    return book_slot(
        fleet=vehicle.fleet, option=option_of(evse), period=ELEVEN, vehicle=vehicle, actor=DISPATCHER, now=NOW
    )


# Bookings


def test_a_booking_is_told_to_its_own_partner_and_to_nobody_else() -> None:
    mine = Caller(make_partner())
    make_partner()
    booking = Booking.objects.get(reference=data(mine.book(option_of(make_evse()), ELEVEN))["id"])

    assert wishes("booking") == {(mine.partner, booking.pk)}


def test_every_change_raises_what_is_wanted() -> None:
    caller = Caller(make_partner())
    booking = Booking.objects.get(reference=data(caller.book(option_of(make_evse()), ELEVEN))["id"])
    Delivery.objects.filter(kind="booking").update(delivered_version=1, next_try_at=None)

    cancel_booking(
        booking_id=booking.pk, reason="FULL", by="depot", actor=DISPATCHER, now=NOW + timedelta(minutes=1)
    )

    (wish,) = Delivery.objects.filter(kind="booking")
    booking.refresh_from_db()
    assert wish.wanted_version == booking.version == 2
    assert wish.next_try_at == NOW + timedelta(minutes=1)
    assert wish.delivered_version == 1


def test_bookings_of_fleets_here_and_holds_are_told_to_nobody() -> None:
    make_partner()
    evse = make_evse()
    own_booking(evse)
    place_hold(
        fleet=make_fleet(),
        option=option_of(evse),
        period=slot(14, 15),
        vehicle=None,
        actor=DISPATCHER,
        now=NOW,
    )

    assert wishes("booking") == set()


def test_a_booking_that_is_rolled_back_leaves_no_wish_and_no_mark() -> None:
    caller, evse = Caller(make_partner()), make_evse()
    before = transaction.savepoint()
    caller.book(option_of(evse), ELEVEN)
    transaction.savepoint_rollback(before)

    assert tick() == []
    assert not Delivery.objects.exists()


def test_what_is_sent_is_the_booking_of_that_partner_only() -> None:
    mine, other = Caller(make_partner()), make_partner()
    answer = data(mine.book(option_of(make_evse()), ELEVEN))
    pk = Booking.objects.get(reference=answer["id"]).pk

    shown = access.bookings(mine.partner).filter(pk=pk).first()

    assert shown is not None
    assert dialect.bookings.write(shown, NEWEST) == answer
    assert not access.bookings(other).filter(pk=pk).exists()


# Calendars


def test_a_booking_is_told_of_in_all_offers_of_its_evse() -> None:
    depot = make_depot()
    evses = [make_evse(depot), make_evse(depot)]
    pool = make_option(*evses)

    own_booking(evses[0])

    assert tick() == sorted([option_of(evses[0]).pk, pool.pk])


def test_bookings_of_one_second_raise_a_calendar_once() -> None:
    make_partner()
    evse = make_evse()
    for hour in range(9, 15):
        vehicle = make_vehicle()
        book_slot(fleet=vehicle.fleet, option=option_of(evse), period=slot(hour, hour + 1), vehicle=vehicle)

    tick()

    (wish,) = Delivery.objects.all()
    assert wish.wanted_version == option_of(evse).calendar_version == 2


def test_a_tick_asks_the_same_of_the_database_for_any_number_of_changes_and_partners() -> None:
    depot = make_depot(grid_limit_w=600_000)
    evses = [make_evse(depot) for _ in range(3)]

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert len(tick()) == 3
        return len([q for q in captured if "SAVEPOINT" not in q["sql"]])

    make_partner()
    own_booking(evses[0])
    few = queries()
    for _ in range(10):
        make_partner()
    for evse in evses:
        calendars.mark_changed([evse.pk], at=NOW)

    assert queries() == few == 7  # one of them asks who waits there
    assert Delivery.objects.count() == 3 * 11


# Reading, between a change and the tick that dates it


def changed_since(caller: Caller, moment: Any) -> dict[str, str]:
    """What a partner that asks for changes is given: offers by id, and when each was last updated."""
    listed = data(caller.get(f"{BOOKINGS}/booking_locations", {"date_from": time_out(moment)}))
    return {location["id"]: location["last_updated"] for location in listed}


def test_a_change_is_in_lists_of_changes_at_once_and_after_the_tick(clock: Any) -> None:
    """Checklist 61, 21: A partner asks for what changed since it last asked; whichever moment that was, it is told."""
    caller = Caller(make_partner())
    evse = make_evse(uid="TAKEN")
    make_evse(uid="IDLE")
    clock.shift(timedelta(minutes=5))
    own_booking(evse)  # says that it was made at NOW, and was committed only by now

    assert changed_since(caller, timezone.now()) == {"TAKEN": "2030-01-15T08:05:00Z"}

    asked_at = timezone.now()
    clock.shift(timedelta(seconds=1))
    tick()
    clock.shift(timedelta(seconds=1))
    assert changed_since(caller, asked_at) == {"TAKEN": "2030-01-15T08:05:01Z"}
    assert changed_since(caller, timezone.now()) == {}


def test_an_offer_that_waits_for_its_tick_is_shown_as_it_is_and_of_now(clock: Any) -> None:
    caller = Caller(make_partner())
    evse = make_evse(uid="TAKEN")
    clock.shift(timedelta(minutes=5))
    own_booking(evse)

    location = data(caller.get(f"{BOOKINGS}/booking_locations/TAKEN"))

    assert location["last_updated"] == "2030-01-15T08:05:00Z"
    ends = [s["end_date_time"] for c in location["calendars"] for s in c["available_timeslots"]]
    assert "2030-01-15T11:00:00Z" in ends


def test_a_changed_calendar_is_wanted_by_every_registered_emsp_that_sees_it() -> None:
    """Checklist 61."""
    open_to_mine = make_depot(open_to_all=False)
    mine = make_partner()
    open_depot(open_to_mine, mine.organisation)
    everybody = [make_partner() for _ in range(2)]
    make_partner(state=Partner.State.INVITED)
    make_partner(roles=[{"role": "CPO", "country_code": "SE", "party_id": "CPO", "name": "CPO"}])
    private, public = make_evse(open_to_mine), make_evse()
    vehicle = make_vehicle(open_to_mine.operator)
    book_slot(
        fleet=open_to_mine.operator,
        option=option_of(private),
        period=ELEVEN,
        vehicle=vehicle,
        actor=DISPATCHER,
        now=NOW,
    )
    own_booking(public)

    tick()

    private_pk, public_pk = option_of(private).pk, option_of(public).pk
    assert wishes("booking_location") == {
        (mine, private_pk), (mine, public_pk), *((partner, public_pk) for partner in everybody)
    }  # fmt: skip


def test_what_is_told_twice_does_not_hurry_who_is_up_to_date() -> None:
    make_partner()
    evse = make_evse()
    own_booking(evse)
    tick()
    option = BookingOption.objects.get(pk=option_of(evse).pk)
    Delivery.objects.update(delivered_version=option.calendar_version, next_try_at=None)

    fan_out.want([option.pk], now=NOW)

    (wish,) = Delivery.objects.all()
    assert wish.next_try_at is None
    assert wish.wanted_version == option.calendar_version


def test_who_was_told_of_an_offer_hears_that_it_is_gone(clock: Any) -> None:
    partner = make_partner()
    depot = make_depot(open_to_all=False)
    open_depot(depot, partner.organisation)
    evse = make_evse(depot)
    option = option_of(evse)
    fan_out.want([option.pk], now=timezone.now())
    Delivery.objects.update(delivered_version=1, next_try_at=None)
    Agreement.objects.update(ends_at=NOW + timedelta(hours=1))
    clock.shift(timedelta(hours=2))
    BookingOption.objects.update(calendar_version=2)

    fan_out.want([option.pk], now=timezone.now())

    (wish,) = Delivery.objects.all()
    assert wish.next_try_at == NOW + timedelta(hours=2)
    shown = published.offer(partner, option.pk, now=NOW + timedelta(hours=2))
    assert shown is not None
    assert dialect.bookings.write_offer(shown, NEWEST)["calendars"] == []


def test_an_offer_is_shown_to_a_partner_on_its_own_terms() -> None:
    partner = make_partner()
    depot = make_depot(open_to_all=False)
    open_depot(depot, partner.organisation, min_duration_min=90)
    option = option_of(make_evse(depot))

    shown = published.offer(partner, option.pk, now=NOW)

    assert shown is not None
    assert dialect.bookings.write_offer(shown, NEWEST)["booking_terms"]["min_booking_duration"] == 90
    assert published.offer(partner, 0, now=NOW) is None


def test_fan_out_asks_the_same_of_the_database_for_any_number_of_partners() -> None:
    option = option_of(make_evse())

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            fan_out.want([option.pk], now=timezone.now())
        return len(captured)

    make_partner()
    one = queries()
    for _ in range(10):
        make_partner()
    BookingOption.objects.update(calendar_version=9)

    assert queries() == one
    assert Delivery.objects.count() == 11


def test_an_offer_is_looked_at_again_a_day_after_it_was_sent(clock: Any) -> None:
    make_partner()
    fan_out.want([option_of(make_evse()).pk, option_of(make_evse()).pk], now=NOW)
    Delivery.objects.update(delivered_version=1, delivered_at=NOW, next_try_at=None)
    younger = Delivery.objects.latest("id")
    Delivery.objects.filter(pk=younger.pk).update(delivered_at=NOW + timedelta(minutes=1))

    assert fan_out.refresh(now=NOW + timedelta(hours=24)) == 1
    assert Delivery.objects.get(next_try_at=NOW + timedelta(hours=24)) != younger
