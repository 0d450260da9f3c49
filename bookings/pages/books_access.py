"""Whose books a person may look at and keep, and which invoices of others: as bookings.pages.access, the object or 404."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.billing.reconciliation.books import Side
from bookings.models import AcceptedFinding, IncomingInvoice
from bookings.pages.memberships import Person, organisations
from depots.models import Depot, Organisation
from depots.navigation import COST_ROLES, DISPUTING_ROLES, MONEY_ROLES, REVENUE_ROLES


@dataclass(frozen=True)
class BooksViewer:
    """By organisation's id: whose payable and whose receivable side somebody sees, whose books they keep, for whom they
    dispute, and for whom they let customers off."""

    payable: dict[int, Organisation]
    receivable: dict[int, Organisation]
    kept: frozenset[int]
    disputing: frozenset[int]

    @property
    def all(self) -> list[tuple[Organisation, Side]]:
        """In order of their names, what is owed first."""
        found = [(row, Side.PAYABLE) for row in self.payable.values()]
        found += [(row, Side.RECEIVABLE) for row in self.receivable.values()]
        return sorted(found, key=lambda each: (each[0].name, each[1]))

    def incoming(self) -> QuerySet[IncomingInvoice]:
        """Invoices of others to organisations whose side of them this person sees."""
        rows = IncomingInvoice.objects.select_related("sender", "recipient").defer("file")
        payable = rows.filter(recipient__in=self.payable, is_self_billed=False)
        return payable | rows.filter(recipient__in=self.receivable, is_self_billed=True)


def books_viewer(user: Person) -> BooksViewer:
    """404 for who may see no books."""
    revenue = {row.pk: row for row in organisations(user, REVENUE_ROLES)}
    running = set(
        Depot.objects.filter(operator__in=revenue, is_mirror=False).values_list("operator_id", flat=True)
    )
    found = BooksViewer(
        payable={row.pk: row for row in organisations(user, COST_ROLES)},
        receivable={pk: row for pk, row in revenue.items() if pk in running},
        kept=frozenset(row.pk for row in organisations(user, MONEY_ROLES)),
        disputing=frozenset(row.pk for row in organisations(user, DISPUTING_ROLES)),
    )
    if not (found.payable or found.receivable):
        raise Http404
    return found


def books_kept(user: Person, organisation_id: int, side: Side) -> Organisation:
    """An organisation whose books this person keeps on that side."""
    viewer = books_viewer(user)
    seen = viewer.payable if side is Side.PAYABLE else viewer.receivable
    if organisation_id not in seen or organisation_id not in viewer.kept:
        raise Http404
    return seen[organisation_id]


def bookkeeper(user: Person) -> list[Organisation]:
    """The organisations whose incoming invoices somebody enters, in order of their names; 404 for who keeps none."""
    found = [row for row in organisations(user, MONEY_ROLES) if not row.is_partner]
    if not found:
        raise Http404
    return sorted({row.pk: row for row in found}.values(), key=lambda row: row.name)


def incoming_invoice(user: Person, incoming_id: int) -> tuple[IncomingInvoice, bool]:
    """An invoice of others, and whether this person keeps the books it belongs to."""
    viewer = books_viewer(user)
    found = get_object_or_404(viewer.incoming(), pk=incoming_id)
    return found, found.recipient_id in viewer.kept


def kept_incoming_invoice(user: Person, incoming_id: int) -> IncomingInvoice:
    found, is_kept = incoming_invoice(user, incoming_id)
    if not is_kept:
        raise Http404
    return found


def accepted_finding(user: Person, accepted_id: int) -> AcceptedFinding:
    """One that this person may take up again."""
    kept = {row.pk for row in organisations(user, MONEY_ROLES)}
    return get_object_or_404(AcceptedFinding, pk=accepted_id, organisation__in=kept)
