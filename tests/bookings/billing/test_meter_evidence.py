"""Meter values stay whole while their record is not issued, not billed, or disputed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings.billing.cdrs import settle_session
from bookings.billing.disputes import answer_dispute, raise_dispute
from bookings.billing.meter_evidence import needed_readings
from bookings.models import InvoicedCdr
from depots import operations as depots
from depots.models import ChargingSession
from tests.billing_factories import charge, priced, priced_booking, records, standing
from tests.factories import DISPATCHER, MANAGER, at
from tests.money_factories import make_invoice

pytestmark = pytest.mark.django_db


def is_needed(session: ChargingSession) -> bool:
    return needed_readings([session.pk]) == {session.pk}


def bill(session: ChargingSession) -> None:
    (cdr,) = records(session=session)
    InvoicedCdr.objects.create(cdr=cdr, invoice=make_invoice(cdr.operator, cdr.customer))


def test_readings_of_a_record_are_needed_until_it_is_billed_and_while_it_is_disputed() -> None:
    session = charge(priced_booking())
    assert is_needed(session)

    bill(session)
    assert not is_needed(session)

    dispute = raise_dispute(cdr_id=records()[0].pk, reason="Too much", actor=DISPATCHER, now=at(12))
    assert is_needed(session)

    answer_dispute(dispute_id=dispute.pk, accepts=False, answer="No", actor=MANAGER, now=at(13))
    assert not is_needed(session)


def test_readings_are_needed_where_a_record_is_still_to_be_issued() -> None:
    booking = priced(priced_booking(), charging=None, booked=None)
    session = charge(booking)
    assert not records()
    assert not is_needed(session)

    priced(booking)
    assert is_needed(session)


def test_thinned_readings_alone_issue_no_record_anew_but_another_end_does() -> None:
    session = charge(priced_booking(), wh=100_000)
    session.readings.create(at=at(10, 20), energy_wh=80_000)
    bill(session)
    now = at(11) + timedelta(days=101)
    depots.thin_old_readings(now=now)
    session.events.create(seq_no=9, kind="updated", at=at(10, 20), charging_state="no_demand")
    session.refresh_from_db()

    settle_session(session, now=now)
    assert len(records()) == 1

    session.meter_stop_wh = 91_000
    settle_session(session, now=now)
    assert [cdr.energy_wh for cdr in standing()] == [90_000]
