"""What bookings does when it hears of something. All of it runs inside the sender's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.dispatch import receiver

from bookings import enforcement, operations, smart_charging
from bookings.actors import Actor
from bookings.billing import payment_use, settlement
from bookings.core import power_marks
from bookings.models import (
    AgreementEvent,
    AgreementProposal,
    Booking,
    BookingEvent,
    BookingPayment,
    BookingSeries,
    BookingStatus,
    ChargeDetailRecord,
    ExternalLimit,
    Invoice,
    Reminder,
    ScheduledBilling,
    Trip,
    WaitlistEntry,
)
from bookings.notifications import business_news
from bookings.payments.prepaid import Account
from bookings.signals import (
    agreement_moved,
    balance_raised,
    billing_due,
    booked_again,
    booking_changed,
    calendars_raised,
    cdr_issued,
    closures_changed,
    end_taken_back,
    invoices_issued,
    limit_set,
    limits_lifted,
    mails_due,
    offers_told,
    provider_owed,
    reminder_due,
    series_due,
    series_missed,
    trip_settled,
    vehicle_told,
    waitlist_expired,
    waitlist_offered,
)
from depots import operations as depot_operations
from depots import signals as depots
from depots.commissioning import take_settings_answer
from depots.gate import Authorization
from depots.models import Agreement, Charger, ChargerCommand, ChargingSession, Evse
from depots.operations.security_raise import take_raise_answer

START_ANSWERED = timedelta(seconds=0.5)


@receiver(booking_changed)
def on_booking_changed(booking: Booking, event: BookingEvent, at: datetime, **_: Any) -> None:
    enforcement.follow(booking, event, now=at)
    _follow_power(booking, event, now=at)
    if booking.pays_before and event.kind == "status" and event.after == BookingStatus.COMPLETED:
        _follow_payment(booking.pk)


@receiver(limit_set)
def on_limit_set(limit: ExternalLimit, before: ExternalLimit | None, at: datetime, **_: Any) -> None:
    smart_charging.tell_limit(limit, before=before, now=at)


@receiver(limits_lifted)
def on_limits_lifted(limits: list[ExternalLimit], at: datetime, **_: Any) -> None:
    smart_charging.tell_lifted(limits, now=at)


@receiver(depots.reservations_accepted)
def on_reservations_accepted(commands: list[ChargerCommand], at: datetime, **_: Any) -> set[int]:
    return enforcement.take_accepted(commands, now=at)


@receiver(depots.command_settled)
def on_command_settled(command: ChargerCommand, at: datetime, is_together: bool = False, **_: Any) -> None:
    if is_together:
        return
    enforcement.take_reservation_answer(command, now=at)
    enforcement.take_keeping_answer(command, now=at)
    enforcement.take_test_answer(command, now=at)
    depot_operations.take_list_answer(command, now=at)
    operations.take_remote_answer(command, now=at)
    take_settings_answer(command, now=at)
    take_raise_answer(command, now=at)
    smart_charging.take_profile_answer(command, now=at)


@receiver(depots.chargers_changed)
def on_chargers_changed(chargers: list[Charger], at: datetime, **_: Any) -> None:
    power_marks.mark_depots_of([charger.pk for charger in chargers], due_at=at)


@receiver(depots.chargers_first_connected)
def on_chargers_first_connected(charger_ids: list[int], at: datetime, **_: Any) -> None:
    """From this transaction on what they may take counts: others are lowered before anything is given to them."""
    power_marks.mark_depots_of(charger_ids, due_at=at)


@receiver(depots.chargers_connected)
def on_chargers_connected(rebooted: dict[Charger, bool], at: datetime, **_: Any) -> set[int]:
    return enforcement.take_connected(rebooted, now=at)


@receiver(depots.chargers_disconnected)
def on_chargers_disconnected(chargers: list[Charger], at: datetime, **_: Any) -> set[int]:
    return enforcement.take_disconnected(chargers, now=at)


@receiver(depots.charger_connected)
def on_charger_connected(
    charger: Charger, rebooted: bool, at: datetime, is_together: bool = False, **_: Any
) -> None:
    if not is_together:
        if rebooted:
            depot_operations.forget_lists([charger.pk], now=at)
        enforcement.charger_connected(charger, rebooted=rebooted, now=at)
        power_marks.mark_depots_of([charger.pk], due_at=at)


@receiver(depots.charger_disconnected)
def on_charger_disconnected(charger: Charger, at: datetime, is_together: bool = False, **_: Any) -> None:
    if not is_together:
        enforcement.charger_disconnected(charger, now=at)
        power_marks.mark_depots_of([charger.pk], due_at=at)


@receiver(depots.evse_status_changed)
def on_evse_status_changed(
    evse: Evse, before: str, at: datetime, is_together: bool = False, **_: Any
) -> None:
    if not is_together:
        enforcement.evse_status_changed(evse, before, now=at)


@receiver(depots.evse_status_repeated)
def on_evse_status_repeated(evse: Evse, at: datetime, **_: Any) -> None:
    enforcement.evse_status_repeated(evse, now=at)


@receiver(depots.statuses_told)
def on_statuses_told(befores: dict[Evse, str], at: datetime, **_: Any) -> set[int]:
    return enforcement.take_statuses(befores, now=at)


@receiver(depots.reservation_ended)
def on_reservation_ended(charger: Charger, reservation_id: int, outcome: str, at: datetime, **_: Any) -> None:
    enforcement.reservation_ended(charger, reservation_id, outcome, now=at)


@receiver(depots.token_presented)
def on_token_presented(charger: Charger, token_uid: str, at: datetime, **_: Any) -> None:
    enforcement.token_presented(charger, token_uid, now=at)


@receiver(depots.charging_started)
def on_charging_started(session: ChargingSession, answer: Authorization, at: datetime, **_: Any) -> None:
    enforcement.session_started(session, answer, now=at)
    # A limit of its own is taken once the charger has heard the answer to its start.
    power_marks.mark_depot(session.charger.depot_id, due_at=at + START_ANSWERED)


@receiver(depots.charging_ended)
def on_charging_ended(session: ChargingSession, at: datetime, **_: Any) -> None:
    enforcement.session_ended(session, now=at)
    power_marks.mark_depot(session.charger.depot_id, due_at=at)


@receiver(depots.charging_corrected)
def on_charging_corrected(session: ChargingSession, at: datetime, **_: Any) -> None:
    operations.correct_session(session=session, actor=Actor.charger(session.charger), now=at)


@receiver(cdr_issued)
def on_cdr_issued(cdr: ChargeDetailRecord, **_: Any) -> None:
    """Of what was credited nothing may be left to be paid."""
    if cdr.is_credit and cdr.booking is not None and cdr.booking.pays_before:
        _follow_payment(cdr.booking.pk)


def _follow_power(booking: Booking, event: BookingEvent, *, now: datetime) -> None:
    """Its promise is ready when its slot begins; one that changes while it charges is another one at once."""
    is_armed = event.kind == "enforcement" and booking.status == BookingStatus.CONFIRMED
    if is_armed and booking.is_ours:
        power_marks.mark_limited(booking.depot_id, due_at=max(booking.starts_at, now))
    elif event.kind == "changed" and booking.status == BookingStatus.CHARGING and booking.is_ours:
        power_marks.mark_depot(booking.depot_id, due_at=now)


def _follow_payment(booking_id: int) -> None:
    from bookings.tasks import follow_payment

    follow_payment.send(booking_id)


@receiver(balance_raised)
def on_balance_raised(account: Account, **_: Any) -> None:
    from bookings.tasks import answer_waiting

    if operations.waiting_for_payment(account):
        answer_waiting.send(account.operator_id, account.customer_id, account.currency)


@receiver(provider_owed)
def on_provider_owed(payment: BookingPayment, **_: Any) -> None:
    from bookings.tasks import tell_provider

    tell_provider.send(payment.pk)


@receiver(invoices_issued)
def on_invoices_issued(invoices: list[Invoice], at: datetime, **_: Any) -> None:
    from bookings.tasks import check_record_prices, deliver_invoice  # once the broker is there

    notes = [invoice for invoice in invoices if invoice.kind == Invoice.Kind.CREDIT_NOTE]
    for note in sorted(notes, key=lambda note: note.corrects_id or 0):  # locks them in this order
        settlement.offset(note, now=at)
    payment_use.use_for(invoices, now=at)
    for invoice in invoices:
        deliver_invoice.send(invoice.pk)
        check_record_prices.send(invoice.pk)
    business_news.tell_of_invoices(invoices, at=at)


@receiver(billing_due)
def on_billing_due(billing: ScheduledBilling, at: datetime, **_: Any) -> None:
    from bookings.tasks import bill_scheduled

    bill_scheduled.send(billing.pk)


@receiver(reminder_due)
def on_reminder_due(reminder: Reminder, at: datetime, **_: Any) -> None:
    from bookings.tasks import send_reminder

    send_reminder.send(reminder.pk)


@receiver(agreement_moved)
def on_agreement_moved(
    kind: str, about: Agreement | AgreementProposal, actor: Actor, at: datetime, **_: Any
) -> None:
    business_news.tell_of_agreement(kind, about, actor=actor, at=at)


@receiver(closures_changed)
def on_closures_changed(evse_ids: list[int], at: datetime, **_: Any) -> None:
    business_news.tell_of_closures(evse_ids, at=at)


@receiver(trip_settled)
def on_trip_settled(trip: Trip, at: datetime, **_: Any) -> None:
    business_news.tell_of_trip(trip, at=at)


@receiver(calendars_raised)
@receiver(offers_told)
def on_calendars_told(option_ids: list[int], at: datetime, **_: Any) -> None:
    operations.mark_options(option_ids, at=at)


@receiver(waitlist_offered)
def on_waitlist_offered(entry: WaitlistEntry, at: datetime, **_: Any) -> None:
    business_news.tell_of_offer(entry, at=at)


@receiver(waitlist_expired)
def on_waitlist_expired(entries: list[WaitlistEntry], why: str, at: datetime, **_: Any) -> None:
    business_news.tell_of_expired(entries, why, at=at)


@receiver(end_taken_back)
def on_end_taken_back(event: AgreementEvent, **_: Any) -> None:
    """Who took it back does it at once; the job is for what a killed process has left."""
    from bookings.tasks import book_again

    book_again.send(event.pk)


@receiver(booked_again)
def on_booked_again(event: AgreementEvent, at: datetime, **_: Any) -> None:
    business_news.tell_of_reopening(event, at=at)


@receiver(mails_due)
def on_mails_due(claims: list[tuple[int, int]], **_: Any) -> None:
    from bookings.tasks import send_mail

    for mail_id, attempts in claims:
        send_mail.send(mail_id, attempts)


@receiver(series_due)
def on_series_due(series_ids: list[int], **_: Any) -> None:
    from bookings.tasks import extend_series

    for series_id in series_ids:
        extend_series.send(series_id)


@receiver(series_missed)
def on_series_missed(series: BookingSeries, missed: dict[str, Any], at: datetime, **_: Any) -> None:
    business_news.tell_of_missed_days(series, missed, at=at)


@receiver(vehicle_told)
def on_vehicle_told(vehicle_id: int, **_: Any) -> None:
    from bookings.tasks import follow_eta

    follow_eta.send(vehicle_id)
