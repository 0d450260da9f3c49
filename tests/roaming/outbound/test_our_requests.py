"""A fleet books at a partner's depot: asked over HTTP, answered by a real platform, adopted here, whatever gets lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from bookings.models import Booking, BookingOption
from bookings.operations import cancel_booking
from bookings.search.offers import find_slots
from bookings.search.slots import SlotSearch
from depots.models import Depot, Evse, Organisation
from roaming import registration
from roaming.models import Delivery, Partner, PartnerObject
from roaming.outbound import deliveries
from simulators.partner import PartnerSettings, SimulatedPartner
from tests.factories import DISPATCHER, book_slot, change_slot, make_fleet, make_operator, make_vehicle, slot
from tests.roaming.dying import worker_that_dies
from tests.roaming.partners import VERSIONS
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.roaming.running import RunningSender, eventually, fresh

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE, AFTER_A_WHILE = "SIM-LYON-CCS", "SIM-METZ-MCS"


@pytest.fixture
def fleet(platform: str) -> Organisation:
    make_operator("Ladepark", cpo_party_id="LPK")
    return make_fleet("Nordfracht", emsp_party_id="NFE")


@pytest.fixture
def registered(network: SimulatedPartner, platform: str, fleet: Organisation) -> Partner:
    invitation = registration.invite(
        name="Simulated", country_code="FR", party_id="SIM", roles=["CPO", "EMSP"], now=timezone.now()
    )
    network.registration.register(platform, invitation.token_a)
    return invitation.partner


@pytest.fixture
def at_work(network: SimulatedPartner, registered: Partner) -> Iterator[Partner]:
    """Registered, our sender running, and the partner's offers read and pushed."""
    with RunningSender():
        eventually(lambda: all_read(registered) and network.pushes.is_idle)
        yield registered


def all_read(partner: Partner) -> bool:
    """Every list of the partner has been read, and none is due."""
    rows = list(partner.pulls.all())
    return bool(rows) and all(row.read_at and row.next_at > timezone.now() for row in rows)


def offer(code: str = AT_ONCE) -> BookingOption:
    return BookingOption.objects.select_related("depot").get(code=code)


def ask(fleet: Organisation, code: str = AT_ONCE, **changes: Any) -> Booking:
    plugs = ["MCS"] if code == AFTER_A_WHILE else ["IEC_62196_T2_COMBO"]
    vehicle = changes.pop("vehicle", None) or make_vehicle(fleet, connector_standards=plugs)
    wish = {"period": slot(12, 13), "vehicle": vehicle, "actor": DISPATCHER, "now": timezone.now()}
    return book_slot(fleet=fleet, option=offer(code), **{**wish, **changes})


def settled(booking: Booking, status: str) -> Callable[[], Booking | None]:
    return lambda: (b := fresh(booking)).status == status and b  # type: ignore[return-value]


def test_the_partners_depots_are_there_a_moment_after_registration(
    at_work: Partner, fleet: Organisation
) -> None:
    depot = Depot.objects.get(code="FR-SIM-SIM-LYON")
    assert (depot.name, depot.city, depot.country, depot.time_zone) == (
        "Lyon Corbas Truck Park", "Corbas", "FRA", "Europe/Paris",
    )  # fmt: skip
    assert depot.is_mirror
    assert depot.operator == at_work.organisation
    assert {e.uid for e in Evse.objects.filter(depot__is_mirror=True)} >= {
        "SIM-LYON-1",
        "SIM-LYON-2",
        "SIM-METZ-1",
    }
    option = offer()
    assert option.calendar_at == timezone.now()
    vehicle = make_vehicle(fleet)
    found = [
        o for o in find_slots(SlotSearch(fleet, slot(12, 13), timezone.now(), vehicle=vehicle)) if o.is_free
    ]
    assert [(o.option.code, o.is_hint, o.power_w) for o in found] == [
        ("SIM-DIJON-CCS", True, 350_000),
        (AT_ONCE, True, 350_000),
    ]


