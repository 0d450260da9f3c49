"""A partner's answer settles the ask it belongs to: what was posted, in the partner's words, since it was posted."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.utils import timezone

from bookings.models import Booking, BookingOption, BookingRequest
from bookings.operations import cancel_booking
from roaming.mirror import kept_objects, remote_bookings
from roaming.mirror.request_answers import Posted, decision_of
from roaming.models import Delivery, Partner, PartnerObject
from roaming.ocpi import client_owned
from roaming.ocpi.call_failures import Refused
from roaming.ocpi.v2_3_0.bookings import emsp_mapping
from roaming.ocpi.v2_3_0.bookings.emsp_mapping import booking_in
from roaming.ocpi.v2_3_0.bookings.reading import read_booking
from roaming.ocpi.wire_object import UnreadableError
from roaming.outbound import our_requests
from roaming.outbound.deliveries import Lease
from tests.factories import DISPATCHER, NOW, at, book_slot, change_slot, make_fleet, make_vehicle, slot
from tests.roaming.partners import Caller, adopt_booking, adopt_offer, code, data, keep_listed, make_partner
from tests.roaming.pushed_objects import booking, location, offer, z
from tests.roaming.told_charging import CDRS, SESSION, SESSIONS, cdr, period, session

pytestmark = pytest.mark.django_db
CHANGE, CANCEL, CREATE = BookingRequest.Kind.CHANGE, BookingRequest.Kind.CANCEL, BookingRequest.Kind.CREATE


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def partner() -> Partner:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    endpoint = {"identifier": "Booking", "role": "SENDER", "url": "https://x.example/bookings"}
    return make_partner("CPO", country_code="FR", roles=[role], endpoints=[endpoint])


@pytest.fixture
def ours(partner: Partner) -> Booking:
    for kind, raw in (("location", location()), ("booking_location", offer())):
        keep_listed(partner, kind, raw)
    fleet = make_fleet("Nordfracht", emsp_party_id="NFE")
    return book_slot(
        fleet=fleet, option=BookingOption.objects.get(), period=slot(12, 13), vehicle=make_vehicle(fleet),
        actor=DISPATCHER, now=timezone.now(),
    )  # fmt: skip


def post(request: BookingRequest) -> tuple[our_requests.Attempt, dict[str, Any]]:
    """The ask is sent, as far as we know."""
    row = Delivery.objects.get(kind="request", object_id=request.pk)
    until = NOW.replace(hour=9, second=request.pk % 60)
    Delivery.objects.filter(pk=row.pk).update(leased_until=until)
    turn = our_requests.begin(
        Lease(row.pk, row.partner_id, row.kind, row.object_id, row.wanted_version, until), now=NOW
    )
    assert turn is not None
    assert turn.body is not None
    return turn, turn.body


def entry(
    body: dict[str, Any], status: str = "ACCEPTED", received: str = "2030-01-15T08:00:01Z"
) -> dict[str, Any]:
    return {"request_status": status, "booking_request": body, "request_received": received}


def told(ours: Booking, *history: dict[str, Any], minute: int, **changes: Any) -> dict[str, Any]:
    body = booking(ours, booking_requests=list(history), last_updated=f"2030-01-15T08:{minute:02}:00Z")
    return {**body, **changes}


def pending(ours: Booking) -> BookingRequest | None:
    return ours.requests.filter(decision="pending").first()


def confirmed(partner: Partner, ours: Booking) -> dict[str, Any]:
    """The first ask, posted and granted; gives its entry."""
    _, body = post(ours.requests.get())
    granted = entry(body)
    adopt_booking(partner, told(ours, granted, minute=1), now=NOW)
    assert Booking.objects.get().status == "confirmed"
    return granted


def change(ours: Booking, **changes: Any) -> BookingRequest:
    change_slot(booking_id=ours.pk, actor=DISPATCHER, now=timezone.now(), **changes)
    ask = pending(ours)
    assert ask is not None
    return ask


def test_a_push_settles_no_ask_that_was_not_sent(partner: Partner, ours: Booking) -> None:
    first = confirmed(partner, ours)
    ask = change(ours, power_w=100_000)

    adopt_booking(partner, told(ours, first, minute=2), now=NOW)

    assert pending(ours) == ask


def test_a_push_that_crosses_an_ask_does_not_settle_it(partner: Partner, ours: Booking) -> None:
    first = confirmed(partner, ours)
    ask = change(ours, power_w=100_000)
    _, body = post(ask)

    adopt_booking(partner, told(ours, first, minute=2), now=NOW)
    assert pending(ours) == ask
    waiting = entry(body, "PENDING", "2030-01-15T08:03:00Z")
    adopt_booking(partner, told(ours, first, waiting, minute=3), now=NOW)
    assert pending(ours) == ask
    adopt_booking(partner, told(ours, first, {**waiting, "request_status": "DECLINED"}, minute=4), now=NOW)

    ask.refresh_from_db()
    assert ask.decision == "declined"
    assert Booking.objects.get().status == "confirmed"


def test_a_push_settles_an_ask_that_the_list_did_not_show_yet(partner: Partner, ours: Booking) -> None:
    first = confirmed(partner, ours)
    ask = change(ours, power_w=100_000)
    attempt, body = post(ask)
    our_requests.found(attempt, None, now=NOW)

    adopt_booking(
        partner, told(ours, first, entry(body, "DECLINED", "2030-01-15T08:03:00Z"), minute=3), now=NOW
    )

    ask.refresh_from_db()
    assert ask.decision == "declined"


def test_the_ask_that_waits_is_read_under_the_lock(
    partner: Partner, ours: Booking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dispatcher changes the booking after the push has found it, and before it is locked."""
    _, body = post(ours.requests.get())
    found = remote_bookings.booking_of
    made: list[BookingRequest] = []

    def find_and_lose_time(*args: Any) -> Booking | None:
        seen = found(*args)
        made.append(change(ours, power_w=100_000))
        return seen

    monkeypatch.setattr(remote_bookings, "booking_of", find_and_lose_time)
    adopt_booking(partner, told(ours, entry(body), minute=1), now=NOW)

    made[0].refresh_from_db()
    assert made[0].decision == "pending"
    assert Booking.objects.get().status == "confirmed"


