"""What an object waits for that its partner has not got yet, whatever became of that so far."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from bookings.billing.cdrs import Issue, credit, lock, reissue
from bookings.models import ChargeDetailRecord
from bookings.pricing.bills import Bill
from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import CallFailed, Refused, Unreachable
from roaming.outbound import deliveries
from roaming.outbound.deliveries import CIRCUIT_OPENS_AT
from roaming.outbound.earlier import AT_THE_LATEST, REFUSED_FOR, SOON
from roaming.outbound.postponing import Postponed, postpone_all
from roaming.outbound.writers.bookings import bookings_written
from roaming.outbound.writers.cdrs import cdrs_written
from tests.factories import DISPATCHER, MANAGER, at, change_slot, slot
from tests.roaming.guests import begin, booked, end
from tests.roaming.partners import make_partner
from tests.roaming.running import fresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
Kind = Delivery.Kind
NOW = at(12)
GONE = {"failures": CIRCUIT_OPENS_AT}
# What became of an object so far, and of its partner; whether what is about it waits for it.
FATES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "not tried": ({}, {}, True),
    "failed now and then": ({"attempts": 3}, {}, True),
    "failed while other things arrive": ({"attempts": 4}, {}, False),
    "failed all day": ({"attempts": 90}, GONE, True),
    "refused": ({"attempts": 1, "was_refused": True}, {}, False),
    "refused by one that refuses all": ({"attempts": 9, "was_refused": True}, {"failures": 1}, True),
    "refused for days by one that refuses all": (
        {"attempts": 90, "was_refused": True, "waiting_since": NOW - REFUSED_FOR}, GONE, False,
    ),
    "its party is away": ({"attempts": 9, "was_refused": True, "last_error": "The hub cannot reach SE*FLT."}, {}, True),
    "there": ({"next_try_at": None, "delivered_version": 9}, {}, False),
}  # fmt: skip


@pytest.fixture
def partner() -> Partner:
    """With a session that has ended and its record, of which it has been told nothing."""
    modules = ("bookings", "sessions", "cdrs")
    endpoints = [
        {"identifier": name, "role": "RECEIVER", "url": f"https://flt.example/{name}"} for name in modules
    ]
    made = make_partner("FLT", endpoints=endpoints, versions_url="https://flt.example/versions")
    end(begin(booked(made)))
    Delivery.objects.update(next_try_at=NOW)
    return made


def sent(kind: Kind) -> list[int]:
    """Which of a kind are sent, if all are taken now; the others are given back."""
    leases = [
        deliveries.Lease(row.pk, row.partner_id, row.kind, row.object_id, row.wanted_version, NOW + deliveries.LEASE)
        for row in Delivery.objects.filter(kind=kind, next_try_at__isnull=False).order_by("pk")
    ]  # fmt: skip
    Delivery.objects.filter(pk__in=[lease.delivery_id for lease in leases]).update(
        leased_until=NOW + deliveries.LEASE
    )
    write = {Kind.CDR: cdrs_written, Kind.BOOKING: bookings_written}[kind]
    return [push.lease.object_id for push in write(leases, now=NOW)]


def each_fate() -> Iterator[str]:
    """One after the other, each as if there had been none before."""
    for fate in FATES:
        with transaction.atomic():
            yield fate
            transaction.set_rollback(True)


def has_become(kind: Kind, fate: str, *, object_id: int | None = None) -> bool:
    """Says so of the one of its kind, and whether that is waited for."""
    fields, of_partner, is_waited_for = FATES[fate]
    rows = Delivery.objects.filter(kind=kind)
    (rows.filter(object_id=object_id) if object_id is not None else rows).update(**fields)
    Partner.objects.update(**of_partner)
    return is_waited_for


def test_a_record_waits_for_its_session_as_it_ended_and_its_booking_until_it_is_there(
    partner: Partner,
) -> None:
    for fate in each_fate():
        is_held = has_become(Kind.SESSION, fate)
        assert len(sent(Kind.CDR)) == (0 if is_held else 1), fate
        assert len(sent(Kind.BOOKING)) == (0 if is_held else 1), fate


def test_a_booking_that_was_used_waits_for_the_beginning_of_its_session_alone(partner: Partner) -> None:
    Delivery.objects.filter(kind=Kind.SESSION).update(delivered_version=1)

    assert len(sent(Kind.BOOKING)) == 1
    assert sent(Kind.CDR) == []


def test_a_credit_waits_for_its_record_whatever_became_of_it_and_a_new_issue_if_it_is_coming(
    partner: Partner,
) -> None:
    first = ChargeDetailRecord.objects.get()
    by = Issue(MANAGER, NOW, "let off")
    with transaction.atomic():
        credited = credit(lock(first), by)
        issued = reissue(first, Bill.from_json(first.bill), by)
    Delivery.objects.filter(kind=Kind.SESSION).update(next_try_at=None)
    for fate in each_fate():
        is_held = has_become(Kind.CDR, fate, object_id=first.pk)
        is_there = fate == "there"
        went = sent(Kind.CDR)
        assert (credited.pk in went) == is_there, fate
        assert (issued.pk in went) == (not is_held and not is_there), fate
    later = NOW + timedelta(minutes=15)
    Delivery.objects.filter(object_id=first.pk).update(next_try_at=later, attempts=9, was_refused=True)
    sent(Kind.CDR)
    assert Delivery.objects.get(object_id=credited.pk, kind=Kind.CDR).next_try_at == later, (
        "no oftener than its record"
    )
    Delivery.objects.filter(object_id__in=[first.pk, credited.pk]).update(next_try_at=None)
    assert sent(Kind.CDR) == [issued.pk], "after the credit of what it replaces"


def test_what_waits_is_looked_at_when_the_other_is_tried_and_soon_at_any_rate(partner: Partner) -> None:
    record = Delivery.objects.get(kind=Kind.CDR)
    for tried_at, until in (
        (NOW, NOW + SOON),
        (NOW + timedelta(seconds=9), NOW + timedelta(seconds=9)),
        (NOW + timedelta(hours=1), NOW + AT_THE_LATEST),
    ):
        Delivery.objects.filter(kind=Kind.SESSION).update(next_try_at=tried_at)
        assert sent(Kind.CDR) == []
        row = fresh(record)
        assert (row.next_try_at, row.leased_until, row.attempts) == (until, None, 0)


def test_many_that_wait_are_given_back_in_one_statement(django_assert_num_queries: Any) -> None:
    partner = make_partner()
    rows = [
        Delivery.objects.create(
            partner=partner,
            kind=Kind.CDR,
            object_id=pk,
            wanted_version=1,
            next_try_at=NOW,
            last_error="so far",
        )
        for pk in range(3)
    ]
    leases = deliveries.claim(room=9, now=NOW)
    Delivery.objects.filter(pk=rows[2].pk).update(leased_until=NOW)  # it is somebody else's meanwhile
    with django_assert_num_queries(2):  # and one for what was not found, which may have been locked
        postpone_all([Postponed(one, NOW + timedelta(seconds=one.object_id), "why") for one in leases])

    found = [(row.next_try_at, row.leased_until, row.last_error) for row in map(fresh, rows)]
    assert found == [(NOW, None, "why"), (NOW + timedelta(seconds=1), None, "why"), (NOW, NOW, "so far")]


def test_a_change_between_lease_and_writing_is_told_once(partner: Partner) -> None:
    booking = booked(partner)
    Delivery.objects.filter(kind=Kind.BOOKING).exclude(object_id=booking.pk).update(next_try_at=None)
    Delivery.objects.filter(object_id=booking.pk).update(next_try_at=NOW)
    [lease] = deliveries.claim(room=9, kinds=[Kind.BOOKING], now=NOW)
    change_slot(booking_id=booking.pk, period=slot(15, 16), by="depot", actor=DISPATCHER, now=NOW)

    [push] = bookings_written([lease], now=NOW)
    deliveries.succeeded(push.lease, now=NOW)

    row = Delivery.objects.get(kind=Kind.BOOKING, object_id=booking.pk)
    assert row.next_try_at is None
    assert row.delivered_version == row.wanted_version > lease.version


def test_who_is_back_is_told_first_what_it_refused_while_it_refused_all(partner: Partner) -> None:
    """A no from before its last yes was about the object: that keeps its pause."""
    Partner.objects.update(failures=1, last_success_at=NOW - timedelta(hours=1))
    session, record, booking = (
        Delivery.objects.get(kind=kind) for kind in (Kind.SESSION, Kind.CDR, Kind.BOOKING)
    )
    refused = {"attempts": 20, "was_refused": True}
    later = NOW + timedelta(minutes=10)
    Delivery.objects.filter(pk=session.pk).update(**refused, next_try_at=later)
    Delivery.objects.filter(pk=record.pk).update(attempts=20, next_try_at=NOW)
    Delivery.objects.filter(pk=booking.pk).update(**refused, next_try_at=later)
    for failures in (1, CIRCUIT_OPENS_AT):
        with transaction.atomic():
            Partner.objects.update(failures=failures)
            deliveries.record_success(partner.pk, now=NOW)
            for row in map(fresh, (session, booking)):
                assert (row.next_try_at, row.attempts, row.was_refused) == (NOW, 1, False)
            assert fresh(record).attempts == (1 if failures > 1 else 20), "what it was silent to"
            transaction.set_rollback(True)

    Partner.objects.update(failures=CIRCUIT_OPENS_AT, last_success_at=NOW)
    deliveries.record_success(partner.pk, now=NOW + timedelta(seconds=1))

    row = fresh(session)
    assert (row.next_try_at, row.attempts, row.was_refused) == (later, 20, True)


def test_what_was_refused_while_the_partner_took_other_things_keeps_its_pause_when_it_is_back() -> None:
    """Its last yes is written twice a minute, and is none the older for that."""
    partner = make_partner(last_success_at=NOW - timedelta(minutes=1))
    rows = [
        Delivery.objects.create(
            partner=partner,
            kind=Kind.SESSION,
            object_id=pk,
            wanted_version=1,
            next_try_at=NOW,
            attempts=attempts,
        )
        for pk, attempts in enumerate([11, 0, 0])
    ]
    disliked, refused, under_way = rows
    seconds = [NOW + timedelta(seconds=second) for second in range(30)]
    deliveries.record_success(partner.pk, now=NOW)
    lease, other, third = sorted(deliveries.claim(room=9, now=NOW), key=lambda lease: lease.object_id)
    deliveries.failed(lease, Refused(200, 2000, "not this one"), now=seconds[5])
    deliveries.record_success(partner.pk, now=seconds[25])  # not written
    deliveries.failed(other, Refused(200, 2000, "nor anything"), now=seconds[28])
    Delivery.objects.filter(pk=under_way.pk).update(attempts=12, was_refused=True)
    deliveries.record_success(partner.pk, now=seconds[29])

    row = fresh(disliked)
    assert (row.attempts, row.was_refused) == (12, True)
    row = fresh(refused)
    assert (row.attempts, row.was_refused, row.next_try_at) == (1, False, seconds[29])
    row = fresh(under_way)
    assert (row.attempts, row.was_refused, row.leased_until) == (12, True, third.until), (
        "whoever sends it knows"
    )


def test_an_ask_of_ours_keeps_what_has_happened_to_it() -> None:
    so_far = {"posts": 1, "since": "2030-01-15T12:00:00Z", "watching": False}
    row = Delivery.objects.create(
        partner=make_partner(),
        kind=Kind.REQUEST,
        object_id=7,
        wanted_version=1,
        next_try_at=NOW,
        delivered=so_far,
    )
    [lease] = deliveries.claim(room=1, now=NOW)

    deliveries.failed(lease, Unreachable("no answer in time"), now=NOW)

    assert fresh(row).delivered == so_far


def test_what_is_not_known_to_be_there_is_sent_again_though_it_is_as_it_was_last_told(
    partner: Partner,
) -> None:
    """Told, changed without a yes to that, changed back: the partner may have either."""
    row = Delivery.objects.get(kind=Kind.SESSION)
    fates: dict[str, tuple[Exception | None, bool, str]] = {
        "no answer": (Unreachable("no answer in time"), True, "RFID 04#"),
        "a no": (Refused(200, 2000, "no"), True, "RFID 04#"),
        "a fault of ours": (None, True, "RFID 04#"),
        "a probe without an answer": (Unreachable("no answer in time"), False, "RFID 04#abc"),
        "no connection": (Unreachable("refused", maybe_received=False), True, "RFID 04#abc"),
        "a hub without the party": (Refused(200, 4003, "away"), True, "RFID 04#abc"),
    }
    for name, (failure, was_sent, digest) in fates.items():
        Delivery.objects.filter(pk=row.pk).update(
            next_try_at=NOW, leased_until=None, delivered={"digest": "RFID 04#abc"}
        )
        [lease] = deliveries.claim(room=1, kinds=[Kind.SESSION], now=NOW)
        if isinstance(failure, CallFailed):
            deliveries.failed(lease, failure, was_sent=was_sent, now=NOW)
        else:
            deliveries.release(lease, was_sent=was_sent, now=NOW)
        assert fresh(row).delivered == {"digest": digest}, name


def test_what_a_killed_worker_may_have_sent_is_in_doubt_too(partner: Partner) -> None:
    row = Delivery.objects.get(kind=Kind.SESSION)
    for told, doubted in (
        ({"digest": "abc", "location": "here"}, {"digest": "", "location": "here"}),
        (None, {"digest": ""}),
    ):
        Delivery.objects.filter(pk=row.pk).update(leased_until=None, delivered=told)
        deliveries.claim(room=1, kinds=[Kind.SESSION], now=NOW)
        assert fresh(row).delivered == told
        deliveries.claim(room=1, kinds=[Kind.SESSION], now=NOW + deliveries.LEASE)
        assert fresh(row).delivered == doubted


def test_what_a_hub_cannot_pass_on_waits_for_its_party(partner: Partner) -> None:
    [lease] = deliveries.claim(room=1, kinds=[Kind.SESSION], now=NOW)

    deliveries.failed(lease, Refused(200, 4003, "not connected"), to_party=("se", "flt"), now=NOW)

    row = Delivery.objects.get(kind=Kind.SESSION)
    assert row.last_error == "The hub cannot reach SE*FLT. 4003: not connected"
    assert sent(Kind.CDR) == []
    assert fresh(partner).failures == 0

    [again] = deliveries.claim(room=1, kinds=[Kind.SESSION], now=NOW + timedelta(minutes=1))
    deliveries.failed(again, Unreachable("gone"), to_party=("SE", "FLT"), now=NOW)
    assert fresh(row).last_error == "gone"
