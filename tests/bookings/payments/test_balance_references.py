"""The reference by which a bank statement tells whose balance money is meant for."""

from __future__ import annotations

import pytest
from stdnum import iso11649

from bookings.payments.balance_references import balance_reference, balances_named


def test_it_is_a_creditor_reference_and_always_the_same():
    reference = balance_reference(12, 34)

    assert reference == balance_reference(12, 34)
    assert iso11649.is_valid(reference)
    assert len({balance_reference(a, b) for a, b in [(12, 34), (1, 234), (123, 4), (34, 12)]}) == 4


@pytest.mark.parametrize("words", ["{}", "for {} 2030", "Ref.{}123", "x{}", "{0} again {0}"])
def test_it_is_found_in_whatever_words_and_spaces(words):
    reference = balance_reference(12, 34)

    for written in (reference, reference.replace(" ", ""), reference.lower(), reference.replace(" ", "-")):
        assert balances_named(words.format(written)) == {(12, 34)}


def test_a_digit_that_is_mistyped_or_swapped_names_nobody():
    written = balance_reference(12, 34).replace(" ", "")
    digits = [place for place, sign in enumerate(written) if sign.isdigit()]

    wrong = {written[:place] + other + written[place + 1 :] for place in digits for other in "0123456789"}
    swapped = {written[:5] + written[6] + written[5] + written[7:]}

    assert all(balances_named(text) == set() for text in (wrong | swapped) - {written})
