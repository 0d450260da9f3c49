"""Numbers of cards and contracts, compared as readers and people write them: `04:aa:bb`, ` 04 AA BB`, `04-AA-BB`."""

from __future__ import annotations

import re

from django.db.models import CharField, Transform

_SEPARATORS = re.compile(r"[\s:-]", re.ASCII)


def card_number(uid: str) -> str:
    """The number without separators and blanks, in capitals: two that are equal are one card. Empty is no card."""
    return _SEPARATORS.sub("", uid).upper()


@CharField.register_lookup
class CardNumber(Transform):
    """`card_number` in SQL, for look-ups (`uid__card=card_number(uid)`) and the indexes that serve them."""

    lookup_name = "card"
    template = r"UPPER(REGEXP_REPLACE(%(expressions)s, '[\s:-]', '', 'g'))"
    output_field = CharField()
