"""How often a partner said something otherwise than the specification has it, with the newest message that did, for people.

While a message is read its deviations are only collected (`collecting`); whoever handed it in writes them down afterwards, with
that message as their example. So they are counted whatever became of the message, and no row of theirs is locked by what it did.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from depots.navigation import NETWORKS
from depots.notices import tell_pages
from roaming.deviation_words import IN_WORDS
from roaming.models import Deviation, Partner
from roaming.ocpi.logged_text import logged

MOST_NAMES = 200
# Names of fields may be a partner's own, and of any length.
LONGEST_NAME = 80
LONGEST_EXAMPLE, LONGEST_URL = 2_000, 500
TAKEN = 0  # the code of what was taken all the same

_collected: ContextVar[dict[str, None] | None] = ContextVar("deviations_of_message", default=None)

# The newest message is the example. What people are told in words counts however full the list is.
_COUNT = """
WITH known AS (SELECT count(*) AS rules FROM roaming_deviation WHERE partner_id = %(partner)s AND (code = 0) = (%(code)s = 0))
INSERT INTO roaming_deviation AS kept (partner_id, code, rule, times, first_at, last_at, example, request_id)
SELECT %(partner)s, %(code)s, seen.rule, 1, %(at)s, %(at)s, %(example)s::jsonb, %(request)s
FROM unnest(%(rules)s::text[]) AS seen(rule), known
WHERE known.rules < %(most)s OR seen.rule = ANY(%(in_words)s) OR EXISTS (
    SELECT FROM roaming_deviation d WHERE d.partner_id = %(partner)s AND d.code = %(code)s AND d.rule = seen.rule
)
ORDER BY seen.rule
ON CONFLICT (partner_id, code, rule) DO UPDATE SET
    times = kept.times + 1, last_at = greatest(kept.last_at, EXCLUDED.last_at),
    example = EXCLUDED.example, request_id = EXCLUDED.request_id
"""


@dataclass(frozen=True)
class Example:
    """A message as people are shown it: `body` is what was sent, `answer` what the other side said to it."""

    at: datetime
    method: str = ""
    url: str = ""
    body: Any = None
    answer: Any = None
    request_id: str = ""

    def shown(self) -> dict[str, str]:
        """Cut and without tokens; what is not there is left out."""
        parts = {
            "method": self.method,
            "url": self.url[:LONGEST_URL],
            "body": logged(self.body)[:LONGEST_EXAMPLE],
            "answer": logged(self.answer)[:LONGEST_EXAMPLE],
        }
        return {name: text.encode("utf-8", "replace").decode() for name, text in parts.items() if text}


@contextmanager
def collecting() -> Iterator[Collection[str]]:
    """What `count` is told within is collected here, each name once, for whoever has the message."""
    found: dict[str, None] = {}
    token = _collected.set(found)
    try:
        yield found.keys()
    finally:
        _collected.reset(token)


@contextmanager
def of_message(partner_id: int, example: Example) -> Iterator[None]:
    """What `count` is told within is written down at the end, with this message. Open it around the transaction, not within."""
    with collecting() as odd:
        yield
    record(partner_id, odd, example)


def count(partner: Partner, names: Iterable[str]) -> None:
    """Add one to each of these rules; of a message that is being read, once it has been."""
    collected = _collected.get()
    if collected is None:
        record(partner.pk, names, Example(timezone.now()))
    else:
        collected.update(dict.fromkeys(names))


def record(partner_id: int, names: Iterable[str], example: Example, *, code: int = TAKEN) -> None:
    """Write down what a message did; with `code` what it was refused for. Open pages about partners hear of it."""
    rules = sorted({name[:LONGEST_NAME].replace("\x00", "") for name in names})
    if not rules:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNT,
            {
                "partner": partner_id,
                "code": code,
                "rules": rules,
                "at": example.at,
                "example": json.dumps(example.shown()),
                "request": example.request_id[:64],
                "most": MOST_NAMES,
                "in_words": list(IN_WORDS),
            },
        )
    tell_of(partner_id)


def tell_of(partner_id: int) -> None:
    """Open pages about a partner are to look again."""
    tell_pages("partner", partner_id, [NETWORKS])


def forget(partner: Partner) -> int:
    """Begin to count anew, once somebody has told the partner. Says how many rules were counted."""
    gone, _ = Deviation.objects.filter(partner=partner).delete()
    return gone
