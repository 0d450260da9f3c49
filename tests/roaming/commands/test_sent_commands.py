"""A dispatcher starts and stops charging at a partner's depot: asked once, over a real socket, and told in words."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from bookings import operations
from bookings.core import lifecycle
from bookings.errors import NotAtPartner, NotYetStartable
from bookings.models import Booking, BookingStatus, PartnerCommand
from bookings.operations import SlotRequest
from bookings.operations.booking_draft import filled, unsaved
from bookings.rules.entitlement import entitled
from bookings.rules.terms import Terms
from depots.models import Organisation
from roaming.models import Delivery, Partner
from tests.factories import (
    DISPATCHER,
    NOW,
    PARTNER,
    book_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_user,
    make_vehicle,
    slot,
)
from tests.roaming.partners import VERSIONS, Caller, code, make_partner
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)
State = PartnerCommand.State


class Network:
    """A partner's CPO that answers commands as `reply` says."""

    def __init__(self, version: str = "2.3.0") -> None:
        self.reply = envelope({"result": "ACCEPTED", "timeout": 40})
        self.server = ScriptedPeer(lambda asked: self.reply)
        organisation = Organisation.objects.create(
            name="Sim", country_code="FR", cpo_party_id="SIM", is_partner=True
        )
        role = {"role": "CPO", "country_code": "FR", "party_id": "SIM", "name": "Sim"}
        endpoints = [{"identifier": "commands", "role": "RECEIVER", "url": f"{self.server.url}/commands/"}]
        made = make_partner(version=version, roles=[role], endpoints=endpoints)
        made.organisation = organisation
        made.save()
        self.partner: Partner = made

    def commands(self) -> list[Asked]:
        return [asked for asked in self.server.asked if "/commands/" in asked.path]


@pytest.fixture(params=VERSIONS[:1])
def network(request: Any, settings: Any, clock: time_machine.Traveller) -> Iterator[Network]:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    settings.BERTH_BASE_URL = "https://berth.example"
    made = Network(request.param)
    with made.server, RunningSender():
        yield made


def booked(network: Network, fleet: Organisation | None = None) -> Booking:
    """Confirmed by the partner, and begun."""
    fleet = fleet or make_fleet("Nordfracht", country_code="DE", emsp_party_id="NFE")
    depot = make_depot(network.partner.organisation, code="FR-SIM-LYON", location_id="LYON", is_mirror=True)
    evse = make_evse(depot, uid="LYON-1", option=False)
    option = make_option(evse, code="LYON-CCS", is_mirror=True)
    vehicle = make_vehicle(fleet, token="04AA01")
    request = filled(SlotRequest(fleet=fleet, option=option, vehicle=vehicle, period=slot(8, 9)))
    booking = unsaved(request, Terms())
    booking.evse, booking.remote_id = evse, "CB-1"
    tokens = entitled(None, vehicle, fleet, request.party)
    return lifecycle.begin(booking, BookingStatus.CONFIRMED, tokens=tokens, actor=PARTNER, at=NOW)


def start(booking: Booking) -> PartnerCommand:
    return operations.start_at_partner(booking_id=booking.pk, actor=DISPATCHER, now=timezone.now())


def becomes(command: PartnerCommand, state: str) -> PartnerCommand:
    return eventually(lambda: (c := fresh(command)).state == state and c)  # type: ignore[no-any-return]


def tell(network: Network, asked: Asked, result: Any) -> Any:
    """The partner's result, at the address that it was given."""
    url = asked.body["response_url"]
    assert url.startswith("https://berth.example/ocpi/emsp/2.3.0/commands/START_SESSION/")
    return Caller(network.partner).post(url.removeprefix("https://berth.example"), result)


@pytest.mark.parametrize(
    "result", [{"result": "ACCEPTED"}, {"data": {"result": "accepted"}, "status_code": 1000}]
)
def test_results_are_understood_bare_and_wrapped(network: Network, result: Any) -> None:
    """Checklist 83: wrapped results are understood."""
    booking = booked(network)

    command = becomes(start(booking), State.TAKEN)
    assert command.answer_by == NOW + timedelta(seconds=40)
    (asked,) = network.commands()
    told = asked.body
    assert (asked.method, asked.path) == ("POST", "/commands/START_SESSION")
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert (headers["ocpi-from-party-id"], headers["ocpi-to-party-id"]) == ("NFE", "SIM")
    assert (told["location_id"], told["evse_uid"]) == ("LYON", "LYON-1")
    assert told["authorization_reference"] == booking.authorization_reference
    assert (told["token"]["uid"], told["token"]["issuer"], told["token"]["valid"]) == (
        "04AA01",
        "Nordfracht",
        True,
    )
    assert start(booking).pk == command.pk

    assert code(tell(network, asked, result)) == (200, 1000)

    assert fresh(command).state == State.DONE
    steps = list(booking.events.filter(kind="remote_start").values_list("after", flat=True))
    assert steps == ["asked", "accepted"]
    assert len(network.commands()) == 1


