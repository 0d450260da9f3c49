"""A record is credited once, whoever comes at the same moment: two managers, or a manager and the charger's own correction."""

from __future__ import annotations

import pytest

from bookings.billing import disputes
from bookings.models import ChargeDetailRecord
from tests.billing_factories import charge, correct, priced_booking, records, standing
from tests.factories import MANAGER, at
from tests.races.processes import all_at_once
from tests.races.removed_guards import attempt

pytestmark = [pytest.mark.races, pytest.mark.django_db(transaction=True)]


def waive(cdr: ChargeDetailRecord) -> str:
    return attempt(lambda: disputes.waive(cdr_id=cdr.pk, reason="Goodwill", actor=MANAGER, now=at(12)))


def test_of_waivers_at_once_one_credits():
    charge(priced_booking())
    (cdr,) = records()

    answers = all_at_once([lambda: waive(cdr)] * 4)

    assert sorted(answers) == ["done", *["record_settled"] * 3]
    assert [cdr.number for cdr in records()] == [1, 2]
    assert standing() == []


def test_a_waiver_and_a_correction_at_once_credit_once():
    session = charge(priced_booking(), wh=None)
    (cdr,) = records()

    answers = all_at_once(
        [lambda: waive(cdr), lambda: attempt(lambda: correct(session, at(10, 40), 120_000, now=at(12)))]
    )

    assert answers[1] == "done"
    assert answers[0] in {"done", "record_settled"}
    assert ChargeDetailRecord.objects.filter(credits=cdr).count() == 1
    # Whoever was first: a waived record stays waived, a corrected one has a record in its place.
    assert len(standing()) == (0 if answers[0] == "done" else 1)
    assert sorted(cdr.number for cdr in records()) == list(range(1, len(records()) + 1))
