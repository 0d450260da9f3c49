"""What a partner may see: the offers open to it, the depots they belong to, and the bookings it asked for; and who may
see partners."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import AnonymousUser
from django.db.models import Case, Exists, F, Max, OuterRef, Prefetch, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest, Length
from django.http import Http404

from bookings.billing.cdr_lookup import with_all
from bookings.core import calendars
from bookings.models import Booking, BookingOption, BookingStatus, ChargeDetailRecord, Closure
from bookings.search.bookable import bookable_options
from depots.models import Agreement, ChargingSession, Depot, Evse, Membership, Organisation, User
from depots.navigation import NETWORK_ROLES, memberships_of
from roaming.models import GuestSession, Partner

OCPI_ID_LENGTH = 36


def require_sight_of_partners(user: User | AnonymousUser) -> None:
    """Who books or runs depots sees how the networks they meet there get on. Raises Http404 for everybody else."""
    if not any(membership.role in NETWORK_ROLES for membership in _memberships(user)):
        raise Http404


def is_platform_administrator(user: User | AnonymousUser) -> bool:
    """Who looks after the whole platform: one of its staff, or the administrator of every organisation that is hosted here.

    What partners say names the bookings of all fleets, and what is set for one holds for all of them: an administrator of one
    company among several is a customer here.
    """
    if not user.is_authenticated or user.is_staff:
        return user.is_authenticated
    own = {
        membership.organisation_id
        for membership in _memberships(user)
        if membership.role == Membership.Role.ADMIN
    }
    return bool(own) and not Organisation.objects.filter(is_partner=False).exclude(pk__in=own).exists()


def seen_partner(user: User | AnonymousUser, partner_id: int) -> Partner:
    """How it gets on, for whoever meets it. Raises Http404."""
    if not is_platform_administrator(user):
        require_sight_of_partners(user)
    return _partner(partner_id)


def run_partner(user: User | AnonymousUser, partner_id: int) -> Partner:
    """For a platform's administrator: its messages, its queue, its switches. Raises Http404 for everybody else."""
    require_platform_administrator(user)
    return _partner(partner_id)


def require_platform_administrator(user: User | AnonymousUser) -> None:
    """Raises Http404."""
    if not is_platform_administrator(user):
        raise Http404


def _memberships(user: User | AnonymousUser) -> list[Membership]:
    return memberships_of(user) if isinstance(user, User) else []


def _partner(partner_id: int) -> Partner:
    partner = Partner.objects.select_related("organisation").filter(pk=partner_id).first()
    if partner is None:
        raise Http404
    return partner


def options(
    partner: Partner, *, operator: Organisation | None = None, now: datetime
) -> QuerySet[BookingOption]:
    """What this partner may book here, of one operator or of all, oldest first."""
    rows = addressable(bookable_options(partner.organisation, now=now)).order_by("created_at", "id")
    return rows.filter(depot__operator=operator) if operator else rows


def addressable(rows: QuerySet[BookingOption]) -> QuerySet[BookingOption]:
    """Those of ours that have an address in OCPI: an operator without party id and a name too long have none."""
    rows = rows.filter(is_mirror=False, depot__operator__is_partner=False)
    rows = rows.exclude(depot__operator__cpo_party_id="").alias(code_length=Length("code"))
    return rows.filter(code_length__lte=OCPI_ID_LENGTH)


def admissions(depot_ids: Collection[int], *, now: datetime) -> dict[int, dict[int | None, int]]:
    """By depot the agreements in force there, by guest (None: everybody). One query."""
    found: dict[int, dict[int | None, int]] = {}
    rows = Agreement.objects.in_force(now).filter(depot__in=depot_ids)
    for pk, depot_id, guest_id in rows.values_list("pk", "depot_id", "guest_id"):
        found.setdefault(depot_id, {})[guest_id] = pk
    return found


def offer_changed_at(*, now: datetime) -> Case:
    """When an offer last changed: now, where a change of its calendar waits for the tick that writes the moment down."""
    return Case(When(pk__in=calendars.marked_options(), then=Value(now)), default=F("updated_at"))


