"""Whoever tries to break a rule, by whatever door, gets the same refusal, and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from bookings import operations
from bookings.errors import BookingError, CancelTooLate
from bookings.models import Booking, Occupancy, TermsOverride
from bookings.rules.entitlement import TokenName
from depots.models import Depot, Evse
from depots.periods import Period
from tests.doors.customers import Answer, Customer, Manager, Wish
from tests.doors.doors import (
    BOOK,
    CANCEL,
    CHANGE,
    OCPI,
    delay_by_api,
    delay_by_page,
    drag,
    swap_by_api,
    swap_by_change,
)
from tests.doors.many_doors import by_series, by_trip, wait_for
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_opening_hours,
    make_rule,
    make_vehicle,
    open_depot,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db

TERMS = {
    "lead_min": 30, "min_duration_min": 30, "max_duration_min": 240, "horizon_days": 14, "slot_step_min": 15,
    "change_until_min": 60, "cancel_until_min": 30, "overlapping_tokens": False, "late_cancel": False,
}  # fmt: skip


@dataclass
class Site:
    """Three EVSEs at a depot that is open to a fleet with two trucks and to a network."""

    depot: Depot = field(default_factory=lambda: make_depot(terms=TERMS, open_to_all=False))

    def __post_init__(self) -> None:
        self.evses: list[Evse] = [make_evse(self.depot) for _ in range(3)]
        self.fleet = Customer.with_trucks(make_fleet(), 2)
        self.network = Customer.network()
        self.agreements = [open_depot(self.depot, customer.fleet) for customer in (self.fleet, self.network)]
        self.manager = Manager(self.depot)

    def wish(self, period: Period = slot(12, 13), **more: Any) -> Wish:
        return Wish(option_of(self.evses[0]), period, **{"vehicle": self.fleet.trucks[0], **more})

    def booked(self, customer: Customer, period: Period) -> Booking:
        vehicle = customer.trucks[0] if customer.trucks else None
        tokens = None if vehicle else [TokenName("04A1B2C3D4E5F6", "RFID", *customer.caller.party, "C1")]
        party = ("", "") if vehicle else customer.caller.party
        return book_slot(
            fleet=customer.fleet, option=option_of(self.evses[0]), vehicle=vehicle, period=period, tokens=tokens,
            party=party,
        )  # fmt: skip

    def taken_by(
        self, customer: Customer, period: Period = slot(12, 13), evse: int = 0, **more: Any
    ) -> Booking:
        """A booking beside whose vehicle there is nothing else."""
        vehicle = None if customer.partner else make_vehicle(customer.fleet)
        return book_slot(
            fleet=customer.fleet, option=option_of(self.evses[evse]), vehicle=vehicle, period=period, **more
        )


@pytest.fixture
def site() -> Iterator[Site]:
    with time_machine.travel(NOW, tick=False):
        yield Site()


Case = Callable[[Site], Wish]


def slot_taken(site: Site) -> Wish:
    site.taken_by(Customer.with_trucks(site.depot.operator, 0))
    return site.wish()


def depot_closed(site: Site) -> Wish:
    make_opening_hours(site.depot, 6 * 60, 12 * 60)
    return site.wish()


def not_aligned(site: Site) -> Wish:
    return site.wish(slot((12, 5), (13, 5)))


def too_short(site: Site) -> Wish:
    return site.wish(slot(12, (12, 15)))


def too_long(site: Site) -> Wish:
    return site.wish(slot(12, 17))


def too_soon(site: Site) -> Wish:
    return site.wish(slot((8, 15), 9))


def too_far_ahead(site: Site) -> Wish:
    return site.wish(slot(12, 13, day=20))


def power_unavailable(site: Site) -> Wish:
    Depot.objects.filter(pk=site.depot.pk).update(grid_limit_w=500_000)
    book_slot(
        fleet=site.depot.operator, option=option_of(site.evses[1]), vehicle=make_vehicle(site.depot.operator),
        period=slot(12, 13), power_w=300_000,
    )  # fmt: skip
    return site.wish(power_w=300_000)


def does_not_fit(site: Site) -> Wish:
    Evse.objects.filter(pk=site.evses[0].pk).update(max_vehicle_height_cm=350)
    site.fleet.trucks[0].height_cm = 400
    site.fleet.trucks[0].save()
    return site.wish()


def token_elsewhere(site: Site) -> Wish:
    book_slot(
        fleet=site.fleet.fleet,
        option=option_of(site.evses[1]),
        vehicle=site.fleet.trucks[0],
        period=slot(12, 13),
    )
    return site.wish()


def too_many_bookings(site: Site) -> Wish:
    TermsOverride.objects.filter(depot=site.depot).update(max_open_bookings=1)
    for customer in (site.fleet, site.network):
        site.taken_by(customer, slot(16, 17), evse=1 if customer is site.fleet else 0)
    return site.wish()


def quota_reached(site: Site) -> Wish:
    for agreement in site.agreements:
        make_rule(agreement, "quota", amount=1)
    site.taken_by(site.fleet, evse=1)
    site.taken_by(site.network, evse=2)
    return site.wish()


def outside_guest_hours(site: Site) -> Wish:
    make_rule(site.depot, "window", from_minute=0, to_minute=6 * 60)
    return site.wish()


def kept_for_walk_ins(site: Site) -> Wish:
    make_rule(site.depot, "walk_in", amount=3)
    return site.wish()


def own_fleet_first(site: Site) -> Wish:
    make_rule(site.depot, "own_first", ahead_min=60)
    return site.wish()


CASES: list[Case] = [
    slot_taken, depot_closed, not_aligned, too_short, too_long, too_soon, too_far_ahead, power_unavailable, does_not_fit,
    token_elsewhere, too_many_bookings, quota_reached, outside_guest_hours, kept_for_walk_ins, own_fleet_first,
]  # fmt: skip
# No power is wished for in the finder: who asks by energy gets what that takes.
WITHOUT_POWER = {"page", "hold on a page"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_a_new_booking_is_refused_alike_by_every_door(case: Case, site: Site) -> None:
    wish = case(site)
    code = case.__name__
    doors = {**BOOK, "series": one_of_a_series, "trip": one_of_a_trip}
    if code == "power_unavailable":
        doors = {name: door for name, door in doors.items() if name not in WITHOUT_POWER}
    refusal = refusal_of(site.fleet, wish, code)
    before = state()

    answers = {name: door(site.fleet, wish) for name, door in doors.items()}

    assert {name: answer for name, answer in answers.items() if not answer.is_for(refusal)} == {}
    assert state() == before


# What no wait would change; the rest may come free, or be allowed, in time.
NEVER: list[Case] = [not_aligned, too_short, too_long, does_not_fit, depot_closed]


@pytest.mark.parametrize("case", [*NEVER, slot_taken], ids=lambda case: case.__name__)
def test_nobody_waits_for_what_is_never_allowed(case: Case, site: Site) -> None:
    wish = case(site)

    assert wait_for(site.fleet, wish) == (case.__name__ if case in NEVER else "waiting")


@pytest.mark.parametrize("case", [does_not_fit, token_elsewhere], ids=lambda case: case.__name__)
def test_another_truck_is_refused_alike_by_every_door(case: Case, site: Site) -> None:
    truck = case(site).vehicle
    assert truck is not None
    booking = book_slot(
        fleet=site.fleet.fleet,
        option=option_of(site.evses[0]),
        vehicle=site.fleet.trucks[1],
        period=slot(12, 13),
    )
    request = operations.ChangeRequest(vehicle=truck)
    refusal = _refused(
        lambda: operations.change_booking(booking.pk, request, actor=DISPATCHER, now=timezone.now()),
        case.__name__,
    )
    before = state()

    answers = {
        "swap": swap_by_api(site.fleet, booking, truck),
        "change": swap_by_change(site.fleet, booking, truck),
    }

    assert {name: answer for name, answer in answers.items() if not answer.is_for(refusal)} == {}
    assert state() == before


def test_a_late_truck_is_refused_alike_where_the_next_one_leaves_no_room(site: Site) -> None:
    booking = site.booked(site.fleet, slot(12, 13))
    site.taken_by(Customer.with_trucks(site.depot.operator, 0), slot(13, 14))
    before = state()

    answers = [delay_by_api(site.fleet, booking, 45), delay_by_page(site.fleet, booking, 45)]

    assert (answers[0].code, [answer.status for answer in answers]) == ("slot_taken", [409, 409])
    assert answers[0].words in answers[1].words
    assert state() == before


# A network's trucks are its own affair.
OF_NETWORKS = [case for case in CASES if case not in {does_not_fit, token_elsewhere}]


@pytest.mark.parametrize("case", OF_NETWORKS, ids=lambda case: case.__name__)
def test_a_network_is_refused_alike(case: Case, site: Site) -> None:
    wish = replace(case(site), vehicle=None)
    refusal = refusal_of(site.network, wish, case.__name__)
    before = state()

    answer = OCPI[0](site.network, wish)

    assert answer.is_for(refusal), (answer, str(refusal))
    assert state() == before


CHANGES: list[Case] = [
    slot_taken, depot_closed, not_aligned, too_short, too_long, too_soon, too_far_ahead, outside_guest_hours, own_fleet_first,
]  # fmt: skip
# The depot moves by the rules of the slot; its guests' deadlines and hours are not its own.
OF_THE_SLOT = {slot_taken, depot_closed, not_aligned, too_short, too_long}


@pytest.mark.parametrize("case", CHANGES, ids=lambda case: case.__name__)
def test_a_change_is_refused_alike_by_every_door(case: Case, site: Site) -> None:
    booking, asked = site.booked(site.fleet, slot(19, 20)), site.booked(site.network, slot(21, 22))
    period = case(site).period
    refusal = refusal_of_change(booking, period, case.__name__)
    before = state()

    answers = {name: door(site.fleet, booking, period) for name, door in CHANGE.items()}
    answers["OCPI"] = OCPI[1](site.network, asked, period)
    if case in OF_THE_SLOT:
        answers["drag"] = drag(site.manager, booking, period)

    assert {name: answer for name, answer in answers.items() if not answer.is_for(refusal)} == {}
    assert state() == before


def test_after_the_deadline_no_door_changes_or_cancels(site: Site) -> None:
    booking, asked = site.booked(site.fleet, slot(10, 11)), site.booked(site.network, slot(11, 12))
    before = state()

    with time_machine.travel(at(9, 45), tick=False):
        late = refusal_of_change(booking, slot(14, 15), "change_too_late")
        answers = {name: door(site.fleet, booking, slot(14, 15)) for name, door in CHANGE.items()}
        # A page that still changes the vehicle says it in its own words.
        page = answers.pop("page")
        with pytest.raises(CancelTooLate) as refused, transaction.atomic():
            operations.cancel_booking(
                booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now()
            )
        too_late = refused.value
        kept = {name: door(site.fleet, booking) for name, door in CANCEL.items()}
    with time_machine.travel(at(10, 45), tick=False):
        asks = [OCPI[1](site.network, asked, slot(14, 15)), OCPI[2](site.network, asked)]

    assert {name: answer for name, answer in answers.items() if not answer.is_for(late)} == {}
    assert (page.booking, page.status) == (None, 422)
    assert "Changes were possible until" in page.words
    assert {name: answer for name, answer in kept.items() if not answer.is_for(too_late)} == {}
    assert [answer.booking for answer in asks] == [None, None]
    assert state() == before


def test_what_is_over_no_door_changes_or_cancels(site: Site) -> None:
    booking = site.booked(site.fleet, slot(10, 11))
    operations.cancel_booking(
        booking_id=booking.pk, reason="BLOCKED", by="depot", actor=MANAGER, now=timezone.now()
    )
    before = state()

    changes = {name: door(site.fleet, booking, slot(14, 15)) for name, door in CHANGE.items()}
    cancels = {name: door(site.fleet, booking) for name, door in CANCEL.items()}

    assert {answer.code for answer in (*changes.values(), *cancels.values()) if answer.code} == {
        "wrong_status"
    }
    assert {answer.status for answer in (*changes.values(), *cancels.values())} <= {0, 409}
    assert state() == before


def test_what_is_allowed_every_door_does(site: Site) -> None:
    doors = {**BOOK, "series": one_of_a_series, "trip": one_of_a_trip, "OCPI": OCPI[0]}
    made = {}
    for number, (name, door) in enumerate(doors.items()):
        customer = site.network if name == "OCPI" else site.fleet
        wish = site.wish(slot(10 + number, 11 + number))
        made[name] = door(customer, wish).booking

    assert {name: booking.status for name, booking in made.items() if booking} == {
        name: "held" if "hold" in name else "confirmed" for name in doors
    }


def one_of_a_series(customer: Customer, wish: Wish) -> Answer:
    return by_series(customer, wish)[0]


def one_of_a_trip(customer: Customer, wish: Wish) -> Answer:
    return by_trip(customer, [wish])[0]


def refusal_of(customer: Customer, wish: Wish, code: str) -> BookingError:
    """What the one function answers, as the refusal it is."""
    asked = operations.SlotRequest(
        fleet=customer.fleet, option=wish.option, vehicle=wish.vehicle, period=wish.period, evse=wish.evse,
        power_w=wish.power_w,
    )  # fmt: skip
    return _refused(lambda: operations.request_booking(asked, actor=DISPATCHER, now=timezone.now()), code)


def refusal_of_change(booking: Booking, period: Period, code: str) -> BookingError:
    request = operations.ChangeRequest(period=period)
    return _refused(
        lambda: operations.change_booking(booking.pk, request, actor=DISPATCHER, now=timezone.now()), code
    )


def _refused(act: Callable[[], Booking], code: str) -> BookingError:
    with pytest.raises(BookingError) as refused, transaction.atomic():
        act()
    assert refused.value.code == code
    return refused.value


def state() -> Any:
    """All that is promised; a network's ask that was declined is kept, and promises nothing."""
    bookings = Booking.objects.exclude(status="declined").order_by("pk")
    return (
        list(bookings.values_list("pk", "status", "starts_at", "ends_at", "evse", "vehicle")),
        list(Occupancy.objects.order_by("pk").values_list("evse", "span", "holder", "power_w")),
    )
