"""Charging at a partner's depot, as the partner tells it; and the booking that it uses, which follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q, Sum

from bookings.actors import Actor
from bookings.core import lifecycle
from bookings.core.locking import lock_booking
from bookings.core.versions import SEEN_WHOLE, check_version
from bookings.errors import ChangedMeanwhile, WrongStatus
from bookings.models import Booking, BookingStatus, RemoteSession, SessionStatus, Vehicle
from bookings.operations.charge import NO_ENERGY_WH
from bookings.operations.partner_answers import RemoteState, adopt_remote
from depots.models import Depot, Organisation
from depots.token_numbers import is_same

AROUND = timedelta(hours=1)
LONGEST_SESSION = timedelta(days=1)
MOST_LIKELY = 20
AWAITED = frozenset({BookingStatus.REQUESTED, BookingStatus.CONFIRMED})


@dataclass(frozen=True)
class RemoteSessionId:
    """A partner's session: its id is unique within the party that runs the depot."""

    operator: Organisation
    country_code: str
    party_id: str
    remote_id: str


@dataclass(frozen=True)
class RemoteSessionState:
    """What is known of it now. `remote_status` is the partner's word for `status`."""

    status: SessionStatus
    remote_status: str
    started_at: datetime
    ended_at: datetime | None
    energy_wh: int
    power_w: int | None
    soc_percent: float | None
    evse_uid: str
    connector_id: str
    token_uid: str
    token_type: str
    authorization_reference: str
    currency: str
    before_taxes: Decimal | None
    taxes: Decimal | None
    told_at: datetime


def keep_remote_session(
    of: RemoteSessionId,
    state: RemoteSessionState,
    *,
    depot: Depot,
    fleet: Organisation,
    booking_id: int | None,
    vehicle: Vehicle | None,
    actor: Actor,
    now: datetime,
) -> RemoteSession:
    """Keep a session of the fleet's as it is told now. One that was matched to a booking stays with it."""
    with transaction.atomic():
        booking = lock_booking(booking_id) if booking_id is not None else None
        row = _find(of, lock=True) or RemoteSession(
            operator=of.operator, country_code=of.country_code, party_id=of.party_id, remote_id=of.remote_id
        )
        if row.booking is None and booking is not None:
            row.booking, row.matched_by = booking, RemoteSession.MatchedBy.REFERENCE
        row.depot, row.fleet, row.received_at = depot, fleet, now
        row.vehicle = (row.booking.vehicle if row.booking is not None else None) or vehicle
        for name, value in vars(state).items():
            setattr(row, name, value)
        row.save()
        if row.booking is not None:
            _follow(row, actor=actor, now=now)
    return row


def likely_sessions(booking: Booking) -> list[RemoteSession]:
    """Those of no booking that may be this one's: of a card of it, at its depot at about its time. A person says whether they
    are. Two queries at most."""
    if booking.is_ours:
        return []
    near = RemoteSession.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=booking.starts_at - AROUND),
        booking=None, fleet=booking.fleet_id, depot=booking.depot_id, started_at__gt=booking.starts_at - LONGEST_SESSION,
        started_at__lt=booking.ends_at + AROUND,
    ).exclude(status=SessionStatus.INVALID)  # fmt: skip
    cards = [(token.uid, token.type) for token in booking.tokens.all()]
    found = [
        row
        for row in near.order_by("started_at")
        if any(is_same(*card, row.token_uid, row.token_type) for card in cards)
    ]
    return found[:MOST_LIKELY]


