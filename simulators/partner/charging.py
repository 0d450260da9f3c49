"""Trucks that charge at our sites for their bookings: sessions while they do, a record when they have (OCPI Sessions, CDRs)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from simulators.partner.ocpi_format import Json, read_period, read_time, write_time
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.simulated_sites import SimulatedSite, site_of
from simulators.partner.state_file import StateFile
from simulators.partner.tariffs import CURRENCY, PRICE_PER_KWH, VAT_PERCENT, tariff_of

REPORT_EVERY = timedelta(seconds=15)
# What a truck takes of what a bay gives, and with how full a battery it comes.
MOST_POWER_W, BATTERY_KWH, ARRIVES_WITH_PERCENT = 350_000, 500, 25


class ChargingDesk:
    """`push_soon(kind, key)` is told each session and record that is new or has changed, and each location of which an EVSE has
    another status by it. A booking has one session."""

    def __init__(
        self, settings: PartnerSettings, state: StateFile, push_soon: Callable[[str, str], None]
    ) -> None:
        self._settings, self._state, self._push_soon = settings, state, push_soon

    def sessions(self) -> dict[str, Json]:
        found: dict[str, Json] = self._state.get("sessions", {})
        return found

    def cdrs(self) -> dict[str, Json]:
        found: dict[str, Json] = self._state.get("cdrs", {})
        return found

    def limit(self, session_id: str, watts: float | None) -> bool:
        """Give a session no more than that from now on; None lifts it. Whether there was a limit before."""
        with self._state.changing() as state:
            limits = state.setdefault("limits", {})
            had = limits.pop(session_id, None)
            if watts is not None:
                limits[session_id] = watts
        return had is not None

    def allowed_w(self, session_id: str) -> float:
        """What a session may take."""
        bay_w = site_of(self.sessions()[session_id]).max_power_w
        limit: float = self._state.get("limits", {}).get(session_id, bay_w)
        return min(limit, bay_w)

    def do_what_is_due(self, bookings: dict[str, Json]) -> None:
        """Of each booking whose truck has come: begin, say how far it is, and end it when it has had its time."""
        now, sessions = self._settings.clock(), self.sessions()
        for booking in bookings.values():
            session = sessions.get(f"S-{booking['id']}")
            if booking["reservation_status"] != "FULFILLED":
                continue
            if session is None:
                self._report(booking, now, begun_at=now)
            elif session["status"] == "ACTIVE":
                self._go_on(booking, session, now)

    def stop(self, session_id: str, bookings: dict[str, Json]) -> bool:
        """End a session that runs. False where there is none of this id."""
        session = self.sessions().get(session_id)
        if session is None or session["status"] != "ACTIVE":
            return False
        now = self._settings.clock()
        booking = bookings[session_id.removeprefix("S-")]
        self._end(booking, now, read_time(session["start_date_time"]), now)
        return True

    def _go_on(self, booking: Json, session: Json, now: datetime) -> None:
        begun_at = read_time(session["start_date_time"])
        leaves_at = min(read_period(booking)[1], begun_at + self._settings.charges_for)
        if now >= leaves_at:
            self._end(booking, max(leaves_at, begun_at), begun_at, now)
        elif now - read_time(session["last_updated"]) >= REPORT_EVERY:
            self._report(booking, now, begun_at=begun_at)

    def _report(self, booking: Json, now: datetime, *, begun_at: datetime) -> None:
        self._keep_session(self._session(booking, begun_at, until=now) | {"last_updated": write_time(now)})

    def _end(self, booking: Json, ended_at: datetime, begun_at: datetime, now: datetime) -> None:
        session = self._session(booking, begun_at, until=ended_at)
        over = {"status": "COMPLETED", "end_date_time": write_time(ended_at), "last_updated": write_time(now)}
        self._keep_session({**session, **over})
        cdr = self._cdr(booking, session | over, hours=_hours(begun_at, ended_at))
        with self._state.changing() as state:
            state.setdefault("cdrs", {})[cdr["id"]] = cdr
            state.get("limits", {}).pop(session["id"], None)
        self._settings.say(f"{cdr['id']}: {session['kwh']} kWh for {booking['id']}")
        self._push_soon("cdr", cdr["id"])

    def _keep_session(self, session: Json) -> None:
        with self._state.changing() as state:
            kept = state.setdefault("sessions", {})
            is_other_status = kept.get(session["id"], {}).get("status") != session["status"]
            kept[session["id"]] = session
        self._push_soon("session", session["id"])
        if is_other_status:
            self._push_soon("location", session["location_id"])

    def _session(self, booking: Json, begun_at: datetime, *, until: datetime) -> Json:
        site = site_of(booking)
        known = self.sessions().get(f"S-{booking['id']}")
        power_kw = min(site.max_power_w, MOST_POWER_W) / 1000
        hours, kwh = _hours(begun_at, until), 0.0
        if known is not None:
            power_kw = min(power_kw, self.allowed_w(known["id"]) / 1000)
            since = min(read_time(known["last_updated"]), until)
            kwh = round(known["kwh"] + power_kw * _hours(since, until), 3)
        dimensions = {"ENERGY": kwh, "TIME": hours, "POWER": power_kw, "STATE_OF_CHARGE": _percent(kwh)}
        return {
            **self._settings.party,
            "id": f"S-{booking['id']}",
            "start_date_time": write_time(begun_at),
            "kwh": kwh,
            "cdr_token": booking["booking_tokens"][0],
            "auth_method": "WHITELIST",
            "authorization_reference": booking["authorization_reference"],
            "location_id": site.location_id,
            "evse_uid": _bay(booking, site),
            "connector_id": "1",
            "currency": CURRENCY,
            "charging_periods": [_period(begun_at, dimensions)],
            "total_cost": self._price(kwh),
            "status": "ACTIVE",
        }

    def _cdr(self, booking: Json, session: Json, *, hours: float) -> Json:
        kwh, cost = session["kwh"], session["total_cost"]
        copied = (
            "country_code", "party_id", "start_date_time", "end_date_time", "cdr_token", "auth_method",
            "authorization_reference", "currency", "last_updated",
        )  # fmt: skip
        begun_at = read_time(session["start_date_time"])
        return {
            **{name: session[name] for name in copied},
            "id": f"C-{booking['id']}",
            "booking_id": booking["id"],
            "session_id": session["id"],
            "cdr_location": _place(site_of(booking), session["evse_uid"]),
            "tariffs": [tariff_of(self._settings)],
            "charging_periods": [_period(begun_at, {"ENERGY": kwh, "TIME": hours})],
            "total_cost": cost,
            "total_energy": kwh,
            "total_energy_cost": cost,
            "total_time": hours,
        }

    def _price(self, kwh: float) -> Json:
        before = round(kwh * PRICE_PER_KWH, 2)
        tax = round(before * VAT_PERCENT / 100, 2)
        if self._settings.version == "2.2.1":
            return {"excl_vat": before, "incl_vat": round(before + tax, 2)}
        return {
            "before_taxes": before,
            "taxes": [{"name": "VAT", "percentage": VAT_PERCENT, "amount": tax}],
        }


def _hours(begun_at: datetime, until: datetime) -> float:
    return round((until - begun_at).total_seconds() / 3600, 4)


def _percent(kwh: float) -> float:
    return round(min(ARRIVES_WITH_PERCENT + kwh / BATTERY_KWH * 100, 100), 1)


def _period(begun_at: datetime, volumes: dict[str, float]) -> Json:
    dimensions = [{"type": name, "volume": volume} for name, volume in volumes.items()]
    return {"start_date_time": write_time(begun_at), "dimensions": dimensions}


def _bay(booking: Json, site: SimulatedSite) -> str:
    told = booking["booking_option"].get("evse_uid", "#NA")
    return site.bays[0] if told == "#NA" else str(told)


def _place(site: SimulatedSite, bay: str) -> Json:
    return {
        "id": site.location_id, "name": site.name, "address": site.address, "city": site.city,
        "postal_code": site.postal_code, "country": "FRA",
        "coordinates": {"latitude": site.latitude, "longitude": site.longitude}, "evse_uid": bay, "evse_id": bay,
        "connector_id": "1", "connector_standard": site.connector, "connector_format": "CABLE",
        "connector_power_type": "DC",
    }  # fmt: skip
