"""Inviting, connecting and looking after a registration, as whoever looks after the platform does it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from depots.models import Membership
from roaming.models import Partner, PartnerEvent, PartnerToken
from roaming.registering.urls import urlpatterns
from simulators.partner import SimulatedPartner
from tests.factories import make_fleet, make_operator, make_user
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db(transaction=True)
PARTY = {"name": "Simulated", "country_code": "fr", "party_id": "sim", "roles": ["CPO", "EMSP"]}


@pytest.fixture
def administrator(platform: str, client: Client) -> Client:
    make_operator("Ladepark", cpo_party_id="LPK")
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")
    user = make_user(fleet, Membership.Role.ADMIN)
    user.is_staff = True
    user.save()
    client.force_login(user)
    return client


@pytest.fixture
def registered(administrator: Client, network: SimulatedPartner) -> str:
    """The address of a partner's registration that was made through the pages."""
    sent = {**PARTY, "versions_url": network.versions_url, "token_a": network.registration.invite()}
    answer = administrator.post(
        "/partners/connections/", {f"connect-{name}": value for name, value in sent.items()}
    )
    assert answer.status_code == 302, answer.content.decode()
    return str(answer["Location"])


def shown_version(client: Client, address: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', client.get(address).content.decode())
    assert found
    return found[1]


def press(client: Client, address: str, button: str, **fields: Any) -> Any:
    return client.post(f"{address}{button}/", {"version": shown_version(client, address), **fields})


def test_a_network_is_invited_and_registers_with_what_the_page_shows(
    administrator: Client, network: SimulatedPartner, platform: str
) -> None:
    answer = administrator.post(
        "/partners/invitations/", {f"invite-{name}": value for name, value in PARTY.items()}
    )
    page = administrator.get(answer["Location"]).content.decode()
    token = re.search(r'id="token-a">([^<]+)<', page)

    assert token
    assert platform in page
    network.registration.register(platform, token[1])
    assert Partner.objects.get().is_registered
    assert token[1] not in administrator.get(answer["Location"]).content.decode()
    assert PartnerEvent.objects.get().kind == "invited"


def test_a_network_is_tried_then_connected_to(administrator: Client, network: SimulatedPartner) -> None:
    sent = {**PARTY, "versions_url": network.versions_url, "token_a": network.registration.invite()}
    fields = {f"connect-{name}": value for name, value in sent.items()}

    tried = administrator.post("/partners/connections/", {**fields, "try": "1"}).content.decode()
    assert 'data-step="Versions"' in tried
    assert not Partner.objects.exists(), "nothing is registered by a try"
    wrong = administrator.post("/partners/connections/", {**fields, "connect-token_a": "wrong"})
    assert wrong.status_code == 422
    answer = administrator.post("/partners/connections/", fields)

    page = administrator.get(answer["Location"]).content.decode()
    assert "2.3.0" in page
    assert Partner.objects.get(state="registered").roles
    secrets = [sent["token_a"]]
    assert not any(secret in page for secret in secrets)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("country_code", "F1"),
        ("party_id", "ABCD"),
        ("roles", []),
        ("name", ""),
        ("versions_url", "gopher://x"),
    ],
)
def test_what_is_entered_wrong_is_said_at_its_field(administrator: Client, field: str, value: Any) -> None:
    sent = {**PARTY, "versions_url": "http://127.0.0.1:1/v", "token_a": "t", field: value}

    answer = administrator.post(
        "/partners/connections/", {f"connect-{name}": value for name, value in sent.items()}
    )

    assert answer.status_code == 422
    assert f'id="id_connect-{field}_error"' in answer.content.decode()
    assert not Partner.objects.exists()


def test_a_registration_is_looked_after_from_its_page(
    administrator: Client, registered: str, network: SimulatedPartner
) -> None:
    checked = administrator.post(f"{registered}check/").content.decode()
    assert 'data-step="Credentials"' in checked
    old = PartnerToken.objects.get(kind="current").pk

    press(administrator, registered, "tokens")
    assert PartnerToken.objects.get(kind="current").pk != old
    press(administrator, registered, "suspension")
    assert Partner.objects.get().is_suspended
    assert "cannot be booked" in administrator.get(registered).content.decode()
    press(administrator, registered, "suspension/lifting")
    assert Partner.objects.get().is_registered
    assert press(administrator, registered, "leaving").status_code == 422, "without being sure"
    press(administrator, registered, "leaving", is_sure="on")
    assert Partner.objects.get().state == Partner.State.GONE
    assert not network.peer.is_registered
    press(administrator, registered, "invitation")
    assert PartnerToken.objects.get().kind == "registration"

    kinds = list(PartnerEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["connected", "rotated", "suspended", "lifted", "left", "invited"]


def test_an_old_page_changes_nothing(administrator: Client, registered: str) -> None:
    for button in ("tokens", "suspension", "leaving"):
        for version in ("", "1"):
            sent = {"version": version, "is_sure": "on"}
            assert administrator.post(f"{registered}{button}/", sent).status_code == 409
    assert Partner.objects.get().is_registered


@pytest.mark.parametrize(
    "role", [Membership.Role.ADMIN, Membership.Role.DEPOT_MANAGER, Membership.Role.DISPATCHER]
)
def test_registrations_are_nobody_elses_business(client: Client, role: str) -> None:
    make_operator()
    partner = make_partner("ABC")
    addresses = [
        reverse(f"registering:{one.name}", args=[partner.pk] if "partner_id" in str(one.pattern) else [])
        for one in urlpatterns
    ]
    assert len(addresses) == 10
    for address in addresses:
        assert client.get(address).status_code in (302, 405)
    client.force_login(make_user(make_fleet(), role))
    for address in addresses:
        assert client.get(address).status_code in (404, 405), address
        assert client.post(address).status_code in (404, 405), address
