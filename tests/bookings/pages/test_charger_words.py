"""Words of a charger's pages that count, or that stand for another tool's."""

from __future__ import annotations

import pytest

from bookings.pages.charger_capability import list_words
from bookings.pages.charger_security import handshake_words, raise_in_words
from depots.models import LocalList, SecurityRaise
from tests.factories import NOW


@pytest.mark.parametrize(
    ("came", "words"), [(0, ""), (1, "; it came once without"), (2, "; it came 2 times without")]
)
def test_a_raise_counts_the_returns_without_it(came: int, words: str):
    raised = SecurityRaise(profile=2, step=SecurityRaise.Step.COMING, came_without=came)

    assert raise_in_words(raised) == f"On its way to 2: it is to come with it{words}"


def test_a_list_of_one_is_of_one_token():
    told = [list_words(LocalList(synced_at=NOW, wanted=[{}] * count)) for count in (1, 2)]

    assert told == ["Its local list holds 1 booked token.", "Its local list holds 2 booked tokens."]


def test_a_failed_handshake_is_told_in_words_and_what_is_new_as_it_is():
    assert handshake_words("http request") == "It spoke without TLS"
    assert handshake_words("digest check failed") == "TLS says: digest check failed"
    assert handshake_words("") == "It went away in the middle"
