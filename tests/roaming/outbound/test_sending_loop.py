"""What partners get: the state of now, until they have it, whatever they answer and whoever is killed meanwhile."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from bookings.core.calendars import raise_marked
from bookings.models import Booking, BookingOption
from bookings.operations import cancel_booking
from bookings.operations.request_log import ReceivedMessage
from roaming import registration
from roaming.models import Delivery, Partner
from roaming.ocpi.client import CONNECT_TIMEOUT_S, READ_TIMEOUT_S
from roaming.outbound import deliveries, fan_out
from tests.factories import (
    DISPATCHER,
    PARTNER,
    at,
    book_slot,
    change_slot,
    make_depot,
    make_evse,
    make_operator,
    open_depot,
    option_of,
    slot,
)
from tests.roaming.dying import worker_that_dies
from tests.roaming.partners import make_partner
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)


class Receiver:
    """A partner's Receiver over HTTP; keeps every object put to it, and answers as `answer` says."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self.answer: Any = lambda asked: envelope()
        self.server = ScriptedPeer(self._on)

    def _on(self, asked: Asked) -> Reply:
        reply: Reply = self.answer(asked)
        if asked.method == "PUT" and reply.status == 200 and b"1000" in _text(reply):
            self.held[asked.path] = asked.body
        return reply

    def puts(self, path: str = "") -> list[Asked]:
        return [asked for asked in self.server.asked if asked.method == "PUT" and path in asked.path]

    def refuse_all(self) -> None:
        self.answer = lambda asked: envelope(status_code=2001, message="we do not like it")


def _text(reply: Reply) -> bytes:
    return reply.body if isinstance(reply.body, bytes) else repr(reply.body).encode()


@pytest.fixture
def receiver(platform: str) -> Iterator[Receiver]:
    running = Receiver()
    with running.server:
        yield running


@pytest.fixture
def partner(receiver: Receiver) -> Partner:
    return partner_at(receiver.server.url)


def partner_at(url: str, **fields: Any) -> Partner:
    return make_partner(
        versions_url=f"{url}/versions",
        endpoints=[{"identifier": "Booking", "role": "RECEIVER", "url": f"{url}/bookings/"}],
        **fields,
    )


@pytest.fixture
def option() -> BookingOption:
    return option_of(make_evse(make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))))


def book(partner: Partner, option: BookingOption, **changes: Any) -> Booking:
    party = partner.roles[0]["country_code"], partner.roles[0]["party_id"]
    asked = {
        "period": slot(10, 11),
        "actor": PARTNER,
        "now": timezone.now(),
        "message": ReceivedMessage({}),
        **changes,
    }
    return book_slot(fleet=partner.organisation, option=option, party=party, **asked)


def offer(option: BookingOption, partner: Partner) -> Delivery:
    """Say that the partner is to have this offer as it is now."""
    raise_marked(timezone.now)
    fan_out.want([option.pk], now=timezone.now())
    return Delivery.objects.get(partner=partner, kind="booking_location", object_id=option.pk)


def is_delivered(delivery: Delivery) -> bool:
    row: Delivery = fresh(delivery)
    return row.delivered_version >= row.wanted_version and row.next_try_at is None


def of(booking: Booking) -> Delivery:
    return Delivery.objects.get(kind="booking", object_id=booking.pk)


def test_a_booking_reaches_its_partner_as_it_is_now(
    receiver: Receiver, partner: Partner, option: BookingOption
) -> None:
    """Checklist 35: a decision is pushed."""
    booking = book(partner, option)

    with RunningSender():
        eventually(lambda: is_delivered(of(booking)))

    put = receiver.puts(booking.reference)[0]
    assert put.path == f"/bookings/NL/LPK/{booking.reference}"
    assert put.body["reservation_status"] == "RESERVED"
    assert put.headers["ocpi-from-party-id"] == "LPK"
    assert put.headers["ocpi-to-party-id"] == partner.roles[0]["party_id"]


