"""Sessions and records of partners' customers at our depots: who is told of what, and in which order (ocpi.md 3.7, 5.5, 5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from bookings.billing.cdrs import Issue, credit, lock
from bookings.models import ChargeDetailRecord, Token
from depots import operations as depots
from depots.models import ChargingSession
from roaming import guest_sessions
from roaming.models import Delivery, GuestSession, Partner
from tests.bookings.enforcement.online_chargers import book, start
from tests.depots.charging import meter
from tests.factories import MANAGER, NOW, at
from tests.roaming.guests import begin, booked, end, our_evse
from tests.roaming.partners import VERSIONS, Caller, code, data, make_partner
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db
SESSIONS, CDRS = "/ocpi/cpo/2.3.0/sessions", "/ocpi/cpo/2.3.0/cdrs"
ALL = {"date_from": "2030-01-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def listed(partner: Partner) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data(Caller(partner).get(SESSIONS, ALL))
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_running_session_says_what_it_has_come_to_and_a_completed_one_what_is_billed(
    version: str, clock: time_machine.Traveller
) -> None:
    """Checklist 82: the reference that the eMSP chose is in the session and in its CDR, which names the booking."""
    partner = make_partner(
        "FLT", version=version, switches={"extensions_under_2_2_1": True, "bookings_under_2_2_1": True}
    )
    booking = booked(partner, authorization_reference="REF-9")
    session = begin(booking)
    clock.move_to(at(10, 15))
    meter(
        booking.evse,
        depots.Reading(at=at(10, 15), energy_wh=41_000, power_w=160_000, soc_percent=45.26),
        now=at(10, 15),
    )

    [running] = listed(partner)
    end(session)
    [over] = listed(partner)
    [cdr] = data(Caller(partner).get(CDRS))

    net = "before_taxes" if version == "2.3.0" else "excl_vat"
    token = booking.tokens.get()
    assert (running["status"], running["kwh"], running["total_cost"][net]) == ("ACTIVE", 40, 25)
    assert (running["id"], running["country_code"], running["party_id"]) == (str(session.pk), "NL", "LPK")
    assert (running["authorization_reference"], running["evse_uid"]) == ("REF-9", booking.evse.uid)
    assert running["cdr_token"] == {
        "country_code": "SE", "party_id": "FLT", "uid": token.uid, "type": "RFID", "contract_id": token.contract_id,
    }  # fmt: skip
    assert "end_date_time" not in running
    assert running["charging_periods"][-1]["start_date_time"] == "2030-01-15T10:15:00Z"
    assert running["charging_periods"][-1]["dimensions"] == [
        {"type": "POWER", "volume": 160}, {"type": "STATE_OF_CHARGE", "volume": 45.3},
    ]  # fmt: skip
    assert (over["status"], over["kwh"], over["total_cost"][net]) == ("COMPLETED", 100, 55)
    assert over["end_date_time"] == "2030-01-15T10:30:00Z"
    assert over["charging_periods"] == cdr["charging_periods"]
    assert (cdr["session_id"], cdr["booking_id"]) == (over["id"], booking.reference)
    assert (cdr["authorization_reference"], cdr["total_cost"]) == ("REF-9", over["total_cost"])
    assert data(Caller(partner).get(f"{CDRS}/{cdr['id'].lower()}")) == cdr


def test_a_partner_sees_its_own_sessions_and_records_and_nobody_elses() -> None:
    mine, other = make_partner("FLT"), make_partner("OTH")
    booking = booked(mine)
    end(begin(booking))
    own = book(our_evse())
    end(begin(own))

    assert len(listed(mine)) == 1
    assert listed(other) == []
    assert data(Caller(other).get(CDRS)) == []
    assert code(Caller(other).get(f"{CDRS}/{ChargeDetailRecord.objects.first().code}")) == (404, 2000)
    assert Delivery.objects.filter(kind__in=["session", "cdr"]).exclude(partner=mine).count() == 0
    for_others = {"OCPI-from-country-code": "SE", "OCPI-from-party-id": "XXX"}
    assert code(Caller(mine, **for_others).get(SESSIONS, ALL)) == (404, 2001)


def test_a_list_of_sessions_needs_date_from_and_holds_what_changed_since() -> None:
    """Checklist 20: `date_from` is inclusive, `date_to` exclusive."""
    partner = make_partner("FLT")
    begin(booked(partner))

    assert code(Caller(partner).get(SESSIONS)) == (200, 2001)
    assert len(data(Caller(partner).get(SESSIONS, {"date_from": "2030-01-15T10:00:00Z"}))) == 1
    assert data(Caller(partner).get(SESSIONS, {"date_from": "2030-01-15T10:00:01Z"})) == []
    until = {**ALL, "date_to": "2030-01-15T10:00:00Z"}
    assert data(Caller(partner).get(SESSIONS, until)) == []


def test_a_card_of_a_partner_makes_a_session_of_it_without_any_booking() -> None:
    partner, evse = make_partner("FLT"), our_evse(walk_in="anybody")
    Token.objects.create(fleet=partner.organisation, uid="04AB12CD")
    mine = start(evse, "04:ab:12:cd", at(10))
    stranger = start(our_evse(walk_in="anybody"), "04FFFFFF", at(10))

    [told] = listed(partner)

    assert (told["id"], told["cdr_token"]["uid"]) == (str(mine.pk), "04AB12CD")
    assert "authorization_reference" not in told
    assert not GuestSession.objects.filter(session=stranger).exists()


def test_what_a_partner_said_as_it_let_a_card_charge_goes_on_into_session_and_record() -> None:
    partner, evse = make_partner("FLT"), our_evse(walk_in="anybody")
    Token.objects.create(fleet=partner.organisation, uid="04AB12CD")
    session = start(evse, "04AB12CD", at(10))
    ChargingSession.objects.update(authorization_reference="ASKED-1")

    [told] = listed(partner)

    assert (told["authorization_reference"], told["auth_method"]) == ("ASKED-1", "AUTH_REQUEST")
    assert session.guest.partner == partner


def test_what_never_charged_is_told_as_invalid_once_it_is_over_or_has_waited_an_hour() -> None:
    partner = make_partner("FLT")
    booking = booked(partner)
    session = begin(booking)
    ChargingSession.objects.filter(pk=session.pk).update(charging_state="plugged")
    version = session.guest.version

    with time_machine.travel(at(10, 30), tick=False):
        assert [one["status"] for one in listed(partner)] == ["PENDING"]
        assert guest_sessions.time_out_waiting(now=at(10, 30)) == 0
    with time_machine.travel(at(11), tick=False):
        assert guest_sessions.time_out_waiting(now=at(11)) == 1
        assert [one["status"] for one in listed(partner)] == ["INVALID"]
        assert guest_sessions.time_out_waiting(now=at(11, 1)) == 0, "told once"
    assert fresh(session.guest).version > version


def test_a_try_that_failed_is_invalid_unless_it_carries_what_the_booking_costs() -> None:
    partner = make_partner("FLT")
    end(begin(booked(partner)), at(10, 20), wh=5)
    end(begin(booked(partner)), at(11, 2), wh=5)

    failed, billed = listed(partner)

    assert (failed["status"], billed["status"]) == ("INVALID", "COMPLETED")
    assert billed["total_cost"]["before_taxes"] == 7, "the booking, and two minutes beyond its end"


def test_figures_wait_for_their_turn_and_an_end_does_not() -> None:
    partner = make_partner("FLT")
    booking = booked(partner)
    session = begin(booking)
    row = Delivery.objects.get(kind="session")
    assert row.next_try_at == at(10)
    Delivery.objects.update(next_try_at=at(11), attempts=2)

    meter(booking.evse, depots.Reading(at=at(10, 1), energy_wh=41_000), now=at(10, 1))
    assert guest_sessions.follow_meters(now=at(10, 1)) == 1
    assert guest_sessions.follow_meters(now=at(10, 2)) == 0
    assert fresh(row).next_try_at == at(11)
    assert fresh(row).wanted_version == row.wanted_version + 1
    end(session)

    assert fresh(row).next_try_at == at(10, 30)


def test_a_list_needs_no_more_queries_for_more_of_what_is_over() -> None:
    partner = make_partner("FLT")
    for _ in range(2):
        end(begin(booked(partner)))
    listed(partner)
    with CaptureQueriesContext(connection) as two:
        listed(partner)
    end(begin(booked(partner)))
    with CaptureQueriesContext(connection) as three:
        assert len(listed(partner)) == 3

    assert len(three) == len(two)


def test_charging_preferences_are_kept_where_the_driver_can_have_them() -> None:
    partner, other = make_partner("FLT"), make_partner("OTH")
    session = begin(booked(partner))
    url = f"{SESSIONS}/{session.pk}/charging_preferences"

    def put(body: dict[str, Any], by: Partner = partner) -> Any:
        return Caller(by).send("PUT", url, body)

    wish = {"profile_type": "FAST", "departure_time": "2030-01-15T11:00:00Z", "energy_need": 120}
    assert data(put(wish)) == "ACCEPTED"
    assert fresh(session.guest).preferences == wish
    assert data(put({"profile_type": "CHEAP"})) == "PROFILE_TYPE_NOT_SUPPORTED"
    assert code(put({"energy_need": 3})) == (200, 2001)
    assert code(put(wish, by=other)) == (404, 2000)
    end(session)
    assert data(put(wish)) == "NOT_POSSIBLE"


class Network:
    """The Receivers of a partner: what it was sent, in order; `answer` may refuse."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, Any]] = []
        self.answer: Any = lambda asked: None
        self.server = ScriptedPeer(self._on)

    def _on(self, asked: Asked) -> Reply:
        if (reply := self.answer(asked)) is not None:
            return reply
        module = asked.path.split("/")[1]
        self.said.append((asked.method, module, asked.body))
        kept = {"Location": f"{self.server.url}/kept/{len(self.said)}"} if module == "cdrs" else {}
        return envelope(status=201 if asked.method == "POST" else 200, headers=kept)

    def partner(self) -> Partner:
        modules = ("bookings", "sessions", "cdrs")
        return make_partner(
            "FLT",
            endpoints=[
                {"identifier": name, "role": "RECEIVER", "url": f"{self.server.url}/{name}"}
                for name in modules
            ],
            versions_url=f"{self.server.url}/versions",
        )

    def order(self) -> list[tuple[str, str]]:
        return [
            (module, body.get("status") or body.get("reservation_status") or body.get("credit") or "")
            for _, module, body in self.said
        ]


