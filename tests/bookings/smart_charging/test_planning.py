"""A depot's power told to its chargers: promises arrive, no limit is exceeded at any answer, whoever is silent counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bookings import operations, scheduler, smart_charging
from bookings.core.calendars import mark_depot_changed
from bookings.enforcement.faults import faults_seen
from bookings.models import ChargingProfile, DepotPower, EvsePower, PowerMark
from bookings.rules import power_shortage
from bookings.smart_charging import promises
from depots import operations as depots
from depots.models import Charger, ChargerCommand, ChargingSession
from depots.periods import Period
from tests.bookings.enforcement.online_chargers import book, start
from tests.bookings.smart_charging.chargers import (
    KW,
    OPEN,
    SECOND,
    TAKES,
    Chargers,
    charge,
    depot_of,
    make_site,
    metered,
    offline,
    settle,
    share,
    stop,
    why,
)
from tests.factories import MANAGER, NOW, at, make_vehicle, slot

pytestmark = pytest.mark.django_db


def test_free_evses_are_told_what_a_truck_may_begin_with_so_that_all_of_them_fit(site):
    assert [site.held[evse.pk, "tx_default"] // KW for evse in site.evses] == [50, 50, 50]
    assert DepotPower.objects.get().counted_w == 150 * KW


def test_a_booked_truck_is_given_its_promise_at_once_and_what_nobody_else_needs(site):
    booking = book(site.evses[0], power_w=200 * KW)
    start(site.evses[0], booking.tokens.get().uid, at(9, 55))

    settle(site, at(9, 55), limit_kw=400)

    assert site.held[site.evses[0].pk, "tx"] == 350 * KW  # what the vehicle takes
    assert site.held[site.evses[0].pk, "tx_default"] == 5 * KW
    power = EvsePower.objects.get(evse=site.evses[0])
    assert (power.promised_w, power.short_since) == (200 * KW, None)


def test_a_promise_takes_back_what_others_were_given_and_never_is_there_too_much(site):
    first = charge(site.evses[0])
    now = settle(site, NOW, limit_kw=400)
    assert share(site.evses[0]) == 390
    booking = book(site.evses[1], power_w=250 * KW)
    start(site.evses[1], booking.tokens.get().uid, at(9, 55))

    settle(site, at(9, 55), limit_kw=400)

    assert share(site.evses[1]) >= 250
    assert share(site.evses[0]) + share(site.evses[1]) + share(site.evses[2]) <= 400
    stop(first, now=now + SECOND)


def test_a_raise_waits_for_the_lowering_that_makes_room_and_its_answer(site):
    charge(site.evses[0])
    now = settle(site, NOW)
    charge(site.evses[1], now=now)
    smart_charging.plan_due(now=now + SECOND)
    told = [(c.charger_id, c.payload["limits"][0][1] // KW) for c in waiting()]

    assert told == [(site.evses[0].charger_id, 198)]
    site.answer(now=now + SECOND, limit_w=400 * KW)
    settle(site, now + SECOND, limit_kw=400)
    assert site.held[site.evses[1].pk, "tx"] == 197 * KW


def test_an_unanswered_lowering_counts_with_what_stood_before(site):
    charge(site.evses[0])
    now = settle(site, NOW)
    charge(site.evses[1], now=now)
    smart_charging.plan_due(now=now + SECOND)
    lowering = waiting().get()

    depots.settle_command(command_id=lowering.pk, state="unclear", now=now + 2 * SECOND)
    smart_charging.plan_due(now=now + 4 * SECOND)

    assert EvsePower.objects.get(evse=site.evses[0]).counted_w == 390 * KW
    assert not waiting().filter(charger=site.evses[1].charger).exists()


def test_a_silent_charger_gives_back_by_itself_what_nobody_promised_before_the_next_promise_begins(site):
    charge(site.evses[0])
    charge(site.evses[1])
    settle(site, NOW)
    booking = book(site.evses[2], power_w=250 * KW)
    now = settle(site, at(9, 58), limit_kw=400)
    offline(site.evses[0].charger)
    assert site.held[site.evses[0].pk, "tx"] == 198 * KW

    settle(site, at(10) - 15 * SECOND, limit_kw=400)
    assert (share(site.evses[0]), why(site.evses[0])) == (198, "silent")
    start(site.evses[2], booking.tokens.get().uid, at(10))
    settle(site, at(10), limit_kw=400)

    assert site.may_take(site.evses[0], at(10)) == 50 * KW  # what bookings always leave it
    assert share(site.evses[0]) == 50
    assert share(site.evses[2]) >= 250
    assert EvsePower.objects.get(evse=site.evses[2]).short_since is None
    assert now < at(10)


def test_one_that_takes_a_single_period_is_given_no_more_than_promises_of_the_day_leave(site):
    charger = site.evses[0].charger
    told = {**TAKES, "configuration": {"ChargingScheduleMaxPeriods": "1"}}
    Charger.objects.filter(pk=charger.pk).update(told=told)
    book(site.evses[2], power_w=250 * KW)

    charge(site.evses[0])
    charge(site.evses[1])
    settle(site, NOW, limit_kw=400)

    assert share(site.evses[0]) == 100  # 400 less 250 and 50
    assert site.steps[site.evses[0].pk, "tx"] == []
    assert site.steps[site.evses[1].pk, "tx"]


def test_what_expires_is_renewed_in_time_and_not_before(site):
    charge(site.evses[0])
    now = settle(site, NOW)
    told = len(site.sent)

    settle(site, now + timedelta(minutes=2))
    assert len(site.sent) == told
    now = settle(site, now + timedelta(minutes=4))

    assert site.sent[told:] == [(site.evses[0].pk, "tx", 390 * KW)]
    assert site.may_take(site.evses[0], now + timedelta(minutes=4)) == 390 * KW


def test_what_a_vehicle_does_not_take_goes_on_and_comes_back_when_it_asks(site):
    first, second = charge(site.evses[0]), charge(site.evses[1])
    now = settle(site, NOW)
    metered(first, 60, now=now + 70 * SECOND)
    metered(second, 197, now=now + 70 * SECOND)

    now = settle(site, now + 71 * SECOND, limit_kw=400)

    assert (share(site.evses[0]), share(site.evses[1])) == (66, 329)
    assert why(site.evses[0]) == "content"
    metered(first, 66, now=now + 11 * SECOND)
    settle(site, now + 12 * SECOND, limit_kw=400)
    assert (share(site.evses[0]), share(site.evses[1])) == (198, 197)


def test_a_charger_without_profiles_counts_with_all_it_can_take(site):
    evses = make_site(2, grid_kw=500, terms=OPEN)
    Charger.objects.filter(pk=evses[0].charger_id).update(told={"smart_charging": False})
    charge(evses[1])

    settle(Chargers(evses), NOW)

    assert (share(evses[0]), why(evses[0])) == (400, "uncontrolled")
    assert share(evses[1]) == 100
    assert not ChargerCommand.objects.filter(charger=evses[0].charger, action="set_charging_profile").exists()


def test_a_charger_that_does_not_keep_to_its_limit_is_found_by_its_meter(site):
    first, _ = charge(site.evses[0]), charge(site.evses[1])
    now = settle(site, NOW)
    metered(first, 300, now=now + 31 * SECOND)

    settle(site, settle(site, now + 32 * SECOND))

    assert why(site.evses[0]) == "ignores"
    assert EvsePower.objects.get(evse=site.evses[0]).counted_w == 330 * KW
    assert share(site.evses[1]) == 65
    assert Charger.objects.get(pk=site.evses[0].charger_id).measured["profiles"] == "ignores"


def test_after_a_reboot_it_is_told_everything_again(site):
    charge(site.evses[0])
    now = settle(site, NOW)
    Charger.objects.filter(pk=site.evses[0].charger_id).update(booted_at=now + SECOND)
    site.sent.clear()

    PowerMark.objects.create(depot=depot_of(site.evses), due_at=now)
    settle(site, now + 2 * SECOND)

    assert [(evse, purpose) for evse, purpose, _ in site.sent] == [
        (site.evses[0].pk, "tx_default"),
        (site.evses[0].pk, "tx"),
    ]


def test_a_form_that_is_rejected_twice_in_a_row_is_followed_by_the_next_and_remembered(site):
    evse = site.evses[0]
    session = charge(evse)
    settled = settle(site, NOW, but={evse.pk: "rejected"})

    forms = [
        (c.payload["unit"], c.payload["stack_level"])
        for c in ChargerCommand.objects.filter(charger=evse.charger, payload__purpose="tx_default").order_by(
            "pk"
        )
    ]
    assert forms == [("W", 1), *(form for form in [("W", 1), ("A", 1), ("W", 0), ("A", 0)] for _ in range(2))]
    measured = Charger.objects.get(pk=evse.charger_id).measured["profile_forms_rejected"]
    assert measured == {"tx": 2, "tx_default": 4}
    assert why(evse) == "uncontrolled"
    Charger.objects.filter(pk=evse.charger_id).update(booted_at=settled + SECOND)
    PowerMark.objects.create(depot=evse.depot, due_at=settled)
    assert settle(site, settled + SECOND)
    assert why(evse) == "shared"
    stop(session, now=settled)


def test_a_charger_that_rejects_once_is_asked_again_in_the_same_form(site):
    evse = site.evses[0]
    charge(evse)
    smart_charging.plan_due(now=NOW + 3 * SECOND)
    site.answer(now=NOW + 3 * SECOND, but={evse.pk: "rejected"})

    settle(site, NOW + 3 * SECOND)

    measured = Charger.objects.get(pk=evse.charger_id).measured
    assert (measured["profile_forms_doubted"], measured.get("profile_forms_rejected")) == ({}, None)
    assert site.held[evse.pk, "tx"] == 390 * KW


def test_what_is_rejected_twice_in_several_periods_is_told_in_one(site):
    evse = site.evses[0]
    charge(evse)
    now = NOW
    for _ in range(8):
        now += 3 * SECOND
        smart_charging.plan_due(now=now)
        has_several = any(len(command.payload["limits"]) > 1 for command in waiting())
        site.answer(now=now, but={evse.pk: "rejected"} if has_several else None)

    settle(site, now)

    measured = Charger.objects.get(pk=evse.charger_id).measured
    assert measured["profile_periods"] == 1
    assert site.steps[evse.pk, "tx"] == []


def test_a_session_that_is_over_leaves_no_limit_behind(site):
    session = charge(site.evses[0])
    now = settle(site, NOW)

    stop(session, now=now)
    settle(site, now, limit_kw=400)

    profile = ChargingProfile.objects.get(evse=site.evses[0], purpose="tx")
    assert (profile.accepted_w, profile.transaction) == (None, "")
    assert (
        ChargerCommand.objects.filter(action="clear_charging_profile").get().payload["profile_id"]
        == profile.pk
    )
    assert site.held[site.evses[0].pk, "tx_default"] == 50 * KW


def test_where_no_limit_binds_a_booking_is_given_all_its_evse_has():
    site = Chargers(make_site(2, grid_kw=None, terms=OPEN))
    booking = book(site.evses[0])
    start(site.evses[0], booking.tokens.get().uid, at(9, 55))
    charge(site.evses[1], now=at(9, 55))

    settle(site, at(9, 55))

    assert site.sent == [(site.evses[0].pk, "tx", 400 * KW)]


def test_a_limit_from_outside_lowers_before_it_begins_and_is_undone_at_its_end(site):
    charge(site.evses[0])
    now = settle(site, NOW)
    operations.limit_depot(
        depot=depot_of(site.evses), watts=100 * KW, period=slot((8, 30), 9), actor=MANAGER, now=now
    )
    settle(site, now)
    assert share(site.evses[0]) == 390

    settle(site, at(8, 30) - 16 * SECOND)
    assert share(site.evses[0]) == 90
    settle(site, at(8, 30), limit_kw=100)
    operations.end_limits(now=at(9))
    settle(site, at(9))

    assert share(site.evses[0]) == 390


def test_an_accepted_limit_is_asked_for_once_and_a_charger_that_says_another_is_found(site):
    charge(site.evses[0])
    now = settle(site, NOW)
    asked = ChargerCommand.objects.get(action="get_composite_schedule")

    depots.settle_command(
        command_id=asked.pk,
        answer="accepted",
        answer_text='{"unit": "W", "periods": [[0, 450000, null]]}',
        now=now,
    )
    settle(site, now)

    assert why(site.evses[0]) == "ignores"
    assert ChargerCommand.objects.filter(action="get_composite_schedule").count() == 1


def test_nothing_changed_says_nothing_and_a_plan_takes_the_same_queries_for_many(
    site, django_assert_max_num_queries
):
    charge(site.evses[0])
    now = settle(site, NOW)
    before = ChargerCommand.objects.count()

    with django_assert_max_num_queries(20):
        smart_charging.plan_depot(depot_id=depot_of(site.evses).pk, now=now + SECOND)

    assert ChargerCommand.objects.count() == before


def waiting():
    return ChargerCommand.objects.filter(action="set_charging_profile", state="queued").order_by("pk")


def test_fleets_are_told_before_of_less_power_in_the_order_of_the_depots_rule(site):
    first, second = (
        book(site.evses[0], power_w=150 * KW),
        book(site.evses[1], power_w=150 * KW, now=NOW + SECOND),
    )

    operations.limit_depot(
        depot=depot_of(site.evses), watts=200 * KW, period=slot((10, 30), 12), actor=MANAGER, now=NOW
    )
    scheduler.run_tick(NOW + SECOND)

    assert not first.events.filter(kind="power_limited").exists()
    told = second.events.get(kind="power_limited")
    assert told.actor == MANAGER
    assert (told.detail["promised_w"], told.detail["expected_w"]) == (150 * KW, 50 * KW)


def test_the_operators_own_trucks_come_last_where_the_depot_says_so():
    evses = make_site(2, terms={**OPEN, "power_order": "own_last"})
    own = make_vehicle(depot_of(evses).operator, max_power_w=400 * KW)
    mine, guest = (
        book(evses[0], vehicle=own, power_w=150 * KW),
        book(evses[1], power_w=150 * KW, now=NOW + SECOND),
    )

    operations.limit_depot(depot=depot_of(evses), watts=150 * KW, period=slot(10, 11), actor=MANAGER, now=NOW)

    assert mine.events.get(kind="power_limited").detail["expected_w"] == 0
    assert not guest.events.filter(kind="power_limited").exists()


def test_a_promise_that_is_not_kept_stands_in_the_history_and_its_end_too(site):
    booking = book(site.evses[0], power_w=200 * KW)
    start(site.evses[0], booking.tokens.get().uid, at(9, 55))
    now = settle(site, at(9, 55))
    operations.limit_depot(
        depot=depot_of(site.evses), watts=100 * KW, period=Period(now, at(10, 30)), actor=MANAGER, now=now
    )
    now = settle(site, now, limit_kw=400)

    assert smart_charging.note_shortfalls(now=now) == 0
    assert smart_charging.note_shortfalls(now=now + 21 * SECOND) == 1
    operations.end_limits(now=at(10, 30))
    settle(site, at(10, 30))
    assert smart_charging.note_shortfalls(now=at(10, 31)) == 1

    kinds = list(booking.events.filter(kind__startswith="power_").values_list("kind", "detail__given_w"))
    assert kinds[1:] == [("power_short", 100 * KW), ("power_restored", 350 * KW)]


def test_who_outlives_its_slot_is_promised_nothing_and_what_was_missing_is_not_given_back(site):
    booking = book(site.evses[0], power_w=200 * KW)
    start(site.evses[0], booking.tokens.get().uid, at(9, 55))
    operations.limit_depot(
        depot=depot_of(site.evses), watts=0, period=Period(at(10, 30), at(12)), actor=MANAGER, now=at(10)
    )
    now = settle(site, at(10, 31))
    smart_charging.note_shortfalls(now=now + 21 * SECOND)
    power = EvsePower.objects.get(evse=site.evses[0])
    assert (power.promised_w, power.share_w, power.is_short) == (200 * KW, 0, True)

    settle(site, at(11))
    smart_charging.note_shortfalls(now=at(11, 1))

    power.refresh_from_db()
    assert (power.promised_w, power.share_w, power.is_short, power.short_told_w) == (0, 0, False, None)
    assert list(booking.events.filter(kind__startswith="power_").values_list("kind", flat=True)) == [
        "power_limited",
        "power_short",
    ]


def test_a_charger_that_never_connected_counts_nothing_and_once_it_does_others_are_lowered_before_it_is_given():
    site = Chargers(make_site(2, terms=OPEN))
    first, new = site.evses
    Charger.objects.filter(pk=new.charger_id).update(
        connected_at=None, lease_holder="", lease_until=None, told={}
    )
    charge(first)
    book(new, power_w=250 * KW)
    now = settle(site, at(10))
    assert (share(first), share(new), DepotPower.objects.get().counted_w) == (400, 0, 400 * KW)

    connection = {"holder": "gw", "protocol": "ocpp1.6", "lease": timedelta(hours=1), "now": now}
    depots.open_connections([{"charger_id": new.charger_id, **connection}])
    smart_charging.plan_due(now=now + 3 * SECOND)

    told = [(c.charger_id, c.payload["limits"][0][1]) for c in waiting()]
    assert [charger_id for charger_id, _ in told] == [first.charger_id] * len(told)
    assert max(told)[1] == 0
    assert EvsePower.objects.get(evse=new).counted_w == 400 * KW
    site.answer(now=now + 3 * SECOND)
    Charger.objects.filter(pk=new.charger_id).update(told=TAKES)
    settle(site, now + 4 * SECOND)
    assert site.held[new.pk, "tx_default"] == 250 * KW
    assert site.sum_w(now + 10 * SECOND) <= 400 * KW


@pytest.mark.parametrize("together", [True, False])
def test_only_the_first_connection_of_a_charger_shares_power_out_anew(together):
    (evse,) = make_site(1)
    Charger.objects.update(connected_at=None)
    call = {"charger_id": evse.charger_id, "holder": "gw", "protocol": "ocpp1.6", "lease": SECOND, "now": NOW}
    for marks in (1, 1):
        depots.open_connections([call]) if together else depots.open_connection(**call)
        assert PowerMark.objects.count() == marks


def test_a_promise_says_whether_the_depot_lacks_power_or_a_neighbour_cannot_be_told():
    site = Chargers(make_site(2, terms=OPEN))
    booked, other = site.evses
    booking = book(booked, power_w=250 * KW)
    Charger.objects.filter(pk=other.charger_id).update(told={})
    start(booked, booking.tokens.get().uid, at(9, 55))

    smart_charging.plan_due(now=at(9, 55) + SECOND)
    assert (why(booked), why(other)) == ("blocked", "uncontrolled")

    limit = {"watts": 200 * KW, "period": Period(at(9, 55), at(11)), "actor": MANAGER, "now": at(9, 55)}
    operations.limit_depot(depot=depot_of(site.evses), **limit)
    smart_charging.plan_due(now=at(9, 56))
    assert why(booked) == "short"


def test_what_is_short_behind_a_strangers_session_is_told_once_the_booking_has_the_place():
    site = Chargers(make_site(1, terms={**OPEN, "no_show_min": 60}))
    booking = book(site.evses[0], slot(10, 12), power_w=250 * KW)
    EvsePower.objects.update_or_create(
        evse=site.evses[0], defaults={"short_since": at(10), "share_w": 100 * KW, "why": EvsePower.Why.SHORT}
    )
    stranger = ChargingSession.objects.create(
        charger=site.evses[0].charger, evse=site.evses[0], started_at=at(9), start_received_at=at(9)
    )
    assert smart_charging.note_shortfalls(now=at(10, 5)) == 0

    ChargingSession.objects.filter(pk=stranger.pk).update(ended_at=at(10, 6))

    assert smart_charging.note_shortfalls(now=at(10, 7)) == 1
    assert booking.events.get(kind="power_short").detail["given_w"] == 100 * KW


def test_who_waits_longest_is_told_first_and_a_strangers_session_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(promises, "AT_ONCE", 1)
    site = Chargers(make_site(3, terms={**OPEN, "no_show_min": 60}))
    behind, later, earlier = (book(evse, slot(10, 12), power_w=100 * KW) for evse in site.evses)
    for booking, minute in ((behind, 0), (later, 2), (earlier, 1)):
        EvsePower.objects.update_or_create(
            evse=booking.evse,
            defaults={"short_since": at(10, minute), "share_w": KW, "why": EvsePower.Why.SHORT},
        )
    ChargingSession.objects.create(
        charger=behind.evse.charger, evse=behind.evse, started_at=at(9), start_received_at=at(9)
    )

    told = []
    for second in (1, 2, 3):
        smart_charging.note_shortfalls(now=at(10, 5) + second * SECOND)
        told.append(
            [booking.events.filter(kind="power_short").exists() for booking in (behind, earlier, later)]
        )

    assert told == [[False, True, False], [False, True, True], [False, True, True]]


def test_what_a_session_finds_missing_was_missing_from_its_first_moment(site):
    booking = book(site.evses[0], power_w=200 * KW)
    first = start(site.evses[0], booking.tokens.get().uid, at(10))
    operations.limit_depot(
        depot=depot_of(site.evses),
        watts=100 * KW,
        period=Period(at(10, 1), at(11)),
        actor=MANAGER,
        now=at(10, 1),
    )
    settle(site, at(10, 1))
    failed = depots.Stop(transaction=first.transaction, at=at(10, 3), meter_wh=1000)
    depots.stop_session(charger_id=first.charger_id, stop=failed, now=at(10, 3))
    settle(site, at(10, 3))
    smart_charging.note_shortfalls(now=at(10, 4))

    start(site.evses[0], booking.tokens.get().uid, at(10, 6))
    now = settle(site, at(10, 6))
    smart_charging.note_shortfalls(now=now + 21 * SECOND)

    told = booking.events.filter(kind="power_short").order_by("id").last()
    assert told.detail["since"] == at(10, 6).isoformat()
    assert power_shortage.waives(booking, since=at(10, 6), until=at(10, 8))


def test_a_truck_that_does_not_come_while_its_promise_is_not_there_has_evidence_and_the_next_its_own():
    site = Chargers(make_site(2, terms={**OPEN, "no_show_min": 10}))
    first, second = (
        book(site.evses[0], slot(10, 11), power_w=250 * KW),
        book(site.evses[0], slot(11, 12), power_w=250 * KW),
    )
    depot = depot_of(site.evses)
    type(depot).objects.update(grid_limit_w=100 * KW)  # for good: nobody announced it
    mark_depot_changed(depot.pk, at=at(9, 59))

    for booking, begun in ((first, at(10)), (second, at(11))):
        smart_charging.plan_depot(depot_id=depot.pk, now=begun + SECOND)
        assert smart_charging.note_shortfalls(now=begun + 30 * SECOND) == 1
        told = booking.events.get(kind="power_short").detail
        assert (told["since"], told["given_w"]) == ((begun + SECOND).isoformat(), 100 * KW)

    (fault,) = [f for f in faults_seen(first, now=at(10, 10)) if f.why == "no_power"]
    assert (fault.seen.starts_at, fault.seen.ends_at) == (at(10) + SECOND, at(10, 10))


def test_only_who_was_told_of_a_shortage_is_told_of_its_end(site):
    first, second = book(site.evses[0], slot(10, 11)), book(site.evses[0], slot(11, 12))
    EvsePower.objects.update_or_create(evse=site.evses[0], defaults={"short_told_w": 100 * KW})

    smart_charging.note_shortfalls(now=at(11, 1))

    assert EvsePower.objects.get(evse=site.evses[0]).short_told_w is None
    assert not first.events.filter(kind="power_restored").exists()
    assert not second.events.filter(kind="power_restored").exists()


def test_a_shortage_that_begins_before_the_end_of_another_was_noted_is_told_all_the_same():
    site = Chargers(make_site(1, terms=OPEN))
    booking = book(site.evses[0], slot(10, 11), power_w=250 * KW)
    depot = depot_of(site.evses)
    type(depot).objects.update(grid_limit_w=100 * KW)
    mark_depot_changed(depot.pk, at=at(9, 59))
    EvsePower.objects.update_or_create(evse=booking.evse, defaults={"short_told_w": 50 * KW})

    smart_charging.plan_depot(depot_id=depot.pk, now=at(10) + SECOND)
    smart_charging.note_shortfalls(now=at(10) + 30 * SECOND)

    assert booking.events.get(kind="power_short").detail["given_w"] == 100 * KW
