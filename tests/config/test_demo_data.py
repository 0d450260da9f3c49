"""Every sentence of the promise about the demo data, on one load at a fixed time and one nine days later."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import F

from bookings.actors import COMMAND
from bookings.billing.months import Month
from bookings.billing.parties import Party
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import FindingKind
from bookings.billing.reconciliation.report import reconcile
from bookings.billing.reminders import remind_overdue
from bookings.billing.run import bill
from bookings.errors import PowerUnavailable, TokenElsewhere
from bookings.models import (
    LIVE,
    Booking,
    BookingEvent,
    BookingOption,
    BookingPayment,
    BookingStatus,
    ChargeDetailRecord,
    Dispute,
    Invoice,
    Occupancy,
    PaymentTerms,
    PrepaidBalance,
    PrepaidEntry,
    Token,
    Trip,
    Vehicle,
    WaitlistEntry,
)
from bookings.pages.uptime import histories
from bookings.search.availability import free_periods
from bookings.search.bookable import bookable_options, terms_for
from config import demo_data
from config.demo_data import billed_months, diary
from config.demo_data.demo_depots import SIMULATED
from config.demo_data.replay import LONG_OVER
from config.management.commands.demo import _refuse_another_key
from depots.models import Charger, ChargingSession, Depot, Evse, MeterReading, Organisation, User
from depots.periods import Period
from depots.secrets import charger_password_matches
from roaming.models import Partner, PartnerToken
from tests.factories import DISPATCHER, NOW, book_slot

# Those that are over at NOW.
MONTHS = (date(2029, 11, 1), date(2029, 12, 1))
DEMO_UIDS = {f"DEMO-{charger}-{number}" for charger in (1, 2, 3) for number in (1, 2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A BERTH_VAR of its own, for what the simulators are told."""
    before, settings.BERTH_VAR = settings.BERTH_VAR, tmp_path_factory.mktemp("demo")
    yield settings.BERTH_VAR / "simulators"
    settings.BERTH_VAR = before


