"""Numbers of cards, compared as readers and people write them."""

import pytest

from bookings.models import Token
from depots.cards import card_ending, card_number, without_cards
from tests.factories import make_fleet

SPELLINGS = [
    "04AABBCCDD10",
    "04:AA:BB:CC:DD:10",
    " 04 AA BB CC DD 10",
    "04-aa-bb-cc-dd-10",
    "04aabbccdd10\t ",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_card_is_the_same_however_it_is_written(spelling: str) -> None:
    assert card_number(spelling) == "04AABBCCDD10"


@pytest.mark.django_db
@pytest.mark.parametrize("stored", SPELLINGS)
def test_the_database_compares_cards_as_we_do(stored: str) -> None:
    Token.objects.create(fleet=make_fleet(), uid=stored)

    assert Token.objects.filter(uid__card=card_number(SPELLINGS[1])).exists()
    assert not Token.objects.filter(uid__card=card_number("04AABBCCDD11")).exists()


@pytest.mark.parametrize(
    ("uid", "ending"),
    [
        ("04AABBCCDD10", "…DD10"),
        ("04AABBCC", "…BBCC"),
        ("123456", "…456"),
        ("1234", "…34"),
        ("1", "…"),
        ("", "…"),
    ],
)
def test_an_ending_is_never_more_than_half_of_a_card(uid: str, ending: str) -> None:
    assert card_ending(uid) == ending


@pytest.mark.parametrize(
    ("frame", "shown"),
    [
        ('{"idTag":"04AABBCCDD10","meterStart":5}', '{"idTag":"…DD10","meterStart":5}'),
        ('{"idTag" : "04AABBCCDD10"}', '{"idTag" : "…DD10"}'),
        ('{"IDTAG":"04,AA}BB\\"CCDD10"}', '{"IDTAG":"…DD10"}'),
        ('{"idTag":1234567890}', '{"idTag":…7890}'),
        ('{"idTag":null}', '{"idTag":null}'),
        ('{"idToken":{"idToken":"04AABBCCDD10","type":"ISO14443"}}', '{"idToken":{"idToken":"…DD10","type":"ISO14443"}}'),
        ('{"groupIdToken":{"idToken":"GROUP-123456"}}', '{"groupIdToken":{"idToken":"…3456"}}'),
        ('{"a":{"parentIdTag":"GROUP-123456"}}', '{"a":{"parentIdTag":"…3456"}}'),
        ('{"data":"{\\"idTag\\":\\"04AABBCCDD10\\"}"}', '{"data":"{\\"idTag\\":\\"…DD10\\"}"}'),
        ("{'idTag': '04AABBCCDD10'}", "{'idTag': '…DD10'}"),
        ('{"idTag":"04AABBCC', '{"idTag":"…BBCC'),
        ('{"idTag":"04AABBCC\\', '{"idTag":"…BBCC\\'),
        ('[3,"04AABBCCDD10",{"status":"Accepted"}]', '[3,"04AABBCCDD10",{"status":"Accepted"}]'),
    ],
)  # fmt: skip
def test_a_frame_is_shown_with_the_endings_of_its_cards(frame: str, shown: str) -> None:
    assert without_cards(frame) == shown


@pytest.mark.parametrize(
    "card", ["04AABBCC", "04aabbccddee10", "04:AA:BB:CC:DD:EE:10", "04AABBCCDDEE1122FF33"]
)
def test_what_looks_like_a_card_is_shortened_in_free_text(card: str) -> None:
    assert card not in without_cards(f"tag {card} was seen", is_free=True)
    assert without_cards("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8, 5 kWh", is_free=True).startswith(
        "id 6ba7b810-9"
    )


def test_shortening_is_linear() -> None:
    assert without_cards('"idTag":"' + "\\" * 400_000) == '"idTag":"…' + "\\" * 4


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_card_has_one_ending_however_it_is_written(spelling: str) -> None:
    assert card_ending(spelling) == "…DD10"
