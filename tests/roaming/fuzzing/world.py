"""A partner that has everything here: what it calls about is there, of both roles, with the bodies that would be right."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from bookings.models import Booking, BookingOption, Token
from depots.periods import Period
from roaming.mirror import partner_places
from roaming.models import Partner
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.times import time_out
from tests.factories import NOW, at, book_slot, make_depot, make_fleet, make_vehicle, slot
from tests.roaming import guests
from tests.roaming.commands.senders import CALLBACK, online_evse, token_of
from tests.roaming.hubs.test_hubs import info
from tests.roaming.ocpi.v2_3_0.tokens.test_tokens import token as network_token
from tests.roaming.partners import Caller, adopt_booking, adopt_offer, booking_request, data, make_partner
from tests.roaming.pushed_objects import booking as pushed_booking
from tests.roaming.pushed_objects import calendar, location, offer, plug
from tests.roaming.told_charging import cdr, session, tariff

HUB = "FRCPO"


@dataclass
class World:
    """`names` by the name of a field or a part of a path; `bodies` by class of the specification."""

    caller: Caller
    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    bodies: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def partner(self) -> Partner:
        return self.caller.partner


def make_world(version: str) -> World:
    """At NOW."""
    party = {"country_code": "FR", "party_id": "CPO", "name": "Network"}
    partner = make_partner(
        "CPO", country_code="FR", roles=[{"role": role, **party} for role in ("EMSP", "CPO")], version=version,
        switches={"bookings_under_2_2_1": True, "may_unlock": True, "hub_party_id": HUB},
    )  # fmt: skip
    world = World(Caller(partner))
    _names_of_all(world)
    _at_our_depots(world)
    _at_their_depots(world)
    _about_the_connection(world)
    return world


def _names_of_all(world: World) -> None:
    world.names["country_code"] = ["FR", "fr", "NL", "SE"]
    world.names["party_id"] = ["CPO", "cpo", "LPK", "AAA"]
    for way in ("from", "to"):
        world.names[f"OCPI-{way}-country-code"] = ["FR", "NL", "DE"]
        world.names[f"OCPI-{way}-party-id"] = ["CPO", "LPK", "NFE"]
    world.names["X-Request-ID"] = ["b7a0a7a5-0d2f-4a44-8bb1-5c6b1f6f1f5e"]
    world.names["last_updated"] = ["2030-01-15T07:59:00Z", "2030-01-15T12:00:00Z", "2020-01-01T00:00:00Z"]
    world.names["response_url"] = [CALLBACK]
    world.names["url"] = ["https://192.0.2.1/ocpi/versions"]


def _at_our_depots(world: World) -> None:
    """A session that is over, with its record, one that runs, a booking to come, and a plug where a command finds a charger."""
    over, running = (guests.booked(world.partner, evse) for evse in (guests.our_evse(), guests.our_evse()))
    guests.end(guests.begin(over))
    session = guests.begin(running)
    assert running.evse is not None
    operator = running.evse.depot.operator
    evse = online_evse(make_depot(operator))
    option = BookingOption.objects.get(evses=evse)
    request = booking_request(world.caller.party, option, slot(12, 13))
    made = data(world.caller.post("/ocpi/cpo/2.3.0/bookings", request))
    world.names["location_id"] += [evse.depot.location_id, running.evse.depot.location_id]
    world.names["evse_uid"] += [evse.uid, running.evse.uid]
    world.names["connector_id"] += ["1"]
    world.names["booking_location_id"] += [option.code]
    world.names["calendar_id"] += list(_calendars(world))
    world.names["booking_id"] += [made["id"], over.reference]
    world.names["request_id"] += [request["request_id"]]
    world.names["session_id"] += [str(session.pk)]
    world.names["cdr_id"] += [each["id"] for each in data(world.caller.get("/ocpi/cpo/2.3.0/cdrs"))]
    _asks_to_book(world, option, evse.uid, request)
    _asks_of_chargers(world, {"location_id": evse.depot.location_id, "evse_uid": evse.uid}, str(session.pk))


def _asks_to_book(world: World, option: BookingOption, evse_uid: str, request: dict[str, Any]) -> None:
    """One that was made, changed and given up, and others."""
    world.bodies["BookingRequest"] += [
        request,
        booking_request(world.caller.party, option, slot(14, 15)),
        {**request, "period": _period(slot(12, 14))},
        {**request, "canceled": {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}},
        booking_request(
            world.caller.party, option, slot(15, 16), booking_option=_everything_about_a_place(evse_uid)
        ),
    ]


def _asks_of_chargers(world: World, place: dict[str, Any], session_id: str) -> None:
    """Commands at an EVSE, and what a session may take."""
    asked = {"response_url": CALLBACK, "token": token_of(world.caller)}
    later = time_out(at(9))
    world.bodies["ReserveNow"] += [{**asked, **place, "expiry_date": later, "reservation_id": "R-1"}]
    world.bodies["CancelReservation"] += [{"response_url": CALLBACK, "reservation_id": "R-1"}]
    world.bodies["StartSession"] += [
        {**asked, **place, "connector_id": "1", "authorization_reference": "REF-7"}
    ]
    world.bodies["StopSession"] += [{"response_url": CALLBACK, "session_id": session_id}]
    world.bodies["UnlockConnector"] += [{"response_url": CALLBACK, **place, "connector_id": "1"}]
    profile = {"charging_rate_unit": "W", "charging_profile_period": [{"start_period": 0, "limit": 50000}]}
    world.bodies["SetChargingProfile"] += [{"charging_profile": profile, "response_url": CALLBACK}]
    active = {"start_date_time": later, "charging_profile": profile}
    world.bodies["ActiveChargingProfile"] += [active]
    world.bodies["ActiveChargingProfileResult"] += [{"result": "ACCEPTED", "profile": active}]
    world.bodies["ChargingPreferences"] += [
        {
            "profile_type": "FAST",
            "departure_time": time_out(at(18)),
            "energy_need": 40,
            "discharge_allowed": False,
        }
    ]


def _calendars(world: World) -> list[str]:
    offers = data(world.caller.get("/ocpi/cpo/2.3.0/bookings/booking_locations"))
    return [one["id"] for each in offers for one in each.get("calendars", [])][:2]


def _period(when: Period) -> dict[str, str]:
    return {"start_date_time": time_out(when.starts_at), "end_date_time": time_out(when.ends_at)}


def _everything_about_a_place(uid: str) -> dict[str, Any]:
    return {
        "evse_uid": uid, "vehicle_types": ["SEMI_TRACTOR"], "connector_types": ["IEC_62196_T2_COMBO"],
        "connector_format": ["CABLE"], "power_types": ["DC"], "max_vehicle_length": 1650, "max_vehicle_weight": 40000,
        "drive_through": True, "refrigeration_outlet": False, "dangerous_goods_allowed": False,
    }  # fmt: skip


def _at_their_depots(world: World) -> None:
    """A place with an offer of theirs, a booking of ours there, its session and record, a tariff, and cards of both."""
    partner = world.partner
    fleet = make_fleet("Nordfracht", country_code="DE", emsp_party_id="NFE")
    partner_places.keep_place(partner, dialect_of(partner).locations.read(location()).value)
    option = adopt_offer(partner, offer(), now=NOW).option
    vehicle = make_vehicle(fleet, token="04AA")
    booked = book_slot(fleet=fleet, option=option, period=slot(12, 13), vehicle=vehicle)
    Booking.objects.filter(pk=booked.pk).update(authorization_reference="REF-1")
    adopt_booking(partner, pushed_booking(booked), now=NOW)
    token = network_token(country_code="FR", party_id="CPO")
    _tell_of_theirs(world.caller, token)
    _bodies_of_theirs(world, token)
    world.bodies["Booking"] += [pushed_booking(booked), pushed_booking()]
    world.names["location_id"] += ["LOC-1", "loc-1"]
    world.names["evse_uid"] += ["E-1"]
    world.names["booking_location_id"] += ["BL-1"]
    world.names["calendar_id"] += ["CA-1"]
    world.names["booking_id"] += ["CB-881", booked.request_id]
    world.names["session_id"] += ["S-1"]
    world.names["cdr_id"] += ["CDR-1"]
    world.names["tariff_id"] += ["T-1"]
    world.names["uid"] += [token["uid"], *Token.objects.values_list("uid", flat=True)]


def _tell_of_theirs(caller: Caller, token: dict[str, Any]) -> None:
    told = [
        ("PUT", "/ocpi/emsp/2.3.0/locations/FR/CPO/LOC-1", location()),
        ("PUT", "/ocpi/emsp/2.3.0/tariffs/FR/CPO/T-1", tariff()),
        ("PUT", "/ocpi/emsp/2.3.0/sessions/FR/CPO/S-1", session()),
        ("POST", "/ocpi/emsp/2.3.0/cdrs", cdr()),
        ("PUT", f"/ocpi/cpo/2.3.0/tokens/FR/CPO/{token['uid']}", token),
    ]
    for method, path, body in told:
        data_or_nothing = caller.send(method, path, body).json()
        assert data_or_nothing["status_code"] == 1000, data_or_nothing


def _bodies_of_theirs(world: World, token: dict[str, Any]) -> None:
    world.bodies["Location"] += [location(), location(last_updated="2030-01-15T12:00:00Z")]
    world.bodies["EVSE"] += location()["evses"]
    world.bodies["Connector"] += [plug()]
    world.bodies["Tariff"] += [tariff(), _whole_tariff()]
    world.bodies["Session"] += [session(), session(id="S-2", status="COMPLETED")]
    world.bodies["CDR"] += [
        cdr(),
        cdr(id="CDR-2", session_id="S-2"),
        cdr(id="CDR-3", credit=True, credit_reference_id="CDR-1"),
    ]
    world.bodies["Token"] += [token, network_token(country_code="FR", party_id="CPO", uid="04BB")]
    world.bodies["BookingLocation"] += [offer()]
    world.bodies["Calendar"] += [calendar()]
    world.bodies["LocationReferences"] += [{"location_id": "LOC-1", "evse_uids": ["E-1"]}]


def _whole_tariff() -> dict[str, Any]:
    """With every kind of restriction and component."""
    restrictions = {
        "start_time": "08:00", "end_time": "18:00", "start_date": "2030-01-01", "end_date": "2031-01-01", "min_kwh": 1,
        "max_kwh": 100, "min_power": 10, "max_power": 400, "min_duration": 60, "max_duration": 7200,
        "day_of_week": ["MONDAY", "TUESDAY"],
    }  # fmt: skip
    components = [
        {"type": kind, "price": 1.5, "vat": 19, "step_size": 60} for kind in ("FLAT", "TIME", "PARKING_TIME")
    ]
    elements = [
        {"price_components": components, "restrictions": restrictions},
        {"price_components": components[:1], "restrictions": {"booking": "BOOKING"}},
    ]
    text = [{"language": "en", "text": "by the hour"}]
    return {**tariff(), "elements": elements, "tariff_alt_text": text, "min_price": {"before_taxes": 1}}


def _about_the_connection(world: World) -> None:
    url = "https://192.0.2.1/ocpi/versions"
    role = {"role": "EMSP", "country_code": "FR", "party_id": "CPO", "business_details": {"name": "Network"}}
    record = {"country_code": "FR", "party_id": "CPO", "id": "IR-1", "invoice_id": "I-1", "cdrs": ["CDR-1"]}
    world.bodies["InvoiceReconciliationRecord"] += [{**record, "last_updated": "2030-01-15T07:59:00Z"}]
    world.names["record_id"] += ["IR-1"]
    world.bodies["Credentials"] += [{"token": "a-token-of-theirs", "url": url, "roles": [role]}]
    world.bodies["ClientInfo"] += [info("AAA"), {**info("CPO"), "country_code": "FR"}]
    world.bodies["CommandResult"] += [
        {"result": "ACCEPTED"},
        {"result": "REJECTED", "message": [{"language": "en", "text": "no"}]},
    ]
    world.names["command"] += ["START_SESSION", "STOP_SESSION", "RESERVE_NOW"]
