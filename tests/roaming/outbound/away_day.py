"""A day at our depots of which a partner is told nothing while it is away: what changes from hour to hour, and what holds once it
is back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from bookings.billing.cdrs import Issue, credit, lock, reissue
from bookings.core.calendars import raise_marked
from bookings.models import Booking, BookingOption, ChargeDetailRecord, Tariff, Token
from bookings.operations import cancel_booking
from bookings.operations.request_log import ReceivedMessage
from bookings.pricing.bills import Bill
from depots import operations as depots
from depots.models import ChargingSession, Depot, Evse
from roaming.models import Delivery, Partner
from roaming.ocpi import client
from roaming.outbound import deliveries, fan_out, shown_changes, token_changes
from tests.billing_factories import priced
from tests.bookings.enforcement.charging_trucks import stop
from tests.bookings.enforcement.online_chargers import TERMS, armed, evse_online, start
from tests.depots.charging import meter
from tests.factories import (
    DISPATCHER,
    MANAGER,
    PARTNER,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    option_of,
    slot,
)
from tests.money_factories import add_version, make_bound, per_kwh
from tests.roaming.outbound.storing_network import Network
from tests.roaming.partners import Caller, data
from tests.roaming.running import eventually

A_DAY = timedelta(days=1)
# The step at which what was charged is taken back.
BILLED_ANEW = 5
# When the slot of the truck that comes may be used.
BEGINS = at(9, 45)
# A call is given up after these, where nobody answers.
CONNECT_S, ANSWER_S = 0.2, 0.1


class Customer(NamedTuple):
    """A party of a partner that has trucks; behind a hub one of many."""

    partner: Partner
    party: tuple[str, str]

    @property
    def caller(self) -> Caller:
        """Who speaks for the party."""
        country, party = self.party
        caller = Caller(self.partner, **{"OCPI-from-country-code": country, "OCPI-from-party-id": party})
        caller.party = self.party
        return caller


@dataclass
class Guests:
    """What a customer has here: bookings of the day after tomorrow, a truck that charges as the day begins, and one that is to
    come."""

    customer: Customer
    bookings: list[Booking]
    parked: ChargingSession
    stay: Booking
    charging: ChargingSession | None = None


class Day:
    """`guests` are the customers', in their order. The clock stands before BEGINS, and there once all is prepared."""

    def __init__(self, clock: Any, *customers: Customer) -> None:
        self.depot = make_depot(
            make_operator(country_code="NL", cpo_party_id="LPK"), terms={**TERMS, "walk_in": "anybody"}
        )
        for number in range(3 * len(customers)):
            make_evse(self.depot, uid=f"E-{number}")
        self.tariff = make_bound(per_kwh("0.40"), depot=self.depot)
        [self.card] = make_vehicle(make_fleet(country_code="DE", emsp_party_id="NFE")).tokens.all()
        self.guests = [self._guests(customer, number) for number, customer in enumerate(customers)]
        clock.move_to(BEGINS)
        self._change_card(1)
        fan_out.want(BookingOption.objects.values_list("pk", flat=True), now=timezone.now())
        compare()

    def pass_step(self, step: int) -> None:
        """What happens in an hour or two, with 0 for the first."""
        now = timezone.now()
        Evse.objects.filter(uid=f"E-{step % 3}").update(
            status=[Evse.Status.CHARGING, Evse.Status.AVAILABLE][step % 2], status_received_at=now
        )
        Depot.objects.filter(pk=self.depot.pk).update(name=f"Depot at {step}", updated_at=now)
        if step % 6 == 0:
            tariff, price = Tariff.objects.get(code=self.tariff.code), per_kwh(f"0.{50 + step}")
            add_version(tariff, price, number=2 + step // 6, starts_at=now, made_at=now)
        self._change_card(step + 1)
        for guests in self.guests:
            self._move(guests.bookings[step % 3], step)
            self._charge(guests, step)

    def end(self) -> None:
        """Of each partner one booking more, and one less."""
        for number, guests in enumerate(self.guests):
            guests.bookings.append(self._book(guests.customer, 3 * number, 20))
            cancel_booking(
                booking_id=guests.bookings[1].pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now()
            )  # fmt: skip

    def _guests(self, customer: Customer, number: int) -> Guests:
        Token.objects.create(fleet=customer.partner.organisation, uid=f"04AB{number:04}")
        parked = start(evse_online(self.depot, uid=f"P-{number}"), f"04AB{number:04}", timezone.now())
        place = option_of(evse_online(self.depot, uid=f"G-{number}"))
        made = data(customer.caller.book(place, slot(10, 14)))
        stay = armed(priced(Booking.objects.get(reference=made["id"])))
        bookings = [self._book(customer, 3 * number + evse, 8) for evse in range(3)]
        return Guests(customer, bookings, parked, stay)

    def _book(self, customer: Customer, evse: int, hour: int) -> Booking:
        return book_slot(
            fleet=customer.partner.organisation, option=option_of(self.depot.evses.get(uid=f"E-{evse}")),
            period=slot(hour, hour + 1, day=2), party=customer.party, actor=PARTNER, now=timezone.now(),
            message=ReceivedMessage({}),
        )  # fmt: skip

    def _move(self, booking: Booking, step: int) -> None:
        period = slot(10 + step % 6, 11 + step % 6, day=2)
        change_slot(booking_id=booking.pk, period=period, by="depot", actor=DISPATCHER, now=timezone.now())

    def _charge(self, guests: Guests, step: int) -> None:
        """A truck comes for its slot and charges for three steps; the parked one leaves meanwhile. What the first has cost is
        taken back later, and billed anew."""
        now, evse = timezone.now(), guests.stay.evse
        assert evse is not None
        if step == 0:
            guests.charging = start(evse, guests.stay.tokens.get().uid, now)
        elif step == 1:
            stop(guests.parked, now, 20_000)
            meter(evse, depots.Reading(at=now, energy_wh=41_000, power_w=40_000), now=now)
        elif step == 2:
            meter(evse, depots.Reading(at=now, energy_wh=81_000, power_w=40_000), now=now)
        elif step == 3 and guests.charging is not None:
            stop(guests.charging, now, 120_000)
        elif step == BILLED_ANEW:
            bill_anew(ChargeDetailRecord.objects.get(session=guests.charging), now)

    def _change_card(self, step: int) -> None:
        """Blocked, or let in again: whoever was away is to know which of both holds."""
        Token.objects.filter(pk=self.card.pk).update(
            is_blocked=step % 2 == 0, version=F("version") + 1, updated_at=timezone.now()
        )
        with transaction.atomic():
            token_changes.want([self.card.pk], now=timezone.now())


def bill_anew(cdr: ChargeDetailRecord, now: datetime) -> None:
    by = Issue(MANAGER, now, "let off")
    with transaction.atomic():
        credit(locked := lock(cdr), by)
        reissue(locked, Bill.from_json(cdr.bill), by)


def compare() -> None:
    raise_marked(timezone.now)
    shown_changes.want_changed(now=timezone.now())


def nothing_can_be_sent() -> bool:
    """Nothing is under way, and a worker that looked now would take nothing. Nobody takes anything meanwhile."""
    if Delivery.objects.filter(leased_until__gt=timezone.now()).exists():
        return False
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE roaming_delivery IN EXCLUSIVE MODE")
        is_under_way = Delivery.objects.filter(leased_until__gt=timezone.now()).exists()
        taken = deliveries.claim(room=1, now=timezone.now())
        transaction.set_rollback(True)
    return not is_under_way and not taken


def all_is_told() -> bool:
    return not Delivery.objects.filter(next_try_at__isnull=False).exists()


def tell_the_rest(clock: Any) -> None:
    """Let the time pass that it takes, whenever nothing can be sent."""
    eventually(
        lambda: all_is_told() or (nothing_can_be_sent() and clock.shift(timedelta(seconds=20))), "all is told"
    )


@contextmanager
def impatience() -> Iterator[None]:
    """Who never answers is given up on after a moment. What is given up on too early is sent twice, so only then."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "CONNECT_TIMEOUT_S", CONNECT_S)
        patched.setitem(client.Http.call.__kwdefaults__, "time_limit_s", ANSWER_S)
        yield


def booking_paths(guests: Guests) -> list[str]:
    """Where a partner keeps their bookings of the day after tomorrow."""
    return [f"/booking/NL/LPK/{booking.reference}" for booking in guests.bookings]


def check_stored(network: Network, before: dict[str, int]) -> None:
    """Of each object it was told once more than `before` at most, and nothing older than it had; a record to the letter, however
    often."""
    for path, bodies in network.stored.items():
        assert len(bodies) <= before.get(path, 0) + 1, f"{path} was told more than once after the outage"
        stamps = [body["last_updated"] for body in bodies]
        assert stamps == sorted(stamps), path
        assert not path.startswith("/cdrs/") or all(body == bodies[0] for body in bodies)


def check_order(network: Network, guests: Guests) -> None:
    """A session is there before its booking is fulfilled by it, and has ended before it is billed; a record is there before its
    credit, and that before what replaces it."""

    def when(path: str, **said: Any) -> int:
        return next(
            at for at, (told, body) in enumerate(network.told)
            if told == path and said.items() <= body.items()
        )  # fmt: skip

    assert guests.charging is not None
    sessions = {one.pk: f"/sessions/NL/LPK/{one.pk}" for one in (guests.charging, guests.parked)}
    stay = f"/booking/NL/LPK/{guests.stay.reference}"
    assert when(sessions[guests.charging.pk]) < when(stay, reservation_status="FULFILLED")
    billed = {
        pk: [
            f"/cdrs/NL/LPK/{cdr.code}" for cdr in ChargeDetailRecord.objects.filter(session=pk).order_by("pk")
        ]
        for pk in sessions
    }
    assert [len(codes) for codes in billed.values()] == [3, 1], (
        "a record, its credit and what replaces it; a record"
    )
    for pk, records in billed.items():
        order = [when(sessions[pk], status="COMPLETED"), *map(when, records)]
        assert all(first < then for first, then in pairwise(order)), order
