"""What chargers are asked: in order, one at a time, once their old messages are in; and what becomes of lost answers."""

import json
from datetime import timedelta

import pytest

from depots import signals
from depots.models import Charger, ChargerCommand, Evse
from depots.operations import queue_command
from depots.queries import armed_reservations, describe_charger
from tests.factories import NOW, make_charger, make_evse
from tests.scenarios.bed import Bed, eventually
from tests.scenarios.reserving import TOKEN, becomes, cancel, online, reserve

pytestmark = pytest.mark.usefixtures("gate")

ALL = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


@pytest.fixture
def row(transactional_db) -> Charger:
    row = make_charger()
    make_evse(charger=row)
    make_evse(charger=row)
    return row


@pytest.fixture
def settled(transactional_db):
    """Commands that command_settled told of: (reservation id, state, answer)."""
    heard: list[tuple] = []

    def hear(command: ChargerCommand, **_) -> None:
        if command.reservation_id is not None:
            heard.append((command.reservation_id, str(command.state), command.answer))

    signals.command_settled.connect(hear, weak=False, dispatch_uid="test")
    yield heard
    signals.command_settled.disconnect(dispatch_uid="test")


@pytest.fixture
def returns(transactional_db):
    """What charger_connected told: whether each return came with a boot."""
    heard: list[bool] = []
    signals.charger_connected.connect(
        lambda rebooted, **_: heard.append(rebooted), weak=False, dispatch_uid="test"
    )
    yield heard
    signals.charger_connected.disconnect(dispatch_uid="test")


RESERVE_16 = {
    "connectorId": 1,
    "expiryDate": "2030-01-15T09:00:00.000Z",
    "idTag": TOKEN,
    "reservationId": 7,
    "parentIdTag": "B7",
}
RESERVE_2X = {
    "id": 7,
    "expiryDateTime": "2030-01-15T09:00:00.000Z",
    "idToken": {"idToken": TOKEN, "type": "ISO14443"},
    "evseId": 1,
    "groupIdToken": {"idToken": "B7", "type": "Central"},
}


@pytest.mark.parametrize(
    ("protocol", "asked"), [("ocpp1.6", RESERVE_16), ("ocpp2.0.1", RESERVE_2X), ("ocpp2.1", RESERVE_2X)]
)
def test_a_reservation_reaches_the_charger_and_stands(bed: Bed, row, settled, protocol, asked):
    charger = online(bed, row, protocol)

    command = reserve(row)

    assert charger.heard("ReserveNow") == asked
    becomes(command, "answered", "accepted")
    assert settled == [(7, "answered", "accepted")]
    assert [armed.reservation_id for armed in armed_reservations(row, now=NOW)] == [7]
    eventually(lambda: Evse.objects.get(number=1).status == "reserved")


@pytest.mark.parametrize("protocol", ALL)
def test_a_cancelled_reservation_is_taken_back(bed: Bed, row, protocol):
    charger = online(bed, row, protocol)
    becomes(reserve(row), "answered", "accepted")

    command = cancel(row)

    assert charger.heard("CancelReservation") == {"reservationId": 7}
    becomes(command, "answered", "accepted")
    assert armed_reservations(row, now=NOW) == []
    becomes(cancel(row, 99), "answered", "rejected")


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("told", ["Faulted", "Occupied", "Rejected", "Unavailable"])
def test_every_answer_has_our_word(bed: Bed, row, protocol, told):
    charger = online(bed, row, protocol)
    charger.will_answer("ReserveNow", {"status": told})

    becomes(reserve(row), "answered", told.lower())


@pytest.mark.parametrize("protocol", ALL)
def test_a_charger_that_does_not_reserve_is_known_by_it(bed: Bed, row, protocol):
    from simulators.charger import Refuse

    charger = online(bed, row, protocol)
    charger.will_answer("ReserveNow", Refuse("NotImplemented"), Refuse("GenericError", "out of order"))

    becomes(reserve(row), "answered", "not_supported")
    failed = becomes(reserve(row, 8), "answered", "error")

    assert failed.answer_text == "GenericError: out of order"
    assert Charger.objects.get(pk=row.pk).measured["reservation"] == "refuses"


