"""May this user see or change that? One function a question; each gives the object, or 404 for what is not theirs.

A role says what somebody may do, the organisation says with whose things: depots.navigation names the roles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum, When
from django.http import Http404
from django.shortcuts import get_object_or_404

from bookings.actors import Actor
from bookings.models import (
    GROUP,
    Booking,
    BookingEvent,
    BookingRequest,
    BookingSeries,
    BookingToken,
    ChargeDetailRecord,
    Closure,
    ClosureAct,
    ClosureStep,
    KeptEvse,
    Token,
    Trailer,
    Trip,
    Vehicle,
    WaitlistEntry,
)
from bookings.pages.memberships import Person, organisation_ids, organisations
from bookings.rules.agreements import guests_admit
from depots.models import (
    ApiToken,
    Charger,
    Depot,
    Evse,
    ExpectedCharger,
    Membership,
    Organisation,
    RefusedConnection,
    SettingsTemplate,
    TrustedRoot,
)
from depots.navigation import BOOKING_ROLES, DECIDING_ROLES, DEPOT_ROLES, FLEET_ROLES
from depots.new_chargers import refused_connections_of, runs_whole_installation


def fleets_seen(user: Person) -> set[int]:
    """Organisations whose bookings, vehicles and tokens this person may see."""
    return organisation_ids(user, FLEET_ROLES)


def fleets_booked_for(user: Person) -> set[int]:
    """Organisations this person may book for, and whose vehicles and tokens they may change."""
    return organisation_ids(user, BOOKING_ROLES)


def operators_seen(user: Person) -> set[int]:
    """Depot operators whose boards this person may see."""
    return organisation_ids(user, DEPOT_ROLES)


def operators_decided_for(user: Person) -> set[int]:
    """Depot operators whose depots this person runs."""
    return organisation_ids(user, DECIDING_ROLES)


def organisations_booked_for(user: Person) -> list[Organisation]:
    """The same as `fleets_booked_for`, as rows in order of their names."""
    return sorted(organisations(user, BOOKING_ROLES), key=lambda organisation: organisation.name)


def bookings_of(user: Person) -> QuerySet[Booking]:
    """The bookings of this person's fleets, with all that a row of a list shows."""
    return booking_rows().filter(fleet__in=fleets_seen(user))


def booking_rows() -> QuerySet[Booking]:
    waived = BookingEvent.objects.filter(booking=OuterRef("pk"), kind="waived")
    rows = Booking.objects.select_related("depot__operator", "evse", "vehicle", "fleet", "session")
    records = ChargeDetailRecord.objects.filter(booking=OuterRef("pk"), credits=None).order_by()
    standing = records.filter(credited_by=None)
    total = standing.values("booking").annotate(total=Sum(F("before_taxes") + F("taxes"))).values("total")
    groups = BookingToken.objects.filter(booking=OuterRef("pk"), type=GROUP)
    return rows.annotate(
        is_waived=Exists(waived),
        group_key=Subquery(groups.values("uid")[:1]),
        billed_total=Subquery(total),
        billed_currency=Subquery(records.values("currency")[:1]),
    )


def series_of(user: Person) -> QuerySet[BookingSeries]:
    """The series of this person's fleets, the latest first."""
    rows = BookingSeries.objects.filter(fleet__in=fleets_seen(user))
    return rows.select_related("fleet", "option__depot__operator", "vehicle").order_by("-created_at", "-pk")


def series(user: Person, series_id: int) -> BookingSeries:
    return get_object_or_404(series_of(user), pk=series_id)


def fleet_series(user: Person, series_id: int) -> BookingSeries:
    """A series this person may change for its fleet."""
    return get_object_or_404(series_of(user), pk=series_id, fleet__in=fleets_booked_for(user))


def trips_of(user: Person) -> QuerySet[Trip]:
    """The trips of this person's fleets with their stops, the latest first."""
    rows = Trip.objects.filter(fleet__in=fleets_seen(user)).select_related("fleet")
    return rows.prefetch_related(Prefetch("stops", booking_rows())).order_by("-asked_at", "-pk")


