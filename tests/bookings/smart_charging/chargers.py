"""Chargers that answer as a test says to the limits they are told, without sockets: what stands at each, and the sum of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from bookings import smart_charging
from bookings.models import EvsePower
from depots import operations as depots
from depots.models import Charger, ChargerCommand, ChargingSession, Depot, Evse
from tests.bookings.enforcement.online_chargers import online
from tests.factories import NOW, make_charger, make_depot, make_evse

KW = 1000
TAKES = {"smart_charging": True, "configuration": {"ChargingScheduleAllowedChargingRateUnit": "Power"}}
SECOND = timedelta(seconds=1)
OPEN = {"walk_in": "anybody", "early_start_min": 15, "turnaround_min": 0}
PROFILES = ["set_charging_profile", "clear_charging_profile"]


def make_site(count: int = 3, *, grid_kw: int | None = 400, told: Any = TAKES, **fields: Any) -> list[Evse]:
    """EVSEs of 400 kW, each at a charger of its own that is online, of a depot that can take less than all of them."""
    depot = make_depot(grid_limit_w=None if grid_kw is None else grid_kw * KW, **fields)
    evses = [
        make_evse(charger=make_charger(depot, told=told), status=Evse.Status.AVAILABLE) for _ in range(count)
    ]
    for evse in evses:
        assert evse.charger is not None
        online(evse.charger)
    return evses


class Chargers:
    """`told` is what each EVSE holds: {(evse number of the site, purpose): watts}."""

    def __init__(self, evses: list[Evse]) -> None:
        self.evses = evses
        self.held: dict[tuple[int, str], int] = {}
        self.steps: dict[tuple[int, str], list[tuple[datetime, int]]] = {}
        self.sent: list[tuple[int, str, int | None]] = []

    def answer(self, *, now: datetime, limit_w: int | None = None, but: dict[int, str] | None = None) -> int:
        """Every limit that waits gets its answer, in order: accepted, but as `but` says by EVSE. After each of them what may be
        taken stays within the limit. How many there were."""
        waiting = ChargerCommand.objects.filter(action__in=PROFILES, state="queued").order_by("pk")
        waiting = list(waiting.select_related("charger"))
        for command in waiting:
            evse = next(e for e in self.evses if e.charger_id == command.charger_id)
            word = (but or {}).get(evse.pk, "accepted")
            limits = command.payload.get("limits")
            watts = limits[0][1] if limits else None
            purpose = command.payload.get("purpose", "clear")
            self.sent.append((evse.pk, purpose, watts))
            if word == "silent":
                continue
            if word == "accepted" and watts is not None:
                self.hold(evse, command.payload)
            depots.settle_command(command_id=command.pk, answer=word, now=now)
            if limit_w is not None:
                assert self.sum_w(now) <= limit_w
        return len(waiting)

    def hold(self, evse: Evse, payload: dict[str, Any]) -> None:
        """It has it, whether its answer has come or not."""
        purpose = payload["purpose"]
        self.held[evse.pk, purpose], self.steps[evse.pk, purpose] = payload["limits"][0][1], steps_in(payload)

    def sum_w(self, now: datetime) -> int:
        return sum(self.may_take(evse, now) for evse in self.evses)

    def may_take(self, evse: Evse, now: datetime) -> int:
        """By what it holds itself: its transaction's limit while one runs, and its default for whoever comes."""
        running = ChargingSession.objects.filter(evse=evse, ended_at__isnull=True).exists()
        for purpose in ("tx", "tx_default") if running else ("tx_default",):
            if (evse.pk, purpose) in self.held:
                begun = [watts for at, watts in self.steps[evse.pk, purpose] if at <= now]
                return [self.held[evse.pk, purpose], *begun][-1]
        return evse.max_power_w


def steps_in(payload: dict[str, Any]) -> list[tuple[datetime, int]]:
    """The later periods of a profile, by the clock."""
    if payload.get("kind") != "absolute":
        return []
    begins_at = datetime.fromisoformat(payload["starts_at"])
    return [(begins_at + timedelta(seconds=second), watts) for second, watts in payload["limits"][1:]]


def share(evse: Evse) -> int:
    return EvsePower.objects.get(evse=evse).share_w // KW


def why(evse: Evse) -> str:
    return str(EvsePower.objects.get(evse=evse).why)


def charge(evse: Evse, *, power_kw: int | None = None, now: datetime = NOW) -> ChargingSession:
    """Somebody without a booking begins to charge, and its meter tells."""
    start = depots.Start(evse_number=evse.number, token_uid="", key=f"{evse.pk} {now}", at=now, meter_wh=0)
    session = depots.start_session(charger_id=evse.charger_id or 0, start=start, now=now).session
    if power_kw is not None:
        metered(session, power_kw, now=now)
    return session


def metered(session: ChargingSession, power_kw: int, *, now: datetime, energy_kwh: int = 0) -> None:
    reading = depots.Reading(now, energy_kwh * KW, power_w=power_kw * KW)
    depots.add_readings(
        charger_id=session.charger_id,
        evse_number=None,
        transaction_id=session.transaction,
        readings=[reading],
        now=now,
    )


def stop(session: ChargingSession, *, now: datetime) -> None:
    depots.stop_session(
        charger_id=session.charger_id,
        stop=depots.Stop(transaction=session.transaction, at=now, meter_wh=50_000),
        now=now,
    )


def offline(charger: Charger) -> None:
    Charger.objects.filter(pk=charger.pk).update(lease_holder="", lease_until=NOW)


def depot_of(evses: list[Evse]) -> Depot:
    return evses[0].depot


def settle(site: Chargers, now: datetime, *, limit_kw: int | None = None, **options) -> datetime:
    """Plan and answer until nothing is left to say; the limit holds after every answer."""
    for _ in range(20):
        now += 3 * SECOND
        smart_charging.plan_due(now=now)
        if not site.answer(now=now, limit_w=limit_kw and limit_kw * KW, **options):
            return now
    raise AssertionError("chargers are told again and again")


def make_told_site() -> Chargers:
    """Three EVSEs that hold what is told to free ones, at a connection of 400 kW."""
    site = Chargers(make_site(terms=OPEN))
    Charger.objects.update(clock_offset_s=0)
    smart_charging.plan_depot(depot_id=depot_of(site.evses).pk, now=NOW)
    site.answer(now=NOW)
    settle(site, NOW)
    return site
