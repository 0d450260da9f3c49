"""Each event is told once, none is skipped, and those of a booking in their order."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from django.db import OperationalError, connection, transaction

from bookings import operations
from bookings.core.forgetting import delete_in_batches
from bookings.models import BookingEvent, FeedEvent, InboxMessage, OutgoingMail, TellingCursor, UntoldEvent
from bookings.notifications import expansion, inbox, telling
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    make_evse,
    make_fleet,
    make_user,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = pytest.mark.django_db(transaction=True)
SOON = NOW + timedelta(seconds=1)


def told() -> list[tuple[int, str]]:
    return list(FeedEvent.objects.order_by("pk").values_list("booking", "type"))


def booked(evse=None, *, period=None):
    evse, vehicle = evse or make_evse(), make_vehicle()
    return book_slot(
        fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=period or slot(10, 11)
    )


def write_event(other: psycopg.Connection, booking_id: int, kind: str = "changed") -> None:
    """As any writer: nobody names the transaction."""
    other.execute(
        "INSERT INTO bookings_bookingevent (booking_id, kind, before, after, version, detail, actor_kind, actor, at)"
        " VALUES (%s, %s, '', '', 9, '{}', 'berth', 'scheduler', %s)",
        [booking_id, kind, NOW],
    )


def address():
    parameters = connection.get_connection_params()
    own = ("cursor_factory", "context", "prepare_threshold")
    return {name: value for name, value in parameters.items() if name not in own}


@pytest.fixture
def other():
    """A second session, with a transaction that stays open until the test ends it."""
    with psycopg.connect(**address()) as opened:
        yield opened
        opened.rollback()


def test_an_event_is_told_once():
    booking = booked()

    assert telling.tell_all(now=SOON) == 1
    assert telling.tell_all(now=SOON) == 0

    # To its fleet and to the depot's operator.
    assert told() == [(booking.pk, "booking.confirmed")] * 2
    assert FeedEvent.objects.values("organisation").distinct().count() == 2
    assert not telling.is_anything_waiting()


def test_an_event_waits_for_every_older_transaction_and_is_not_skipped_by_newer_ones(other):
    first, second = booked(), booked()
    telling.tell_all(now=SOON)
    FeedEvent.objects.all().delete()
    write_event(other, first.pk)  # its number is given, its transaction open

    with transaction.atomic():
        operations.cancel_booking(
            booking_id=second.pk, by="fleet", reason="TRAFFIC", actor=DISPATCHER, now=NOW
        )
    telling.tell_all(now=SOON)
    waiting = told()
    other.commit()
    telling.tell_all(now=SOON)

    assert waiting == []
    assert told() == [(first.pk, "booking.changed")] * 2 + [(second.pk, "booking.cancelled")] * 2


def test_events_of_one_booking_keep_their_order_whatever_their_transactions_are_numbered(other):
    """The older transaction gets the lock later: its number is lower, its event the later one."""
    booking = booked()
    telling.tell_all(now=SOON)
    FeedEvent.objects.all().delete()
    other.execute("SELECT pg_current_xact_id()")

    operations.cancel_booking(booking_id=booking.pk, by="fleet", reason="TRAFFIC", actor=DISPATCHER, now=NOW)
    write_event(other, booking.pk)
    other.commit()
    telling.tell_all(now=SOON, at_once=1)
    telling.tell_all(now=SOON, at_once=1)

    types = [name for _, name in told()]
    assert types == ["booking.cancelled"] * 2 + ["booking.changed"] * 2


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_batches_of_any_size_tell_the_same(at_once):
    evse = make_evse()
    bookings = [booked(evse, period=slot(hour, hour + 1)) for hour in range(9, 14)]

    for _ in range(8):
        telling.tell_all(now=SOON, at_once=at_once)

    assert [pk for pk, _ in told()[::2]] == [booking.pk for booking in bookings]
    assert TellingCursor.objects.get().to_xid is None


def test_what_was_not_committed_is_told_again(monkeypatch):
    """Killed behind the writing and before the commit, nothing is lost and nothing doubled."""
    booking = booked()
    tell = expansion.tell

    def killed(*args, **kwargs):
        tell(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(expansion, "tell", killed)
    with pytest.raises(KeyboardInterrupt):
        telling.tell_all(now=SOON)
    assert told() == []
    monkeypatch.setattr(expansion, "tell", tell)

    telling.tell_all(now=SOON)

    assert told() == [(booking.pk, "booking.confirmed")] * 2


def test_a_transaction_of_another_database_on_the_server_keeps_nobody_waiting():
    with psycopg.connect(**{**address(), "dbname": "postgres"}) as elsewhere:
        elsewhere.execute("SELECT pg_current_xact_id()")

        booking = booked()

        assert telling.tell_all(now=SOON) == 1
    assert told() == [(booking.pk, "booking.confirmed")] * 2


@pytest.mark.parametrize(
    ("behind", "open_xids", "over"),
    [
        (5_000, [4_000], 4_000),
        (5_000, [5_007], 5_000),
        (5_000, [], 5_000),
        (3 * 2**32 + 10, [2**32 - 5], 3 * 2**32 - 5),  # begun before the lower half began anew
        (3 * 2**32 - 5, [4], 3 * 2**32 - 5),  # and after it
        (3 * 2**32 + 5_000, [4_000, 4_500], 3 * 2**32 + 4_000),
    ],
)
def test_transactions_are_counted_on_where_their_lower_half_begins_anew(behind, open_xids, over):
    sessions = "(SELECT current_database() AS datname, unnest(%s::text[])::xid AS backend_xid, 0 AS pid) AS s"
    statement = telling._ALL_OVER.replace("pg_snapshot_xmax(pg_current_snapshot())", "%s").replace(
        "pg_stat_activity", sessions
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [behind, [str(xid) for xid in open_xids]])
        assert cursor.fetchone() == (over,)


def test_two_workers_tell_nothing_twice(other):
    booked()
    TellingCursor.objects.create()
    other.execute("SELECT FROM bookings_tellingcursor FOR UPDATE")

    assert telling.tell_some(now=SOON) is None
    other.rollback()
    assert telling.tell_some(now=SOON) == 1


def test_restored_into_another_cluster_all_that_was_not_told_is_and_nothing_twice():
    """There transactions are counted from a lower number."""
    first = booked()
    telling.tell_all(now=SOON)
    second = booked()
    ahead = 10_000_000
    with connection.cursor() as cursor:
        cursor.execute("UPDATE bookings_bookingevent SET xid = (xid::text::bigint + %s)::text::xid8", [ahead])
        cursor.execute("UPDATE bookings_tellingcursor SET from_xid = from_xid + %s", [ahead])
    third = booked()

    while telling.is_anything_waiting():
        telling.tell_all(now=SOON)

    assert [pk for pk, _ in told()[::2]] == [first.pk, second.pk, third.pk]


def test_a_history_that_is_loaded_is_no_news_but_for_its_end():
    evse = make_evse()
    with transaction.atomic():
        booked(evse)
        vehicle = make_vehicle()
        later = book_slot(
            fleet=vehicle.fleet, option=option_of(evse), vehicle=vehicle, period=slot(14, 15),
            now=NOW + timedelta(hours=1),
        )  # fmt: skip
        telling.keep_quiet(before=NOW + timedelta(minutes=30))

    telling.tell_all(now=SOON)

    assert told() == [(later.pk, "booking.confirmed")] * 2


def test_what_is_old_when_it_is_told_disturbs_nobody():
    evse = make_evse()
    make_user(evse.depot.operator, "depot_manager")
    booking = booked(evse)
    operations.cancel_booking(booking_id=booking.pk, by="fleet", reason="TRAFFIC", actor=DISPATCHER, now=NOW)

    telling.tell_all(now=NOW + timedelta(days=2))

    assert len(told()) == 4
    assert not OutgoingMail.objects.exists()


def test_a_batch_takes_as_many_statements_however_many_events(django_assert_max_num_queries):
    evse = make_evse()
    make_user(evse.depot.operator, "depot_manager")
    for hour in range(6, 18):
        booked(evse, period=slot(hour, hour + 1, day=1))

    with django_assert_max_num_queries(20):
        telling.tell_all(now=SOON)

    assert FeedEvent.objects.count() == 24
    assert BookingEvent.objects.count() == 12


def _refuses(monkeypatch, bad, fault):
    """Telling that fails with any batch in which there is an event of this booking."""
    tell = expansion.tell

    def failing(events, *, now):
        if any(event.booking_id == bad.pk for event in events):
            raise fault
        tell(events, now=now)

    monkeypatch.setattr(telling.expansion, "tell", failing)


def test_one_event_that_cannot_be_told_is_set_aside_and_holds_up_no_other(monkeypatch):
    evse = make_evse()
    first, bad, last = (booked(evse, period=slot(hour, hour + 1)) for hour in (10, 12, 14))
    _refuses(monkeypatch, bad, ValueError("unreadable"))

    telling.tell_all(now=SOON)
    telling.tell_all(now=SOON)

    assert list(dict.fromkeys(pk for pk, _ in told())) == [first.pk, last.pk]
    [aside] = UntoldEvent.objects.all()
    assert (aside.event.booking_id, aside.error) == (bad.pk, "ValueError('unreadable')")


@pytest.mark.parametrize("fault", [OperationalError("gone"), ImportError("half an installation")])
def test_where_nothing_can_be_told_no_event_is_at_fault(monkeypatch, fault):
    booking = booked()
    _refuses(monkeypatch, booking, fault)

    with pytest.raises(type(fault)):
        telling.tell_all(now=SOON)
    monkeypatch.undo()

    assert not UntoldEvent.objects.exists()
    assert telling.tell_all(now=SOON) == 1


def test_what_is_old_is_forgotten_in_batches():
    organisation = make_fleet()
    rows = [
        FeedEvent(organisation=organisation, type="booking.changed", content={}, at=NOW) for _ in range(5)
    ]
    FeedEvent.objects.bulk_create(rows)

    assert delete_in_batches(FeedEvent.objects.filter(at__lte=NOW), at_once=2) == 5

    assert not FeedEvent.objects.exists()


def test_an_inbox_is_in_the_order_in_which_things_happened():
    user = make_user(make_fleet())
    for minutes in (5, 1, 3):
        at = NOW + timedelta(minutes=minutes)
        InboxMessage.objects.create(user=user, kind="granted", at=at)

    assert [message.at.minute for message in inbox.messages_of(user)] == [5, 3, 1]