def test_an_answer_outside_the_protocol_is_kept_as_text(bed: Bed, row):
    charger = online(bed, row)
    charger.will_answer("ReserveNow", {"status": "Perhaps"})

    command = becomes(reserve(row), "answered", "error")

    assert "Perhaps" in command.answer_text


def test_a_token_too_long_for_1_6_is_not_sent(bed: Bed, row):
    charger = online(bed, row)

    command = becomes(reserve(row, payload={"token": "X" * 21}), "answered", "error")

    assert "20 characters" in command.answer_text
    assert charger.count("ReserveNow") == 0


@pytest.mark.parametrize("protocol", ALL[1:])
def test_the_type_is_the_one_the_charger_will_read(bed: Bed, row, protocol):
    charger = online(bed, row, protocol)
    wires = {
        "RFID": "ISO14443", "EMAID": "eMAID", "MAC": "MacAddress", "KEY_CODE": "KeyCode", "APP_USER": "Central",
        "OTHER": "Central",
    }  # fmt: skip

    for number, type_ in enumerate(wires, start=1):
        reserve(row, number, payload={"token_type": type_, "token": "DE8AA1A2B3C4D5", "group": ""})
    asked = [charger.heard("ReserveNow") for _ in wires]

    assert [each["idToken"] for each in asked] == [
        {"idToken": "DE8AA1A2B3C4D5", "type": wire} for wire in wires.values()
    ]
    assert not any("groupIdToken" in each for each in asked)


@pytest.mark.parametrize("protocol", ALL)
def test_a_remote_start_and_stop(bed: Bed, row, protocol):
    charger = online(bed, row, protocol)
    start = queue_command(
        charger=row,
        action="remote_start",
        payload={"evse": 1, "token": "B7", "token_type": "APP_USER", "reservation_id": 7},
        reservation_id=7,
        now=NOW,
    )
    becomes(start, "answered", "accepted")
    session = eventually(row.sessions.first)

    stop = queue_command(
        charger=row, action="remote_stop", payload={"transaction": session.transaction}, now=NOW
    )

    becomes(stop, "answered", "accepted")
    eventually(lambda: row.sessions.get().ended_at)
    assert (row.sessions.get().token_uid, row.sessions.get().stop_reason) == ("B7", "Remote")
    assert charger.station.evses[1].transaction is None


def test_one_at_a_time_in_the_order_of_asking(bed: Bed, row):
    charger = online(bed, row)
    eventually(lambda: charger.count("GetConfiguration") == 2)

    for reservation_id in range(1, 6):
        reserve(row, reservation_id, evse=1 + reservation_id % 2)
        cancel(row, reservation_id)

    eventually(lambda: not ChargerCommand.objects.filter(state__in=["queued", "sent"]).exists())
    asked = [(p["reservationId"], action) for action, p in charger.script.received if "Reserv" in action]
    assert [number for number, action in asked if action == "CancelReservation"] == [1, 2, 3, 4, 5]
    assert asked == sorted(asked, key=lambda pair: (pair[0], pair[1] == "CancelReservation"))
    assert not charger.station.reservations


def test_a_reservation_overtaken_while_waiting_is_never_sent(bed: Bed, row, settled):
    first, last = reserve(row), cancel(row)

    charger = online(bed, row)

    becomes(last, "answered", "rejected")
    becomes(first, "stale")
    assert charger.count("ReserveNow") == 0
    assert settled == [(7, "answered", "rejected")]


def test_the_same_wish_twice_is_one_command(row):
    assert reserve(row) == reserve(row)
    assert reserve(row, payload={"expires_at": "2030-01-15T10:00:00Z"}) != reserve(row)


@pytest.mark.parametrize(
    "fields",
    [
        {"not_after": NOW - timedelta(seconds=1)},
        {"payload": {"expires_at": "2030-01-15T08:00:00Z"}},
    ],
)
def test_what_is_too_late_is_not_sent(bed: Bed, row, settled, fields):
    command = reserve(row, **fields)

    charger = online(bed, row)

    becomes(command, "stale")
    assert settled == [(7, "stale", "")]
    assert charger.count("ReserveNow") == 0


