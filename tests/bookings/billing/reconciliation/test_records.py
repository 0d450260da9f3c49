"""What is missing, double, different or never booked among records and Berth's own invoices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings import scheduler
from bookings.actors import Actor
from bookings.billing.errors import NothingToRecord
from bookings.billing.missing_records import issue_missing_record
from bookings.billing.months import Month
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import Finding, FindingKind
from bookings.billing.reconciliation.price_checks import check_prices
from bookings.billing.reconciliation.report import reconcile
from bookings.models import Booking, ChargeDetailRecord, Invoice, PriceCheck
from bookings.operations.cancel import cancel_booking
from depots.models import ChargingSession, Depot, Organisation
from tests.billing_factories import (
    CHARGING,
    back_to_back,
    charge,
    leave,
    make_version,
    priced_booking,
    records,
)
from tests.bookings.billing.billed import (
    ISSUED,
    MIDDLE,
    NOVEMBER,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.factories import at, make_charger, make_evse, make_vehicle
from tests.money_factories import make_cdr

pytestmark = pytest.mark.django_db

Kind = FindingKind
JANUARY = Month(2030, 1)
LATER = datetime(2030, 3, 1, tzinfo=UTC)


def found(
    organisation: Organisation, side: Side = Side.RECEIVABLE, month: Month = NOVEMBER, now: datetime = LATER
) -> list[Finding]:
    return reconcile(Books(organisation.pk, side, month), now=now).findings


def kinds(*of: object, **options: object) -> list[FindingKind]:
    return [finding.kind for finding in found(*of, **options)]  # type: ignore[arg-type]


def test_what_matches_is_counted_and_nothing_else_is_said() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer)
    bill_november(site.operator)

    for organisation, side in ((site.operator, Side.RECEIVABLE), (buyer, Side.PAYABLE)):
        report = reconcile(Books(organisation.pk, side, NOVEMBER), now=LATER)
        assert (report.findings, report.matched) == ([], 1)
        assert report.sums[0].recorded == report.sums[0].invoiced == Decimal(30)


def test_a_session_whose_record_is_missing_is_found_by_both_and_issued_by_the_depot() -> None:
    booking = priced_booking()
    session = charge(booking)
    forget_records()

    [ours] = found(booking.depot.operator, month=JANUARY)
    [theirs] = found(booking.fleet, Side.PAYABLE, JANUARY)
    assert (ours.kind, theirs.kind) == (Kind.SESSION_UNRECORDED, Kind.SESSION_UNRECORDED)
    assert ours.about.session_id == session.pk

    issue_missing_record(session_id=session.pk, booking_id=booking.pk, now=LATER)

    assert [cdr.before_taxes for cdr in records()] == [Decimal(55)]
    assert Kind.SESSION_UNRECORDED not in kinds(booking.depot.operator, month=JANUARY)


def forget_records() -> None:
    """As in a database from before there were any."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL session_replication_role = replica; DELETE FROM bookings_chargedetailrecord"
        )


def test_a_no_show_without_a_record_is_found_unless_it_was_let_off_by_rule() -> None:
    booking = priced_booking()
    Booking.objects.filter(pk=booking.pk).update(status="no_show")

    [finding] = found(booking.depot.operator, month=JANUARY)
    assert (finding.kind, finding.expected) == (Kind.BOOKING_UNRECORDED, Decimal(30))

    booking.events.create(kind="waived", at=LATER, version=1, actor_kind="berth")
    assert found(booking.depot.operator, month=JANUARY) == []


def test_a_slot_that_a_truck_stayed_on_into_without_a_record_is_found_and_issued() -> None:
    _, second, session = back_to_back()
    scheduler.run_tick(at(10, 15))
    leave(session, at(10, 40))
    scheduler.run_tick(at(10, 41))
    forget_records()

    recorded = {finding.kind: finding for finding in found(second.depot.operator, month=JANUARY)}

    finding = recorded[Kind.BOOKING_UNRECORDED]
    assert (finding.about.booking_id, finding.expected) == (second.pk, Decimal(5))
    assert "used by the session of the booking before" in finding.words
    assert issue_missing_record(booking_id=second.pk, now=LATER).kind == "stay"
    assert Kind.BOOKING_UNRECORDED not in kinds(second.depot.operator, month=JANUARY)
    with pytest.raises(NothingToRecord):
        issue_missing_record(booking_id=second.pk, now=LATER)


def test_no_invoice_is_missed_by_the_depot_once_the_month_is_over_and_by_the_fleet_two_weeks_later() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer), record(site, buyer, "12.50")
    early, over = datetime(2029, 11, 30, tzinfo=UTC), datetime(2029, 12, 2, tzinfo=UTC)

    assert kinds(site.operator, now=early) == []
    [finding] = found(site.operator, now=over)
    assert (finding.kind, finding.expected) == (Kind.INVOICE_MISSING, Decimal("42.50"))
    assert kinds(buyer, Side.PAYABLE, now=over) == []
    assert kinds(buyer, Side.PAYABLE) == [Kind.INVOICE_MISSING]


