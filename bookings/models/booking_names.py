"""What a booking is called by: for people, for whoever asked, and for its charger."""

from __future__ import annotations

import secrets
import uuid

REFERENCE_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def new_reference() -> str:
    """Ten characters a person can read out over the phone; unguessable enough not to be counted through."""
    return "BK" + _random(10)


def new_request_id() -> str:
    return str(uuid.uuid4())


def new_group() -> str:
    """Twenty characters (OCPP 1.6 idTag) nobody can guess: 95 bits."""
    return "G" + _random(19)


def _random(length: int) -> str:
    """Each of the 32 characters as likely: 256 is a multiple of them."""
    return "".join(REFERENCE_ALPHABET[byte % 32] for byte in secrets.token_bytes(length))
