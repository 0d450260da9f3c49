"""Tariffs, costs, revenue, records and invoices a person may see or change: as bookings.pages.access, the object or 404."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.billing.cdr_lookup import with_all
from bookings.models import Booking, ChargeDetailRecord, Dispute, Invoice, PrepaidBalance, Tariff
from bookings.pages import access
from bookings.pages.memberships import Person, organisation_ids, organisations
from bookings.payments.prepaid import Account
from depots.models import Agreement, Depot, Organisation
from depots.navigation import (
    COST_ROLES,
    DISPUTING_ROLES,
    MONEY_ROLES,
    PRICING_ROLES,
    REVENUE_ROLES,
    TARIFF_ROLES,
)

_CURRENCY = re.compile(r"[A-Z]{3}")


def operators_priced(user: Person) -> list[Organisation]:
    """Depot operators whose tariffs this person sets, in order of their names."""
    rows = {row.pk: row for row in organisations(user, PRICING_ROLES)}
    running = set(
        Depot.objects.filter(operator__in=rows, is_mirror=False).values_list("operator_id", flat=True)
    )
    return sorted((row for pk, row in rows.items() if pk in running), key=lambda row: row.name)


def tariffs_seen(user: Person) -> QuerySet[Tariff]:
    """Tariffs of the operators this person works for."""
    rows = Tariff.objects.filter(operator__in=organisation_ids(user, TARIFF_ROLES))
    return rows.select_related("operator").order_by("is_withdrawn", "operator__name", "-kind", "code")


def tariff_reader(user: Person) -> None:
    """404 for who works for no operator."""
    if not organisation_ids(user, TARIFF_ROLES):
        raise Http404


def tariff(user: Person, tariff_id: int) -> Tariff:
    return get_object_or_404(tariffs_seen(user), pk=tariff_id)


def own_tariff(user: Person, tariff_id: int) -> Tariff:
    """A tariff this person may follow by a new version."""
    return get_object_or_404(
        tariffs_seen(user), pk=tariff_id, operator__in=organisation_ids(user, PRICING_ROLES)
    )


def accounts_kept(user: Person) -> set[int]:
    """Organisations whose invoices and payments this person settles."""
    return organisation_ids(user, MONEY_ROLES)


def accountant(user: Person) -> set[int]:
    """The organisations whose accounts somebody keeps; 404 for who keeps none."""
    found = accounts_kept(user)
    if not found:
        raise Http404
    return found


def account(user: Person, organisation_id: int) -> Organisation:
    """An organisation whose accounts this person keeps."""
    return get_object_or_404(Organisation, pk=organisation_id, pk__in=accounts_kept(user))


def costs_seen(user: Person) -> set[int]:
    """Fleets whose costs this person may see; 404 for who may see none."""
    return _some(organisation_ids(user, COST_ROLES))


def revenue_seen(user: Person) -> set[int]:
    """Operators whose revenue this person may see; 404 for who may see none."""
    return _some(organisation_ids(user, REVENUE_ROLES))


def sees_revenue(user: Person) -> bool:
    return bool(organisation_ids(user, REVENUE_ROLES))


@dataclass(frozen=True)
class RecordViewer:
    """Somebody before a record: of which sides, and what of it they may do. A colleague's own depot may be both."""

    cdr: ChargeDetailRecord
    is_customer: bool
    is_operator: bool
    may_dispute: bool
    may_settle: bool
    sees_booking: bool
    organisation_ids: frozenset[int]


def sees_records(user: Person, found: Booking) -> bool:
    """Of a booking this person may see, whether its records too."""
    is_earned = found.depot.operator_id in organisation_ids(user, REVENUE_ROLES)
    return is_earned or found.fleet_id in organisation_ids(user, COST_ROLES)


def record(user: Person, cdr_id: int) -> RecordViewer:
    """A record of what one's fleet was charged, or of what one's depots earned, with all its page names."""
    costs, revenue = organisation_ids(user, COST_ROLES), organisation_ids(user, REVENUE_ROLES)
    rows = with_all().prefetch_related("disputes", "booking__events")
    mine = Q(customer__in=costs) | Q(operator__in=revenue, depot__is_mirror=False)
    found = get_object_or_404(rows.filter(mine), pk=cdr_id)
    return RecordViewer(
        cdr=found,
        is_customer=found.customer_id in costs,
        is_operator=found.operator_id in revenue,
        may_dispute=found.customer_id in organisation_ids(user, DISPUTING_ROLES),
        may_settle=found.operator_id in revenue,
        sees_booking=found.customer_id in access.fleets_seen(user)
        or found.operator_id in access.operators_seen(user),
        organisation_ids=frozenset(costs | revenue),
    )


def disputable_record(user: Person, cdr_id: int) -> RecordViewer:
    """A record this person may dispute for its customer."""
    found = record(user, cdr_id)
    if not found.may_dispute:
        raise Http404
    return found


