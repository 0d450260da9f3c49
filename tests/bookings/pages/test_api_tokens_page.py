"""Administrators make tokens for their systems, see each once, and revoke them."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from depots.models import ApiToken, Membership
from tests.bookings.people import client_of
from tests.factories import make_fleet, make_user

pytestmark = pytest.mark.django_db


def test_a_token_is_made_shown_once_used_and_revoked() -> None:
    fleet = make_fleet("Nordfracht")
    admin = client_of(make_user(fleet, Membership.Role.ADMIN))

    page = admin.post(f"/organisations/{fleet.pk}/api-tokens/", {"name": "Planner", "is_read_only": "on"})
    token = re.search(r"data-api-token>([\w-]+)<", page.content.decode())
    assert token is not None
    system = {"Authorization": f"Bearer {token[1]}"}
    assert Client().get("/api/v1/bookings", headers=system).status_code == 200
    later = admin.get("/api-tokens/").content.decode()
    assert (token[1] in later, "Planner" in later, "only look" in later) == (False, True, True)
    admin.post(f"/api-tokens/{ApiToken.objects.get().pk}/revocation/")
    assert Client().get("/api/v1/bookings", headers=system).status_code == 401
    assert "Revoked" in admin.get("/api-tokens/").content.decode()


def test_a_token_without_a_name_is_not_made() -> None:
    fleet = make_fleet()
    admin = client_of(make_user(fleet, Membership.Role.ADMIN))

    page = admin.post(f"/organisations/{fleet.pk}/api-tokens/", {"name": " "})

    assert page.status_code == 422
    assert not ApiToken.objects.exists()
