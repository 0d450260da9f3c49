"""Stored secrets move under a new key while partners go on calling."""

import pytest
from django.test import override_settings

from depots import secrets
from depots.models import Charger
from depots.operations.charger_passwords import rotate_charger_password
from roaming.models import Partner, PartnerToken
from tests.config.commands import refusal, run
from tests.factories import NOW, make_charger
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db


def test_partner_secrets_move_under_the_newest_key_and_chargers_that_have_not_yet_are_named():
    with override_settings(BERTH_STORAGE_KEYS=["old"]):
        partner = make_partner(token="inbound", outbound_token_encrypted=secrets.encrypt("outbound"))
        charger = make_charger()
        salt, hashed = secrets.hash_charger_password("kept")
        Charger.objects.filter(pk=charger.pk).update(password_salt=salt, password_hash=hashed)
        told = rotate_charger_password(charger_id=charger.pk, now=NOW)
        charger.refresh_from_db()
        password = secrets.decrypt(charger.next_password)

    with override_settings(BERTH_STORAGE_KEYS=["new", "old"]):
        [printed] = run("rotate_storage_keys")

    assert printed["chargers_left"] == [charger.identity]
    assert printed["partner_secrets"] >= 2
    assert printed["charger_secrets"] == 1
    charger.refresh_from_db()
    told.refresh_from_db()
    with override_settings(BERTH_STORAGE_KEYS=["new"]):
        assert secrets.decrypt(Partner.objects.get(pk=partner.pk).outbound_token_encrypted) == "outbound"
        assert PartnerToken.objects.filter(token_hash=secrets.hash_token("inbound")).exists()
        assert secrets.decrypt(told.payload["encrypted"]) == password
        assert secrets.charger_password_matches(
            password, salt=charger.next_password_salt, hashed=charger.next_password_hash
        )


def test_a_secret_under_a_key_that_is_gone_is_refused_and_nothing_changes():
    with override_settings(BERTH_STORAGE_KEYS=["lost"]):
        partner = make_partner(outbound_token_encrypted=secrets.encrypt("outbound"))

    with override_settings(BERTH_STORAGE_KEYS=["new"]):
        assert "not among BERTH_STORAGE_KEYS" in refusal("rotate_storage_keys")

    with override_settings(BERTH_STORAGE_KEYS=["lost"]):
        assert secrets.decrypt(Partner.objects.get(pk=partner.pk).outbound_token_encrypted) == "outbound"
