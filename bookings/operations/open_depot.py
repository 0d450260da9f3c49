from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from bookings.actors import COMMAND, Actor
from bookings.core import calendars
from bookings.core.locking import lock_depot
from bookings.errors import AmountInvalid, TariffRefused
from bookings.models import AgreementEvent, PaymentTerms, TariffVersion
from bookings.pricing.tariff_checks import TariffFault
from bookings.rules import configuration
from bookings.rules.tariff_clashes import currency_clash
from depots.models import Agreement, Depot, Organisation

MOST_CREDIT = Decimal(10**11)


@dataclass(frozen=True)
class CreditLimit:
    """Up to which debt who comes under an agreement may book, in the currency of the depot's tariffs, and what becomes of a
    booking beyond. Raises AmountInvalid."""

    amount: Decimal
    beyond: PaymentTerms.Beyond = PaymentTerms.Beyond.REFUSE

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or not 0 <= self.amount < MOST_CREDIT or self.amount * 100 % 1:
            raise AmountInvalid(f"{self.amount} is no credit limit: whole cents from 0 on.")


def open_depot(
    *,
    depot: Depot,
    guest: Organisation | None,
    credit: CreditLimit | None = None,
    ends_at: datetime | None = None,
    actor: Actor = COMMAND,
    now: datetime,
) -> tuple[Agreement, bool]:
    """The agreement in force and whether it is new. A guest of None opens to every fleet and registered partner.

    One that had ended is taken up again from now on, with its terms and tariff; a new one lasts until `ends_at`. Without `credit`
    the limit stays what it was.
    Raises TariffRefused where its customers would pay for charging in one currency and for booking in another.
    """
    with transaction.atomic():
        lock_depot(depot.pk)
        agreement, is_new = Agreement.objects.get_or_create(
            depot=depot, guest=guest, defaults={"starts_at": now, "ends_at": ends_at}
        )
        if not is_new and agreement.ends_at is not None and agreement.ends_at <= now:
            agreement.starts_at, agreement.ends_at, is_new = now, ends_at, True
            agreement.save(update_fields=["starts_at", "ends_at"])
        if credit is not None:
            told = {"credit_limit": credit.amount, "beyond": credit.beyond, "currency": _currency(depot)}
            PaymentTerms.objects.update_or_create(agreement=agreement, defaults=told)
        if is_new:
            AgreementEvent.objects.create(
                agreement=agreement, kind=AgreementEvent.Kind.OPENED, at=now, **actor.columns("by")
            )
            _check_currencies(depot, now)
            calendars.mark_depot_changed(depot.pk, at=now)
    return agreement, is_new


def _check_currencies(depot: Depot, now: datetime) -> None:
    if clash := currency_clash(configuration.load(depot.pk), now=now):
        one, other = clash
        currencies = f"{one.code} is in {one.content.currency}, {other.code} in {other.content.currency}"
        text = f"{currencies}, and both would hold for one booking"
        raise TariffRefused([(-1, TariffFault("currency", text))])


def _currency(depot: Depot) -> str:
    """That of the tariffs bound to the depot, where they have one."""
    versions = TariffVersion.objects.filter(tariff__bindings__depot=depot).order_by("currency")
    found = set(versions.values_list("currency", flat=True))
    return found.pop() if len(found) == 1 else "EUR"
