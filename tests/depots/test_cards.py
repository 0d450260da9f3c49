"""Numbers of cards, compared as readers and people write them."""

import pytest

from bookings.models import Token
from depots.cards import card_number
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