def test_a_record_that_came_after_its_month_was_billed_is_left_out_until_it_is_billed_again() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer)
    bill_november(site.operator)
    late = record(site, buyer, "9.00")

    [finding] = found(site.operator)
    assert (finding.kind, finding.about.cdr_id) == (Kind.RECORD_UNINVOICED, late.pk)

    bill_november(site.operator, now=ISSUED + timedelta(days=1))
    assert found(site.operator) == []


def test_a_record_and_its_credit_that_were_never_billed_are_not_missed() -> None:
    site, buyer = make_site(), make_buyer()
    credit_of(record(site, buyer))

    assert found(site.operator) == []


def test_a_credit_of_what_is_billed_is_missed_until_its_credit_note_is_written() -> None:
    site, buyer = make_site(), make_buyer()
    cdr = record(site, buyer)
    bill_november(site.operator)
    credit_of(cdr)

    [finding] = found(site.operator)
    assert (finding.kind, finding.expected) == (Kind.RECORD_UNINVOICED, Decimal(-30))

    bill_november(site.operator, now=ISSUED + timedelta(days=1))
    assert found(site.operator) == []


def test_two_records_of_one_booking_are_one_too_many() -> None:
    booking = priced_booking()
    same = {
        "depot": booking.depot,
        "customer": booking.fleet,
        "booking": booking,
        "received": {},
        "kind": "session",
    }
    first = make_cdr(**same, starts_at=MIDDLE, ends_at=MIDDLE)
    second = make_cdr(**same, starts_at=MIDDLE, ends_at=MIDDLE)

    twice = [each for each in found(booking.fleet, Side.PAYABLE) if each.kind is Kind.RECORDED_TWICE]
    assert [each.about.cdr_id for each in twice] == [second.pk]
    assert first.code in twice[0].words


def test_a_record_without_a_booking_was_never_booked() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer, kind="session")
    bill_november(site.operator)

    assert kinds(site.operator) == kinds(buyer, Side.PAYABLE) == [Kind.RECORD_UNBOOKED]


def test_a_session_of_a_card_nobody_has_is_the_depots_alone_to_see_and_shows_no_card() -> None:
    site = make_site()
    evse = make_evse(charger=make_charger(site))
    vehicle = make_vehicle(site.operator, token="04AA00000001")
    for uid in ("04FF99887766", "04:AA:00:00:00:01"):
        ChargingSession.objects.create(
            charger=evse.charger, evse=evse, transaction=uid, token_uid=uid, started_at=MIDDLE, start_received_at=MIDDLE,
            ended_at=MIDDLE + timedelta(hours=1), meter_start_wh=0, meter_stop_wh=40_000,
        )  # fmt: skip

    [finding] = found(site.operator)
    assert finding.kind is Kind.SESSION_UNOWNED
    assert vehicle.fleet == site.operator  # whose own card is nobody's finding
    assert "…7766" in finding.words
    assert "04FF99887766" not in finding.words


def test_a_record_under_another_tariff_than_was_promised_is_not_as_quoted() -> None:
    booking = priced_booking()
    charge(booking)
    other = make_version(booking.depot.operator, CHARGING)
    Booking.objects.filter(pk=booking.pk).update(charging_tariff=other)

    assert Kind.QUOTE_DIFFERS in kinds(booking.fleet, Side.PAYABLE, JANUARY)


def test_records_are_priced_again_from_their_own_periods_and_what_comes_out_is_kept() -> None:
    booking = priced_booking()
    charge(booking)
    [cdr] = records()

    assert check_prices(ChargeDetailRecord.objects.all(), now=LATER) == 1
    assert check_prices(ChargeDetailRecord.objects.all(), now=LATER) == 0
    check = PriceCheck.objects.get()
    assert (check.before_taxes, check.taxes) == (cdr.before_taxes, cdr.taxes)
    assert Kind.TARIFF_DIFFERS not in kinds(booking.fleet, Side.PAYABLE, JANUARY)


def test_a_record_with_other_amounts_than_its_tariff_makes_of_its_periods_is_found() -> None:
    booking = priced_booking()
    charge(booking)
    [cdr] = records()
    tampered(f"UPDATE bookings_chargedetailrecord SET before_taxes = 70, taxes = 13.3 WHERE id = {cdr.pk}")

    check_prices(ChargeDetailRecord.objects.all(), now=LATER)

    [finding] = [
        each for each in found(booking.fleet, Side.PAYABLE, JANUARY) if each.kind is Kind.TARIFF_DIFFERS
    ]
    assert (finding.expected, finding.found, finding.difference) == (Decimal(55), Decimal(70), Decimal(15))


