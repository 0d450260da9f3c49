"""Every address below /ocpi: what it takes, and what it answers with, by the classes of the specification.

`-` is no body; `kept` an answer in the partner's own words, which may break every rule; `[]` a list. A body in brackets is
a part of the class, as a PATCH has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from conformance.specification import faults

_TABLE = """
GET     /versions                                                              -                     Version[]
GET     /{version}                                                             -                     VersionDetails
GET     /{version}/credentials                                                 -                     Credentials
POST    /{version}/credentials                                                 Credentials           Credentials
PUT     /{version}/credentials                                                 Credentials           Credentials
DELETE  /{version}/credentials                                                 -                     -
GET     /{version}/hubclientinfo/{country_code}/{party_id}                     -                     kept
PUT     /{version}/hubclientinfo/{country_code}/{party_id}                     ClientInfo            -
GET     /{version}/invoicereconciliation                    -                           InvoiceReconciliationRecord[]
POST    /{version}/invoicereconciliation                                       InvoiceReconciliationRecord -
GET     /{version}/invoicereconciliation/{record_id}                       -                           InvoiceReconciliationRecord
GET     /{version}/invoicereconciliation/{country_code}/{party_id}/{record_id} -                           kept
PUT     /{version}/invoicereconciliation/{country_code}/{party_id}/{record_id} InvoiceReconciliationRecord -
DELETE  /{version}/invoicereconciliation/{country_code}/{party_id}/{record_id} -                           -
GET     /cpo/{version}/locations                                               -                     Location[]
GET     /cpo/{version}/locations/{location_id}                                 -                     Location
GET     /cpo/{version}/locations/{location_id}/{evse_uid}                      -                     EVSE
GET     /cpo/{version}/locations/{location_id}/{evse_uid}/{connector_id}       -                     Connector
GET     /cpo/{version}/tokens/{country_code}/{party_id}/{uid}                  -                     kept
PUT     /cpo/{version}/tokens/{country_code}/{party_id}/{uid}                  Token                 -
PATCH   /cpo/{version}/tokens/{country_code}/{party_id}/{uid}                  (Token)               -
GET     /cpo/{version}/sessions                                                -                     Session[]
PUT     /cpo/{version}/sessions/{session_id}/charging_preferences              ChargingPreferences   string
GET     /cpo/{version}/cdrs                                                    -                     CDR[]
GET     /cpo/{version}/cdrs/{cdr_id}                                           -                     CDR
GET     /cpo/{version}/tariffs                                                 -                     Tariff[]
POST    /cpo/{version}/commands/RESERVE_NOW                                    ReserveNow            CommandResponse
POST    /cpo/{version}/commands/CANCEL_RESERVATION                             CancelReservation     CommandResponse
POST    /cpo/{version}/commands/START_SESSION                                  StartSession          CommandResponse
POST    /cpo/{version}/commands/STOP_SESSION                                   StopSession           CommandResponse
POST    /cpo/{version}/commands/UNLOCK_CONNECTOR                               UnlockConnector       CommandResponse
GET     /cpo/{version}/bookings/booking_locations                              -                     BookingLocation[]
GET     /cpo/{version}/bookings/booking_locations/{booking_location_id}        -                     BookingLocation
GET     /cpo/{version}/bookings/booking_locations/{booking_location_id}/{calendar_id}  -             Calendar
GET     /cpo/{version}/bookings                                                -                     Booking[]
POST    /cpo/{version}/bookings                                                BookingRequest        Booking
GET     /cpo/{version}/bookings/{booking_id}                                   -                     Booking
GET     /cpo/{version}/chargingprofiles/{session_id}                     -                           ChargingProfileResponse
PUT     /cpo/{version}/chargingprofiles/{session_id}                     SetChargingProfile          ChargingProfileResponse
DELETE  /cpo/{version}/chargingprofiles/{session_id}                     -                           ChargingProfileResponse
PUT     /emsp/{version}/chargingprofiles/{session_id}                    ActiveChargingProfile       -
POST    /emsp/{version}/chargingprofiles/{command}/{key}                 ActiveChargingProfileResult -
GET     /emsp/{version}/locations/{country_code}/{party_id}/{location_id}      -                     kept
PUT     /emsp/{version}/locations/{country_code}/{party_id}/{location_id}      Location              -
PATCH   /emsp/{version}/locations/{country_code}/{party_id}/{location_id}      (Location)            -
GET     /emsp/{version}/locations/{country_code}/{party_id}/{location_id}/{evse_uid}   -             kept
PUT     /emsp/{version}/locations/{country_code}/{party_id}/{location_id}/{evse_uid}   EVSE          -
PATCH   /emsp/{version}/locations/{country_code}/{party_id}/{location_id}/{evse_uid}   (EVSE)        -
GET     /emsp/{version}/locations/{country_code}/{party_id}/{location_id}/{evse_uid}/{connector_id}  -            kept
PUT     /emsp/{version}/locations/{country_code}/{party_id}/{location_id}/{evse_uid}/{connector_id}  Connector    -
PATCH   /emsp/{version}/locations/{country_code}/{party_id}/{location_id}/{evse_uid}/{connector_id}  (Connector)  -
GET     /emsp/{version}/tokens                                                 -                     Token[]
POST    /emsp/{version}/tokens/{uid}/authorize                                 LocationReferences    AuthorizationInfo
GET     /emsp/{version}/sessions/{country_code}/{party_id}/{session_id}        -                     kept
PUT     /emsp/{version}/sessions/{country_code}/{party_id}/{session_id}        Session               -
PATCH   /emsp/{version}/sessions/{country_code}/{party_id}/{session_id}        (Session)             -
POST    /emsp/{version}/cdrs                                                   CDR                   -
GET     /emsp/{version}/cdrs/{country_code}/{party_id}/{cdr_id}                -                     kept
GET     /emsp/{version}/tariffs/{country_code}/{party_id}/{tariff_id}          -                     kept
PUT     /emsp/{version}/tariffs/{country_code}/{party_id}/{tariff_id}          Tariff                -
DELETE  /emsp/{version}/tariffs/{country_code}/{party_id}/{tariff_id}          -                     -
POST    /emsp/{version}/commands/{command}/{key}                               CommandResult         -
GET     /emsp/{version}/bookings/{country_code}/{party_id}/booking_locations/{booking_location_id}   -                  kept
PUT     /emsp/{version}/bookings/{country_code}/{party_id}/booking_locations/{booking_location_id}   BookingLocation    -
PATCH   /emsp/{version}/bookings/{country_code}/{party_id}/booking_locations/{booking_location_id}   (BookingLocation)  -
DELETE  /emsp/{version}/bookings/{country_code}/{party_id}/booking_locations/{booking_location_id}   -                  -
GET     /emsp/{version}/bookings/{country_code}/{party_id}/booking_locations/{booking_location_id}/{calendar_id}  -           kept
PUT     /emsp/{version}/bookings/{country_code}/{party_id}/booking_locations/{booking_location_id}/{calendar_id}  Calendar    -
PATCH   /emsp/{version}/bookings/{country_code}/{party_id}/booking_locations/{booking_location_id}/{calendar_id}  (Calendar)  -
GET     /emsp/{version}/bookings/{country_code}/{party_id}/{booking_id}        -                     kept
PUT     /emsp/{version}/bookings/{country_code}/{party_id}/{booking_id}        Booking               -
PATCH   /emsp/{version}/bookings/{country_code}/{party_id}/{booking_id}        (Booking)             -
"""
KEPT, NOTHING = "kept", "-"


@dataclass(frozen=True)
class Endpoint:
    """`path` below /ocpi with its names in braces; `body` and `answer` name classes of the specification."""

    method: str
    path: str
    body: str
    answer: str
    is_partial: bool
    is_list: bool

    @property
    def names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def module(self) -> str:
        """The last word of the path that is none of its names, without the version: `bookings`, `booking_locations`."""
        return next((part for part in reversed(self.path.split("/")) if part and part[0] != "{"), "versions")

    def faults(self, told: Any, version: str, *, with_newer: bool = False) -> list[str]:
        """What is wrong with the data of a success."""
        if self.answer in (KEPT, NOTHING):
            return ["is there"] if self.answer == NOTHING and told not in (None, [], {}, "") else []
        if self.answer == "string":
            return [] if isinstance(told, str) else ["is no string"]
        if self.is_list and not isinstance(told, list):
            return ["is no list"]
        objects = told if self.is_list else [told]
        return [
            each
            for one in objects
            for each in faults(self.answer, one, version, exact=True, with_newer=with_newer)
        ]


@cache
def endpoints() -> tuple[Endpoint, ...]:
    return tuple(_endpoint(*line.split()) for line in _TABLE.strip().splitlines())


def _endpoint(method: str, path: str, body: str, answer: str) -> Endpoint:
    return Endpoint(
        method, path, body.strip("()"), answer.removesuffix("[]"), body.startswith("("), answer.endswith("[]")
    )


def endpoint_of(method: str, path: str) -> Endpoint | None:
    """That of a whole path, without its query; None where there is none, as at a spelling that is only tolerated."""
    parts = path.strip("/").split("/")[1:]
    wanted = "GET" if method == "HEAD" else method
    found = (each for each in endpoints() if each.method == wanted and _fits(each.path, parts))
    return min(found, key=lambda each: len(each.names), default=None)


def _fits(pattern: str, parts: list[str]) -> bool:
    named = pattern.strip("/").split("/")
    return len(named) == len(parts) and all(
        one == other or one[0] == "{" for one, other in zip(named, parts, strict=True)
    )
