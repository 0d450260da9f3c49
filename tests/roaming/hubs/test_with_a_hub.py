"""Berth and platforms that share no code with it, connected by a hub that shares none either: each knows the hub alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.utils import timezone

from bookings.models import Booking, BookingOption
from depots.models import Organisation
from roaming import registration
from roaming.models import Delivery, Partner, PartnerMessage
from roaming.outbound.deliveries import CIRCUIT_OPENS_AT
from simulators.hub import HubParty, SimulatedHub
from simulators.partner import PartnerSettings, SimulatedPartner
from tests.factories import (
    DISPATCHER,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_vehicle,
    slot,
)
from tests.roaming.outbound.away_day import nothing_can_be_sent, tell_the_rest
from tests.roaming.outbound.test_our_requests import all_read, settled
from tests.roaming.partners import VERSIONS
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)
SITES, TRUCKS, OTHERS = ("FR", "SIT"), ("SE", "TRK"), ("DK", "OTH")
BEHIND = (SITES, ("CPO",)), (TRUCKS, ("EMSP",)), (OTHERS, ("EMSP",))


class Connected(NamedTuple):
    """The hub, its own row here, and the platforms behind it."""

    hub: SimulatedHub
    row: Partner
    sites: SimulatedPartner
    trucks: SimulatedPartner
    others: SimulatedPartner

    @property
    def is_quiet(self) -> bool:
        due = Delivery.objects.filter(next_try_at__lte=timezone.now())
        return self.hub.is_idle and all_read(self.row) and not due.exists()


@pytest.fixture
def fleet(platform: str, settings: Any) -> Organisation:
    settings.BERTH_BOOKINGS_UNDER_2_2_1 = True
    make_evse(make_depot(make_operator("Ladepark", cpo_party_id="LPK")))
    return make_fleet("Nordfracht", emsp_party_id="NFE")


@pytest.fixture
def hub(request: pytest.FixtureRequest, tmp_path: Path, platform: str) -> Iterator[SimulatedHub]:
    """A hub with a network of sites and two fleets behind it; of the version that is its (indirect) parameter."""
    version = getattr(request, "param", "2.3.0")
    settings = PartnerSettings(
        tmp_path / "hub.json", country_code="NL", party_id="HUB", name="Hub", version=version
    )
    with SimulatedHub(settings, tuple(HubParty(*party, roles) for party, roles in BEHIND)) as running:
        yield running


@pytest.fixture
def connected(hub: SimulatedHub, platform: str, fleet: Organisation) -> Iterator[Connected]:
    invited = registration.invite(
        name="Hub", country_code="NL", party_id="HUB", roles=["HUB"], now=timezone.now()
    )
    hub.register(platform, invited.token_a)
    with RunningSender():
        found = Connected(hub, invited.partner, *hub.partners)
        eventually(lambda: found.is_quiet and offered(found.trucks) and offered(found.others))
        yield found


def offered(trucks: SimulatedPartner) -> dict[str, Any] | None:
    """Our offer, as an eMSP behind the hub has it."""
    found = trucks.received.of("booking_locations")
    return next((one for key, one in found.items() if key.startswith("NL/LPK/")), None)


def ask_there(fleet: Organisation, **changes: Any) -> Booking:
    """Of a fleet of ours, at the sites behind the hub."""
    option = BookingOption.objects.get(code="SIM-LYON-CCS")
    wish = {
        "period": slot(12, 13),
        "vehicle": make_vehicle(fleet),
        "actor": DISPATCHER,
        "now": timezone.now(),
    }
    return book_slot(fleet=fleet, option=option, **{**wish, **changes})


def ask_here(trucks: SimulatedPartner, hour: int = 12, day: int = 0) -> Booking:
    """Of a fleet behind the hub, at our depot."""
    offer = offered(trucks)
    assert offer is not None
    raw = trucks.emsp.ask(offer, at(hour, day=day), at(hour + 1, day=day))
    assert raw["reservation_status"] == "RESERVED"
    return Booking.objects.get(reference=raw["id"])


def statuses(row: Partner) -> dict[str, str]:
    return {one.party_id: one.status for one in row.hub_clients.all()}


def pushes(path: str) -> int:
    return PartnerMessage.objects.filter(is_incoming=False, method="PUT", url__contains=path).count()


@pytest.mark.parametrize("hub", VERSIONS, indirect=True)
def test_bookings_both_ways_with_parties_behind_a_hub(connected: Connected, fleet: Organisation) -> None:
    _, row, sites, trucks, others = connected

    assert statuses(row) == {"SIT": "CONNECTED", "TRK": "CONNECTED", "OTH": "CONNECTED"}
    known = {(role["role"], role["party_id"]) for role in fresh(row).roles}
    assert known >= {("HUB", "HUB"), ("CPO", "SIT"), ("EMSP", "TRK"), ("EMSP", "OTH")}
    assert {"CPO/NL/LPK", "EMSP/DE/NFE"} <= trucks.hub_clients.clients().keys()

    theirs = eventually(settled(ask_there(fleet), "confirmed"))
    ours = ask_here(trucks)
    eventually(lambda: connected.is_quiet)

    assert sites.desk.bookings()[theirs.remote_id]["reservation_status"] == "RESERVED"
    key = f"NL/LPK/{ours.reference}".upper()
    assert trucks.received.of("bookings")[key]["reservation_status"] == "RESERVED"
    assert not others.received.of("bookings"), "it is of one party alone"
    base = trucks.peer.endpoint("booking", "SENDER")
    assert {one["id"] for one in trucks.peer.pages(base)} == {ours.reference}
    assert list(others.peer.pages(base)) == []
    for each in (trucks, others):
        assert [key for key in each.received.of("locations") if key.startswith("NL/LPK/")]
    assert pushes("/locations/NL/LPK/") == 1, "what is for all is told to the hub once"


def test_what_is_for_a_party_that_is_away_waits_for_it_alone(connected: Connected, clock: Any) -> None:
    """Checklist 90."""
    hub, row, _, trucks, others = connected
    first, second = ask_here(trucks), ask_here(others, 14)
    eventually(lambda: connected.is_quiet)
    hub.infos.set(TRUCKS, "SUSPENDED")
    eventually(lambda: statuses(row)["TRK"] == "SUSPENDED")

    clock.shift(timedelta(seconds=5))
    for booking, hour in ((first, 16), (second, 18)):
        change_slot(
            booking_id=booking.pk,
            period=slot(hour, hour + 1),
            by="depot",
            actor=DISPATCHER,
            now=timezone.now(),
        )

    eventually(lambda: begins(others, second).startswith("2030-01-15T18"))
    waiting = eventually(Delivery.objects.filter(kind="booking", last_error__contains="SE*TRK").first)
    assert (waiting.attempts, fresh(row).failures) == (0, 0)
    assert begins(trucks, first).startswith("2030-01-15T12")
    clock.shift(timedelta(seconds=5))
    hub.infos.set(TRUCKS, "")
    eventually(lambda: begins(trucks, first).startswith("2030-01-15T16"))


def begins(trucks: SimulatedPartner, booking: Booking) -> str:
    held = trucks.received.of("bookings")[f"NL/LPK/{booking.reference}".upper()]
    return str(held["period"]["start_date_time"])


def test_a_network_that_goes_away_behind_the_hub_is_asked_once_it_is_back(
    connected: Connected, fleet: Organisation, clock: Any
) -> None:
    """Nobody has been told that it is gone: the hub says so when it is asked."""
    _, row, sites, _, _ = connected
    sites.stop()
    booking = ask_there(fleet)
    eventually(lambda: statuses(row)["SIT"] == "OFFLINE")
    assert fresh(booking).status == "requested"
    assert fresh(row).failures == 0

    with SimulatedPartner(sites.settings) as back:
        clock.shift(timedelta(seconds=20))
        eventually(lambda: statuses(row)["SIT"] == "CONNECTED")
        booking = eventually(settled(booking, "confirmed"))

        assert list(back.desk.bookings()) == [booking.remote_id]


def test_a_hub_that_was_away_for_a_day_passes_on_what_all_behind_it_have_missed(
    connected: Connected, clock: Any
) -> None:
    hub, row, _, trucks, others = connected
    bookings = [ask_here(one, 12, day=day) for day, one in ((2, trucks), (3, others))]
    eventually(lambda: connected.is_quiet)
    eventually(lambda: all(told_of(booking) == 1 for booking in bookings), "the first is in the log")
    hub.stop()

    for hour in range(13, 19):
        clock.shift(timedelta(hours=4))
        for day, booking in enumerate(bookings, start=2):
            change_slot(
                booking_id=booking.pk, period=slot(hour, hour + 1, day=day), by="depot", actor=DISPATCHER,
                now=timezone.now(),
            )  # fmt: skip
        eventually(nothing_can_be_sent)
    assert fresh(row).failures >= CIRCUIT_OPENS_AT

    with SimulatedHub(hub.settings, tuple(HubParty(*party, roles) for party, roles in BEHIND)) as back:
        clock.shift(timedelta(minutes=16))
        eventually(lambda: begins(back.partners[1], bookings[0]).startswith("2030-01-17T18"))
        eventually(lambda: begins(back.partners[2], bookings[1]).startswith("2030-01-18T18"))
        tell_the_rest(clock)

        # What is said is written down a moment after it is settled.
        eventually(lambda: all(told_of(booking) > 1 for booking in bookings), "the last is in the log")
        assert [told_of(booking) for booking in bookings] == [2, 2]
        assert fresh(row).failures == 0


def told_of(booking: Booking) -> int:
    """How often its partner has taken it."""
    said = PartnerMessage.objects.filter(is_incoming=False, method="PUT", outcome=PartnerMessage.Outcome.OK)
    return said.filter(url__endswith=f"/{booking.reference}").count()
