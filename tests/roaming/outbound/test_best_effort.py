"""A partner without Bookings: its charger is reserved shortly before, if it can be, and the page says what that is worth."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import time_machine
from django.test import Client

from bookings import operations, scheduler
from bookings.errors import SlotTaken
from bookings.models import Booking, BookingOption, BookingRequest, BookingStatus, PartnerCommand
from bookings.operations import ChangeRequest, SlotRequest
from depots.models import Organisation
from roaming.commands import sent
from roaming.console.operations import Act, set_switches, switches_version
from roaming.console.overview import queues_of
from roaming.mirror import partner_places
from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import Unreachable
from roaming.ocpi.client import Answer
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.times import time_out
from roaming.outbound import deliveries, our_requests
from tests.factories import DISPATCHER, NOW, make_fleet, make_user, make_vehicle, slot
from tests.roaming.partners import VERSIONS, Caller, code, make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
START = slot(9, 10).starts_at
KEPT_FROM, LOST_AT = START - timedelta(minutes=15), START + timedelta(minutes=15)
TAKEN = {"result": "ACCEPTED", "timeout": 30}


def network(version: str = "2.2.1", *, switches: dict[str, Any] | None = None) -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "SIM", "name": "Sim"}
    endpoints = [{"identifier": "commands", "role": "RECEIVER", "url": "https://cpo.example/commands"}]
    made = make_partner(version=version, roles=[role], endpoints=endpoints)
    made.organisation = Organisation.objects.create(
        name="Sim", country_code="FR", cpo_party_id="SIM", is_partner=True
    )
    made.switches = {"reserve_now": True} if switches is None else switches
    made.save()
    return made


def tell_place(partner: Partner, capabilities: tuple[str, ...] = ("RESERVABLE",)) -> None:
    plug = {
        "id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC", "max_voltage": 900,
        "max_amperage": 400, "last_updated": time_out(NOW),
    }  # fmt: skip
    told = {
        "country_code": "FR", "party_id": "SIM", "id": "LYON", "publish": True, "name": "Lyon", "address": "Rue 1",
        "city": "Lyon", "country": "FRA", "coordinates": {"latitude": "45.7", "longitude": "4.8"},
        "time_zone": "Europe/Paris", "last_updated": time_out(NOW),
        "evses": [
            {"uid": uid, "status": "AVAILABLE", "capabilities": can, "connectors": [plug], "last_updated": time_out(NOW)}
            for uid, can in (("LYON-1", list(capabilities)), ("LYON-2", ["RFID_READER"]))
        ],
    }  # fmt: skip
    read = dialect_of(partner).locations.read(told)
    partner_places.adopt_place(partner, read, told, now=NOW)


def asked(partner: Partner) -> Booking:
    if not BookingOption.objects.exists():
        tell_place(partner)
    fleet = make_fleet("Nordfracht", country_code="DE", emsp_party_id="NFE")
    request = SlotRequest(
        fleet=fleet,
        option=BookingOption.objects.get(),
        vehicle=make_vehicle(fleet, token="04AA01"),
        period=slot(9, 10),
    )
    return operations.request_booking(request, actor=DISPATCHER, now=NOW)


def go_on(at: datetime) -> None:
    """What the sender does with asks that are due."""
    for lease in deliveries.claim(room=9, kinds=[Delivery.Kind.REQUEST], now=at):
        assert our_requests.begin(lease, now=at) is None


def sent_at(at: datetime, response: dict[str, Any] | None = TAKEN) -> list[tuple[str, dict[str, Any]]]:
    """The commands that go out, each answered so; None: no answer comes."""
    go_on(at)
    leases = deliveries.claim(room=9, kinds=[Delivery.Kind.COMMAND], now=at)
    found = []
    for push in sent.commands_written(leases, now=at):
        assert push.body is not None
        found.append((push.url.rsplit("/", 1)[1], json.loads(push.body.content)))
        answer = (
            Answer(response, 200, 1000, "", httpx.Headers())
            if response
            else Unreachable("gone", maybe_received=True)
        )
        sent.answered(push.lease, answer, now=at)
    return found


def tell(partner: Partner, body: dict[str, Any], result: str, at: datetime) -> None:
    path = body["response_url"].split("/ocpi/", 1)[1]
    with time_machine.travel(at, tick=False):
        assert code(Caller(partner).post(f"/ocpi/{path}", {"result": result})) == (200, 1000)
    go_on(at)


def status(booking: Booking) -> str:
    booking.refresh_from_db()
    return booking.status


@pytest.mark.parametrize("version", VERSIONS)
def test_a_charger_is_kept_shortly_before_and_the_booking_stands_then(version: str) -> None:
    partner = network(version)
    booking = asked(partner)
    assert (booking.status, booking.is_best_effort) == (BookingStatus.REQUESTED, True)
    assert sent_at(KEPT_FROM - timedelta(seconds=1)) == []
    assert queues_of(now=KEPT_FROM - timedelta(seconds=1)) == {}, "it is not late before its time"
    assert queues_of(now=KEPT_FROM)[partner.pk].waiting == 1

    ((name, body),) = sent_at(KEPT_FROM)

    assert name == "RESERVE_NOW"
    assert (body["location_id"], body["evse_uid"], body["token"]["uid"]) == ("LYON", "LYON-1", "04AA01")
    assert body["expiry_date"] == time_out(LOST_AT)
    assert body["authorization_reference"] == booking.authorization_reference
    assert len(body["reservation_id"]) <= 36
    assert status(booking) == BookingStatus.REQUESTED, "until its charger has answered"
    tell(partner, body, "ACCEPTED", KEPT_FROM)
    assert status(booking) == BookingStatus.CONFIRMED
    assert booking.requests.get().decision == BookingRequest.Decision.ACCEPTED
    assert not booking.is_irregular
    assert sent_at(START) == []


@pytest.mark.parametrize("response", [TAKEN, None], ids=["EVSE_OCCUPIED", "no answer"])
def test_a_charger_that_cannot_be_kept_is_tried_until_the_slot_is_lost(response: Any) -> None:
    partner = network()
    booking = asked(partner)
    names = set()
    for minute in range(31):
        at = KEPT_FROM + timedelta(minutes=minute)
        for name, body in sent_at(at, response):
            names.add((name, body["reservation_id"]))
            if response:
                tell(partner, body, "EVSE_OCCUPIED", at)
    go_on(LOST_AT + timedelta(minutes=20))  # who does not answer is left alone for a while

    assert status(booking) == BookingStatus.DECLINED
    assert booking.note.startswith("Its charger could not be kept.")
    assert ("The EVSE is in use." if response else "The partner did not answer.") in booking.note
    assert len(names) == 1, "one reservation, asked for again and again"
    tries = PartnerCommand.objects.filter(kind="reserve").count()
    assert 10 <= tries <= 15 if response else 4 <= tries <= 15
    assert not PartnerCommand.objects.filter(kind="give_back").exists(), "it has expired by itself"


@pytest.mark.parametrize("is_kept", [False, True])
def test_who_cancels_gives_back_what_is_kept(is_kept: bool) -> None:
    partner = network()
    booking = asked(partner)
    if is_kept:
        ((_, kept),) = sent_at(KEPT_FROM)
        tell(partner, kept, "ACCEPTED", KEPT_FROM)
    at = KEPT_FROM + timedelta(minutes=1) if is_kept else NOW
    operations.cancel_booking(
        booking_id=booking.pk, reason="TRAFFIC", by=Booking.Side.FLEET, actor=DISPATCHER, now=at
    )

    commands = sent_at(at)

    assert (status(booking), booking.cancelled_by) == (BookingStatus.CANCELLED, "fleet")
    assert [name for name, _ in commands] == (["CANCEL_RESERVATION"] if is_kept else [])
    if is_kept:
        assert set(commands[0][1]) == {"response_url", "reservation_id"}
        assert commands[0][1]["reservation_id"] == kept["reservation_id"]
    assert sent_at(KEPT_FROM + timedelta(hours=1)) == []


def test_a_slot_that_is_moved_is_kept_anew_under_another_name() -> None:
    partner = network()
    booking = asked(partner)
    ((_, first),) = sent_at(KEPT_FROM)
    tell(partner, first, "ACCEPTED", KEPT_FROM)
    at = KEPT_FROM + timedelta(minutes=1)
    later = slot(12, 13)
    operations.change_booking(booking.pk, ChangeRequest(period=later), actor=DISPATCHER, now=at)

    ((name, given_back),) = sent_at(at)
    tell(partner, given_back, "ACCEPTED", at)

    assert (name, given_back["reservation_id"]) == ("CANCEL_RESERVATION", first["reservation_id"])
    assert (status(booking), booking.starts_at) == (BookingStatus.REQUESTED, later.starts_at)
    assert not booking.is_irregular
    assert booking.changed_by_depot_at is None, "its own fleet has moved it"
    ((name, second),) = sent_at(later.starts_at - timedelta(minutes=15))
    assert (name, second["reservation_id"] != first["reservation_id"]) == ("RESERVE_NOW", True)


def test_a_partner_may_take_its_charger_back() -> None:
    partner = network()
    booking = asked(partner)
    ((_, body),) = sent_at(KEPT_FROM)
    tell(partner, body, "ACCEPTED", KEPT_FROM)

    tell(partner, body, "CANCELED_RESERVATION", KEPT_FROM + timedelta(minutes=2))

    assert (status(booking), booking.cancelled_by) == (BookingStatus.CANCELLED, "depot")
    assert booking.changed_by_depot_at is not None


def test_nobody_says_that_the_vehicle_came() -> None:
    partner = network()
    booking = asked(partner)
    ((_, body),) = sent_at(KEPT_FROM)
    tell(partner, body, "ACCEPTED", KEPT_FROM)
    scheduler._end_unused(now=booking.ends_at + timedelta(minutes=14))
    assert status(booking) == BookingStatus.CONFIRMED

    scheduler._end_unused(now=booking.ends_at + timedelta(minutes=15))

    assert (status(booking), booking.is_irregular) == (BookingStatus.NO_SHOW, False)
    assert booking.note == "The partner has told of no charging."


def test_two_of_ours_do_not_take_each_other_s_evse() -> None:
    partner = network()
    asked(partner)
    other = make_fleet(country_code="DE", emsp_party_id="OTH")

    with pytest.raises(SlotTaken):
        operations.request_booking(
            SlotRequest(fleet=other, option=BookingOption.objects.get(), period=slot(9, 10), tokens=[]),
            actor=DISPATCHER,
            now=NOW,
        )


def test_a_change_of_ours_does_not_take_the_evse_of_another_of_ours() -> None:
    partner = network()
    booking = asked(partner)
    other_fleet = make_fleet(country_code="DE", emsp_party_id="OTH")
    other = operations.request_booking(
        SlotRequest(
            fleet=other_fleet,
            option=BookingOption.objects.get(),
            period=slot(12, 13),
            vehicle=make_vehicle(other_fleet, token="04BB02"),
        ),
        actor=DISPATCHER,
        now=NOW,
    )
    over_it, beside_it = ChangeRequest(period=slot((12, 30), 14)), ChangeRequest(period=slot(10, 11))

    with pytest.raises(SlotTaken):
        operations.change_booking(booking.pk, over_it, actor=DISPATCHER, now=NOW)
    operations.change_booking(booking.pk, beside_it, actor=DISPATCHER, now=NOW)
    # Each was free when it was asked for.
    operations.change_booking(other.pk, beside_it, actor=DISPATCHER, now=NOW)
    go_on(NOW)

    assert {status(booking), status(other)} == {BookingStatus.REQUESTED}
    assert (booking.period, other.period) == (beside_it.period, slot(12, 13))
    declined = other.requests.get(kind="change")
    assert (declined.decision, declined.reason) == ("declined", "This EVSE is asked for already then.")


def test_only_what_can_be_reserved_and_is_agreed_is_offered() -> None:
    partner = network(switches={})
    tell_place(partner)
    assert not BookingOption.objects.exists()
    act = Act(partner.pk, "Ada", switches_version(partner), NOW)
    set_switches(act, {"reserve_now": True})
    partner.refresh_from_db()

    tell_place(partner)
    option = BookingOption.objects.get()
    assert (option.code, option.is_best_effort, option.is_withdrawn) == ("LYON-1", True, False)

    tell_place(partner, ("RFID_READER",))
    option.refresh_from_db()
    assert option.is_withdrawn
    tell_place(partner)
    set_switches(Act(partner.pk, "Ada", switches_version(partner), NOW), {"reserve_now": False})
    option.refresh_from_db()
    assert option.is_withdrawn


def test_a_partner_with_bookings_is_asked_for_bookings() -> None:
    partner = network()
    partner.endpoints += [{"identifier": "bookings", "role": "SENDER", "url": "https://cpo.example/bookings"}]
    partner.save()

    tell_place(partner)

    assert not BookingOption.objects.exists()


def test_pages_say_best_effort_wherever_it_is(client: Client) -> None:
    partner = network()
    booking = asked(partner)
    client.force_login(make_user(booking.fleet, "dispatcher"))

    page = client.get(booking.get_absolute_url()).content.decode()
    listed = client.get("/bookings/").content.decode()
    found = client.get(
        "/slots/",
        {"depot": booking.depot.code, "starts_at": "2030-01-15T11:00", "ends_at": "2030-01-15T12:00"},
    ).content.decode()

    assert "Best effort: Sim takes no bookings." in page
    assert "data-best-effort" in page
    assert "data-best-effort" in listed
    assert "this partner takes no bookings" in found
    assert "Ask by best effort" in found
    ((_, body),) = sent_at(KEPT_FROM)
    with time_machine.travel(KEPT_FROM, tick=False):
        assert "was asked to keep its charger" in client.get(booking.get_absolute_url()).content.decode()
    tell(partner, body, "EVSE_OCCUPIED", KEPT_FROM)
    with time_machine.travel(KEPT_FROM, tick=False):
        page = client.get(booking.get_absolute_url()).content.decode()
    assert "not kept yet. The partner says no: The EVSE is in use." in page
