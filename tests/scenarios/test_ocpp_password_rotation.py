"""A charger gets another password over OCPP, and at no moment is it locked out."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from django.urls import reverse
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from depots import operations
from depots.models import Charger, ChargerCommand, ChargerMessage, Membership
from depots.operations import commands
from depots.operations.charger_passwords import (
    PasswordChangedError,
    give_new_password,
    rotate_charger_password,
)
from depots.queries import describe_charger
from simulators.charger import CsmsError, CsmsSilent, Mute, Refuse
from tests.bookings.people import client_of
from tests.factories import NOW, make_charger, make_user
from tests.scenarios.bed import PASSWORD, Bed, ScriptedCharger, eventually

pytestmark = pytest.mark.usefixtures("gate")

ALL = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
ACTION = {"ocpp1.6": "ChangeConfiguration", "ocpp2.0.1": "SetVariables", "ocpp2.1": "SetVariables"}


def rotate(row: Charger) -> ChargerCommand:
    return rotate_charger_password(charger_id=row.pk, now=NOW)


def settled(command: ChargerCommand) -> ChargerCommand:
    def look() -> bool:
        command.refresh_from_db()
        return command.state not in {"queued", "sent"}

    eventually(look)
    return command


def knows_capabilities(row: Charger) -> None:
    """A charger is asked for them when it first comes: nothing else is under way then."""
    eventually(lambda: row.commands.filter(action="ask_capabilities", state="answered").exists())


def is_let_in(bed: Bed, row: Charger, password: str) -> bool:
    charger = bed.charger(row, password=password)
    try:
        charger.connect()
    except InvalidStatus as refusal:
        return refusal.response.status_code != 401
    charger.drop()
    return True


def told(charger: ScriptedCharger, protocol: str) -> str:
    """The password as the charger was told it."""
    asked = charger.heard(ACTION[protocol])
    if protocol == "ocpp1.6":
        assert asked["key"] == "AuthorizationKey"
        return bytes.fromhex(asked["value"]).decode()
    [setting] = asked["setVariableData"]
    assert (setting["component"]["name"], setting["variable"]["name"]) == (
        "SecurityCtrlr",
        "BasicAuthPassword",
    )
    return setting["attributeValue"]


@pytest.mark.parametrize("protocol", ALL)
def test_old_and_new_open_until_the_charger_has_come_with_the_new(bed: Bed, protocol: str):
    row = make_charger()
    charger = bed.charger(row, protocol)
    charger.come_online()

    command = settled(rotate(row))

    new = told(charger, protocol)
    assert (len(new), command.answer, new != PASSWORD) == (20, "accepted", True)
    assert is_let_in(bed, row, PASSWORD)
    charger.closed()
    charger.connect()
    row.refresh_from_db()
    command.refresh_from_db()
    assert (row.next_password, row.next_password_hash, row.password_at) == ("", "", NOW)
    assert not is_let_in(bed, row, PASSWORD)
    assert is_let_in(bed, row, new)
    bed.stop_gateway()  # which writes its log
    kept = json.dumps(describe_charger(row, now=NOW)) + "".join(
        ChargerMessage.objects.values_list("frame", flat=True)
    )
    assert command.payload == {}
    assert all(secret not in kept for secret in (new, new.encode().hex()))
    bed.restart_gateway()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"status": "Rejected"}, ("answered", "rejected")),
        (Refuse("GenericError", "I will not take {value}"), ("answered", "error")),
        (Mute(), ("unclear", "")),
    ],
)
def test_after_a_no_or_silence_both_open_and_the_same_is_told_again(bed: Bed, answer, outcome):
    row = make_charger()
    charger = bed.charger(row)
    charger.come_online()
    knows_capabilities(row)
    charger.will_answer("ChangeConfiguration", answer)

    with bed.impatient(row) if isinstance(answer, Mute) else nullcontext():
        command = settled(rotate(row))

    assert (command.state, command.answer) == outcome
    first = told(charger, "ocpp1.6")
    assert is_let_in(bed, row, PASSWORD)
    charger = bed.charger(row)
    charger.come_online()
    rotate(row)
    assert told(charger, "ocpp1.6") == first
    assert is_let_in(bed, row, first)


def test_a_key_told_in_hex_may_come_back_in_hex(bed: Bed):
    row = make_charger()
    charger = bed.charger(row)
    charger.come_online()
    rotate(row)
    key = told(charger, "ocpp1.6").encode().hex()

    assert is_let_in(bed, row, key)
    assert is_let_in(bed, row, key)
    assert not is_let_in(bed, row, PASSWORD)


def test_a_late_repeat_never_brings_an_older_password_back(bed: Bed):
    row = make_charger()
    bed.charger(row)
    first = rotate(row)
    Charger.objects.filter(pk=row.pk).update(next_password="", next_password_hash="", next_password_salt="")
    second = rotate(row)
    charger = bed.charger(row)

    charger.come_online()

    settled(second)
    settled(first)
    assert (first.state, second.answer) == ("stale", "accepted")
    assert charger.count("ChangeConfiguration") == 1


@pytest.mark.parametrize("point", ["take_command", "settle_command", "promote_password"])
def test_a_gateway_killed_between_two_steps_locks_no_charger_out(
    bed: Bed, point: str, monkeypatch: pytest.MonkeyPatch
):
    killed: list[str] = []
    taken: list[ChargerCommand] = []

    def take_command(**of: Any) -> ChargerCommand | None:
        command = commands.take_command(**of)
        if command is not None and command.action == "set_password":
            taken.append(command)
        return command

    def die(name: str) -> None:
        if name == point and not killed and taken:
            killed.append(name)
            asyncio.get_running_loop().create_task(bed.gateway.abort())
            raise ConnectionResetError("killed")

    row = make_charger()
    bed.stop_gateway()
    monkeypatch.setattr(operations, "take_command", take_command)
    bed.gateway = bed.start_gateway(after_commit=die)
    charger = bed.charger(row)
    charger.come_online()
    knows_capabilities(row)
    rotate(row)

    if point == "promote_password":
        told(charger, "ocpp1.6")
        charger.closed()
        with suppress(OSError, InvalidHandshake, ConnectionClosed, CsmsError, CsmsSilent):
            charger.connect()
    eventually(lambda: killed)
    eventually(lambda: not charger.is_connected)
    bed.restart_gateway()

    charger.connect()
    eventually(lambda: not ChargerCommand.objects.filter(state__in=["queued", "sent"]).exists())
    charger.drop()
    charger.connect()
    row.refresh_from_db()
    assert row.next_password == ""


def test_a_charger_that_took_its_password_and_left_before_it_answered_is_told_nothing_more(bed: Bed):
    row = make_charger()
    charger = bed.charger(row)
    charger.come_online()
    charger.will_answer("ChangeConfiguration", Mute())
    rotate(row)
    new = told(charger, "ocpp1.6")

    bed.charger(row, password=new).come_online()  # on another socket, before the old one was missed

    eventually(lambda: not ChargerCommand.objects.filter(state__in=["queued", "sent"]).exists())
    told_passwords = ChargerCommand.objects.filter(action="set_password")
    assert list(told_passwords.values_list("state", "answer", "payload")) == [("unclear", "", {})]


def test_of_two_who_give_a_password_at_once_one_looks_again(bed: Bed):
    row = make_charger()
    bed.charger(row)
    manager = client_of(make_user(row.depot.operator, Membership.Role.DEPOT_MANAGER))
    place = [row.depot.code, row.identity]
    version = manager.get(reverse("bookings:charger", args=place)).context["password_version"]
    row.refresh_from_db()

    first = give_new_password(charger_id=row.pk, was=row.password_hash, now=NOW)
    with pytest.raises(PasswordChangedError):
        give_new_password(charger_id=row.pk, was=row.password_hash, now=NOW)

    late = manager.post(reverse("bookings:charger_new_password", args=place), {"version": version})
    assert late.status_code == 409
    assert is_let_in(bed, row, first)


def test_a_password_entered_by_hand_replaces_the_one_before(bed: Bed):
    row = make_charger()
    bed.charger(row)

    password = give_new_password(charger_id=row.pk, now=NOW)

    assert is_let_in(bed, row, password)
    assert not is_let_in(bed, row, PASSWORD)
