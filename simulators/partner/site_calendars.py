"""Our sites as OCPI shows them: Locations, BookingLocations, and the calendars of their free time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from simulators.partner.ocpi_format import Json, read_period, write_time
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.simulated_sites import HORIZON, QUIET_HOURS_UTC, STEP_MIN, TERMS, SimulatedSite
from simulators.partner.state_file import StateFile
from simulators.partner.tariffs import TARIFF_ID

NEVER_CHANGED = "2026-01-01T00:00:00Z"
HOLDING = {"PENDING", "RESERVED"}
Span = tuple[datetime, datetime]


class SiteCalendars:
    def __init__(self, settings: PartnerSettings, state: StateFile) -> None:
        self._settings, self._state = settings, state

    def location(self, site: SimulatedSite) -> Json:
        sessions = self._state.get("sessions", {}).values()
        evses = [_evse(site, bay, [one for one in sessions if one["evse_uid"] == bay]) for bay in site.bays]
        return {
            **self._settings.party, "id": site.location_id, "publish": True,
            "name": site.name, "address": site.address, "city": site.city, "postal_code": site.postal_code,
            "country": "FRA", "coordinates": {"latitude": site.latitude, "longitude": site.longitude},
            "time_zone": "Europe/Paris",
            "opening_times": {"twentyfourseven": True},
            "evses": evses,
            "last_updated": max(evse["last_updated"] for evse in evses),
        }  # fmt: skip

    def booking_location(self, site: SimulatedSite) -> Json:
        changed = self._state.get("touched", {}).get(site.booking_location_id, NEVER_CHANGED)
        slots = self.free(site)
        return {
            **self._settings.party,
            "id": site.booking_location_id,
            "location_id": site.location_id,
            "booking_option": _option(site),
            "policy": {"reservation_required": True},
            "booking_terms": TERMS,
            "calendars": [self._calendar(site, slots, changed)] if slots else [],
            "last_updated": changed,
        }

    def free(self, site: SimulatedSite, without: str = "") -> list[Span]:
        """The time in which a bay is free, in steps joined to spans; `without` is a booking not to count."""
        begin, end = self.horizon()
        step = timedelta(minutes=STEP_MIN)
        taken = [read_period(b) for b in self.holding(site) if b["id"] != without]
        spans: list[Span] = []
        moment = begin
        while moment < end:
            if self._is_free(site, taken, moment, moment + step):
                is_joined = spans and spans[-1][1] == moment
                begun = spans.pop()[0] if is_joined else moment
                spans.append((begun, moment + step))
            moment += step
        return spans

    def horizon(self) -> Span:
        now = self._settings.clock().astimezone(UTC)
        begin = now.replace(minute=now.minute // STEP_MIN * STEP_MIN, second=0, microsecond=0)
        return begin, begin + HORIZON

    def holding(self, site: SimulatedSite) -> list[Json]:
        """The bookings that take a bay of this site."""
        return [
            b
            for b in self._state.get("bookings", {}).values()
            if b["location_id"] == site.location_id and b["reservation_status"] in HOLDING
        ]

    def _is_free(self, site: SimulatedSite, taken: list[Span], start: datetime, end: datetime) -> bool:
        is_closed = self._settings.quiet_hours and start.hour in QUIET_HOURS_UTC
        return not is_closed and sum(1 for s, e in taken if s < end and start < e) < len(site.bays)

    def _calendar(self, site: SimulatedSite, slots: list[Span], changed: str) -> Json:
        begin, end = self.horizon()
        return {
            "id": f"{site.booking_location_id}-C1",
            "begin_from": write_time(begin),
            "end_before": write_time(end),
            "timeslot_increment": STEP_MIN,
            "available_timeslots": [
                {
                    "start_date_time": write_time(start),
                    "end_date_time": write_time(end),
                    "max_power": site.max_power_w,
                }
                for start, end in slots
            ],
            "last_updated": changed,
        }


def _evse(site: SimulatedSite, bay: str, sessions: list[Json]) -> Json:
    """Taken while a session runs there; it has changed when the last one began or ended."""
    charging = [one for one in sessions if one["status"] == "ACTIVE"]
    changed = [str(one.get("end_date_time") or one["start_date_time"]) for one in sessions]
    volts = 1250 if site.connector == "MCS" else 1000
    connector = {
        "id": "1", "standard": site.connector, "format": "CABLE", "power_type": "DC",
        "max_voltage": volts, "max_amperage": site.max_power_w // volts,
        "max_electric_power": site.max_power_w, "tariff_ids": [TARIFF_ID], "last_updated": NEVER_CHANGED,
    }  # fmt: skip
    return {
        "uid": bay, "status": "CHARGING" if charging else "AVAILABLE", "capabilities": ["RFID_READER"],
        "connectors": [connector], "last_updated": max(changed, default=NEVER_CHANGED),
    }  # fmt: skip


def _option(site: SimulatedSite) -> Json:
    """Lengths in centimetres, weight in kilograms."""
    option: Json = {
        "vehicle_types": list(site.vehicle_types),
        "connector_format": ["CABLE"],
        "connector_types": [site.connector],
        "power_types": ["DC"],
        "max_vehicle_length": 1875,
        "max_vehicle_height": 420,
        "max_vehicle_weight": 44000,
        "drive_through": True,
        "dangerous_goods_allowed": False,
        "refrigeration_outlet": site.decides_at_once,
    }
    return option if len(site.bays) > 1 else {**option, "evse_uid": site.bays[0]}
