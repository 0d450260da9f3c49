"""Starting and stopping from afar: by a dispatcher, by who runs the depot, by an operator's command."""

from __future__ import annotations

import json
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command

from bookings import errors, operations
from bookings.models import Booking, Token
from bookings.pages.remote_control import remote
from config.management.commands import charger_command
from depots import operations as depots
from depots.models import Charger, ChargerCommand, ChargingSession, Evse
from tests.bookings.enforcement.charging_trucks import charging, fresh, happened, stop
from tests.bookings.enforcement.online_chargers import armed, book, evse_online
from tests.bookings.gate_questions import ask
from tests.bookings.people import client_of, seen
from tests.factories import DISPATCHER, at, make_evse, make_fleet, make_user, make_vehicle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Any:
    with time_machine.travel(at(10), tick=False) as travelling:
        yield travelling


def start(booking: Booking, now: Any = at(10)) -> ChargerCommand:
    return operations.start_remotely(booking_id=booking.pk, actor=DISPATCHER, now=now)


def settle(command: ChargerCommand, answer: str, state: str = "answered", text: str = "") -> None:
    depots.settle_command(command_id=command.pk, state=state, answer=answer, answer_text=text, now=at(10))


# What is sent


def test_a_start_names_the_bookings_card_where_one_fits():
    booking = armed(book(evse_online()))

    command = start(booking)

    assert command.action == "remote_start"
    assert command.payload["token"] == booking.tokens.get().uid
    assert command.not_after == at(10) + operations.remote_start.WAITS


@pytest.mark.parametrize("why", ["no card", "blocked", "too long"])
def test_a_start_names_the_bookings_secret_where_no_card_does_and_the_gate_knows_it(why):
    vehicle = make_vehicle(token=None if why == "no card" else "0" * 21 if why == "too long" else "")
    evse = evse_online()
    booking = armed(book(evse, vehicle=vehicle))
    Token.objects.update(is_blocked=why == "blocked")

    command = start(booking)

    assert command.payload["token"] == booking.group
    assert ask(evse, booking.group) == (True, "")


def test_a_start_before_the_slot_after_it_or_of_what_charges_is_refused():
    booking = armed(book(evse_online()))

    with pytest.raises(errors.NotYetStartable):
        start(booking, at(9, 44))
    with pytest.raises(errors.WrongStatus):
        start(booking, at(11))
    with pytest.raises(errors.WrongStatus):
        start(charging())


def test_a_start_where_somebody_charges_is_refused_and_not_offered():
    evse = evse_online()
    booking = armed(book(evse))
    session = ChargingSession.objects.create(
        charger=evse.charger, evse=evse, started_at=at(9, 50), announced_at=at(9, 50), start_received_at=at(9, 50),
        transaction="walk-in", token_uid="STRANGER",
    )  # fmt: skip

    with pytest.raises(errors.EvseInUse, match="Another vehicle is charging"):
        start(booking)
    offered = remote(make_user(booking.fleet), booking, None, now=at(10))
    assert offered is not None
    assert (offered.verb, offered.why_not) == ("start", "Another vehicle is charging at the EVSE.")

    ChargingSession.objects.filter(pk=session.pk).update(ended_at=at(10))
    assert start(booking).action == "remote_start"


def test_a_start_at_a_charger_that_is_away_is_refused():
    booking = armed(book(evse_online()))
    Charger.objects.update(lease_holder="")

    with pytest.raises(errors.ChargerOffline):
        start(booking)
    assert not ChargerCommand.objects.filter(action="remote_start").exists()


def test_a_second_click_while_the_charger_thinks_is_the_same_command():
    booking = armed(book(evse_online()))

    assert start(booking) == start(booking)
    assert len(happened(booking, "remote_start")) == 1


def test_a_truck_whose_first_try_failed_can_be_started_again():
    booking = charging()
    stop(booking.session, at(10, 1), 0)

    assert start(booking, at(10, 2)).action == "remote_start"