def settled_record(user: Person, cdr_id: int) -> RecordViewer:
    """A record this person may waive, and whose disputes they may answer, for the depot."""
    found = record(user, cdr_id)
    if not found.may_settle:
        raise Http404
    return found


def dispute(user: Person, dispute_id: int) -> tuple[RecordViewer, Dispute]:
    """A dispute this person may answer, with its record."""
    found = get_object_or_404(Dispute, pk=dispute_id)
    return settled_record(user, found.cdr_id), found


def account_agreement(user: Person, agreement_id: int) -> Agreement:
    """An agreement of an operator whose accounts this person keeps."""
    rows = Agreement.objects.select_related("depot__operator", "guest").filter(depot__is_mirror=False)
    return get_object_or_404(rows, pk=agreement_id, depot__operator__in=accounts_kept(user))


@dataclass(frozen=True)
class InvoiceViewer:
    """Whose invoices somebody sees, by id: of operators what they earn, of customers what they owe."""

    suppliers: frozenset[int]
    customers: frozenset[int]

    def rows(self) -> QuerySet[Invoice]:
        mine = Q(supplier__in=self.suppliers) | Q(customer__in=self.customers)
        return Invoice.objects.filter(mine).select_related("supplier", "customer")


def invoice_viewer(user: Person) -> InvoiceViewer:
    """404 for who may see no invoice."""
    found = InvoiceViewer(
        frozenset(organisation_ids(user, REVENUE_ROLES)), frozenset(organisation_ids(user, COST_ROLES))
    )
    if not (found.suppliers or found.customers):
        raise Http404
    return found


def invoice(user: Person, invoice_id: int) -> Invoice:
    return get_object_or_404(invoice_viewer(user).rows(), pk=invoice_id)


def settled_invoice(user: Person, invoice_id: int) -> Invoice:
    """An invoice of an operator whose accounts this person keeps: its payments, reminders and credits."""
    return get_object_or_404(invoice_viewer(user).rows(), pk=invoice_id, supplier__in=accounts_kept(user))


@dataclass(frozen=True)
class BalanceViewer:
    """Whose prepaid balances somebody sees, by id: of operators whose accounts they keep, what customers have paid in; of
    fleets whose costs they see, their own."""

    operators: frozenset[int]
    customers: frozenset[int]

    def sees(self, operator_id: int, customer_id: int) -> bool:
        return operator_id in self.operators or customer_id in self.customers


def balance_viewer(user: Person) -> BalanceViewer:
    """404 for who may see no balance."""
    found = BalanceViewer(frozenset(accounts_kept(user)), frozenset(organisation_ids(user, COST_ROLES)))
    if not (found.operators or found.customers):
        raise Http404
    return found


def sees_balance(user: Person, found: Booking) -> bool:
    """Of a booking this person may see, whether the balance it is paid from too."""
    return found.fleet_id in organisation_ids(user, COST_ROLES) or found.depot.operator_id in accounts_kept(
        user
    )


def balance(user: Person, account: Account) -> BalanceViewer:
    """Who sees this balance, of an operator of depots and a customer of its; 404 for others, and where the two have never dealt
    with each other: an address tells nobody's name."""
    viewer = balance_viewer(user)
    is_one = account.operator_id != account.customer_id and _CURRENCY.fullmatch(account.currency)
    if not (is_one and viewer.sees(account.operator_id, account.customer_id)):
        raise Http404
    dealt = customers_of([account.operator_id]).filter(pk=account.customer_id)
    open_to_all = Agreement.objects.filter(
        depot__operator=account.operator_id, depot__is_mirror=False, guest=None
    )
    if not (dealt.exists() or (account.customer_id in viewer.customers and open_to_all.exists())):
        raise Http404
    return viewer


def customers_of(operator_ids: Collection[int]) -> QuerySet[Organisation]:
    """Who has an agreement with these operators, has booked at depots they run, or has paid something in."""
    running = Depot.objects.filter(operator__in=operator_ids, is_mirror=False)
    guests = Agreement.objects.filter(depot__in=running, guest__isnull=False).values("guest")
    booked = Booking.objects.filter(depot__in=running).values("fleet")
    paid = PrepaidBalance.objects.filter(operator__in=operator_ids).values("customer")
    rows = Organisation.objects.filter(Q(pk__in=guests) | Q(pk__in=booked) | Q(pk__in=paid))
    return rows.exclude(pk__in=operator_ids)


def kept_balance(user: Person, account: Account) -> BalanceViewer:
    """One whose movements this person records, for its operator."""
    viewer = balance(user, account)
    if account.operator_id not in viewer.operators:
        raise Http404
    return viewer


def _some(found: set[int]) -> set[int]:
    if not found:
        raise Http404
    return found
