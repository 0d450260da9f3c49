"""May this user see or change that? One function a question; each gives the object, or 404 for what is not theirs.

A role says what somebody may do, the organisation says with whose things: depots.navigation names the roles.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum
from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.actors import Actor
from bookings.billing.finding import with_all
from bookings.models import (
    Booking,
    BookingEvent,
    BookingRequest,
    ChargeDetailRecord,
    Closure,
    Dispute,
    Invoice,
    Tariff,
    Token,
    Vehicle,
)
from bookings.rules.agreements import guests_admit
from depots.models import Agreement, Charger, Depot, Membership, Organisation, User
from depots.navigation import (
    BOOKING_ROLES,
    COST_ROLES,
    DECIDING_ROLES,
    DEPOT_ROLES,
    DISPUTING_ROLES,
    FLEET_ROLES,
    MONEY_ROLES,
    PRICING_ROLES,
    REVENUE_ROLES,
    TARIFF_ROLES,
    memberships_of,
)

Person = User | AnonymousUser


def fleets_seen(user: Person) -> set[int]:
    """Organisations whose bookings, vehicles and tokens this person may see."""
    return _organisations(user, FLEET_ROLES)


def fleets_booked_for(user: Person) -> set[int]:
    """Organisations this person may book for, and whose vehicles and tokens they may change."""
    return _organisations(user, BOOKING_ROLES)


def operators_seen(user: Person) -> set[int]:
    """Depot operators whose boards this person may see."""
    return _organisations(user, DEPOT_ROLES)


def operators_decided_for(user: Person) -> set[int]:
    """Depot operators whose depots this person runs."""
    return _organisations(user, DECIDING_ROLES)


def operators_priced(user: Person) -> list[Organisation]:
    """Depot operators whose tariffs this person sets, in order of their names."""
    rows = {row.pk: row for row in _rows(user, PRICING_ROLES)}
    running = set(
        Depot.objects.filter(operator__in=rows, is_mirror=False).values_list("operator_id", flat=True)
    )
    return sorted((row for pk, row in rows.items() if pk in running), key=lambda row: row.name)


def tariffs_seen(user: Person) -> QuerySet[Tariff]:
    """Tariffs of the operators this person works for."""
    rows = Tariff.objects.filter(operator__in=_organisations(user, TARIFF_ROLES))
    return rows.select_related("operator").order_by("is_withdrawn", "operator__name", "-kind", "code")


def tariff_reader(user: Person) -> None:
    """404 for who works for no operator."""
    if not _organisations(user, TARIFF_ROLES):
        raise Http404


def tariff(user: Person, tariff_id: int) -> Tariff:
    return get_object_or_404(tariffs_seen(user), pk=tariff_id)


def own_tariff(user: Person, tariff_id: int) -> Tariff:
    """A tariff this person may follow by a new version."""
    return get_object_or_404(
        tariffs_seen(user), pk=tariff_id, operator__in=_organisations(user, PRICING_ROLES)
    )


def accounts_kept(user: Person) -> set[int]:
    """Organisations whose invoices and payments this person settles."""
    return _organisations(user, MONEY_ROLES)


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
    return _some(_organisations(user, COST_ROLES))


def revenue_seen(user: Person) -> set[int]:
    """Operators whose revenue this person may see; 404 for who may see none."""
    return _some(_organisations(user, REVENUE_ROLES))


@dataclass(frozen=True)
class RecordViewer:
    """Somebody before a record: of which sides, and what of it they may do. A colleague's own depot may be both."""

    cdr: ChargeDetailRecord
    is_customer: bool
    is_operator: bool
    may_dispute: bool
    may_settle: bool
    organisation_ids: frozenset[int]


def sees_records(user: Person, found: Booking) -> bool:
    """Of a booking this person may see, whether its records too."""
    is_earned = found.depot.operator_id in _organisations(user, REVENUE_ROLES)
    return is_earned or found.fleet_id in _organisations(user, COST_ROLES)


