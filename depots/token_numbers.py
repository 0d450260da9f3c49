"""Numbers of tokens: one normalisation per kind, so that a truck is known however its number is written or read.

* Cards: hexadecimal digits of a reader, with or without separators, in capitals (`depots.cards.card_number`). A reader may
  give the bytes in the other order; that is an alias a fleet sets for a card, and never guessed.
* Contracts (eMAID, ISO 15118-1 and DIN SPEC 91286): `DE-8AA-C12345678-X` is country, provider, nine characters and a check
  digit; separators and check digit may be left out. DIN's `DE*8AA*123456*7` is ISO's `DE-8AA-C01234567`, in older systems
  `DE-8AA-001234567`.
* Vehicles (Autocharge): the MAC address of the vehicle's EVCC, in OCPP 1.6 after `VID:`.
* Apps and key codes as they are written, without regard to case, blanks and hyphens.
"""

from __future__ import annotations

import re
from enum import StrEnum

from depots.cards import card_number, kept_numbers


class TokenKind(StrEnum):
    """What a token is; OCPI's TokenType where it has a word. Both others are `OTHER` there."""

    RFID = "RFID"
    APP_USER = "APP_USER"
    AD_HOC_USER = "AD_HOC_USER"
    EMAID = "EMAID"
    MAC = "MAC"
    KEY_CODE = "KEY_CODE"
    OTHER = "OTHER"


# Told by plugging in, nothing is held to a reader.
PLUGGED_IN = frozenset({TokenKind.EMAID, TokenKind.MAC})
VID = "VID"
# Of an idTag (OCPP 1.6 §7.28); what is kept of a token is shorter than 2.x allows.
LONGEST_TAG = 20

_CARD = re.compile(r"(?:[0-9A-F]{2}){4,10}")
_EMAID = re.compile(r"([A-Z]{2}[A-Z0-9]{3})([A-Z0-9]{9})([A-Z0-9]?)")
_DIN = re.compile(r"([A-Z]{2})([*-]?)([A-Z0-9]{3})\2([A-Z0-9]{6})\2([A-Z0-9])")
_MAC = re.compile(r"(VID)?([0-9A-F]{12})")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# How an instance that came from DIN begins, by today's rule and the one before.
_FROM_DIN = ("C0", "00")


def normalise(uid: str, kind: str = "") -> str:
    """The number two tokens are compared by: equal is the same token. Without a `kind`, as OCPP 1.6 gives them, its form
    decides; hexadecimal digits alone are a card's."""
    number = card_number(uid)
    if kind == TokenKind.RFID:
        return number
    if kind != TokenKind.EMAID and (mac := _mac(number)):
        return mac
    if kind == TokenKind.EMAID or not _CARD.fullmatch(number):
        return _contract(uid, kind) or number
    return number


def is_same(uid: str, kind: str, other_uid: str, other_kind: str) -> bool:
    """Whether two name one token. Nothing is the same as no token."""
    number = normalise(uid, kind)
    return bool(number) and number == normalise(other_uid, other_kind)


def spellings(uid: str, kind: str = "") -> set[str]:
    """Every form, as `kept_numbers` gives it, under which the same token may be kept: for look-ups by `uid__card__in`."""
    number = normalise(uid, kind)
    found = {*kept_numbers(uid), number} - {""}
    if _MAC.fullmatch(number) and kind != TokenKind.RFID:
        return found | {VID + number}
    if kind == TokenKind.RFID or not (contract := _EMAID.fullmatch(number)):
        return found
    provider, instance, _ = contract.groups()
    country, party = provider[:2], provider[2:]
    forms = [instance]
    if instance.startswith("C0"):
        din = instance[2:]
        forms.append(f"00{din}")
        found |= {f"{provider}{din}", f"{country}*{party}*{din[:6]}*{din[6]}"}
    for form in forms:
        digit = check_digit(provider + form)
        plain, starred = f"{provider}{form}", f"{country}*{party}*{form}"
        found |= {plain, plain + digit, starred, f"{starred}*{digit}"}
    return found


def in_other_byte_order(uid: str) -> str:
    """A card's number as a reader that gives its bytes from the other end tells it; empty for what are no bytes."""
    number = card_number(uid)
    return bytes.fromhex(number)[::-1].hex().upper() if _CARD.fullmatch(number) else ""


def mac_address(uid: str, kind: str) -> str:
    """The twelve digits where the token is a vehicle's; empty otherwise. What a partner calls OTHER is one by its form."""
    if kind not in {TokenKind.MAC, TokenKind.OTHER}:
        return ""
    return _mac(card_number(uid))