def trip(user: Person, trip_id: int) -> Trip:
    return get_object_or_404(trips_of(user), pk=trip_id)


def fleet_trip(user: Person, trip_id: int) -> Trip:
    """A trip this person may cancel for its fleet."""
    return get_object_or_404(trips_of(user), pk=trip_id, fleet__in=fleets_booked_for(user))


def open_waitlist_of(user: Person) -> QuerySet[WaitlistEntry]:
    """What this person's fleets wait for: what is on offer before the rest."""
    rows = _waitlist_of(user).filter(status__in=WaitlistEntry.OPEN)
    return rows.order_by(Case(When(status="offered", then=0), default=1), "asked_at", "pk")


def settled_waitlist_of(user: Person) -> QuerySet[WaitlistEntry]:
    """What they waited for, the last that was settled first."""
    return _waitlist_of(user).filter(settled_at__isnull=False).order_by("-settled_at", "-pk")


def waitlist_entry(user: Person, entry_id: int) -> WaitlistEntry:
    """An entry this person may accept or leave for its fleet."""
    return get_object_or_404(_waitlist_of(user), pk=entry_id, fleet__in=fleets_booked_for(user))


def booking(user: Person, booking_id: int) -> Booking:
    """A booking of one's fleet, or at a depot one looks after; with everything its page shows."""
    mine = Q(fleet__in=fleets_seen(user))
    here = Q(depot__operator__in=operators_seen(user), depot__is_mirror=False)
    rows = booking_rows().select_related("option", "evse__charger", "session__charger").prefetch_related(
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


def charger(user: Person, code: str, identity: str) -> Charger:
    """A charger of this depot, which this person looks after."""
    rows = Charger.objects.select_related("depot__operator").filter(depot__in=depots_seen(user))
    return get_object_or_404(rows, identity__iexact=identity, depot__code__iexact=code)


def run_charger(user: Person, code: str, identity: str) -> Charger:
    """A charger of this depot, which this person runs."""
    found = charger(user, code, identity)
    if found.depot.operator_id not in operators_decided_for(user):
        raise Http404
    return found


def charger_evse(depot: Depot, uid: str) -> Evse:
    """An EVSE of a charger at a depot this person runs."""
    rows = Evse.objects.filter(depot=depot, charger__isnull=False).select_related("charger__depot__operator")
    return get_object_or_404(rows, uid__iexact=uid)


def kept_evse(depot: Depot, kept_id: int) -> KeptEvse:
    """What is kept for a booking at a depot this person runs."""
    rows = KeptEvse.objects.filter(evse__depot=depot).select_related("charger__depot__operator", "evse")
    return get_object_or_404(rows, pk=kept_id)


def settings_template(user: Person, template_id: int) -> SettingsTemplate:
    """What an operator whose depots this person runs wants of its chargers."""
    rows = SettingsTemplate.objects.select_related("operator").filter(
        operator__in=operators_decided_for(user)
    )
    return get_object_or_404(rows, pk=template_id)


def trusted_root(user: Person, root_id: int) -> TrustedRoot:
    """A root that an operator whose depots this person runs trusts."""
    rows = TrustedRoot.objects.select_related("operator")
    return get_object_or_404(rows, pk=root_id, operator__in=operators_decided_for(user))


def run_operator(user: Person, operator_id: int) -> Organisation:
    """An operator whose depots this person runs."""
    rows = Organisation.objects.filter(pk__in=operators_decided_for(user), depots__is_mirror=False)
    return get_object_or_404(rows.distinct(), pk=operator_id)


def run_operators(user: Person) -> list[Organisation]:
    """The operators whose depots this person runs, by name; 404 for who runs none."""
    rows = Organisation.objects.filter(pk__in=operators_decided_for(user), depots__is_mirror=False).distinct()
    found = list(rows.order_by("name"))
    if not found:
        raise Http404
    return found


def refused_connections(user: Person, depot: Depot) -> QuerySet[RefusedConnection]:
    """Refused chargers that this person may let in at a depot they run. Who runs every depot of the installation
    sees all that nobody else has."""
    return refused_connections_of(depot.operator, sees_all=sees_every_refused_connection(user))


def sees_every_refused_connection(user: Person) -> bool:
    """Does this person run every depot of the installation?"""
    return runs_whole_installation(operators_decided_for(user))


def refused_connection(user: Person, depot: Depot, refused_id: int) -> RefusedConnection:
    return get_object_or_404(refused_connections(user, depot), pk=refused_id)


def expected_charger(depot: Depot, expected_id: int) -> ExpectedCharger:
    """One that the operator of a depot waits for."""
    return get_object_or_404(ExpectedCharger, pk=expected_id, operator=depot.operator_id)


def closure(user: Person, code: str, closure_id: int) -> Closure:
    """A closure at a depot this person runs."""
    rows = Closure.objects.select_related("evse__depot__operator")
    return get_object_or_404(rows, pk=closure_id, evse__depot=run_depot(user, code))


def closure_act(user: Person, code: str, act_id: int) -> ClosureAct:
    """What was decided about closing EVSEs of a depot this person runs, with what became of their bookings."""
    rows = ClosureAct.objects.select_related("depot__operator").prefetch_related(
        Prefetch("closures", Closure.objects.select_related("evse").order_by("evse__uid")),
        Prefetch(
            "steps",
            ClosureStep.objects.select_related(
                "booking__fleet", "booking__evse", "evse_before", "evse_after", "rebooked", "offer"
            ),
        ),
    )
    return get_object_or_404(rows, pk=act_id, depot=run_depot(user, code))


def vehicles_of(user: Person) -> QuerySet[Vehicle]:
    return Vehicle.objects.filter(fleet__in=fleets_seen(user)).select_related("fleet")


def vehicle(user: Person, vehicle_id: int) -> Vehicle:
    return get_object_or_404(vehicles_of(user), pk=vehicle_id)


def own_vehicle(user: Person, vehicle_id: int) -> Vehicle:
    """A vehicle this person may change."""
    return get_object_or_404(vehicles_of(user), pk=vehicle_id, fleet__in=fleets_booked_for(user))


def trailers_of(user: Person) -> QuerySet[Trailer]:
    return Trailer.objects.filter(fleet__in=fleets_seen(user)).select_related("fleet")


def own_trailer(user: Person, trailer_id: int) -> Trailer:
    """A trailer this person may change."""
    return get_object_or_404(trailers_of(user), pk=trailer_id, fleet__in=fleets_booked_for(user))


def tokens_of(user: Person) -> QuerySet[Token]:
    return Token.objects.filter(fleet__in=fleets_seen(user)).select_related("fleet", "vehicle")


def own_token(user: Person, token_id: int) -> Token:
    """A token this person may change."""
    return get_object_or_404(tokens_of(user), pk=token_id, fleet__in=fleets_booked_for(user))


def organisations_administered(user: Person) -> list[Organisation]:
    """Those whose people and systems this person looks after, by name; 404 for who looks after none."""
    found = sorted(organisations(user, {Membership.Role.ADMIN}), key=lambda organisation: organisation.name)
    if not found:
        raise Http404
    return found


def administered(user: Person, organisation_id: int) -> Organisation:
    rows = Organisation.objects.filter(pk__in=organisation_ids(user, {Membership.Role.ADMIN}))
    return get_object_or_404(rows, pk=organisation_id)


def api_token(user: Person, token_id: int) -> ApiToken:
    """A token for the API of an organisation this person looks after."""
    admitted = organisation_ids(user, {Membership.Role.ADMIN})
    return get_object_or_404(ApiToken, pk=token_id, organisation__in=admitted)


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


def _waitlist_of(user: Person) -> QuerySet[WaitlistEntry]:
    rows = WaitlistEntry.objects.filter(fleet__in=fleets_seen(user))
    return rows.select_related("fleet", "depot", "option", "evse", "vehicle", "held__evse")