def test_a_booking_that_is_decided_at_once(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation
) -> None:
    """Checklist 77."""
    vehicle = make_vehicle(fleet, max_power_w=350_000, length_cm=1650)
    booking = ask(fleet, vehicle=vehicle)
    assert booking.status == "requested"

    booking = eventually(settled(booking, "confirmed"))

    theirs = network.desk.bookings()[booking.remote_id]
    assert theirs["reservation_status"] == booking.remote_status == "RESERVED"
    assert booking.evse.uid == theirs["booking_option"]["evse_uid"]
    sent = theirs["booking_requests"][0]["booking_request"]
    assert sent["booking_location_id"] == AT_ONCE
    assert (sent["country_code"], sent["party_id"]) == ("DE", "NFE")
    assert len(sent["tokens"]) == 1
    assert len(sent["authorization_reference"]) <= 36
    assert sent["power_required"] == 350
    assert set(sent["period"]) == {"start_date_time", "end_date_time"}
    assert sent["booking_option"]["max_vehicle_length"] == 1650
    assert sent["access_information"] == [{"method": "LICENSE_PLATE", "value": vehicle.plate}]
    assert not booking.requests.filter(decision="pending").exists()


def test_an_ask_to_a_paused_partner_is_not_sent_and_is_given_up_when_its_slot_begins(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any
) -> None:
    Partner.objects.filter(pk=at_work.pk).update(paused_at=timezone.now())
    booking = ask(fleet)
    waiting = Delivery.objects.filter(kind="request", next_try_at=timezone.now() + deliveries.HELD)
    row = eventually(waiting.first)

    clock.shift(slot(12, 13).starts_at - timezone.now())

    booking = eventually(settled(booking, "failed"))
    assert (row.attempts, row.delivered) == (0, None)
    assert network.desk.bookings() == {}
    assert fresh(at_work).failures == 0


def test_pending_turns_into_the_answer(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any
) -> None:
    booking = ask(fleet, AFTER_A_WHILE)
    booking = eventually(lambda: (b := fresh(booking)).remote_status == "PENDING" and b)
    assert booking.status == "requested"
    # The EVSE it names is the first, and no change of anything.
    assert booking.evse is not None
    assert not booking.is_changed_unseen

    clock.shift(timedelta(seconds=9))

    booking = eventually(settled(booking, "confirmed"))
    assert booking.requests.get().decision == "accepted"


@pytest.mark.parametrize("network", VERSIONS, indirect=True)
def test_a_change_and_a_cancellation(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation
) -> None:
    """Checklist 78: under both versions, each at its own addresses; another truck charges then, by its own card."""
    booking = eventually(settled(ask(fleet), "confirmed"))
    other = make_vehicle(fleet, connector_standards=["IEC_62196_T2_COMBO"], length_cm=1200)

    change_slot(
        booking_id=booking.pk, period=slot(14, 15), vehicle=other, authorization_reference="TOUR-7",
        actor=DISPATCHER, now=timezone.now(),
    )  # fmt: skip
    eventually(lambda: fresh(booking).period == slot(14, 15))
    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())
    booking = eventually(settled(booking, "cancelled"))

    theirs = network.desk.bookings()[booking.remote_id]
    assert theirs["canceled"] == {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}
    assert [e["request_status"] for e in theirs["booking_requests"]] == ["ACCEPTED"] * 3
    last = theirs["booking_requests"][-1]["booking_request"]
    assert last["period"]["start_date_time"] == "2030-01-15T14:00:00Z", (
        "a cancellation repeats what is booked"
    )
    assert [token["uid"] for token in last["tokens"]] == [token.uid for token in other.tokens.all()]
    assert last["access_information"][0]["value"] == other.plate
    changed = theirs["booking_requests"][1]["booking_request"]
    assert changed == {key: value for key, value in last.items() if key != "canceled"}
    assert (booking.vehicle, booking.plate, booking.authorization_reference) == (other, other.plate, "TOUR-7")
    assert list(booking.tokens.values_list("uid")) == list(other.tokens.values_list("uid"))
    assert fresh(at_work).version == network.settings.version
    assert booking.cancelled_by == "fleet"
    assert [r.decision for r in booking.requests.all()] == ["accepted"] * 3