def test_a_command_may_wait_for_its_time_while_others_go_first(bed: Bed, row):
    charger = online(bed, row)
    later = reserve(row, 7, not_before=NOW + timedelta(minutes=1))
    becomes(reserve(row, 8, evse=2), "answered", "accepted")
    assert charger.count("ReserveNow") == 1

    bed.clock.advance(minutes=1)

    becomes(later, "answered", "accepted")


def test_a_silent_charger_leaves_it_unclear_and_is_asked_again(bed: Bed, row, settled):
    from simulators.charger import Mute

    charger = online(bed, row)
    eventually(lambda: charger.count("GetConfiguration") == 2)
    charger.will_answer("ReserveNow", Mute())

    with bed.impatient(row):
        becomes(reserve(row), "unclear")
    bed.clock.advance(seconds=21)

    eventually(lambda: settled == [(7, "unclear", ""), (7, "answered", "accepted")])
    assert charger.count("ReserveNow") == 2


def test_a_late_answer_counts_after_all(bed: Bed, row, settled):
    from simulators.charger import Mute

    charger = online(bed, row)
    eventually(lambda: charger.count("GetConfiguration") == 2)
    charger.will_answer("ReserveNow", Mute())
    with bed.impatient(row):
        command = becomes(reserve(row, not_after=NOW + timedelta(seconds=1)), "unclear")
    repeat = ChargerCommand.objects.exclude(pk=command.pk).get(reservation_id=7)
    assert repeat.state == "queued"
    repeat.delete()
    unique_id = next(
        m[1] for f in charger.sim.frames if (m := json.loads(f))[0] == 2 and m[2] == "ReserveNow"
    )

    charger.send(json.dumps([3, unique_id, {"status": "Accepted"}]))

    becomes(command, "answered", "accepted")


def test_a_charger_that_beats_but_answers_nothing_is_cut_off_once(bed: Bed, row):
    from simulators.charger import Mute

    charger = online(bed, row)
    eventually(lambda: charger.count("GetConfiguration") == 2)
    charger.will_answer("ReserveNow", Mute(), Mute())

    with bed.impatient(row):
        reserve(row)
        reserve(row, 8, evse=2)

        assert charger.closed() == "calls are not answered"
    assert Charger.objects.get(pk=row.pk).measured["answers_calls"] is False


def test_an_answer_lost_with_the_connection_is_asked_for_again_on_the_next(bed: Bed, row, settled):
    from simulators.charger import Mute

    charger = online(bed, row)
    eventually(lambda: charger.count("GetConfiguration") == 2)
    charger.will_answer("ReserveNow", Mute())
    command = reserve(row)
    charger.heard("ReserveNow")
    charger.drop()
    becomes(command, "unclear")

    charger.connect()

    eventually(lambda: settled == [(7, "unclear", ""), (7, "answered", "accepted")])
    assert charger.count("ReserveNow") == 2


def test_what_a_killed_gateway_had_sent_is_unclear_and_sent_again_after_the_restart(bed: Bed, row, settled):
    from simulators.charger import Mute

    charger = online(bed, row)
    eventually(lambda: charger.count("GetConfiguration") == 2)
    charger.will_answer("ReserveNow", Mute())
    command = reserve(row)
    charger.heard("ReserveNow")
    bed.kill_gateway()
    assert ChargerCommand.objects.get(pk=command.pk).state == "sent"

    bed.restart_gateway()
    charger.connect()

    eventually(lambda: settled == [(7, "unclear", ""), (7, "answered", "accepted")])
    assert charger.heard("ReserveNow")["reservationId"] == 7


def test_commands_wait_until_old_messages_are_in(bed: Bed, row, returns):
    bed.stop_gateway()
    bed.restart_gateway(after_boot_s=1, drain_s=1)
    command = reserve(row)
    charger = bed.charger(row)
    charger.start(2, TOKEN)
    charger.stop(2)
    found: list[tuple] = []

    def look(**_) -> None:
        found.append((row.sessions.get().ended_at is not None, row.commands.get(pk=command.pk).state))

    signals.charger_connected.connect(look)
    try:
        charger.come_online()
        becomes(command, "answered", "accepted")
    finally:
        signals.charger_connected.disconnect(look)

    assert found == [(True, "queued")]
    assert returns == [True]


