"""One record of each session, no-show and late cancellation, in the transaction that ends it; never changed, only credited."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction

from bookings import operations, scheduler
from bookings.actors import SCHEDULER
from bookings.billing.cdrs import Issue, credit, lock, reissue, settle_session
from bookings.billing.errors import RecordSettled
from bookings.billing.snapshots import token_of
from bookings.models import Booking, ChargeDetailRecord, TariffBinding, Token
from bookings.pricing.bills import Bill
from bookings.rules.tariff_bindings import FIRST_MOMENT, LAST_MOMENT
from bookings.signals import cdr_issued
from depots import operations as depots
from depots.models import ChargingSession, MeterReading
from depots.periods import Period
from tests.billing_factories import (
    BOOKING,
    CHARGING,
    amounts,
    charge,
    correct,
    make_version,
    priced,
    priced_booking,
    records,
    standing,
    uses,
)
from tests.bookings.enforcement.charging_trucks import stop
from tests.bookings.enforcement.online_chargers import TERMS, book, evse_online, start
from tests.factories import DISPATCHER, MANAGER, at, make_depot, make_fleet, make_operator, make_vehicle

pytestmark = pytest.mark.django_db


# Sessions


def test_a_session_of_a_booking_is_billed_when_it_ends_with_what_the_booking_costs():
    booking = priced_booking()

    session = charge(booking)

    (cdr,) = records()
    assert (cdr.kind, cdr.session, cdr.booking, cdr.customer) == ("session", session, booking, booking.fleet)
    assert (cdr.operator, cdr.number, cdr.code) == (
        booking.depot.operator,
        1,
        f"NL{booking.depot.operator.cpo_party_id}-00000001",
    )
    assert amounts([cdr]) == [("55.00", "10.45")]
    assert (cdr.net_by_rate, cdr.currency) == ([["19", "55.00"]], "EUR")
    assert (cdr.energy_wh, cdr.charging_s, cdr.parking_s) == (100_000, 1800, 0)
    assert (cdr.starts_at, cdr.ends_at, cdr.issued_at) == (at(10), at(10, 30), at(10, 30))
    assert uses(cdr) == [("booking", "flat"), ("charging", "energy")]
    assert (cdr.plate, cdr.flags, cdr.remark) == (booking.plate, [], f"booking {booking.reference}, used")
    assert cdr.token["uid"] == booking.tokens.get().uid
    assert (cdr.place["evse_uid"], cdr.place["location_id"]) == (booking.evse.uid, booking.depot.location_id)
    assert cdr.periods == [
        {"starts_at": "2030-01-15T10:00:00Z", "booked_s": 3600},
        {"starts_at": "2030-01-15T10:00:00Z", "energy_kwh": "100", "charging_s": 1800},
    ]


def test_a_record_names_the_token_that_was_shown_also_where_its_booking_names_another():
    booking = priced_booking()
    session = charge(booking)
    fellow = Token.objects.create(fleet=booking.fleet, uid="04FE110E", contract_id="NL-OPR-FELLOW-1")

    session.token_uid, session.token_type = fellow.uid, ""
    assert token_of(booking.fleet, booking, session)["contract_id"] == fellow.contract_id

    session.token_uid = "04FE110F"
    assert token_of(booking.fleet, booking, session)["uid"] == booking.tokens.get().uid


def test_the_stop_of_a_session_that_was_taken_for_over_is_its_end_and_is_flagged_once():
    booking = priced_booking()
    session = start(booking.evse, booking.tokens.get().uid, at(10))
    there = {"charger_id": session.charger_id, "evse_number": session.evse.number}
    depots.report_status(**there, status="available", at=at(10, 40), now=at(10, 40))
    assert depots.end_silent_session(session_id=session.pk, now=at(12))
    (guessed,) = records()
    assert (guessed.flags, guessed.ends_at) == (["no_stop"], at(10))

    for _ in range(2):
        correct(session, at(10, 30), 100_000, at(13))

    session.refresh_from_db()
    assert (session.flags, session.ended_at) == (["stop_told_late"], at(10, 30))
    (cdr,) = standing()
    assert (cdr.flags, cdr.energy_wh, cdr.ends_at) == (["stop_told_late"], 100_000, at(10, 30))
    assert len(records()) == 3
    assert Booking.objects.get(pk=booking.pk).metered_wh == 100_000


def test_a_bill_is_read_back_as_it_was_made():
    charge(priced_booking())

    bill = Bill.from_json(records()[0].bill)

    assert sum(line.cost.before_taxes for line in bill.lines) == Decimal("55.0000")


def test_whoever_follows_is_told_of_each_record():
    heard = []

    def hear(cdr: ChargeDetailRecord, **_: object) -> None:
        heard.append(cdr.pk)

    cdr_issued.connect(hear)
    try:
        charge(priced_booking())
    finally:
        cdr_issued.disconnect(hear)

    assert heard == [records()[0].pk]


def test_a_stop_told_twice_is_one_record():
    booking = priced_booking()
    session = charge(booking)

    correct(session, at(10, 30), 100_000, now=at(10, 31))

    assert len(records()) == 1


def test_overtime_is_billed_from_the_booked_end_and_the_late_stop_of_its_terms():
    booking = priced_booking(terms={"late_stop_min": 10})

    charge(booking, at(10), at(11, 30))

    (cdr,) = records()
    assert uses(cdr)[:2] == [("booking", "flat"), ("overtime", "time")]
    assert amounts([cdr]) == [("75.00", "14.25")]
    assert cdr.periods[-1] == {"starts_at": "2030-01-15T11:10:00Z", "overtime_s": 1200}


def test_of_several_sessions_the_first_carries_the_booking_and_the_last_its_overtime():
    booking = priced_booking()
    charge(booking, at(10), at(10, 10), 20_000)

    charge(booking, at(10, 20), at(11, 10), 60_000)

    first, second = records()
    assert (uses(first), uses(second)) == (
        [("booking", "flat"), ("charging", "energy")],
        [("overtime", "time"), ("charging", "energy")],
    )
    assert amounts([first, second]) == [("15.00", "2.85"), ("40.00", "7.60")]


def test_a_failed_try_has_no_record_and_the_next_session_carries_the_booking():
    booking = priced_booking()
    charge(booking, at(10), at(10, 1), 0)
    assert records() == []

    charge(booking, at(10, 5), at(10, 50), 10_000)

    assert [uses(cdr)[0] for cdr in records()] == [("booking", "flat")]


def test_a_booking_whose_only_try_failed_is_billed_when_it_ends():
    booking = priced_booking()
    session = charge(booking, at(10), at(10, 1), 0)

    scheduler.run_tick(at(11))

    (cdr,) = records()
    assert (cdr.session, uses(cdr), amounts([cdr])) == (session, [("booking", "flat")], [("5.00", "0.95")])


def test_where_nothing_is_due_only_a_session_that_took_place_has_a_record():
    free = priced(priced_booking(), None, BOOKING.__class__("EUR", ()))
    charge(free, at(10), at(10, 1), 0)
    scheduler.run_tick(at(11))
    assert records() == []

    other = priced(priced_booking(), CHARGING.__class__("EUR", ()), None)
    charge(other)
    assert amounts(records()) == [("0.00", "0.00")]


def test_without_a_tariff_there_is_no_record():
    booking = priced(priced_booking(), None, None)

    charge(booking)

    assert records() == []


def test_a_booking_tariff_in_another_currency_is_never_added():
    francs = BOOKING.__class__("CHF", BOOKING.elements)
    booking = priced(priced_booking(), CHARGING, francs)

    charge(booking)

    (cdr,) = records()
    assert (cdr.currency, amounts([cdr]), cdr.flags) == ("EUR", [("50.00", "9.50")], ["other_currency"])


def test_a_record_of_an_own_fleet_at_its_own_depot_is_issued_too():
    operator = make_operator()
    vehicle = make_vehicle(operator)

    charge(priced_booking(evse_online(make_depot(operator, terms=TERMS)), vehicle=vehicle))

    assert [(cdr.operator, cdr.customer) for cdr in records()] == [(operator, operator)]


# What comes late


def test_a_late_stop_with_another_meter_credits_the_record_and_issues_it_anew():
    booking = priced_booking()
    session = charge(booking, wh=None)
    assert records()[0].flags == ["no_meter_stop"]

    correct(session, at(10, 40), 120_000, now=at(12))

    first, taken_back, anew = records()
    assert amounts([first, taken_back, anew]) == [("5.00", "0.95"), ("-5.00", "-0.95"), ("65.00", "12.35")]
    assert (taken_back.credits, taken_back.code, taken_back.number) == (first, f"{first.code}-C", 2)
    assert (anew.replaces, anew.code[-9:], anew.number) == (first, "-00000003", 3)
    assert (anew.ends_at, anew.energy_wh, anew.flags) == (at(10, 40), 120_000, [])
    assert anew.reason == taken_back.reason == "The charger corrected what it had told of the session."
    assert standing() == [anew]


def test_a_late_meter_value_that_changes_no_amount_changes_no_record():
    booking = priced_booking()
    session = charge(booking)

    reading = depots.Reading(at(10, 15), energy_wh=51_000, registers={"": 51_000})
    depots.add_readings(
        charger_id=session.charger_id,
        evse_number=1,
        transaction_id=session.transaction,
        readings=[reading],
        now=at(12),
    )

    assert MeterReading.objects.count() == 1
    assert len(records()) == 1


def test_a_session_told_after_its_no_show_takes_the_fee_back():
    booking = priced_booking()
    scheduler.run_tick(at(10, 15))
    (fee,) = records(kind="no_show")

    start_late = depots.Start(
        evse_number=1, token_uid=booking.tokens.get().uid, key="late", at=at(10, 5), meter_wh=1000
    )
    session = depots.start_session(
        charger_id=booking.evse.charger_id, start=start_late, now=at(10, 50)
    ).session
    stop(session, at(10, 45), 50_000)

    assert [(cdr.kind, f"{cdr.before_taxes:.2f}") for cdr in records()] == [
        ("no_show", "30.00"), ("no_show", "-30.00"), ("session", "30.00"),
    ]  # fmt: skip
    assert records()[1].credits == fee
    assert [cdr.kind for cdr in standing()] == ["session"]


# Walk-ins


def walk_in(*owners, content=CHARGING, wh: int | None = 100_000) -> ChargingSession:
    evse = evse_online(make_depot(terms={**TERMS, "walk_in": "anybody"}))
    version = make_version(evse.depot.operator, content)
    TariffBinding.objects.create(
        tariff=version.tariff, kind="charging", depot=evse.depot, valid=Period(FIRST_MOMENT, LAST_MOMENT)
    )
    for owner in owners:
        Token.objects.create(fleet=owner, uid="04CAFE")
    session = start(evse, "04CAFE", at(10))
    stop(session, at(10, 30), wh)
    return session


def test_a_walk_in_is_billed_to_the_owner_of_its_card_at_the_tariff_in_force():
    fleet = make_fleet()

    session = walk_in(fleet)

    (cdr,) = records()
    assert (cdr.customer, cdr.booking, cdr.session) == (fleet, None, session)
    assert (amounts([cdr]), cdr.remark) == ([("50.00", "9.50")], "without a booking")
    assert cdr.token["uid"] == "04CAFE"


def test_whose_a_card_is_not_known_or_not_certain_has_no_record():
    walk_in()
    Token.objects.all().delete()
    walk_in(make_fleet(), make_fleet())

    assert records() == []


@pytest.mark.parametrize("owners", [0, 2])
def test_a_walk_in_whom_nobody_can_be_billed_for_is_flagged_for_a_person(owners):
    session = walk_in(*[make_fleet() for _ in range(owners)])

    session.refresh_from_db()
    assert session.flags == ["no_payer"]


def test_one_who_is_known_once_its_charger_tells_more_is_billed_and_flagged_no_more():
    session = walk_in(wh=None)
    session.refresh_from_db()
    assert "no_payer" in session.flags
    fleet = make_fleet()
    Token.objects.create(fleet=fleet, uid="04CAFE")

    correct(session, at(10, 40), 120_000, now=at(12))

    session.refresh_from_db()
    assert "no_payer" not in session.flags
    assert [cdr.customer for cdr in records()] == [fleet]


def test_what_costs_nothing_or_charged_nothing_is_not_flagged():
    free = evse_online(make_depot(terms={**TERMS, "walk_in": "anybody"}))
    sessions = [start(free, "04CAFE", at(10)), walk_in(make_fleet())]
    stop(sessions[0], at(10, 30), 100_000)

    for session in sessions:
        session.refresh_from_db()
        assert "no_payer" not in session.flags


# No-shows and late cancellations


def test_a_no_show_costs_its_fee_once():
    """Checklist 55."""
    booking = priced_booking()

    scheduler.run_tick(at(10, 15))
    scheduler.run_tick(at(10, 16))

    (cdr,) = records()
    assert (cdr.kind, amounts([cdr]), cdr.session, cdr.energy_wh) == ("no_show", [("30.00", "5.70")], None, 0)
    assert (cdr.starts_at, cdr.ends_at) == (at(10), at(11))
    assert cdr.periods == [{"starts_at": "2030-01-15T10:00:00Z", "expired_s": 3600}]
    assert booking.reference in cdr.remark


def test_a_no_show_at_a_dead_charger_costs_nothing():
    booking = priced_booking()
    depots.close_connection(charger_id=booking.evse.charger_id, holder="gw", now=at(9, 50))

    scheduler.run_tick(at(10, 15))

    assert booking.events.filter(kind="waived").exists()
    assert records() == []


def cancelled(now, *, by="fleet", **terms) -> Booking:
    evse = evse_online(make_depot(terms={**TERMS, "cancel_until_min": 60, "late_cancel": True, **terms}))
    booking = priced(book(evse))
    actor = DISPATCHER if by == "fleet" else MANAGER
    return operations.cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by=by, actor=actor, now=now)


def test_a_late_cancellation_costs_its_fee():
    booking = cancelled(at(9, 30))

    (cdr,) = records()
    assert (cdr.kind, cdr.booking, amounts([cdr])) == ("cancellation", booking, [("15.00", "2.85")])
    assert (cdr.starts_at, cdr.ends_at) == (at(9, 30), at(9, 30))
    assert cdr.remark.startswith("cancellation")


@pytest.mark.parametrize(("now", "by"), [(at(9), "fleet"), (at(9, 30), "depot")])
def test_in_time_or_by_the_depot_a_cancellation_costs_nothing(now, by):
    cancelled(now, by=by)

    assert records() == []


# Credits and new issues


def test_a_record_is_credited_once_and_a_credit_never():
    charge(priced_booking())
    (cdr,) = records()

    with transaction.atomic():
        taken_back = credit(lock(cdr), Issue(MANAGER, at(12), "A mistake"))

    assert (taken_back.energy_wh, taken_back.bill, taken_back.periods) == (
        cdr.energy_wh,
        cdr.bill,
        cdr.periods,
    )
    assert (taken_back.net_by_rate, taken_back.issued_by_name) == ([["19", "-55.00"]], MANAGER.name)
    for settled in (cdr, taken_back):
        with pytest.raises(RecordSettled), transaction.atomic():
            credit(lock(settled), Issue(MANAGER, at(12)))


def test_what_a_person_credited_or_issued_anew_stays_when_the_charger_corrects_itself():
    booking = priced_booking()
    session = charge(booking)
    (cdr,) = records()
    with transaction.atomic():
        credit(lock(cdr), Issue(MANAGER, at(12)))
        reissue(lock(cdr), Bill.from_json(cdr.bill), Issue(MANAGER, at(12), "Without the fee"))

    correct(session, at(10, 40), 120_000, now=at(13))

    assert [cdr.number for cdr in standing()] == [3]


def test_numbers_of_records_have_no_gap_when_a_transaction_fails():
    booking = priced_booking()
    session = start(booking.evse, booking.tokens.get().uid, at(10))
    with transaction.atomic():
        stop(session, at(10, 20), 100_000)
        transaction.set_rollback(True)
    assert records() == []

    stop(session, at(10, 30), 100_000)

    assert [cdr.number for cdr in records()] == [1]


def test_what_a_charger_took_back_and_then_tells_after_all_is_billed():
    session = charge(priced(priced_booking(), booked=None))
    told_wh = session.meter_stop_wh

    for stop_wh in (session.meter_start_wh, told_wh):
        session.meter_stop_wh = stop_wh
        session.save(update_fields=["meter_stop_wh"])
        settle_session(session, now=at(12))

    first, taken_back, anew = records()
    assert amounts([first, taken_back, anew]) == [("50.00", "9.50"), ("-50.00", "-9.50"), ("50.00", "9.50")]
    assert anew.replaces == first


def test_the_fee_of_a_record_that_was_taken_back_goes_with_the_next_session():
    booking = priced_booking()
    charge(booking, at(10), at(10, 10), 20_000)
    credit(lock(ChargeDetailRecord.objects.get()), Issue(SCHEDULER, at(10, 15)))

    later = charge(booking, at(10, 20), at(10, 50), 30_000)

    assert uses(ChargeDetailRecord.objects.get(session=later))[0] == ("booking", "flat")
