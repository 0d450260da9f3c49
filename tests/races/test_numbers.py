"""Numbers of records and invoices have no gap, whoever takes them, gives them back, or dies with one in hand."""

from __future__ import annotations

import os
import signal

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError

from bookings.billing.numbers import next_number
from bookings.models import NumberSequence
from tests.factories import make_operator
from tests.races.processes import all_at_once, at_once

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]


class GivenBack(Exception):
    pass


def take(operator_id, times, *, gives_back=False):
    """Numbers taken one a transaction; those of every third are given back where told so."""
    kept = []
    for count in range(times):
        try:
            with transaction.atomic():
                number = next_number(operator_id, "cdr")
                if gives_back and count % 3 == 0:
                    raise GivenBack
        except GivenBack:
            continue
        kept.append(number)
    return kept


def die_with_a_number(operator_id):
    with transaction.atomic():
        next_number(operator_id, "cdr")
        os.kill(os.getpid(), signal.SIGKILL)


def test_numbers_taken_by_several_processes_have_no_gap_and_no_double():
    operator = make_operator()

    answers = at_once(lambda n: take(operator.pk, 30, gives_back=n % 2 == 0), 4)
    taken = [number for answer in answers for number in answer]

    assert sorted(taken) == list(range(1, len(taken) + 1))
    assert len(taken) == 2 * 30 + 2 * 20
    assert NumberSequence.objects.get(organisation=operator).last == len(taken)


def test_a_number_that_a_killed_process_held_is_the_next_ones():
    operator = make_operator()

    died, taken = all_at_once([lambda: die_with_a_number(operator.pk), lambda: take(operator.pk, 20)])

    assert died.startswith("ERROR")
    assert taken == list(range(1, 21))
    assert take(operator.pk, 1) == [21]


def test_series_and_organisations_count_by_themselves():
    one, other = make_operator(), make_operator()

    with transaction.atomic():
        numbers = [
            next_number(*of)
            for of in ((one.pk, "cdr"), (one.pk, "invoice 2026"), (other.pk, "cdr"), (one.pk, "cdr"))
        ]

    assert numbers == [1, 1, 1, 2]


def test_a_number_outside_of_a_transaction_is_refused():
    assert not connection.in_atomic_block

    with pytest.raises(TransactionManagementError):
        next_number(make_operator().pk, "cdr")
