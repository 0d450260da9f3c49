"""ChargingProfiles, Sender: a dispatcher limits what a truck takes at a partner's depot, over a real socket, told in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from bookings import operations
from bookings.errors import WrongStatus
from bookings.models import Booking, PartnerCommand, RemoteSession
from conformance.specification import faults
from roaming.commands import sent
from roaming.models import Delivery, Partner
from roaming.ocpi.times import time_out
from roaming.suspension import suspend
from tests.factories import DISPATCHER, NOW, make_fleet, make_user
from tests.roaming.commands.test_sent_commands import Network, becomes, booked, network
from tests.roaming.partners import Caller, code, make_partner
from tests.roaming.peers import Asked, envelope
from tests.roaming.running import eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)
State = PartnerCommand.State
PROFILES = "/ocpi/emsp/2.3.0/chargingprofiles"
__all__ = ["network"]


@pytest.fixture
def at_network(network: Network) -> Network:
    url = f"{network.server.url}/chargingprofiles"
    network.partner.endpoints = [
        *network.partner.endpoints, {"identifier": "chargingprofiles", "role": "RECEIVER", "url": url},
    ]  # fmt: skip
    network.partner.save()
    return network


def charging(network: Network) -> Booking:
    booking = booked(network)
    RemoteSession.objects.create(
        operator=booking.depot.operator, depot=booking.depot, fleet=booking.fleet, country_code="FR", party_id="SIM",
        remote_id="S-1", booking=booking, status="charging", evse_uid="LYON-1", connector_id="2", started_at=NOW,
        told_at=NOW, received_at=NOW,
    )  # fmt: skip
    return booking


def asked_of(network: Network) -> list[Asked]:
    return [asked for asked in network.server.asked if "/chargingprofiles/" in asked.path]


def tell(network: Network, url: str, result: Any) -> Any:
    return Caller(network.partner).post(url.removeprefix("https://berth.example"), result)


def test_a_limit_is_set_shown_and_lifted_on_the_booking_s_page(at_network: Network) -> None:
    booking = charging(at_network)
    browser = Client()
    browser.force_login(make_user(booking.fleet))
    page = booking.get_absolute_url()
    shown = browser.get(page).content.decode()
    assert "Limit the power" in shown
    assert "Lift the limit" not in shown
    version = {"version": fresh(booking).version}

    assert browser.post(f"{page}limit/", {**version, "power_kw": "much"}).status_code == 422
    assert browser.post(f"{page}limit/", {"power_kw": 60}).status_code == 409
    assert browser.post(f"{page}limit/", {**version, "power_kw": 60}).status_code == 302
    command = becomes(PartnerCommand.objects.get(), State.TAKEN)
    (put,) = asked_of(at_network)
    assert (put.method, put.path) == ("PUT", "/chargingprofiles/S-1")
    assert faults("SetChargingProfile", put.body, "2.3.0", exact=True) == []
    assert put.body["charging_profile"] == {
        "start_date_time": time_out(NOW),
        "charging_rate_unit": "W",
        "charging_profile_period": [{"start_period": 0, "limit": 60_000}],
    }
    assert "Waiting for the partner" in browser.get(page).content.decode()
    with pytest.raises(WrongStatus):
        operations.limit_at_partner(booking_id=booking.pk, watts=70_000, actor=DISPATCHER, now=NOW)
    tell(at_network, put.body["response_url"], {"result": "ACCEPTED"})
    assert fresh(command).state == State.DONE

    active = {
        "start_date_time": time_out(NOW),
        "charging_profile": {
            "charging_rate_unit": "W",
            "charging_profile_period": [{"start_period": 0, "limit": 50_000}, {"start_period": 1800, "limit": 60_000}],
        },
    }  # fmt: skip
    assert code(Caller(at_network.partner).send("PUT", f"{PROFILES}/s-1", active)) == (200, 1000)
    shown = browser.get(page).content.decode()
    assert "Limited to <b data-limit>60 kW</b>" in shown
    assert "50 kW, then 60 kW from 09:30" in shown
    assert "asked to limit its power" in shown
    assert "No more than 60 kW" in shown

    browser.post(f"{page}limit/lift/", {"version": fresh(booking).version})
    lifted = becomes(PartnerCommand.objects.latest("pk"), State.TAKEN)
    delete = asked_of(at_network)[-1]
    assert delete.method == "DELETE"
    tell(at_network, delete.query["response_url"], {"result": "UNKNOWN"})
    assert fresh(lifted).state == State.DONE
    assert RemoteSession.objects.get().limit_w is None
    assert "The limit is lifted." in browser.get(page).content.decode()

    RemoteSession.objects.update(status="completed", ended_at=NOW)
    shown = browser.get(page).content.decode()
    assert "Unlock the plug" in shown
    assert "The limit is lifted." not in shown


def test_what_it_may_take_is_asked_for(at_network: Network) -> None:
    booking = charging(at_network)
    command = operations.show_limit_at_partner(booking_id=booking.pk, actor=DISPATCHER, now=NOW)
    becomes(command, State.TAKEN)
    (get,) = asked_of(at_network)
    assert (get.method, get.query["duration"]) == ("GET", "3600")

    profile = {"charging_rate_unit": "A", "charging_profile_period": [{"start_period": 0, "limit": 32}]}
    told = {"result": "ACCEPTED", "profile": {"start_date_time": time_out(NOW), "charging_profile": profile}}
    tell(at_network, get.query["response_url"], {"data": told, "status_code": 1000})

    assert RemoteSession.objects.get().allowed == {
        "starts_at": time_out(NOW), "unit": "A", "limits": [[0, 32.0]],
    }  # fmt: skip
    assert not booking.events.filter(kind="show_limit").exists()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("TOO_OFTEN", "asked too often"),
        ("UNKNOWN_SESSION", "does not know the session"),
        ("REJECTED", "refuses"),
    ],
)
def test_a_no_is_told_in_words(at_network: Network, said: str, words: str) -> None:
    at_network.reply = envelope({"result": said, "timeout": 30})
    booking = charging(at_network)

    command = operations.limit_at_partner(booking_id=booking.pk, watts=60_000, actor=DISPATCHER, now=NOW)

    assert words in becomes(command, State.REFUSED).text
    assert RemoteSession.objects.get().limit_w is None


def test_a_profile_is_taken_of_the_partner_whose_session_it_is_and_in_order(at_network: Network) -> None:
    charging(at_network)
    own, stranger = Caller(at_network.partner), Caller(make_partner())

    def active(at: Any, watts: int) -> dict[str, Any]:
        profile = {
            "charging_rate_unit": "W",
            "charging_profile_period": [{"start_period": 0, "limit": watts}],
        }
        return {"start_date_time": time_out(at), "charging_profile": profile}

    assert code(stranger.send("PUT", f"{PROFILES}/S-1", active(NOW, 1))) == (404, 2000)
    assert code(own.send("PUT", f"{PROFILES}/S-2", active(NOW, 1))) == (404, 2000)
    own.send("PUT", f"{PROFILES}/S-1", active(NOW + timedelta(minutes=1), 50_000))
    own.send("PUT", f"{PROFILES}/S-1", active(NOW, 40_000))
    assert RemoteSession.objects.get().allowed["limits"] == [[0, 50_000.0]]  # type: ignore[index]
    assert code(own.send("PUT", f"{PROFILES}/S-1", {"start_date_time": time_out(NOW)})) == (200, 2001)


def test_the_plug_that_was_charged_with_is_unlocked(at_network: Network) -> None:
    booking = charging(at_network)

    becomes(operations.unlock_at_partner(booking_id=booking.pk, actor=DISPATCHER, now=NOW), State.TAKEN)

    (asked,) = at_network.commands()
    assert asked.path.endswith("/UNLOCK_CONNECTOR")
    url = asked.body.pop("response_url")
    assert asked.body == {"location_id": "LYON", "evse_uid": "LYON-1", "connector_id": "2"}
    tell(at_network, url, {"result": "NOT_SUPPORTED"})
    assert PartnerCommand.objects.get().text == "The charger cannot do this."


def test_only_a_dispatcher_of_the_fleet_may(at_network: Network) -> None:
    booking = charging(at_network)
    page = booking.get_absolute_url()
    for role, fleet, expected in (
        ("viewer", booking.fleet, {404, 403}), ("dispatcher", make_fleet("Other"), {404}),
    ):  # fmt: skip
        browser = Client()
        browser.force_login(make_user(fleet, role=role))
        for path in ("limit/", "limit/lift/", "limit/show/", "unlock/"):
            fields = {"version": fresh(booking).version, "power_kw": 60}
            assert browser.post(f"{page}{path}", fields).status_code in expected
    assert not PartnerCommand.objects.exists()


def test_what_a_paused_partner_was_to_do_is_given_up_with_words(at_network: Network) -> None:
    booking = charging(at_network)
    Partner.objects.filter(pk=at_network.partner.pk).update(paused_at=NOW)

    command = operations.limit_at_partner(booking_id=booking.pk, watts=60_000, actor=DISPATCHER, now=NOW)

    assert "paused" in becomes(command, State.NO_ANSWER).text
    assert asked_of(at_network) == []
    settled = Delivery.objects.get(kind=Delivery.Kind.COMMAND)
    eventually(lambda: fresh(settled).next_try_at is None)


def test_what_a_suspended_partner_was_to_do_is_given_up_with_words(at_network: Network) -> None:
    booking = charging(at_network)
    command = operations.limit_at_partner(booking_id=booking.pk, watts=60_000, actor=DISPATCHER, now=NOW)
    becomes(command, State.TAKEN)
    suspend(partner=at_network.partner)

    sent.give_up_at_absent(now=NOW)

    assert (fresh(command).state, "suspended" in fresh(command).text) == (State.NO_ANSWER, True)
    assert sent.give_up_at_absent(now=NOW) == 0