@pytest.mark.parametrize(
    ("reply", "state", "words"),
    [
        (envelope({"result": "REJECTED", "timeout": 0}), State.REFUSED, "It refuses the command."),
        (envelope(status_code=2003, message="no such place"), State.REFUSED, "no such place"),
        (Reply(cut=True), State.NO_ANSWER, "broke"),
        (Reply(500, b"oops"), State.NO_ANSWER, "500"),
        (envelope({"result": "PERHAPS"}), State.REFUSED, "unreadable"),
    ],
)
def test_a_command_is_never_sent_twice(network: Network, reply: Reply, state: str, words: str) -> None:
    network.reply = reply

    command = becomes(start(booked(network)), state)

    assert words in command.text
    settled = Delivery.objects.get(kind=Delivery.Kind.COMMAND)
    eventually(lambda: fresh(settled).next_try_at is None)
    assert len(network.commands()) == 1


def test_after_the_timeout_nothing_is_waited_for(network: Network, clock: time_machine.Traveller) -> None:
    command = becomes(start(booked(network)), State.TAKEN)

    clock.shift(timedelta(seconds=41))

    becomes(command, State.NO_ANSWER)
    tell(network, network.commands()[0], {"result": "ACCEPTED"})
    assert fresh(command).state == State.NO_ANSWER
    assert len(network.commands()) == 1


def test_a_command_that_a_killed_worker_had_sent_is_not_sent_again(network: Network) -> None:
    network.reply = Reply(wait_for=threading.Event())
    command = start(booked(network))
    eventually(network.commands)
    lease = Delivery.objects.filter(kind=Delivery.Kind.COMMAND)

    lease.update(leased_until=None, next_try_at=NOW)  # its worker is gone
    eventually(lambda: lease.get().next_try_at == NOW + timedelta(seconds=30))

    assert len(network.commands()) == 1
    network.reply.wait_for.set()  # type: ignore[union-attr]
    assert fresh(command).sent_at == NOW


def test_results_are_for_whoever_was_asked(network: Network) -> None:
    becomes(start(booked(network)), State.TAKEN)
    path = network.commands()[0].body["response_url"].removeprefix("https://berth.example")
    stranger = Caller(make_partner())

    assert code(stranger.post(path, {"result": "ACCEPTED"})) == (404, 2000)
    assert code(Caller(network.partner).post(f"{path}x", {"result": "ACCEPTED"})) == (404, 2000)
    assert code(Caller(network.partner).post(path, {"result": "GREAT"})) == (200, 2001)
    assert PartnerCommand.objects.get().state == State.TAKEN


def test_the_page_of_the_booking_starts_it_and_says_how_it_went(network: Network) -> None:
    fleet = make_fleet("Nordfracht", country_code="DE", emsp_party_id="NFE")
    booking = booked(network, fleet)
    browser = Client()
    browser.force_login(make_user(fleet))
    page = booking.get_absolute_url()
    assert "Start charging" in browser.get(page).content.decode()

    browser.post(f"{page}start/", {"version": fresh(booking).version})
    becomes(PartnerCommand.objects.get(), State.TAKEN)
    assert "Waiting for the partner" in browser.get(page).content.decode()
    tell(network, network.commands()[0], {"result": "EVSE_OCCUPIED"})

    assert "The EVSE is in use." in browser.get(page).content.decode()


def test_only_what_can_be_started_is_asked_for(network: Network) -> None:
    booking = booked(network)
    with pytest.raises(NotYetStartable):
        operations.start_at_partner(booking_id=booking.pk, actor=DISPATCHER, now=NOW - timedelta(hours=1))
    own = book_slot(fleet=booking.fleet, option=make_option(make_evse()), period=slot(10, 11), tokens=[])
    with pytest.raises(NotAtPartner):
        operations.start_at_partner(booking_id=own.pk, actor=DISPATCHER, now=NOW)
    assert not network.commands()
