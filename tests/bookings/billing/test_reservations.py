"""What a reservation costs, by the tariff of charging (OCPI 2.3.0 mod_tariffs): before a session, by itself, or nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bookings import operations
from bookings.billing.reconciliation.price_checks import reprice
from bookings.imports.tariff_schemas import TariffRow
from bookings.models import Booking, BookingStatus, ChargeDetailRecord
from bookings.operations import SlotRequest, mark_no_show
from bookings.pricing.bills import Bill
from bookings.pricing.tariff_content import TariffContent
from bookings.rules.entitlement import TokenName
from bookings.rules.quotes import quoted
from bookings.rules.reservations import ReservedTime, kept_before, period_of_reservation
from bookings.rules.tariff_bindings import TariffInForce, Tariffs
from bookings.rules.tariff_contents import contents
from depots.periods import Period, utc_text
from tests.billing_factories import BOOKING, amounts, priced, standing
from tests.bookings.enforcement.charging_trucks import stop
from tests.bookings.enforcement.online_chargers import armed, evse_online, start
from tests.bookings.pricing.worked import element, energy, flat, hourly, tariff
from tests.factories import MANAGER, NOW, PARTNER, at, make_fleet, option_of
from tests.money_factories import make_bound

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
# Not at a whole minute: what is billed is counted from the very second.
MADE = NOW + timedelta(seconds=20)
SAMPLES = json.loads((Path(__file__).parents[2] / "samples/prices/worked.json").read_text())
BY_TIME = tariff(element(hourly(6), use="RESERVATION"), energy("0.5"))


def sample(name: str, visit: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        one for one in SAMPLES if (one["tariff_name"], one["visit"]) == (name, visit)
    ]
    return found[0]


def content_of(told: dict[str, Any]) -> TariffContent:
    return TariffRow.model_validate(told["file"]["tariff"]).content()


def reserve(
    content: TariffContent, lasts: timedelta = HOUR, *, now: Any = MADE, replaces: Booking | None = None
) -> Booking:
    """Kept by its charger, under this tariff."""
    evse = replaces.evse if replaces is not None else evse_online()
    request = SlotRequest(
        fleet=replaces.fleet if replaces is not None else make_fleet(is_partner=True),
        option=option_of(evse),
        period=period_of_reservation(now + lasts, now=now),
        tokens=[TokenName("04AB")],
        reserved=ReservedTime(now, now + lasts),
    )
    booking = operations.reserve_now(request, replaces=replaces, actor=PARTNER, now=now)
    return priced(armed(booking, now), content, BOOKING)


def charge(booking: Booking, begin: Any, end: Any, wh: int = 20_000) -> None:
    assert booking.evse is not None
    stop(start(booking.evse, "04AB", begin), end, wh)


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("reservation by the hour", 15),
        ("reservation with a fee", 13),
        ("reservation with a fee when it expires", 22),
        ("reservation with a dearer hour when it expires", 22),
    ],
)
def test_a_reservation_that_is_used_is_billed_with_its_session_as_in_the_worked_examples(
    name: str, minutes: int
) -> None:
    told = sample(name, f"{minutes} minutes reserved")
    booking = reserve(content_of(told))

    begin = MADE + timedelta(minutes=minutes)
    charge(booking, begin, begin + HOUR)

    (cdr,) = ChargeDetailRecord.objects.all()
    assert cdr.before_taxes == Decimal(str(told["before_taxes"]))
    assert cdr.before_taxes + cdr.taxes == Decimal(str(told["after_taxes"]))
    assert (cdr.kind, cdr.starts_at, cdr.ends_at, cdr.charging_s) == ("session", MADE, begin + HOUR, 3600)
    assert cdr.periods[0] == {"starts_at": "2030-01-15T08:00:20Z", "reserved_s": minutes * 60}
    assert (cdr.booking_tariff, cdr.remark) == (None, f"reservation {booking.reference}, used")


def test_what_a_reservation_is_said_to_cost_has_the_time_it_is_kept_for() -> None:
    """At 6.00 an hour: an hour kept, and what is charged after it."""
    evse, fleet = evse_online(), make_fleet(is_partner=True)
    make_bound(*BY_TIME.elements, option=option_of(evse))
    until = MADE + HOUR
    request = SlotRequest(
        fleet=fleet, option=option_of(evse), period=period_of_reservation(until, now=MADE), tokens=[TokenName("04AB")],
        reserved=ReservedTime(MADE, until),
    )  # fmt: skip

    quote = operations.reserve_now(request, actor=PARTNER, now=MADE).quote

    assert Bill.from_json(quote["bill"]).reservation.before_taxes == 6
    assert {line["use"] for line in quote["bill"]["lines"]} == {"reservation", "charging"}
    assert quote["assumes"]["reserved_s"] == 3600
    assert quote["assumes"]["starts_at"] == utc_text(until)


@pytest.mark.parametrize(("minutes", "kept_min"), [(120, 15), (15, 15), (5, 5), (0, 0), (-5, 0)])
def test_by_best_effort_a_partners_charger_is_kept_for_a_quarter_of_an_hour_at_most(
    minutes: int, kept_min: int
) -> None:
    starts_at = NOW + timedelta(minutes=minutes)
    kept = kept_before(starts_at, now=NOW)
    slot = Period(starts_at, starts_at + HOUR)
    held = Tariffs(TariffInForce(1, "T", "", 1, None, None, BY_TIME), None)

    quote = quoted(held, slot, ZoneInfo("UTC"), power_w=100_000, vehicle=None, reserved=kept)

    assert (kept.duration if kept else timedelta()) == timedelta(minutes=kept_min)
    assert quote is not None
    assert quote.bill.reservation.before_taxes == Decimal(kept_min) / 10
    assert quote.bill.energy.before_taxes == 50


@pytest.mark.parametrize(
    ("name", "visit", "lasts"),
    [
        ("reservation with a fee when it expires", "an hour expired", HOUR),
        ("reservation with a dearer hour when it expires", "1.5 hours expired", 1.5 * HOUR),
    ],
)
def test_a_reservation_that_expires_is_billed_as_in_the_worked_examples(
    name: str, visit: str, lasts: timedelta
) -> None:
    told = sample(name, visit)
    booking = reserve(content_of(told), lasts)

    mark_no_show(booking_id=booking.pk, now=booking.no_show_at())

    (cdr,) = ChargeDetailRecord.objects.all()
    assert (cdr.kind, cdr.kind_words, cdr.session) == ("no_show", "Expired reservation", None)
    assert (cdr.starts_at, cdr.ends_at, cdr.energy_wh) == (MADE, MADE + lasts, 0)
    assert cdr.before_taxes == Decimal(str(told["before_taxes"]))
    assert cdr.before_taxes + cdr.taxes == Decimal(str(told["after_taxes"]))
    assert cdr.periods == [{"starts_at": "2030-01-15T08:00:20Z", "expired_s": int(lasts.total_seconds())}]
    assert reprice(cdr, contents([cdr.charging_tariff_id])).total.before_taxes == cdr.before_taxes


def test_a_reservation_that_is_given_back_is_billed_for_the_time_it_was_kept() -> None:
    booking = reserve(BY_TIME)

    operations.give_back(booking, actor=PARTNER, now=MADE + timedelta(minutes=10))

    (cdr,) = ChargeDetailRecord.objects.all()
    assert (cdr.kind, cdr.kind_words, amounts([cdr])) == (
        "cancellation", "Reservation given back", [("1.00", "0.00")],
    )  # fmt: skip
    assert cdr.ends_at == MADE + timedelta(minutes=10)
    assert reprice(cdr, contents([cdr.charging_tariff_id])).total.before_taxes == 1


def test_what_the_depot_takes_back_or_no_charger_kept_costs_nothing() -> None:
    taken, unkept = reserve(BY_TIME), reserve(BY_TIME)
    Booking.objects.filter(pk=unkept.pk).update(enforcement="at_risk", enforcement_why="offline")
    later = MADE + timedelta(minutes=10)

    operations.cancel_booking(
        booking_id=taken.pk, reason="BROKEN_CHARGER", by="depot", actor=MANAGER, now=later
    )
    operations.give_back(unkept, actor=PARTNER, now=later)

    assert not ChargeDetailRecord.objects.exists()


def test_one_that_takes_the_place_of_another_goes_on_with_it_and_is_billed_once() -> None:
    content = tariff(element(flat(2), hourly(6), use="RESERVATION"), energy("0.5"))
    first = reserve(content)

    second = reserve(content, now=MADE + timedelta(minutes=20), replaces=first)
    charge(second, MADE + timedelta(minutes=30), MADE + HOUR)

    first.refresh_from_db()
    (cdr,) = ChargeDetailRecord.objects.all()
    assert (first.status, cdr.booking) == (BookingStatus.CANCELLED, second)
    assert (cdr.starts_at, cdr.periods[0]["reserved_s"]) == (MADE, 1800)
    assert cdr.before_taxes == 2 + 3 + 10


def test_of_several_sessions_of_a_reservation_one_carries_what_it_costs() -> None:
    booking = reserve(tariff(element(flat(2), use="RESERVATION"), energy("0.5")))
    assert booking.evse is not None
    charge(booking, MADE + timedelta(minutes=10), MADE + timedelta(minutes=25))

    charge(booking, MADE + timedelta(minutes=30), MADE + timedelta(minutes=45))

    first, second = standing()
    assert [cdr.before_taxes for cdr in (first, second)] == [12, 10]
    assert [any("reserved_s" in period for period in cdr.periods) for cdr in (first, second)] == [True, False]


def test_a_truck_whose_charger_told_late_that_it_came_pays_no_expired_reservation() -> None:
    booking = reserve(
        tariff(
            element(flat(4), use="RESERVATION_EXPIRED"), element(hourly(6), use="RESERVATION"), energy("0.5")
        ),
        timedelta(minutes=30),
    )
    mark_no_show(booking_id=booking.pk, now=booking.no_show_at())
    assert amounts(standing()) == [("7.00", "0.00")]
    assert booking.evse is not None

    begun = start(booking.evse, "04AB", MADE + timedelta(minutes=10))
    stop(begun, at(9), 20_000)

    assert amounts(standing()) == [("11.00", "0.00")]
