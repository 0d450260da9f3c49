"""A card that its network wants to be asked about is shown at a charger: over the charger's socket and the network's."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import OwnerCheck, Token
from depots.gate import token_owners
from depots.models import Charger, ChargingSession, Evse
from simulators.charger import IdToken
from tests.bookings.enforcement.online_chargers import TERMS
from tests.factories import NOW, at, make_charger, make_depot, make_evse
from tests.roaming.partners import make_partner
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.scenarios.bed import Bed, eventually

ALL = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
ALLOWED, BLOCKED, SILENT = "04A1000001", "04A1000002", "04A1000003"


@pytest.fixture
def charger(transactional_db: None, settings: Any) -> Charger:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    token_owners.cache_clear()
    row = make_charger(make_depot(terms={**TERMS, "walk_in": "known"}))
    make_evse(charger=row, status=Evse.Status.AVAILABLE)
    return row


def answer(asked: Asked) -> Reply:
    uid = asked.path.split("/")[-2]
    if uid == SILENT:
        return Reply(500, b"")
    return envelope(
        {"allowed": "ALLOWED" if uid == ALLOWED else "BLOCKED", "authorization_reference": f"R-{uid}"}
    )


@pytest.mark.parametrize("protocol", ALL)
def test_a_card_charges_by_its_networks_word_and_the_session_has_the_reference(
    bed: Bed, charger: Charger, protocol: str
) -> None:
    """Checklist 88: with the network's no it charges nowhere, and neither without a word of it where that is needed."""
    with ScriptedPeer(answer) as peer:
        endpoint = {"identifier": "tokens", "role": "SENDER", "url": f"{peer.url}/tokens"}
        network = make_partner("FLT", endpoints=[endpoint])
        for uid in (ALLOWED, BLOCKED, SILENT):
            Token.objects.create(
                fleet=network.organisation, uid=uid, country_code="SE", party_id="FLT", told={}, told_at=NOW,
                heard_at=NOW, owner_check=OwnerCheck.MUST,
            )  # fmt: skip
        bed.clock.now = at(9)
        simulated = bed.charger(charger, protocol, evses=1)
        simulated.come_online()

        assert simulated.tap(1, IdToken(BLOCKED)) is None
        assert simulated.tap(1, IdToken(SILENT)) is None
        assert simulated.tap(1, IdToken(ALLOWED)) is not None
        session = eventually(lambda: ChargingSession.objects.filter(is_entitled=True).first())

    assert session.authorization_reference == f"R-{ALLOWED}"
    # The start is that of the Authorize before it: its network is not asked twice.
    assert [asked.path.split("/")[-2] for asked in peer.asked] == [BLOCKED, SILENT, ALLOWED]
    assert peer.asked[0].body["evse_uids"] == [charger.evses.get().uid]