def test_it_goes_to_nobody_else(receiver: Receiver, partner: Partner, option: BookingOption) -> None:
    make_partner(endpoints=partner.endpoints, versions_url=partner.versions_url)
    booking = book(partner, option)

    with RunningSender():
        eventually(lambda: is_delivered(of(booking)))

    assert len(receiver.puts(booking.reference)) == 1


def test_what_changes_often_is_told_once_and_as_it_is_in_the_end(
    receiver: Receiver, partner: Partner, option: BookingOption
) -> None:
    booking = book(partner, option)
    change_slot(booking_id=booking.pk, period=slot(12, 13), actor=DISPATCHER, now=timezone.now())
    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())

    with RunningSender():
        eventually(lambda: is_delivered(of(booking)))

    assert [put.body["reservation_status"] for put in receiver.puts(booking.reference)] == ["CANCELED"]


def test_a_change_while_it_is_under_way_is_sent_again(
    receiver: Receiver, partner: Partner, option: BookingOption
) -> None:
    booking = book(partner, option)
    changed = threading.Event()
    receiver.answer = lambda asked: envelope(wait_for=changed)

    with RunningSender():
        receiver.server.wait_for(lambda asked: any(booking.reference in a.path for a in asked))
        receiver.answer = lambda asked: envelope()
        cancel_booking(
            booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now()
        )
        changed.set()
        eventually(lambda: is_delivered(of(booking)))

    said = [put.body["reservation_status"] for put in receiver.puts(booking.reference)]
    assert said == ["RESERVED", "CANCELED"]


def test_calendars_are_coalesced_to_one_push_in_two_seconds(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any
) -> None:
    delivery = offer(option, partner)
    with RunningSender():
        eventually(lambda: is_delivered(delivery))
        for hour in range(10, 16):
            book(partner, option, period=slot(hour, hour + 1))
            offer(option, partner)
        bookings = Delivery.objects.filter(kind="booking")
        eventually(lambda: all(is_delivered(d) for d in bookings) and bookings.count() == 6)
        assert len(receiver.puts("booking_locations")) == 1, "the clock stands still"
        clock.shift(timedelta(seconds=2))
        eventually(lambda: is_delivered(delivery))

    puts = receiver.puts("booking_locations")
    assert len(puts) == 2
    starts = [s["start_date_time"] for c in puts[1].body["calendars"] for s in c["available_timeslots"]]
    assert at(16).strftime("%Y-%m-%dT%H:%M:%SZ") in starts


def test_an_offer_that_tells_nothing_new_is_not_sent(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any
) -> None:
    clock.shift(timedelta(minutes=1))  # within a step, so that the calendar does not age meanwhile
    delivery = offer(option, partner)
    with RunningSender():
        eventually(lambda: is_delivered(delivery))
        clock.shift(timedelta(seconds=3))
        BookingOption.objects.filter(pk=option.pk).update(calendar_version=99)
        offer(option, partner)
        eventually(lambda: is_delivered(delivery))

    assert len(receiver.puts()) == 1


def test_what_a_partner_may_not_see_any_more_is_withdrawn_and_nothing_new_is_told(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any
) -> None:
    stranger = option_of(make_evse(make_depot(open_to_all=False)))
    told = offer(option, partner)
    untold = Delivery.objects.create(
        partner=partner,
        kind="booking_location",
        object_id=stranger.pk,
        wanted_version=1,
        next_try_at=timezone.now(),
    )
    with RunningSender():
        eventually(lambda: is_delivered(told) and is_delivered(untold))
        option.depot.agreements.all().delete()
        clock.shift(timedelta(seconds=3))
        BookingOption.objects.filter(pk=option.pk).update(calendar_version=99)
        offer(option, partner)
        eventually(lambda: is_delivered(told))

    assert [bool(put.body["calendars"]) for put in receiver.puts()] == [True, False]
    assert not receiver.puts(stranger.code)


