"""Our trucks, as an eMSP: what we ask of the other platform."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from simulators.partner.ocpi_format import Json, read_time, write_time
from simulators.partner.other_platform import OtherPlatform
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.simulated_sites import STEP_MIN
from simulators.partner.state_file import StateFile

AN_HOUR = timedelta(hours=1)
# Where slots are cut to the minute, somebody tries something out: our trucks leave those alone.
LEAST_STEP = timedelta(minutes=5)
CARD = "04F05E11AA01"
PLATE = "GA-118-SM"


class Emsp:
    def __init__(self, settings: PartnerSettings, state: StateFile, peer: OtherPlatform) -> None:
        self._settings, self._state, self._peer = settings, state, peer
        self._random = random.Random(7)  # noqa: S311 - which slot a simulated truck takes is no secret

    def book(self) -> Json | None:
        """Take a free hour at one of the other platform's depots. The Booking it answered, if any. Raises PlatformError."""
        base = self._peer.endpoint("booking", "SENDER")
        offers = [o for o in self._peer.pages(f"{base}/booking_locations") if o.get("calendars")]
        self._random.shuffle(offers)
        for offer in offers:
            # Some hours ahead, so that there is something to see in the calendar.
            earliest = self._settings.clock() + timedelta(hours=self._random.randint(3, 30))
            if start := next(_free_hours(offer, earliest), None):
                return self.ask(offer, start, start + AN_HOUR)
        return None

    def ask(
        self,
        offer: Json,
        start: datetime,
        end: datetime,
        *,
        request_id: str = "",
        canceled: Json | None = None,
    ) -> Json:
        """POST a BookingRequest for a BookingLocation of theirs. Gives their Booking; raises PlatformError."""
        request = self._request(offer, start, end)
        request["request_id"] = request_id or request["request_id"]
        if canceled:
            request["canceled"] = canceled
        to_party = (offer["country_code"], offer["party_id"])
        url = self._peer.endpoint("booking", "SENDER")
        booking: Json = self._peer.call("POST", url, request, to_party=to_party)
        with self._state.changing() as state:
            state.setdefault("asked", {})[request["request_id"]] = booking
        start_text, status = request["period"]["start_date_time"], booking["reservation_status"]
        self._settings.say(f"asked for {start_text} at {offer['id']}: {status}")
        return booking

    def _request(self, offer: Json, start: datetime, end: datetime) -> Json:
        party = self._settings.party
        contract = f"{party['country_code']}{party['party_id']}C00001"
        return {
            **party,
            "request_id": str(uuid.uuid4()),
            "location_id": offer["location_id"],
            "booking_location_id": offer["id"],
            "tokens": [{**party, "uid": CARD, "type": "RFID", "contract_id": contract}],
            "access_information": [{"method": "LICENSE_PLATE", "value": PLATE}],
            "period": {"start_date_time": write_time(start), "end_date_time": write_time(end)},
            "authorization_reference": f"SIM-{uuid.uuid4().hex[:12]}",
        }


def _free_hours(offer: Json, earliest: datetime) -> Iterator[datetime]:
    """Starts of an hour, on the steps of its timeslot and not before `earliest`; one for each timeslot that has one."""
    for calendar in offer["calendars"]:
        step = timedelta(minutes=calendar.get("timeslot_increment") or STEP_MIN)
        if step < LEAST_STEP:
            continue
        for slot in calendar["available_timeslots"]:
            start, end = read_time(slot["start_date_time"]), read_time(slot["end_date_time"])
            while start < earliest:
                start += step
            if start + AN_HOUR <= end:
                yield start
