"""Mails: a row each, sent by a job, with what happens to the same booking within QUIET in one.

A job claims its row and commits before it calls the mail server. Killed before the server said yes, the row is taken again when
the claim has run out; killed between that and its commit, the same mail goes out twice, with the same Message-ID.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction

from bookings.core.forgetting import delete_in_batches
from bookings.models import Booking, BookingStatus, Enforcement, OutgoingMail, Reader
from bookings.notifications import calendar_file, wording
from bookings.notifications.kinds import KINDS
from bookings.notifications.recipients import Told
from bookings.notifications.resolving import OVER_BY
from bookings.signals import mails_due

logger = logging.getLogger(__name__)

# So long what happens to one booking is gathered.
QUIET = timedelta(minutes=1)
CLAIMED_FOR = timedelta(minutes=2)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
MOST_ATTEMPTS = 30  # about a day
MAILS_KEPT = timedelta(days=30)
AT_ONCE = 500
MOST_NEWS = 50

# As it is kept in the row of a mail.
News = dict[str, Any]

_ADD = """
INSERT INTO bookings_outgoingmail (user_id, booking_id, news, state, due_at, attempts, error)
SELECT user_id, booking_id, news, 'waiting', due_at, 0, ''
FROM json_populate_recordset(NULL::bookings_outgoingmail, %s)
ON CONFLICT (user_id, booking_id) WHERE state = 'waiting' DO UPDATE SET news = bookings_outgoingmail.news || EXCLUDED.news
WHERE jsonb_array_length(bookings_outgoingmail.news) < %s
"""
_CLAIM_DUE = """
UPDATE bookings_outgoingmail SET state = 'sending', claimed_until = %(until)s
WHERE id = ANY(ARRAY(
    SELECT id FROM bookings_outgoingmail
    WHERE state IN ('waiting', 'sending') AND due_at <= %(now)s AND (claimed_until IS NULL OR claimed_until <= %(now)s)
    ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
)) RETURNING id, attempts
"""


def deliver(told: Sequence[Told], *, now: datetime) -> None:
    """Write what is to be mailed; what is of the same person and booking is one mail."""
    mails: dict[tuple[int, int], list[Told]] = {}
    for number, one in enumerate(told):
        if one.mail:
            mails.setdefault((one.user_id, one.news.booking_id or -number - 1), []).append(one)
    if not mails:
        return
    rows = [
        {
            "user_id": user_id,
            "booking_id": booking_id if booking_id > 0 else None,
            "news": [{"kind": o.news.kind, "params": o.news.params, "link": o.news.link} for o in found],
            "due_at": (now + QUIET if booking_id > 0 else now).isoformat(),
        }
        for (user_id, booking_id), found in mails.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [json.dumps(rows), MOST_NEWS])


def queue_due(*, now: datetime) -> None:
    """Give what is due to jobs, in the transaction that claims it."""
    if not OutgoingMail.objects.filter(state__in=["waiting", "sending"], due_at__lte=now).exists():
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM_DUE, {"now": now, "until": now + CLAIMED_FOR, "most": AT_ONCE})
            claims = cursor.fetchall()
        if claims:
            mails_due.send(sender=OutgoingMail, claims=claims, at=now)


def send(*, mail_id: int, attempts: int, clock: Callable[[], datetime]) -> bool:
    """Send a mail that was claimed when it had had so many attempts; False where that claim is over, or the mail could not be
    sent and is tried again later."""
    claim = OutgoingMail.objects.filter(pk=mail_id, state="sending", attempts=attempts)
    if not claim.update(attempts=attempts + 1):
        return False
    mail = OutgoingMail.objects.select_related("user__reader", "booking").get(pk=mail_id)
    if not news_now(mail):
        mail.delete()
        return True
    try:
        message(mail).send()
    except Exception as failure:  # also one that cannot be written: it is given up like one that is refused
        logger.exception("Mail %s could not be sent", mail.pk)
        _failed(mail, str(failure), now=clock())
        return False
    OutgoingMail.objects.filter(pk=mail.pk).update(
        state="sent", sent_at=clock(), claimed_until=None, error=""
    )
    return True


def message(mail: OutgoingMail) -> EmailMessage:
    """As it goes out: in the language of its reader, with the booking as it is now where one of its news brings a calendar."""
    language = language_of(mail)
    subject, text = wording.mail(news_now(mail), language)
    message_id = f"<mail-{mail.pk}@{urlsplit(settings.BERTH_BASE_URL).hostname}>"
    headers = {"Message-ID": message_id, "Auto-Submitted": "auto-generated"}
    made = EmailMessage(subject=subject, body=text, to=[mail.user.email], headers=headers)
    if mail.booking_id and any(KINDS[one["kind"]].carries_calendar for one in mail.news):
        booking = Booking.objects.select_related("depot__operator", "evse", "vehicle", "fleet").get(
            pk=mail.booking_id
        )
        if booking.status != BookingStatus.HELD:
            made.attach(*calendar_file.attached(booking, to=mail.user.email))
    return made


def news_now(mail: OutgoingMail) -> list[News]:
    """Without a risk that was over before its mail goes out: what else became of it says so itself. Nor that it is over, unless
    an earlier mail may have told of one."""
    kept: list[News] = []
    for one in mail.news:
        risks = [before for before in kept if OVER_BY.get(before["kind"]) == one["kind"]]
        kept = [before for before in kept if before not in risks]
        if not risks or risks[0]["params"].get("was_at_risk"):
            kept.append(one)
    if mail.booking is None or mail.booking.enforcement == Enforcement.AT_RISK:
        return kept
    return [one for one in kept if one["kind"] not in OVER_BY]


def language_of(mail: OutgoingMail) -> str:
    reader: Reader | None = getattr(mail.user, "reader", None)
    return reader.language if reader else wording.DEFAULT


def forget_old(*, now: datetime) -> None:
    delete_in_batches(OutgoingMail.objects.filter(due_at__lte=now - MAILS_KEPT))


def _failed(mail: OutgoingMail, error: str, *, now: datetime) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(mail.attempts - 1, 12), LONGEST_PAUSE)
    OutgoingMail.objects.filter(pk=mail.pk).update(
        state="failed" if mail.attempts >= MOST_ATTEMPTS else "sending",
        due_at=now + pause, claimed_until=None, error=error[:200],
    )  # fmt: skip
