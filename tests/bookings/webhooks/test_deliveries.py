"""What a webhook gets: each event, in order for a booking, retried; what fails holds up nobody else."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from standardwebhooks import Webhook as Verifier

from bookings.models import FeedEvent, Occurrence, Webhook, WebhookDelivery
from bookings.notifications import feed
from bookings.webhooks import calls, deliveries, registry
from bookings.webhooks.deliveries import Claim, Outcome
from tests.factories import NOW, book_slot, make_evse, make_fleet, make_vehicle, option_of, slot

pytestmark = pytest.mark.django_db
YES, NO = Outcome(status=204), Outcome(status=500, answer="broken")
URL = "https://hooks.example/berth"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def webhook(**fields) -> Webhook:
    made, _ = registry.make_webhook(organisation=make_fleet(), url=URL, now=NOW, **fields)
    return made


def owed(to: Webhook, *bookings: int | None, at: datetime = NOW) -> list[WebhookDelivery]:
    """A delivery each, of bookings told apart by a number."""
    events = [
        FeedEvent.objects.create(organisation=to.organisation, type=feed.CHANGED, content={"id": n}, at=at)
        for n in bookings
    ]
    return [
        WebhookDelivery.objects.create(webhook=to, event=event, booking_id=n, next_try_at=at, created_at=at)
        for event, n in zip(events, bookings, strict=True)
    ]


def claims(now: datetime) -> list[Claim]:
    return deliveries.claim(room=100, now=now)


def answer_all(outcome: Outcome, now: datetime) -> int:
    found = claims(now)
    for claim in found:
        deliveries.settle(claim, outcome, now=now)
    return len(found)


def test_of_one_booking_the_next_waits_for_the_one_before():
    first, second, other = owed(webhook(), 1, 1, 2)

    taken = claims(NOW)
    assert [claim.delivery_id for claim in taken] == [first.pk, other.pk]
    deliveries.settle(taken[0], NO, now=NOW)
    assert claims(after(1)) == []  # the second waits with the first
    again = claims(after(21))
    assert [claim.delivery_id for claim in again] == [first.pk]
    deliveries.settle(again[0], YES, now=after(21))

    assert [claim.delivery_id for claim in claims(after(21))] == [second.pk]


def test_a_late_outcome_counts_for_nothing():
    """The worker hung until its lease was over, and another one has the delivery."""
    [row] = owed(webhook(), 1)
    [late] = claims(NOW)
    [ours] = claims(after(60))

    deliveries.settle(late, NO, now=after(61))
    row.refresh_from_db()
    assert row.attempts == 0
    deliveries.settle(ours, YES, now=after(61))

    row.refresh_from_db()
    assert (row.state, row.attempts) == ("delivered", 1)


def test_pauses_grow_from_less_than_45_seconds_to_a_quarter_of_an_hour_for_three_days():
    [row] = owed(webhook(), 1)
    now, pauses = NOW, []

    while row.state == "waiting" and len(pauses) < 500:
        assert answer_all(NO, now) == 1
        row.refresh_from_db()
        hook = row.webhook
        hook.refresh_from_db()
        due = max(row.next_try_at, hook.retry_at or row.next_try_at)
        pauses.append((due - now).total_seconds())
        now = due

    assert pauses[0] <= 45
    assert pauses == sorted(pauses)
    assert max(pauses) == 900
    assert timedelta(days=3) <= now - NOW <= timedelta(days=3, minutes=30)


def test_one_that_fails_often_is_tried_with_one_delivery_and_gets_all_when_it_answers():
    hook = webhook()
    rows = owed(hook, *range(10))

    assert answer_all(NO, NOW) == 4
    assert claims(after(5)) == []
    assert answer_all(NO, after(25)) == 4  # the first retry of each
    [probe] = claims(after(26))
    assert probe.delivery_id == rows[4].pk
    assert claims(after(26)) == []
    deliveries.settle(probe, YES, now=after(27))

    assert [claim.delivery_id for claim in claims(after(27))] == [row.pk for row in rows[:4]]


def test_the_first_retry_of_each_comes_within_45_seconds_however_many_fail_together():
    rows = owed(webhook(), *range(12))
    tried: dict[int, list[int]] = {row.pk: [] for row in rows}

    for second in range(0, 400, 5):
        for claim in claims(after(second)):
            tried[claim.delivery_id].append(second)
            deliveries.settle(claim, NO, now=after(second))

    again = [times[1] - times[0] for times in tried.values() if times and times[0] < 300]
    assert len(again) >= 5
    assert max(again) <= 45
    # The circuit still spares the endpoint: no storm.
    assert sum(len(times) for times in tried.values()) <= 40


def test_a_webhook_is_locked_before_its_deliveries_by_who_settles_and_who_takes_it_away():
    """Else the two wait for each other."""
    [row] = owed(webhook(), 1)
    [claim] = claims(NOW)

    with CaptureQueriesContext(connection) as settling:
        deliveries.settle(claim, NO, now=NOW)
    with CaptureQueriesContext(connection) as removing:
        registry.remove(webhook_id=row.webhook_id)

    locks = [query["sql"] for query in settling if "FOR NO KEY UPDATE" in query["sql"]]
    assert locks[0].endswith('FOR NO KEY UPDATE OF "bookings_webhook"')
    assert 'FROM "bookings_webhookdelivery"' in locks[1]
    told = [query["sql"] for query in removing if "bookings_webhook" in query["sql"]]
    assert told[0].endswith("FOR UPDATE")
    assert told[1].startswith('DELETE FROM "bookings_webhookdelivery"')


def test_one_event_that_is_refused_alone_keeps_its_pause():
    hook = webhook()
    bad, good = owed(hook, 1, 2)
    taken = {claim.delivery_id: claim for claim in claims(NOW)}
    deliveries.settle(taken[bad.pk], NO, now=NOW)

    deliveries.settle(taken[good.pk], YES, now=NOW)

    assert claims(after(10)) == []
    assert [claim.delivery_id for claim in claims(after(21))] == [bad.pk]


def test_a_webhook_that_fails_holds_up_no_other():
    dead, alive = webhook(), webhook()
    owed(dead, *range(300))
    [last] = owed(alive, 1)

    found = claims(NOW)

    assert last.pk in [claim.delivery_id for claim in found]
    assert len(found) == 5


def test_410_stops_it_and_its_administrators_are_told():
    hook = webhook()
    owed(hook, 1)

    answer_all(Outcome(status=410), NOW)

    hook.refresh_from_db()
    told = Occurrence.objects.get()
    assert hook.state == Webhook.State.GONE
    assert (told.kind, told.organisation_id, told.link) == (
        "webhook_stopped", hook.organisation_id, f"/webhooks/{hook.pk}/",
    )  # fmt: skip
    assert claims(after(3600)) == []


def test_one_that_fails_for_three_days_is_stopped_and_told_once():
    hook = webhook()
    owed(hook, 1)
    answer_all(NO, NOW)
    owed(hook, 2, at=after(2 * 24 * 3600))

    answer_all(NO, after(3 * 24 * 3600 + 1))

    hook.refresh_from_db()
    assert hook.state == Webhook.State.DEAD
    assert Occurrence.objects.get().kind == "webhook_stopped"


def test_a_paused_one_is_not_called_and_gets_what_waited_when_it_is_resumed():
    hook = webhook()
    owed(hook, 1)
    registry.pause(webhook_id=hook.pk)

    assert claims(NOW) == []
    registry.resume(webhook_id=hook.pk, now=after(60))

    assert len(claims(after(60))) == 1


def test_what_waited_three_days_is_given_up():
    hook = webhook()
    [row] = owed(hook, 1)
    registry.pause(webhook_id=hook.pk)

    deliveries.give_up_overdue(now=after(3 * 24 * 3600))

    row.refresh_from_db()
    assert row.state == "given_up"


def test_a_delivery_is_sent_again_under_its_id():
    [row] = owed(webhook(), 1)
    [first] = claims(NOW)
    deliveries.settle(first, YES, now=NOW)
    row.refresh_from_db()

    registry.resend(delivery=row, now=after(60))

    [again] = claims(after(60))
    assert again.message_id == first.message_id
    assert calls.body_of(again) == calls.body_of(first)


def test_a_receiver_verifies_what_is_signed():
    made, secret = registry.make_webhook(organisation=make_fleet(), url=URL, now=NOW)
    [row] = owed(made, 7)
    now = datetime.now(tz=NOW.tzinfo)

    [claim] = claims(NOW)
    body = calls.body_of(claim)
    headers = calls.headers_of(claim, body, now=now)

    assert secret.startswith("whsec_")
    assert secret not in made.secret
    assert Verifier(secret).verify(body, headers) == {
        "type": "booking.changed", "timestamp": "2030-01-15T08:00:00.000Z", "data": {"id": 7}
    }  # fmt: skip
    assert headers["webhook-id"] == f"evt_{row.event_id}"


def test_a_webhook_gets_the_types_it_asks_for():
    evse, vehicle = make_evse(), make_vehicle()
    chosen, everything = (
        registry.make_webhook(organisation=vehicle.fleet, url=URL, events=events, now=NOW)[0]
        for events in (["booking.cancelled"], [])
    )
    booking = book_slot(fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot(10, 11))

    feed.tell([booking.events.get()], {booking.pk: booking}, now=NOW)

    assert not chosen.deliveries.exists()
    [row] = everything.deliveries.select_related("event")
    assert (row.event.type, row.booking_id) == ("booking.confirmed", booking.pk)
    assert json.loads(calls.body_of(claims(NOW)[0]))["data"]["reference"] == booking.reference


@pytest.mark.parametrize(
    "url", ["http://hooks.example/", "https://127.0.0.1/", "https://10.0.0.8/", "ftp://hooks.example/", "hello"]
)  # fmt: skip
def test_an_address_that_is_not_called_is_refused_by_its_field(url):
    with pytest.raises(registry.WebhookRefused) as refusal:
        registry.make_webhook(organisation=make_fleet(), url=url, now=NOW)

    assert refusal.value.field == "url"
    assert not Webhook.objects.exists()


def test_an_organisation_has_so_many_webhooks_at_most():
    fleet = make_fleet()
    for _ in range(registry.MOST_WEBHOOKS):
        registry.make_webhook(organisation=fleet, url=URL, now=NOW)

    with pytest.raises(registry.TooManyWebhooks):
        registry.make_webhook(organisation=fleet, url=URL, now=NOW)