def test_a_return_without_a_boot_is_told_after_a_pause(bed: Bed, row, returns):
    charger = online(bed, row)
    eventually(lambda: returns == [True])
    charger.drop()

    charger.connect()

    eventually(lambda: returns == [True, False])
    charger.boot()
    eventually(lambda: returns == [True, False, True])


@pytest.fixture
def fails(transactional_db):
    """fails(signal, is_so, times): a receiver that fails as often, for what is so."""
    used: list[signals.Signal] = []

    def fail(signal: signals.Signal, is_so, times: int = 1) -> list[None]:
        failed: list[None] = []

        def receive(**told) -> None:
            if is_so(told) and len(failed) < times:
                failed.append(None)
                raise RuntimeError("a receiver is broken")

        signal.connect(receive, weak=False, dispatch_uid="failing")
        used.append(signal)
        return failed

    yield fail
    for signal in used:
        signal.disconnect(dispatch_uid="failing")


def test_what_should_stand_is_said_again_however_often_that_fails_at_first(bed: Bed, row, returns, fails):
    failed = fails(signals.charger_connected, lambda told: told["rebooted"], times=3)
    command = reserve(row)

    charger = online(bed, row)

    eventually(lambda: returns.count(True) == 4)
    assert len(failed) == 3
    becomes(command, "answered", "accepted")
    assert charger.count("ReserveNow") == 1


def test_commands_are_carried_out_while_that_fails(bed: Bed, row, fails):
    fails(signals.charger_connected, lambda told: True, times=10**6)
    online(bed, row)

    becomes(reserve(row), "answered", "accepted")


def test_a_command_under_way_is_not_taken_for_lost_by_another_try(bed: Bed, row, settled, returns, fails):
    from simulators.charger import Mute

    bed.stop_gateway()
    bed.restart_gateway(without_boot_s=30, retry_s=0.001)
    fails(signals.charger_connected, lambda told: True, times=2)  # among others', and by itself
    command = reserve(row)
    charger = bed.charger(row)
    charger.will_answer("ReserveNow", Mute())
    charger.come_online()
    charger.heard("ReserveNow")
    for _ in range(5):  # as long as another try would take
        charger.authorize(TOKEN)
    assert returns == [True, True]
    unique_id = next(
        m[1] for f in charger.sim.frames if (m := json.loads(f))[0] == 2 and m[2] == "ReserveNow"
    )

    charger.send(json.dumps([3, unique_id, {"status": "Accepted"}]))

    becomes(command, "answered", "accepted")
    eventually(lambda: returns == [True, True, True])
    assert settled == [(7, "answered", "accepted")]


def test_an_answer_that_could_not_be_written_down_is_asked_for_again(bed: Bed, row, settled, fails):
    fails(signals.command_settled, lambda told: told["command"].state == "answered" and _reserves(told))
    charger = online(bed, row)

    command = becomes(reserve(row), "unclear")
    assert charger.count("ReserveNow") == 1
    bed.clock.advance(seconds=21)

    repeat = ChargerCommand.objects.exclude(pk=command.pk).get(reservation_id=7)
    becomes(repeat, "answered", "accepted")
    assert charger.count("ReserveNow") == 2
    assert settled[-2:] == [(7, "unclear", ""), (7, "answered", "accepted")]


def test_one_that_can_never_be_settled_does_not_keep_the_others_waiting(bed: Bed, row, fails):
    fails(signals.command_settled, lambda told: told["command"].reservation_id == 7, times=10**6)
    online(bed, row)
    stuck = reserve(row)

    becomes(reserve(row, 8, evse=2), "answered", "accepted")

    becomes(stuck, "sent")


def _reserves(told: dict) -> bool:
    return told["command"].action == "reserve"


