"""What we offer as a CPO to an eMSP that is checked: a location with two EVSEs, a BookingLocation, bookings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

from conformance.wire import Json, Party, time_text

TERMS = {
    "rfid_auth_required": True, "supported_access_methods": ["OPEN"], "change_until_minutes": 10,
    "cancel_until_minutes": 10, "noshow_timeout": 15, "min_booking_duration": 15, "max_booking_duration": 240,
    "early_start_allowed": False, "overlapping_bookings_allowed": True,
}  # fmt: skip


class CpoObjects:
    """Objects of one CPO party; each is newer than those made before it."""

    def __init__(self, party: Party, now: datetime) -> None:
        self.owner = {"country_code": party[0], "party_id": party[1]}
        # Ids begin with the party, so that those of several runs are told apart.
        self._prefix = party[1]
        self.evse_uids = (f"{party[1]}-E1", f"{party[1]}-E2")
        self._day = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        self._seconds: Iterator[int] = count()

    def newer(self) -> str:
        return time_text(self._day + timedelta(seconds=next(self._seconds)))

    def older(self) -> str:
        return time_text(self._day - timedelta(days=30))

    def location(self, number: int = 1) -> Json:
        at = self.newer()
        return {
            **self.owner, "id": f"{self._prefix}-L{number}", "publish": True, "name": f"Conformance depot {number}",
            "address": "Test Road 1", "city": "Berlin", "postal_code": "10115", "country": "DEU",
            "coordinates": {"latitude": "52.5320", "longitude": "13.3849"}, "time_zone": "Europe/Berlin",
            "opening_times": {"twentyfourseven": True},
            "evses": [self._evse(uid if number == 1 else f"{uid}-{number}", at) for uid in self.evse_uids], "last_updated": at,
        }  # fmt: skip

    def _evse(self, uid: str, at: str) -> Json:
        connector = {
            "id": "1", "standard": "IEC_62196_T2_COMBO", "format": "CABLE", "power_type": "DC",
            "max_voltage": 1000, "max_amperage": 350, "max_electric_power": 350000, "last_updated": at,
        }  # fmt: skip
        return {"uid": uid, "status": "AVAILABLE", "connectors": [connector], "last_updated": at}

    def booking_location(self, number: int = 1) -> Json:
        return {
            **self.owner, "id": f"{self._prefix}-BL{number}", "location_id": f"{self._prefix}-L1",
            "booking_option": {
                "evse_uid": self.evse_uids[0], "connector_types": ["IEC_62196_T2_COMBO"], "power_types": ["DC"],
                "connector_format": ["CABLE"],
            },
            "policy": {"reservation_required": True}, "booking_terms": TERMS,
            "calendars": [self.calendar(number)], "last_updated": self.newer(),
        }  # fmt: skip

    def calendar(self, number: int = 1) -> Json:
        begin, end = self._day + timedelta(days=1), self._day + timedelta(days=8)
        slot = {"start_date_time": time_text(begin), "end_date_time": time_text(end), "max_power": 350000}
        return {
            "id": f"{self._prefix}-C{number}", "begin_from": time_text(begin), "end_before": time_text(end),
            "timeslot_increment": 15, "available_timeslots": [slot], "last_updated": self.newer(),
        }  # fmt: skip

    def unsolicited_booking(self, emsp: Party, number: int = 1, status: str = "RESERVED") -> Json:
        """Of a request that nobody made."""
        start = self._day + timedelta(days=2)
        period = {"start_date_time": time_text(start), "end_date_time": time_text(start + timedelta(hours=1))}
        request = {
            "country_code": emsp[0], "party_id": emsp[1], "request_id": f"{self._prefix}-R{number}-{self._day:%y%m%d%H}",
            "location_id": f"{self._prefix}-L1", "booking_location_id": f"{self._prefix}-BL1", "period": period,
            "tokens": [
                {
                    "country_code": emsp[0], "party_id": emsp[1], "uid": f"{self._prefix}{number:04}", "type": "RFID",
                    "contract_id": f"{emsp[0]}{emsp[1]}C{self._prefix}{number:04}",
                }
            ],
            "authorization_reference": f"{self._prefix}-A{number}-{self._day:%y%m%d%H}",
        }  # fmt: skip
        return self._booking(f"{self._prefix}-B{number}-{self._day:%y%m%d%H}", request, status)

    def granted(self, request: Json) -> Json:
        """The Booking for a BookingRequest that came: granted, or cancelled where it asks for that."""
        status = "CANCELED" if request.get("canceled") else "RESERVED"
        return self._booking(f"{self._prefix}-{request.get('request_id', '')}"[:36], request, status)

    def _booking(self, booking_id: str, request: Json, status: str) -> Json:
        booking = {
            **self.owner, "id": booking_id, "request_id": request.get("request_id"),
            "booking_option": {"evse_uid": self.evse_uids[0]}, "location_id": request.get("location_id"),
            "booking_tokens": request.get("tokens") or [], "period": request.get("period"),
            "reservation_status": status,
            "authorization_reference": request.get("authorization_reference"), "booking_terms": TERMS,
            "booking_requests": [
                {
                    "request_status": "ACCEPTED", "booking_request": request,
                    "request_received": time_text(datetime.now(UTC)),
                }
            ],
            "last_updated": self.newer(),
        }  # fmt: skip
        return {**booking, "canceled": request["canceled"]} if request.get("canceled") else booking

    def session(self, emsp: Party, number: int = 1) -> Json:
        """One that has begun, with a period in it."""
        start = time_text(self._day)
        return {
            **self.owner, "id": f"{self._prefix}-S{number}-{self._day:%y%m%d%H}", "start_date_time": start, "kwh": 0,
            "cdr_token": {
                "country_code": emsp[0], "party_id": emsp[1], "uid": f"{self._prefix}{number:04}", "type": "RFID",
                "contract_id": f"{emsp[0]}{emsp[1]}C{self._prefix}{number:04}",
            },
            "auth_method": "WHITELIST", "location_id": f"{self._prefix}-L1", "evse_uid": self.evse_uids[0], "connector_id": "1",
            "currency": "EUR", "charging_periods": [self.charging_period(0)], "status": "ACTIVE",
            "last_updated": self.newer(),
        }  # fmt: skip

    def charging_period(self, minutes: int) -> Json:
        at = time_text(self._day + timedelta(minutes=minutes))
        return {
            "start_date_time": at,
            "dimensions": [{"type": "ENERGY", "volume": 1.5}, {"type": "TIME", "volume": 0.25}],
        }

    def cdr(self, emsp: Party, version: str) -> Json:
        """Of a session that nobody had, over an hour of yesterday: 1.50 kWh for 1.00 and its tax."""
        begin = self._day - timedelta(days=1)
        session = self.session(emsp, 9)
        price = {"before_taxes": 1.0, "taxes": [{"name": "VAT", "percentage": 20, "amount": 0.2}]}
        return {
            **self.owner, "id": f"{self._prefix}-D{datetime.now(UTC):%y%m%d%H%M%S}", "start_date_time": time_text(begin),
            "end_date_time": time_text(begin + timedelta(hours=1)), "session_id": session["id"],
            "cdr_token": session["cdr_token"], "auth_method": "WHITELIST", "cdr_location": self._cdr_location(),
            "currency": "EUR", "tariffs": [], "charging_periods": [self._cdr_period(begin)],
            "total_cost": price if version == "2.3.0" else {"excl_vat": 1.0, "incl_vat": 1.2},
            "total_energy": 1.5, "total_time": 1.0, "last_updated": self.newer(),
        }  # fmt: skip

    def _cdr_period(self, begin: datetime) -> Json:
        return {**self.charging_period(0), "start_date_time": time_text(begin)}

    def _cdr_location(self) -> Json:
        place = self.location()
        kept = ("id", "name", "address", "city", "postal_code", "country", "coordinates")
        return {
            **{name: place[name] for name in kept}, "evse_uid": self.evse_uids[0], "evse_id": "#NA", "connector_id": "1",
            "connector_standard": "IEC_62196_T2_COMBO", "connector_format": "CABLE", "connector_power_type": "DC",
        }  # fmt: skip

    def credit_of(self, record: Json, version: str) -> Json:
        """All of it copied but total_cost, which is negated."""
        price = {"before_taxes": -1.0, "taxes": [{"name": "VAT", "percentage": 20, "amount": -0.2}]}
        return {
            **record, "id": f"{record['id']}-C", "credit": True, "credit_reference_id": record["id"],
            "total_cost": price if version == "2.3.0" else {"excl_vat": -1.0, "incl_vat": -1.2},
            "last_updated": self.newer(),
        }  # fmt: skip
