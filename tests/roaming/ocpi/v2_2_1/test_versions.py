"""Both versions beside each other: what is listed, who gets Bookings under 2.2.1, and who changes from one to the other."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from roaming.models import Partner
from roaming.ocpi.dialect import DIALECTS
from roaming.ocpi.party_credentials import PartyCredentials
from tests.factories import NOW, make_evse, make_operator, option_of
from tests.roaming.partners import BOOKINGS, LOCATIONS, VERSIONS, Caller, code, data, make_partner

pytestmark = pytest.mark.django_db
CREDENTIALS = PartyCredentials(
    "token",
    "https://hub.example/versions",
    [{"role": "CPO", "country_code": "NL", "party_id": "CPO", "name": "Depots"}],
    "NLHUB",
)


@pytest.fixture(autouse=True)
def _clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def endpoints(caller: Caller, version: str) -> list[tuple[str, str, str]]:
    caller.version = version
    details = data(caller.get("/ocpi/2.3.0"))
    assert details["version"] == version
    return [(e["identifier"], e["role"], e["url"]) for e in details["endpoints"]]


def test_both_versions_are_listed_the_best_first(settings: Any) -> None:
    """Checklist 1."""
    settings.BERTH_BASE_URL = "https://berth.example"

    listed = data(Caller(make_partner()).get("/ocpi/versions"))

    assert [(one["version"], one["url"]) for one in listed] == [
        ("2.3.0", "https://berth.example/ocpi/2.3.0"),
        ("2.2.1", "https://berth.example/ocpi/2.2.1"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_details_of_a_version_lead_to_its_own_addresses(version: str) -> None:
    """Checklist 2: each address answers, and credentials stand there once."""
    caller = Caller(make_partner(version=version))

    offered = endpoints(caller, version)

    assert [role for name, role, _ in offered if name == "credentials"] == ["SENDER"]
    assert all(f"/{version}/" in url for _, _, url in offered)
    for _, role, url in offered:
        path = url[url.index("/ocpi") :]
        assert code(caller.get(path if role == "SENDER" else f"{path}/SE/XXX/1"))[0] != 405


@pytest.mark.parametrize(("is_agreed", "names"), [(True, {"Booking", "bookings"}), (False, set())])
def test_bookings_under_2_2_1_are_for_those_who_agreed_to_them(is_agreed: bool, names: set[str]) -> None:
    """Checklist 3: not listed, and nothing at their addresses, where it is not agreed; 2.3.0 has them for everybody."""
    caller = Caller(make_partner(switches={"bookings_under_2_2_1": is_agreed}, version="2.2.1"))

    found = {name for name, _, _ in endpoints(caller, "2.2.1") if name.lower().startswith("booking")}

    assert found == names
    assert code(caller.get(BOOKINGS))[0] == (200 if is_agreed else 404)
    assert code(caller.get(BOOKINGS.replace("/cpo/", "/emsp/") + "/SE/XXX/1"))[0] == 404
    assert (
        len({url for name, _, url in endpoints(caller, "2.3.0") if name.lower().startswith("booking")}) == 2
    )


def test_a_name_of_bookings_that_was_agreed_on_stands_for_the_others() -> None:
    """Checklist 3: ours in the details, the partner's in its own, in any case."""
    listed = [{"identifier": "NLABC-Bookings", "role": "RECEIVER", "url": "https://emsp.example/b"}]
    switches = {"booking_custom_identifier": "nlabc-bookings", "bookings_under_2_2_1": True}
    partner = make_partner(version="2.2.1", switches=switches, endpoints=listed)

    names = {name for name, _, url in endpoints(Caller(partner), "2.2.1") if url.endswith("/bookings")}

    assert names == {"nlabc-bookings"}
    assert partner.endpoint("bookings", "RECEIVER") == "https://emsp.example/b"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_depot_with_nothing_to_show_is_not_listed(version: str) -> None:
    """Checklist 79: a depot of megawatt chargers alone, to a partner of 2.2.1 that does not know them."""
    make_operator()
    evse = make_evse()
    evse.connectors.update(standard="MCS")
    option_of(evse)
    caller = Caller(make_partner(version=version, switches={"mcs_under_2_2_1": "hidden"}))

    listed = data(caller.get(LOCATIONS))

    assert len(listed) == (1 if version == "2.3.0" else 0)
    assert code(caller.get(f"{LOCATIONS}/{evse.depot.location_id}"))[0] == (200 if listed else 404)


@pytest.mark.parametrize(("lists", "shown"), [(["Booking"], 1), (["bookings"], 1), (["locations"], 0)])
def test_a_partner_of_2_2_1_without_bookings_is_shown_no_megawatt_connectors(
    lists: list[str], shown: int
) -> None:
    """Checklist 79: where Bookings were offered and it lists no interface for them, nothing beyond 2.2.1 was agreed on."""
    make_operator()
    evse = make_evse()
    evse.connectors.update(standard="MCS")
    option_of(evse)
    theirs = [{"identifier": name, "role": "RECEIVER", "url": f"https://p.example/{name}"} for name in lists]
    caller = Caller(make_partner(version="2.2.1", endpoints=theirs))

    assert len(data(caller.get(LOCATIONS))) == shown


def test_a_hub_is_a_field_in_2_3_0_and_a_role_in_2_2_1() -> None:
    new, old = (DIALECTS[version].registration for version in VERSIONS)

    told = old.write_credentials(CREDENTIALS)

    assert new.write_credentials(CREDENTIALS)["hub_party_id"] == "NLHUB"
    assert "hub_party_id" not in told
    assert [(r["role"], r["party_id"]) for r in told["roles"]] == [("CPO", "CPO"), ("HUB", "HUB")]
    assert old.read_credentials(told).value.hub_party_id == "NLHUB"
    assert new.read_credentials(new.write_credentials(CREDENTIALS)).value == CREDENTIALS


def test_the_dialect_is_that_of_the_agreed_version() -> None:
    from roaming.ocpi.dialect import dialect_of

    assert [dialect_of(Partner(version=v)).VERSION for v in ("2.2.1", "2.3.0", "", "1.9")] == [
        "2.2.1", "2.3.0", "2.3.0", "2.3.0",
    ]  # fmt: skip