def record(user: Person, cdr_id: int) -> RecordViewer:
    """A record of what one's fleet was charged, or of what one's depots earned, with all its page names."""
    costs, revenue = _organisations(user, COST_ROLES), _organisations(user, REVENUE_ROLES)
    rows = with_all().prefetch_related("disputes", "booking__events")
    mine = Q(customer__in=costs) | Q(operator__in=revenue, depot__is_mirror=False)
    found = get_object_or_404(rows.filter(mine), pk=cdr_id)
    return RecordViewer(
        cdr=found,
        is_customer=found.customer_id in costs,
        is_operator=found.operator_id in revenue,
        may_dispute=found.customer_id in _organisations(user, DISPUTING_ROLES),
        may_settle=found.operator_id in revenue,
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
        frozenset(_organisations(user, REVENUE_ROLES)), frozenset(_organisations(user, COST_ROLES))
    )
    if not (found.suppliers or found.customers):
        raise Http404
    return found


def invoice(user: Person, invoice_id: int) -> Invoice:
    return get_object_or_404(invoice_viewer(user).rows(), pk=invoice_id)


def settled_invoice(user: Person, invoice_id: int) -> Invoice:
    """An invoice of an operator whose accounts this person keeps: its payments, reminders and credits."""
    return get_object_or_404(invoice_viewer(user).rows(), pk=invoice_id, supplier__in=accounts_kept(user))


def organisations_booked_for(user: Person) -> list[Organisation]:
    """The same as `fleets_booked_for`, as rows in order of their names."""
    return sorted(_rows(user, BOOKING_ROLES), key=lambda organisation: organisation.name)


def bookings_of(user: Person) -> QuerySet[Booking]:
    """The bookings of this person's fleets, with all that a row of a list shows."""
    return booking_rows().filter(fleet__in=fleets_seen(user))


def booking_rows() -> QuerySet[Booking]:
    waived = BookingEvent.objects.filter(booking=OuterRef("pk"), kind="waived")
    rows = Booking.objects.select_related("depot__operator", "evse", "vehicle", "fleet", "session")
    records = ChargeDetailRecord.objects.filter(booking=OuterRef("pk"), credits=None).order_by()
    standing = records.filter(credited_by=None)
    total = standing.values("booking").annotate(total=Sum(F("before_taxes") + F("taxes"))).values("total")
    return rows.annotate(
        is_waived=Exists(waived),
        billed_total=Subquery(total),
        billed_currency=Subquery(records.values("currency")[:1]),
    )


def booking(user: Person, booking_id: int) -> Booking:
    """A booking of one's fleet, or at a depot one looks after; with everything its page shows."""
    mine = Q(fleet__in=fleets_seen(user))
    here = Q(depot__operator__in=operators_seen(user), depot__is_mirror=False)
    rows = booking_rows().select_related("option", "evse__charger").prefetch_related(
        "tokens",
        "depot__opening_hours",
        Prefetch("events", BookingEvent.objects.order_by("id")),
        Prefetch("requests", BookingRequest.objects.order_by("id")),
    )  # fmt: skip
    return get_object_or_404(rows.filter(mine | here), pk=booking_id)


def fleet_booking(user: Person, booking_id: int) -> Booking:
    """A booking this person may change, cancel or confirm for its fleet."""
    found = booking(user, booking_id)
    if found.fleet_id not in fleets_booked_for(user):
        raise Http404
    return found


def depot_booking(user: Person, booking_id: int) -> Booking:
    """A booking this person may decide on, move or cancel for the depot."""
    found = booking(user, booking_id)
    if found.depot.is_mirror or found.depot.operator_id not in operators_decided_for(user):
        raise Http404
    return found


@dataclass(frozen=True)
class BoardViewer:
    """Somebody before a depot's board: who looks after it sees all, a guest its own bookings and what is taken."""

    depot: Depot
    sees_all: bool
    can_manage: bool
    fleet_ids: frozenset[int]


