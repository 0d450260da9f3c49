"""Tokens, both roles: partners push theirs, read ours, and ask whether one may charge."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookings.models import Booking, OwnerCheck, Token, Vehicle
from depots.models import Organisation
from roaming.mirror.values import ToldToken
from roaming.models import Partner
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.v2_3_0.tokens import mapping
from roaming.ocpi.wire_object import Read, UnreadableError
from tests.bookings.enforcement.online_chargers import book
from tests.factories import NOW, make_depot, make_evse, make_fleet, make_vehicle, slot
from tests.roaming.partners import VERSIONS, Caller, code, data, make_partner

RECEIVER, SENDER = "/ocpi/cpo/2.3.0/tokens", "/ocpi/emsp/2.3.0/tokens"
NAMED = f"{RECEIVER}/SE/FLT/04A1B2C3D4E5F6"
LATER, EARLIER = "2030-01-15T12:00:00Z", "2030-01-14T12:00:00Z"


def token(**changes: Any) -> dict[str, Any]:
    body = {
        "country_code": "SE", "party_id": "FLT", "uid": "04A1B2C3D4E5F6", "type": "RFID",
        "contract_id": "SEFLTC00001234", "visual_number": "SE-FLT-1234", "issuer": "Fleet Cards", "group_id": "G-1",
        "valid": True, "whitelist": "ALLOWED", "last_updated": "2030-01-15T06:00:00Z", **changes,
    }  # fmt: skip
    return {name: value for name, value in body.items() if value is not None}


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(params=VERSIONS)
def partner(request: pytest.FixtureRequest, db: Any) -> Partner:
    roles = [
        {"role": role, "country_code": "SE", "party_id": "FLT", "name": "Network"} for role in ("EMSP", "CPO")
    ]
    return make_partner("FLT", country_code="SE", roles=roles, version=request.param)


@pytest.fixture
def caller(partner: Partner) -> Caller:
    return Caller(partner)


def kept() -> Token:
    return Token.objects.get(told__isnull=False)


# We are the CPO: partners' tokens


def test_a_token_is_kept_and_given_back_as_it_came(partner: Partner, caller: Caller) -> None:
    """Checklist 18, 24: with unknown fields, whatever the case of the path."""
    body = token(x_colour="blue")
    assert code(caller.send("PUT", NAMED, body)) == (201, 1000)
    assert code(caller.send("PUT", NAMED, body)) == (200, 1000)
    assert data(caller.get(f"{RECEIVER}/se/flt/04a1b2c3d4e5f6", {"type": "rfid"})) == body

    mine = kept()
    assert (mine.fleet, mine.group_name, mine.label) == (partner.organisation, "G-1", "SE-FLT-1234")
    assert (mine.is_blocked, mine.owner_check, mine.contract_id) == (False, OwnerCheck.MAY, "SEFLTC00001234")


def test_uid_and_type_together_name_a_token(caller: Caller) -> None:
    """Checklist 25: what stands in path and query, and what in the body."""
    assert code(caller.send("PUT", NAMED, token())) == (201, 1000)
    app = token(type="APP_USER", whitelist="NEVER")
    assert code(caller.send("PUT", f"{NAMED}?type=APP_USER", app)) == (201, 1000)
    assert Token.objects.filter(told__isnull=False).count() == 2
    # Known by its network's command, which is not asked again.
    assert Token.objects.get(type="APP_USER").owner_check == OwnerCheck.NEVER

    assert code(caller.send("PUT", NAMED, app)) == (200, 2001)
    assert code(caller.send("PUT", f"{NAMED}?type=CARD", token())) == (200, 2001)
    assert code(caller.send("PUT", NAMED, token(uid="OTHER"))) == (200, 2001)
    assert code(caller.send("PUT", NAMED.replace("FLT", "XXX"), token())) == (404, 2001)
    assert code(caller.send("DELETE", NAMED)) == (405, 2000)
    assert code(caller.get(f"{RECEIVER}/SE/FLT/NOBODY")) == (404, 2000)


def test_a_patch_changes_what_it_names_and_an_older_one_nothing(caller: Caller) -> None:
    """Checklist 26, 27: one that becomes invalid is blocked here."""
    assert code(caller.send("PATCH", NAMED, {"valid": False, "last_updated": LATER})) == (404, 2000)
    caller.send("PUT", NAMED, token())

    assert code(caller.send("PATCH", NAMED, {"valid": False})) == (200, 2001)
    assert code(caller.send("PATCH", NAMED, {"valid": False, "last_updated": EARLIER})) == (200, 1000)
    assert kept().is_blocked is False
    assert code(caller.send("PATCH", NAMED, {"valid": False, "last_updated": LATER})) == (200, 1000)
    assert (kept().is_blocked, kept().told["contract_id"]) == (True, "SEFLTC00001234")
    assert code(caller.send("PATCH", NAMED, {"type": "OTHER", "last_updated": LATER})) == (200, 2001)
    assert code(caller.send("PUT", NAMED, token())) == (200, 1000)  # older: no change
    assert kept().is_blocked is True


def test_what_is_clear_is_taken_and_what_decides_must_be_there(partner: Partner, caller: Caller) -> None:
    odd = token(contract_id=None, issuer=None, whitelist="allowed_offline", valid="true", group_id="")
    assert code(caller.send("PUT", NAMED, odd)) == (201, 1000)
    assert (kept().contract_id, kept().owner_check) == ("04A1B2C3D4E5F6", OwnerCheck.SHOULD)
    partner.refresh_from_db()
    assert {"token.contract_id_missing", "token.issuer_missing"} <= set(partner.deviations)

    for missing in ("valid", "whitelist", "last_updated"):
        answer = caller.send("PUT", NAMED, token(**{missing: None}))
        assert code(answer) == (200, 2001)
        assert missing in answer.json()["status_message"]


_WORDS = st.one_of(st.text(max_size=70), st.integers(), st.none(), st.just("04A1"), st.just(" "))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "country_code": _WORDS, "party_id": _WORDS, "uid": _WORDS, "contract_id": _WORDS, "issuer": _WORDS,
            "visual_number": _WORDS, "group_id": _WORDS, "valid": st.one_of(st.booleans(), _WORDS),
            "type": st.sampled_from(["RFID", "rfid", "EMAID", "CARD", None]),
            "whitelist": st.sampled_from(["ALWAYS", "never", "MAYBE", None]),
            "last_updated": st.sampled_from(["2030-02-30T06:00:00Z", "2030-01-15T06:00:00Z", "2030-01-15", None, 7]),
        },
    )
)  # fmt: skip
def test_the_short_way_to_read_many_gives_what_the_long_one_gives(changes: dict[str, Any]) -> None:
    raw = token(**changes)

    assert _told(mapping.tokens_in([raw])[0]) == _told(_read_by_itself(raw))


def _read_by_itself(raw: dict[str, Any]) -> Read[ToldToken] | UnreadableError:
    try:
        return DIALECTS["2.3.0"].tokens.read(raw)
    except UnreadableError as error:
        return error


def _told(read: Read[ToldToken] | UnreadableError) -> Any:
    return str(read) if isinstance(read, UnreadableError) else (read.value, set(read.deviations))


# We are the eMSP: our fleets' tokens


@pytest.fixture
def fleet(db: Any) -> Organisation:
    return make_fleet(country_code="DE", emsp_party_id="FL1")


def listed(caller: Caller, **query: Any) -> list[str]:
    return [one["uid"] for one in data(caller.get(SENDER, query))]


def test_a_partner_with_depots_reads_what_our_fleets_identify_with(
    caller: Caller, partner: Partner, fleet: Organisation
) -> None:
    """Checklist 19, 20: in pages, oldest first, by the moment of the last change. Contracts are none of the list."""
    truck = make_vehicle(fleet=fleet, token="04AA")
    Token.objects.create(fleet=fleet, uid="04BB", group_name="Nachtschicht Süd", is_blocked=True)
    Token.objects.create(fleet=fleet, uid="DE83DUIEN83QGZ", type="EMAID")
    Token.objects.create(fleet=make_fleet(emsp_party_id=""), uid="04CC")  # of a fleet without a party
    caller.send("PUT", NAMED, token())

    first, second = data(caller.get(SENDER))
    assert first == {
        "country_code": "DE", "party_id": "FL1", "uid": "04AA", "type": "RFID", "contract_id": "04AA",
        "issuer": fleet.name, "valid": True, "whitelist": "ALLOWED", "last_updated": "2030-01-15T08:00:00Z",
    }  # fmt: skip
    assert (second["uid"], second["valid"], len(second["group_id"])) == ("04BB", False, 32)
    assert (listed(caller, limit=1), listed(caller, offset=1)) == (["04AA"], ["04BB"])

    Token.objects.filter(uid="04BB").update(updated_at=NOW + timedelta(minutes=1))
    assert listed(caller, date_from="2030-01-15T08:00:01Z") == ["04BB"]
    assert listed(caller, date_to="2030-01-15T08:01:00Z") == ["04AA"]
    truck.is_retired = True
    truck.save()
    partner.switches |= {"token_check": "must"}
    partner.save()
    assert [(o["valid"], o["whitelist"]) for o in data(caller.get(SENDER))] == [(False, "NEVER")] * 2

    Partner.objects.update(roles=[partner.roles[0]])
    assert listed(caller) == []


def ask(caller: Caller, uid: str, body: Any = None, query: str = "") -> Any:
    return caller.send("POST", f"{SENDER}/{uid}/authorize{query}", b"" if body is None else body)


def test_a_partner_asks_whether_a_token_may_charge(
    caller: Caller, partner: Partner, fleet: Organisation
) -> None:
    """Checklist 88: unknown is 404 and 2004, blocked is an answer, a slot brings the booking's reference."""
    unknown = ask(caller, "04FF")
    assert code(unknown) == (404, 2004)
    truck = make_vehicle(fleet=fleet, token="04AA")
    assert data(ask(caller, "04:aa"))["allowed"] == "ALLOWED"
    assert "authorization_reference" not in data(ask(caller, "04AA"))
    assert code(ask(caller, "04AA", query="?type=CARD")) == (200, 2001)
    # The kind says how a number is read, not who may (decision 88).
    assert data(ask(caller, "04AA", query="?type=OTHER"))["token"]["type"] == "RFID"
    assert code(ask(caller, "04AA", {"evse_uids": []})) == (200, 2001)

    booking = booked_there(partner, truck)
    place = {"location_id": booking.depot.location_id.lower(), "evse_uids": ["E-1"]}
    answer = data(ask(caller, "04AA", place))
    assert (answer["allowed"], answer["authorization_reference"]) == ("ALLOWED", "REF-1")
    assert (answer["location"], answer["token"]["uid"]) == (place, "04AA")
    assert "authorization_reference" not in data(ask(caller, "04AA", {"location_id": "ELSEWHERE"}))

    Token.objects.update(is_blocked=True)
    blocked = data(ask(caller, "04AA", place))
    assert (blocked["allowed"], blocked["token"]["valid"]) == ("BLOCKED", False)
    assert "authorization_reference" not in blocked
    Token.objects.update(is_blocked=False)
    truck.is_retired = True
    truck.save()
    assert data(ask(caller, "04AA"))["allowed"] == "EXPIRED"


def booked_there(partner: Partner, truck: Vehicle) -> Booking:
    """A booking of ours at a depot of the partner, in whose slot it is now."""
    evse = make_evse(make_depot(operator=partner.organisation))
    booking = book(evse, slot(8, 10), now=NOW - timedelta(hours=1), vehicle=truck)
    Booking.objects.filter(pk=booking.pk).update(authorization_reference="REF-1")
    return booking
