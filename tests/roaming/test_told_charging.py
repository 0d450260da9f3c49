"""What partners tell of our trucks' charging at their depots, and bill for it (ocpi.md 5.5, 5.6, 5.8), in both versions."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from bookings import scheduler
from bookings.billing.months import Month
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import Finding, FindingKind
from bookings.billing.reconciliation.report import reconcile
from bookings.models import Booking, BookingStatus, ChargeDetailRecord, RemoteSession
from roaming.mirror import partner_places
from roaming.models import Partner, PartnerObject
from roaming.ocpi.dialect import dialect_of
from tests.bookings.people import client_of
from tests.factories import DISPATCHER, NOW, book_slot, make_fleet, make_user, make_vehicle, slot
from tests.roaming.partners import (
    VERSIONS,
    Caller,
    adopt_booking,
    adopt_offer,
    code,
    data,
    keep_listed,
    make_partner,
)
from tests.roaming.pushed_objects import booking as pushed_booking
from tests.roaming.pushed_objects import location, offer
from tests.roaming.running import fresh
from tests.roaming.told_charging import CDRS, SESSION, cdr, no_show, period, price, session, token

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(params=VERSIONS)
def partner(request: pytest.FixtureRequest) -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    return make_partner("CPO", country_code="FR", roles=[role], version=request.param)


@pytest.fixture
def caller(partner: Partner) -> Caller:
    return Caller(partner)


@pytest.fixture
def ours(partner: Partner) -> Booking:
    """12 to 13 UTC at LOC-1, which the partner calls CB-881; its reference is REF-1, its card 04AA."""
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")
    read = dialect_of(partner).locations.read(location())
    partner_places.keep_place(partner, read.value)
    option = adopt_offer(partner, offer(), now=NOW).option
    booked = book_slot(
        fleet=fleet, option=option, period=slot(12, 13), vehicle=make_vehicle(fleet, token="04AA"), actor=DISPATCHER,
        now=timezone.now(),
    )  # fmt: skip
    Booking.objects.filter(pk=booked.pk).update(authorization_reference="REF-1")
    adopt_booking(partner, pushed_booking(booked), now=NOW)
    return fresh(booked)


def told() -> RemoteSession:
    return RemoteSession.objects.get(remote_id="S-1")


def records() -> list[ChargeDetailRecord]:
    return list(ChargeDetailRecord.objects.order_by("pk"))


# Sessions


def test_a_session_of_a_bookings_reference_is_the_bookings_and_shows_how_far_it_is(
    caller: Caller, ours: Booking
) -> None:
    assert code(caller.send("PUT", SESSION, session())) == (201, 1000)

    row = told()
    assert (row.booking, row.matched_by, row.vehicle) == (ours, "reference", ours.vehicle)
    assert (row.status, row.energy_wh, row.power_w, row.soc_percent) == ("charging", 20_500, 240_000, 41)
    assert (row.before_taxes, row.taxes) == (Decimal("10.25"), Decimal("2.05"))
    assert fresh(ours).status == BookingStatus.CHARGING
    assert data(caller.get(SESSION.lower())) == session()
    assert code(caller.send("PUT", SESSION, session())) == (200, 1000)
    assert RemoteSession.objects.count() == 1


def test_a_partners_state_that_follows_its_session_is_no_news_for_people(
    caller: Caller, partner: Partner, ours: Booking
) -> None:
    caller.send("PUT", SESSION, session())
    adopt_booking(partner, pushed_booking(ours, reservation_status="FULFILLED"), now=NOW)

    assert fresh(ours).remote_status == "FULFILLED"
    page = client_of(make_user(ours.fleet)).get(ours.get_absolute_url()).content.decode()
    assert page.count("Charging started") == 1
    assert "The partner answered" not in page


def test_a_patch_adds_charging_periods_and_a_put_replaces_them(caller: Caller, ours: Booking) -> None:
    """Checklist 89."""
    caller.send("PUT", SESSION, session())
    later = {
        "kwh": 41,
        "charging_periods": [period("12:10", ENERGY=20.5, POWER=200)],
        "last_updated": "2030-01-15T12:10:00Z",
    }

    assert code(caller.send("PATCH", SESSION, later)) == (200, 1000)

    assert [p["start_date_time"][11:16] for p in data(caller.get(SESSION))["charging_periods"]] == [
        "12:00",
        "12:10",
    ]
    assert (told().energy_wh, told().power_w) == (41_000, 200_000)
    older = {"kwh": 1, "last_updated": "2030-01-15T12:09:00Z"}
    assert code(caller.send("PATCH", SESSION, older)) == (200, 1000)
    assert told().energy_wh == 41_000
    whole = session(
        charging_periods=[period("12:00", ENERGY=50)], kwh=50, last_updated="2030-01-15T12:12:00Z"
    )
    caller.send("PUT", SESSION, whole)
    assert len(data(caller.get(SESSION))["charging_periods"]) == 1


def test_a_session_that_has_waited_to_begin_for_an_hour_is_pointed_out_and_left_as_it_is(
    caller: Caller, ours: Booking, clock: Any
) -> None:
    caller.send("PUT", SESSION, session(status="PENDING", kwh=0))
    dispatcher = client_of(make_user(ours.fleet))

    def is_pointed_out(minute: int) -> bool:
        clock.move_to(slot(12, 13).starts_at + timedelta(minutes=minute))
        return "data-stuck-there" in dispatcher.get(f"/bookings/{ours.pk}/").content.decode()

    assert [is_pointed_out(59), is_pointed_out(60)] == [False, True]
    assert told().remote_status == "PENDING"


def test_the_end_of_a_session_is_the_end_of_its_booking_unless_nothing_was_charged(
    caller: Caller, ours: Booking
) -> None:
    caller.send("PUT", SESSION, session(status="INVALID", kwh=0, last_updated="2030-01-15T12:01:00Z"))
    assert fresh(ours).status == BookingStatus.CONFIRMED

    over = session(id="S-2", status="COMPLETED", kwh=80, end_date_time="2030-01-15T12:45:00Z")
    assert code(caller.send("PUT", SESSION.replace("S-1", "S-2"), over)) == (201, 1000)

    assert (fresh(ours).status, fresh(ours).metered_wh) == (BookingStatus.COMPLETED, 80_000)
    assert not fresh(ours).is_changed_unseen


@pytest.mark.parametrize("word", ["RESERVATION", "RESERVED"])
def test_a_reservation_of_a_booking_is_shown_and_no_energy_and_ends_unused(
    caller: Caller, ours: Booking, word: str
) -> None:
    """The prose of OCPI calls the status RESERVED, the enumeration RESERVATION."""
    kept = {"kwh": 3, "evse_uid": "#NA", "connector_id": "#NA", "charging_periods": []}
    caller.send("PUT", SESSION, session(status=word, **kept))
    person = client_of(make_user(ours.fleet))

    row, page = told(), person.get(ours.get_absolute_url()).content.decode()
    assert (row.booking, row.status, row.energy_wh, row.evse_uid) == (ours, "reserved", 0, "")
    assert (fresh(ours).status, "Kept for the vehicle" in page) == (BookingStatus.CONFIRMED, True)

    over = session(
        status="COMPLETED", kwh=0, end_date_time="2030-01-15T12:30:00Z", last_updated="2030-01-15T12:31:00Z",
        charging_periods=[period("12:00", RESERVATION_TIME=0.5)],
    )  # fmt: skip
    caller.send("PUT", SESSION, over)

    after, page = fresh(ours), person.get(ours.get_absolute_url()).content.decode()
    assert (told().status, after.status, after.metered_wh) == ("completed", BookingStatus.CONFIRMED, None)
    assert "Kept, and not used" in page
    assert not after.events.filter(kind="metered").exists()


def test_a_booking_goes_on_past_its_slot_while_its_partner_tells_of_charging(
    caller: Caller, ours: Booking, clock: Any
) -> None:
    caller.send("PUT", SESSION, session())
    clock.move_to(ours.ends_at + timedelta(minutes=10))
    caller.send("PUT", SESSION, session(kwh=90, last_updated="2030-01-15T13:10:00Z"))

    scheduler._complete_remote(now=timezone.now())
    assert fresh(ours).status == BookingStatus.CHARGING

    clock.shift(timedelta(hours=3))
    scheduler._complete_remote(now=timezone.now())
    assert fresh(ours).status == BookingStatus.COMPLETED, "a partner may never tell the end"


def test_an_end_without_energy_ends_no_booking_and_the_page_says_so(caller: Caller, ours: Booking) -> None:
    caller.send("PUT", SESSION, session(kwh=0))
    over = session(
        status="COMPLETED", kwh=0, end_date_time="2030-01-15T12:20:00Z", last_updated="2030-01-15T12:21:00Z"
    )

    caller.send("PUT", SESSION, over)

    assert fresh(ours).status == BookingStatus.CHARGING
    page = client_of(make_user(ours.fleet)).get(ours.get_absolute_url()).content.decode()
    zone = ours.depot.zone
    ended, until = (f"{at.astimezone(zone):%H:%M}" for at in (told().ended_at, ours.ends_at))  # type: ignore[union-attr]
    assert f"says that charging ended at {ended} and tells no energy" in page
    assert f"stays this vehicle's until {until}".replace("'", "&#x27;") in page


def test_a_session_that_names_nothing_is_suggested_and_somebody_says_so_once(
    caller: Caller, ours: Booking
) -> None:
    """Of the same card at the same depot at about that time; and what got no record is a finding of who owes."""
    over = session(
        status="COMPLETED", authorization_reference=None, end_date_time="2030-01-15T12:45:00Z", kwh=80
    )
    for name, changes in (("S-1", {}), ("S-2", {"cdr_token": token(uid="04FF")})):
        caller.send("PUT", SESSION.replace("S-1", name), {**over, "id": name, **changes})
    page, url = client_of(make_user(ours.fleet)), f"{ours.get_absolute_url()}charging/match/"
    shown = page.get(ours.get_absolute_url()).content.decode()
    assert shown.count("It belongs to this booking") == 1
    ours.refresh_from_db()
    row = told()
    early, late = (
        [f for f in found_for(ours, now) if f.kind == FindingKind.SESSION_UNRECORDED]
        for now in (NOW + timedelta(days=3), NOW + timedelta(days=4))
    )
    assert (early, len(late)) == ([], 2)
    assert "without a booking; " in late[0].words

    assert page.post(url, {"session": row.pk, "version": ours.version + 1}).status_code == 409
    assert page.post(url, {"session": row.pk + 1, "version": ours.version}).status_code == 404
    assert page.post(url, {"session": row.pk, "version": ours.version}).status_code == 302

    assert (told().booking, told().matched_by) == (ours, "person")
    assert (fresh(ours).status, fresh(ours).metered_wh) == (BookingStatus.COMPLETED, 80_000)
    assert page.post(url, {"session": row.pk, "version": fresh(ours).version}).status_code == 404


def found_for(booking: Booking, now: datetime) -> list[Finding]:
    books = Books(booking.fleet_id, Side.PAYABLE, Month(2030, 1))
    return list(reconcile(books, now=now).findings)


def test_what_comes_late_changes_nothing_and_what_is_nobodys_is_kept_and_counted(
    caller: Caller, ours: Booking, partner: Partner
) -> None:
    caller.send("PUT", SESSION, session())
    caller.send("PUT", SESSION, session(kwh=1, last_updated="2030-01-15T12:00:00Z"))
    assert told().energy_wh == 20_500

    strange = session(id="S-9", cdr_token=token(party_id="XXX"), authorization_reference=None)
    assert code(caller.send("PUT", SESSION.replace("S-1", "S-9"), strange)) == (201, 1000)
    assert PartnerObject.objects.get(kind="session", key="S-9").is_unmatched
    assert RemoteSession.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kwh": -1}, "kwh"),
        ({"kwh": "much"}, "kwh"),
        ({"status": "DONE"}, "status"),
        ({"location_id": None}, "location_id"),
        ({"last_updated": "yesterday"}, "last_updated"),
        ({"total_cost": {"before_taxes": 1e11}}, "total_cost"),
        ({"id": "S-7"}, "id"),
        ({"party_id": "ABC"}, "party_id"),
    ],
)
def test_a_session_that_breaks_a_rule_is_refused_by_field_and_changes_nothing(
    caller: Caller, ours: Booking, changes: dict[str, Any], field: str
) -> None:
    answer = caller.send("PUT", SESSION, session(**changes))

    assert code(answer) == (200, 2001)
    assert answer.json()["status_message"].startswith(field)
    assert not RemoteSession.objects.exists()
    assert not PartnerObject.objects.filter(kind="session").exists()


def test_spellings_that_are_out_there_are_read(caller: Caller, ours: Booking) -> None:
    odd = session(
        status="RESERVED", currency="eur", kwh="20.5", evse_uid=None, connector_id=None,
        cdr_token={k: v for k, v in token().items() if k != "contract_id"}, total_cost={"excl_vat": 10, "incl_vat": 12},
    )  # fmt: skip

    assert code(caller.send("PUT", SESSION, odd)) == (201, 1000)
    assert (told().status, told().currency, told().taxes) == ("reserved", "EUR", 2)
    assert fresh(ours).status == BookingStatus.CONFIRMED


# Records


def test_a_record_is_kept_as_it_came_and_billed_to_the_booking_of_its_reference(
    caller: Caller, ours: Booking, partner: Partner
) -> None:
    caller.send("PUT", SESSION, session())
    answer = caller.post(CDRS, cdr())

    assert code(answer) == (201, 1000)
    [record] = records()
    assert (record.booking, record.customer, record.operator) == (ours, ours.fleet, partner.organisation)
    assert (record.code, record.number, record.kind, record.plate) == ("CDR-1", None, "session", ours.plate)
    assert (record.before_taxes, record.taxes, record.energy_wh) == (40, 8, 80_000)
    assert record.net_by_rate == [["20", "40.00"]]
    assert record.received == cdr()
    assert record.received["signed_data"]["signed_values"][0]["signed_data"] == "OCMF|{}|{}"
    assert (record.price_check.before_taxes, record.price_check.taxes) == (40, 8)
    location = answer["Location"]
    assert location.endswith(f"/ocpi/emsp/{partner.version}/cdrs/FR/CPO/CDR-1")
    assert data(caller.get(location.partition("8000")[2])) == cdr()
    stranger = make_partner(
        "OTH", country_code="FR", roles=[{**partner.roles[0], "party_id": "OTH"}], version=partner.version
    )
    assert code(Caller(stranger).get(f"{CDRS}/FR/CPO/CDR-1")) == (404, 2001)
    dispatcher = client_of(make_user(ours.fleet))
    costs, page = dispatcher.get("/costs/?month=2030-01"), dispatcher.get(f"/records/{record.pk}/")
    assert '<td class="cell-number" data-label="Energy">80.0 kWh</td>' in costs.content.decode()
    assert "<dt>Energy</dt><dd>80.0 kWh</dd>" in page.content.decode()


def test_the_same_record_again_is_at_the_same_place_and_another_under_its_id_is_refused(
    caller: Caller, ours: Booking
) -> None:
    """Checklist 86."""
    first = caller.post(CDRS, cdr())
    again = caller.post(CDRS, cdr(last_updated="2030-01-16T00:00:00Z", invoice_reference_id="R-1"))
    other = caller.post(CDRS, cdr(total_cost=price(41, 8)))

    assert (code(again), again["Location"]) == ((200, 1000), first["Location"])
    assert code(other) == (200, 2001)
    assert other.json()["status_message"].startswith("id")
    assert len(records()) == 1


def test_a_credit_takes_back_what_it_names_and_only_a_credit_is_below_zero(
    caller: Caller, ours: Booking
) -> None:
    """Checklist 85."""
    credit = cdr(id="CDR-1-C", credit=True, credit_reference_id="cdr-1", total_cost=price(-40, -8))
    assert code(caller.post(CDRS, credit)) == (200, 2001), "it is not there yet"
    assert code(caller.post(CDRS, cdr(id="X", total_cost=price(-1)))) == (200, 2001)
    caller.post(CDRS, cdr())
    nameless = cdr(id="Y", credit=True, total_cost=price(-40, -8))
    assert caller.post(CDRS, nameless).json()["status_message"].startswith("credit_reference_id")
    assert code(caller.post(CDRS, credit)) == (201, 1000)
    assert code(caller.post(CDRS, {**credit, "id": "CDR-1-D"})) == (200, 2001), "once"
    assert code(
        caller.post(CDRS, cdr(id="CDR-2", total_cost=price(36, 7.2), total_energy_cost=price(36, 7.2)))
    ) == (201, 1000)

    original, taken_back, anew = records()
    assert taken_back.credits == original
    assert (taken_back.before_taxes, taken_back.taxes, taken_back.booking) == (-40, -8, ours)
    assert taken_back.net_by_rate == [["20", "-40.00"]]
    assert (anew.replaces, anew.before_taxes) == (original, 36)


def test_parties_of_one_partner_may_give_their_records_the_same_ids(
    partner: Partner, caller: Caller, ours: Booking
) -> None:
    partner.roles.append({**partner.roles[0], "party_id": "TWO"})
    partner.save()
    theirs = cdr(party_id="TWO", total_cost=price(7))
    taken_back = cdr(
        id="CDR-1-C", party_id="TWO", credit=True, credit_reference_id="CDR-1", total_cost=price(-7)
    )

    assert [code(caller.post(CDRS, one)) for one in (cdr(), theirs, taken_back)] == [(201, 1000)] * 3

    mine, others, credit = records()
    assert [(one.code, one.party, one.before_taxes) for one in (mine, others, credit)] == [
        ("CDR-1", "FR*CPO", 40), ("CDR-1", "FR*TWO", 7), ("CDR-1-C", "FR*TWO", -7),
    ]  # fmt: skip
    assert credit.credits == others
    assert data(caller.get(f"{CDRS}/FR/TWO/CDR-1"))["total_cost"] == price(7)


@pytest.mark.parametrize("named", [{"booking_id": "CB-881"}, {"session_id": "S-1"}, {}])
def test_ids_of_another_party_name_nothing_of_this_ones(
    partner: Partner, caller: Caller, ours: Booking, named: dict[str, str]
) -> None:
    """Its CB-881 and its S-1 are not those of the party at whose depot the booking is; our own reference is."""
    partner.roles = [*partner.roles, {"role": "CPO", "country_code": "FR", "party_id": "TWO", "name": "Two"}]
    partner.save()
    caller.send("PUT", SESSION, session())
    reference = {"authorization_reference": None if named else "REF-1"}
    assert code(caller.post(CDRS, cdr(**{"id": "CDR-2", "party_id": "TWO", **reference, **named}))) == (
        201,
        1000,
    )

    assert ChargeDetailRecord.objects.get().booking == (None if named else ours)


def test_a_no_show_and_a_late_cancellation_are_records_without_a_session(
    caller: Caller, ours: Booking
) -> None:
    fee = price(15)
    moment = {"start_date_time": "2030-01-15T11:50:00Z", "end_date_time": "2030-01-15T11:50:00Z"}
    given_up = no_show(
        id="CDR-L", remark="cancellation", total_cost=fee, total_reservation_cost=fee, **moment,
        charging_periods=[period("11:50", RESERVATION_TIME=0)],
    )  # fmt: skip
    assert code(caller.post(CDRS, no_show())) == (201, 1000)
    assert code(caller.post(CDRS, given_up)) == (201, 1000)

    missed, cancelled = records()
    assert (missed.kind, missed.before_taxes, missed.periods[0]["expired_s"]) == ("no_show", 30, 3600)
    assert (cancelled.kind, cancelled.booking) == ("cancellation", ours)
    assert missed.bill["lines"][0]["use"] == "no_show"


def test_a_record_is_matched_by_booking_then_reference_then_session(caller: Caller, ours: Booking) -> None:
    caller.send("PUT", SESSION, session())
    for number, named in enumerate(({"booking_id": "cb-881"}, {}, {"authorization_reference": None})):
        given = {"authorization_reference": "OTHER"} if "booking_id" in named else {}
        caller.post(CDRS, cdr(**{"id": f"R-{number}", **given, **named}))

    assert [record.booking for record in records()] == [ours] * 3


def test_a_record_that_names_nothing_is_suggested_for_the_likely_booking_and_somebody_says_so_once(
    caller: Caller, ours: Booking
) -> None:
    caller.post(CDRS, cdr(authorization_reference=None, session_id=None))
    [record] = records()
    assert (record.booking, record.customer) == (None, ours.fleet)
    page = client_of(make_user(ours.fleet))
    url = f"/records/{record.pk}/"
    assert f'data-likely="{ours.reference}"' in page.get(url).content.decode()

    assert page.post(f"{url}booking/", {"booking": ours.pk, "version": 2}).status_code == 409
    assert page.post(f"{url}booking/", {"booking": ours.pk, "version": 1}).status_code == 302

    assert fresh(record).booking == ours
    shown = page.get(url).content.decode()
    assert "data-likely" not in shown
    assert "1 value, OCMF" in shown
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        ChargeDetailRecord.objects.filter(pk=record.pk).update(booking=None)


def test_a_record_of_nobody_here_costs_nobody_anything(caller: Caller, ours: Booking) -> None:
    strange = cdr(cdr_token=token(party_id="XXX"), authorization_reference=None, session_id=None)

    answer = caller.post(CDRS, strange)

    assert code(answer) == (201, 1000)
    assert records() == []
    assert PartnerObject.objects.get(kind="cdr").is_unmatched
    assert data(caller.get(answer["Location"].partition("8000")[2])) == strange


def test_a_total_that_its_parts_do_not_make_stays_the_total_and_is_checked_against_its_tariff(
    caller: Caller, ours: Booking
) -> None:
    caller.post(CDRS, cdr(total_cost=price(50, 10)))

    [record] = records()
    assert record.before_taxes == 50
    assert [line["before_taxes"] for line in record.bill["lines"]] == ["40.0000", "10.0000"]
    assert record.price_check.before_taxes == 40


def test_what_rounding_leaves_of_a_total_is_no_line_of_the_bill(caller: Caller, ours: Booking) -> None:
    caller.post(CDRS, cdr(total_cost=price(40, 8), total_energy_cost=price(39.9965, 7.9993)))

    [record] = records()
    assert [line["before_taxes"] for line in record.bill["lines"]] == ["39.9965"]
    assert (record.before_taxes, record.net_by_rate) == (40, [["20", "40.00"]])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"total_cost": None}, "total_cost"),
        ({"end_date_time": "2030-01-15T11:00:00Z"}, "end_date_time"),
        ({"total_energy": -3}, "total_energy"),
        ({"charging_periods": []}, "charging_periods"),
        ({"currency": "Euro"}, "currency"),
        ({"party_id": "ABC"}, "party_id"),
    ],
)
def test_a_record_that_breaks_a_rule_is_refused_by_field_and_changes_nothing(
    caller: Caller, ours: Booking, changes: dict[str, Any], field: str
) -> None:
    answer = caller.post(CDRS, cdr(**changes))

    assert code(answer) == (200, 2001)
    assert answer.json()["status_message"].startswith(field)
    assert not PartnerObject.objects.filter(kind="cdr").exists()


def test_lists_of_sessions_and_records_end_where_pushes_do(
    partner: Partner, caller: Caller, ours: Booking
) -> None:
    keep_listed(partner, "session", session(), session(id="S-3", party_id="OTH"), {"id": "S-4"})
    keep_listed(partner, "cdr", cdr(), cdr(id="CDR-3", party_id="OTH"))
    caller.post(CDRS, cdr())

    assert [row.remote_id for row in RemoteSession.objects.all()] == ["S-1"]
    assert [record.code for record in records()] == ["CDR-1"]
