"""A fleet that pays first at one depot: a balance with some movements, and a booking that waits for what is missing."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from bookings.actors import Actor
from bookings.models import Booking, PaymentTerms, PrepaidEntry
from bookings.operations.open_depot import open_depot
from bookings.payments.prepaid import Account, Movement, pay_out, top_up
from config.demo_data import present
from config.demo_data.fleets import ALPENTRANS, LADEPARK
from depots.models import Depot, Organisation

# Nothing of the diary is booked there by this fleet.
DEPOT, PLATE = "LP-DUB", "L-AT 130"
MINUTES_TO_PAY = 24 * 60
ACCOUNTANT = Actor.manager("accountant@ladepark.example")


def ensure_prepaid(now: datetime) -> None:
    """What somebody agreed otherwise, paid in or booked there stays as it is."""
    fleet, depot = Organisation.objects.get(name=ALPENTRANS.name), Depot.objects.get(code=DEPOT)
    agreement, _ = open_depot(depot=depot, guest=fleet, now=now - timedelta(days=7))
    terms = {"before": PaymentTerms.Before.PREPAYMENT, "payment_min": MINUTES_TO_PAY}
    agreed, is_new = PaymentTerms.objects.get_or_create(agreement=agreement, defaults=terms)
    account = Account(Organisation.objects.get(name=LADEPARK.name).pk, fleet.pk, "EUR")
    if is_new and not PrepaidEntry.objects.filter(customer=fleet).exists():
        _pay_in(account, now)
    booked = Booking.objects.live().filter(fleet=fleet, depot=depot, starts_at__gt=now)
    if agreed.before == PaymentTerms.Before.PREPAYMENT and not booked.exists():
        present.ask_first_free(DEPOT, ALPENTRANS, PLATE, timedelta(hours=30), now)


def _pay_in(account: Account, now: datetime) -> None:
    """Last week's money, of which some was paid back."""
    top_up(account, Movement(Decimal("250.00"), "ALP-2211"), actor=ACCOUNTANT, now=now - timedelta(days=6))
    pay_out(account, Movement(Decimal("180.00"), "LPK-0417"), actor=ACCOUNTANT, now=now - timedelta(days=2))
