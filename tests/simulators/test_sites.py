"""The simulated partner's sites: what their EVSEs show while trucks charge, and how its depots refuse."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from simulators.partner import PartnerSettings
from simulators.partner.booking_desk import BookingDesk
from simulators.partner.charging import ChargingDesk
from simulators.partner.ocpi_format import write_time
from simulators.partner.simulated_sites import SITES
from simulators.partner.site_calendars import SiteCalendars
from simulators.partner.state_file import StateFile
from tests.factories import at

DIJON = SITES[2]


class Sites:
    """Its desks without a network, at a moment that is set."""

    def __init__(self, folder: Path) -> None:
        self.now, self.pushed = at(9), list[tuple[str, str]]()
        settings = PartnerSettings(folder / "state.json", clock=lambda: self.now)
        state = StateFile(settings.state_file)
        self.calendars = SiteCalendars(settings, state)
        push = lambda *what: self.pushed.append(what)  # noqa: E731
        self.desk = BookingDesk(settings, state, self.calendars, push)
        self.charging = ChargingDesk(settings, state, push)

    def ask(self, starts_at: datetime, ends_at: datetime, **more: Any) -> Any:
        body = {
            "country_code": "DE", "party_id": "NFE", "request_id": "r", "location_id": DIJON.location_id,
            "booking_location_id": DIJON.booking_location_id, "authorization_reference": "a",
            "tokens": [{"country_code": "DE", "party_id": "NFE", "uid": "04AA", "type": "RFID", "contract_id": "C"}],
            "period": {"start_date_time": write_time(starts_at), "end_date_time": write_time(ends_at)}, **more,
        }  # fmt: skip
        return self.desk.receive(body, [["DE", "NFE"]])

    def evse(self) -> tuple[str, str, str]:
        """Its status, when that changed, and when its location did."""
        place = self.calendars.location(DIJON)
        (evse,) = place["evses"]
        return evse["status"], evse["last_updated"], place["last_updated"]


@pytest.fixture
def sites(tmp_path: Path) -> Sites:
    return Sites(tmp_path)


def test_an_evse_is_taken_while_a_truck_charges_and_says_when_that_changed(sites: Sites) -> None:
    never = sites.evse()[1]
    booking = sites.ask(at(9), at(10)).booking
    assert sites.evse() == ("AVAILABLE", never, never)

    sites.desk.begin(booking["id"])
    for now in (at(9), at(9, 5), at(9, 21)):
        sites.now = now
        sites.charging.do_what_is_due(sites.desk.bookings())
        if now < at(9, 20):
            assert sites.evse() == ("CHARGING", write_time(at(9)), write_time(at(9)))

    ended = write_time(at(9) + timedelta(minutes=20))
    assert sites.evse() == ("AVAILABLE", ended, ended)
    assert sites.pushed.count(("location", DIJON.location_id)) == 2, "when it began, and when it ended"


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "more", "sentence"),
    [
        (at(10, 5), at(11), {}, "Slots here begin and end every 15 minutes."),
        (at(10), at(14), {}, "Slots here last from 15 to 180 minutes."),
        (at(10), at(11), {"power_required": 900}, "There is not that much power here, but 350 kW."),
    ],
)
def test_its_depots_refuse_in_sentences(
    sites: Sites, starts_at: datetime, ends_at: datetime, more: dict[str, Any], sentence: str
) -> None:
    assert sites.ask(starts_at, ends_at, **more).objection == sentence
