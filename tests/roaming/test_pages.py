"""What people see of partner networks: whether they are there, and what of theirs could not be taken as it came."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from depots.models import Depot, Membership
from roaming import deviations
from roaming.models import PartnerObject
from tests.factories import NOW, make_fleet, make_user
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def seen() -> None:
    partner = make_partner(
        "XYZ", failures=2, deviations={"id.too_long": 9, "location.time_zone.unreadable": 1}
    )
    Depot.objects.create(
        operator=partner.organisation, code="SE-XYZ-L1", location_id="L1", name="Gare Sud", is_mirror=True
    )
    PartnerObject.objects.create(
        partner=partner, kind="booking", country_code="SE", party_id="XYZ", key="CB-1", raw={}, received_at=NOW,
        is_unmatched=True,
    )  # fmt: skip
    make_partner("ABC")


@pytest.mark.parametrize(
    "role", [Membership.Role.DISPATCHER, Membership.Role.DEPOT_MANAGER, Membership.Role.ADMIN]
)
def test_a_zone_that_cannot_be_read_is_seen_by_whoever_plans(
    seen: None, client: Client, role: str, django_assert_max_num_queries: object
) -> None:
    client.force_login(make_user(make_fleet(), role))

    with django_assert_max_num_queries(10):  # type: ignore[operator]
        page = client.get("/partners/").content.decode()

    assert "A depot&#x27;s time zone cannot be read" in page
    assert "Times are shown in UTC" in page
    assert "Gare Sud" in page
    assert "1 booking told of that nobody here asked for" in page
    assert "Does not answer" in page
    assert page.index("location.time_zone.unreadable") < page.index("id.too_long")
    assert 'href="/partners/"' in page


def test_partners_are_nobody_elses_business(seen: None, client: Client) -> None:
    assert client.get("/partners/").status_code == 302
    client.force_login(make_user(make_fleet(), Membership.Role.VIEWER))
    assert client.get("/partners/").status_code == 404


def test_the_command_prints_a_line_a_partner(seen: None) -> None:
    out = StringIO()
    call_command("show_partners", stdout=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    one = StringIO()
    call_command("show_partners", "se*xyz", stdout=one)

    assert [line["parties"] for line in lines] == [["SE*ABC"], ["SE*XYZ"]]
    assert json.loads(one.getvalue()) == lines[1]
    assert lines[1]["deviations"] == {"location.time_zone.unreadable": 1, "id.too_long": 9}
    assert lines[1]["depots_in_utc"] == ["SE-XYZ-L1"]
    assert lines[1]["unmatched_bookings"] == 1
    with pytest.raises(CommandError, match="no partner"):
        call_command("show_partners", "nobody", stdout=StringIO())


def test_a_partner_that_makes_up_names_neither_fills_the_list_nor_hides_what_people_are_told() -> None:
    partner = make_partner("XYZ", deviations={f"booking.made_up_{n}.empty": 1 for n in range(200)})

    deviations.count(partner, ["location." + "x" * 100_000, "location.time_zone.unreadable"])

    partner.refresh_from_db()
    assert partner.deviations["location.time_zone.unreadable"] == 1
    assert len(partner.deviations) == 201


def test_a_name_of_a_field_is_kept_as_far_as_anybody_reads_it() -> None:
    partner = make_partner("XYZ")

    deviations.count(partner, ["location." + "x" * 100_000])

    partner.refresh_from_db()
    assert [len(name) for name in partner.deviations] == [80]
