"""Chargers come, drop, restart, answer late or never, while bookings, limits and fallbacks change under them: what we promise
of the plug holds at every step, by what the chargers hold themselves and by plain SQL."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from bookings import enforcement, operations, scheduler
from bookings.errors import BookingError
from bookings.models import LIVE, Booking, BookingOption, Closure, ExternalLimit, KeptEvse, Token, Vehicle
from depots.models import ChargerCommand, ChargingSession, Depot, Evse, LocalList, SettingsCheck
from depots.operations import NotTheHolder
from depots.periods import Period
from tests.factories import (
    DISPATCHER,
    MANAGER,
    NOW,
    at,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_vehicle,
    option_of,
)
from tests.races.processes import at_once
from tests.races.stand_in_chargers import (
    KEEPING_FROM,
    StandIn,
    come_together,
    leave_together,
    serve_together,
    show_together,
)
from tests.races.test_random_operations import _no_silent_failures

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

GRID_W, MOST_W = 900_000, 400_000
WAYS = ["availability", "profile_0", "local_list"]

# Nothing may be found by any of these, whatever has happened.
NEVER = {
    "a state whose history says another one": """
        SELECT e.uid, e.status, h.status FROM depots_evse e JOIN LATERAL (
            SELECT status FROM depots_evsestatuschange WHERE evse_id = e.id ORDER BY id DESC LIMIT 1) h ON true
        WHERE h.status <> e.status""",
    "a change of state that changed nothing": """
        SELECT * FROM (SELECT evse_id, id, status, lag(status) OVER (PARTITION BY evse_id ORDER BY id) AS before
        FROM depots_evsestatuschange) h WHERE status = before""",
    "a connection whose history says another thing": """
        SELECT c.identity, c.lease_holder, h.is_online FROM depots_charger c JOIN LATERAL (
            SELECT is_online FROM depots_connectionchange WHERE charger_id = c.id ORDER BY id DESC LIMIT 1) h ON true
        WHERE h.is_online <> (c.lease_holder <> '')""",
    "a change of connection that changed nothing": """
        SELECT * FROM (SELECT charger_id, id, is_online,
            lag(is_online) OVER (PARTITION BY charger_id ORDER BY id) AS before
        FROM depots_connectionchange) h WHERE is_online = before""",
    "a session whose figures are not those of its newest reading": """
        SELECT s.id, s.meter_last_wh, r.energy_wh FROM depots_chargingsession s JOIN LATERAL (
            SELECT energy_wh FROM depots_meterreading WHERE session_id = s.id ORDER BY at DESC LIMIT 1) r ON true
        WHERE s.ended_at IS NULL AND s.meter_last_wh <> r.energy_wh""",
    "two sessions at one EVSE": """
        SELECT evse_id FROM depots_chargingsession WHERE ended_at IS NULL GROUP BY evse_id HAVING count(*) > 1""",
    "an EVSE kept for a booking without a row that says so": """
        SELECT uid FROM depots_evse e WHERE kept_for IS NOT NULL AND NOT EXISTS (
            SELECT FROM bookings_keptevse k WHERE k.evse_id = e.id AND k.over_at IS NULL)""",
    "a limit in force that exceeds the depot's own": """
        SELECT p.depot_id FROM bookings_depotpower p JOIN depots_depot d ON d.id = p.depot_id
        WHERE p.limit_w > d.grid_limit_w""",
}


# A truck that charges at the EVSE of its booking without it, though the time of that has begun.
NOT_TAKEN_OVER = """
    SELECT b.id, s.id FROM bookings_booking b
    JOIN depots_chargingsession s ON s.evse_id = b.evse_id AND s.ended_at IS NULL
        AND s.announced_at IS NOT NULL AND s.is_entitled
    JOIN bookings_bookingtoken t ON t.booking_id = b.id AND upper(t.uid) = upper(s.token_uid)
    WHERE b.status = 'confirmed' AND b.starts_at <= %s AND b.ends_at > %s
        AND NOT EXISTS (SELECT FROM bookings_bookingsession v WHERE v.session_id = s.id)"""


@pytest.mark.parametrize("seed", [1])
def test_the_plug_keeps_what_is_promised_whatever_chargers_do(seed: int):
    _one_after_the_other(seed, steps=30)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_the_plug_keeps_it_over_many_seeds(seed: int):
    _one_after_the_other(seed, steps=200)


@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_when_all_of_it_happens_at_once_and_somebody_is_killed(seed: int):
    _all_at_once(seed, steps=6)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 230))
def test_nothing_is_lost_at_once_over_many_seeds(seed: int):
    _all_at_once(seed, steps=80)


def _one_after_the_other(seed: int, steps: int) -> None:
    chargers = _yard(seed)
    life = _Life(seed, chargers, is_alone=True)
    _calm(chargers, NOW)
    assert _taken(chargers) <= GRID_W

    for _ in range(steps):
        name = life.step()
        _check(chargers, f"seed {seed} after {name} at {life.now}: {life.told}")
    _settle(chargers, life.now)
    _check_waivers(chargers)

    assert life.done["serve: done"] > steps / 20, life.done


def _all_at_once(seed: int, steps: int) -> None:
    """A process for each charger, and two for fleets and the clock, one of which dies in a transaction."""
    chargers = _yard(seed)
    _calm(chargers, NOW)

    def live(number: int) -> Any:
        own = chargers[number : number + 1]
        life = _Life(seed * 100 + number, own, is_alone=False)
        for _ in range(steps):
            life.step()
        if number == len(chargers) + 1:
            with transaction.atomic():
                scheduler.run_tick(life.now)
                os.kill(os.getpid(), signal.SIGKILL)
        return own, life.now

    *reports, killed = at_once(live, len(chargers) + 2)

    assert not (failures := [report for report in reports if isinstance(report, str)]), "\n".join(failures)
    assert killed == "ERROR the process died"
    _settle([each for own, _ in reports for each in own], max(now for _, now in reports))


class _Life:
    """What befalls these chargers and their depot, a step at a time."""

    def __init__(self, seed: int, chargers: list[StandIn], *, is_alone: bool) -> None:
        self.random = random.Random(seed)
        self.chargers, self.now = chargers, NOW
        self.done: Counter[str] = Counter()
        self.told = ""
        self._is_alone = is_alone

    def step(self) -> str:
        doings: list[tuple[Callable[[], Any], int]] = [
            (self._tick, 10),
            (self._book, 8),
            (self._change, 1),
            (self._cancel, 1),
        ]
        if self.chargers:
            doings += [(self._serve, 22), (self._connection, 4), (self._plug, 6), (self._show, 4)]
        if self._is_alone:
            doings += [(self._serve_all, 6), (self._drop_all, 1), (self._show_all, 2), (self._lose, 2)]
        if self._is_alone or not self.chargers:
            doings += [
                (self._limit, 1),
                (self._lift, 1),
                (self._fallbacks, 1),
                (self._close, 1),
                (self._try, 1),
            ]
        (do,) = self.random.choices([each for each, _ in doings], [weight for _, weight in doings])
        self.now += timedelta(seconds=self.random.randrange(60))
        for charger in self.chargers:  # gateways do so by themselves
            if charger.holder:
                charger.renew(self.now)
        name = do.__name__.strip("_")
        try:
            did = do()
        except BookingError as refusal:
            did = refusal.code
        self.told = str(did)
        self.done[f"{name}: {'nothing' if did is None else did if isinstance(did, str) else 'done'}"] += 1
        return name

    def _tick(self) -> str:
        with _no_silent_failures():
            scheduler.run_tick(self.now)
        return "ticked"

    def _serve(self) -> Any:
        told = ChargerCommand.objects.filter(state="queued").values_list("charger", flat=True)
        there = [
            charger
            for charger in self.chargers
            if charger.holder and (charger.unanswered or charger.charger_id in told)
        ]
        if not there:
            return None
        charger = self.random.choice(there)
        try:
            return charger.serve(self.now)
        except NotTheHolder:  # another's clock was ahead, and its lease ran out
            charger.leave(self.now, killed=True)
            return None

    def _serve_all(self) -> Any:
        return serve_together(self.chargers, self.now) or None

    def _drop_all(self) -> str:
        """The network of the depot, or a power cut; all are back a moment later."""
        leave_together(self.chargers, self.now)
        self.now += timedelta(seconds=self.random.randrange(120))
        come_together(self.chargers, self.now, boots=self.random.random() < 0.5)
        return "dropped"

    def _show_all(self) -> str:
        show_together(self.chargers, self.now)
        return "shown"

    def _lose(self) -> Any:
        held = [(c, number) for c in self.chargers if c.holder for number in c.reserved]
        if not held:
            return None
        charger, number = self.random.choice(held)
        charger.lose_reservation(number, self.now)
        return "lost"

    def _connection(self) -> str:
        charger = self.random.choice(self.chargers)
        if charger.holder and self.random.random() < 0.4:
            charger.leave(self.now, killed=self.random.random() < 0.5)
            return "left"
        try:
            charger.come(self.now, boots=self.random.random() < 0.5)
        except NotTheHolder:  # as above
            charger.leave(self.now, killed=True)
        return "came"

    def _plug(self) -> Any:
        """Somebody starts, mostly who has booked; a truck charges on; or it leaves."""
        charger = self.random.choice(self.chargers)
        number = self.random.choice(charger.numbers)
        if not charger.holder:
            return None
        if number in charger.sessions:
            (charger.meter if self.random.random() < 0.6 else charger.stop)(number, self.now)
            return "charges"
        if number in charger.inoperative:
            return None
        booked = Booking.objects.filter(
            evse__charger=charger.charger_id, evse__number=number, status="confirmed"
        )
        holder = booked.filter(starts_at__lte=self.now + timedelta(minutes=10)).order_by("starts_at").first()
        token = holder.tokens.first() if holder and self.random.random() < 0.7 else None
        passing = self._pick(Token.objects.all()) if self.random.random() < 0.5 else None
        uid = token.uid if token else passing.uid if passing else "04FFEE0011"
        charger.start(number, uid, self.now)
        return "starts"

    def _show(self) -> Any:
        charger = self.random.choice(self.chargers)
        number = self.random.choice(charger.numbers)
        if not charger.holder:
            return None
        charger.show(number, self.now, self.random.choice(["", "", "", "occupied", "faulted"]))
        return "shown"

    def _book(self) -> Any:
        truck = self._pick(Vehicle.objects.all())
        option = self._pick(BookingOption.objects.all())
        here = self._pick(ChargingSession.objects.filter(ended_at=None, visit=None, evse__isnull=False))
        if (
            here is not None and self.random.random() < 0.3
        ):  # who charges without a booking books where they stand
            truck = Vehicle.objects.filter(tokens__uid=here.token_uid).first() or truck
            option = option_of(here.evse)
        return book_slot(fleet=truck.fleet, option=option, vehicle=truck, period=self._soon(), now=self.now)

    def _change(self) -> Any:
        if booking := self._pick(Booking.objects.filter(status__in=LIVE)):
            return change_slot(booking_id=booking.pk, period=self._soon(), now=self.now)
        return None

    def _cancel(self) -> Any:
        if booking := self._pick(Booking.objects.filter(status="confirmed")):
            return operations.cancel_booking(
                booking_id=booking.pk, reason="BLOCKED", by="depot", actor=DISPATCHER, now=self.now
            )
        return None

    def _limit(self) -> Any:
        until = self.now + timedelta(minutes=self.random.randrange(2, 20))
        watts = self.random.choice([0, 100_000, 300_000, 700_000])
        period = Period(self.now + timedelta(minutes=self.random.randrange(2)), until)
        return operations.limit_depot(
            depot=Depot.objects.get(), watts=watts, period=period, actor=MANAGER, now=self.now
        )

    def _lift(self) -> Any:
        if closure := self._pick(Closure.objects.filter(lifted_at=None)):
            operations.lift_closure(closure_id=closure.pk, actor=MANAGER, now=self.now)
        return operations.lift_limits(depot=Depot.objects.get(), now=self.now)

    def _fallbacks(self) -> Any:
        ways = [way for way in WAYS if self.random.random() < 0.7]
        Depot.objects.update(fallbacks=ways)
        return ",".join(ways)

    def _close(self) -> Any:
        evse = self._pick(Evse.objects.all())
        return operations.close_evse(evse=evse, period=self._soon(), actor=MANAGER, now=self.now)

    def _try(self) -> Any:
        return enforcement.try_reservation(evse=self._pick(Evse.objects.all()), actor=MANAGER, now=self.now)

    def _soon(self) -> Period:
        start = (self.now + timedelta(minutes=1 + self.random.randrange(12))).replace(second=0)
        return Period(start, start + timedelta(minutes=self.random.randrange(5, 25)))

    def _pick(self, rows: Any) -> Any:
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        return rows.model.objects.filter(pk=self.random.choice(ids)).first() if ids else None


def _yard(seed: int) -> list[StandIn]:
    """Four chargers of all versions with two EVSEs each, two of which keep reservations, one of them forgets; and too little
    power for all."""
    terms = {
        "turnaround_min": 0, "early_start_min": 5, "arm_lead_min": 10, "change_until_min": 0, "cancel_until_min": 0,
        "no_show_min": 5, "min_duration_min": 5, "slot_step_min": 1, "walk_in": "anybody",
    }  # fmt: skip
    depot = make_depot(terms=terms, grid_limit_w=GRID_W, fallbacks=WAYS)
    told = {"smart_charging": True, "local_list": True, "asked_at": NOW.isoformat()}
    stand_ins = []
    for number in range(4):
        protocol = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"][(seed + number) % 3]
        charger = make_charger(depot, told=told, protocol=protocol)
        SettingsCheck.objects.create(charger=charger, began_at=at(0, day=9), stage="done")
        for _ in range(2):
            make_evse(charger=charger, max_power_w=MOST_W)
        stand_ins.append(
            StandIn(
                charger.pk,
                [1, 2],
                keeps_reservations=number < 2,
                forgets=number % 2 == 1,
                seed=seed * 10 + number,
                protocol=protocol,
            )
        )
    fleets = [make_fleet(), make_fleet()]
    for number in range(12):
        make_vehicle(fleets[number % 2], max_power_w=250_000)
    return stand_ins


def _calm(chargers: list[StandIn], now: datetime, *, minutes: int = 2) -> datetime:
    """All are there, answer at once and say how they are, for so long, and twice more: one tick follows from another."""
    shown: dict[tuple[int, int], str] = {}
    for charger in chargers:
        if not charger.holder:
            charger.come(now)
    for pause_s in [0, *[60] * minutes, 1, 1]:
        now += timedelta(seconds=pause_s)
        for charger in chargers:
            charger.renew(now)
            _show_news(charger, shown, now)
        with _no_silent_failures():
            scheduler.run_tick(now)
        for charger in chargers:
            while charger.unanswered or charger.serve(now, is_calm=True):
                if charger.unanswered:
                    charger.serve(now)
    return now


def _show_news(charger: StandIn, shown: dict[tuple[int, int], str], now: datetime) -> None:
    for number in charger.numbers:
        status = charger.status(number, now)
        if shown.get((charger.charger_id, number)) != status:
            charger.show(number, now)
        shown[charger.charger_id, number] = status


def _taken(chargers: list[StandIn]) -> int:
    return sum(charger.may_take(number, MOST_W) for charger in chargers for number in charger.numbers)


def _check(chargers: list[StandIn], where: str) -> None:
    assert _taken(chargers) <= GRID_W, where
    open_rows = set(KeptEvse.objects.filter(over_at=None).values_list("way", "charger", "number"))
    for charger in chargers:
        for number in charger.inoperative:
            assert ("availability", charger.charger_id, number) in open_rows, where
        for pk, (number, _, _) in charger.profiles.items():
            assert pk < KEEPING_FROM or ("profile_0", charger.charger_id, number) in open_rows, where
    _check_rows(where)


def _check_rows(where: str) -> None:
    with connection.cursor() as cursor:
        for what, query in NEVER.items():
            cursor.execute(query)
            assert not (found := cursor.fetchall()), f"{what}: {found} {where}"


def _settle(chargers: list[StandIn], now: datetime) -> None:
    """Once all are there and have answered for some minutes, nothing stands without its reason and nothing is left to say."""
    now = _calm(chargers, now, minutes=6)
    where = f"in the end at {now}"
    _check(chargers, where)
    live = {b.reservation_id: b for b in Booking.objects.filter(status__in=LIVE).select_related("evse")}
    for charger in chargers:
        for number, (reservation_id, until) in charger.reserved.items():
            booking = live.get(reservation_id)
            is_its = booking and (booking.evse.charger_id, booking.evse.number) == (
                charger.charger_id,
                number,
            )
            assert until <= now or is_its, (where, charger.charger_id, number, reservation_id)
        for booking in live.values():
            if booking.enforcement == "armed" and booking.evse.charger_id == charger.charger_id:
                held = charger.reserved.get(booking.evse.number)
                assert held is not None, (where, "armed and not held", booking.pk, _events(booking))
                assert held[0] == booking.reservation_id, (where, "armed and another held", booking.pk)
        listed = {
            str(key).upper()
            for booking in live.values()
            for key in booking.tokens.values_list("uid", flat=True)
        }
        assert set(charger.local_list) <= listed, (where, _story(charger.charger_id))
    kept = KeptEvse.objects.filter(over_at=None).select_related("booking")
    assert all(each.booking.status == "confirmed" and each.booking.ends_at > now for each in kept), where
    waiting = ChargerCommand.objects.filter(
        state__in=["queued", "sent"], created_at__lt=now - timedelta(minutes=2)
    )
    assert not list(waiting.values_list("action", "state", "payload")), where
    _check_power(chargers, now, where)
    with connection.cursor() as cursor:
        cursor.execute(NOT_TAKEN_OVER, [now, now])
        assert not (found := cursor.fetchall()), f"a truck charges beside its booking: {found} {where}"


def _check_waivers(chargers: list[StandIn]) -> None:
    """What a no-show is waived for has been so, and whose charger was away for a minute of its time is waived."""
    by_charger = {charger.charger_id: charger for charger in chargers}
    for booking in Booking.objects.filter(status="no_show").select_related("evse"):
        charger, what = by_charger[booking.evse.charger_id], _events(booking)
        window = Period(booking.starts_at, booking.no_show_at())
        waived = booking.events.filter(kind="waived").first()
        faults = waived.detail["seen"] if waived else []
        is_moved = booking.events.filter(kind="changed").exists()
        for fault in faults:
            seen = Period(*(datetime.fromisoformat(fault[edge]) for edge in ("start", "end")))
            assert window.starts_at <= seen.starts_at < seen.ends_at <= window.ends_at, what
            assert seen.duration >= timedelta(minutes=1) or seen.ends_at == window.ends_at, what
            if fault["why"] == "offline" and not is_moved:
                assert any(
                    since <= seen.starts_at and (until is None or seen.ends_at <= until)
                    for since, until, _ in charger.away
                ), (what, charger.away)
            elif fault["why"] == "faulted" and not is_moved:
                told = [at for at, _, status in charger.told if status == "faulted"]
                assert any(at <= seen.ends_at for at in told), what
        for since, until, was_killed in charger.away:
            overlap = (
                Period(since, until or window.ends_at).intersection(window)
                if since < window.ends_at
                else None
            )
            if overlap and overlap.duration >= timedelta(minutes=1) and not (was_killed or is_moved):
                assert "offline" in {fault["why"] for fault in faults}, (what, charger.away)


def _events(booking: Booking) -> list[str]:
    return [
        f"{e.at:%H:%M:%S} {e.kind} {e.before}->{e.after} {e.detail}" for e in booking.events.order_by("id")
    ]


def _story(charger_id: int) -> str:
    commands = (
        ChargerCommand.objects.filter(charger=charger_id)
        .filter(action="send_local_list")
        .order_by("-id")[:12]
    )
    told = [f"{c.pk} {c.action} {c.state} {c.answer} {c.created_at:%H:%M:%S} {c.payload}" for c in commands]
    return "\n".join([*told, str(list(LocalList.objects.filter(charger=charger_id).values()))])


def _check_power(chargers: list[StandIn], now: datetime, where: str) -> None:
    in_force = ExternalLimit.objects.filter(lifted_at=None, starts_at__lte=now, ends_at__gt=now)
    limit_w = min([GRID_W, *in_force.values_list("watts", flat=True)])
    assert _taken(chargers) <= limit_w, where
    numbers = {row.pk: row for row in Evse.objects.all()}
    by_charger = {charger.charger_id: charger for charger in chargers}
    for booking in Booking.objects.filter(status="charging", session__ended_at=None, ends_at__gt=now):
        evse = numbers[booking.session.evse_id]
        gets_w = by_charger[evse.charger_id].may_take(evse.number, MOST_W)
        told = set(booking.events.values_list("kind", flat=True))
        is_told = bool({"power_limited", "power_short"} & told)
        assert gets_w >= min(booking.promised_power_w, MOST_W) or (limit_w < GRID_W and is_told), (
            where,
            gets_w,
        )


def test_the_check_of_states_can_fail():
    make_evse(status="available")
    evse = Evse.objects.get()
    evse.status_changes.create(at=NOW, received_at=NOW, status="faulted")

    with pytest.raises(AssertionError, match="history says another"):
        _check_rows("here")
