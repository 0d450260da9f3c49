"""When a charger's settings are looked through: once a boot, once it has been up for a while, and not again and again."""

import json
from datetime import timedelta

import pytest

from depots.commissioning.rounds import AT_ONCE, begin_round, due_chargers
from depots.models import Charger, ChargerCommand, SettingsCheck
from depots.operations import look_through_again, settle_command
from tests.factories import NOW, make_charger, make_depot

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def booted(charger: Charger | None = None, at=NOW) -> Charger:
    charger = charger or make_charger()
    fields = {
        "lease_holder": "gw",
        "lease_until": NOW + timedelta(days=1),
        "connected_at": at,
        "booted_at": at,
    }
    Charger.objects.filter(pk=charger.pk).update(**fields)
    charger.refresh_from_db()
    return charger


def test_a_charger_in_a_boot_loop_is_not_fed():
    charger = booted()
    assert due_chargers(now=NOW + timedelta(seconds=19)) == []
    assert due_chargers(now=NOW + timedelta(seconds=20)) == [charger.pk]

    begin_round(charger_id=charger.pk, now=NOW + MINUTE)
    for minute in range(2, 11):
        booted(charger, at=NOW + minute * MINUTE)
        assert due_chargers(now=NOW + minute * MINUTE + timedelta(seconds=30)) == []
    assert due_chargers(now=NOW + 11 * MINUTE) == [charger.pk]


def test_a_round_that_breaks_off_is_tried_three_times_a_boot():
    charger, at = booted(), NOW + MINUTE
    for _ in range(3):
        assert due_chargers(now=at) == [charger.pk]
        begin_round(charger_id=charger.pk, now=at)
        waiting = ChargerCommand.objects.get(state="queued")
        settle_command(command_id=waiting.pk, state="unclear", now=at)
        assert SettingsCheck.objects.get().stage == "broken_off"
        assert due_chargers(now=at) == []
        at += 10 * MINUTE
    assert due_chargers(now=at) == []
    assert due_chargers(now=at + timedelta(hours=9)) == []


def test_after_a_power_cut_a_few_begin_at_a_time_and_nobody_who_is_gone():
    for _ in range(AT_ONCE + 2):
        booted()
    gone = booted()
    Charger.objects.filter(pk=gone.pk).update(lease_until=NOW)

    first = due_chargers(now=NOW + MINUTE)
    assert len(first) == AT_ONCE
    for pk in first:
        begin_round(charger_id=pk, now=NOW + MINUTE)

    assert len(due_chargers(now=NOW + MINUTE)) == 2


def test_a_new_round_takes_the_place_of_one_that_waits():
    charger = booted()
    begin_round(charger_id=charger.pk, now=NOW)
    begin_round(charger_id=charger.pk, does_apply=True, asked_by="manager@x.example", now=NOW + MINUTE)

    assert list(charger.commands.order_by("id").values_list("state", "asked_by")) == [
        ("stale", ""),
        ("queued", "manager@x.example"),
    ]


def test_a_list_that_a_round_switches_on_is_kept_from_then_on():
    charger = booted(make_charger(make_depot(fallbacks=["local_list"]), spoken_protocol="ocpp2.0.1"))
    Charger.objects.update(told={"local_list": False})
    key = "LocalAuthListCtrlr.Enabled"
    begin_round(charger_id=charger.pk, now=NOW + MINUTE)

    while waiting := ChargerCommand.objects.filter(state="queued").first():
        if waiting.action == "change_settings":
            text = json.dumps({name: ["accepted", ""] for name in waiting.payload["settings"]})
        else:
            is_on = ChargerCommand.objects.filter(action="change_settings", answer="accepted").exists()
            entry = {"value": "true" if is_on else "false", "is_readonly": False, "status": ""}
            unknown = {"value": None, "is_readonly": False, "status": "unknown"}
            text = json.dumps({k: entry if k == key else unknown for k in waiting.payload["keys"]})
        settle_command(command_id=waiting.pk, answer="accepted", answer_text=text, now=NOW + MINUTE)

    assert SettingsCheck.objects.get().drift_count == 0
    charger.refresh_from_db()
    assert charger.told["local_list"] is True


def test_a_charger_is_looked_through_again_where_lists_become_wanted():
    charger = booted()
    begin_round(charger_id=charger.pk, now=NOW + MINUTE)
    assert due_chargers(now=NOW + 20 * MINUTE) == []

    look_through_again(charger.depot_id)

    assert due_chargers(now=NOW + 2 * MINUTE) == [charger.pk]