def on_the_wire(uid: str, kind: str, *, is_1_6: bool) -> str:
    """As a charger will read it, when the truck comes: 1.6 puts `VID:` before a vehicle's address."""
    if mac := mac_address(uid, kind):
        return f"{VID}:{mac}" if is_1_6 else mac
    if kind == TokenKind.EMAID:
        return card_number(uid).replace("*", "")
    return card_number(uid) if kind == TokenKind.RFID else uid


def fault(uid: str, kind: str, *, is_read_either_way: bool = False) -> str:
    """What is wrong with a number that somebody writes down, as a sentence; empty where nothing is."""
    if not card_number(uid):
        return "A number has letters or digits."
    if kind == TokenKind.EMAID:
        return _contract_fault(uid)
    if kind == TokenKind.MAC and not _mac(card_number(uid)):
        return f"{uid} is no MAC address: it has 12 hexadecimal digits, as in 92:D5:0A:69:3F:80, with VID: before it or not."
    if is_read_either_way and (kind != TokenKind.RFID or not in_other_byte_order(uid)):
        return f"{uid} has no other byte order: only a card of 4 to 10 bytes, two hexadecimal digits each, has one."
    return ""


def card_fault(uid: str) -> str:
    """What is wrong with a card's number that a person types, as a sentence; empty where nothing is. What other systems tell may
    have any form."""
    number = card_number(uid)
    if strange := next((sign for sign in number if sign not in "0123456789ABCDEF"), ""):
        return f"A card's number has digits 0 to 9 and A to F, and {uid} has {strange}; what is no card is of another kind."
    if len(number) % 2:
        return f"{uid} has {len(number)} digits, and a card two for each byte: is one missing?"
    if not _CARD.fullmatch(number):
        return f"{uid} has {len(number)} digits, and a card 8 to 20."
    return ""


def check_digit(number: str) -> str:
    """Of the 14 characters of an eMAID (ISO 15118-1 annex on check digits: sums of powers of two matrices, modulo 2 and 3)."""
    twos, threes = (0, 0), (0, 0)
    for character in reversed(number):
        value = _DIGITS.index(character)
        twos = _times_two((twos[0] + value // 18, twos[1] + value // 9 % 2))
        threes = _times_three((threes[0] + value // 3 % 3, threes[1] + value % 3))
    halves, thirds = twos, (2 * threes[1] % 3, (2 * threes[0] + threes[1]) % 3)
    return _DIGITS[halves[0] * 18 + halves[1] * 9 + thirds[0] * 3 + thirds[1]]


def _times_two(row: tuple[int, int]) -> tuple[int, int]:
    """(row) × [[0, 1], [1, 1]] modulo 2."""
    return row[1] % 2, (row[0] + row[1]) % 2


def _times_three(row: tuple[int, int]) -> tuple[int, int]:
    """(row) × [[0, 1], [1, 2]] modulo 3."""
    return row[1] % 3, (row[0] + 2 * row[1]) % 3


def _mac(number: str) -> str:
    found = _MAC.fullmatch(number)
    return found[2] if found else ""


def _contract(uid: str, kind: str) -> str:
    """The 14 characters of an eMAID, empty for what is none. Its check digit, where there is one, is right."""
    text = re.sub(r"\s", "", uid).upper()
    din = _DIN.fullmatch(text)
    if din and (din[2] or kind == TokenKind.EMAID):
        return f"{din[1]}{din[3]}C0{din[4]}{din[5]}"
    found = _EMAID.fullmatch(card_number(text).replace("*", ""))
    if not found or (found[3] and check_digit(found[1] + found[2]) != found[3]):
        return ""
    instance = found[2]
    return found[1] + (f"C0{instance[2:]}" if instance.startswith(_FROM_DIN) else instance)


def _contract_fault(uid: str) -> str:
    if _contract(uid, TokenKind.EMAID):
        return ""
    number = card_number(uid).replace("*", "")
    if (found := _EMAID.fullmatch(number)) and found[3]:
        right = check_digit(found[1] + found[2])
        return f"{uid} ends with {found[3]}, its check digit is {right}: is a character mistaken or missing?"
    return (
        f"{uid} is no contract number (eMAID): it has two letters of the country, three characters of the provider and nine of "
        "the contract, as in DE-8AA-C12345678, and a check digit or none."
    )
