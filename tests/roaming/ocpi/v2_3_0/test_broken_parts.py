"""What partners really send: one broken part is left out and counted, and the rest keeps its meaning (decision 40)."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.utils import timezone

from bookings.models import Booking, BookingOption
from bookings.search.bookable import bookable_options
from depots.models import Depot, Evse
from depots.periods import Period
from roaming.mirror import time_zones
from roaming.models import Partner, PartnerObject
from roaming.ocpi.v2_3_0.bookings.reading import read_booking_request
from roaming.ocpi.v2_3_0.credentials.reading import read_credentials
from roaming.ocpi.v2_3_0.locations.reading import read_location
from roaming.ocpi.v2_3_0.locations.schemas import Location
from roaming.ocpi.wire_object import UnreadableError
from tests.factories import DISPATCHER, NOW, at, book_slot, make_fleet, make_vehicle, slot
from tests.roaming.partners import adopt_booking, keep_listed, make_partner
from tests.roaming.pushed_objects import booking, calendar, location, offer, plug, z

pytestmark = pytest.mark.django_db
ALL_WEEK = range(1, 8)


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def partner() -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    return make_partner("CPO", country_code="FR", roles=[role])


def crawled(partner: Partner, *locations: Any, offers: Any = ()) -> dict[str, int]:
    """What a crawl of these lists leaves behind: the deviations it counted."""
    party = ("FR", "CPO")
    for kind, objects in (("location", locations), ("booking_location", offers)):
        keep_listed(partner, kind, *objects, party=party)
    partner.refresh_from_db()
    return dict(partner.deviations)


def hours(depot: Depot) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for row in depot.opening_hours.all():
        found.setdefault(row.weekday, []).append((row.from_minute // 60, row.to_minute // 60))
    return found


def week(*rows: tuple[int, str, str], **more: Any) -> dict[str, Any]:
    return {"regular_hours": [{"weekday": d, "period_begin": b, "period_end": e} for d, b, e in rows], **more}


# Hours


@pytest.mark.parametrize(
    ("begin", "end", "here", "next_day"),
    [
        ("08:00", "02:00", [(8, 24)], [(0, 2)]),
        ("22:00", "06:00", [(22, 24)], [(0, 6)]),
        ("06:00", "00:00", [(6, 24)], []),
        ("00:00", "00:00", [(0, 24)], []),
        ("00:00", "24:00", [(0, 24)], []),
        ("00:00", "23:59", [(0, 24)], []),
        ("9:00", "17:00:00", [(9, 17)], []),
    ],
)
def test_hours_past_midnight_end_on_the_next_day(
    partner: Partner, begin: str, end: str, here: Any, next_day: Any
) -> None:
    crawled(partner, location(opening_times=week((7, begin, end), twentyfourseven=False)))

    depot = Depot.objects.get()
    expected = {day: spans for day, spans in ((7, here), (1, next_day)) if spans}
    assert hours(depot) == expected


@pytest.mark.parametrize(
    "times",
    [
        week(*[(day, "06:00", "22:00") for day in ALL_WEEK]),
        week(*[(day, "06:00", "22:00") for day in ALL_WEEK], twentyfourseven=None),
        week(*[(day, "06:00", "22:00") for day in ALL_WEEK], twentyfourseven="no idea"),
        week(
            *[(day, "06:00", "22:00") for day in ALL_WEEK], (0, "06:00", "22:00"), (3, "dawn", "dusk"), twentyfourseven=False
        ),
    ],
)  # fmt: skip
def test_one_of_the_two_kinds_of_hours_is_enough(partner: Partner, times: dict[str, Any]) -> None:
    deviations = crawled(partner, location(opening_times=times))

    assert hours(Depot.objects.get()) == {day: [(6, 22)] for day in ALL_WEEK}
    assert deviations


def test_hours_that_say_nothing_are_none(partner: Partner) -> None:
    deviations = crawled(partner, location(opening_times={}))

    assert hours(Depot.objects.get()) == {}
    assert deviations == {"hours.twentyfourseven_missing": 1}


@pytest.mark.parametrize("hour", [12, 22])
def test_what_the_partners_calendar_offers_can_be_asked_for(partner: Partner, hour: int) -> None:
    """Whatever its hours say: here on Tuesday evening, in a depot that is told to be open on Mondays only."""
    crawled(
        partner,
        location(
            opening_times=week((1, "08:00", "18:00"), twentyfourseven=False), charging_when_closed=False
        ),
        offers=[offer(calendars=[calendar(Period(at(9), at(1, day=1)))])],
    )
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")

    asked = book_slot(
        fleet=fleet, option=BookingOption.objects.get(), period=slot(hour, hour + 1), vehicle=make_vehicle(fleet),
        actor=DISPATCHER, now=timezone.now(),
    )  # fmt: skip

    assert asked.status == "requested"


def test_a_slot_that_starts_off_the_hour_can_be_asked_for(partner: Partner) -> None:
    crawled(partner, location(), offers=[offer(calendars=[calendar(slot((9, 5), (11, 5)))])])
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")

    asked = book_slot(
        fleet=fleet, option=BookingOption.objects.get(), period=slot((9, 5), (9, 35)), vehicle=make_vehicle(fleet),
        actor=DISPATCHER, now=timezone.now(),
    )  # fmt: skip

    assert asked.status == "requested"


# A location


@pytest.mark.parametrize(
    ("broken", "counted"),
    [
        ({"operator": {"name": "", "website": ""}}, "object.website.empty"),
        ({"operator": {"website": "https://x.example"}}, "location.operator.unreadable"),
        ({"operator": 7}, "location.operator.unreadable"),
        ({"operator": {"name": "L", "website": "lädepark"}}, "businessdetails.website.unreadable"),
        ({"operator": {"name": "L", "website": "https://lädepark.example/größe?ort=köln"}}, "url.not_ascii"),
        ({"parking_places": [{"id": "P1", "restricted_to_type": False}]}, "parking.vehicle_types_missing"),
        ({"parking_places": ["P1", {"id": "P2", "vehicle_types": ["BUS"]}]}, "parking.unreadable"),
        ({"parking_places": {"id": []}}, "parking.unreadable"),
        ({"publish": None}, "location.publish_missing"),
        ({"publish": "perhaps"}, "location.publish.unreadable"),
        ({"postal_code": {"code": 7}}, "location.postal_code.unreadable"),
        ({"coordinates": {"latitude": "north", "longitude": "6.2"}}, "location.coordinates.unreadable"),
        ({"coordinates": {"latitude": "91.0", "longitude": "6.2"}}, "location.coordinates.unreadable"),
        ({"coordinates": None}, "location.coordinates_missing"),
        ({"city": None}, "location.city_missing"),
        ({"country": ""}, "location.country.empty"),
        ({"opening_times": "24/7"}, "location.opening_times.unreadable"),
        ({"charging_when_closed": "sometimes"}, "location.charging_when_closed.unreadable"),
        ({"time_zone": None}, "location.time_zone_missing"),
        ({"time_zone": "Mars/Olympus"}, "location.time_zone.unreadable"),
        ({"time_zone": "GMT+1"}, "location.time_zone.unreadable"),
        ({"time_zone": "../../etc/passwd"}, "location.time_zone.unreadable"),
        ({"time_zone": ["Europe/Paris"]}, "location.time_zone.unreadable"),
        ({"time_zone": " europe/PARIS"}, "location.time_zone.spelling"),
        ({"time_zone": "Romance Standard Time"}, "location.time_zone.spelling"),
    ],
)  # fmt: skip
def test_a_location_stays_without_its_broken_part(
    partner: Partner, broken: dict[str, Any], counted: str
) -> None:
    deviations = crawled(partner, location(**broken), offers=[offer()])

    depot = Depot.objects.get()
    assert (depot.name, depot.address, depot.is_withdrawn) == ("Metz", "Rue 1", False)
    assert depot.evses.get(uid="E-1").connectors.get().standard == "IEC_62196_T2_COMBO"
    assert deviations[counted] == 1
    country_known = depot.country == "FRA"
    assert depot.time_zone == "Europe/Paris" or not country_known


def test_a_zone_nobody_knows_is_never_a_country_with_several(partner: Partner) -> None:
    crawled(partner, location(country="ESP", time_zone="CET/Local"))

    assert Depot.objects.get().time_zone == "UTC"


def test_a_decimal_comma_is_a_point(partner: Partner) -> None:
    crawled(partner, location(coordinates={"latitude": "49,1234", "longitude": 6.25}))

    depot = Depot.objects.get()
    assert (float(depot.latitude or 0), float(depot.longitude or 0)) == (49.1234, 6.25)


@pytest.mark.parametrize(
    ("broken", "counted"),
    [
        ({"evse_id": ""}, "evse.evse_id.empty"),
        ({"evse_id": "ä"}, "evse.evse_id.unreadable"),
        ({"floor_level": 12345678}, "text.too_long"),
        ({"capabilities": [{"x": 1}, "RFID_READER"]}, "evse.capabilities.unreadable"),
        ({"parking": [7, "P1"]}, "evseparking.unreadable"),
        (
            {"parking": [{"parking_id": "P1", "evse_position": "ABOVE"}]},
            "evseparking.evse_position.unreadable",
        ),
        ({"status": "SLEEPING"}, "EvseStatus.unknown"),
        ({"last_updated": None}, "evse.last_updated_missing"),
        ({"connectors": None}, ""),
        ({"connectors": [plug(), {"id": "2"}]}, "connector.unreadable"),
        ({"connectors": [plug(tariff_ids=["", 7, "x" * 99])]}, "connector.tariff_ids.unreadable"),
        ({"connectors": [plug(max_electric_power="lots")]}, "connector.max_electric_power.unreadable"),
        ({"connectors": [plug(last_updated=None)]}, "connector.last_updated_missing"),
    ],
)
def test_an_evse_stays_without_its_broken_part(
    partner: Partner, broken: dict[str, Any], counted: str
) -> None:
    good = {"uid": "E-1", "status": "AVAILABLE", "connectors": [plug()], "last_updated": z(NOW)}

    deviations = crawled(partner, location(evses=[{**good, **broken}]))

    depot = Depot.objects.get()
    assert not depot.is_withdrawn
    assert depot.evses.get().uid == "E-1"
    assert not counted or deviations[counted] == 1


def test_an_evse_that_cannot_be_read_neither_hides_the_others_nor_the_depot(partner: Partner) -> None:
    gone = {"uid": "E-2", "status": "REMOVED", "connectors": [plug()], "last_updated": z(NOW)}

    deviations = crawled(partner, location(evses=[{"uid": ["?"], "status": "AVAILABLE"}, gone, "E-3"]))

    assert not Depot.objects.get().is_withdrawn
    assert [evse.uid for evse in Evse.objects.all()] == ["E-2"]
    assert deviations["evse.unreadable"] == 1


def test_a_broken_location_does_not_keep_the_next_out(partner: Partner) -> None:
    deviations = crawled(partner, {"id": "LOC-0"}, 7, location())

    assert Depot.objects.get().name == "Metz"
    assert deviations["location.unreadable"] == 2


# Nothing to drive to


def test_a_place_known_by_its_id_alone_cannot_be_booked(partner: Partner) -> None:
    deviations = crawled(partner, {**location(), "last_updated": "?"}, offers=[offer()])

    depot = Depot.objects.get()
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")
    assert depot.is_withdrawn
    assert deviations["booking_location.location_not_told"] == 1
    assert not bookable_options(fleet, now=NOW).exists()
    crawled(partner, location())
    assert bookable_options(fleet, now=NOW).get().code == "BL-1"


def test_a_location_without_name_and_place_is_none(partner: Partner) -> None:
    nothing = location(name=None, address=None, coordinates=None)

    deviations = crawled(partner, nothing)

    assert deviations["location.unreadable"] == 1
    assert not Depot.objects.filter(is_withdrawn=False).exists()


def test_what_was_read_before_is_kept_where_it_cannot_be_read_now(partner: Partner) -> None:
    crawled(partner, location(country="ESP", time_zone="Atlantic/Canary"))

    crawled(
        partner, location(country="ESP", time_zone="WET-ish", name=7 * [1], coordinates="here", city=None)
    )

    depot = Depot.objects.get()
    assert (depot.time_zone, depot.name, depot.city) == ("Atlantic/Canary", "Metz", "Metz")
    assert depot.latitude is not None


# Offers and calendars


@pytest.mark.parametrize(
    ("broken", "counted"),
    [
        ({"booking_option": {"evse_uid": "E-1", "max_vehicle_length": "18 m"}}, "bookingoption.max_vehicle_length.unreadable"),
        ({"booking_option": {"evse_uid": "E-1", "vehicle_types": [{"a": 1}, "BUS"]}}, "bookingoption.vehicle_types.unreadable"),
        ({"booking_option": {"evse_uid": "E-1", "drive_through": "if you must"}}, "bookingoption.drive_through.unreadable"),
        ({"booking_terms": 7}, "booking_terms.unreadable"),
        ({"booking_terms": {"change_until_minutes": "an hour"}}, "bookingterms.change_until_minutes.unreadable"),
        ({"booking_terms": {"supported_access_methods": 7}}, "bookingterms.supported_access_methods.unreadable"),
        ({"policy": {"ad_hoc": 2}}, "bookinglocation.policy.unreadable"),
        ({"tariff_ids": ["", "T1"]}, "booking_location.tariff_ids.empty"),
        ({"status": {"a": 1}}, "bookinglocation.status.unreadable"),
        ({"calendars": [calendar(), 7]}, "calendar.unreadable"),
        ({"calendars": [calendar(), {"id": "CA-2", "begin_from": "?"}]}, "calendar.unreadable"),
        ({"calendars": [calendar(timeslot_increment="often")]}, "calendar.timeslot_increment.unreadable"),
    ],
)  # fmt: skip
def test_an_offer_stays_without_its_broken_part(
    partner: Partner, broken: dict[str, Any], counted: str
) -> None:
    deviations = crawled(partner, location(), offers=[offer(**broken)])

    option = BookingOption.objects.get()
    assert not option.is_withdrawn
    assert option.evses.get().uid == "E-1"
    assert option.offered_slots.get().period == slot(8, 18)
    assert deviations[counted] == 1


def test_a_broken_timeslot_is_not_offered_and_the_others_are(partner: Partner) -> None:
    good = {"start_date_time": z(at(9)), "end_date_time": z(at(12)), "max_power": 350_000}
    slots = [
        good, 7, {**good, "start_date_time": "nine"}, {"start_date_time": z(at(13))}, {**good, "end_date_time": z(at(8))},
        {**good, "start_date_time": z(at(12)), "end_date_time": z(at(14)), "max_power": "lots"},
    ]  # fmt: skip

    deviations = crawled(partner, location(), offers=[offer(calendars=[calendar(available_timeslots=slots)])])

    offered = BookingOption.objects.get().offered_slots.values_list("period", "max_power_w")
    assert list(offered) == [(slot(9, 12), 350_000), (slot(12, 14), None)]
    assert deviations["timeslot.unreadable"] == 1
    assert deviations["timeslot.empty"] == 1


def test_an_offer_without_its_id_is_unreadable(partner: Partner) -> None:
    deviations = crawled(partner, location(), offers=[offer(id=["BL"]), offer(last_updated=None)])

    assert not BookingOption.objects.exists()
    assert deviations["booking_location.unreadable"] == 2


# Bookings


@pytest.mark.parametrize(
    "broken",
    [
        {"booking_option": "E-1"},
        {"booking_tokens": "x"},
        {"booking_tokens": [{"uid": 7}, {}]},
        {"tariff_ids": [None, "", 7.5, {}]},
        {"canceled": "yes"},
        {"access_information": [{"method": "MAGIC"}, "gate"]},
        {"booking_requests": 7},
        {"booking_requests": ["?", {"request_status": "ACCEPTED"}]},
        {"location_id": None},
        {"authorization_reference": ""},
        {"authorization_reference": {"a": 1}},
        {"booking_terms": []},
        {"booking_terms": 7},
    ],
)
def test_a_booking_is_followed_without_its_broken_part(partner: Partner, broken: dict[str, Any]) -> None:
    crawled(partner, location(), offers=[offer()])
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")
    ours = book_slot(
        fleet=fleet, option=BookingOption.objects.get(), period=slot(12, 13), vehicle=make_vehicle(fleet),
        actor=DISPATCHER, now=timezone.now(),
    )  # fmt: skip

    adopt_booking(partner, booking(ours, **broken), now=NOW)

    ours = Booking.objects.get()
    assert (ours.status, ours.remote_status, ours.period) == ("confirmed", "RESERVED", slot(12, 13))
    partner.refresh_from_db()
    assert partner.deviations
    assert PartnerObject.objects.get(kind="booking").raw == booking(ours, **broken)


# Credentials


def test_a_role_that_cannot_be_read_is_left_out(partner: Partner) -> None:
    roles = [
        {"role": "CPO", "party_id": "ABC", "country_code": "SE", "business_details": {"name": "A", "website": ""}},
        {"role": "CPO", "party_id": "DEF", "country_code": "SE"},
        {"role": "CPO", "country_code": "SE", "business_details": {"name": "A"}},
        "CPO",
    ]  # fmt: skip
    raw = {
        "token": "t" * 20,
        "url": "https://x.example/ocpi/versions",
        "roles": roles,
        "hub_party_id": "TOO LONG A NAME",
    }

    reading = read_credentials(raw)

    assert [role.party_id for role in reading.value.roles] == ["ABC", "DEF"]
    assert {"credentialsrole.unreadable", "credentials.hub_party_id.unreadable"} <= set(reading.deviations)


# Of an ask every part counts


@pytest.mark.parametrize(
    "broken",
    [
        {"booking_option": "E-1"},
        {"booking_option": {"max_vehicle_length": "18 m"}},
        {"tokens": [{"uid": "04A1"}]},
        {"power_required": "lots"},
        {"access_information": ["gate"]},
        {"period": "noon"},
    ],
)
def test_of_an_ask_nothing_is_left_out(broken: dict[str, Any]) -> None:
    ask = {
        "country_code": "SE", "party_id": "FLT", "request_id": "R1", "location_id": "L1", "booking_location_id": "B1",
        "period": {"start_date_time": z(at(10)), "end_date_time": z(at(11))}, "authorization_reference": "A1",
        "canceled": None,
    }  # fmt: skip
    read_booking_request(ask)

    with pytest.raises(UnreadableError, match=next(iter(broken))):
        read_booking_request({**ask, **broken})


# Zones


@pytest.mark.parametrize(
    ("told", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"), ("EUROPE/BERLIN ", "Europe/Berlin"), ("america/new york", "America/New_York"),
        ("W. Europe Standard Time", "Europe/Berlin"), ("utc", "UTC"), ("UTC+1", None), ("+01:00", None), ("CEST", None),
        ("localtime", None), ("Berlin", None), ("", None), ("/etc/localtime", None), ("Europe", None),
    ],
)  # fmt: skip
def test_a_zone_is_taken_where_it_can_mean_only_one(told: str, zone: str | None) -> None:
    assert time_zones.known(told) == zone


def test_every_zone_we_name_exists() -> None:
    assert all(
        time_zones.known(name) == name
        for name in [*time_zones.WINDOWS.values(), *time_zones.OF_COUNTRY.values()]
    )


# Bounded work


def test_an_object_that_is_broken_all_over_is_read_in_a_few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    original = Location.model_validate.__func__  # type: ignore[attr-defined]

    def counted(cls: Any, *args: Any, **kwargs: Any) -> Any:
        reads.append(cls)
        return original(cls, *args, **kwargs)

    monkeypatch.setattr(Location, "model_validate", classmethod(counted))
    evses = [
        {"uid": f"E{n}", "status": "AVAILABLE", "evse_id": "ä", "capabilities": [{}], "connectors": [{}, plug(format="?")],
         "parking": [7], "last_updated": z(NOW)}
        for n in range(300)
    ]  # fmt: skip

    reading = read_location(location(evses=evses, operator=7, publish=[]))

    assert len(reading.value.evses) == 300
    assert len(reads) <= 3