def test_a_no_to_an_ask_that_was_replaced_is_no_no_to_the_next(partner: Partner, ours: Booking) -> None:
    turn, _ = post(ours.requests.get())
    ask = change(ours, period=slot(14, 15))

    our_requests.refused(turn, Refused(200, 2001, "not like this"), now=NOW)

    ask.refresh_from_db()
    assert ask.decision == "pending"
    assert Booking.objects.get().status == "requested"


def test_the_second_cancellation_is_not_answered_by_the_first(partner: Partner, ours: Booking) -> None:
    first = confirmed(partner, ours)
    cancel_booking(booking_id=ours.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())
    once = pending(ours)
    assert once is not None
    _, body = post(once)
    refusal = entry(body, "DECLINED", "2030-01-15T08:02:00Z")
    adopt_booking(partner, told(ours, first, refusal, minute=2), now=NOW)
    once.refresh_from_db()
    assert once.decision == "declined"
    cancel_booking(booking_id=ours.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())
    again = pending(ours)
    assert again is not None
    post(again)

    adopt_booking(partner, told(ours, first, refusal, minute=3), now=NOW)

    again.refresh_from_db()
    assert again.decision == "pending"


def test_the_same_message_is_sent_again_though_the_booking_has_moved(partner: Partner, ours: Booking) -> None:
    confirmed(partner, ours)
    ask = change(ours, power_w=100_000)
    _, body = post(ask)
    moved = {"start_date_time": z(at(15)), "end_date_time": z(at(16))}
    adopt_booking(partner, told(ours, minute=2, period=moved), now=NOW)
    assert Booking.objects.get().period == slot(15, 16)

    _, again = post(ask)

    assert again == body


# What belongs together


PERIOD = {"start_date_time": z(at(12)), "end_date_time": z(at(13))}
BODY = {
    "country_code": "DE", "party_id": "NFE", "request_id": "R", "location_id": "L", "booking_location_id": "BL",
    "period": PERIOD, "authorization_reference": "A", "power_required": 100, "booking_option": {"evse_uid": "E-1"},
    "tokens": [{"country_code": "DE", "party_id": "NFE", "uid": "04AA", "type": "RFID", "contract_id": "C"}],
}  # fmt: skip
SENT = emsp_mapping.request_in(BODY)
EARLY, LATE = "2030-01-15T08:00:01Z", "2030-01-15T08:00:09Z"


@pytest.mark.parametrize(
    ("changes", "known", "is_answered", "decision"),
    [
        ({}, [], False, "declined"),
        ({"tokens": [{**BODY["tokens"][0], "uid": "04aa"}]}, [], False, "declined"),
        ({"x_unknown": 1, "tokens": [], "booking_option": None, "power_required": None}, [], False, "declined"),
        ({}, [EARLY], False, "declined"),
        ({}, [LATE], False, None),
        ({}, [LATE], True, None),
        ({"power_required": 150}, [], False, None),
        ({"power_required": 150}, [], True, "declined"),
        ({"tokens": [{**BODY["tokens"][0], "uid": "04BB"}]}, [], False, None),
        ({"booking_option": {"evse_uid": "E-2"}}, [], False, None),
        ({"period": {**PERIOD, "end_date_time": z(at(14))}}, [], False, None),
        ({"canceled": {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}}, [], False, None),
        ({"request_id": {}}, [], False, None),
    ],
)  # fmt: skip
def test_an_entry_answers_what_it_repeats(
    changes: dict[str, Any], known: list[str], is_answered: bool, decision: str | None
) -> None:
    ask = BookingRequest(kind=CHANGE, decision="pending", asked={"power_w": 100_000})
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not None}
    theirs = booking_in(read_booking(booking(booking_requests=[entry(body, "DECLINED", LATE)])).value)

    assert decision_of(theirs, ask, Posted(SENT, tuple(known), is_answered)) == decision


