"""How firmly a slot is kept is said in words, the same everywhere."""

from __future__ import annotations

import pytest

from bookings.models import ENFORCEMENT_WHY, Enforcement
from bookings.models.enforcement_words import GATE, NEXT, WORDS, in_full, sentence, told


def test_every_state_has_words_and_every_step_belongs_to_a_reason():
    assert set(WORDS) == set(Enforcement)
    assert set(NEXT) <= set(ENFORCEMENT_WHY)


@pytest.mark.parametrize("state", Enforcement.values)
@pytest.mark.parametrize("why", ["", *ENFORCEMENT_WHY])
def test_what_is_said_is_whole_sentences(state, why):
    words = in_full(state, why)

    assert sentence(state, why) in words
    assert words.endswith(".")
    assert "  " not in words
    assert (GATE in words) == (state == "soft")


@pytest.mark.parametrize("before", Enforcement.values)
def test_only_a_charger_that_had_taken_a_reservation_was_told_to_let_go(before):
    assert ("let go" in told("not_due", "", before=before)) is (before == "armed")
    assert told("armed", "", before=before) == WORDS[Enforcement.ARMED].told
