"""A customer books at several depots of one operator at once, up to its credit limit and not beyond."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from bookings.errors import BookingError
from bookings.models import PaymentTerms
from bookings.rules import credit
from bookings.rules.credit import exposure
from depots.models import Agreement
from tests.bookings.billing.billed import make_buyer, make_seller, make_site
from tests.factories import book_slot, make_evse, make_vehicle, option_of, slot
from tests.money_factories import flat, make_bound
from tests.races.processes import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]


def answers_of_eight() -> tuple[Counter[str], Decimal]:
    """Eight processes, each at a depot of its own, ten euros a booking, forty to owe."""
    operator, customer = make_seller(), make_buyer()
    options, vehicles = [], [make_vehicle(customer) for _ in range(8)]
    for _ in range(8):
        evse = make_evse(make_site(operator))
        make_bound(flat("10.00"), depot=evse.depot)
        PaymentTerms.objects.create(
            agreement=Agreement.objects.get(depot=evse.depot), credit_limit=Decimal(40)
        )
        options.append(option_of(evse))

    def book(number: int) -> str:
        try:
            return book_slot(
                fleet=customer, option=options[number], vehicle=vehicles[number], period=slot(10, 11)
            ).status
        except BookingError as refusal:
            return refusal.code

    return Counter(at_once(book, 8)), exposure(operator.pk, customer.pk, "EUR")


def test_of_bookings_at_once_those_beyond_the_limit_are_refused():
    assert answers_of_eight() == ({"confirmed": 4, "credit_limit": 4}, Decimal("40.00"))


def test_without_the_accounts_lock_they_would_go_beyond(monkeypatch):
    from tests.races.processes import rendezvous

    all_there, real = rendezvous(8), credit.exposure

    def at_the_same_moment(*args, **options):
        owed = real(*args, **options)
        all_there.wait(60)
        return owed

    monkeypatch.setattr(credit, "lock_account", lambda *_: None)
    monkeypatch.setattr(credit, "exposure", at_the_same_moment)

    assert answers_of_eight()[0] == {"confirmed": 8}
