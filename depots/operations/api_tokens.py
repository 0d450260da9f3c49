"""Tokens for the JSON API: made, shown once, found with each request, revoked; and how much they are used."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

from django.db import connection

from depots import round_trips
from depots.models import ApiToken, ApiUse, Organisation
from depots.operations.organisations import OrganisationError
from depots.rows import columns, instance, width
from depots.secrets import hash_token, hash_token_under_each_key, new_token

MINUTE = timedelta(minutes=1)
LONGEST_NAME = 64
# Counted minutes are of no use for longer.
USE_KEPT = timedelta(minutes=5)

_COUNT = """
INSERT INTO depots_apiuse (organisation_id, minute, requests) VALUES (%s, %s, 1)
ON CONFLICT (organisation_id, minute) DO UPDATE SET requests = depots_apiuse.requests + 1
RETURNING requests
"""


def make_api_token(
    *, organisation: Organisation, name: str, is_read_only: bool = False, now: datetime
) -> tuple[ApiToken, str]:
    """The row, and the token as it is shown this once. Raises OrganisationError."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise OrganisationError("name", f"A token has a name of 1 to {LONGEST_NAME} characters.")
    if organisation.is_partner:
        raise OrganisationError("organisation", f"{organisation} is a partner network and calls over OCPI.")
    token = new_token()
    row = ApiToken.objects.create(
        organisation=organisation,
        name=name,
        token_hash=hash_token(token),
        is_read_only=is_read_only,
        created_at=now,
    )
    return row, token


def revoke_api_token(*, token_id: int, now: datetime) -> ApiToken:
    """It opens nothing from now on. Once more changes nothing."""
    ApiToken.objects.filter(pk=token_id, revoked_at=None).update(revoked_at=now)
    return ApiToken.objects.select_related("organisation").get(pk=token_id)


def find_api_token(token: str, *, now: datetime) -> ApiToken | None:
    """The valid token that is written so, with its organisation, noted as used. One query, and one more a minute."""
    rows = round_trips.rows(_valid_token(), [hash_token_under_each_key(token)])
    if not rows:
        return None
    found = instance(ApiToken, rows[0][: width(ApiToken)])
    found.organisation = instance(Organisation, rows[0][width(ApiToken) :])
    if found.last_used_at is None or found.last_used_at <= now - MINUTE:
        ApiToken.objects.filter(pk=found.pk).update(last_used_at=now)
    return found


@cache
def _valid_token() -> round_trips.Prepared:
    return round_trips.Prepared(f"""
        SELECT {columns(ApiToken, "token")}, {columns(Organisation, "organisation")}
        FROM depots_apitoken token
        JOIN depots_organisation organisation ON organisation.id = token.organisation_id
        WHERE token.token_hash = ANY(%s) AND token.revoked_at IS NULL
        ORDER BY token.id
        LIMIT 1
    """)  # noqa: S608 - made of names of ours


def count_api_use(organisation_id: int, *, now: datetime) -> int:
    """How many requests this is in its minute, over all processes."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [organisation_id, now.replace(second=0, microsecond=0)])
        [(requests,)] = cursor.fetchall()
    return int(requests)


def forget_api_use(*, now: datetime) -> None:
    ApiUse.objects.filter(minute__lt=now - USE_KEPT).delete()