@pytest.mark.parametrize(
    ("state", "answer", "after"),
    [
        ("answered", "accepted", "accepted"), ("answered", "rejected", "rejected"), ("unclear", "", "no_answer"),
        ("stale", "", "no_answer"),
    ],
)  # fmt: skip
def test_the_history_keeps_how_it_went(state, answer, after):
    booking = armed(book(evse_online()))
    settle(start(booking), answer, state)

    assert [e.after for e in booking.events.filter(kind="remote_start")] == ["asked", after]
    assert fresh(booking).status == "confirmed"


def test_a_stop_names_the_session_that_runs():
    booking = charging()

    command = operations.stop_remotely(booking_id=booking.pk, actor=DISPATCHER, now=at(10, 5))

    assert (command.action, command.payload) == ("remote_stop", {"transaction": booking.session.transaction})
    with pytest.raises(errors.WrongStatus):
        operations.stop_remotely(booking_id=book(evse_online()).pk, actor=DISPATCHER, now=at(10, 5))


# On the page


@pytest.mark.parametrize(("state", "answer", "shown", "words"), [
    ("queued", "", "pending", "Waiting for the charger"), ("answered", "accepted", "accepted", "plug in now"),
    ("answered", "rejected", "refused", "The charger refused"), ("unclear", "", "no_answer", "did not answer"),
])  # fmt: skip
@pytest.mark.parametrize("role", ["dispatcher", "depot_manager"])
def test_who_may_starts_it_from_the_page_and_sees_the_outcome(role, state, answer, shown, words):
    booking = armed(book(evse_online()))
    organisation = booking.fleet if role == "dispatcher" else booking.depot.operator
    client = client_of(make_user(organisation, role))
    page = f"/bookings/{booking.pk}/"
    assert "Start charging" in client.get(page).content.decode()

    sent = client.post(f"{page}start/", seen(booking))
    command = ChargerCommand.objects.get(action="remote_start")
    if state != "queued":
        settle(command, answer, state)

    assert (sent.status_code, sent["Location"]) == (302, page)
    html = client.get(page).content.decode()
    assert f'data-remote="{shown}"' in html
    assert words in html


def test_what_charges_can_be_stopped_from_the_page():
    booking = charging()
    Booking.objects.update(quote={})
    client = client_of(make_user(booking.fleet))

    assert "Stop charging" in client.get(f"/bookings/{booking.pk}/").content.decode()
    client.post(f"/bookings/{booking.pk}/stop/", seen(booking))

    assert ChargerCommand.objects.filter(action="remote_stop", reservation_id=booking.pk).exists()


def test_the_page_says_why_nothing_can_be_started(clock):
    booking = armed(book(evse_online()))
    client = client_of(make_user(booking.fleet))

    clock.move_to(at(9, 30))
    html = client.get(f"/bookings/{booking.pk}/").content.decode()
    assert "The slot has not begun yet." in html
    clock.move_to(at(10))
    Charger.objects.update(lease_holder="")
    refused = client.post(f"/bookings/{booking.pk}/start/", seen(booking))
    assert refused.status_code == 409
    assert "The charger is not connected." in refused.content.decode()


@pytest.mark.parametrize("role", ["viewer", None])
def test_nobody_else_starts_or_stops_anything(role):
    booking = armed(book(evse_online()))
    client = client_of(make_user(booking.fleet if role else make_fleet(), role or "dispatcher"))

    for verb in ("start", "stop"):
        assert client.post(f"/bookings/{booking.pk}/{verb}/", seen(booking)).status_code == 404
    if role:
        assert "Start charging" not in client.get(f"/bookings/{booking.pk}/").content.decode()


def test_a_form_without_its_version_starts_nothing():
    booking = armed(book(evse_online()))

    refused = client_of(make_user(booking.fleet)).post(f"/bookings/{booking.pk}/start/")

    assert refused.status_code == 409
    assert not ChargerCommand.objects.filter(action="remote_start").exists()