@pytest.fixture
def network(settings: Any) -> Iterator[Network]:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    made = Network()
    with made.server:
        yield made


@pytest.mark.django_db(transaction=True)
def test_a_partner_hears_of_the_session_then_the_booking_then_the_end_and_then_the_record(
    network: Network, clock: time_machine.Traveller
) -> None:
    partner = network.partner()
    booking = booked(partner)
    Delivery.objects.update(next_try_at=None)
    with RunningSender():
        clock.move_to(at(10))
        session = begin(booking)
        soon = timedelta(seconds=1)
        eventually(lambda: clock.shift(soon) or len(network.said) >= 2, "session and booking are told")
        clock.move_to(at(10, 30))
        end(session)
        record = eventually(
            lambda: clock.shift(soon) or Delivery.objects.filter(kind="cdr", delivered_version=1).first()
        )

    told = network.order()
    assert told[:2] == [("sessions", "ACTIVE"), ("bookings", "FULFILLED")]
    assert [one for one in told[2:] if one[0] != "bookings"] == [("sessions", "COMPLETED"), ("cdrs", "")]
    method, _, cdr = network.said[-1] if network.said[-1][1] == "cdrs" else network.said[-2]
    assert (method, cdr["session_id"]) == ("POST", str(session.pk))
    assert record.delivered["location"].startswith(f"{network.server.url}/kept/")


@pytest.mark.django_db(transaction=True)
def test_a_credit_and_what_replaces_a_record_follow_it_also_when_all_are_due_at_once(
    network: Network, clock: time_machine.Traveller
) -> None:
    partner = network.partner()
    end(begin(booked(partner)))
    [cdr] = ChargeDetailRecord.objects.all()
    with transaction.atomic():
        credit(lock(cdr), Issue(MANAGER, at(12), "let off"))
    Delivery.objects.exclude(kind="cdr").update(next_try_at=None)
    clock.move_to(at(12))
    # The credit would be first by its time.
    Delivery.objects.filter(object_id=cdr.pk, kind="cdr").update(next_try_at=at(12), wanted_version=1)
    with RunningSender():
        eventually(
            lambda: (
                clock.shift(timedelta(seconds=1))
                or Delivery.objects.filter(kind="cdr", delivered_version=1).count() == 2
            )
        )

    sent = [body for _, module, body in network.said if module == "cdrs"]
    assert [one.get("credit", False) for one in sent] == [False, True]
    assert sent[1]["credit_reference_id"] == sent[0]["id"]
    assert sent[1]["total_cost"]["before_taxes"] == -sent[0]["total_cost"]["before_taxes"]
