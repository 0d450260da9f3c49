"""What a charger was seen to do is kept with when and by what, and a depot can try it out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings import enforcement, scheduler
from bookings.errors import ChargerOffline, EvseNeeded
from bookings.models import ReserveTest
from bookings.pages.charger_capability import capability, seen, test_words
from depots import operations as depots
from depots.models import Charger, ChargerCommand, Evse
from tests.bookings.enforcement.charging_trucks import charging, stop
from tests.bookings.enforcement.online_chargers import armed, book, commands, evse_online, online, start
from tests.factories import MANAGER, at, make_evse, slot

words_of_test = test_words
del test_words

pytestmark = pytest.mark.django_db


def measured(evse: Evse) -> dict[str, Any]:
    return Charger.objects.get(pk=evse.charger_id).measured


def shows(evse: Evse, status: str, now: Any) -> None:
    depots.report_status(charger_id=evse.charger_id, evse_number=evse.number, status=status, at=now, now=now)


def settle(word: str, now: Any, state: str = "answered") -> None:
    command = ChargerCommand.objects.filter(action__in=["reserve", "cancel_reservation"]).latest("id")
    depots.settle_command(command_id=command.pk, state=state, answer=word, now=now)


def tried(evse: Evse) -> ReserveTest:
    return enforcement.try_reservation(evse=evse, actor=MANAGER, now=at(9))


def outcome(test: ReserveTest) -> str:
    test.refresh_from_db()
    return words_of_test(test)


def test_what_is_measured_says_when_and_by_what():
    evse = evse_online()
    booking = armed(book(evse))

    command = ChargerCommand.objects.filter(action="reserve").latest("id")
    assert measured(evse) == {
        "reservation": "works", "reservation_at": at(9, 45).isoformat(), "reservation_by": f"command {command.pk}",
    }  # fmt: skip
    assert booking.evse is not None
    (shown,) = seen(booking.evse.charger)
    name = command.get_action_display()
    assert shown.by == f"“{name}” #{booking.reservation_id}, asked by Berth"


@pytest.mark.parametrize(("seconds", "word"), [(8, "obeyed"), (90, "ignored")])
def test_whether_it_heeds_a_refusal_is_seen_by_how_long_a_stranger_charges(seconds, word):
    evse = evse_online()
    armed(book(evse))
    session = start(evse, "STRANGER", at(10))

    ended = at(10) + timedelta(seconds=seconds)
    stop(session, ended, wh=20)

    assert measured(evse)["refusals"] == word


@pytest.mark.parametrize(("status", "word"), [("reserved", "kept"), ("available", "forgot")])
def test_what_a_restart_leaves_of_a_reservation_is_remembered_over_the_next(status, word):
    evse = evse_online()
    armed(book(evse))
    boot = {"charger_id": evse.charger_id, "vendor": "V", "model": "M"}
    depots.record_boot(**boot, now=at(9, 50))
    shows(evse, status, at(9, 50))

    depots.reconcile(charger_id=evse.charger_id, holder="gw", rebooted=True, now=at(9, 51))
    depots.record_boot(**boot, now=at(9, 55))

    assert measured(evse)["over_reboot"] == word
    assert "reservation" not in measured(evse)
    depots.record_boots([{**boot, "serial_number": "", "firmware_version": "", "now": at(9, 58)}])
    assert measured(evse)["over_reboot"] == word


def test_its_meter_is_known_by_the_sessions_it_ended():
    booking = charging()
    stop(booking.session, at(10, 50), wh=None)
    assert measured(booking.evse)["meter"] == "missing"

    other = start(booking.evse, "WALKIN", at(10, 55))
    stop(other, at(10, 58), wh=900)
    assert measured(booking.evse)["meter"] == "works"
    lines = {line.about: line for line in seen(Charger.objects.get())}
    assert (lines["Meter"].words, lines["Meter"].by) == (
        "Tells begin and end",
        f"session {other.transaction}",
    )


def test_a_charger_that_answers_again_is_under_control_again():
    evse = evse_online()
    depots.record_measured(charger_id=evse.charger_id, answers_calls=False)

    armed(book(evse))

    assert measured(evse)["answers_calls"] is True


def test_a_test_reserves_looks_and_gives_back():
    evse = evse_online()
    test = tried(evse)
    assert outcome(test).startswith("Under way")
    settle("accepted", at(9))
    shows(evse, "reserved", at(9).replace(second=5))

    scheduler.run_tick(at(9).replace(second=6))
    assert commands() == [("reserve", test.pk), ("cancel_reservation", test.pk)]
    settle("accepted", at(9).replace(second=7))

    assert outcome(test).endswith("it keeps slots.")
    assert measured(evse)["reservation"] == "works"
    page = capability(Charger.objects.select_related("depot").get(), at(9))
    assert page["reserve_tests"][0]["words"] == outcome(test)


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ("rejected", "answered", "It did not take the reservation and said rejected."),
        ("", "stale", "It did not answer"),
        ("accepted", "answered", "never showed the EVSE as reserved"),
    ],
)
def test_a_test_says_in_a_sentence_what_the_charger_does(answer, state, words):
    evse = evse_online()
    test = tried(evse)
    settle(answer, at(9), state)

    scheduler.run_tick(at(9).replace(second=26))
    if answer == "accepted":
        settle("accepted", at(9).replace(second=27))

    assert words in outcome(test)
    assert test.finished_at is not None


def test_nobody_is_tried_out_where_a_booking_needs_the_evse_or_somebody_stands():
    evse = evse_online()
    book(evse, slot((9, 15), 10))
    with pytest.raises(EvseNeeded, match="needed for a booking"):
        tried(evse)

    busy = evse_online(evse.depot)
    shows(busy, "occupied", at(8))
    with pytest.raises(EvseNeeded, match="not free"):
        tried(busy)
    away = evse_online(evse.depot)
    online(away.charger, lease_until=at(8))
    with pytest.raises(ChargerOffline):
        tried(away)


def test_a_charger_that_lets_a_stranger_charge_on_is_known_to_lie_though_its_booking_was_moved():
    evse = evse_online()
    beside, spare = make_evse(charger=evse.charger, status="available"), evse_online(evse.depot)
    booking, other = armed(book(evse)), armed(book(beside, slot(10, 11)))
    start(evse, "STRANGER", at(9, 55))
    enforcement.watch_bays(now=at(9, 55))
    enforcement.rescue(now=at(9, 56))
    booking.refresh_from_db()
    assert booking.evse == spare
    settle("accepted", at(9, 56))

    scheduler.run_tick(at(9, 56).replace(second=5))

    assert measured(evse)["reservation"] == "lies"
    # What was armed there before is guarded by the gate from then on.
    other.refresh_from_db()
    assert (other.enforcement, other.enforcement_why) == ("soft", "lies")


def test_a_stranger_of_less_than_a_minute_and_one_without_a_reservation_there_prove_nothing():
    evse = evse_online()
    beside = make_evse(charger=evse.charger, status="available")
    armed(book(evse))
    start(beside, "STRANGER", at(9, 50))
    start(evse, "STRANGER", at(9, 59))

    scheduler.run_tick(at(9, 59).replace(second=50))

    assert measured(evse)["reservation"] == "works"


def test_a_test_that_is_accepted_never_shown_and_forgotten_finds_a_liar():
    evse = evse_online()
    test = tried(evse)
    settle("accepted", at(9))
    scheduler.run_tick(at(9).replace(second=26))
    settle("rejected", at(9).replace(second=27))

    assert outcome(test).endswith("knew nothing of it when asked to give it back: it keeps no slots.")
    assert measured(evse)["reservation"] == "lies"


@pytest.mark.parametrize(
    ("answered", "since"),
    [(70, {}), (27, {"connected_at": 20}), (27, {"booted_at": 20})],
    ids=["ran out", "cut off", "restarted"],
)
def test_a_test_whose_reservation_may_be_over_by_itself_finds_no_liar(answered, since):
    evse = evse_online()
    test = tried(evse)
    settle("accepted", at(9))
    fields = {name: at(9) + timedelta(seconds=seconds) for name, seconds in since.items()}
    Charger.objects.filter(pk=evse.charger_id).update(**fields)
    scheduler.run_tick(at(9) + timedelta(seconds=26))
    command = ChargerCommand.objects.get(action="cancel_reservation")
    assert command.not_after == at(9) + timedelta(seconds=40)

    settle("rejected", at(9) + timedelta(seconds=answered))

    assert "whether it keeps one a stranger would tell" in outcome(test)
    assert measured(evse)["reservation"] == "works"  # as it has been since it accepted
