"""What partners must hear of. Receivers run in the transaction of the change: they write rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from bookings.core.calendars import mark_depot_changed
from bookings.models import Booking, BookingEvent, BookingStatus, ChargeDetailRecord, Invoice, PartnerCommand
from bookings.signals import (
    booking_changed,
    calendars_raised,
    cdr_issued,
    customer_limit_settled,
    given_power_changed,
    invoices_issued,
    partner_commanded,
    tokens_changed,
)
from depots import round_trips
from depots import signals as depots
from depots.models import ChargerCommand, ChargingSession
from depots.notices import TELL
from roaming import guest_sessions, tasks
from roaming.commands import limits, remote_starts, results, sent
from roaming.models import PartnerComparison
from roaming.outbound import fan_out, token_changes
from roaming.outbound.waking import WAKE_CHANNEL

Action = ChargerCommand.Action
OF_PARTNERS = {Action.REMOTE_START, Action.REMOTE_STOP, Action.UNLOCK, Action.GET_COMPOSITE_SCHEDULE}
NEVER_SENT = {BookingStatus.HELD, BookingStatus.EXPIRED}
# One round trip, since every booking of a partner pays for it. A row that is wanted as new already stays as it is: who tries it
# again and when is the sending loop's to say. The loop hears of it when this commits.
_DELIVER = round_trips.Prepared(f"""
WITH partner AS (SELECT id FROM roaming_partner WHERE organisation_id = %(fleet)s),
wanted AS (
    INSERT INTO roaming_delivery
        (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
    SELECT id, 'booking', %(booking)s::bigint, %(version)s::bigint, 0, %(at)s::timestamptz, 0, '', false FROM partner
    ON CONFLICT (partner_id, kind, object_id) DO UPDATE
    SET wanted_version = EXCLUDED.wanted_version, next_try_at = EXCLUDED.next_try_at
    WHERE roaming_delivery.wanted_version < EXCLUDED.wanted_version
)
{TELL} SELECT '{WAKE_CHANNEL}', '' FROM partner
""")  # noqa: S608 - made of constants


_BILL = round_trips.Prepared(f"""
WITH wanted AS (
    INSERT INTO roaming_delivery
        (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
    SELECT id, 'cdr', %(cdr)s::bigint, 1, 0, %(at)s::timestamptz, 0, '', false
    FROM roaming_partner WHERE organisation_id = %(customer)s
    ON CONFLICT (partner_id, kind, object_id) DO NOTHING
    RETURNING id
)
{TELL} SELECT '{WAKE_CHANNEL}', '' FROM wanted
""")  # noqa: S608 - made of constants

# In the order of their keys, as all that writes rows of several partners.
_RECONCILE = round_trips.Prepared(f"""
WITH wanted AS (
    INSERT INTO roaming_delivery
        (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
    SELECT p.id, 'invoice_record', r.invoice_id, 1, 0, %(at)s::timestamptz, 0, '', false
    FROM bookings_invoicereconciliationrecord r JOIN roaming_partner p ON p.organisation_id = r.counterparty_id
    WHERE r.invoice_id = ANY(%(invoices)s::bigint[])
    ORDER BY p.id, r.invoice_id
    ON CONFLICT (partner_id, kind, object_id) DO NOTHING
    RETURNING id
)
{TELL} SELECT DISTINCT '{WAKE_CHANNEL}', '' FROM wanted
""")  # noqa: S608 - made of constants


@receiver(booking_changed, dispatch_uid="roaming.booking_changed")
def deliver_booking(booking: Booking, event: BookingEvent, at: datetime, **_: Any) -> None:
    """Its own partner, and nobody else, is to have the booking as it is now."""
    if booking.route != Booking.Route.INBOUND or booking.status in NEVER_SENT:
        return
    if event.after == BookingStatus.CHARGING and event.kind == "status" and booking.session_id is not None:
        guest_sessions.begin_booked(booking, booking.session_id, at=at)
    round_trips.send(
        _DELIVER, {"fleet": booking.fleet_id, "booking": booking.pk, "version": booking.version, "at": at}
    )
    if booking.terms_json.get("max_open_bookings") is not None and event.kind == "status":
        mark_depot_changed(booking.depot_id, at=at)  # the partner may be at its limit now, or off it


@receiver(calendars_raised, dispatch_uid="roaming.calendars_raised")
def deliver_calendars(option_ids: list[int], at: datetime, **_: Any) -> None:
    """In the tick that raised them, never in a booking: it must not wait for three hundred partners' rows."""
    fan_out.want(option_ids, now=at)


@receiver(depots.charging_started, dispatch_uid="roaming.charging_started")
def deliver_session(session: ChargingSession, at: datetime, **_: Any) -> None:
    """Whoever's booking or token it uses, if that is a partner's, is told of it from its beginning."""
    if guest_sessions.begin(session, at=at):
        remote_starts.note_start(session, now=at)


@receiver(depots.charging_ended, dispatch_uid="roaming.charging_ended")
@receiver(depots.charging_corrected, dispatch_uid="roaming.charging_corrected")
def deliver_ended_session(session: ChargingSession, at: datetime, **_: Any) -> None:
    guest_sessions.changed([session.pk], at=at)


@receiver(cdr_issued, dispatch_uid="roaming.cdr_issued")
def deliver_cdr(cdr: ChargeDetailRecord, at: datetime, **_: Any) -> None:
    """A record, credit or new issue to its customer's partner."""
    round_trips.send(_BILL, {"cdr": cdr.pk, "customer": cdr.customer_id, "at": at})


@receiver(invoices_issued, dispatch_uid="roaming.invoices_issued")
def deliver_invoice_records(invoices: list[Invoice], at: datetime, **_: Any) -> None:
    """Of each invoice the partner that it concerns is told which CDRs it is about."""
    round_trips.send(_RECONCILE, {"invoices": [invoice.pk for invoice in invoices], "at": at})


@receiver(tokens_changed, dispatch_uid="roaming.tokens_changed")
def deliver_tokens(token_ids: list[int], at: datetime, **_: Any) -> None:
    """Who may charge no more must not charge at partners any longer than it takes to tell them."""
    token_changes.want(token_ids, now=at)


@receiver(booking_changed, dispatch_uid="roaming.reservation_changed")
def follow_reservation(booking: Booking, at: datetime, **_: Any) -> None:
    if booking.is_reservation:
        if booking.status == BookingStatus.CHARGING and booking.session_id is not None:
            guest_sessions.begin_booked(booking, booking.session_id, at=at)
        else:
            guest_sessions.reservation_changed(booking, at=at)
        results.follow_reservation(booking, at=at)


@receiver(depots.command_settled, dispatch_uid="roaming.command_settled")
def take_command_answer(command: ChargerCommand, at: datetime, **_: Any) -> None:
    """What a person or a partner waits for: what the closed loop asks of chargers is many times as much, and none of it."""
    if command.action in OF_PARTNERS:
        results.take_answer(command, now=at)


@receiver(customer_limit_settled, dispatch_uid="roaming.customer_limit_settled")
def answer_for_limit(session_id: int, is_kept: bool, at: datetime, **_: Any) -> None:
    limits.settle(session_id, is_kept=is_kept, now=at)


@receiver(given_power_changed, dispatch_uid="roaming.given_power_changed")
def deliver_active_profiles(session_ids: list[int], at: datetime, **_: Any) -> None:
    limits.want_active_profiles(session_ids, now=at)


@receiver(partner_commanded, dispatch_uid="roaming.partner_commanded")
def send_command(command: PartnerCommand, at: datetime, **_: Any) -> None:
    sent.want(command, at=at)


@receiver(post_save, sender=PartnerComparison, dispatch_uid="roaming.comparison_asked")
def begin_comparison(instance: PartnerComparison, **_: Any) -> None:
    """Only who asks for one saves its row: how far it is gets written by updates."""
    tasks.compare_partner.send(instance.pk)