def test_the_old_period_stays_in_force_until_a_change_is_decided(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any
) -> None:
    booking = ask(fleet, AFTER_A_WHILE)
    eventually(lambda: fresh(booking).remote_id)
    clock.shift(timedelta(seconds=9))
    eventually(settled(booking, "confirmed"))

    change_slot(booking_id=booking.pk, period=slot(15, 16), actor=DISPATCHER, now=timezone.now())
    eventually(
        lambda: (
            network.desk.bookings()[fresh(booking).remote_id]["booking_requests"][-1]["request_status"]
            == "PENDING"
        )
    )
    assert (fresh(booking).status, fresh(booking).period) == ("confirmed", slot(12, 13))

    clock.shift(timedelta(seconds=9))
    eventually(lambda: fresh(booking).period == slot(15, 16))


def test_a_refusal_declines_and_refreshes_the_calendar(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation
) -> None:
    for _ in range(2):  # both bays
        eventually(settled(ask(fleet), "confirmed"))
    # Our copy of the calendar is out of date until the partner pushes; its answer is what counts.
    late = eventually(settled(ask(fleet), "declined"))

    assert late.remote_status == "REJECTED"
    told = offer().offered_slots.values_list("period", flat=True)
    assert not any(period.overlaps(slot(12, 13)) for period in told)


@pytest.mark.parametrize("network", VERSIONS, indirect=True)
def test_the_partner_cancels_and_the_dispatcher_sees_it(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation
) -> None:
    booking = eventually(settled(ask(fleet), "confirmed"))

    network.desk.cancel(booking.remote_id)

    booking = eventually(settled(booking, "cancelled"))
    assert (booking.cancelled_by, booking.cancel_reason) == ("depot", "BROKEN_CHARGER")
    assert booking.is_changed_unseen
    assert not booking.is_irregular


def test_the_truck_arrives(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any
) -> None:
    booking = eventually(settled(ask(fleet), "confirmed"))

    clock.shift(timedelta(hours=4, minutes=1))

    eventually(settled(booking, "charging"))  # by its session, which is told first
    eventually(lambda: fresh(booking).remote_status == "FULFILLED")
    assert fresh(booking).status == "charging"


def test_a_network_that_is_away_is_asked_when_it_is_back(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any, tmp_path: Path
) -> None:
    network.stop()
    booking = ask(fleet)
    eventually(lambda: Delivery.objects.get(kind="request").attempts)
    assert fresh(booking).status == "requested"

    with SimulatedPartner(PartnerSettings(tmp_path / "network.json")):
        clock.shift(timedelta(minutes=1))
        eventually(settled(booking, "confirmed"))


def test_a_cancellation_of_what_the_partner_never_heard_of(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any, tmp_path: Path
) -> None:
    network.stop()
    booking = ask(fleet)
    eventually(lambda: Delivery.objects.get(kind="request").attempts)
    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())

    with SimulatedPartner(PartnerSettings(tmp_path / "network.json")) as back:
        clock.shift(timedelta(minutes=1))
        eventually(settled(booking, "cancelled"))
        assert not back.desk.bookings()


def test_a_cancellation_of_what_was_never_sent_waits_for_nobody(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any
) -> None:
    network.stop()
    booking = ask(fleet)
    eventually(lambda: Delivery.objects.get(kind="request").attempts)

    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())

    booking = eventually(settled(booking, "cancelled"))
    assert (booking.cancel_reason, booking.cancelled_by) == ("TRAFFIC", "fleet")