def depots(partner: Partner, *, operator: Organisation | None = None, now: datetime) -> QuerySet[Depot]:
    """The depots of these offers, oldest first, with `is_public` and `changed_at` (its own or of an EVSE)."""
    offered = options(partner, operator=operator, now=now).order_by().values("depot_id")
    to_all = Agreement.objects.in_force(now).filter(depot=OuterRef("pk"), guest__isnull=True)
    newest = Evse.objects.filter(depot=OuterRef("pk")).order_by().values("depot")
    changed = newest.annotate(
        at=Greatest(Max("updated_at"), Coalesce(Max("status_received_at"), Max("updated_at")))
    )
    closed = Closure.objects.filter(evse__depot=OuterRef("pk")).order_by().values("evse__depot")
    closing = closed.annotate(at=Greatest(Max("created_at"), Coalesce(Max("lifted_at"), Max("created_at"))))
    return (
        Depot.objects.filter(pk__in=offered)
        .annotate(
            is_public=Exists(to_all),
            changed_at=Greatest(
                F("updated_at"),
                Coalesce(changed.values("at"), F("updated_at")),
                Coalesce(closing.values("at"), F("updated_at")),
            ),
        )
        .select_related("operator")
        .prefetch_related(
            "opening_hours", Prefetch("evses", Evse.objects.select_related("charger")), "evses__connectors"
        )
        .order_by("created_at", "id")
    )


def bookings(
    partner: Partner, *, party: tuple[str, str] | None = None, operator: Organisation | None = None
) -> QuerySet[Booking]:
    """What this partner asked for, in the name of one of its parties or of any; oldest first."""
    rows = bookings_of([partner]).order_by("created_at", "id")
    if party:
        rows = rows.filter(customer_country__iexact=party[0], customer_party__iexact=party[1])
    return rows.filter(depot__operator=operator) if operator else rows


def bookings_of(partners: Collection[Partner]) -> QuerySet[Booking]:
    """What any of these partners asked for; whose one is, its `fleet_id` says."""
    return (
        Booking.objects.filter(
            fleet__in=[partner.organisation_id for partner in partners], route=Booking.Route.INBOUND
        )
        .exclude(status__in=[BookingStatus.HELD, BookingStatus.EXPIRED])
        .select_related("depot__operator", "option", "evse__charger")
        .prefetch_related("tokens", "requests", "option__evses", "evse__connectors")
    )


def guest_sessions(
    partner: Partner, *, party: tuple[str, str] | None = None, operator: Organisation | None = None
) -> QuerySet[GuestSession]:
    """Sessions at our depots that this partner is told of, of one operator or of all; oldest first. In the name of one of its
    parties those of its bookings, and those that nobody had booked."""
    rows = sessions_with_all(GuestSession.objects.filter(partner=partner)).order_by("pk")
    if party is not None:
        is_unbooked = Q(session__isnull=False, session__visit__isnull=True)
        rows = rows.filter(
            _of_party("session__visit__booking", party) | _of_party("reservation", party) | is_unbooked
        )
    if operator is None:
        return rows
    return rows.filter(
        Q(session__charger__depot__operator=operator) | Q(reservation__depot__operator=operator)
    )


def _of_party(booking: str, party: tuple[str, str]) -> Q:
    country, party_id = party
    return Q(
        **{
            f"{booking}__customer_country__iexact": country,
            f"{booking}__customer_party__iexact": party_id,
        }
    )


def sessions_with_all(rows: QuerySet[GuestSession]) -> QuerySet[GuestSession]:
    """With what a session's publication names (roaming.published_sessions)."""
    return rows.select_related(
        "partner__organisation", "session__charger__depot__operator", "session__evse__depot__operator",
        "reservation__fleet", "reservation__depot__operator", "reservation__evse",
    ).prefetch_related("reservation__tokens")  # fmt: skip


def booking_of_session(session: ChargingSession) -> Booking | None:
    """With its tokens."""
    rows = Booking.objects.filter(visits__session=session).prefetch_related("tokens")
    return rows.select_related("depot__operator", "fleet").first()


def cdrs(
    partner: Partner, *, party: tuple[str, str] | None = None, operator: Organisation | None = None
) -> QuerySet[ChargeDetailRecord]:
    """What was issued to this partner here, credits too, in order of issue; to one of its parties by booking, else by token."""
    rows = cdrs_of_ours().filter(customer=partner.organisation_id).order_by("pk")
    if party is not None:
        by_token = Q(token__country_code__iexact=party[0], token__party_id__iexact=party[1])
        rows = rows.filter(_of_party("booking", party) | Q(booking__isnull=True) & by_token)
    return rows.filter(operator=operator) if operator else rows


def cdrs_of_ours() -> QuerySet[ChargeDetailRecord]:
    """Those that have an address in OCPI, with all that they name."""
    rows = (
        with_all()
        .filter(received__isnull=True, operator__is_partner=False)
        .exclude(operator__cpo_party_id="")
    )
    return rows.select_related("session__guest", "booking__guest").prefetch_related("session__signed_values")