def test_an_invoice_that_is_not_the_sum_of_its_records_is_found() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer)
    bill_november(site.operator)
    tampered("UPDATE bookings_invoice SET before_taxes = 31, total = 31 + taxes")

    [finding] = found(site.operator)
    assert (finding.kind, finding.difference) == (Kind.SUM_DIFFERS, Decimal(1))
    assert finding.about.invoice_id == Invoice.objects.get().pk


def test_an_invoice_with_other_vat_than_the_rules_say_is_found() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer)
    bill_november(site.operator)
    tampered("UPDATE bookings_invoice SET taxes = 0, total = before_taxes")

    [finding] = found(site.operator)
    assert (finding.kind, finding.expected) == (Kind.VAT_DIFFERS, Decimal("6.30"))


def test_an_invoice_in_another_currency_than_its_records_or_of_others_is_found() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer)
    bill_november(site.operator)
    tampered(f"UPDATE bookings_chargedetailrecord SET currency = 'SEK', operator_id = {make_seller('X').pk}")

    assert {Kind.WRONG_CURRENCY, Kind.WRONG_PARTY} <= set(kinds(site.operator))


def tampered(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL session_replication_role = replica; {statement}")
        cursor.execute("SET LOCAL session_replication_role = origin")


@pytest.mark.parametrize("side", list(Side))
def test_however_many_records_there_are_the_statements_are_as_many(side: Side) -> None:
    site, buyer = make_site(), make_buyer()
    organisation = buyer if side is Side.PAYABLE else site.operator
    counts = []
    for number in (2, 20):
        for _ in range(number):
            record(site, buyer, kind="session")
        bill_november(site.operator, now=ISSUED)
        with CaptureQueriesContext(connection) as queries:
            assert found(organisation, side)
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 13


def test_what_somebody_else_owes_is_not_there() -> None:
    site, buyer = make_site(), make_buyer()
    record(site, buyer)

    assert found(make_buyer("Alpentrans"), Side.PAYABLE) == found(make_seller("Other")) == []
    assert (
        reconcile(Books(buyer.pk, Side.PAYABLE, NOVEMBER, make_seller("Third").pk), now=LATER).findings == []
    )


def at_a_partners(**fields: object) -> Booking:
    """Of ours at a depot that a partner network owns, used in January 2030, a hundred kWh expected for 40."""
    booking = priced_booking()
    Depot.objects.filter(pk=booking.depot_id).update(is_mirror=True)
    quote = {
        "energy_wh": 100_000, "bill": {"currency": "EUR", "total": {"before_taxes": "40.00", "taxes": []}, "lines": []},
    }  # fmt: skip
    told = {
        "route": "outbound",
        "status": "completed",
        "charging_tariff": None,
        "booking_tariff": None,
        "quote": quote,
    }
    Booking.objects.filter(pk=booking.pk).update(**told | fields)
    booking.refresh_from_db()
    return booking


def test_a_record_that_a_partner_owes_of_a_used_booking_is_missed_after_three_days() -> None:
    booking = at_a_partners()
    soon, later = booking.ends_at + timedelta(days=2), booking.ends_at + timedelta(days=4)

    assert kinds(booking.fleet, Side.PAYABLE, JANUARY, now=soon) == []
    assert kinds(booking.fleet, Side.PAYABLE, JANUARY, now=later) == [Kind.BOOKING_UNRECORDED]


@pytest.mark.parametrize(
    ("net", "energy_wh", "is_odd"), [("44", 100_000, True), ("44", 120_000, False), ("40", 90_000, False)]
)
def test_a_partners_record_is_odd_where_it_is_dearer_for_no_more_energy(
    net: str, energy_wh: int, is_odd: bool
) -> None:
    booking = at_a_partners()
    make_cdr(
        depot=booking.depot, customer=booking.fleet, booking=booking, kind="session", received={"id": "X"}, number=None,
        before_taxes=Decimal(net), taxes=Decimal(0), energy_wh=energy_wh, starts_at=booking.starts_at, ends_at=booking.ends_at,
    )  # fmt: skip

    assert (Kind.QUOTE_DIFFERS in kinds(booking.fleet, Side.PAYABLE, JANUARY)) == is_odd


def test_a_late_cancellation_without_a_record_is_found_and_issued_as_of_then() -> None:
    booking = priced_booking(terms={"late_cancel": True, "cancel_until_min": 60})
    cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=Actor.dispatcher("d@fleet.example"),
        now=booking.starts_at - timedelta(minutes=5),
    )  # fmt: skip
    forget_records()

    [finding] = found(booking.depot.operator, month=JANUARY)
    assert (finding.kind, finding.expected) == (Kind.BOOKING_UNRECORDED, Decimal(15))

    cdr = issue_missing_record(booking_id=booking.pk, now=LATER)
    assert (cdr.kind, cdr.before_taxes, cdr.starts_at) == (
        "cancellation", Decimal(15), booking.starts_at - timedelta(minutes=5),
    )  # fmt: skip
