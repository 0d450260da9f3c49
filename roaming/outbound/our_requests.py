"""Our asks: a fleet's request for a booking at a partner's depot, until the partner has answered it.

An ask is a Delivery of kind "request". What happened to it so far stands in `Delivery.delivered` before anything is
sent, so that a worker that takes over after a kill knows whether the partner may have got it:
{"posts": how often it may have arrived since the partner's list was last looked into, "may_have_arrived": whether it may have
before that look, "since": when it was first sent, "sent": the message, "known": the entries of the partner's history
before it, "watching": the partner is still deciding}.
A lost answer is followed by the identical request once (it is known by its request_id), then by a look
into the partner's list of our bookings. A list without it starts this again, and proves nothing: a slow partner may still
be at work on what it has got.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.dispatch import receiver

from bookings.actors import SCHEDULER, Actor, ActorKind
from bookings.models import Booking, BookingRequest, BookingStatus
from bookings.operations import RemoteState, adopt_remote, with_asked
from bookings.signals import partner_asked
from roaming import deviations, registration
from roaming.hubs import clients as hub_clients
from roaming.mirror import partner_offers, remote_bookings
from roaming.mirror.partner_places import owner_of_mirror
from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import Refused, Unreachable
from roaming.ocpi.client import Answer, Peer
from roaming.ocpi.dialect import Dialect, dialect_of
from roaming.ocpi.style import style_of
from roaming.ocpi.times import time_out
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound import best_effort, deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.postponing import postpone
from roaming.outbound.waking import wake_sender

Decision = BookingRequest.Decision
OVERLAP = timedelta(minutes=5)
FIRST_WATCH = timedelta(seconds=30)
# What says that we are not let in, rather than anything about this ask.
NOT_LET_IN = {401, 403, 405}


@dataclass
class Attempt:
    """What to do next for an ask: POST `body` to `url`, or without body look for `request_id` in the list there.

    `lease` is the one that stands: a long look is given another.
    """

    lease: Lease
    peer: Peer
    url: str
    body: dict[str, Any] | None
    request_id: str
    since: str
    is_repeated: bool
    dialect: Dialect

    def is_about(self, raw: Any) -> bool:
        """Whether this is the booking, of a partner's list, that is asked for."""
        return self.dialect.bookings.request_id_of(raw).upper() == self.request_id.upper()


@receiver(partner_asked, dispatch_uid="roaming.outbound.our_requests")
def enqueue(sender: object, request: BookingRequest, at: datetime, **_: object) -> None:
    """In the transaction of the ask: leave it to the sender, and wake it when this commits."""
    partner = Partner.objects.filter(organisation=request.booking.depot.operator).first()
    if partner is None:
        return
    Delivery.objects.update_or_create(
        partner=partner,
        kind=Delivery.Kind.REQUEST,
        object_id=request.pk,
        defaults={"wanted_version": 1, "next_try_at": at},
    )
    wake_sender()


def begin(lease: Lease, *, now: datetime) -> Attempt | None:
    """The next step for an ask, noted down before it is taken. None when there is nothing left to do."""
    row = Delivery.objects.select_related("partner__organisation").get(pk=lease.delivery_id)
    if (by_best_effort := best_effort.drives(lease.object_id)) is not None:
        best_effort.go_on(lease, by_best_effort, now=now)
        return None
    ask = _pending(lease.object_id)
    if ask is None:
        deliveries.unchanged(lease)
        return None
    so_far = row.delivered or {"posts": 0, "since": time_out(now), "watching": False}
    looks = so_far["watching"] or so_far["posts"] >= 2
    if ask.kind == BookingRequest.Kind.CANCEL and not so_far["posts"] and _is_unheard_of(ask.booking, now):
        _cancelled_unheard(ask, now)
        deliveries.unchanged(lease)
        return None
    try:
        _check_in_time(ask, so_far, now)
        if hub_clients.is_unreachable(row.partner, owner_of_mirror(ask.booking.depot)):
            postpone(
                lease,
                until=now + hub_clients.ASKED_AGAIN,
                reason=hub_clients.why_unreachable(owner_of_mirror(ask.booking.depot)),
            )
            return None
        if not looks and not row.may_have_arrived:
            so_far |= _first_post(row.partner, ask)
    except ValueError as error:
        _give_up(ask, str(error), now)
        deliveries.unchanged(lease)
        return None
    if row.partner.paused_at is not None:
        deliveries.hold(lease, now=now)
        return None
    if not looks:
        so_far |= {"posts": so_far["posts"] + 1}
    Delivery.objects.filter(pk=row.pk, leased_until=lease.until).update(delivered=so_far)
    return _attempt(lease, row.partner, ask, so_far, looks=looks)