def test_a_cancellation_of_what_may_have_arrived_waits_for_the_partner(
    line: Flaky, network: SimulatedPartner, fleet: Organisation, clock: Any
) -> None:
    def lose_and_leave(asked: Asked) -> bool:
        line.server.answer = lambda _: Reply(cut=True)
        return True

    line.lose = lose_and_leave
    booking = ask(fleet)
    eventually(lambda: Delivery.objects.get(kind="request").attempts >= 2)
    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())
    # Whether it was tried already is the circuit's to say, which the failures so far may have closed.
    assert Delivery.objects.filter(kind="request").count() == 2
    assert fresh(booking).status != "cancelled"  # what arrived may be told of by a push

    line.lose, line.server.answer = lambda asked: False, line._pass_on
    clock.shift(timedelta(minutes=5))
    eventually(settled(booking, "cancelled"))
    eventually(lambda: [b["reservation_status"] for b in network.desk.bookings().values()] == ["CANCELED"])


def test_a_cancellation_of_what_a_slow_partner_does_not_list_yet_is_sent(
    line: Flaky, network: SimulatedPartner, fleet: Organisation, clock: Any
) -> None:
    line.server.answer = lambda asked: (
        line.posts.append(asked) or Reply(cut=True) if asked.method == "POST" else line._pass_on(asked)
    )
    booking = ask(fleet)
    eventually(lambda: len(line.posts) == 2)
    clock.shift(timedelta(seconds=20))
    eventually(lambda: Delivery.objects.get(kind="request").last_error.endswith("no such booking yet"))
    slow = line.posts[-1]

    cancel_booking(booking_id=booking.pk, reason="TRAFFIC", by="fleet", actor=DISPATCHER, now=timezone.now())
    eventually(lambda: len(line.posts) > 2)
    assert fresh(booking).status == "requested"
    line.server.answer = line._pass_on
    line._pass_on(slow)
    clock.shift(timedelta(minutes=5))

    eventually(settled(booking, "cancelled"))
    eventually(lambda: [b["reservation_status"] for b in network.desk.bookings().values()] == ["CANCELED"])


def test_a_slot_that_began_unanswered_has_failed(
    network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any
) -> None:
    network.stop()
    booking = ask(fleet)
    eventually(lambda: Delivery.objects.get(kind="request").attempts)

    clock.shift(timedelta(hours=4))

    booking = eventually(settled(booking, "failed"))
    assert "did not answer" in booking.note


# A partner whose answers get lost


class Flaky:
    """The network behind a line that can break: `lose` says which answers never arrive."""

    def __init__(self, network: SimulatedPartner) -> None:
        self.network = network
        self.lose: Callable[[Asked], bool] = lambda asked: False
        self.before: Callable[[Asked], None] = lambda asked: None
        self.posts: list[Asked] = []
        self.server = ScriptedPeer(self._pass_on)

    def _pass_on(self, asked: Asked) -> Reply:
        self.before(asked)
        target = asked.path + ("?" + urlencode(asked.query) if asked.query else "")
        raw = b"" if asked.body is None else json.dumps(asked.body).encode()
        if asked.method == "POST":
            self.posts.append(asked)
        status, body, headers = self.network.answer(asked.method, target, asked.headers, raw)
        if self.lose(asked):
            return Reply(cut=True)
        return Reply(status=status, body=body, headers=headers)


@pytest.fixture
def line(network: SimulatedPartner, at_work: Partner) -> Iterator[Flaky]:
    flaky = Flaky(network)
    with flaky.server:
        row = fresh(at_work)
        row.endpoints = [{**e, "url": e["url"].replace(network.url, flaky.server.url)} for e in row.endpoints]
        row.save(update_fields=["endpoints"])
        yield flaky


def test_a_lost_answer_is_followed_by_the_same_request_and_books_once(
    line: Flaky, network: SimulatedPartner, fleet: Organisation
) -> None:
    """Checklist 73."""
    line.lose = lambda asked: asked.method == "POST" and len(line.posts) == 1

    booking = eventually(settled(ask(fleet), "confirmed"))

    assert len(line.posts) == 2
    assert line.posts[0].body == line.posts[1].body
    assert list(network.desk.bookings()) == [booking.remote_id]