def test_a_partner_that_is_down_gets_the_last_state_when_it_is_back(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any
) -> None:
    """Checklist 29."""
    receiver.answer = lambda asked: Reply(cut=True)
    booking = book(partner, option)
    with RunningSender():
        receiver.server.wait_for(lambda asked: len(asked) >= 1)
        eventually(lambda: fresh(partner).failures >= 1)
        for _ in range(12):
            clock.shift(timedelta(minutes=15))
            eventually(nothing_is_due)
        change_slot(
            booking_id=booking.pk, period=slot(18, 19), by="depot", actor=DISPATCHER, now=timezone.now()
        )
        assert fresh(partner).failures > deliveries.CIRCUIT_OPENS_AT
        receiver.answer = lambda asked: envelope()
        clock.shift(timedelta(minutes=15, seconds=1))
        eventually(lambda: is_delivered(of(booking)))

    held = receiver.held[f"/bookings/NL/LPK/{booking.reference}"]
    assert held["period"]["start_date_time"] == at(18).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert fresh(partner).failures == 0
    probes = [asked for asked in receiver.server.asked if asked.path == "/versions"]
    assert probes, "a partner that has been away is asked for its versions first"
    assert not [name for name in probes[0].headers if name.startswith("ocpi-")]


def nothing_is_due() -> bool:
    """Every delivery waits for a later time or for its partner's."""
    now = timezone.now()
    due = Delivery.objects.filter(next_try_at__lte=now).exclude(partner__closed_until__gt=now)
    return not due.exists() and not Delivery.objects.filter(leased_until__gt=now).exists()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500, body=b"oops"),
        envelope(status_code=3000),
        Reply(body=b"<html>"),
        Reply(body=b'{"status_code": 1000'),
        envelope("x" * 200_000),
        envelope(status_code=2001),
    ],
    ids=["500", "3000", "html", "broken json", "huge", "2001"],
)
def test_after_any_failure_the_next_try_comes_within_45_seconds_and_then_later(
    receiver: Receiver,
    partner: Partner,
    option: BookingOption,
    clock: Any,
    reply: Reply,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("roaming.ocpi.client.MAX_ANSWER", 100_000)
    receiver.answer = lambda asked: reply
    booking = book(partner, option)
    gaps = []
    with RunningSender():
        for attempts in range(1, 6):
            row = eventually(lambda n=attempts: (d := of(booking)).attempts == n and d)  # type: ignore[misc]
            gaps.append(row.next_try_at - timezone.now())
            clock.shift(gaps[-1])
        receiver.answer = lambda asked: envelope()
        clock.shift(timedelta(minutes=15))
        eventually(lambda: is_delivered(of(booking)))

    assert gaps[0] <= timedelta(seconds=45)
    assert gaps == sorted(gaps)
    assert gaps[-1] > gaps[0]


def test_a_partner_that_refuses_everything_is_not_stormed(
    receiver: Receiver, partner: Partner, clock: Any
) -> None:
    """At most 12 requests in any 20 s, with 30 offers to be told."""
    depot = make_depot(make_operator(cpo_party_id="OPR"))
    options = [option_of(make_evse(depot)) for _ in range(30)]
    receiver.refuse_all()
    fan_out.want([o.pk for o in options], now=timezone.now())

    with RunningSender():
        for second in range(21):
            eventually(nothing_is_due)
            clock.shift(timedelta(seconds=1)) if second < 20 else None
        assert len(receiver.server.asked) <= 12
        receiver.answer = lambda asked: envelope()
        for _ in range(40):
            clock.shift(timedelta(seconds=30))
            eventually(nothing_is_due)
        eventually(lambda: not Delivery.objects.filter(delivered_version=0).exists())


def test_one_object_that_is_refused_does_not_hold_up_the_others(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any
) -> None:
    other = option_of(make_evse(option.depot))
    receiver.answer = lambda asked: envelope(status_code=2001 if asked.path.endswith(option.code) else 1000)
    bad, good = offer(option, partner), offer(other, partner)
    with RunningSender():
        eventually(lambda: is_delivered(good))
        for attempts in range(2, 9):
            clock.shift(timedelta(minutes=15))
            eventually(lambda n=attempts: fresh(bad).attempts >= n)  # type: ignore[misc]
        clock.shift(timedelta(seconds=3))
        book(partner, other)
        offer(other, partner)
        eventually(lambda: is_delivered(good), "told at once, whatever happened to the other")

    assert fresh(partner).failures < deliveries.CIRCUIT_OPENS_AT


def test_a_dead_partner_does_not_slow_the_living(
    receiver: Receiver, partner: Partner, option: BookingOption
) -> None:
    never = threading.Event()
    with ScriptedPeer(lambda asked: envelope(wait_for=never)) as silent:
        dead = [partner_at(silent.url) for _ in range(20)]
        fan_out.want([option.pk], now=timezone.now())
        with RunningSender():
            eventually(lambda: is_delivered(offer_of(option, partner)))
            assert not any(is_delivered(offer_of(option, one)) for one in dead)
            never.set()


def offer_of(option: BookingOption, partner: Partner) -> Delivery:
    return Delivery.objects.get(partner=partner, kind="booking_location", object_id=option.pk)


def test_an_unregistered_partner_gets_nothing(
    receiver: Receiver, partner: Partner, option: BookingOption
) -> None:
    """Checklist 9."""
    booking = book(partner, option)
    registration.unregister(partner=partner, now=timezone.now())
    other = partner_at(receiver.server.url)
    second = book(other, option, period=slot(14, 15))

    with RunningSender():
        eventually(lambda: is_delivered(of(second)))

    assert not receiver.puts(booking.reference)


def test_two_workers_send_each_thing_once(
    receiver: Receiver, partner: Partner, option: BookingOption
) -> None:
    bookings = [book(partner, option, period=slot(hour, hour + 1)) for hour in range(9, 19)]

    with RunningSender(), RunningSender():
        eventually(lambda: all(is_delivered(of(booking)) for booking in bookings))

    paths = [put.path for put in receiver.puts("BK")]
    assert len(paths) == len(set(paths)) == 10


def test_nothing_is_sent_in_parallel_for_one_object(
    receiver: Receiver, partner: Partner, option: BookingOption
) -> None:
    booking, go_on = book(partner, option), threading.Event()
    under_way, most = [0], [0]

    def answer(asked: Asked) -> Reply:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        go_on.wait(0.1)
        under_way[0] -= 1
        return envelope()

    receiver.answer = answer
    with RunningSender(), RunningSender():
        for hour in range(12, 18):
            change_slot(
                booking_id=booking.pk, period=slot(hour, hour + 1), actor=DISPATCHER, now=timezone.now()
            )
        eventually(lambda: is_delivered(of(booking)))

    assert most[0] == 1


def test_a_lease_that_ran_out_is_taken_over_and_its_late_result_counts_for_nothing(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any
) -> None:
    booking = book(partner, option)
    (lost,) = deliveries.claim(room=10, now=timezone.now())
    assert deliveries.claim(room=10, now=timezone.now()) == []
    clock.shift(deliveries.LEASE)
    (taken,) = deliveries.claim(room=10, now=timezone.now())

    deliveries.succeeded(lost, now=timezone.now())

    assert fresh(of(booking)).delivered_version == 0
    deliveries.succeeded(taken, now=timezone.now())
    assert is_delivered(of(booking))


@pytest.mark.parametrize(
    "point",
    [
        "after deliveries.claim",
        "after writers.bookings.bookings_written",
        "instead of deliveries.all_succeeded",
    ],
)
def test_a_worker_killed_at_any_point_loses_nothing(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any, tmp_path: Path, point: str
) -> None:
    """kill -9 between any two commits of a delivery: the next worker delivers when the lease has run out."""
    booking = book(partner, option)
    worker_that_dies(point, tmp_path)
    assert not is_delivered(of(booking))

    with RunningSender():
        clock.shift(deliveries.LEASE)
        eventually(lambda: is_delivered(of(booking)))

    assert receiver.held[f"/bookings/NL/LPK/{booking.reference}"]["reservation_status"] == "RESERVED"


def test_the_pause_doubles_up_to_a_quarter_of_an_hour() -> None:
    assert [deliveries.pause(n).total_seconds() for n in (1, 2, 3, 4, 20)] == [5, 10, 20, 40, 900]


def test_a_partner_without_receiver_is_left_alone(platform: str, option: BookingOption) -> None:
    partner = make_partner(endpoints=[])
    booking = book(partner, option)

    with RunningSender():
        eventually(lambda: is_delivered(of(booking)))


def test_a_notice_wakes_the_sender(receiver: Receiver, partner: Partner, option: BookingOption) -> None:
    """With a poll of an hour only what the booking told can bring it about."""
    with RunningSender(poll_s=3600):
        eventually(is_listening)
        booking = book(partner, option)
        receiver.server.wait_for(lambda asked: any(booking.reference in a.path for a in asked))


def is_listening() -> bool:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'berth listening to deliveries' AND query LIKE '%depots_notice%'"
        )
        return bool(cursor.fetchone()[0])


