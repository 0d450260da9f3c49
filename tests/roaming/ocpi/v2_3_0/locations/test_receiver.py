"""Partners push their depots, EVSEs and connectors (Locations, Receiver)."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from depots.models import Depot, Evse
from roaming.models import Partner
from tests.factories import NOW
from tests.roaming.partners import VERSIONS, Caller, code, data, make_partner
from tests.roaming.pushed_objects import OFFER, location, offer, plug, z

pytestmark = pytest.mark.django_db
PLACE = "/ocpi/emsp/2.3.0/locations/FR/CPO/LOC-1"
LATER, EARLIER = "2030-01-15T12:00:00Z", "2030-01-14T12:00:00Z"


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(params=VERSIONS)
def partner(request: pytest.FixtureRequest) -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    return make_partner("CPO", country_code="FR", roles=[role], version=request.param)


@pytest.fixture
def caller(partner: Partner) -> Caller:
    return Caller(partner)


@pytest.fixture
def depot(caller: Caller) -> Depot:
    assert code(caller.send("PUT", PLACE, location(x_colour="blue"))) == (201, 1000)
    return Depot.objects.get(location_id="LOC-1")


def evse(uid: str = "E-2", **changes: Any) -> dict[str, Any]:
    return {"uid": uid, "status": "AVAILABLE", "connectors": [plug()], "last_updated": LATER, **changes}


def uids(depot: Depot) -> list[str]:
    return sorted(depot.evses.filter(is_withdrawn=False).values_list("uid", flat=True))


def test_a_location_is_mirrored_and_given_back_as_it_came(caller: Caller, depot: Depot) -> None:
    """Checklist 18, 24: unknown fields too, whatever the case of the path."""
    assert data(caller.get(PLACE.replace("FR/CPO/LOC-1", "fr/cpo/loc-1"))) == location(x_colour="blue")
    assert (depot.name, depot.is_mirror, depot.is_withdrawn) == ("Metz", True, False)
    assert code(caller.send("PUT", PLACE, location(name="Metz Nord"))) == (200, 1000)
    assert Depot.objects.get().name == "Metz Nord"


def test_path_and_body_agree_and_belong_to_the_caller(caller: Caller, depot: Depot) -> None:
    """Checklist 25."""
    assert code(caller.send("PUT", PLACE, location(id="LOC-2"))) == (200, 2001)
    assert code(caller.send("PUT", PLACE.replace("CPO", "XXX"), location(party_id="XXX"))) == (404, 2001)
    assert code(caller.send("PUT", f"{PLACE}/E-9", evse("E-8"))) == (200, 2001)
    assert code(caller.send("PUT", f"{PLACE}/E-1/2", plug(id="3", last_updated=LATER))) == (200, 2001)
    assert uids(depot) == ["E-1"]


def test_a_patch_has_its_time_and_an_object(caller: Caller, depot: Depot) -> None:
    """Checklist 26, 27: on each level; what is older is answered with yes and changes nothing."""
    for path, name in ((PLACE, "name"), (f"{PLACE}/E-1", "floor_level"), (f"{PLACE}/E-1/1", "standard")):
        assert code(caller.send("PATCH", path, {name: "2"})) == (200, 2001)
        assert code(caller.send("PATCH", path, {name: "2", "last_updated": EARLIER})) == (200, 1000)
    assert data(caller.get(PLACE)) == location(x_colour="blue")
    for path in (f"{PLACE}X", f"{PLACE}/E-9", f"{PLACE}/E-1/9", f"{PLACE}/E-9/1"):
        assert code(caller.send("PATCH", path, {"last_updated": LATER}))[0] == 404
        assert code(caller.get(path))[0] == 404
    assert code(caller.send("PATCH", PLACE, {"id": "LOC-2", "last_updated": LATER})) == (200, 2001)


def test_a_change_of_a_part_is_a_change_of_what_is_around_it(caller: Caller, depot: Depot) -> None:
    """Checklist 26: an EVSE's status and a connector's power each by its own address, parents as new as they are."""
    assert code(caller.send("PATCH", f"{PLACE}/e-1", {"status": "CHARGING", "last_updated": LATER})) == (
        200,
        1000,
    )
    assert code(
        caller.send("PATCH", f"{PLACE}/E-1/1", {"max_electric_power": 1_000_000, "last_updated": LATER})
    ) == (
        200,
        1000,
    )

    told = data(caller.get(PLACE))
    assert told["last_updated"] == told["evses"][0]["last_updated"] == LATER
    assert data(caller.get(f"{PLACE}/E-1/1")) == plug(max_electric_power=1_000_000, last_updated=LATER)
    mirrored = Evse.objects.get(uid="E-1")
    assert (mirrored.status, mirrored.max_power_w) == (Evse.Status.CHARGING, 1_000_000)


def test_evses_and_connectors_merge_by_their_names(caller: Caller, depot: Depot) -> None:
    """Checklist 26: a PATCH of a location adds one EVSE, changes another, and leaves the rest."""
    evses = [evse("E-2"), {"uid": "e-1", "status": "BLOCKED", "last_updated": LATER}]

    assert code(caller.send("PATCH", PLACE, {"evses": evses, "last_updated": LATER})) == (200, 1000)

    told = data(caller.get(PLACE))["evses"]
    assert [(each["uid"], each["status"]) for each in told] == [("e-1", "BLOCKED"), ("E-2", "AVAILABLE")]
    assert told[0]["connectors"] == [plug()]
    assert uids(depot) == ["E-1", "E-2"]


def test_a_new_evse_and_a_new_connector_by_themselves(caller: Caller, depot: Depot) -> None:
    assert code(caller.send("PUT", f"{PLACE}/E-2", evse())) == (201, 1000)
    assert code(caller.send("PUT", f"{PLACE}/E-2/2", plug(id="2", standard="MCS", last_updated=LATER))) == (
        201,
        1000,
    )
    assert code(caller.send("PUT", f"{PLACE}/E-2", evse(last_updated=EARLIER, connectors=[]))) == (200, 1000)
    assert code(caller.send("PUT", f"{PLACE}/E-3", {"uid": "E-3", "last_updated": LATER})) == (200, 2001)

    assert uids(depot) == ["E-1", "E-2"]
    assert Evse.objects.get(uid="E-2").plugs == {"IEC_62196_T2_COMBO", "MCS"}


def test_what_is_removed_is_hidden_and_comes_back(caller: Caller, depot: Depot) -> None:
    """Checklist 27: an EVSE with REMOVED; a location with no other one goes with it."""
    caller.send("PUT", f"{PLACE}/E-2", evse())

    caller.send("PATCH", f"{PLACE}/E-1", {"status": "REMOVED", "last_updated": LATER})
    assert (uids(depot), Depot.objects.get().is_withdrawn) == (["E-2"], False)
    caller.send("PATCH", f"{PLACE}/E-2", {"status": "REMOVED", "last_updated": LATER})
    assert (uids(depot), Depot.objects.get().is_withdrawn) == ([], True)
    caller.send("PATCH", f"{PLACE}/E-1", {"status": "AVAILABLE", "last_updated": LATER})
    assert (uids(depot), Depot.objects.get().is_withdrawn) == (["E-1"], False)


def test_an_evse_that_a_location_does_not_have_any_more_is_hidden(caller: Caller, depot: Depot) -> None:
    """What is offered stays, since an offer may name an EVSE before its location does."""
    caller.send("PUT", OFFER, offer(booking_option={"evse_uid": "E-7", "connector_types": ["MCS"]}))

    caller.send("PUT", PLACE, location(evses=[evse("E-2")], last_updated=LATER))

    assert uids(depot) == ["E-2", "E-7"]


def test_bays_are_those_of_the_parking_places(caller: Caller) -> None:
    """Checklist 79: whatever version carries them, as objects or as bare ids."""
    bays = [
        {
            "id": "P-1",
            "vehicle_types": ["TRUCK_WITH_TRAILER"],
            "max_vehicle_length": 1875,
            "drive_through": True,
        },
        {"id": "P-2", "vehicle_types": ["BUS"]},
    ]
    evses = [
        evse("E-1", parking=["p-1"], connectors=[plug(standard="MCS")]),
        evse("E-2", parking=[{"parking_id": "P-2", "evse_position": "LEFT"}]),
    ]

    assert code(caller.send("PUT", PLACE, location(parking_places=bays, evses=evses)))[1] == 1000

    truck, bus = Evse.objects.order_by("uid")
    assert (truck.vehicle_types, truck.max_vehicle_length_cm, truck.drive_through) == (
        ["TRUCK_WITH_TRAILER"],
        1875,
        True,
    )
    assert (truck.plugs, bus.vehicle_types) == ({"MCS"}, ["BUS"])
    caller.partner.refresh_from_db()
    assert caller.partner.deviations["evse.parking_as_text"] == 1


def test_what_people_want_to_know_of_a_place_is_kept(caller: Caller) -> None:
    told = {
        "state": "Grand Est", "help_phone": "+33 3 1", "directions": [{"language": "fr", "text": "Porte 2"}],
        "facilities": ["RESTAURANT"], "energy_mix": {"is_green_energy": True},
        "images": [{"url": "https://p.example/1.jpg", "category": "ENTRANCE", "type": "jpg"}],
    }  # fmt: skip
    bay = {"id": "P", "parking_space_length": 1900, "direction": "ANGLE"}
    place = evse("E-1", evse_id="FR*CPO*E1", floor_level="0", physical_reference="7", parking=["P"])

    caller.send("PUT", PLACE, location(**told, evses=[place], parking_places=[bay]))

    depot, mirrored = Depot.objects.get(), Evse.objects.get()
    assert {name: getattr(depot, name) for name in told} == told
    assert (mirrored.public_id, mirrored.floor_level, mirrored.physical_reference) == ("FR*CPO*E1", "0", "7")
    assert (mirrored.bay_length_cm, mirrored.bay_direction) == (1900, "ANGLE")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_locations_have_no_other_method(caller: Caller, method: str) -> None:
    answer = caller.send(method, PLACE)

    assert code(answer) == (405, 2000)
    assert answer["Allow"] == "GET, HEAD, PATCH, PUT"


def test_a_location_of_ours_is_nobodys_to_push(caller: Caller, depot: Depot) -> None:
    """Another partner of another party sees and changes nothing of it."""
    role = {"role": "CPO", "country_code": "NL", "party_id": "OTH", "name": "Other"}
    other = Caller(make_partner("OTH", country_code="NL", roles=[role]))

    assert code(other.get(PLACE))[0] == 404
    assert code(other.send("PUT", PLACE, location(name="Stolen")))[0] == 404
    assert Depot.objects.get().name == "Metz"
    assert z(NOW) == location()["last_updated"]