@pytest.mark.parametrize("newest_first", [False, True])
def test_of_two_entries_of_one_second_the_later_is_new(newest_first: bool) -> None:
    ask = BookingRequest(kind=CHANGE, decision="pending", asked={"power_w": 100_000})
    old, new = entry({**BODY, "power_required": 80}, "ACCEPTED", EARLY), entry(BODY, "DECLINED", EARLY)
    history = [entry({**BODY, "power_required": 60}, "ACCEPTED", LATE), old] if newest_first else [old, new]
    theirs = booking_in(read_booking(booking(booking_requests=history)).value)

    answer = decision_of(theirs, ask, Posted(SENT, (EARLY,)))

    assert answer == (None if newest_first else "declined")


def test_the_end_of_a_booking_settles_an_ask_that_was_not_sent() -> None:
    cancel = BookingRequest(kind=CANCEL, decision="pending", asked={"reason": "TRAFFIC"})
    theirs = booking_in(read_booking(booking(reservation_status="CANCELED")).value)

    assert decision_of(theirs, cancel) == "accepted"
    assert decision_of(theirs, BookingRequest(kind=CHANGE, asked={"power_w": 1})) == "declined"
    assert decision_of(theirs, None) is None


# What a partner can make grow


def test_of_bookings_nobody_asked_for_the_newest_are_kept(
    partner: Partner, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(kept_objects, "MOST_UNMATCHED", 3)
    for number in range(6):
        clock.shift(1)
        adopt_booking(partner, booking(id=f"CB-{number}", request_id=f"r-{number}"), now=timezone.now())

    kept = PartnerObject.objects.filter(is_unmatched=True).order_by("pk").values_list("key", flat=True)
    assert list(kept) == ["CB-3", "CB-4", "CB-5"]


@pytest.mark.parametrize("kind", ["session", "cdr"])
def test_of_charging_of_nobody_here_the_newest_is_kept(
    kind: str, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(kept_objects, "MOST_UNMATCHED", 2)
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    caller = Caller(make_partner("CPO", country_code="FR", roles=[role]))
    for number in range(4):
        clock.shift(1)
        name = f"X-{number}"
        if kind == "cdr":
            told = caller.post(CDRS, cdr(id=name))
        else:
            told = caller.send("PUT", f"{SESSIONS}/FR/CPO/{name}", session(id=name))
        assert told.status_code == 201

    rows = PartnerObject.objects.filter(kind=kind, is_unmatched=True).order_by("pk")
    assert [row.key for row in rows] == ["X-2", "X-3"]


def test_a_session_grows_no_larger_than_a_message_may_be(monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    role = {"role": "CPO", "country_code": "FR", "party_id": "CPO", "name": "Network"}
    caller = Caller(make_partner("CPO", country_code="FR", roles=[role]))
    caller.send("PUT", SESSION, session())
    monkeypatch.setattr(client_owned, "MAX_BODY", 2_000)
    patch = {"charging_periods": [period("12:15", ENERGY=1), {"x": "x" * 2_000}], "last_updated": z(at(13))}

    refused = caller.send("PATCH", SESSION, patch)

    assert code(refused) == (200, 2001)
    assert data(caller.get(SESSION)) == session()


def test_a_partner_has_a_number_of_offers(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_bookings, "MOST_OFFERS", 2)
    for number in (1, 2):
        adopt_offer(partner, offer(id=f"BL-{number}"), now=NOW)

    with pytest.raises(UnreadableError, match="2 offers"):
        adopt_offer(partner, offer(id="BL-3"), now=NOW)
    adopt_offer(partner, offer(id="BL-2", last_updated="2030-01-15T07:30:00Z"), now=NOW)
    assert BookingOption.objects.count() == 2


def test_an_object_in_a_list_is_no_larger_than_in_a_push(partner: Partner) -> None:

    keep_listed(partner, "booking_location", offer(x_note="x" * 1024 * 1024), offer(id="BL-2"))

    assert [o.code for o in BookingOption.objects.all()] == ["BL-2"]
    partner.refresh_from_db()
    assert partner.deviations["booking_location.unreadable"] == 1