@pytest.fixture(scope="module")
def loaded(folder: Path, django_db_setup: None, django_db_blocker: Any) -> Iterator[demo_data.Loaded]:
    """The demo, loaded once for all tests here and rolled back after the last of them."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield demo_data.load(now=NOW)
        transaction.set_rollback(True)


@pytest.fixture
def demo(loaded: demo_data.Loaded) -> Iterator[demo_data.Loaded]:
    """The loaded demo; what a test does to it is undone."""
    with transaction.atomic():
        yield loaded
        transaction.set_rollback(True)


def everything() -> dict[str, int]:
    """How many rows of each kind there are, and the versions of the bookings."""
    kinds = [
        Organisation, User, Depot, Charger, Evse, BookingOption, Vehicle, Token, Booking, BookingEvent, ChargingSession,
        MeterReading, Occupancy, Partner, PartnerToken, Trip, WaitlistEntry,
    ]  # fmt: skip
    return {kind.__name__: kind.objects.count() for kind in kinds} | {
        "versions": sum(Booking.objects.values_list("version", flat=True))
    }


def own_options(code: str = "LP-VEN") -> list[BookingOption]:
    return list(BookingOption.objects.filter(depot__code=code).prefetch_related("evses"))


def book(plate: str, option: str, period: Period, **fields: Any) -> Booking:
    vehicle = Vehicle.objects.select_related("fleet").get(plate=plate)
    return book_slot(
        fleet=vehicle.fleet, option=BookingOption.objects.get(code=option), period=period, vehicle=vehicle,
        actor=DISPATCHER, now=NOW, **fields,
    )  # fmt: skip


def tomorrow(hour: int, minutes: int = 60, days: int = 9) -> Period:
    """A slot after the last day of the diary."""
    start = (NOW + timedelta(days=days)).replace(hour=hour)
    return Period(start, start + timedelta(minutes=minutes))


def test_there_are_three_fleets_with_vehicles_tokens_and_a_dispatcher_each(demo):
    for name, party in {"Nordfracht": "DE*NFE", "Alpentrans": "AT*ALP", "Baltcargo": "LT*BLC"}.items():
        fleet = Organisation.objects.get(name=name)
        assert fleet.emsp_party == party
        assert fleet.vehicles.count() >= 6
        assert all(vehicle.tokens.exists() for vehicle in fleet.vehicles.all())
        assert fleet.memberships.filter(
            role="dispatcher", user__email=f"dispatcher@{name.lower()}.example"
        ).exists()


def test_there_are_two_operators_with_depots_in_six_time_zones_two_of_them_on_the_way_to_basel(demo):
    operators = {
        depot.operator.name: depot.operator.cpo_party for depot in Depot.objects.select_related("operator")
    }
    assert operators == {"Ladepark": "NL*LPK", "Nordfracht": "DE*NFR"}
    assert Depot.objects.count() == 8
    assert len(set(Depot.objects.values_list("time_zone", flat=True))) == 6


def test_there_are_at_least_48_evses_from_150_kw_to_12_mw_with_ccs_and_mcs(demo):
    assert Evse.objects.count() >= 48
    powers = set(Evse.objects.values_list("max_power_w", flat=True))
    assert (min(powers), max(powers)) == (150_000, 1_200_000)
    assert set(Evse.objects.values_list("connectors__standard", flat=True)) == {"IEC_62196_T2_COMBO", "MCS"}


def test_one_site_power_limit_binds(demo):
    for bay in ("LIS-1-1", "LIS-2-1"):
        book("HH-NF 100", bay, tomorrow(10), power_w=400_000)

    with pytest.raises(PowerUnavailable) as refused:
        book("HH-NF 200", "LIS-3-1", tomorrow(10), power_w=400_000)
    # Of the 200 kW that are left each of the three other free EVSEs keeps its least, 50 kW.
    assert refused.value.available_w == 50_000
    assert book("HH-NF 200", "LIS-3-1", tomorrow(10)).promised_power_w == 50_000


def test_there_are_several_weeks_of_bookings_in_every_status(demo):
    statuses = Counter(Booking.objects.values_list("status", flat=True))
    assert set(statuses) == set(BookingStatus.values)
    assert statuses["completed"] > 50
    weeks = {booking.starts_at.isocalendar().week for booking in Booking.objects.filter(starts_at__lt=NOW)}
    assert len(weeks) >= 3


def test_the_present_and_the_coming_days_look_alive(demo):
    assert Booking.objects.filter(status="charging", starts_at__lte=NOW, ends_at__gt=NOW).count() >= 2
    for days in range(4):
        day = NOW + timedelta(days=days)
        assert Booking.objects.filter(status="confirmed", starts_at__date=day.date()).count() >= 3


def test_a_trip_is_planned_and_a_truck_waits_for_a_slot_that_is_taken(demo):
    trip = Trip.objects.get()
    assert (trip.status, trip.fleet.name, trip.stops.count()) == ("booked", "Nordfracht", 2)
    entry = WaitlistEntry.objects.get()
    assert (entry.status, entry.fleet.name) == ("waiting", "Nordfracht")
    taken = Booking.objects.filter(evse=entry.evse, starts_at=entry.starts_at, status="confirmed")
    assert taken.exclude(fleet=entry.fleet).exists()


def test_nothing_of_the_past_is_left_undone(demo):
    assert not Booking.objects.filter(status__in=LIVE, ends_at__lte=NOW).exists()
    assert not ChargingSession.objects.filter(ended_at=None, booking__ends_at__lte=NOW).exists()


def test_timelines_are_plausible(demo):
    for booking in Booking.objects.prefetch_related("events"):
        times = [event.at for event in booking.events.all()]
        assert times == sorted(times)
        assert times[0] >= booking.created_at
        assert times[-1] <= NOW
        assert booking.created_at < booking.starts_at


def test_completed_bookings_have_sessions_with_readings_that_rise(demo):
    for booking in Booking.objects.filter(status="completed").select_related("session", "evse"):
        session = booking.session
        assert session.evse == booking.evse
        assert session.started_at < session.ended_at <= NOW
        assert session.energy_wh > 0
        meter = [reading.energy_wh for reading in session.readings.all()]
        assert meter == sorted(meter)
        assert meter[-1] == (session.meter_stop_wh or session.meter_last_wh)
    registers: dict[int, int] = {}
    for session in ChargingSession.objects.order_by("started_at"):
        assert session.meter_start_wh >= registers.get(session.evse_id, 0)
        registers[session.evse_id] = session.meter_last_wh


def test_chargers_have_a_week_behind_them_in_which_not_all_went_well(demo):
    evses = Evse.objects.filter(charger__identity__in=SIMULATED).select_related("charger")
    [*figures] = [each.figures.all_time[7] for each in histories(evses, now=NOW, days=(7,))]
    depot = sum(figures[1:], figures[0])

    assert all(each.share is not None and each.share > 0.9 for each in figures)
    assert 0.98 < (depot.share or 0) < 1
    assert min(depot.faults, depot.times_offline) >= 3
    assert depot.mean_time_to_repair


def test_one_operator_offers_24_evses_one_by_one_and_one_pool_to_everybody(demo):
    partner = Organisation.objects.create(
        name="Somebody", country_code="XX", emsp_party_id="SBY", is_partner=True
    )
    for guest in [partner, *Organisation.objects.filter(emsp_party_id__in=["NFE", "ALP", "BLC"])]:
        options = [o for o in bookable_options(guest, now=NOW) if o.depot.operator.name == "Ladepark"]
        alone = [o for o in options if o.depot.code == "LP-VEN" and len(o.evses.all()) == 1]
        pools = [o for o in options if len(o.evses.all()) > 1]
        assert len(alone) == 24
        assert [pool.code for pool in pools] == ["VEN-POOL"]
        assert all(option.code == option.evses.get().uid for option in alone)


def test_the_decision_is_automatic_everywhere_but_at_one_depot(demo):
    fleet = Organisation.objects.get(name="Alpentrans")
    approving = {o.depot.code: terms_for(o, fleet, now=NOW) for o in bookable_options(fleet, now=NOW)}
    assert {code for code, terms in approving.items() if terms.approval} == {"NF-LNZ"}
    assert approving["NF-LNZ"].decision_min == 15


def test_the_usual_terms_hold_everywhere_but_at_the_demo_chargers(demo):
    fleet = Organisation.objects.get(name="Alpentrans")
    for option in bookable_options(fleet, now=NOW):
        terms = terms_for(option, fleet, now=NOW)
        assert terms.horizon_days == 14
        if option.code in DEMO_UIDS:
            continue
        assert (terms.slot_step_min, terms.min_duration_min, terms.max_duration_min) == (15, 30, 240)
        assert (terms.change_until_min, terms.cancel_until_min, terms.lead_min) == (60, 30, 0)


def test_one_depot_closes_at_night_and_does_not_charge_then(demo):
    dublin = Depot.objects.get(code="LP-DUB")
    assert not dublin.charging_when_closed
    assert not dublin.is_open(tomorrow(23))
    assert not dublin.is_open(Period(tomorrow(21).starts_at, tomorrow(23).starts_at))
    assert dublin.is_open(tomorrow(12))


def test_one_depot_forbids_overlapping_tokens(demo):
    book("HH-NF 100", "VNO-1-1", tomorrow(10))

    with pytest.raises(TokenElsewhere):
        book("HH-NF 100", "VNO-2-1", tomorrow(10))
    assert Depot.objects.filter(terms__overlapping_tokens=False).count() == 1


def test_hours_enough_are_free_on_the_individual_evses(demo):
    alone = [option.evses.get().pk for option in own_options() if option.code != "VEN-POOL"]
    free = free_periods(alone, Period(NOW, NOW + timedelta(days=2)), now=NOW)
    assert sum(period.minutes for periods in free.values() for period in periods) / 60 >= 400


def test_two_months_that_are_over_have_been_billed_by_both_operators(demo):
    billed = set(Invoice.objects.filter(kind="invoice").values_list("supplier__name", "month"))

    assert billed == {(name, month) for name in ("Nordfracht", "Ladepark") for month in MONTHS}
    for invoice in Invoice.objects.all():
        assert invoice.cdrs.count() == invoice.cdr_count > 0
        assert invoice.sent_at is not None
        assert invoice.issued_on <= NOW.date()
    unbilled = ChargeDetailRecord.objects.filter(invoiced=None).exclude(customer=F("operator"))
    # One customer's address was missing: reconciliation says so.
    unbilled = unbilled.exclude(operator__name="Nordfracht", customer__name="Alpentrans")
    assert not unbilled.filter(ends_at__lt=datetime(2029, 12, 31, 20, tzinfo=UTC)).exists()


@pytest.mark.parametrize(
    ("name", "side", "kinds"),
    [
        ("Alpentrans", Side.PAYABLE, {FindingKind.LINE_DIFFERS}),
        (
            "Nordfracht",
            Side.PAYABLE,
            {FindingKind.INVOICED_TWICE, FindingKind.RECORD_UNBOOKED, FindingKind.LINE_UNRECORDED},
        ),
        ("Nordfracht", Side.RECEIVABLE, {FindingKind.INVOICE_MISSING, FindingKind.RECORD_UNBOOKED}),
        ("Ladepark", Side.RECEIVABLE, {FindingKind.RECORD_UNBOOKED}),
    ],
)
def test_both_sides_have_something_to_reconcile(demo, name, side, kinds):
    organisation = Organisation.objects.get(name=name)

    report = reconcile(Books(organisation.pk, side, Month.of(MONTHS[1])), now=NOW)

    assert {finding.kind for finding in report.findings} == kinds
    assert report.matched > 0


def test_billing_the_last_month_again_prints_the_same(demo):
    ladepark = Organisation.objects.get(name="Ladepark")

    run = bill(operator=ladepark, month=Month.of(MONTHS[1]), actor=COMMAND, now=NOW)

    assert len(run.documents) == 3
    assert not any(document.created for document in run.documents)


def test_everything_that_is_over_and_costs_something_has_a_record(demo):
    for booking in Booking.objects.filter(status="completed"):
        assert booking.cdrs.filter(kind="session", credits=None).count() == 1
    fees = {"waived": 0, "due": 0}
    for booking in Booking.objects.filter(status="no_show"):
        is_waived = booking.events.filter(kind="waived").exists()
        assert booking.cdrs.filter(credits=None).count() == (0 if is_waived else 1)
        fees["waived" if is_waived else "due"] += 1
    assert fees["waived"] == 1 < fees["due"]
    assert ChargeDetailRecord.objects.filter(booking=None, kind="session").count() == 4  # walk-ins
    assert ChargeDetailRecord.objects.filter(flags__contains=["no_meter_stop"]).count() == 2
    kinds = {(cdr.customer.name, cdr.operator.name) for cdr in ChargeDetailRecord.objects.all()}
    assert {("Nordfracht", "Ladepark"), ("Alpentrans", "Nordfracht"), ("Baltcargo", "Ladepark")} <= kinds


def test_a_fee_was_waived_by_hand_and_lines_were_disputed_with_every_outcome(demo):
    assert BookingEvent.objects.filter(kind="fee_waived").count() == 1
    assert Counter(Dispute.objects.values_list("outcome", flat=True)) == {
        "accepted": 1,
        "rejected": 1,
        "open": 1,
    }
    note = Invoice.objects.get(kind="credit_note")
    assert note.corrects.supplier == note.supplier
    assert note.total == note.corrects.payments.get(means="credit_note").amount


def test_invoices_are_paid_open_and_reminded(demo):
    paid = Invoice.objects.filter(kind="invoice", settled_at__isnull=False)
    [reminded] = Invoice.objects.filter(reminders__isnull=False).distinct()
    still_open = Invoice.objects.filter(settled_at=None, kind="invoice", due_on__gt=NOW.date())

    assert paid.exists()
    assert still_open.exists()
    assert (reminded.settled_at, reminded.month) == (None, MONTHS[0])
    assert [reminder.level for reminder in reminded.reminders.all()] == [1, 2, 3]
    assert remind_overdue(now=NOW) == 0


def test_one_fleet_has_a_credit_limit_at_one_depot_and_longer_to_pay(demo):
    terms = PaymentTerms.objects.get(credit_limit__isnull=False)

    assert (terms.agreement.guest.name, terms.agreement.depot.code) == ("Baltcargo", "LP-VEN")
    assert terms.credit_limit > 0
    last = Invoice.objects.get(supplier__name="Ladepark", customer__name="Baltcargo", month=MONTHS[1])
    assert last.due_on > NOW.date() + timedelta(days=30)


def test_one_fleet_pays_first_at_one_depot_and_a_booking_of_it_waits_for_the_rest(demo):
    terms = PaymentTerms.objects.get(before="prepayment")
    waiting = BookingPayment.objects.get(status="asked")
    balance = PrepaidBalance.objects.get()

    assert (terms.agreement.guest.name, terms.agreement.depot.code) == ("Alpentrans", "LP-DUB")
    assert waiting.booking.status == "requested"
    assert 0 < balance.available < waiting.amount
    assert PrepaidEntry.objects.filter(customer=balance.customer).count() > 1


def test_whoever_bills_says_what_an_invoice_must_say(demo):
    for name in ("Nordfracht", "Ladepark", "Alpentrans", "Baltcargo"):
        assert Party.of(Organisation.objects.get(name=name)).faults(as_supplier=True) == {}


@pytest.mark.parametrize("today", [date(2026, 11, 1), date(2026, 12, 31), date(2027, 3, 1)])
def test_whatever_day_it_is_the_tales_lie_in_the_two_months_before(today):
    months = {Month.of(tale.period.starts_at.date()) for tale in billed_months.tales(today)}

    assert months == {Month.of(today).previous, Month.of(today).previous.previous}


def test_a_demo_from_before_there_were_invoices_is_given_what_they_need(demo):
    User.objects.filter(email__startswith="accountant@").delete()
    Organisation.objects.filter(name="Ladepark").update(legal_name="", vat_id="")
    Organisation.objects.filter(name="Nordfracht").update(legal_name="My own")

    demo_data.load(now=NOW + timedelta(minutes=2))

    assert User.objects.get(email="accountant@ladepark.example").check_password("berth-demo")
    assert Organisation.objects.get(name="Ladepark").vat_id == "NL000099998B57"
    assert Organisation.objects.get(name="Nordfracht").legal_name == "My own"


@pytest.mark.parametrize(
    "email",
    [
        "dispatcher@nordfracht.example", "manager@nordfracht.example", "dispatcher@alpentrans.example",
        "dispatcher@baltcargo.example", "manager@ladepark.example", "viewer@nordfracht.example", "admin@berth.example",
        "accountant@nordfracht.example", "accountant@ladepark.example", "accountant@alpentrans.example",
    ],
)  # fmt: skip
def test_everybody_signs_in_with_the_same_password(demo, email):
    user = User.objects.get(email=email)
    assert user.check_password("berth-demo")
    assert user.memberships.exists()


@pytest.mark.parametrize(
    ("identity", "protocol", "password"),
    [
        ("DEMO-1", "ocpp1.6", "demo-1-secret"), ("DEMO-2", "ocpp2.0.1", "demo-2-secret0123"),
        ("DEMO-3", "ocpp2.1", "demo-3-secret0123"),
    ],
)  # fmt: skip
def test_three_chargers_wait_for_ones_own(demo, folder, identity, protocol, password):
    charger = Charger.objects.get(identity=identity)
    assert (charger.depot.code, charger.protocol) == ("NF-HAM", protocol)
    assert charger_password_matches(password, salt=charger.password_salt, hashed=charger.password_hash)
    assert sorted(evse.uid for evse in charger.evses.all()) == [f"{identity}-1", f"{identity}-2"]
    assert not Booking.objects.filter(evse__charger=charger).exists()
    told = json.loads((folder / "chargers.json").read_text())["chargers"]
    assert identity not in {row["identity"] for row in told}


def test_nordfrachts_first_depot_is_hamburg(demo):
    assert Depot.objects.filter(operator__name="Nordfracht").order_by("pk").first().code == "NF-HAM"
    assert Depot.objects.filter(operator__name="Nordfracht").order_by("name").first().code == "NF-HAM"


def test_the_demo_chargers_are_booked_by_the_minute_and_at_once(demo):
    fleet = Organisation.objects.get(name="Baltcargo")
    for uid in DEMO_UIDS:
        terms = terms_for(BookingOption.objects.get(code=uid), fleet, now=NOW)
        assert (terms.slot_step_min, terms.min_duration_min, terms.max_duration_min, terms.lead_min) == (
            1,
            2,
            240,
            0,
        )
        assert (terms.early_start_min, terms.late_stop_min, terms.turnaround_min, terms.no_show_min) == (
            15,
            0,
            0,
            2,
        )
        assert (terms.arm_lead_min, terms.change_until_min, terms.cancel_until_min) == (15, 0, 0)
        assert not terms.approval
    start = NOW + timedelta(minutes=1)
    assert book("HH-NF 100", "DEMO-1-1", Period(start, start + timedelta(minutes=2))).status == "confirmed"


def test_every_vehicle_of_the_demo_can_use_the_demo_chargers(demo):
    start = tomorrow(2).starts_at
    for vehicle in Vehicle.objects.order_by("pk"):
        assert (
            book(vehicle.plate, "DEMO-2-1", Period(start, start + timedelta(minutes=2))).status == "confirmed"
        )
        start += timedelta(minutes=2)


def test_two_trucks_carry_the_known_tokens_and_are_free(demo):
    for plate, uid in {"HH-NF 100": "04AABBCCDD10", "HH-NF 200": "04AABBCCDD20"}.items():
        vehicle = Vehicle.objects.get(plate=plate, fleet__name="Nordfracht")
        assert [(token.uid, token.type) for token in vehicle.tokens.all()] == [(uid, "RFID")]
        assert not vehicle.bookings.exists()


def test_the_simulators_are_told_what_they_need(demo, folder):
    chargers = json.loads((folder / "chargers.json").read_text())["chargers"]
    assert (folder / "chargers.json").stat().st_mode & 0o077 == 0
    for row in chargers:
        charger = Charger.objects.get(identity=row["identity"])
        assert row["protocol"] == charger.protocol
        assert charger_password_matches(
            row["password"], salt=charger.password_salt, hashed=charger.password_hash
        )
    running = {evse["uid"]: evse["running"] for row in chargers for evse in row["evses"] if evse["running"]}
    open_sessions = ChargingSession.objects.filter(ended_at=None)
    assert set(running) == {session.evse.uid for session in open_sessions}
    invitation = json.loads((folder / "invitation.json").read_text())
    assert invitation["versions_url"].endswith("/ocpi/versions")
    assert Partner.objects.get().organisation.name == "Simulated Charging Network"


def test_a_second_call_changes_nothing(demo, folder):
    before = everything(), (folder / "chargers.json").read_text(), (folder / "invitation.json").read_text()

    again = demo_data.load(now=NOW + timedelta(minutes=2))

    assert (again.is_new, again.made) == (False, 0)
    assert (
        everything(),
        (folder / "chargers.json").read_text(),
        (folder / "invitation.json").read_text(),
    ) == before


def test_a_demo_whose_data_were_made_under_another_key_is_refused(demo, settings):
    _refuse_another_key()

    settings.BERTH_STORAGE_KEYS = ["another"]
    with pytest.raises(CommandError, match="another key"):
        _refuse_another_key()


def test_what_somebody_changed_in_the_demo_stays_changed(demo):
    Depot.objects.filter(code="LP-VEN").update(name="My own")
    User.objects.filter(email="manager@ladepark.example").update(password="other")

    demo_data.load(now=NOW + timedelta(days=1))

    assert Depot.objects.get(code="LP-VEN").name == "My own"
    assert User.objects.get(email="manager@ladepark.example").password == "other"


def test_a_later_start_settles_what_went_by_and_plans_what_is_to_come(demo):
    later = NOW + timedelta(days=3, hours=13)

    again = demo_data.load(now=later)

    assert again.made > 30
    over = Booking.objects.filter(ends_at__lte=later - LONG_OVER)
    assert not over.filter(status__in=[BookingStatus.CONFIRMED, BookingStatus.CHARGING]).exists()
    assert Booking.objects.filter(status="charging", ends_at__gt=later).count() >= 2
    assert Booking.objects.filter(status="confirmed", starts_at__gt=later).count() >= 20
    assert Booking.objects.filter(status="requested", decide_until__gt=later).count() == 2
    assert demo_data.load(now=later + timedelta(minutes=1)).made == 0


def test_the_diary_is_the_same_every_time():
    day = NOW.date()

    assert diary.day(3, day) == diary.day(3, day)
    assert diary.day(3, day) != diary.day(4, day)


def test_the_diary_keeps_its_days_when_it_is_read_later():
    epoch = NOW.date()
    begin = diary.first_day(epoch)
    first = dict(diary.days(epoch, begin, epoch))

    later = dict(diary.days(epoch, begin, epoch + timedelta(days=2)))

    assert first.items() <= later.items()
    assert max(later) == diary.DAYS_AHEAD + 2


@pytest.mark.long
def test_it_loads_in_the_hour_that_comes_twice(db, folder):
    loaded = demo_data.load(now=datetime(2030, 10, 27, 0, 45, tzinfo=UTC))

    assert loaded.made > 100
    assert set(Booking.objects.values_list("status", flat=True)) == set(BookingStatus.values)
