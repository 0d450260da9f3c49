"""A fleet that pays first at one depot: a balance with some movements, a booking it covers, and one that waits for the rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from bookings.actors import Actor
from bookings.models import BookingPayment, PaymentTerms, PrepaidEntry
from bookings.operations.open_depot import open_depot
from bookings.payments.prepaid import Account, Movement, pay_out, top_up
from config.demo_data import present
from config.demo_data.fleets import ALPENTRANS, LADEPARK
from depots.models import Depot, Organisation

# Nothing of the diary is booked there by this fleet.
DEPOT, PLATES = "LP-DUB", ("L-AT 130", "L-AT 110")
MINUTES_TO_PAY = 24 * 60
ACCOUNTANT = Actor.manager("accountant@ladepark.example")


def ensure_prepaid(now: datetime) -> None:
    """Unless it pays first already, or some other terms were agreed meanwhile."""
    fleet, depot = Organisation.objects.get(name=ALPENTRANS.name), Depot.objects.get(code=DEPOT)
    agreement, _ = open_depot(depot=depot, guest=fleet, now=now - timedelta(days=7))
    terms = {"before": PaymentTerms.Before.PREPAYMENT, "payment_min": MINUTES_TO_PAY}
    _, is_new = PaymentTerms.objects.get_or_create(agreement=agreement, defaults=terms)
    account = Account(Organisation.objects.get(name=LADEPARK.name).pk, fleet.pk, "EUR")
    if is_new and not PrepaidEntry.objects.filter(customer=fleet).exists():
        _pay_in(account, now)
    waiting = BookingPayment.objects.filter(
        customer=fleet, status=BookingPayment.Status.ASKED, until__gt=now + timedelta(hours=1)
    )
    if is_new or not waiting.exists():
        for plate, hours in zip(PLATES, (26, 30), strict=True):
            present.ask_first_free(DEPOT, ALPENTRANS, plate, timedelta(hours=hours), now)


def _pay_in(account: Account, now: datetime) -> None:
    """Last week's money, of which some was paid back."""
    top_up(account, Movement(Decimal("450.00"), "ALP-2211"), actor=ACCOUNTANT, now=now - timedelta(days=6))
    pay_out(account, Movement(Decimal("180.00"), "LPK-0417"), actor=ACCOUNTANT, now=now - timedelta(days=2))
