"""A reservation (RESERVE_NOW) is a session towards its partner, from when it is accepted until it was used or was not
(OCPI 2.3.0 mod_sessions, "Reservation")."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from bookings.api.bookings import describe_booking
from bookings.billing.reconciliation.price_checks import reprice
from bookings.models import Booking, ChargeDetailRecord
from bookings.operations import cancel_booking, mark_no_show
from bookings.pricing.tariff_content import TariffContent
from bookings.rules.tariff_contents import contents
from depots.models import ChargerCommand, Evse, Organisation
from roaming import guest_sessions
from roaming.models import Delivery, GuestSession, Partner
from roaming.outbound.full_sets import STILL_TOLD
from tests.billing_factories import priced
from tests.bookings.enforcement.charging_trucks import stop
from tests.bookings.enforcement.online_chargers import evse_online, start
from tests.bookings.people import client_of
from tests.bookings.pricing.worked import element, energy, flat, hourly, tariff
from tests.factories import MANAGER, NOW, make_depot, make_operator, make_user
from tests.roaming.commands.senders import answer, command, received, results_due, told
from tests.roaming.partners import VERSIONS, Caller, data, make_partner
from tests.roaming.running import fresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
SESSIONS, CDRS = "/ocpi/cpo/2.3.0/sessions", "/ocpi/cpo/2.3.0/cdrs"
ALL = {"date_from": "2030-01-01T00:00:00Z"}
MINUTE = timedelta(minutes=1)
# The worked example of core's mod_tariffs, "Tariff example with reservation price and expire fee".
TARIFF = tariff(
    element(flat(4, 20), use="RESERVATION_EXPIRED"),
    element(hourly(2, 20, 600), use="RESERVATION"),
    flat("0.5", 20),
    energy("0.25", 10),
)


def our_evse() -> Evse:
    operator = Organisation.objects.filter(cpo_party_id="LPK").first() or make_operator(cpo_party_id="LPK")
    return evse_online(make_depot(operator))


def reserve(
    caller: Caller, evse: Evse, *, content: TariffContent = TARIFF, minutes: int = 60, **fields: Any
) -> Booking:
    """Asked for by the partner; its charger has not answered yet."""
    until = (NOW + minutes * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {"authorization_reference": "RES-1", "expiry_date": until, **fields}
    assert data(command(caller, "RESERVE_NOW", evse, **told))["result"] == "ACCEPTED"
    booking = received().booking
    assert booking is not None
    return priced(booking, content, None)


def listed(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data(caller.get(SESSIONS, ALL))
    return found


def records(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data(caller.get(CDRS))
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reservation_is_a_session_from_when_it_is_accepted_and_charges_under_the_same_id(
    version: str, clock: time_machine.Traveller
) -> None:
    caller, evse = Caller(make_partner("FLT", version=version)), our_evse()
    booking = reserve(caller, evse)
    assert listed(caller) == []

    answer("reserve", "accepted")
    clock.shift(15 * MINUTE)
    [reserved] = listed(caller)
    clock.shift(7 * MINUTE)
    session = start(evse, "04A1B2C3", NOW + 22 * MINUTE)
    clock.shift(timedelta(hours=1))
    [running] = listed(caller)
    stop(session, NOW + 82 * MINUTE, 20_000)
    [over] = listed(caller)
    [cdr] = records(caller)

    net = "before_taxes" if version == "2.3.0" else "excl_vat"
    assert (reserved["status"], running["status"], over["status"]) == ("RESERVATION", "ACTIVE", "COMPLETED")
    assert {one["id"] for one in (reserved, running, over)} == {f"R{booking.pk}"} == {cdr["session_id"]}
    assert (reserved["kwh"], reserved["auth_method"], reserved["total_cost"][net]) == (0, "COMMAND", 0.67)
    assert (reserved["evse_uid"], reserved["connector_id"]) == (evse.uid, "1")
    assert {one["authorization_reference"] for one in (reserved, running, cdr)} == {"RES-1"}
    assert reserved["cdr_token"]["uid"] == "04A1B2C3" == cdr["cdr_token"]["uid"]
    assert reserved["start_date_time"] == "2030-01-15T08:00:00Z" == cdr["start_date_time"]
    assert running["start_date_time"] == "2030-01-15T08:22:00Z" == over["start_date_time"]
    assert reserved["charging_periods"][0]["dimensions"] == [{"type": "RESERVATION_TIME", "volume": 0.25}]
    assert over["charging_periods"] == cdr["charging_periods"]
    assert (cdr["charging_periods"][0]["dimensions"], cdr["total_time"]) == (
        [{"type": "RESERVATION_TIME", "volume": 0.3667}], 1,
    )  # fmt: skip
    assert (cdr["total_cost"][net], cdr["total_reservation_cost"][net], cdr["total_energy"]) == (6.5, 1, 20)
    assert over["total_cost"] == cdr["total_cost"]
    assert "booking_id" not in cdr, "no Booking: its partner has asked for none"
    assert GuestSession.objects.count() == Delivery.objects.filter(kind="session").count() == 1


@pytest.mark.parametrize(
    ("version", "module", "dimension"),
    [
        ("2.3.0", "bookings", "RESERVATION_EXPIRES"),
        ("2.3.0", "sessions", "RESERVATION_TIME"),
        ("2.2.1", "sessions", "RESERVATION_TIME"),
    ],
)
def test_one_that_expires_is_completed_and_its_record_names_the_session(
    version: str, module: str, dimension: str, clock: time_machine.Traveller
) -> None:
    endpoint = {"identifier": module, "role": "RECEIVER", "url": "https://emsp.example"}
    partner = make_partner("FLT", version=version, endpoints=[endpoint])
    caller = Caller(partner)
    booking = reserve(caller, our_evse())
    answer("reserve", "accepted")
    before = GuestSession.objects.get()

    clock.shift(timedelta(hours=1))
    mark_no_show(booking_id=booking.pk, now=NOW + timedelta(hours=1))

    [over], [cdr] = listed(caller), records(caller)
    net = "before_taxes" if version == "2.3.0" else "excl_vat"
    assert (over["status"], over["kwh"], over["total_cost"][net]) == ("COMPLETED", 0, 6)
    assert over["end_date_time"] == "2030-01-15T09:00:00Z" == cdr["end_date_time"]
    assert cdr["session_id"] == over["id"]
    assert cdr["charging_periods"] == over["charging_periods"]
    assert cdr["charging_periods"][0]["dimensions"] == [{"type": dimension, "volume": 1}]
    assert (cdr["total_time"], cdr["total_energy"], cdr["total_reservation_cost"]) == (
        0,
        0,
        cdr["total_cost"],
    )
    assert cdr["remark"] == f"reservation {booking.reference}, expired"
    assert fresh(before).version == before.version + 1
    assert STILL_TOLD[Delivery.Kind.SESSION](partner, NOW + timedelta(hours=2)) == {before.pk}
    assert STILL_TOLD[Delivery.Kind.SESSION](partner, NOW + timedelta(days=9)) == set()
    [record] = ChargeDetailRecord.objects.all()
    assert reprice(record, contents([record.charging_tariff_id])).total.before_taxes == 6


def test_one_that_is_given_back_or_taken_back_is_completed_and_only_the_first_costs_something(
    clock: time_machine.Traveller,
) -> None:
    caller = Caller(make_partner("FLT"))
    reserve(caller, our_evse(), reservation_id="R-1")
    answer("reserve", "accepted")
    taken = reserve(caller, our_evse(), reservation_id="R-2")
    answer("reserve", "accepted")

    clock.shift(20 * MINUTE)
    command(caller, "CANCEL_RESERVATION", reservation_id="R-1")
    cancel_booking(
        booking_id=taken.pk, reason="BROKEN_CHARGER", by="depot", actor=MANAGER, now=NOW + 20 * MINUTE
    )

    first, second = listed(caller)
    assert [(one["status"], one["end_date_time"]) for one in (first, second)] == [
        ("COMPLETED", "2030-01-15T08:20:00Z")
    ] * 2
    [cdr] = records(caller)
    assert (cdr["session_id"], cdr["total_cost"]["before_taxes"]) == (first["id"], 0.67)
    assert cdr["charging_periods"][0]["dimensions"] == [{"type": "RESERVATION_TIME", "volume": 0.3333}]
    assert "total_cost" not in second


def test_a_reservation_that_no_charger_keeps_was_never_a_session() -> None:
    caller = Caller(make_partner("FLT"))
    reserve(caller, our_evse())

    answer("reserve", "occupied")
    results_due()

    assert listed(caller) == []
    assert not ChargeDetailRecord.objects.exists()


def test_a_truck_that_starts_before_its_charger_has_answered_makes_one_session(
    clock: time_machine.Traveller,
) -> None:
    caller, evse = Caller(make_partner("FLT")), our_evse()
    booking = reserve(caller, evse)

    clock.shift(MINUTE)
    start(evse, "04A1B2C3", NOW + MINUTE)
    answer("reserve", "occupied", now=NOW + MINUTE)

    [told_session] = listed(caller)
    assert (told_session["id"], told_session["status"]) == (f"R{booking.pk}", "ACTIVE")
    assert [json.loads(told(push))["result"] for push in results_due(now=NOW + MINUTE)] == ["ACCEPTED"]


def test_one_that_takes_the_place_of_another_is_the_same_session(clock: time_machine.Traveller) -> None:
    caller, evse = Caller(make_partner("FLT")), our_evse()
    first = reserve(caller, evse)
    answer("reserve", "accepted")
    clock.shift(10 * MINUTE)

    second = reserve(caller, evse, minutes=90)
    [between] = listed(caller)
    answer("reserve", "accepted", now=NOW + 10 * MINUTE)
    clock.shift(10 * MINUTE)
    start(evse, "04A1B2C3", NOW + 20 * MINUTE)

    [running] = listed(caller)
    assert first.pk != second.pk
    assert (between["id"], between["status"]) == (f"R{first.pk}", "RESERVATION")
    assert (running["id"], running["status"]) == (f"R{first.pk}", "ACTIVE")
    assert running["charging_periods"][0]["dimensions"][0]["volume"] == 0.3333
    assert records(caller) == []


def test_the_name_of_a_reservation_that_is_over_begins_another_session(clock: time_machine.Traveller) -> None:
    caller, evse = Caller(make_partner("FLT")), our_evse()
    first = reserve(caller, evse, minutes=30)
    answer("reserve", "accepted")
    clock.shift(30 * MINUTE)
    mark_no_show(booking_id=first.pk, now=NOW + 30 * MINUTE)

    second = reserve(caller, evse)
    answer("reserve", "accepted", now=NOW + 30 * MINUTE)

    assert [(one["id"], one["status"]) for one in listed(caller)] == [
        (f"R{first.pk}", "COMPLETED"),
        (f"R{second.pk}", "RESERVATION"),
    ]


def test_of_several_sessions_of_one_reservation_each_is_told_of_once(clock: time_machine.Traveller) -> None:
    caller, evse = Caller(make_partner("FLT")), our_evse()
    booking = reserve(caller, evse, content=tariff(element(hourly(2), use="RESERVATION"), energy(1)))
    answer("reserve", "accepted")
    stop(start(evse, "04A1B2C3", NOW + MINUTE), NOW + 2 * MINUTE, 0)
    clock.shift(4 * MINUTE)
    again = start(evse, "04A1B2C3", NOW + 3 * MINUTE)

    failed, running = listed(caller)

    assert (failed["id"], failed["status"]) == (f"R{booking.pk}", "INVALID")
    assert (running["id"], running["status"]) == (str(again.pk), "ACTIVE")


def test_commands_name_the_session_by_the_id_that_its_partner_was_told(clock: time_machine.Traveller) -> None:
    caller, evse = Caller(make_partner("FLT")), our_evse()
    name = f"R{reserve(caller, evse).pk}"
    answer("reserve", "accepted")
    early = command(caller, "STOP_SESSION", session_id=name)
    assert (data(early)["result"], "CANCEL_RESERVATION" in early.content.decode()) == ("REJECTED", True)
    other = Caller(make_partner("OTH"))
    assert data(command(other, "STOP_SESSION", session_id=name))["result"] == "UNKNOWN_SESSION"
    session = start(evse, "04A1B2C3", NOW + MINUTE)

    stopped = command(caller, "STOP_SESSION", session_id=name.lower())

    assert data(stopped)["result"] == "ACCEPTED"
    assert ChargerCommand.objects.latest("pk").payload == {"transaction": session.transaction}
    assert data(command(caller, "STOP_SESSION", session_id=str(session.pk)))["result"] == "UNKNOWN_SESSION"
    url = f"{SESSIONS}/{name}/charging_preferences"
    assert data(caller.send("PUT", url, {"profile_type": "FAST"})) == "ACCEPTED"
    assert guest_sessions.told_id(session) == name


def test_what_a_reservation_has_come_to_is_told_again_every_few_minutes() -> None:
    caller = Caller(make_partner("FLT"))
    reserve(caller, our_evse())
    answer("reserve", "accepted")
    guest = GuestSession.objects.get()

    assert guest_sessions.follow_reservations(now=NOW + 4 * MINUTE) == 0
    assert guest_sessions.follow_reservations(now=NOW + 5 * MINUTE) == 1
    assert guest_sessions.follow_reservations(now=NOW + 6 * MINUTE) == 0

    assert fresh(guest).version == guest.version + 1
    assert Delivery.objects.get(kind="session").wanted_version == guest.version + 1


def test_pages_and_commands_say_that_a_booking_is_a_reservation() -> None:
    caller, evse = Caller(make_partner("FLT")), our_evse()
    booking = reserve(caller, evse)
    answer("reserve", "accepted")
    manager = client_of(make_user(evse.depot.operator, role="depot_manager"))

    page = manager.get(booking.get_absolute_url()).content.decode()

    assert "data-reservation" in page
    assert "asked for it at once, for a vehicle that is on its way, until" in page
    assert describe_booking(booking)["reserved"] == {
        "since": "2030-01-15T08:00:00Z", "until": "2030-01-15T09:00:00Z",
    }  # fmt: skip


def test_one_party_behind_a_hub_does_not_see_the_reservation_of_another() -> None:
    role = {"role": "EMSP", "country_code": "SE", "name": "Partner"}
    partner: Partner = make_partner("FLT", roles=[{**role, "party_id": party} for party in ("FLT", "TWO")])
    caller = Caller(partner)
    reserve(caller, our_evse())
    answer("reserve", "accepted")
    second = Caller(partner, **{"OCPI-from-country-code": "SE", "OCPI-from-party-id": "TWO"})

    assert (len(listed(caller)), listed(second)) == (1, [])
