"""Whose charging at a partner's depot it was that the partner tells of, and for which booking of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from bookings.models import Booking, RemoteSession, Token, Vehicle
from depots.models import Organisation
from depots.token_numbers import normalise, spellings
from roaming.mirror.partner_places import depot_code
from roaming.mirror.session_values import ToldToken
from roaming.models import Partner

Party = tuple[str, str]

# A reference is never used again; what names one is still looked for about its time only, by the index there is.
AROUND = timedelta(days=31)


@dataclass(frozen=True)
class ChargingCustomer:
    """`booking` is None where nothing names one."""

    fleet: Organisation
    vehicle: Vehicle | None
    booking: Booking | None

    @property
    def booking_id(self) -> int | None:
        return self.booking.pk if self.booking is not None else None


def customer_by(
    partner: Partner,
    owner: Party,
    token: ToldToken,
    *,
    booking_id: str,
    reference: str,
    session_id: str,
    at: datetime,
) -> ChargingCustomer | None:
    """By `owner`'s id of the booking, then our reference, then its session, in this order; without any of them by the party
    whose token it is. None where that is nobody here. `owner` is the party of the partner that tells of it."""
    fleet = _fleet_of(token)
    booking = (
        _by_id(partner, owner, booking_id)
        or _by_reference(partner, fleet, reference, at)
        or _by_session(partner, owner, session_id)
    )
    if booking is not None:
        return ChargingCustomer(booking.fleet, booking.vehicle, booking)
    return ChargingCustomer(fleet, _vehicle_of(fleet, token), None) if fleet is not None else None


def _fleet_of(token: ToldToken) -> Organisation | None:
    rows = Organisation.objects.filter(is_partner=False, country_code__iexact=token.country_code)
    return rows.filter(emsp_party_id__iexact=token.party_id).exclude(emsp_party_id="").first()


def _vehicle_of(fleet: Organisation, token: ToldToken) -> Vehicle | None:
    rows = Token.objects.filter(
        fleet=fleet, uid__card__in=spellings(token.uid, token.type), vehicle__isnull=False
    )
    number = normalise(token.uid, token.type)
    found = (row for row in rows.select_related("vehicle") if normalise(row.uid, row.type) == number)
    return next((row.vehicle for row in found), None)


def _by_id(partner: Partner, owner: Party, remote_id: str) -> Booking | None:
    rows = _bookings(partner).filter(depot__code__istartswith=depot_code(*owner, ""))
    return rows.filter(remote_id__iexact=remote_id).first() if remote_id else None


def _by_reference(
    partner: Partner, fleet: Organisation | None, reference: str, at: datetime
) -> Booking | None:
    """Of the fleet whose token it is, else of any."""
    if not reference:
        return None
    rows = _bookings(partner).filter(authorization_reference__iexact=reference)
    rows = rows.filter(starts_at__gt=at - AROUND, starts_at__lt=at + AROUND)
    return (rows.filter(fleet=fleet) if fleet is not None else rows).first()


def _by_session(partner: Partner, owner: Party, session_id: str) -> Booking | None:
    if not session_id:
        return None
    rows = RemoteSession.objects.filter(
        operator=partner.organisation, country_code__iexact=owner[0], party_id__iexact=owner[1],
        remote_id__iexact=session_id,
    )  # fmt: skip
    found = rows.filter(booking__isnull=False).select_related("booking__fleet", "booking__vehicle").first()
    return found.booking if found is not None else None


def _bookings(partner: Partner) -> QuerySet[Booking]:
    rows = Booking.objects.filter(route=Booking.Route.OUTBOUND, depot__operator=partner.organisation)
    return rows.select_related("fleet", "vehicle", "depot")