def _pending(ask_id: int) -> BookingRequest | None:
    asks = BookingRequest.objects.filter(pk=ask_id, decision=Decision.PENDING)
    return asks.select_related(
        "booking__depot", "booking__option", "booking__fleet", "booking__vehicle"
    ).first()


def _is_unheard_of(booking: Booking, now: datetime) -> bool:
    """Whether no ask about this booking may have arrived, and none is under way."""
    if booking.remote_id:
        return False
    asks = Delivery.objects.filter(
        kind=Delivery.Kind.REQUEST,
        object_id__in=booking.requests.exclude(decision=Decision.PENDING).values("pk"),
    )
    has_arrived = Q(delivered__posts__gt=0) | Q(delivered__may_have_arrived=True)
    return not asks.filter(has_arrived | Q(leased_until__gt=now)).exists()


def _check_in_time(ask: BookingRequest, so_far: dict[str, Any], now: datetime) -> None:
    """A slot that has begun is not asked for any more; one the partner is thinking about is given up at its end. Raises
    ValueError."""
    booking = ask.booking
    waits_for_start = ask.kind == BookingRequest.Kind.CREATE and not so_far["watching"]
    if now >= (booking.starts_at if waits_for_start else booking.ends_at):
        raise ValueError("The partner did not answer in time.")


def _first_post(partner: Partner, ask: BookingRequest) -> dict[str, Any]:
    """What is posted, now and again, and what is known of the booking before. Raises ValueError for what cannot be said."""
    only_evse = partner_offers.only_evse_uid(ask.booking.option)
    booking = with_asked(ask.booking, ask)
    body = dialect_of(partner).bookings.write_request(booking, ask, only_evse, style_of(partner))
    return {"sent": body, "known": remote_bookings.known_entries(partner, ask.booking)}


def _attempt(
    lease: Lease, partner: Partner, ask: BookingRequest, so_far: dict[str, Any], *, looks: bool
) -> Attempt:
    dialect, booking = dialect_of(partner), ask.booking
    party = (booking.customer_country, booking.customer_party)
    return Attempt(
        lease,
        registration.peer_of(partner, party, owner_of_mirror(booking.depot)),
        dialect.bookings.list_url(partner),
        None if looks else so_far["sent"],
        booking.request_id,
        so_far["since"],
        so_far["posts"] > 1,
        dialect,
    )


def answered(attempt: Attempt, answer: Answer, *, now: datetime) -> str:
    """The partner's Booking. Gives the URL of the offer to read again, empty when its calendar is not in doubt."""
    partner = _heard(attempt, now)
    with _read_as(attempt, answer.data, now), transaction.atomic():
        try:
            _adopt(partner, answer.data, reason=answer.message, answers=attempt.lease.object_id, now=now)
        except UnreadableError as error:
            # It was understood and carried out, but we cannot read what came of it: their list may be clearer.
            deviations.count(partner, ["booking.unreadable"])
            _later(attempt.lease, {"posts": 2, "watching": False}, f"unreadable answer: {error}", now)
            return ""
        return _after(attempt, partner, now)


