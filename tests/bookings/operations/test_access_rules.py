"""Windows, own fleet first, quotas and EVSEs kept for walk-ins: the same at every door, and told before (docs/decisions/0145)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from bookings import errors, operations
from bookings.core import calendars
from bookings.models import Booking, BookingOption
from bookings.rules import configuration
from bookings.search import availability
from bookings.search.offers import find_slots
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Agreement, Depot, Evse, Organisation
from depots.periods import Period
from roaming import published
from tests.factories import (
    MANAGER,
    NOW,
    ask_for_slot,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_rule,
    make_vehicle,
    open_depot,
    option_of,
    place_hold,
    slot,
)
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db

TUESDAY = [2]  # NOW


@dataclass
class Place:
    """A depot in UTC of three EVSEs of 400 kW, each offered by itself, with a guest."""

    depot: Depot
    evses: list[Evse]
    guest: Organisation
    agreement: Agreement

    def ask(self, number: int = 0, period: Period | None = None, **asked: Any) -> dict[str, Any]:
        fleet = asked.pop("fleet", self.guest)
        vehicle = make_vehicle(fleet)
        told = {"option": option_of(self.evses[number]), "period": period or slot(10, 11)}
        return {"fleet": fleet, "vehicle": vehicle, **told, **asked}

    def calendar(self, number: int = 0, fleet: Organisation | None = None) -> list[Period]:
        option = BookingOption.objects.get(pk=option_of(self.evses[number]).pk)
        known = configuration.current(self.depot.pk)
        fleet_id = (fleet or self.guest).pk
        terms = known.terms(option.pk, fleet_id, now=NOW)
        allowed = {self.depot.pk: known.allowance(fleet_id, now=NOW)}
        found = availability.calendar(
            [option], slot(8, 20), {option.pk: terms}, allowances=allowed, limits=known.limits, now=NOW
        )
        return [timeslot.period for timeslot in found[option.pk]]

    def found(self, number: int = 0, period: Period | None = None) -> SlotOffer:
        search = SlotSearch(fleet=self.guest, periods=period or slot(10, 11), now=NOW, depot=self.depot)
        offers = {offer.evse.pk: offer for offer in find_slots(search) if offer.evse}
        return offers[self.evses[number].pk]


@pytest.fixture
def place() -> Place:
    depot = make_depot(open_to_all=False, time_zone="UTC")
    guest = make_fleet()
    agreement = open_depot(depot, guest)
    return Place(depot, [make_evse(depot) for _ in range(3)], guest, agreement)


def refused(code: str, act: Any) -> errors.BookingError:
    with pytest.raises(errors.BookingError) as refusal:
        act()
    assert refusal.value.code == code
    return refusal.value


def everywhere(place: Place, code: str, period: Period, *, number: int = 0) -> list[errors.BookingError]:
    """The same refusal at every door at which somebody asks for a time: of each what was said."""
    elsewhere = book_slot(**place.ask(number, slot(18, 19)))
    ask = operations.ChangeRequest(period=period)

    def dragged() -> Booking:
        return operations.change_booking(elsewhere.pk, ask, by="depot", actor=MANAGER, now=NOW)

    said = [
        refused(code, lambda: book_slot(**place.ask(number, period))),
        refused(code, lambda: place_hold(**place.ask(number, period))),
        refused(code, lambda: change_slot(booking_id=elsewhere.pk, period=period)),
        refused(code, dragged),
    ]
    offer = place.found(number, period)
    assert offer.refusal is not None
    assert offer.refusal.code == code
    assert not any(free.overlaps(period) and free.covers(period) for free in place.calendar(number))
    return said


def test_guests_have_slots_in_their_windows_alone(place):
    make_rule(place.agreement, "window", weekdays=TUESDAY, from_minute=17 * 60, to_minute=22 * 60)

    said = everywhere(place, "outside_guest_hours", slot(10, 11))

    assert "Tue 17:00–22:00" in str(said[0])
    assert said[0].nearest == slot(17, 18)
    assert place.calendar() == [Period(at(17), at(18)), Period(at(19), at(20))]


def test_a_window_reaches_over_midnight_and_joins_the_next_ones(place):
    make_rule(place.depot, "window", weekdays=[1, 2], from_minute=22 * 60, to_minute=6 * 60)
    make_rule(place.depot, "window", weekdays=[3], from_minute=6 * 60, to_minute=7 * 60)

    assert book_slot(**place.ask(period=Period(at(23), at(2, day=1))))
    assert book_slot(**place.ask(period=Period(at(5, day=1), at(7, day=1))))
    refused("outside_guest_hours", lambda: book_slot(**place.ask(1, Period(at(6, day=1), at(8, day=1)))))


def test_the_agreements_windows_go_before_those_of_the_depot(place):
    make_rule(place.depot, "window", from_minute=0, to_minute=60)
    make_rule(place.agreement, "window", from_minute=9 * 60, to_minute=12 * 60)

    assert book_slot(**place.ask())


def test_the_own_fleet_is_bound_by_no_window_and_no_quota_of_guests(place):
    make_rule(place.depot, "window", from_minute=0, to_minute=60)
    make_rule(place.depot, "own_first")
    make_rule(place.depot, "quota", amount=1, counts="guests")

    for number in range(3):
        assert book_slot(**place.ask(number, fleet=place.depot.operator))


def test_the_own_fleet_is_first_until_shortly_before(place):
    make_rule(place.depot, "own_first", ahead_min=120, from_minute=9 * 60, to_minute=17 * 60)

    said = everywhere(place, "own_fleet_first", slot(13, 14))

    assert "until 2 h before" in str(said[0])
    assert said[0].nearest == slot(17, 18)
    assert book_slot(**place.ask(period=slot(10, 11)))  # in two hours
    assert place.calendar(1) == [slot(8, 10), slot(17, 20)]
    assert book_slot(now=NOW + timedelta(hours=3), **place.ask(period=slot(13, 14)))


def test_what_is_kept_for_the_own_fleet_for_good_is_never_a_guests(place):
    make_rule(place.depot, "own_first", from_minute=9 * 60, to_minute=17 * 60)

    refused("own_fleet_first", lambda: book_slot(**place.ask(period=slot(9, 10))))

    assert place.calendar() == [slot(8, 9), slot(17, 20)]


@pytest.mark.parametrize(("unit", "amount"), [("evses", 1), ("percent", 50)])
def test_a_quota_of_evses_is_told_and_held_at_every_door(place, unit, amount):
    make_rule(place.agreement, "quota", unit=unit, amount=amount, from_minute=9 * 60, to_minute=15 * 60)
    book_slot(**place.ask(0, slot(10, 11)))

    said = everywhere(place, "quota_reached", slot(10, 11), number=1)

    assert "Your quota here is 1 EVSE at the same time (every day 09:00–15:00)" in str(said[0])
    assert said[0].nearest == slot(9, 10)
    assert place.calendar(2) == [slot(8, 10), slot(11, 20)]
    assert book_slot(**place.ask(1, slot(16, 17)))
    assert book_slot(**place.ask(2, slot(16, 17)))


def test_a_quota_of_one_guest_leaves_others_their_own(place):
    other = make_fleet()
    open_depot(place.depot, other)
    make_rule(place.depot, "quota", amount=1)
    book_slot(**place.ask(0))

    refused("quota_reached", lambda: book_slot(**place.ask(1)))

    assert book_slot(**place.ask(1, fleet=other))
    assert slot(10, 11) not in place.calendar(2, fleet=other)


def test_all_guests_together_have_their_share_beside_their_own_quotas(place):
    other = make_fleet()
    open_depot(place.depot, other)
    make_rule(place.depot, "quota", amount=2, counts="guests")
    make_rule(place.agreement, "quota", amount=5)
    book_slot(**place.ask(0))
    book_slot(**place.ask(1, fleet=other))

    said = refused("quota_reached", lambda: book_slot(**place.ask(2)))

    assert "What guests together may have here is 2 EVSEs" in str(said)
    assert book_slot(**place.ask(2, fleet=place.depot.operator))


def test_a_quota_of_power_promises_what_is_left_of_it(place):
    make_rule(place.agreement, "quota", unit="kw", amount=500)

    first = book_slot(**place.ask(0, power_w=300_000))
    second = book_slot(**place.ask(1))
    said = refused("quota_reached", lambda: book_slot(**place.ask(2)))

    assert (first.promised_power_w, second.promised_power_w) == (300_000, 200_000)
    assert "500 kW at the same time (every day), and it is used up then" in str(said)
    assert place.found(2).refusal.code == "quota_reached"


def test_a_wish_beyond_a_quota_of_power_says_what_is_left(place):
    make_rule(place.agreement, "quota", unit="kw", amount=250)
    book_slot(**place.ask(0, power_w=100_000))

    said = refused("quota_reached", lambda: book_slot(**place.ask(1, power_w=200_000)))

    assert "of which 150 kW are left then" in str(said)


def test_a_quota_below_the_least_of_an_evse_offers_nothing(place):
    make_rule(place.agreement, "quota", unit="kw", amount=330)
    book_slot(**place.ask(0, power_w=300_000))

    refused("quota_reached", lambda: book_slot(**place.ask(1)))


@pytest.mark.parametrize("fleet", ["guest", "own"])
def test_evses_kept_for_walk_ins_are_nobodys_to_book(place, fleet):
    make_rule(place.depot, "walk_in", amount=1, from_minute=8 * 60, to_minute=16 * 60)
    who = place.guest if fleet == "guest" else place.depot.operator
    book_slot(**place.ask(0, fleet=who))
    book_slot(**place.ask(1, fleet=place.depot.operator))

    said = refused("kept_for_walk_ins", lambda: book_slot(**place.ask(2, fleet=who)))

    assert "every day 08:00–16:00" in str(said)
    assert said.nearest == slot(9, 10)
    assert place.calendar(2, fleet=who) == [slot(8, 10), slot(11, 20)]


def test_an_option_may_keep_evses_by_itself(place):
    pool = make_option(*place.evses[:2])
    make_rule(place.depot, "walk_in", amount=1, option=pool)
    book_slot(**place.ask(0))

    refused("kept_for_walk_ins", lambda: book_slot(**place.ask(1)))

    assert book_slot(**place.ask(2))


def test_a_closed_evse_is_none_that_walk_ins_have(place):
    make_rule(place.depot, "walk_in", amount=1)
    operations.close_evse(evse=place.evses[0], period=slot(9, 12), actor=MANAGER, now=NOW)
    book_slot(**place.ask(1))

    refused("kept_for_walk_ins", lambda: book_slot(**place.ask(2)))


def test_a_hold_that_ran_out_uses_no_quota_and_is_swept(place):
    make_rule(place.agreement, "quota", amount=1)
    held = place_hold(**place.ask(0))

    refused("quota_reached", lambda: book_slot(**place.ask(1)))
    assert book_slot(now=NOW + timedelta(minutes=11), **place.ask(1))

    held.refresh_from_db()
    assert held.status == "expired"


def test_a_booking_may_move_and_grow_within_its_own_share(place):
    make_rule(place.agreement, "quota", amount=1)
    booking = book_slot(**place.ask(0))

    moved = change_slot(booking_id=booking.pk, period=slot((10, 30), (11, 30)))
    assert moved.period == slot((10, 30), (11, 30))
    dragged = operations.change_booking(
        booking.pk, operations.ChangeRequest(evse=place.evses[1]), by="depot", actor=MANAGER, now=NOW
    )
    assert dragged.evse_id == place.evses[1].pk


def test_what_stands_when_a_quota_is_lowered_keeps_its_time_and_gets_no_more(place):
    first, second = (book_slot(**place.ask(number)) for number in (0, 1))
    book_slot(**place.ask(2, slot(12, 13)))
    make_rule(place.agreement, "quota", amount=1)

    assert change_slot(booking_id=first.pk, period=slot(10, (10, 45))).period == slot(10, (10, 45))
    refused("quota_reached", lambda: change_slot(booking_id=second.pk, period=slot(10, (12, 30))))


def test_a_change_that_waits_for_the_depot_is_counted_as_one_booking(place):
    make_rule(place.agreement, "quota", amount=1)
    booking = book_slot(**place.ask(0))
    Booking.objects.filter(pk=booking.pk).update(terms_json={**booking.terms_json, "approval": True})

    change_slot(booking_id=booking.pk, period=slot((10, 30), (11, 30)))
    refused("quota_reached", lambda: book_slot(**place.ask(1, slot(11, 12))))
    decided = operations.decide(booking_id=booking.pk, accept=True, actor=MANAGER, now=NOW)

    assert decided.period == slot((10, 30), (11, 30))
    assert book_slot(**place.ask(1, slot(9, 10)))


def test_a_change_that_waits_leaves_walk_ins_theirs(place):
    make_rule(place.depot, "walk_in", amount=1)
    booking = book_slot(**place.ask(0))
    book_slot(**place.ask(1))
    pool = make_option(*place.evses)
    Booking.objects.filter(pk=booking.pk).update(
        terms_json={**booking.terms_json, "approval": True}, option=pool
    )

    refused("kept_for_walk_ins", lambda: change_slot(booking_id=booking.pk, evse=place.evses[2]))


def test_a_partners_ask_is_declined_for_its_quota_and_its_calendar_says_so(place):
    partner = make_partner()
    agreement = open_depot(place.depot, partner.organisation)
    make_rule(agreement, "quota", amount=1)
    ask = place.ask(0, fleet=partner.organisation, vehicle=None, tokens=[])

    assert ask_for_slot(**ask).status == "confirmed"
    again = ask_for_slot(**place.ask(1, fleet=partner.organisation, vehicle=None, tokens=[]))

    assert again.status == "declined"
    assert place.calendar(1, fleet=partner.organisation) == [slot(8, 10), slot(11, 20)]
    assert place.calendar(1) == [slot(8, 20)]


def test_no_slot_reaches_beyond_the_end_of_the_agreement(place):
    Agreement.objects.filter(pk=place.agreement.pk).update(ends_at=at(12))

    late = place.ask(period=slot((11, 30), (12, 30)))
    said = refused("outside_guest_hours", lambda: book_slot(**late))

    assert "ends at Tue 15 Jan 12:00" in str(said)
    assert place.calendar() == [slot(8, 12)]
    assert book_slot(**place.ask(period=slot(11, 12)))


def test_a_booking_marks_the_calendars_of_all_that_it_is_counted_with(place):
    make_rule(place.agreement, "quota", amount=1)
    calendars.raise_marked(lambda: NOW)
    book_slot(**place.ask(0))

    assert set(calendars.raise_marked(lambda: NOW)) == {option_of(evse).pk for evse in place.evses}


def test_partners_see_what_their_own_quota_leaves_and_others_theirs(place):
    one, other = make_partner(), make_partner()
    make_rule(place.depot, "quota", amount=1)
    open_depot(place.depot)
    option = option_of(place.evses[1])
    book_slot(**place.ask(0, fleet=one.organisation, vehicle=None, tokens=[]))

    views = published.views([one, other], [option.pk], now=NOW)
    offers = published.viewed(set(views.values()), now=NOW)
    free = {
        partner: [timeslot.period for timeslot in offers[views[partner.pk, option.pk]].timeslots]
        for partner in (one, other)
    }

    assert not any(period.overlaps(slot(10, 11)) for period in free[one])
    assert any(period.covers(slot(10, 11)) for period in free[other])
    assert [t.period for t in published.offers(one, [option], now=NOW)[0].timeslots] == free[one]


def test_partners_hear_of_hours_that_the_own_fleet_has_left_every_quarter_of_an_hour(place):
    calendars.raise_marked(lambda: NOW)
    assert operations.tell_of_released_hours(now=NOW) == 0
    make_rule(place.depot, "own_first", ahead_min=60)
    calendars.raise_marked(lambda: NOW)

    seconds = (3, 8, 890, 902, 907)  # whenever in a quarter a tick comes, and one of it alone
    told = [operations.tell_of_released_hours(now=NOW + timedelta(seconds=after)) for after in seconds]
    assert told == [1, 0, 0, 1, 0]
    assert len(calendars.raise_marked(lambda: NOW)) == 3