def test_two_lost_answers_are_made_good_by_the_partners_list(
    line: Flaky, network: SimulatedPartner, fleet: Organisation, clock: Any
) -> None:
    """Checklist 73."""
    line.lose = lambda asked: asked.method == "POST"

    booking = ask(fleet)
    eventually(lambda: len(line.posts) == 2)
    clock.shift(timedelta(seconds=20))
    booking = eventually(settled(booking, "confirmed"))

    assert len(line.posts) == 2
    assert list(network.desk.bookings()) == [booking.remote_id]


def test_the_push_may_come_before_the_answer(
    line: Flaky, network: SimulatedPartner, fleet: Organisation, clock: Any
) -> None:
    """Checklist 72: The partner decides and pushes while the answer to our POST is still on its way; it says PENDING then."""
    bookings: list[Booking] = []

    def answer(asked: Asked) -> Reply:
        reply = line._pass_on(asked)
        if asked.method == "POST":
            made = next(iter(network.desk.bookings()))
            network.desk.decide(made, accept=True)
            eventually(settled(Booking.objects.get(), "confirmed"))
        return reply

    line.server.answer = answer
    bookings.append(ask(fleet, AFTER_A_WHILE))
    eventually(lambda: Delivery.objects.get(kind="request").delivered_version)

    assert Booking.objects.get().status == "confirmed"
    assert not Booking.objects.get().is_irregular
    assert PartnerObject.objects.filter(kind="booking").count() == 1


def test_a_partner_that_says_no_without_a_booking(
    line: Flaky, network: SimulatedPartner, fleet: Organisation
) -> None:
    line.server.answer = lambda asked: (
        envelope(status_code=2001, message="the gate is broken")
        if asked.method == "POST"
        else line._pass_on(asked)
    )

    booking = eventually(settled(ask(fleet), "declined"))

    assert "the gate is broken" in booking.note


def test_a_partner_that_does_not_let_us_in_is_tried_again(
    line: Flaky, network: SimulatedPartner, fleet: Organisation, clock: Any
) -> None:
    line.server.answer = lambda asked: (
        Reply(status=401, body={"status_code": 2000, "timestamp": "2030-01-15T08:00:00Z"})
        if asked.method == "POST"
        else line._pass_on(asked)
    )
    booking = ask(fleet)
    eventually(lambda: Delivery.objects.get(kind="request").attempts)
    assert fresh(booking).status == "requested"

    line.server.answer = line._pass_on
    clock.shift(timedelta(minutes=1))
    eventually(settled(booking, "confirmed"))


@pytest.mark.parametrize(
    "garbage", [b"<html>", b"{}", b'{"status_code": 1000}', b'{"status_code":1000,"data":{"id":1}}']
)
def test_garbage_for_an_answer_is_made_good_by_the_list(
    line: Flaky, network: SimulatedPartner, fleet: Organisation, clock: Any, garbage: bytes
) -> None:
    def answer(asked: Asked) -> Reply:
        reply = line._pass_on(asked)
        return Reply(body=garbage) if asked.method == "POST" else reply

    line.server.answer = answer
    booking = ask(fleet)
    eventually(lambda: line.posts)
    eventually(lambda: Delivery.objects.get(kind="request").last_error)
    clock.shift(timedelta(minutes=1))

    booking = eventually(settled(booking, "confirmed"))
    assert list(network.desk.bookings()) == [booking.remote_id]


