"""Workers that plan one depot's power at once, and one that is killed in the middle: nothing is told twice, nothing is lost, and
what may stand at the chargers stays within the limit."""

from __future__ import annotations

import os
import signal
from datetime import datetime

import pytest

from bookings import smart_charging
from bookings.models import ChargingProfile, DepotPower, PowerMark
from bookings.smart_charging import planning, profile_commands
from depots import operations as depots
from depots.models import ChargerCommand
from tests.bookings.enforcement.online_chargers import book, start
from tests.bookings.smart_charging.chargers import (
    KW,
    SECOND,
    Chargers,
    charge,
    depot_of,
    make_told_site,
    settle,
)
from tests.factories import NOW, at
from tests.races.processes import all_at_once, at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.races]

LIMIT_KW = 400


@pytest.fixture
def site() -> Chargers:
    """Two trucks that share 400 kW, and a booked one that has just plugged in: its promise is to be told."""
    site = make_told_site()
    charge(site.evses[0])
    charge(site.evses[1])
    booking = book(site.evses[2], power_w=250 * KW)
    settle(site, NOW, limit_kw=LIMIT_KW)
    start(site.evses[2], booking.tokens.get().uid, at(9, 55))
    return site


def sent_twice() -> list[tuple[int, int]]:
    told = ChargerCommand.objects.filter(action="set_charging_profile")
    serials = [(command.payload["profile_id"], command.payload["serial"]) for command in told]
    return [one for one in set(serials) if serials.count(one) > 1]


def check_all_told(site: Chargers, now: datetime) -> None:
    """What is wanted is reached from here, within the limit at every answer."""
    settle(site, now, limit_kw=LIMIT_KW)

    assert sent_twice() == []
    assert site.may_take(site.evses[2], now) >= 250 * KW
    for profile in ChargingProfile.objects.exclude(wanted_w=None):
        assert (profile.sent_w, profile.accepted_w) == (None, profile.wanted_w)


def test_workers_that_plan_one_depot_at_once_tell_it_once(site):
    now = at(9, 55) + 3 * SECOND
    told = ChargerCommand.objects.count()

    planned = at_once(lambda _: smart_charging.plan_due(now=now), 4)

    lowered = ChargerCommand.objects.order_by("pk")[told:]
    assert sorted({c.payload["profile_id"] for c in lowered}) == sorted(
        c.payload["profile_id"] for c in lowered
    )
    assert sum(planned) >= 1
    check_all_told(site, now)


@pytest.mark.parametrize(("owner", "name"), [(profile_commands, "queue_commands"), (planning, "_write")])
def test_a_worker_that_is_killed_in_the_middle_of_a_plan_leaves_it_to_the_next(site, owner, name):
    now = at(9, 55) + 3 * SECOND
    told, marks = ChargerCommand.objects.count(), PowerMark.objects.count()

    def killed() -> None:
        real = getattr(owner, name)

        def last(*args: object, **options: object) -> None:
            real(*args, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, last)
        smart_charging.plan_due(now=now)

    assert all_at_once([killed]) == ["ERROR the process died"]

    assert (ChargerCommand.objects.count(), PowerMark.objects.count()) == (told, marks)
    check_all_told(site, now)


def test_answers_that_come_while_their_depot_is_planned_are_neither_lost_nor_waited_for(site):
    now = at(9, 55) + 3 * SECOND
    smart_charging.plan_due(now=now)
    waiting = list(
        ChargerCommand.objects.filter(state="queued", action="set_charging_profile").order_by("pk")
    )
    for command in waiting:
        evse = next(evse for evse in site.evses if evse.charger_id == command.charger_id)
        site.hold(evse, command.payload)
    depot = depot_of(site.evses).pk

    done = all_at_once(
        [
            lambda pk=c.pk: bool(depots.settle_command(command_id=pk, answer="accepted", now=now))
            for c in waiting
        ]
        + [lambda: smart_charging.plan_depot(depot_id=depot, now=now + SECOND)] * 2
    )

    assert not [one for one in done if isinstance(one, str)]
    assert DepotPower.objects.get().counted_w <= LIMIT_KW * KW
    check_all_told(site, now + 2 * SECOND)
