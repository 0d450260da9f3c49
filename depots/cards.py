"""Numbers of cards and contracts, compared as readers and people write them: `04:aa:bb`, ` 04 AA BB`, `04-AA-BB`.

A card's number is all it takes to make a copy of it: whoever is not its fleet sees the ending.
"""

from __future__ import annotations

import re

from django.db.models import CharField, Transform

_SEPARATORS = re.compile(r"[\s:-]", re.ASCII)
# The fields of OCPP that hold a card or a group, as JSON, as JSON in a text (\"idTag\") and as Python shows it.
_CARD_FIELD = re.compile(
    r"""
    (?P<field> \\* ["'] (?:idTag|parentIdTag|idToken|groupIdToken|additionalIdToken|token|group) \\* ["'] \s* : \s*)
    (?: (?P<quote> \\* ["']) (?P<text> (?: \\. | [^\\])*? ) (?P<end> (?P=quote) | \\? \Z)
      | (?!null\b) (?P<bare> [\w.+-]+) )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# A UID of 4, 7 or 10 bytes, with or without separators.
_LIKE_A_CARD = re.compile(
    r"(?<![\w-])[0-9a-f]{2}(?:[:-]?[0-9a-f]{2}){3}(?:(?:[:-]?[0-9a-f]{2}){3}){0,2}(?![\w-])", re.IGNORECASE
)


def card_number(uid: str) -> str:
    """The number without separators and blanks, in capitals: two that are equal are one card. Empty is no card."""
    return _SEPARATORS.sub("", uid).upper()


def kept_numbers(uid: str) -> set[str]:
    """`card_number` as look-ups by `uid__card` may find it: many a database knows the capitals of ASCII alone (locale "C")."""
    text = _SEPARATORS.sub("", uid)
    return {text.upper(), "".join(sign.upper() if sign.isascii() else sign for sign in text)}


def card_ending(uid: str) -> str:
    """All of a card's number that others than its fleet may see: four characters, of a short one at most half; the same
    however the number is written.
    """
    number = card_number(uid)
    shown = min(4, len(number) // 2)
    return f"…{number[-shown:] if shown else ''}"


def without_cards(text: str, *, is_free: bool = False) -> str:
    """A frame, or what is told of one, with the endings of the cards and groups in it: JSON, JSON within a JSON text, and
    cut off anywhere. `is_free` text may hold a card under any name, so that what looks like one is shortened too.
    """
    text = _CARD_FIELD.sub(_shortened, text)
    return _LIKE_A_CARD.sub(lambda found: card_ending(found[0]), text) if is_free else text


def _shortened(found: re.Match[str]) -> str:
    if found["bare"]:
        return f"{found['field']}{card_ending(found['bare'])}"
    return f"{found['field']}{found['quote']}{card_ending(found['text'])}{found['end']}"


@CharField.register_lookup
class CardNumber(Transform):
    """`card_number` in SQL, for look-ups (`uid__card=card_number(uid)`) and the indexes that serve them."""

    lookup_name = "card"
    template = r"UPPER(REGEXP_REPLACE(%(expressions)s, '[\s:-]', '', 'g'))"
    output_field = CharField()
