"""Bookings at our sites: what an eMSP asks for, and what we decide, at once or after a while."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from simulators.partner.booking_request import check_request
from simulators.partner.ocpi_format import Json, Refusal, read_period, read_time, write_time
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.simulated_sites import STEP_MIN, TERMS, SimulatedSite, find_booking_location, site_of
from simulators.partner.site_calendars import SiteCalendars
from simulators.partner.state_file import StateFile

# What a new booking is after the decision over its request.
STATUS_AFTER = {"ACCEPTED": "RESERVED", "PENDING": "PENDING", "DECLINED": "REJECTED"}
FINAL = {"CANCELED", "FAILED", "NO_SHOW", "FULFILLED", "REJECTED"}


class Received(NamedTuple):
    """What came of a request: its booking, whether that is new, and why it was not granted."""

    booking: Json
    is_new: bool
    objection: str = ""


class BookingDesk:
    """`push_soon(kind, key)` is told each booking and booking location that has changed."""

    def __init__(
        self,
        settings: PartnerSettings,
        state: StateFile,
        calendars: SiteCalendars,
        push_soon: Callable[[str, str], None],
    ) -> None:
        self._settings, self._state = settings, state
        self._calendars, self._push_soon = calendars, push_soon

    def bookings(self) -> dict[str, Json]:
        """By id."""
        found: dict[str, Json] = self._state.get("bookings", {})
        return found

    def receive(self, body: Any, parties: list[list[str]]) -> Received:
        """A BookingRequest of one of these parties: a new booking, an edit or a cancellation, told apart by its request_id.
        Raises Refusal."""
        ask = check_request(self._completed(body))
        if [ask["country_code"].upper(), ask["party_id"].upper()] not in parties:
            raise Refusal(2001, f"{ask['country_code']}*{ask['party_id']} is no party of yours")
        key = "/".join([ask["country_code"], ask["party_id"], ask["request_id"]]).upper()
        with self._state.changing() as state:
            bookings, booking_of = state.setdefault("bookings", {}), state.setdefault("booking_of", {})
            booking = bookings.get(booking_of.get(key))
            is_new = booking is None
            if is_new:
                booking, objection = self._create(ask)
                bookings[booking["id"]] = booking
                booking_of[key] = booking["id"]
            elif booking["booking_requests"][-1]["booking_request"] == ask:
                return Received(booking, is_new=False)
            else:
                objection = self._edit(booking, ask)
            self._record_change(state, booking)
        self._push_soon("booking", booking["id"])
        return Received(booking, is_new, objection)

    def _completed(self, body: Any) -> Any:
        """A cancellation may name its booking alone: the rest is as it was asked for last."""
        if not isinstance(body, dict) or "canceled" not in body:
            return body
        names = [str(body.get(name, "")) for name in ("country_code", "party_id", "request_id")]
        known = self.bookings().get(self._state.get("booking_of", {}).get("/".join(names).upper(), ""))
        return {**known["booking_requests"][-1]["booking_request"], **body} if known else body

    def decide(self, booking_id: str, *, accept: bool) -> Json:
        """RoutedAnswer what waits at a booking. Raises KeyError for a booking without anything to decide."""
        with self._state.changing() as state:
            booking: Json = state["bookings"][booking_id]
            entry = booking["booking_requests"][-1]
            if entry["request_status"] != "PENDING":
                raise KeyError(booking_id)
            objection = self._objection(site_of(booking), entry["booking_request"], without=booking_id)
            if accept and not objection:
                self._grant(booking)
            else:
                entry["request_status"] = "DECLINED"
                if booking["reservation_status"] == "PENDING":
                    booking["reservation_status"] = "REJECTED"
            self._record_change(state, booking)
        self._push_soon("booking", booking_id)
        return booking

    def cancel(self, booking_id: str, reason: str = "BROKEN_CHARGER") -> Json:
        """As the operator of the depot: the charger is broken, say."""
        canceled = {"cancellation_reason": reason, "who_canceled": "CPO"}
        return self._set_status(booking_id, "CANCELED", canceled=canceled)

    def begin(self, booking_id: str) -> Json:
        """Its truck charges."""
        return self._set_status(booking_id, "FULFILLED")

    def do_what_is_due(self) -> None:
        """Decide what has waited long enough; bookings whose time has come are fulfilled."""
        now = self._settings.clock()
        for booking in self.bookings().values():
            waiting = booking["booking_requests"][-1]
            thinks_until = read_time(waiting["request_received"]) + self._settings.decide_after
            if waiting["request_status"] == "PENDING" and thinks_until <= now:
                self.decide(booking["id"], accept=True)
            elif booking["reservation_status"] == "RESERVED" and read_period(booking)[0] <= now:
                self._set_status(booking["id"], "FULFILLED")

    def _create(self, ask: Json) -> tuple[Json, str]:
        """The booking, and why it was not granted."""
        if "canceled" in ask:
            raise Refusal(2001, "request_id: there is no such booking to cancel")
        site = find_booking_location(ask["booking_location_id"])
        if site is None or site.location_id.upper() != ask["location_id"].upper():
            raise Refusal(2003, "booking_location_id: not known at this location")
        if past := self._is_past(ask):
            raise Refusal(2001, f"period: {past}")
        objection = self._objection(site, ask)
        decision = "DECLINED" if objection else "ACCEPTED" if site.decides_at_once else "PENDING"
        booking = {
            "id": f"SB-{uuid.uuid4().hex[:12].upper()}",
            **self._settings.party,
            "request_id": ask["request_id"],
            "location_id": site.location_id,
            "booking_option": self._assign_bay(site, ask),
            "booking_tokens": ask.get("tokens", []),
            "period": _period(ask, site),
            "reservation_status": STATUS_AFTER[decision],
            "access_information": ask.get("access_information", []),
            "authorization_reference": ask["authorization_reference"],
            "booking_terms": TERMS,
            "booking_requests": [self._entry(ask, decision)],
        }
        place = f"{ask['period']['start_date_time']} at {site.name}"
        self._settings.say(f"{booking['id']} {STATUS_AFTER[decision]} for {place} {objection}".rstrip())
        return booking, objection

    def _edit(self, booking: Json, ask: Json) -> str:
        """A change or a cancellation, the newest of which counts; gives why it was declined. Raises Refusal."""
        if booking["reservation_status"] in FINAL:
            raise Refusal(2001, f"This booking is {booking['reservation_status']} for good")
        for entry in booking["booking_requests"]:
            if entry["request_status"] == "PENDING":
                entry["request_status"] = "DECLINED"
        is_cancellation, site = "canceled" in ask, site_of(booking)
        is_late = self._is_late(
            booking, "cancel_until_minutes" if is_cancellation else "change_until_minutes"
        )
        objection = "That is too late." if is_late else ""
        if not is_cancellation:
            objection = objection or self._is_past(ask) or self._objection(site, ask, without=booking["id"])
        decision = "DECLINED" if objection else "ACCEPTED" if is_cancellation else "PENDING"
        booking["booking_requests"].append(self._entry(ask, decision))
        if decision == "ACCEPTED":
            booking["reservation_status"], booking["canceled"] = "CANCELED", ask["canceled"]
        elif decision == "PENDING" and site.decides_at_once and booking["reservation_status"] == "RESERVED":
            self._grant(booking)
        return objection

    def _is_late(self, booking: Json, term: str) -> bool:
        until = read_period(booking)[0] - timedelta(minutes=TERMS[term])
        return booking["reservation_status"] == "RESERVED" and self._settings.clock() > until

    def _grant(self, booking: Json) -> None:
        """The newest request of a booking is what holds from now on."""
        entry, site = booking["booking_requests"][-1], site_of(booking)
        ask = entry["booking_request"]
        entry["request_status"], booking["reservation_status"] = "ACCEPTED", "RESERVED"
        booking["period"] = _period(ask, site)
        booking["booking_option"] = self._assign_bay(site, ask, without=booking["id"])
        booking["booking_tokens"] = ask.get("tokens", booking["booking_tokens"])

    def _assign_bay(self, site: SimulatedSite, ask: Json, without: str = "") -> Json:
        """The first bay that is free; which one is told, since the truck should know where to go."""
        start, end = read_period(ask)
        used = {
            holder.get("booking_option", {}).get("evse_uid")
            for holder in self._calendars.holding(site)
            if holder["id"] != without and _overlaps(holder, start, end)
        }
        bay = next((bay for bay in site.bays if bay not in used), "#NA")
        return {"evse_uid": bay, "connector_types": [site.connector], "drive_through": True}

    def _is_past(self, ask: Json) -> str:
        is_past = read_period(ask)[0] < self._settings.clock() - timedelta(seconds=60)
        return "The slot starts in the past." if is_past else ""

    def _objection(self, site: SimulatedSite, ask: Json, without: str = "") -> str:
        """Why a request cannot be granted, empty when it can."""
        start, end = read_period(ask)
        minutes = (end - start).total_seconds() / 60
        if start.minute % STEP_MIN or end.minute % STEP_MIN or start.second or end.second:
            return f"Slots here begin and end every {STEP_MIN} minutes."
        shortest, longest = TERMS["min_booking_duration"], TERMS["max_booking_duration"]
        if not shortest <= minutes <= longest:
            return f"Slots here last from {shortest} to {longest} minutes."
        if float(ask.get("power_required") or 0) * 1000 > site.max_power_w:
            return f"There is not that much power here, but {site.max_power_w // 1000} kW."
        begin = max(start, self._calendars.horizon()[0])
        free = self._calendars.free(site, without)
        return "" if any(s <= begin and end <= e for s, e in free) else "Nothing is free then."

    def _entry(self, ask: Json, decision: str) -> Json:
        received = write_time(self._settings.clock())
        return {"request_status": decision, "booking_request": ask, "request_received": received}

    def _set_status(self, booking_id: str, status: str, **fields: Json) -> Json:
        with self._state.changing() as state:
            booking: Json = state["bookings"][booking_id]
            booking.update({"reservation_status": status, **fields})
            self._record_change(state, booking)
        self._push_soon("booking", booking_id)
        return booking

    def _record_change(self, state: Json, booking: Json) -> None:
        """A booking has changed, and with it the calendar it is taken from."""
        now, key = write_time(self._settings.clock()), site_of(booking).booking_location_id
        booking["last_updated"] = now
        state.setdefault("touched", {})[key] = now
        self._push_soon("booking_location", key)


def _period(ask: Json, site: SimulatedSite) -> Json:
    start, end = read_period(ask)
    return {
        "start_date_time": write_time(start),
        "end_date_time": write_time(end),
        "max_power": site.max_power_w,
    }


def _overlaps(booking: Json, start: datetime, end: datetime) -> bool:
    begun, over = read_period(booking)
    return begun < end and start < over