def board(user: Person, code: str, *, now: datetime) -> BoardViewer:
    """The board of one of our depots, for its operator and for fleets that may book there."""
    depots = Depot.objects.select_related("operator").prefetch_related("opening_hours")
    depot = get_object_or_404(depots, code__iexact=code, is_mirror=False)
    fleets = fleets_seen(user)
    sees_all = depot.operator_id in operators_seen(user)
    if not sees_all and depot.operator_id not in fleets and not guests_admit(depot, fleets, now=now):
        raise Http404
    return BoardViewer(depot, sees_all, depot.operator_id in operators_decided_for(user), frozenset(fleets))


def yard(user: Person, code: str) -> Depot:
    """A depot of ours that this person looks after."""
    return get_object_or_404(depots_seen(user), code__iexact=code)


def run_depot(user: Person, code: str) -> Depot:
    """A depot this person runs: may close, move and decide there."""
    return get_object_or_404(depots_seen(user), code__iexact=code, operator__in=operators_decided_for(user))


def depots_seen(user: Person) -> QuerySet[Depot]:
    """Depots of ours this person looks after; mirrors of partners' depots are nobody's here."""
    rows = Depot.objects.filter(operator__in=operators_seen(user), is_mirror=False)
    return rows.select_related("operator").prefetch_related("opening_hours").order_by("name", "pk")


def charger(user: Person, identity: str) -> Charger:
    """A charger of a depot this person looks after."""
    rows = Charger.objects.select_related("depot__operator").filter(depot__in=depots_seen(user))
    return get_object_or_404(rows, identity__iexact=identity)


def closure(user: Person, code: str, closure_id: int) -> Closure:
    """A closure at a depot this person runs."""
    rows = Closure.objects.select_related("evse__depot__operator")
    return get_object_or_404(rows, pk=closure_id, evse__depot=run_depot(user, code))


def vehicles_of(user: Person) -> QuerySet[Vehicle]:
    return Vehicle.objects.filter(fleet__in=fleets_seen(user)).select_related("fleet")


def vehicle(user: Person, vehicle_id: int) -> Vehicle:
    return get_object_or_404(vehicles_of(user), pk=vehicle_id)


def own_vehicle(user: Person, vehicle_id: int) -> Vehicle:
    """A vehicle this person may change."""
    return get_object_or_404(vehicles_of(user), pk=vehicle_id, fleet__in=fleets_booked_for(user))


def tokens_of(user: Person) -> QuerySet[Token]:
    return Token.objects.filter(fleet__in=fleets_seen(user)).select_related("fleet", "vehicle")


def own_token(user: Person, token_id: int) -> Token:
    """A token this person may change."""
    return get_object_or_404(tokens_of(user), pk=token_id, fleet__in=fleets_booked_for(user))


def dispatcher(user: Person) -> list[Organisation]:
    """The organisations somebody may book for; 404 for who may book for none."""
    found = organisations_booked_for(user)
    if not found:
        raise Http404
    return found


def acting(user: Person) -> None:
    """404 for who may neither book for a fleet nor run a depot."""
    if not (fleets_booked_for(user) or operators_decided_for(user)):
        raise Http404


def fleet_member(user: Person) -> set[int]:
    """The fleets somebody may look at; 404 for who has none."""
    found = fleets_seen(user)
    if not found:
        raise Http404
    return found


def as_dispatcher(user: Person) -> Actor:
    """This person as whoever acts for a fleet."""
    return Actor.dispatcher(user.get_username())


def as_manager(user: Person) -> Actor:
    """This person as whoever acts for a depot."""
    return Actor.manager(user.get_username())


def as_either(user: Person, found: Booking) -> Actor:
    """As its dispatcher, where the booking is one of their own, else as the depot's manager."""
    is_own = found.fleet_id in fleets_booked_for(user)
    return as_dispatcher(user) if is_own else as_manager(user)


def _some(found: set[int]) -> set[int]:
    if not found:
        raise Http404
    return found


def _organisations(user: Person, roles: Collection[str]) -> set[int]:
    return {membership.organisation_id for membership in _memberships(user) if membership.role in roles}


def _rows(user: Person, roles: Collection[str]) -> Iterable[Organisation]:
    return {m.organisation_id: m.organisation for m in _memberships(user) if m.role in roles}.values()


def _memberships(user: Person) -> list[Membership]:
    return memberships_of(user) if isinstance(user, User) else []