def test_a_lost_push_is_made_good_by_looking_again(
    line: Flaky, network: SimulatedPartner, at_work: Partner, fleet: Organisation, clock: Any
) -> None:
    booking = ask(fleet, AFTER_A_WHILE)
    eventually(lambda: fresh(booking).remote_id)
    with network.state.changing() as state:
        state["peer"]["endpoints"] = []  # its pushes go nowhere
    clock.shift(timedelta(seconds=9))
    eventually(lambda: network.desk.bookings()[fresh(booking).remote_id]["reservation_status"] == "RESERVED")
    assert fresh(booking).status == "requested"

    clock.shift(timedelta(seconds=31))

    eventually(settled(booking, "confirmed"))


@pytest.mark.parametrize(
    "point", ["after deliveries.claim", "after our_requests.begin", "instead of our_requests.answered"]
)
def test_a_worker_killed_while_it_asks_books_once(
    network: SimulatedPartner,
    registered: Partner,
    fleet: Organisation,
    clock: Any,
    tmp_path: Path,
    point: str,
) -> None:
    """kill -9 before, between and after the request and its answer: the next worker finds out, and books nothing twice."""
    with RunningSender():
        eventually(lambda: all_read(registered))
        eventually(lambda: not Delivery.objects.filter(next_try_at__isnull=False).exists())
    booking = ask(fleet)
    worker_that_dies(point, tmp_path)

    with RunningSender():
        clock.shift(deliveries.LEASE)
        booking = eventually(settled(booking, "confirmed"))

    assert list(network.desk.bookings()) == [booking.remote_id]
    assert booking.events.filter(after="confirmed").count() == 1


# What the partner withdraws


def test_what_a_full_list_does_not_name_is_withdrawn_and_comes_back(
    network: SimulatedPartner,
    at_work: Partner,
    fleet: Organisation,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Checklist 28."""
    from simulators.partner import simulated_sites

    all_sites = simulated_sites.SITES
    monkeypatch.setattr(simulated_sites, "SITES", all_sites[:1])
    clock.shift(timedelta(hours=7))
    eventually(lambda: offer(AFTER_A_WHILE).is_withdrawn)
    assert not offer(AT_ONCE).is_withdrawn

    monkeypatch.setattr(simulated_sites, "SITES", all_sites)
    clock.shift(timedelta(hours=7))
    eventually(lambda: not offer(AFTER_A_WHILE).is_withdrawn)


def test_a_list_of_changes_withdraws_nothing(
    network: SimulatedPartner, at_work: Partner, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 28."""
    from simulators.partner import simulated_sites

    monkeypatch.setattr(simulated_sites, "SITES", simulated_sites.SITES[:1])
    clock.shift(timedelta(hours=1, minutes=15))
    eventually(lambda: all_read(at_work))

    assert not offer(AFTER_A_WHILE).is_withdrawn


def test_a_list_that_breaks_off_withdraws_nothing(line: Flaky, at_work: Partner, clock: Any) -> None:
    """Checklist 28."""
    line.server.answer = lambda asked: (
        Reply(cut=True) if "booking_locations" in asked.path else line._pass_on(asked)
    )
    clock.shift(timedelta(hours=7))

    eventually(lambda: at_work.pulls.get(module="booking_location").failures)

    assert not BookingOption.objects.filter(is_mirror=True, is_withdrawn=True).exists()
    eventually(lambda: at_work.pulls.get(module="location").read_at == timezone.now(), "the others are read")


def test_after_an_outage_the_depots_are_read_again(
    network: SimulatedPartner, at_work: Partner, clock: Any, tmp_path: Path
) -> None:
    before = at_work.pulls.get(module="location").next_at
    network.stop()
    at_work.pulls.update(next_at=timezone.now())
    for number in range(deliveries.CIRCUIT_OPENS_AT):
        eventually(lambda number=number: fresh(at_work).failures > number)
        clock.shift(timedelta(minutes=2))
    with SimulatedPartner(PartnerSettings(tmp_path / "network.json")):
        clock.shift(timedelta(minutes=20))
        eventually(lambda: fresh(at_work).failures == 0 and all_read(at_work))

    assert at_work.pulls.get(module="location").next_at != before