def match_remote_session(
    *,
    session_id: int,
    booking_id: int,
    matched_by: str,
    seen_version: int | None = None,
    actor: Actor,
    now: datetime,
) -> RemoteSession:
    """A session that nobody had said the booking of is this one's. Raises ChangedMeanwhile where it is another's by now,
    WrongStatus where the booking is of another depot or fleet."""
    with transaction.atomic():
        booking = lock_booking(booking_id)
        check_version(booking, seen_version, SEEN_WHOLE)
        row = RemoteSession.objects.select_for_update(no_key=True, of=("self",)).get(pk=session_id)
        if row.booking_id is not None and row.booking_id != booking.pk:
            raise ChangedMeanwhile("Somebody has matched this session to another booking meanwhile.")
        if booking.depot_id != row.depot_id or booking.fleet_id != row.fleet_id:
            raise WrongStatus(booking.status, "matched", "This booking is not at that depot.")
        row.booking, row.matched_by, row.vehicle = booking, matched_by, booking.vehicle or row.vehicle
        row.save(update_fields=["booking", "matched_by", "vehicle"])
        lifecycle.record(
            booking, kind="session_matched", actor=actor, at=now, detail={"session": row.remote_id}
        )
        _follow(row, actor=actor, now=now)
    return row


def take_allowed(
    *, operator: Organisation, parties: Sequence[tuple[str, str]], remote_id: str, allowed: dict[str, Any]
) -> bool:
    """What a session of one of these parties may take, as its partner says now. What is older than known changes nothing. False
    where there is no such session."""
    with transaction.atomic():
        rows = RemoteSession.objects.select_for_update(no_key=True).filter(
            operator=operator, remote_id__iexact=remote_id
        )
        of_party = {(country.upper(), party.upper()) for country, party in parties}
        found = [
            row for row in rows.order_by("pk") if (row.country_code.upper(), row.party_id.upper()) in of_party
        ]
        if not found:
            return False
        session = found[-1]
        if session.allowed is None or session.allowed["starts_at"] <= allowed["starts_at"]:
            session.allowed = allowed
            session.save(update_fields=["allowed"])
    return True


def find_remote_session(of: RemoteSessionId) -> RemoteSession | None:
    return _find(of, lock=False)


def _find(of: RemoteSessionId, *, lock: bool) -> RemoteSession | None:
    rows = RemoteSession.objects.filter(
        operator=of.operator,
        country_code__iexact=of.country_code,
        party_id__iexact=of.party_id,
        remote_id__iexact=of.remote_id,
    ).select_related("booking__vehicle")
    return (rows.select_for_update(no_key=True, of=("self",)) if lock else rows).first()


def _follow(session: RemoteSession, *, actor: Actor, now: datetime) -> None:
    """Its booking charges while it does. It is over with a session that has charged something; a try that failed ends nothing."""
    booking = session.booking
    assert booking is not None
    if session.status == SessionStatus.CHARGING and booking.status in {
        BookingStatus.REQUESTED, BookingStatus.CONFIRMED,
    }:  # fmt: skip
        state = RemoteState(status=BookingStatus.CHARGING, evse_uid=session.evse_uid or None)
        adopt_remote(booking_id=booking.pk, state=state, actor=actor, now=now)
    elif session.status == SessionStatus.COMPLETED:
        _take_end(booking, actor=actor, now=now)


def _take_end(booking: Booking, *, actor: Actor, now: datetime) -> None:
    sessions = booking.remote_sessions.all()
    metered_wh = sessions.aggregate(wh=Sum("energy_wh"))["wh"]
    is_new = booking.metered_wh != metered_wh
    booking.metered_wh = metered_wh
    runs = sessions.filter(status=SessionStatus.CHARGING).exists()
    begun = booking.status in {BookingStatus.CONFIRMED, BookingStatus.CHARGING}
    if metered_wh < NO_ENERGY_WH and booking.status in AWAITED:
        return  # a reservation that was not used, or a try that nobody told of: the vehicle may still come
    detail = {"energy_wh": metered_wh}
    if begun and not runs and metered_wh >= NO_ENERGY_WH:
        lifecycle.adopt(
            booking, BookingStatus.COMPLETED, actor=actor, at=now, detail=detail, fields=["metered_wh"]
        )
    elif is_new:
        lifecycle.record(booking, kind="metered", actor=actor, at=now, detail=detail, fields=["metered_wh"])
