"""A mail is a row, sent once, tried again while its server is away, and logged."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail as outbox

from bookings.models import OutgoingMail
from bookings.notifications import mails
from bookings.signals import mails_due
from tests.factories import NOW, make_fleet, make_user

pytestmark = pytest.mark.django_db
NEWS = [{"kind": "webhook_stopped", "params": {"url": "https://a.example/"}, "link": "/webhooks/1/"}]


@pytest.fixture
def claims():
    """Those given to jobs."""
    given: list[tuple[int, int]] = []

    def take(claims, **_):
        given.extend(claims)

    mails_due.connect(take)
    yield given
    mails_due.disconnect(take)


def waiting(**fields) -> OutgoingMail:
    return OutgoingMail.objects.create(
        user=make_user(make_fleet()), **{"news": NEWS, "due_at": NOW, **fields}
    )


def test_what_is_due_is_claimed_once_and_sent(claims):
    mail = waiting()
    waiting(due_at=NOW + timedelta(seconds=1))

    mails.queue_due(now=NOW)
    mails.queue_due(now=NOW)
    assert claims == [(mail.pk, 0)]
    assert mails.send(mail_id=mail.pk, attempts=0, clock=lambda: NOW)

    mail.refresh_from_db()
    assert (mail.state, mail.sent_at, mail.attempts) == ("sent", NOW, 1)
    [sent] = outbox.outbox
    assert sent.to == [mail.user.email]
    assert sent.subject == "Webhook stopped: https://a.example/"
    assert "/webhooks/1/" in sent.body


def test_of_two_jobs_for_one_claim_one_sends(claims):
    mail = waiting()
    mails.queue_due(now=NOW)

    done = [mails.send(mail_id=mail.pk, attempts=0, clock=lambda: NOW) for _ in range(2)]

    assert done == [True, False]
    assert len(outbox.outbox) == 1


def test_a_job_that_was_killed_is_followed_by_another_when_its_claim_is_over(claims):
    mail = waiting()
    mails.queue_due(now=NOW)
    OutgoingMail.objects.update(attempts=1)  # it had begun

    mails.queue_due(now=NOW + timedelta(minutes=1))
    mails.queue_due(now=NOW + mails.CLAIMED_FOR)

    assert claims == [(mail.pk, 0), (mail.pk, 1)]


def test_a_server_that_is_away_is_asked_again_and_then_no_more(claims, monkeypatch):
    def away(*_):
        raise ConnectionRefusedError("no mail server")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", away)
    mail, now, pauses = waiting(), NOW, []

    for attempt in range(mails.MOST_ATTEMPTS):
        mails.queue_due(now=now)
        assert not mails.send(mail_id=mail.pk, attempts=attempt, clock=lambda at=now: at)
        mail.refresh_from_db()
        pauses.append(mail.due_at - now)
        now = mail.due_at

    assert (mail.state, mail.error) == ("failed", "no mail server")
    assert (pauses[0], max(pauses)) == (mails.FIRST_PAUSE, mails.LONGEST_PAUSE)
    mails.queue_due(now=now)
    assert len(claims) == mails.MOST_ATTEMPTS


def test_each_attempt_has_the_same_message_id():
    mail = waiting()

    first, second = (mails.message(mail).message()["Message-ID"] for _ in range(2))

    assert first == second == f"<mail-{mail.pk}@127.0.0.1>"


def test_old_mails_are_forgotten():
    waiting(due_at=NOW - timedelta(days=31), state="sent")
    kept = waiting(state="sent")

    mails.forget_old(now=NOW)

    assert list(OutgoingMail.objects.all()) == [kept]