def test_a_refused_connection_counts_against_the_partner_only(
    partner: Partner, option: BookingOption, platform: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gone = partner_at(f"http://127.0.0.1:{port}")
    open_depot(make_depot(), gone.organisation)
    booking = book(gone, option)

    with RunningSender():
        row = eventually(lambda: (d := of(booking)).attempts and d)

    assert not row.was_refused
    assert "no connection" in row.last_error


def test_a_call_never_begins_with_less_of_its_lease_than_it_may_take(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any
) -> None:
    """The probe before a delivery took 20 seconds; the delivery gets as much time for itself."""
    Partner.objects.update(failures=deliveries.CIRCUIT_OPENS_AT)
    booking = book(partner, option)
    left: list[timedelta] = []

    def answer(asked: Asked) -> Reply:
        if asked.path == "/versions":
            clock.shift(timedelta(seconds=20))
        elif "booking_locations" not in asked.path:
            left.append(of(booking).leased_until - timezone.now())
        return envelope()

    receiver.answer = answer
    with RunningSender():
        eventually(lambda: is_delivered(of(booking)))

    assert left[0] >= timedelta(seconds=CONNECT_TIMEOUT_S + READ_TIMEOUT_S)
    assert len(left) == 1


def test_a_delivery_that_has_become_somebody_elses_is_not_sent(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Partner.objects.update(failures=deliveries.CIRCUIT_OPENS_AT)
    booking = book(partner, option)

    def answer(asked: Asked) -> Reply:
        if asked.path == "/versions":  # meanwhile the lease runs out, and another worker takes it
            clock.shift(deliveries.LEASE)
            Delivery.objects.filter(kind="booking").update(leased_until=timezone.now() + timedelta(hours=1))
        return envelope()

    receiver.answer = answer
    extended: list[Any] = []
    extend = deliveries.extend
    monkeypatch.setattr(
        deliveries, "extend", lambda *args, **kwargs: extended.append(extend(*args, **kwargs)) or extended[-1]
    )
    with RunningSender():
        eventually(lambda: extended)

    assert extended == [None]
    assert not receiver.puts(booking.reference)


def test_a_deadlock_while_settling_ends_no_call_that_is_under_way(
    receiver: Receiver, partner: Partner, option: BookingOption, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, refused = deliveries.all_succeeded, threading.Event()

    def settle_later(*args: Any, **kwargs: Any) -> None:
        if not refused.is_set():
            refused.set()
            raise OperationalError("deadlock detected")
        settle(*args, **kwargs)

    monkeypatch.setattr(deliveries, "all_succeeded", settle_later)
    slow, quick = book(partner, option), book(partner, option, period=slot(12, 13))
    receiver.answer = lambda asked: envelope(wait_for=refused if slow.reference in asked.path else None)

    with RunningSender():
        eventually(lambda: is_delivered(of(quick)) and is_delivered(of(slow)))

    assert len(receiver.puts(slow.reference)) == len(receiver.puts(quick.reference)) == 1


def test_a_fault_while_looking_for_what_is_due_ends_nothing(
    receiver: Receiver, partner: Partner, option: BookingOption, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, faults = deliveries.claim, iter([OperationalError("the server went away")])

    def claim_later(**kwargs: Any) -> Any:
        for fault in faults:
            raise fault
        return claim(**kwargs)

    monkeypatch.setattr(deliveries, "claim", claim_later)
    booking = book(partner, option)

    with RunningSender():
        eventually(lambda: is_delivered(of(booking)))
