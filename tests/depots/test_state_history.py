"""One row a change, whichever way it was written, and none older than is asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from depots import operations
from depots.back_off import BackOff
from depots.models import Charger, ConnectionChange, Evse, EvseStatusChange, SettingsCheck
from depots.operations import state_history
from depots.past_states import past_states
from depots.signals import charger_disconnected
from depots.uptime import Condition
from tests.factories import NOW, at, make_charger, make_evse

pytestmark = pytest.mark.django_db


def told(evse: Evse, status: str, **fields: Any) -> dict[str, Any]:
    assert evse.charger is not None
    when = {"at": NOW, "now": NOW, **fields}
    return {"charger_id": evse.charger.pk, "evse_number": evse.number, "status": status, **when}


def kept() -> list[tuple[str, Any, str]]:
    return list(EvseStatusChange.objects.order_by("id").values_list("status", "at", "error_code"))


@pytest.mark.parametrize("together", [True, False])
def test_each_change_of_a_status_is_kept_once(together: bool, django_assert_num_queries: Any) -> None:
    evse = make_evse(status=Evse.Status.AVAILABLE)

    for status, minute in (("available", 0), ("occupied", 1), ("occupied", 2), ("charging", 3)):
        call = told(evse, status, at=at(8, minute), now=at(8, 5), error_code="Weak")
        if together:
            operations.report_statuses([call])
        else:
            operations.report_status(**call)

    assert kept() == [("occupied", at(8, 1), "Weak"), ("charging", at(8, 3), "Weak")]


def test_a_charger_that_is_out_of_order_as_a_whole_is_so_at_each_evse() -> None:
    charger = make_charger()
    evses = [make_evse(charger=charger, status=Evse.Status.AVAILABLE) for _ in range(2)]

    operations.report_status(**{**told(evses[0], "faulted"), "evse_number": 0})

    assert [status for status, _, _ in kept()] == ["faulted", "faulted"]


@pytest.mark.parametrize("together", [True, False])
def test_a_charger_is_online_from_its_first_socket_to_the_end_of_its_last(together: bool) -> None:
    charger = make_charger()
    lease = timedelta(minutes=30)
    opened = [
        {
            "charger_id": charger.pk,
            "holder": holder,
            "protocol": "ocpp1.6",
            "lease": lease,
            "now": at(8, minute),
        }
        for minute, holder in enumerate(("one", "two"))
    ]

    for call in opened:
        operations.open_connections([call]) if together else operations.open_connection(**call)
    for minute, holder in ((2, "one"), (3, "two")):
        call = {"charger_id": charger.pk, "holder": holder, "now": at(8, minute)}
        operations.close_connections([call]) if together else operations.close_connection(**call)

    moves = ConnectionChange.objects.order_by("id").values_list("at", "is_online")
    assert list(moves) == [(at(8, 0), True), (at(8, 3), False)]


def test_a_gateway_that_died_was_lost_when_its_lease_ran_out() -> None:
    charger = make_charger(lease_holder="dead", lease_until=at(8, 30))

    operations.release_lapsed(now=at(9))
    operations.renew_leases(heard={charger.pk: "dead"}, silent={}, lease=timedelta(minutes=1), now=at(9, 1))

    moves = ConnectionChange.objects.order_by("id").values_list("at", "is_online")
    assert list(moves) == [(at(8, 30), False), (at(9, 1), True)]


def test_one_charger_that_cannot_be_told_offline_keeps_no_other_from_it() -> None:
    bad, *others = [make_charger(lease_holder="dead", lease_until=at(8, 30)) for _ in range(3)]

    def fail(charger: Charger, **_: object) -> None:
        if charger == bad:
            raise ZeroDivisionError

    charger_disconnected.connect(fail)
    try:
        assert operations.release_lapsed(now=at(9)) == 2
    finally:
        charger_disconnected.disconnect(fail)

    assert set(Charger.objects.filter(lease_holder="")) == set(others)


@pytest.mark.parametrize(
    ("waits", "within_s"),
    [
        ((1, 0, 0), 40),
        ((0, 0, 0), 40),
        ((10, 20, 3), 90),
        ((10, 10, 0), 40),
        ((300, 60, 5), 360),
        ((7200, 0, 9), 900),
    ],
)
def test_a_charger_may_take_as_long_as_its_back_off_waits(waits: tuple[int, int, int], within_s: int) -> None:
    assert BackOff(*waits).back_within() == timedelta(seconds=within_s)


def test_a_charger_that_returns_as_it_was_told_to_was_not_offline() -> None:
    evses = [make_evse() for _ in range(3)]
    told = {
        f"OCPPCommCtrlr.RetryBackOff{name}": {"value": value, "is_readonly": False, "status": ""}
        for name, value in (("WaitMinimum", "120"), ("RandomRange", "60"), ("RepeatTimes", "3"))
    }
    SettingsCheck.objects.create(charger=evses[0].charger, told=told)
    SettingsCheck.objects.create(
        charger=evses[1].charger, told={**told, "OCPPCommCtrlr.RetryBackOffRandomRange": {}}
    )
    for evse in evses:
        rows = [(at(8), True, False), (at(8, 1), False, True), (at(8, 4), True, False)]
        for moment, is_online, is_by_gateway in rows:
            ConnectionChange.objects.create(
                charger=evse.charger, at=moment, is_online=is_online, is_by_gateway=is_by_gateway
            )

    past = past_states(evses, since=at(7))

    offline = [
        [moment for moment, told in past[evse.pk].connections if told == Condition.OFFLINE] for evse in evses
    ]
    assert offline == [[], [at(8, 1)], [at(8, 1)]]


def test_history_is_forgotten_in_time_but_not_what_still_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    evse = make_evse()
    assert evse.charger is not None
    for days, status in ((50, "available"), (40, "faulted"), (20, "available"), (10, "charging")):
        moment = NOW - timedelta(days=days)
        EvseStatusChange.objects.create(evse=evse, at=moment, received_at=moment, status=status)
    ConnectionChange.objects.create(charger=evse.charger, at=NOW - timedelta(days=90), is_online=True)

    operations.forget_old_history(now=NOW)

    assert [status for status, _, _ in kept()] == ["faulted", "available", "charging"]
    past = past_states([evse], since=NOW - timedelta(days=30))[evse.pk]
    assert [condition.value for _, condition in past.statuses] == ["faulted", "in_order", "in_order"]
    assert [condition.value for _, condition in past.connections] == ["in_order"]
    monkeypatch.setattr(state_history, "KEPT_PER_EVSE", 1)
    operations.forget_old_history(now=NOW)
    assert [status for status, _, _ in kept()] == ["charging"]


def test_the_history_of_many_evses_is_read_in_four_queries(django_assert_num_queries: Any) -> None:
    evses = [make_evse() for _ in range(3)]
    Charger.objects.update(connected_at=NOW)

    with django_assert_num_queries(4):
        past_states(evses, since=NOW)


@pytest.mark.parametrize("how", ["together", "alone", "died"])
def test_a_restart_of_the_gateway_is_not_offline_unless_the_charger_stays_away(how: str) -> None:
    evse = make_evse()
    assert evse.charger is not None
    key, lease = {"charger_id": evse.charger.pk}, timedelta(minutes=10)

    def socket(came: datetime, went: datetime, *, is_by_gateway: bool) -> None:
        """Open, then over."""
        until = went - came if is_by_gateway and how == "died" else lease
        operations.open_connection(**key, holder="one", protocol="ocpp1.6", lease=until, now=came)
        call = {**key, "holder": "one", "is_by_gateway": is_by_gateway, "now": went}
        if is_by_gateway and how == "died":
            operations.release_lapsed(now=went + timedelta(seconds=1))
        elif how == "together":
            operations.close_connections([call])
        else:
            operations.close_connection(**call)

    minute = timedelta(minutes=1)
    socket(at(8), at(8, 1), is_by_gateway=True)
    socket(at(8, 2), at(8, 3), is_by_gateway=False)
    socket(at(8, 3) + minute / 2, at(8, 5), is_by_gateway=True)
    socket(at(8, 7), at(8, 8), is_by_gateway=True)

    past = past_states([evse], since=at(7))[evse.pk]

    # Back after a minute; gone by itself; away for two; and not back yet.
    told = [(moment, condition.value) for moment, condition in past.connections]
    assert [moment for moment, condition in told if condition == "offline"] == [at(8, 3), at(8, 5), at(8, 8)]