@pytest.mark.parametrize("protocol", ALL)
def test_it_is_asked_what_it_can_do_and_asked_again_for_new_firmware(bed: Bed, row, protocol):
    charger = online(bed, row, protocol)

    told = eventually(
        lambda: Charger.objects.get(pk=row.pk).told.get("asked_at") and Charger.objects.get(pk=row.pk).told
    )
    assert (told["reservation"], told["smart_charging"], told["reservation_anywhere"]) == (True, True, False)
    becomes(reserve(row), "answered", "accepted")

    charger.sim.firmware = "2.0"
    charger.sim.configuration.clear()
    charger.boot()

    eventually(lambda: Charger.objects.get(pk=row.pk).told.get("reservation") is False)
    assert Charger.objects.get(pk=row.pk).measured == {}


@pytest.mark.parametrize("protocol", ALL)
def test_a_charger_that_does_not_say_what_it_can_is_not_asked_for_ever(bed: Bed, row, protocol):
    from simulators.charger import Refuse

    charger = bed.charger(row, protocol)
    charger.will_answer("GetConfiguration", Refuse("NotSupported"))
    charger.will_answer("GetVariables", Refuse("NotSupported"))
    charger.come_online()

    becomes(reserve(row), "answered", "accepted")
    eventually(lambda: "NotSupported" in Charger.objects.get(pk=row.pk).told.get("refused", ""))


@pytest.mark.parametrize(
    ("protocol", "outcomes"),
    [("ocpp2.0.1", ["Expired", "Removed"]), ("ocpp2.1", ["Expired", "Removed", "NoTransaction"])],
)
def test_a_reservation_that_ended_at_the_charger_is_told(bed: Bed, row, protocol, outcomes):
    heard: list[tuple] = []
    signals.reservation_ended.connect(
        lambda reservation_id, outcome, **_: heard.append((reservation_id, outcome)),
        weak=False,
        dispatch_uid="test",
    )
    charger = online(bed, row, protocol)
    becomes(reserve(row), "answered", "accepted")

    for outcome in outcomes:
        answer = charger.ask(
            "ReservationStatusUpdate", {"reservationId": 7, "reservationUpdateStatus": outcome}
        )
        assert answer == {}
    charger.ask("ReservationStatusUpdate", {"reservationId": 123456, "reservationUpdateStatus": "Expired"})

    signals.reservation_ended.disconnect(dispatch_uid="test")
    words = {"Expired": "expired", "Removed": "removed", "NoTransaction": "no_transaction"}
    assert heard == [*((7, words[outcome]) for outcome in outcomes), (123456, "expired")]
    assert armed_reservations(row, now=NOW) == []


def test_a_used_expired_or_forgotten_reservation_is_not_armed_any_more(bed: Bed, row):
    charger = online(bed, row)
    becomes(reserve(row, 7), "answered", "accepted")
    becomes(reserve(row, 8, evse=2), "answered", "accepted")
    bed.clock.advance(minutes=1)

    charger.start(1, TOKEN)
    assert [armed.reservation_id for armed in armed_reservations(row, now=bed.clock())] == [8]

    assert armed_reservations(row, now=NOW + timedelta(hours=1)) == []
    charger.boot()
    row.refresh_from_db()
    assert armed_reservations(row, now=bed.clock()) == []


def test_show_charger_tells_it_all(bed: Bed, row):
    charger = online(bed, row)
    eventually(lambda: row.commands.filter(action="ask_capabilities", state="answered").exists())
    becomes(reserve(row), "answered", "accepted")
    charger.report_all()

    row.refresh_from_db()
    told = describe_charger(row, now=NOW)

    assert told["online"] is True
    assert told["armed"] == [
        {
            "reservation_id": 7,
            "evse": 1,
            "evse_uid": row.evses.get(number=1).uid,
            "token": "…DD10",
            "group": "…7",
            "expires_at": "2030-01-15T09:00:00Z",
        }
    ]
    assert told["capabilities"]["measured"]["reservation"] == "works"
    assert [c["action"] for c in told["commands"]] == ["reserve", "ask_capabilities"]
    assert [c["answer"] for c in told["commands"]] == ["accepted", "accepted"]
