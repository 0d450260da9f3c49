"""ChargingProfiles, Receiver: a partner limits its customer's session within the depot's plan, and hears what came of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from bookings import smart_charging
from bookings.models import SessionLimit
from bookings.operations import start_charging
from conformance.specification import faults
from depots.models import ChargerCommand, ChargingSession, Connector
from depots.operations import settle_command
from roaming.commands import limits, results
from roaming.models import Delivery, ReceivedCommand
from roaming.ocpi.times import time_out
from roaming.outbound import deliveries
from roaming.outbound.pushes import Push
from roaming.outbound.writers.active_profiles import profiles_written
from tests.factories import NOW, PARTNER, slot
from tests.roaming.commands.senders import CALLBACK, online_evse, results_due, told
from tests.roaming.commands.test_received_commands import booked, session_at
from tests.roaming.partners import VERSIONS, Caller, code, data, make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
PROFILES = "/ocpi/cpo/2.3.0/chargingprofiles"
TAKES = {"smart_charging": True, "configuration": {"ChargingScheduleAllowedChargingRateUnit": "Power"}}
SENDER = {"identifier": "chargingprofiles", "role": "SENDER", "url": "https://partner.example/profiles/"}
Action = ChargerCommand.Action
MINUTE = timedelta(minutes=1)


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner(endpoints=[SENDER]))


def charging(caller: Caller, evse: Any = None) -> ChargingSession:
    evse = evse or online_evse(told=TAKES)
    booking = booked(caller, evse, slot(8, 9))
    session = session_at(evse)
    start_charging(booking_id=booking.pk, session=session, actor=PARTNER, now=NOW)
    return session


def profile(*periods: tuple[int, float], **fields: Any) -> dict[str, Any]:
    told = [{"start_period": second, "limit": limit} for second, limit in periods]
    return {
        "charging_profile": {"charging_rate_unit": "W", "charging_profile_period": told, **fields},
        "response_url": CALLBACK,
    }


def put(caller: Caller, session: Any, body: dict[str, Any] | None = None) -> Any:
    return caller.send("PUT", f"{PROFILES}/{getattr(session, 'pk', session)}", body or profile((0, 60_000)))


def delete(caller: Caller, session: ChargingSession) -> Any:
    path = f"{PROFILES}/{session.pk}".replace("2.3.0", caller.version)
    answer = caller.http.delete(path, QUERY_STRING=f"response_url={CALLBACK}", headers=caller.headers)
    return data(answer)["result"]


def planned(word: str = "accepted", *, now: Any = NOW) -> list[int]:
    """Plan and answer until nothing is left to say; what the charger was told, in watts."""
    said = []
    for _ in range(6):
        smart_charging.plan_depot(depot_id=ChargingSession.objects.get().charger.depot_id, now=now)
        told = {Action.SET_CHARGING_PROFILE, Action.CLEAR_CHARGING_PROFILE}
        for command in ChargerCommand.objects.filter(action__in=told, state="queued"):
            said.append(command.payload["limits"][0][1] if "limits" in command.payload else -1)
            settle_command(command_id=command.pk, answer=word, now=now)
    return said


def active(*, now: Any = NOW) -> list[Push]:
    Delivery.objects.filter(kind=Delivery.Kind.SESSION).update(next_try_at=None)  # it goes before them
    leases = deliveries.claim(room=10, kinds=[Delivery.Kind.ACTIVE_PROFILE], now=now)
    pushes = profiles_written(leases, now=now)
    for push in pushes:
        deliveries.succeeded(push.lease, digest=push.digest, now=now)
    return pushes


def said(push: Push) -> Any:
    return json.loads(told(push))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_limit_is_told_to_the_charger_and_its_result_bare_and_routed(version: str) -> None:
    caller = Caller(make_partner(version=version, endpoints=[SENDER]))
    session = charging(caller)

    answer = put(caller, session)
    assert data(answer) == {"result": "ACCEPTED", "timeout": 60}
    assert results_due() == []
    assert planned()[-1] == 60_000

    (push,) = results_due()
    assert (push.method, push.url, said(push)) == ("POST", CALLBACK, {"result": "ACCEPTED"})
    assert faults("ChargingProfileResponse", data(answer), version, exact=True) == []
    assert faults("ChargingProfileResult", said(push), version, exact=True) == []
    headers = push.peer.headers()
    assert (headers["OCPI-to-country-code"], headers["OCPI-to-party-id"]) == caller.party
    assert headers["OCPI-from-party-id"] == session.charger.depot.operator.cpo_party_id


def test_lifting_is_its_own_result_and_nothing_to_lift_is_unknown(caller: Caller) -> None:
    session = charging(caller)
    assert delete(caller, session) == "ACCEPTED"
    assert said(results_due()[0]) == {"result": "UNKNOWN"}

    put(caller, session)
    planned()
    assert said(results_due()[0]) == {"result": "ACCEPTED"}
    assert delete(caller, session) == "ACCEPTED"
    assert planned(now=NOW + MINUTE)[-1] == 400_000
    assert said(results_due(now=NOW + MINUTE)[0]) == {"result": "ACCEPTED"}


def test_what_is_not_the_partner_s_is_unknown(caller: Caller) -> None:
    session = charging(caller)
    stranger = Caller(make_partner(endpoints=[SENDER]))

    results_said = [data(put(one, which))["result"] for one, which in (
        (stranger, session), (caller, "no-number"), (caller, session.pk + 1),
    )]  # fmt: skip

    assert results_said == ["UNKNOWN_SESSION"] * 3
    assert not SessionLimit.objects.exists()


def test_who_cannot_be_limited_is_told_so_at_once(caller: Caller) -> None:
    session = charging(caller)
    session.charger.told = {}
    session.charger.save()
    assert data(put(caller, session))["result"] == "NOT_SUPPORTED"
    session.charger.told, session.charger.lease_until = TAKES, NOW
    session.charger.save()
    answer = put(caller, session)
    assert (data(answer)["result"], answer.json()["status_message"]) == (
        "REJECTED", "The charger is not connected.",
    )  # fmt: skip
    ChargingSession.objects.update(ended_at=NOW)
    assert data(put(caller, session))["result"] == "REJECTED"
    assert not ReceivedCommand.objects.filter(kind="limit").exists()


def test_a_charger_that_refuses_or_is_silent_leaves_no_limit(caller: Caller) -> None:
    session = charging(caller)
    put(caller, session)
    planned("not_supported")
    assert said(results_due()[0]) == {"result": "REJECTED"}
    assert SessionLimit.objects.get().steps == []

    session.charger.measured = {}
    session.charger.save()
    put(caller, session)
    (push,) = results_due(now=NOW + timedelta(seconds=50))
    assert said(push) == {"result": "REJECTED"}
    assert SessionLimit.objects.get().steps == []


def test_a_later_one_takes_the_place_of_one_that_waits(caller: Caller) -> None:
    session = charging(caller)
    put(caller, session)
    put(caller, session, profile((0, 50_000)))
    assert [said(push)["result"] for push in results_due()] == ["REJECTED"]

    assert planned()[-1] == 50_000
    assert [said(push)["result"] for push in results_due()] == ["ACCEPTED"]


def test_too_often_is_said(caller: Caller) -> None:
    session = charging(caller)
    answers = [data(put(caller, session))["result"] for _ in range(limits.MOST_A_MINUTE + 1)]

    assert answers == ["ACCEPTED"] * limits.MOST_A_MINUTE + ["TOO_OFTEN"]


AC = [("AC_1_PHASE", 230), ("AC_3_PHASE", 690)]


@pytest.mark.parametrize(("power_type", "watts"), AC)
def test_amperes_are_of_each_phase_of_the_evse(caller: Caller, power_type: str, watts: int) -> None:
    session = charging(caller)
    Connector.objects.update(power_type=power_type)

    put(caller, session, profile((0, 16.5), charging_rate_unit="A", min_charging_rate=6))

    limit = SessionLimit.objects.get()
    assert (limit.watts_at(NOW), limit.least_w) == (int(16.5 * watts), 6 * watts)


def test_times_are_of_the_profile_s_start_or_of_the_charging_s(caller: Caller) -> None:
    session = charging(caller)
    begins = NOW + 10 * MINUTE
    put(caller, session, profile((300, 20_000), (0, 10_000), start_date_time=time_out(begins), duration=600))
    limit = SessionLimit.objects.get()
    found = [limit.watts_at(begins + minute * MINUTE) for minute in (-1, 0, 5, 9, 10)]
    assert found == [None, 10_000, 20_000, 20_000, None]

    put(caller, session, profile((60, 30_000)))
    limit.refresh_from_db()
    assert (limit.watts_at(session.started_at), limit.watts_at(session.started_at + MINUTE)) == (None, 30_000)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (profile(), "REJECTED"),
        (profile((0, 1), (0, 2)), "REJECTED"),
        (profile((0, 16), charging_rate_unit="A"), "REJECTED"),  # of a DC plug
        (profile((0, -1)), 2001),
        (profile((0, 1), charging_rate_unit="kW"), 2001),
        ({**profile((0, 1)), "response_url": "http://127.0.0.1/x"}, 2001),
        ({"charging_profile": profile((0, 1))["charging_profile"]}, 2001),
    ],
)
def test_what_cannot_be_meant_limits_nothing(caller: Caller, body: dict[str, Any], expected: Any) -> None:
    answer = put(caller, charging(caller), body)

    assert (data(answer)["result"] if expected == "REJECTED" else code(answer)[1]) == expected
    assert not SessionLimit.objects.exists()


def test_the_charger_says_what_is_in_force_and_is_answered_for_where_it_cannot(caller: Caller) -> None:
    session = charging(caller)
    show = {"duration": 900, "response_url": CALLBACK}
    assert data(caller.get(f"{PROFILES}/{session.pk}", show))["result"] == "ACCEPTED"
    command = ChargerCommand.objects.get(action=Action.GET_COMPOSITE_SCHEDULE)
    assert command.payload == {"evse": session.evse and session.evse.number, "unit": "W", "duration_s": 900}

    schedule = {"unit": "A", "periods": [[0, 100, 3], [300, 50, 3]]}
    settle_command(command_id=command.pk, answer="accepted", answer_text=json.dumps(schedule), now=NOW)
    assert said(results_due()[0]) == {
        "result": "ACCEPTED",
        "profile": {
            "start_date_time": time_out(NOW),
            "charging_profile": {
                "start_date_time": time_out(NOW), "duration": 900, "charging_rate_unit": "W",
                "charging_profile_period": [{"start_period": 0, "limit": 69_000}, {"start_period": 300, "limit": 34_500}],
            },
        },
    }  # fmt: skip

    session.charger.measured = {"composite_schedule": False}
    session.charger.save()
    caller.get(f"{PROFILES}/{session.pk}", show)
    (push,) = results_due()
    assert faults("ActiveChargingProfileResult", said(push), "2.3.0", exact=True) == []
    assert said(push)["profile"]["charging_profile"]["charging_profile_period"] == [
        {"start_period": 0, "limit": 400_000}
    ]
    assert code(caller.get(f"{PROFILES}/{session.pk}", {"response_url": CALLBACK})) == (200, 2001)


def test_who_has_limited_it_once_hears_of_every_other_amount_and_nobody_else_does(caller: Caller) -> None:
    session = charging(caller)
    planned()
    assert active() == []  # never limited

    put(caller, session)
    planned()
    (push,) = active()
    assert faults("ActiveChargingProfile", said(push), "2.3.0", exact=True) == []
    assert (push.method, push.url) == ("PUT", f"https://partner.example/profiles/{session.pk}")
    assert said(push)["charging_profile"]["charging_profile_period"] == [{"start_period": 0, "limit": 60_000}]
    delete(caller, session)
    planned(now=NOW + MINUTE)
    (push,) = active(now=NOW + MINUTE)
    assert said(push)["charging_profile"]["charging_profile_period"][0]["limit"] == 400_000
    planned(now=NOW + 2 * MINUTE)
    assert active(now=NOW + 2 * MINUTE) == []


def test_commands_are_forgotten_with_what_was_owed_of_them(caller: Caller) -> None:
    session = charging(caller)
    put(caller, session)
    planned()
    assert Delivery.objects.filter(kind__in=["command_result", "active_profile"]).count() == 2

    assert results.forget_old(now=NOW + results.KEPT - MINUTE) == 0
    assert results.forget_old(now=NOW + results.KEPT + MINUTE) == 1
    assert not ReceivedCommand.objects.exists()
    assert not Delivery.objects.filter(kind__in=["command_result", "active_profile"]).exists()
