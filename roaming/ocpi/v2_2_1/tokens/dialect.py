"""Tokens of 2.2.1, as the core asks for them (roaming/ocpi/modules/tokens.py): contracts of plug and charge are none of its
kinds."""

from __future__ import annotations

from typing import Any

from roaming.models import Partner
from roaming.ocpi.v2_2_1.tokens.token_types import UNNAMED, as_2_2_1
from roaming.ocpi.v2_3_0.tokens import dialect as newest
from roaming.ocpi.v2_3_0.tokens.dialect import (
    list_url,
    read,
    read_all,
    read_authorization,
    read_place,
    write_place,
)
from roaming.published_tokens import AskedOwner, PublishedToken

__all__ = [
    "authorize_url",
    "list_url",
    "read",
    "read_all",
    "read_authorization",
    "read_place",
    "url",
    "write",
    "write_authorization",
    "write_place",
]


def url(partner: Partner, published: PublishedToken) -> str:
    return newest.url(partner, published)


def write(published: PublishedToken) -> dict[str, Any]:
    return as_2_2_1(newest.write(published))


def write_authorization(answer: AskedOwner) -> dict[str, Any]:
    told = newest.write_authorization(answer)
    return {**told, "token": as_2_2_1(told["token"])}


def authorize_url(partner: Partner, uid: str, kind: str) -> str:
    return newest.authorize_url(partner, uid, UNNAMED.get(kind, kind))