def found(attempt: Attempt, raw: dict[str, Any] | None, *, now: datetime) -> str:
    """What the partner's list says of this booking; None: it is not there, or not yet."""
    partner = _heard(attempt, now)
    with _read_as(attempt, raw, now), transaction.atomic():
        if raw is not None:
            try:
                _adopt(partner, raw, now=now)
                return _after(attempt, partner, now)
            except UnreadableError as error:
                deviations.count(partner, ["booking.unreadable"])
                _later(attempt.lease, {"posts": 2}, f"unreadable booking: {error}", now)
                return ""
        ask = BookingRequest.objects.select_related("booking").get(pk=attempt.lease.object_id)
        if ask.kind == BookingRequest.Kind.CANCEL and not ask.booking.remote_id:
            _cancelled_unheard(ask, now)
            deliveries.succeeded(attempt.lease, now=now)
        else:
            again = {"posts": 0, "may_have_arrived": True, "watching": False}
            _later(attempt.lease, again, "the partner has no such booking yet", now)
    return ""


def refused(attempt: Attempt, refusal: Refused, *, now: datetime) -> str:
    """A no that is no Booking: about the ask, or about us. Gives what `answered` gives."""
    if refusal.is_their_fault:
        silence = Unreachable(
            str(refusal),
            maybe_received=not refusal.surely_undelivered,
            is_behind_hub=refusal.is_behind_hub,
        )
        lost(attempt, silence, now=now)
        return ""
    if refusal.http_status in NOT_LET_IN:
        _did_not_count(attempt)
        deliveries.failed(attempt.lease, refusal, now=now)
        return ""
    partner = _heard(attempt, now)
    with transaction.atomic():
        ask = BookingRequest.objects.select_related("booking__option").get(pk=attempt.lease.object_id)
        if ask.decision == Decision.PENDING and attempt.is_repeated and attempt.body is not None:
            # The first one may have been taken, and the repetition refused for that: their list will tell.
            _later(attempt.lease, {"posts": 2, "watching": False}, str(refusal), now)
            return ""
        if ask.decision == Decision.PENDING:  # else a push has brought the answer
            _decline(ask, refusal, now)
        deliveries.succeeded(attempt.lease, now=now)
    return _offer_url(partner, ask)


def _decline(ask: BookingRequest, refusal: Refused, now: datetime) -> None:
    """A partner that refuses to cancel what it has never confirmed has no such booking."""
    if ask.kind == BookingRequest.Kind.CANCEL and not ask.booking.remote_id:
        _cancelled_unheard(ask, now)
        return
    is_first = ask.kind == BookingRequest.Kind.CREATE
    state = RemoteState(
        status=BookingStatus.DECLINED if is_first else None,
        decision=Decision.DECLINED,
        reason=refusal.message or f"Refused by the partner ({refusal.status_code or refusal.http_status}).",
        ask_id=ask.pk,
    )
    adopt_remote(booking_id=ask.booking_id, state=state, actor=Actor(ActorKind.PARTNER, ""), now=now)


def lost(attempt: Attempt, failure: Unreachable, *, now: datetime) -> None:
    """No answer. What may have arrived is sent once more at once, and looked for after that; else a pause."""
    if not failure.maybe_received:
        _did_not_count(attempt)
        deliveries.failed(attempt.lease, failure, now=now)
        return
    deliveries.failed(attempt.lease, failure, now=now)
    if attempt.body is not None:
        Delivery.objects.filter(pk=attempt.lease.delivery_id, leased_until=None).update(next_try_at=now)


def offer_read(attempt: Attempt, raw: Any, *, now: datetime) -> None:
    """The offer as it is after a refusal: its calendar was out of date."""
    partner = Partner.objects.select_related("organisation").get(pk=attempt.lease.partner_id)
    told = _object(raw)
    remote_bookings.adopt_offer(
        partner, dialect_of(partner).bookings.read_offer(partner, told), told, now=now
    )


def _read_as(attempt: Attempt, answer: Any, now: datetime) -> AbstractContextManager[None]:
    """What is odd about an answer is counted with the ask that it answers."""
    method = "GET" if attempt.body is None else "POST"
    example = deviations.Example(now, method, attempt.url, attempt.body, answer)
    return deviations.of_message(attempt.lease.partner_id, example)


