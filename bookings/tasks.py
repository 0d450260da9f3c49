"""Jobs: each looks again at the truth, makes one call, and may run twice."""

from __future__ import annotations

from contextlib import suppress

import dramatiq
from django.utils import timezone
from dramatiq.errors import Retry

from bookings import operations
from bookings.billing import billing_schedule, delivery, payment_use, provider_calls, reminders
from bookings.billing.reconciliation.price_checks import check_prices
from bookings.errors import BookingError
from bookings.models import Booking, ChargeDetailRecord
from bookings.notifications import feed, inbox, mails
from bookings.payments.prepaid import Account
from bookings.webhooks import deliveries as webhooks
from depots.operations.gazetteer import load_gazetteer


@dramatiq.actor(max_retries=20, max_backoff=3_600_000)
def deliver_invoice(invoice_id: int) -> None:
    """Write it and send it; a mail server that is down is asked again."""
    delivery.write_invoice(invoice_id=invoice_id, now=timezone.now())
    delivery.send_invoice(invoice_id=invoice_id, now=timezone.now())


@dramatiq.actor(max_retries=5)
def check_record_prices(invoice_id: int) -> None:
    """What the records on an invoice cost by their own tariffs now, for reconciliation."""
    check_prices(ChargeDetailRecord.objects.filter(invoiced__invoice=invoice_id), now=timezone.now())


@dramatiq.actor(max_retries=5)
def bill_scheduled(billing_id: int) -> None:
    billing_schedule.bill_scheduled(billing_id=billing_id, now=timezone.now())


@dramatiq.actor(max_retries=20, max_backoff=3_600_000)
def send_reminder(reminder_id: int) -> None:
    reminders.send_reminder(reminder_id=reminder_id, now=timezone.now())


@dramatiq.actor(max_retries=20, max_backoff=3_600_000)
def follow_payment(booking_id: int) -> None:
    """Give back what a booking that is over secured, if nothing of it is left to be paid; once its session has ended."""
    booking = Booking.objects.select_related("session").get(pk=booking_id)
    if payment_use.is_underway(booking):
        raise Retry("Its session still runs.")
    payment_use.follow(booking, now=timezone.now())


@dramatiq.actor(max_retries=20, max_backoff=60_000)
def answer_waiting(operator_id: int, customer_id: int, currency: str) -> None:
    """A prepaid balance has risen: the bookings that wait for it, each in a transaction of its own, in order of asking."""
    for booking_id in operations.waiting_for_payment(Account(operator_id, customer_id, currency)):
        with suppress(BookingError):  # too little for this one, or it waits no more
            operations.secure_from_balance(booking_id=booking_id, now=timezone.now())


@dramatiq.actor(max_retries=0)
def tell_provider(booking_id: int) -> None:
    """The scheduler queues it again until the provider has answered."""
    provider_calls.tell_provider(booking_id=booking_id, clock=timezone.now)


@dramatiq.actor(max_retries=3)
def load_places() -> None:
    """The names of places, where another list of them is installed than is loaded."""
    load_gazetteer(now=timezone.now())


@dramatiq.actor(max_retries=0)
def send_mail(mail_id: int, attempts: int) -> None:
    """The row says when it is tried again, and the scheduler asks."""
    mails.send(mail_id=mail_id, attempts=attempts, clock=timezone.now)


@dramatiq.actor(max_retries=0)
def extend_series(series_id: int) -> None:
    """The row says when it is tried again, and the scheduler asks."""
    operations.extend_series(series_id=series_id, now=timezone.now())


@dramatiq.actor(max_retries=5)
def book_again(event_id: int) -> None:
    """What an end of an agreement that was taken back had cancelled, as far as that is not done."""
    operations.book_again(event_id=event_id, now=timezone.now())


@dramatiq.actor(max_retries=3)
def follow_eta(vehicle_id: int) -> None:
    """By what was told last, which may be later than what queued it."""
    operations.follow_eta(vehicle_id=vehicle_id, now=timezone.now())


@dramatiq.actor(max_retries=5, time_limit=3_600_000)
def forget_old_news() -> None:
    """Once a day, what people and systems were told long ago, and who waited for a slot, in batches."""
    told = (webhooks.forget_old, feed.forget_old, inbox.forget_old, mails.forget_old)
    for forget_old in (*told, operations.forget_settled):
        forget_old(now=timezone.now())
