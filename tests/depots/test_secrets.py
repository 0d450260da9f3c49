import hashlib
import hmac

import pytest
from django.test import override_settings

from depots import secrets


def test_a_charger_password_matches_only_itself():
    salt, hashed = secrets.hash_charger_password("demo-1-secret")

    assert secrets.charger_password_matches(b"demo-1-secret", salt=salt, hashed=hashed)
    assert not secrets.charger_password_matches(b"demo-1-secre", salt=salt, hashed=hashed)


def test_a_password_that_is_not_text_is_compared_as_bytes():
    salt, hashed = secrets.hash_charger_password(b"\xff\x00\xfe")

    assert secrets.charger_password_matches(b"\xff\x00\xfe", salt=salt, hashed=hashed)


def test_a_charger_without_password_lets_nobody_in():
    assert not secrets.charger_password_matches(b"", salt="", hashed="")


def test_one_password_on_two_chargers_leaves_two_hashes():
    assert secrets.hash_charger_password("same")[1] != secrets.hash_charger_password("same")[1]


def test_a_token_is_found_again_by_its_hash_and_only_under_this_key():
    token = secrets.new_token()
    hashed = secrets.hash_token(token)

    assert secrets.hash_token(token) == hashed
    assert token not in hashed
    with override_settings(BERTH_STORAGE_KEYS=["another"]):
        assert secrets.hash_token(token) != hashed


def test_an_encrypted_token_comes_back_only_under_this_key():
    stored = secrets.encrypt("partner-token")

    assert "partner-token" not in stored
    assert secrets.decrypt(stored) == "partner-token"
    with override_settings(BERTH_STORAGE_KEYS=["another"]), pytest.raises(secrets.UnreadableSecretError):
        secrets.decrypt(stored)


def test_what_was_kept_under_an_older_key_is_still_read():
    with override_settings(BERTH_STORAGE_KEYS=["old"]):
        salt, hashed = secrets.hash_charger_password("demo-1-secret")
        stored, token_hash = secrets.encrypt("partner-token"), secrets.hash_token("partner-token")

    with override_settings(BERTH_STORAGE_KEYS=["new", "old"]):
        assert secrets.charger_password_matches("demo-1-secret", salt=salt, hashed=hashed)
        assert not secrets.charger_password_matches("demo-1-secre", salt=salt, hashed=hashed)
        assert secrets.decrypt(stored) == "partner-token"
        assert token_hash in secrets.hash_token_under_each_key("partner-token")
        assert not secrets.is_under_newest_key(salt)
        assert secrets.is_under_newest_key(secrets.hash_charger_password("demo-1-secret")[0])


def test_without_the_old_key_nothing_it_kept_opens():
    with override_settings(BERTH_STORAGE_KEYS=["old"]):
        salt, hashed = secrets.hash_charger_password("demo-1-secret")

    with override_settings(BERTH_STORAGE_KEYS=["new"]):
        assert not secrets.charger_password_matches("demo-1-secret", salt=salt, hashed=hashed)


def test_hashes_from_before_salts_named_their_key_still_match():
    salt = "0123456789abcdef0123456789abcdef"
    key = hmac.new(b"old", b"berth charger password", hashlib.sha256).digest()
    hashed = hmac.new(key, salt.encode() + b":pass", hashlib.sha256).hexdigest()

    with override_settings(BERTH_STORAGE_KEYS=["new", "old"]):
        assert secrets.charger_password_matches("pass", salt=salt, hashed=hashed)
