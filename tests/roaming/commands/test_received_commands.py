"""What partners have our chargers do: answered at once, and told of again once the charger has answered."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from bookings.gate import may_charge
from bookings.models import Booking, BookingStatus, Token
from bookings.operations import cancel_booking, start_charging
from depots.models import ChargerCommand, ChargingSession
from depots.operations import start_session
from depots.operations.transaction_reports import Start
from roaming.models import Delivery, GuestSession, ReceivedCommand
from roaming.ocpi.times import time_out
from roaming.published_sessions import published_sessions
from tests.factories import MANAGER, NOW, PARTNER, make_depot, option_of, slot
from tests.roaming.commands.senders import (
    CALLBACK,
    answer,
    command,
    online_evse,
    received,
    results_due,
    token_of,
    told,
)
from tests.roaming.partners import VERSIONS, Caller, code, data, make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Action = ChargerCommand.Action


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


def booked(caller: Caller, evse: Any, when: Any, *, uid: str = "04A1B2C3", **changes: Any) -> Booking:
    country, party = caller.party
    tokens = [{"country_code": country, "party_id": party, "uid": uid, "type": "RFID", "contract_id": "C1"}]
    made = caller.book(option_of(evse), when, tokens=tokens, authorization_reference="BK-REF", **changes)
    return Booking.objects.get(reference=data(made)["id"])


def group_of(caller: Caller, *uids: str) -> None:
    fleet, (country, party) = caller.partner.organisation, caller.party
    for uid in uids:
        Token.objects.create(fleet=fleet, uid=uid, country_code=country, party_id=party, group_name="G-1")


def session_at(evse: Any, uid: str = "04A1B2C3", **fields: Any) -> ChargingSession:
    return ChargingSession.objects.create(
        charger=evse.charger, evse=evse, transaction="T1", token_uid=uid, token_type="RFID", started_at=NOW,
        start_received_at=NOW, announced_at=NOW, **fields,
    )  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_result_is_bare_and_routed(version: str) -> None:
    """Checklist 83: CommandResult is sent bare with routing headers."""
    caller, evse = Caller(make_partner(version=version)), online_evse()
    booked(caller, evse, slot(8, 9))

    said = data(command(caller, "START_SESSION", evse, authorization_reference="BK-REF"))
    assert said == {"result": "ACCEPTED", "timeout": 60}
    assert results_due() == []

    answer(Action.REMOTE_START, "accepted")
    (push,) = results_due()
    assert (push.method, push.url, json.loads(told(push))) == ("POST", CALLBACK, {"result": "ACCEPTED"})
    headers = push.peer.headers()
    operator = evse.depot.operator
    assert headers["OCPI-from-party-id"] == operator.cpo_party_id
    assert (headers["OCPI-to-country-code"], headers["OCPI-to-party-id"]) == caller.party
    assert results_due(now=NOW + timedelta(minutes=2)) == []


@pytest.mark.parametrize(
    ("word", "result"),
    [("rejected", "REJECTED"), ("not_supported", "NOT_SUPPORTED"), ("error", "FAILED")],
)
def test_result_says_what_the_charger_said(caller: Caller, word: str, result: str) -> None:
    evse = online_evse()
    booked(caller, evse, slot(8, 9))
    command(caller, "START_SESSION", evse, authorization_reference="BK-REF")

    answer(Action.REMOTE_START, word)

    assert json.loads(told(results_due()[0]))["result"] == result


def test_a_silent_charger_is_told_of_before_nobody_waits_any_more(caller: Caller) -> None:
    evse = online_evse()
    booked(caller, evse, slot(8, 9))
    command(caller, "START_SESSION", evse, authorization_reference="BK-REF")
    Delivery.objects.update(next_try_at=NOW)  # as whoever tries all again at once does

    assert results_due(now=NOW + timedelta(seconds=49)) == []
    (push,) = results_due(now=NOW + timedelta(seconds=50))
    assert json.loads(told(push)) == {"result": "TIMEOUT"}
    answer(Action.REMOTE_START, "accepted", now=NOW + timedelta(seconds=55))
    assert results_due(now=NOW + timedelta(seconds=56)) == []


def test_start_on_a_booking_is_for_its_window_tokens_and_reference(caller: Caller) -> None:
    """Checklist 56: Session start with a booking token in the window; before it, and with a foreign token, refused."""
    evse = online_evse(make_depot(terms={"early_start_min": 15}))
    booking = booked(caller, evse, slot(9, 10))

    def start(uid: str = "04a1:b2c3", reference: str = "bk-ref") -> dict[str, Any]:
        token = {
            **dict(zip(("country_code", "party_id"), caller.party, strict=True)),
            "uid": uid,
            "type": "RFID",
            "contract_id": "other",
        }
        return data(command(caller, "START_SESSION", evse, token=token, authorization_reference=reference))  # type: ignore[no-any-return]

    assert start()["result"] == "REJECTED"
    assert not ReceivedCommand.objects.exists()
    with time_machine.travel(booking.starts_at - timedelta(minutes=15), tick=False):
        assert start(uid="04FFFFFF")["message"][0]["text"] == "The token is none of the booking's."
        group_of(caller, "04A1B2C3", "04FFFFFF", "04EE")
        Token.objects.filter(uid="04EE").update(is_blocked=True)
        assert start(uid="04EE")["result"] == "REJECTED"
        assert start(uid="04FFFFFF")["result"] == "ACCEPTED", "of a group that its network has told of"
        answer(Action.REMOTE_START, "rejected", now=booking.starts_at)
        assert start()["result"] == "ACCEPTED"
        sent = ChargerCommand.objects.filter(action=Action.REMOTE_START).latest("pk")
        assert (sent.reservation_id, sent.payload["token"]) == (booking.pk, "04A1B2C3")


def test_start_with_the_booking_s_reference_is_the_booking_s_session(caller: Caller) -> None:
    """Checklist 82: START_SESSION with the booking's reference -> the session is the booking's, whose reference it carries."""
    evse = online_evse()
    booking = booked(caller, evse, slot(8, 9))
    command(caller, "START_SESSION", evse, authorization_reference="BK-REF")
    answer(Action.REMOTE_START, "accepted")

    started = start_charging(booking_id=booking.pk, session=session_at(evse), actor=PARTNER, now=NOW)

    assert started.status == BookingStatus.CHARGING
    assert started.authorization_reference == "BK-REF"
    assert received().booking == booking


def test_a_booking_without_tokens_has_the_one_that_it_is_started_with(caller: Caller) -> None:
    """By OCPI only who names its reference opens it; OCPP 1.6 then knows nothing but the token."""
    evse = online_evse()
    made = caller.book(option_of(evse), slot(8, 9), tokens=[], authorization_reference="BK-REF")

    def lets_in() -> bool:
        return may_charge(
            charger=evse.charger, evse=evse, token_uid="04A1B2C3", token_type="RFID", now=NOW
        ).allowed

    assert not lets_in()
    assert (
        data(command(caller, "START_SESSION", evse, authorization_reference="BK-REF"))["result"] == "ACCEPTED"
    )

    booking = Booking.objects.get(reference=data(made)["id"])
    assert [(t.uid, t.country_code, t.party_id) for t in booking.tokens.all()] == [
        ("04A1B2C3", *caller.party)
    ]
    assert lets_in()
    assert ChargerCommand.objects.latest("pk").payload["token"] == "04A1B2C3"


def test_start_without_a_booking_is_by_the_depot_s_rule(caller: Caller) -> None:
    closed, opened = (online_evse(make_depot(terms={"walk_in": rule})) for rule in ("own", "agreed"))

    refused = data(command(caller, "START_SESSION", closed))
    accepted = data(command(caller, "START_SESSION", opened, authorization_reference="AD-HOC"))

    assert (refused["result"], accepted["result"]) == ("REJECTED", "ACCEPTED")
    sent = ChargerCommand.objects.get(action=Action.REMOTE_START)
    assert (sent.charger_id, sent.payload["token"]) == (opened.charger_id, "04A1B2C3")
    assert Token.objects.get(uid="04A1B2C3").fleet == caller.partner.organisation


def test_nobody_starts_in_somebody_else_s_slot_or_with_somebody_else_s_token(caller: Caller) -> None:
    evse = online_evse()
    other = Caller(make_partner())
    booked(other, evse, slot(8, 9))

    assert data(command(caller, "START_SESSION", evse))["result"] == "REJECTED"  # of the same number
    assert (
        data(command(caller, "START_SESSION", evse, token=token_of(caller, "04FF")))["result"] == "REJECTED"
    )
    token = {"country_code": "DE", "party_id": "XYZ", "uid": "1", "type": "RFID", "contract_id": "1"}
    assert code(command(caller, "START_SESSION", evse, token=token)) == (200, 2001)
    assert not ChargerCommand.objects.filter(action=Action.REMOTE_START).exists()


def test_stop_is_for_own_sessions(caller: Caller) -> None:
    evse = online_evse()
    booking = booked(caller, evse, slot(8, 9))
    session = session_at(evse)
    start_charging(booking_id=booking.pk, session=session, actor=PARTNER, now=NOW)

    foreign = data(command(Caller(make_partner()), "STOP_SESSION", session_id=str(session.pk)))
    own = data(command(caller, "STOP_SESSION", session_id=str(session.pk)))
    none = data(command(caller, "STOP_SESSION", session_id="no-number"))

    assert [said["result"] for said in (foreign, own, none)] == [
        "UNKNOWN_SESSION",
        "ACCEPTED",
        "UNKNOWN_SESSION",
    ]
    assert ChargerCommand.objects.get(action=Action.REMOTE_STOP).payload == {"transaction": "T1"}


def test_one_party_behind_a_hub_does_not_stop_the_session_of_another() -> None:
    roles = [
        {"role": "EMSP", "country_code": "SE", "party_id": name, "name": name} for name in ("AAA", "BBB")
    ]
    partner = make_partner("AAA", roles=roles)
    evse = online_evse()
    booking = booked(Caller(partner), evse, slot(8, 9))
    session = session_at(evse)
    start_charging(booking_id=booking.pk, session=session, actor=PARTNER, now=NOW)

    def stop(party: str) -> str:
        named = {"OCPI-from-country-code": "SE", "OCPI-from-party-id": party}
        said = data(command(Caller(partner, **named), "STOP_SESSION", session_id=str(session.pk)))
        return str(said["result"])

    assert [stop("BBB"), stop("aaa")] == ["UNKNOWN_SESSION", "ACCEPTED"]


def test_unlocking_is_for_partners_that_may_and_never_frees_another_s_truck() -> None:
    evse = online_evse()
    caller = Caller(make_partner())
    unlock = {"connector_id": "1"}

    assert data(command(caller, "UNLOCK_CONNECTOR", evse, **unlock))["result"] == "NOT_SUPPORTED"
    caller.partner.switches["may_unlock"] = True
    caller.partner.save()
    session = session_at(evse, uid="somebody")
    assert data(command(caller, "UNLOCK_CONNECTOR", evse, **unlock))["result"] == "REJECTED"
    session.delete()
    assert code(command(caller, "UNLOCK_CONNECTOR", evse, connector_id="7")) == (200, 2003)
    assert data(command(caller, "UNLOCK_CONNECTOR", evse, **unlock))["result"] == "ACCEPTED"
    answer(Action.UNLOCK, "unlock_failed")
    assert json.loads(told(results_due()[0]))["result"] == "FAILED"


def test_a_reservation_is_accepted_once_the_charger_holds_it_and_told_when_we_take_it_back(
    caller: Caller,
) -> None:
    evse = online_evse()

    assert data(command(caller, "RESERVE_NOW", evse))["result"] == "ACCEPTED"
    assert results_due() == []
    answer(Action.RESERVE, "accepted")
    assert json.loads(told(results_due()[0])) == {"result": "ACCEPTED"}

    booking = received().booking
    assert booking is not None
    assert booking.route == Booking.Route.RESERVED
    assert not Delivery.objects.filter(kind=Delivery.Kind.BOOKING).exists()  # nobody asked for a Booking
    cancel_booking(booking_id=booking.pk, reason="BROKEN_CHARGER", by="depot", actor=MANAGER, now=NOW)
    (push,) = results_due()
    assert (push.url, json.loads(told(push))["result"]) == (CALLBACK, "CANCELED_RESERVATION")


def test_a_reservation_that_the_charger_cannot_hold_is_none(caller: Caller) -> None:
    evse = online_evse()
    command(caller, "RESERVE_NOW", evse)

    answer(Action.RESERVE, "occupied")

    (push,) = results_due()
    assert json.loads(told(push))["result"] == "EVSE_OCCUPIED"
    booking = received().booking
    assert booking is not None
    assert booking.status == BookingStatus.CANCELLED
    assert results_due(now=NOW + timedelta(seconds=30)) == []


def test_a_reservation_is_replaced_and_given_back_by_its_name(caller: Caller) -> None:
    evse = online_evse()
    command(caller, "RESERVE_NOW", evse)
    later = time_out(NOW + timedelta(minutes=45))
    command(caller, "RESERVE_NOW", evse, reservation_id="r-1", expiry_date=later)
    first, second = (row.booking for row in ReceivedCommand.objects.order_by("pk"))
    assert first is not None
    assert second is not None
    assert (first.status, second.status) == (BookingStatus.CANCELLED, BookingStatus.CONFIRMED)
    assert second.ends_at == NOW + timedelta(minutes=45)

    unknown = command(Caller(make_partner()), "CANCEL_RESERVATION", reservation_id="R-1")
    assert data(unknown)["result"] == "REJECTED"
    assert data(command(caller, "CANCEL_RESERVATION", reservation_id="R-1"))["result"] == "ACCEPTED"
    second.refresh_from_db()
    assert second.status == BookingStatus.CANCELLED
    answers = [json.loads(told(push))["result"] for push in results_due()]
    assert answers == ["ACCEPTED"]


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("START_SESSION", {"location_id": "nowhere"}, (200, 2003)),
        ("START_SESSION", {"evse_uid": "none"}, (200, 2003)),
        ("START_SESSION", {"evse_uid": None, "connector_id": "1"}, (200, 2002)),
        ("START_SESSION", {"token": None}, (200, 2001)),
        ("START_SESSION", {"response_url": "http://127.0.0.1/x"}, (200, 2001)),
        ("START_SESSION", {"response_url": "https://[::ffff:10.0.0.1]/x"}, (200, 2001)),
        ("START_SESSION", {"response_url": "https://partner.example@10.0.0.1/x"}, (200, 2001)),
        ("STOP_SESSION", {"response_url": "https://169.254.169.254/latest", "session_id": "1"}, (200, 2001)),
        (
            "UNLOCK_CONNECTOR",
            {"response_url": "https://partner.example:99999/", "connector_id": "1"},
            (200, 2001),
        ),
        ("RESERVE_NOW", {"response_url": "gopher://partner.example/"}, (200, 2001)),
        ("RESERVE_NOW", {"response_url": None}, (200, 2001)),
        ("DANCE", {}, (404, 2000)),
    ],
)
def test_a_command_that_cannot_be_meant_changes_nothing(
    name: str, fields: Any, expected: tuple[int, int]
) -> None:
    caller = Caller(make_partner())
    evse = online_evse()

    assert code(command(caller, name, evse, **fields)) == expected
    assert not ReceivedCommand.objects.exists()
    assert not ChargerCommand.objects.exists()


def test_a_session_that_its_partner_started_carries_the_partner_s_reference(caller: Caller) -> None:
    evse = online_evse(make_depot(terms={"walk_in": "agreed"}))
    command(caller, "START_SESSION", evse, authorization_reference="AD-HOC")
    answer(Action.REMOTE_START, "accepted")
    start = Start(
        evse_number=evse.number, token_uid="04A1B2C3", token_type="RFID", at=NOW, meter_wh=0, key="1"
    )

    begun = start_session(charger_id=evse.charger_id, start=start, now=NOW)

    assert begun.answer is not None
    assert begun.answer.allowed
    guest = GuestSession.objects.select_related("session").get(session=begun.session)
    assert (guest.partner, guest.session.authorization_reference) == (caller.partner, "AD-HOC")
    (published,) = published_sessions([guest], now=NOW)
    assert published.token["let_in"] == "remote"