def _adopt(
    partner: Partner, raw: Any, *, reason: str = "", answers: int | None = None, now: datetime
) -> None:
    told = _object(raw)
    read = dialect_of(partner).bookings.read(partner, told)
    remote_bookings.adopt_booking(partner, read, told, reason=reason, answers=answers, now=now)


def _heard(attempt: Attempt, now: datetime) -> Partner:
    """Whoever answered. Its row is not held while a booking is waited for."""
    deliveries.record_success(attempt.lease.partner_id, now=now)
    return Partner.objects.select_related("organisation").get(pk=attempt.lease.partner_id)


def _after(attempt: Attempt, partner: Partner, now: datetime) -> str:
    """Done when it is decided. While the partner thinks, its list is looked at now and then: a push can get lost."""
    ask = BookingRequest.objects.select_related("booking__depot", "booking__option").get(
        pk=attempt.lease.object_id
    )
    if ask.decision == Decision.PENDING:
        row = Delivery.objects.get(pk=attempt.lease.delivery_id)
        so_far = row.delivered or {}
        waited = timedelta(
            seconds=min(FIRST_WATCH.total_seconds() * 2 ** min(so_far.get("watched", 0), 5), 900)
        )
        Delivery.objects.filter(pk=row.pk, leased_until=attempt.lease.until).update(
            delivered={**so_far, "watching": True, "watched": so_far.get("watched", 0) + 1},
            next_try_at=now + waited,
            leased_until=None,
            attempts=0,
            last_error="",
        )
        return ""
    deliveries.succeeded(attempt.lease, now=now)
    return _offer_url(partner, ask) if ask.decision == Decision.DECLINED else ""


def _offer_url(partner: Partner, ask: BookingRequest) -> str:
    return dialect_of(partner).bookings.offers_url(partner, ask.booking.option.code)


def _later(lease: Lease, so_far: dict[str, Any], error: str, now: datetime) -> None:
    row = Delivery.objects.get(pk=lease.delivery_id)
    Delivery.objects.filter(pk=row.pk, leased_until=lease.until).update(
        delivered={**(row.delivered or {}), **so_far},
        next_try_at=now + deliveries.pause(row.attempts + 1),
        attempts=F("attempts") + 1,
        leased_until=None,
        last_error=error[:300],
    )


def _did_not_count(attempt: Attempt) -> None:
    """It has surely not arrived, so the next time is the first again."""
    if attempt.body is None:
        return
    row = Delivery.objects.get(pk=attempt.lease.delivery_id)
    so_far = {**(row.delivered or {}), "posts": max(0, (row.delivered or {}).get("posts", 1) - 1)}
    Delivery.objects.filter(pk=row.pk, leased_until=attempt.lease.until).update(delivered=so_far)


def _give_up(ask: BookingRequest, reason: str, now: datetime) -> None:
    is_first = ask.kind == BookingRequest.Kind.CREATE
    state = RemoteState(
        status=BookingStatus.FAILED if is_first else None,
        decision=Decision.FAILED,
        reason=reason,
        ask_id=ask.pk,
    )
    adopt_remote(booking_id=ask.booking_id, state=state, actor=SCHEDULER, now=now)


def _cancelled_unheard(ask: BookingRequest, now: datetime) -> None:
    """The partner never had the booking: giving it up needs nobody's consent."""
    state = RemoteState(
        status=BookingStatus.CANCELLED,
        decision=Decision.ACCEPTED,
        cancelled_by=str(Booking.Side.FLEET.value),
        cancel_reason=ask.asked.get("reason", "NO_CANCELED"),
        ask_id=ask.pk,
    )
    adopt_remote(booking_id=ask.booking_id, state=state, actor=ask.asked_by, now=now)


def _object(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise UnreadableError("data", "must be an object")
    return raw
