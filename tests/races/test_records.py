"""A record is credited once, whoever comes at the same moment: two managers, or a manager and the charger's own correction."""

from __future__ import annotations

from contextlib import suppress
from threading import BrokenBarrierError
from typing import Any

import pytest

from bookings import operations
from bookings.billing import cdrs, disputes
from bookings.billing.corrections import credit_invoice
from bookings.models import ChargeDetailRecord, Invoice, NumberSequence
from depots.operations import sessions
from depots.operations.locking import lock_evses_of
from depots.periods import Period
from tests.billing_factories import charge, correct, priced, priced_booking, records, standing
from tests.bookings.billing.billed import ISSUED, bill_november, make_buyer, make_site, record
from tests.bookings.enforcement.online_chargers import TERMS, armed, book, evse_online, start
from tests.factories import DISPATCHER, MANAGER, at, make_depot, make_option
from tests.races.processes import all_at_once, rendezvous
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


def test_an_invoice_is_taken_back_while_a_record_of_it_is_waived(monkeypatch):
    """Whoever comes second waits for the record, and never for a number that the other waits behind."""
    cdrs_of_month = [record(depot, buyer) for depot, buyer in [(make_site(), make_buyer())] for _ in range(2)]
    operator = cdrs_of_month[0].operator
    NumberSequence.objects.create(organisation=operator, series=cdrs.SERIES, last=1_000_000)
    bill_november(operator)
    both, credit, lock = rendezvous(2), cdrs.credit, disputes.lock

    def take_back() -> str:
        def credited(*args, **options):
            done = credit(*args, **options)
            with suppress(BrokenBarrierError):
                both.wait(1)
            return done

        monkeypatch.setattr(cdrs, "credit", credited)
        invoice_id = Invoice.objects.get().pk
        return attempt(
            lambda: credit_invoice(invoice_id=invoice_id, reason="Wrong", actor=MANAGER, now=ISSUED)
        )

    def let_off() -> str:
        def locked(cdr):
            found = lock(cdr)
            with suppress(BrokenBarrierError):
                both.wait(1)
            return found

        monkeypatch.setattr(disputes, "lock", locked)
        return waive(cdrs_of_month[1])

    assert all_at_once([take_back, let_off])[0] == "done"
    assert standing() == []
    assert [cdr.number for cdr in records(credits__isnull=False)] == [1_000_001, 1_000_002]


def start_beside_a_cancellation(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A truck plugs in where another one's end was never told, with the card of a booking at the depot's other charger, while
    its dispatcher gives that booking up too late to be free. Both take a number of the same series."""
    depot = make_depot(terms={**TERMS, "cancel_until_min": 60, "late_cancel": True})
    one, other = evse_online(depot), evse_online(depot)
    pool = make_option(one, other)
    begun = priced(armed(book(one, option=pool)))
    here = one if begun.evse == one else other
    start(here, begun.tokens.get().uid, at(10))
    coming = priced(book(one, Period(at(10, 45), at(11, 45)), option=pool))
    assert coming.evse != here
    card, both, real = coming.tokens.get().uid, rendezvous(2), cdrs.next_number

    def plug_in() -> str:
        def number(*args: Any) -> int:
            taken = real(*args)
            with suppress(BrokenBarrierError):
                both.wait(2)
            return taken

        monkeypatch.setattr(cdrs, "next_number", number)
        return attempt(lambda: start(here, card, at(10, 40)))

    def give_up() -> str:
        def number(*args: Any) -> int:
            with suppress(BrokenBarrierError):
                both.wait(2)
            return real(*args)

        monkeypatch.setattr(cdrs, "next_number", number)
        return attempt(
            lambda: operations.cancel_booking(
                booking_id=coming.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=at(10, 40)
            )
        )

    return all_at_once([plug_in, give_up])


def test_a_start_that_ends_an_abandoned_session_never_deadlocks_with_a_late_cancellation(monkeypatch):
    answers = start_beside_a_cancellation(monkeypatch)

    assert answers[0] == "done"
    assert answers[1] in {"done", "wrong_status"}
    assert records()
    assert sorted(cdr.number for cdr in records()) == list(range(1, len(records()) + 1))


def test_without_the_locks_of_the_whole_depot_they_deadlock(monkeypatch):
    """The abandoned session's number is taken before the new session's booking is locked: its EVSE has to be locked by then."""
    monkeypatch.setattr(sessions, "lock_evses_beside", lock_evses_of)

    assert "OperationalError" in start_beside_a_cancellation(monkeypatch)
