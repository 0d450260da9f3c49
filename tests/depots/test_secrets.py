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
    with override_settings(SECRET_KEY="another"):
        assert secrets.hash_token(token) != hashed


def test_an_encrypted_token_comes_back_only_under_this_key():
    stored = secrets.encrypt("partner-token")

    assert "partner-token" not in stored
    assert secrets.decrypt(stored) == "partner-token"
    with override_settings(SECRET_KEY="another"), pytest.raises(secrets.UnreadableSecretError):
        secrets.decrypt(stored)