# By command


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the charger answers as soon as the command waits; `state` other than answered is its silence."""
    told = {"answer": "accepted", "state": "answered", "text": ""}

    def look(_seconds: float) -> None:
        command = ChargerCommand.objects.exclude(action="reserve").latest("id")
        settle(command, told["answer"], told["state"], told["text"])

    monkeypatch.setattr(charger_command.time, "sleep", look)
    return told


def say(capsys: Any, *args: str) -> tuple[int, dict[str, Any] | None]:
    """Exit code, and the line that was printed."""
    code = 0
    try:
        call_command("charger_command", *args)
    except SystemExit as end:
        code = int(end.code or 0)
    except CommandError as refusal:
        code = refusal.returncode
    line = capsys.readouterr().out.strip()
    return code, json.loads(line) if line else None


@pytest.mark.parametrize(
    ("args", "action", "payload"),
    [
        (["unlock"], "unlock", {"evse": 1}),
        (["reset"], "reset", {"hard": False, "evse": None}),
        (["reset", "--value", "hard"], "reset", {"hard": True, "evse": None}),
        (["trigger", "--value", "Heartbeat"], "trigger", {"message": "Heartbeat", "evse": None}),
        (["availability", "--value", "inoperative"], "availability", {"operative": False, "evse": None}),
        (["clear_cache"], "clear_cache", {}),
        (["get_configuration", "--value", "A, B"], "get_configuration", {"keys": ["A", "B"]}),
        (["start", "--token", "04AB"], "remote_start", {"evse": 1, "token": "04AB", "token_type": "RFID"}),
        (["stop", "--transaction", "77"], "remote_stop", {"transaction": "77"}),
    ],
)  # fmt: skip
def test_each_verb_is_sent_and_its_answer_printed(capsys, answers, args, action, payload):
    evse = evse_online()
    answers["text"] = '{"A": "1"}' if action == "get_configuration" else ""

    code, line = say(capsys, evse.charger.identity.lower(), *args)

    assert (code, line["answer"]) == (0, "Accepted")
    assert line["detail"] == ({"A": "1"} if action == "get_configuration" else "")
    command = ChargerCommand.objects.get()
    assert (command.action, command.payload) == (action, payload)


@pytest.mark.parametrize(
    ("told", "line", "code"),
    [
        ({"answer": "rejected"}, "Rejected", 1), ({"answer": "unlock_failed"}, "UnlockFailed", 1),
        ({"answer": "scheduled"}, "Scheduled", 0), ({"answer": "not_supported"}, "not_supported", 1),
        ({"answer": "", "state": "unclear"}, "timeout", 1), ({"answer": "error"}, "error", 1),
    ],
)  # fmt: skip
def test_the_exit_code_says_whether_the_charger_does_it(capsys, answers, told, line, code):
    answers.update(told)

    assert say(capsys, evse_online().charger.identity, "reset") == (
        code,
        {"answer": line, "detail": _detail(told)},
    )


def _detail(told: dict[str, str]) -> str:
    return "The charger has not answered." if told.get("state") == "unclear" else ""


def test_a_charger_that_is_away_is_not_waited_for(capsys):
    evse = make_evse()

    code, line = say(capsys, evse.charger.identity, "reset")

    assert (code, line["answer"]) == (1, "offline")
    assert not ChargerCommand.objects.exists()


def test_a_start_without_a_card_is_that_of_the_booking_and_in_its_history(capsys, answers):
    evse = evse_online()
    booking = armed(book(evse))

    assert say(capsys, evse.charger.identity, "start", "--evse", evse.uid)[0] == 0
    assert [e.after for e in booking.events.filter(kind="remote_start")] == ["asked", "accepted"]


def test_a_stop_without_a_number_is_that_of_the_only_one_that_runs(capsys, answers):
    booking = charging()

    assert say(capsys, booking.evse.charger.identity, "stop")[0] == 0
    command = ChargerCommand.objects.get(action="remote_stop")
    assert command.payload == {"transaction": booking.session.transaction}


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["availability"], 2), (["reset", "--value", "warm"], 2), (["trigger"], 2), (["unlock"], 2),
        (["start", "--token", "04AB"], 2), (["stop"], 1), (["start"], 1), (["unlock", "--evse", "NONE"], 1),
    ],
)  # fmt: skip
def test_what_is_not_said_clearly_is_refused_and_not_sent(capsys, args, code):
    evse: Evse = evse_online()
    make_evse(charger=evse.charger)

    assert say(capsys, evse.charger.identity, *args) == (code, None)
    assert not ChargerCommand.objects.exists()
