"""How many tokens a partner has here, and how many of ours it has."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from roaming.models import Partner

# Of ours what was told it at least once, and what is behind.
_COUNT = """
SELECT count(*) FILTER (WHERE NOT is_blocked), count(*) FILTER (WHERE is_blocked),
    (SELECT count(*) FROM roaming_delivery WHERE partner_id = %(partner)s AND kind = 'token' AND delivered_version > 0),
    (SELECT count(*) FROM roaming_delivery WHERE partner_id = %(partner)s AND kind = 'token' AND next_try_at IS NOT NULL)
FROM bookings_token WHERE fleet_id = %(organisation)s AND told IS NOT NULL
"""


@dataclass(frozen=True)
class TokensExchanged:
    theirs: int
    theirs_invalid: int
    ours: int
    ours_waiting: int


def tokens_exchanged(partner: Partner) -> TokensExchanged:
    """One query."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"partner": partner.pk, "organisation": partner.organisation_id})
        return TokensExchanged(*cursor.fetchone())
