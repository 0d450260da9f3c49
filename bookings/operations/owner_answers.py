"""What networks answer when they are asked about a token at a charger, kept for the start that follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from bookings.rules.owner_checks import OwnerWord
from depots.gate import OwnerQuestion

KEPT = timedelta(days=1)
_RECORD = """
WITH off AS (SELECT set_config('synchronous_commit', 'off', true)),
old AS (
    DELETE FROM bookings_owneranswer
    WHERE charger_id = %(charger)s AND answered_at < %(before)s
      AND (number, type) <> (%(number)s::text, %(type)s::text)
)
INSERT INTO bookings_owneranswer
    (charger_id, number, type, owner_id, country_code, party_id, outcome, reference, evse_uids, info, answered_at)
SELECT %(charger)s::bigint, %(number)s, %(type)s, %(owner)s::bigint, %(country)s, %(party)s, %(outcome)s, %(reference)s,
    %(evses)s::varchar[], %(info)s, %(now)s::timestamptz
FROM off
ON CONFLICT (charger_id, number, type) DO UPDATE SET
    owner_id = EXCLUDED.owner_id, country_code = EXCLUDED.country_code, party_id = EXCLUDED.party_id,
    outcome = EXCLUDED.outcome, reference = EXCLUDED.reference, evse_uids = EXCLUDED.evse_uids, info = EXCLUDED.info,
    answered_at = EXCLUDED.answered_at
"""


def record_owner_answer(*, question: OwnerQuestion, word: OwnerWord, now: datetime) -> None:
    """The newest answer takes the place of the one before; what is older than a day goes with it. One statement, which does not
    wait for the disk: an answer that is lost is asked for again."""
    told: dict[str, Any] = {
        "charger": question.charger_id, "number": question.number, "type": question.token_type,
        "owner": word.owner_id, "country": word.country_code, "party": word.party_id,
        "outcome": word.outcome, "reference": word.reference[:64],
        "evses": list(word.evse_uids), "info": word.info[:512], "now": now, "before": now - KEPT,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, told)
