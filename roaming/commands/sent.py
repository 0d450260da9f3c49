"""What our dispatchers have partners' chargers do: asked once and never again, and heard of later at an address of its own.

A PartnerCommand is a Delivery of kind `command`. It is noted as sent before it is, so that whoever takes over after a kill does
not send it again. While its result is waited for the delivery stays due for the moment at which that is given up.
"""

from __future__ import annotations

from datetime import datetime

from bookings import operations
from bookings.models import Booking, PartnerCommand
from roaming.commands.told import ToldResult
from roaming.mirror.partner_places import owner_of_mirror
from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Answer, Written
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound import best_effort, deliveries
from roaming.outbound.deliveries import Lease
from roaming.outbound.pushes import Method, Push, partners_of, push_to, written_each
from roaming.outbound.waking import wake_sender

Kind = PartnerCommand.Kind
PAUSED = "The connection to the partner is paused."
SUSPENDED = "The partner is suspended, or not registered any more."
GIVEN_UP_AT_ONCE = 500
UNHEARD = "It is not known whether the partner got it."


def offered(booking: Booking) -> frozenset[str]:
    """Named by settings.PARTNER_CONTROL."""
    partner = Partner.objects.filter(organisation=booking.depot.operator_id).first()
    if partner is None or not partner.is_registered or partner.paused_at is not None:
        return frozenset()
    dialect = dialect_of(partner)
    commands = {Kind.START, Kind.STOP, Kind.UNLOCK} if dialect.commands.url(partner, Kind.START) else set()
    limits = PartnerCommand.OF_LIMITS if dialect.charging_profiles.url(partner, "x") else ()
    return frozenset({*commands, *limits})


def want(command: PartnerCommand, *, at: datetime) -> None:
    """In the transaction of the command: leave it to the sender, and wake it when this commits."""
    partner = Partner.objects.get(organisation=command.booking.depot.operator_id)
    Delivery.objects.create(
        partner=partner,
        kind=Delivery.Kind.COMMAND,
        object_id=command.pk,
        wanted_version=1,
        next_try_at=at,
    )
    wake_sender()


def commands_written(leases: list[Lease], *, now: datetime) -> list[Push]:
    """The POSTs of commands that were not sent yet. One that was, and is due again, has waited long enough."""
    partners = partners_of(leases)
    rows = PartnerCommand.objects.select_related(
        "booking__depot__operator", "booking__option", "booking__evse", "booking__fleet"
    )
    rows = rows.prefetch_related("booking__remote_sessions")
    found = rows.in_bulk([lease.object_id for lease in leases])

    def write(lease: Lease) -> Push | None:
        command = found.get(lease.object_id)
        if command is None or command.state not in PartnerCommand.WAITING:
            return None
        if command.sent_at is not None or now >= command.answer_by:
            if now < command.answer_by:
                _wait(lease, command)
            else:
                _given_up(command.pk, UNHEARD, now)
            return None
        if partners[lease.partner_id].paused_at is not None:
            _given_up(command.pk, PAUSED, now)
            return None
        push = _push(partners[lease.partner_id], lease, command, now)
        if push is None:
            _given_up(command.pk, "The partner does not take this.", now)
            return None
        PartnerCommand.objects.filter(pk=command.pk).update(sent_at=now)
        return push

    return written_each(leases, write, now=now)


def answered(lease: Lease, answer: Answer | CallFailed, *, now: datetime) -> None:
    """What became of sending it; whatever that is, it is not sent again."""
    if isinstance(answer, CallFailed):
        _failed(lease, answer, now)
        return
    deliveries.record_success(lease.partner_id, now=now)
    partner = Partner.objects.get(pk=lease.partner_id)
    sent = PartnerCommand.objects.get(pk=lease.object_id)
    dialect = dialect_of(partner)
    module = dialect.charging_profiles if sent.kind in PartnerCommand.OF_LIMITS else dialect.commands
    try:
        told = module.read_response(answer.data)
    except UnreadableError as error:
        _failed(lease, Refused(answer.http_status, answer.status_code, f"unreadable answer: {error}"), now)
        return
    command = operations.take_response(
        command_id=lease.object_id, is_taken=told.is_taken, text=told.text, waits=told.waits, now=now
    )
    best_effort.decided(command, now=now)
    if command.state in PartnerCommand.WAITING:
        _wait(lease, command)
    else:
        deliveries.is_over(lease, now=now)


def give_up_at_absent(*, now: datetime) -> int:
    """What partners were to do that were suspended or have left meanwhile, to whom nothing is sent. How many."""
    waiting = PartnerCommand.objects.filter(state__in=PartnerCommand.WAITING)
    at_partner = waiting.filter(booking__depot__operator__partner__isnull=False)
    absent = at_partner.exclude(booking__depot__operator__partner__state=Partner.State.REGISTERED)
    found = list(absent.order_by("pk").values_list("pk", flat=True)[:GIVEN_UP_AT_ONCE])
    for pk in found:
        _given_up(pk, SUSPENDED, now)
    return len(found)


def find(partner: Partner, key: str) -> PartnerCommand | None:
    """Of a booking at this partner's own depot, by the unguessable part of the address that it was given."""
    at_theirs = PartnerCommand.objects.filter(booking__depot__operator=partner.organisation_id)
    return at_theirs.select_related("booking").filter(key=key).first()


def _push(partner: Partner, lease: Lease, command: PartnerCommand, now: datetime) -> Push | None:
    dialect, booking = dialect_of(partner), command.booking
    method: Method = "POST"
    if command.kind in PartnerCommand.OF_LIMITS:
        method, url, told = dialect.charging_profiles.call(partner, command, now)
    else:
        url = dialect.commands.url(partner, command.kind)
        told = dialect.commands.write(command, now) if url else None
    if not url:
        return None
    body = Written.of(told) if told is not None else None
    customer = (booking.customer_country, booking.customer_party)
    push = push_to(
        partner, lease, url, body, from_party=customer, to_party=owner_of_mirror(booking.depot), method=method
    )
    return push.once(answered)


def _failed(lease: Lease, failure: CallFailed, now: datetime) -> None:
    if isinstance(failure, Refused) and not failure.is_their_fault:
        command = operations.take_response(
            command_id=lease.object_id, is_taken=False, text=failure.message or str(failure), now=now
        )
        best_effort.decided(command, now=now)
    else:
        deliveries.record_failure(lease.partner_id, failure, now=now)
        _given_up(lease.object_id, str(failure), now)
    deliveries.is_over(lease, now=now)


def _given_up(command_id: int, text: str, now: datetime) -> None:
    best_effort.decided(operations.give_up_waiting(command_id=command_id, text=text, now=now), now=now)


def take_result(command: PartnerCommand, told: ToldResult, *, now: datetime) -> None:
    """What the partner's charger answered, or that a charger which it kept for us is taken back."""
    if told.is_taken_back and command.kind == PartnerCommand.Kind.RESERVE:
        best_effort.taken_back(command, now=now)
        return
    taken = operations.take_result(command_id=command.pk, is_done=told.is_done, text=told.text, now=now)
    best_effort.decided(taken, now=now)


def _wait(lease: Lease, command: PartnerCommand) -> None:
    """Due again when nothing more is to be expected."""
    ours = Delivery.objects.filter(pk=lease.delivery_id, leased_until=lease.until)
    ours.update(leased_until=None, next_try_at=command.answer_by, attempts=0, last_error="")
