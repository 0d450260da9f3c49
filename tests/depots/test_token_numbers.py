"""Numbers of tokens of every kind: one token is one, however it is written, and what is wrong with one is said."""

from __future__ import annotations

import pytest

from depots.cards import card_number
from depots.token_numbers import (
    card_fault,
    check_digit,
    fault,
    in_other_byte_order,
    is_same,
    normalise,
    on_the_wire,
    spellings,
)


@pytest.mark.parametrize(
    ("number", "digit"),
    [
        ("NN123ABCDEFGHI", "T"), ("FRXYZ123456789", "2"), ("ITA1B2C3E4F5G6", "4"), ("ESZU8WOX834H1D", "R"),
        ("PT73902837ABCZ", "Z"), ("DE83DUIEN83QGZ", "D"), ("DE83DUIEN83ZGQ", "M"), ("NLTNMC00122045", "K"),
    ],
)  # fmt: skip
def test_the_check_digit_of_a_contract(number: str, digit: str) -> None:
    assert check_digit(number) == digit


@pytest.mark.parametrize(
    ("kind", "forms"),
    [
        ("EMAID", ["DE83DUIEN83QGZ", "DE-83D-UIEN83QGZ", "de-83d-uien83qgz-d", "DE*83D*UIEN83QGZ*D", "DE83DUIEN83QGZD"]),
        ("EMAID", ["NL-TNM-012204-5", "NL*TNM*012204*5", "NLTNMC00122045", "NL-TNM-C00122045-K", "NL-TNM-000122045-U"]),
        ("MAC", ["92D50A693F80", "92:d5:0a:69:3f:80", "92-D5-0A-69-3F-80", "VID:92D50A693F80", "vid:92:d5:0a:69:3f:80"]),
        ("RFID", ["04AABBCCDD1122", "04:aa:bb:cc:dd:11:22", "04 AA BB CC DD 11 22"]),
        ("APP_USER", ["driver-7", "DRIVER 7"]),
    ],
)  # fmt: skip
def test_one_token_is_one_however_it_is_written_or_read(kind: str, forms: list[str]) -> None:
    """Whatever form is kept, it is found by whatever form is read, with the type (2.x) and without (1.6)."""
    for kept in forms:
        for read in forms:
            assert is_same(kept, kind, read, kind)
            assert is_same(kept, kind, read, "")
            assert card_number(kept) in spellings(read, kind)
            assert card_number(kept) in spellings(read)


@pytest.mark.parametrize(
    ("one", "kind", "other", "other_kind"),
    [
        ("DE83DUIEN83QGZ", "EMAID", "DE83DUIEN83QGY", "EMAID"),
        ("DE83DUIEN83QGZX", "EMAID", "DE83DUIEN83QGZ", "EMAID"),  # a wrong check digit: some other number
        ("92D50A693F80", "MAC", "92D50A693F81", "MAC"),
        ("04AABBCC", "RFID", "CCBBAA04", "RFID"),  # the other byte order is never guessed
        ("", "RFID", "", "RFID"),
    ],
)
def test_what_differs_is_not_the_same(one: str, kind: str, other: str, other_kind: str) -> None:
    assert not is_same(one, kind, other, other_kind)


def test_hexadecimal_digits_are_a_cards_where_nothing_says_otherwise() -> None:
    assert normalise("ABCDE001234567") == "ABCDE001234567"
    assert normalise("ABCDE001234567", "EMAID") == "ABCDEC01234567"
    assert normalise("ABCDEF123456", "EMAID") == "ABCDEC0F123456"


def test_the_other_byte_order_of_a_card() -> None:
    assert in_other_byte_order("04:AA:BB:CC") == "CCBBAA04"
    assert [in_other_byte_order(uid) for uid in ("04AABB", "04AABBC", "driver-7", "")] == [""] * 4


@pytest.mark.parametrize(
    ("uid", "kind", "wire_16", "wire_2x"),
    [
        ("92:d5:0a:69:3f:80", "MAC", "VID:92D50A693F80", "92D50A693F80"),
        ("VID:92D50A693F80", "OTHER", "VID:92D50A693F80", "92D50A693F80"),
        ("DE*83D*UIEN83QGZ*D", "EMAID", "DE83DUIEN83QGZD", "DE83DUIEN83QGZD"),
        ("04:aa:bb:cc", "RFID", "04AABBCC", "04AABBCC"),
        ("driver-7", "APP_USER", "driver-7", "driver-7"),
    ],
)
def test_a_reservation_names_what_the_charger_will_read(
    uid: str, kind: str, wire_16: str, wire_2x: str
) -> None:
    assert on_the_wire(uid, kind, is_1_6=True) == wire_16
    assert on_the_wire(uid, kind, is_1_6=False) == wire_2x


@pytest.mark.parametrize(
    ("uid", "kind", "either", "words"),
    [
        ("DE-83D-UIEN83QGZ-X", "EMAID", False, "its check digit is D"),
        ("DE-83D-UIEN8", "EMAID", False, "nine of the contract"),
        ("92:d5:0a:69:3f", "MAC", False, "12 hexadecimal digits"),
        ("driver-7", "APP_USER", True, "no other byte order"),
        ("04AABB", "RFID", True, "no other byte order"),
        ("::", "RFID", False, "letters or digits"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_number_is_said(uid: str, kind: str, either: bool, words: str) -> None:
    assert words in fault(uid, kind, is_read_either_way=either)
    assert not fault("04AABBCC", "RFID", is_read_either_way=True)
    assert not fault("nl*tnm*012204*5", "EMAID")


@pytest.mark.parametrize(
    ("uid", "words"),
    [
        ("04:A1:B2:C3", ""), ("04 a1 b2 c3 d4 e5 f6", ""), ("04-A1-B2-C3-D4-E5-F6-07-18-29", ""), ("04AABBCCDD10", ""),
        ("4A1B2C3", "7 digits"), ("04A1B2", "8 to 20"), ("04A1B2C3" * 3, "8 to 20"), ("driver-7", "has R"),
        ("DE*8AA*123", "has *"), ("\u0660" * 8, "digits 0 to 9"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_card_somebody_types_is_said(uid: str, words: str) -> None:
    assert (words in card_fault(uid)) if words else not card_fault(uid)
