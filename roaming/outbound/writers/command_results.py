"""Results of partners' commands, POSTed to where each asked for its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from bookings import operations, smart_charging
from bookings.actors import ENFORCEMENT
from bookings.errors import WrongStatus
from bookings.models import Booking, CancelReason
from roaming.commands import results
from roaming.commands.limits import OF_LIMITS
from roaming.models import Delivery, Partner, ReceivedCommand
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import dialect_of
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Push, partners_of, push_to, written_each

# A result is of use to who waits for it, and is told a few times at most.
OF_USE_FOR = timedelta(minutes=2)
MOST_TRIES = 3
Result = ReceivedCommand.Result


def results_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """What is not decided by the time it is due was not answered. One that is too late, or was told in vain too often, is
    let be."""
    partners = partners_of(leases)
    due = Delivery.objects.filter(pk__in=[lease.delivery_id for lease in leases])
    tries = dict(due.values_list("pk", "attempts"))
    rows = ReceivedCommand.objects.select_related("operator", "booking")
    found = rows.in_bulk([lease.object_id for lease in leases])

    def write(lease: Lease) -> Push | None:
        received = found.get(lease.object_id)
        if received is None or tries.get(lease.delivery_id, 0) >= MOST_TRIES:
            return None
        if not received.result and now < received.answer_by:
            _postpone(lease, received)
            return None
        results.give_up(received, now=now)
        _give_back(received, now)
        _drop_limit(received, now)
        return _push(partners, lease, received, now)

    return written_each(leases, write, now=now)


def _postpone(lease: Lease, received: ReceivedCommand) -> None:
    """Nobody knows it yet: it waits on for the charger."""
    ours = Delivery.objects.filter(pk=lease.delivery_id, leased_until=lease.until)
    ours.update(leased_until=None, next_try_at=received.answer_by)


def _give_back(received: ReceivedCommand, now: datetime) -> None:
    """A reservation of which its partner hears that it could not be had does not stand either."""
    if received.booking is None or not results.is_reservation_to_give_back(received):
        return
    is_occupied = received.result == Result.OCCUPIED
    with suppress(WrongStatus):
        operations.cancel_booking(
            booking_id=received.booking.pk,
            reason=CancelReason.BLOCKED if is_occupied else CancelReason.BROKEN_CHARGER,
            by=Booking.Side.DEPOT,
            actor=ENFORCEMENT,
            now=now,
        )


def _drop_limit(received: ReceivedCommand, now: datetime) -> None:
    """Nor does a limit of which its partner hears that nobody answered."""
    if (received.kind, received.result) == (
        ReceivedCommand.Kind.LIMIT,
        Result.TIMEOUT,
    ) and received.session_id:
        serial = (received.report or {}).get("serial", 0)
        smart_charging.drop_limit(session_id=received.session_id, serial=serial, now=now)


def _push(
    partners: Mapping[int, Partner], lease: Lease, received: ReceivedCommand, now: datetime
) -> Push | None:
    if received.decided_at is None or now > received.decided_at + OF_USE_FOR:
        return None
    partner, operator = partners[lease.partner_id], received.operator
    dialect = dialect_of(partner)
    writer = dialect.charging_profiles if received.kind in OF_LIMITS else dialect.commands
    body = Written.of(writer.write_result(received))
    owner = (operator.country_code.upper(), operator.cpo_party_id.upper())
    asker = (received.country_code, received.party_id)
    push = push_to(
        partner, lease, received.response_url, body, from_party=owner, to_party=asker, method="POST"
    )
    return push.to_callback()
