from __future__ import annotations

import re

import pytest
from django.db import connection, transaction

from bookings.core.constraints import violation_raises
from bookings.errors import SlotTaken
from bookings.models import Occupancy
from tests.factories import make_evse, slot


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("when", ["IMMEDIATE", "DEFERRED"])
def test_a_violation_has_its_error_at_once_and_at_commit(when):
    place = {"evse": make_evse(), "span": slot(10, 11), "kind": Occupancy.Kind.BOOKING}
    Occupancy.objects.create(holder=1, **place)

    with pytest.raises(SlotTaken):
        _take(place, when)


@pytest.mark.django_db
@pytest.mark.parametrize("which", [{"evse": 1}, {"evse_id": 1}, {"evse__in": [1]}])
def test_what_takes_an_evse_in_a_span_is_found_by_the_constraints_index(which):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # the table is empty

    plan = Occupancy.objects.filter(**which, span__overlap=slot(10, 11)).explain()

    assert re.search(r"occupancy_evse_once.*\n? *Index Cond: \(\(evse_id = .*\) AND \(span &&", plan), plan


def _take(place, when):
    with violation_raises({"occupancy_evse_once": SlotTaken()}), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET CONSTRAINTS occupancy_evse_once {when}")
        Occupancy.objects.create(holder=2, **place)
        assert when == "DEFERRED"  # else the insert has raised
