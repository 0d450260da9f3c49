"""Sessions that partners were told of before a reservation could begin one (migration roaming 0021)."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from roaming.models import Delivery, GuestSession
from tests.factories import at
from tests.roaming.guests import begin, booked, end
from tests.roaming.partners import make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
FAR = 10**9
# The table as it was: known by its session. What is new goes with its columns.
AS_BEFORE = """
ALTER TABLE roaming_guestsession DROP CONSTRAINT roaming_guestsession_pkey;
ALTER TABLE roaming_guestsession DROP COLUMN id, DROP COLUMN code, DROP COLUMN reservation_id;
ALTER TABLE roaming_guestsession
    DROP CONSTRAINT roaming_guestsession_session_id_key, ADD CONSTRAINT roaming_guestsession_pkey PRIMARY KEY (session_id);
"""


def test_they_keep_their_names_and_what_was_delivered_of_them() -> None:
    partner = make_partner("FLT")
    charging = [begin(booked(partner)) for _ in range(3)]
    end(charging[0])
    told = set(GuestSession.objects.values_list("session_id", "partner_id", "version", "changed_at"))
    deliveries = Delivery.objects.filter(kind=Delivery.Kind.SESSION)
    named = {guest.pk: guest.session_id for guest in GuestSession.objects.all()}
    deliveries.update(object_id=F("object_id") + FAR)  # out of each other's way
    for guest_id, session_id in named.items():
        deliveries.filter(object_id=guest_id + FAR).update(object_id=session_id)

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(AS_BEFORE)
        cursor.execute(import_module("roaming.migrations.0021_sessions_that_a_reservation_begins")._OWN_KEY)

    rows = GuestSession.objects.all()
    assert set(rows.values_list("session_id", "partner_id", "version", "changed_at")) == told
    assert all((row.pk, row.code) == (row.session_id, str(row.session_id)) for row in rows)
    assert set(deliveries.values_list("object_id", flat=True)) == {row.pk for row in rows}

    later = begin(booked(partner), at(10, 5)).guest
    assert later.pk > max(row.pk for row in rows if row != later)
    assert later.code == str(later.session_id)
    for same in ("session_id", "code"):
        with pytest.raises(IntegrityError), transaction.atomic():
            GuestSession.objects.filter(pk=later.pk).update(
                **{same: getattr(rows.exclude(pk=later.pk)[0], same)}
            )
