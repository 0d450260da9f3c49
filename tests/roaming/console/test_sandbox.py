"""A network to try things out with, for a click."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from depots.models import Membership
from roaming.models import Partner, PartnerEvent
from simulators.partner import PartnerSettings
from simulators.partner.sandbox import Sandbox
from tests.factories import make_fleet, make_organisation, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_click_begins_a_second_network_that_registers_by_itself(
    platform: str, client: Client, settings: Any, tmp_path: Path
) -> None:
    settings.BERTH_VAR, settings.DEMO_SIGN = tmp_path, tmp_path / "demo"
    make_organisation("Operator", cpo_party_id="OPR", country_code="DE")
    client.force_login(make_user(make_fleet(), Membership.Role.ADMIN, is_staff=True))
    said: list[str] = []
    sandbox = Sandbox(
        PartnerSettings(tmp_path / "FR-SIM.json", say=said.append), tmp_path / "simulators/sandbox.json"
    )
    assert client.post("/partners/sandbox/").status_code == 404, "outside a demo there is nobody to begin it"
    settings.DEMO_SIGN.touch()
    assert "Start the sandbox partner" in client.get("/partners/").content.decode()
    try:
        assert sandbox.settle(), "nothing to do yet"
        assert sandbox.partner is None

        answer = client.post("/partners/sandbox/")
        assert sandbox.settle(), said
    finally:
        sandbox.stop()

    partner = Partner.objects.get()
    assert answer["Location"] == f"/partners/{partner.pk}/"
    assert partner.is_registered
    assert {(role["role"], role["party_id"]) for role in partner.roles} == {("CPO", "SBX"), ("EMSP", "SBX")}
    assert (tmp_path / "simulators/sandbox.json").stat().st_mode & 0o777 == 0o600
    assert "Start the sandbox partner" not in client.get("/partners/").content.decode()
    assert client.post("/partners/sandbox/").status_code == 404
    assert PartnerEvent.objects.get().kind == "sandbox"
