"""Two demos that are partners of each other have parties and cards of their own."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError

from config.demo_data.fleets import FIRMS, NORDFRACHT, vehicle_file
from config.demo_data.refusal import refuse_other_parties
from tests.factories import make_operator

pytestmark = pytest.mark.django_db


def test_a_second_demo_has_parties_and_cards_of_its_own_and_no_first_one_becomes_it(settings: Any) -> None:
    make_operator("Nordfracht", country_code="DE", cpo_party_id="NFR", emsp_party_id="NFE")
    settings.BERTH_DEMO_PARTY = ""
    refuse_other_parties()

    settings.BERTH_DEMO_PARTY = "2"

    assert {tuple(firm.parties.values()) for firm in FIRMS} == {
        ("DE", "NF2", "NF2"), ("NL", "LP2", ""), ("AT", "", "AL2"), ("LT", "", "BL2"),
    }  # fmt: skip
    card = vehicle_file(NORDFRACHT)["vehicles"][0]["tokens"][0]
    assert (card["uid"], card["contract_id"]) == ("04AABBCCDD1032", "DE-NF2-C00000100-1")
    with pytest.raises(CommandError, match="another BERTH_DEMO_PARTY"):
        refuse_other_parties()
