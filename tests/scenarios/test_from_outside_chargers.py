"""Chargers of somebody else's make keep bookings: the whole loop over real connections, in every version of OCPP."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.scenarios.outside.berth import Berth, Slot
from tests.scenarios.outside.charger import SILENCE, Charger, Charger16, call_error
from tests.scenarios.outside.reservations import TRUCK, online, released, reserved
from tests.scenarios.outside.waiting import eventually

OTHER_TRUCK = "04AABBCCDD20"
STRANGER = "DEADBEEF"

Book = Callable[..., dict[str, Any]]
ChargerOf = Callable[[str], Charger]

VERSIONS = ("1.6", "2.0.1", "2.1")


def mainly(one: str) -> pytest.MarkDecorator:
    """Every version in the long run, this one always."""
    return pytest.mark.parametrize(
        "version", [one, *(pytest.param(other, marks=pytest.mark.long) for other in VERSIONS if other != one)]
    )


@mainly("2.0.1")
def test_a_booking_locks_the_plug_and_its_truck_charges(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = online(charger_of(version))

    booking = book(f"{charger.identity}-1", Slot.soon())

    asked = reserved(charger, booking)
    assert _where_of(asked) == 1
    assert TRUCK in str(asked)
    assert booking["enforcement"] in {"due", "armed"}
    assert not charger.may(STRANGER)
    assert charger.may(TRUCK)
    assert charger.may(OTHER_TRUCK), "the other plug is free, its driver is no stranger"
    berth.until(booking, enforcement="armed", status="confirmed")

    end = charger.charge(1, TRUCK, reservation=booking["reservation_id"])

    assert berth.until(booking, status="charging")["enforcement"] == "used"
    end()
    done = berth.until(booking, status="completed")
    assert [each["after"] for each in done["events"] if each["kind"] == "status"] == [
        "confirmed",
        "charging",
        "completed",
    ]


@mainly("1.6")
def test_a_cancel_reaches_the_charger_and_the_plug_is_anybodys(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = online(charger_of(version))
    booking = book(f"{charger.identity}-2", Slot.soon())
    reserved(charger, booking)

    gone = berth.cancel(booking)

    assert gone["status"] == "cancelled"
    released(charger, booking)
    berth.until(booking, enforcement="released", status="cancelled")
    charger.charge(2, OTHER_TRUCK)()


@mainly("2.0.1")
def test_a_booking_made_before_the_charger_came_is_armed_then_and_after_every_return(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = charger_of(version)
    booking = book(f"{charger.identity}-1", Slot.soon(15))
    assert (booking["enforcement"], booking["enforcement_why"]) == ("at_risk", "offline")

    online(charger)
    first = reserved(charger, booking)
    berth.until(booking, enforcement="armed")

    mark = charger.mark()
    charger.drop()  # the power fails
    online(charger)
    assert reserved(charger, booking, after=mark) == first
    berth.until(booking, enforcement="armed")

    charger.leave()  # only the network fails: no boot follows
    mark = charger.mark()
    charger.come()
    assert reserved(charger, booking, after=mark) == first


@mainly("2.0.1")
def test_a_move_to_the_other_plug_unlocks_the_first(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = online(charger_of(version))
    first, second = f"{charger.identity}-1", f"{charger.identity}-2"
    booking = book(first, Slot.soon(15))
    reserved(charger, booking)
    mark = charger.mark()

    moved = berth.run("change_booking", booking["id"], "--evse", second)

    assert moved.one["evse_uid"] == second
    released(charger, booking, after=mark)
    asked = reserved(charger, moved.one, after=mark)
    assert _where_of(asked) == 2
    berth.until(booking, enforcement="armed")
    assert [each["evse_uid"] for each in berth.charger(charger.identity)["armed"]] == [second]


@mainly("1.6")
def test_a_plug_that_is_taken_is_tried_again_when_it_is_free(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = online(charger_of(version))
    charger.answers["ReserveNow"] = {"status": "Occupied"}
    booking = book(f"{charger.identity}-1", Slot.soon(15))
    berth.until(booking, enforcement="at_risk", enforcement_why="occupied")

    del charger.answers["ReserveNow"]
    mark = charger.mark()
    charger.status(1, "Available")

    reserved(charger, booking, after=mark)
    berth.until(booking, enforcement="armed")


@mainly("1.6")
def test_a_charger_that_cannot_reserve_is_kept_by_refusing_strangers(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = charger_of(version)
    charger.answers["ReserveNow"] = {"status": "Rejected"}
    online(charger)

    booking = book(f"{charger.identity}-1", Slot.soon(15))

    berth.until(booking, enforcement="soft")
    refused = _start(charger, 1, OTHER_TRUCK)
    assert refused != "Accepted"
    end = charger.charge(1, TRUCK)
    berth.until(booking, status="charging")
    end()
    berth.until(booking, status="completed")


@mainly("2.1")
def test_an_error_for_an_answer_leaves_the_booking_to_the_gate(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = charger_of(version)
    charger.answers["ReserveNow"] = call_error("NotImplemented", "no reservations here")
    online(charger)

    booking = book(f"{charger.identity}-2", Slot.soon(15))

    shown = berth.until(booking, enforcement="soft")
    assert shown["status"] == "confirmed"


def test_a_broken_plug_hands_its_booking_to_another(berth: Berth, charger_of: ChargerOf, book: Book) -> None:
    charger = online(charger_of("2.0.1"))
    charger.answers["ReserveNow"] = lambda asked: {
        "status": "Faulted" if _where_of(asked) == 1 else "Accepted"
    }

    booking = book("DEMO-2-1", Slot.soon(15))

    swapped = berth.until(booking, enforcement="armed")
    assert swapped["evse_uid"] != "DEMO-2-1"
    assert swapped["status"] == "confirmed"


@mainly("2.1")
def test_a_line_lost_in_the_middle_of_a_call_arms_again(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = charger_of(version)
    online(charger)

    def fall_over(_: dict[str, Any]) -> Any:
        charger.drop()
        return SILENCE

    charger.answers["ReserveNow"] = fall_over
    booking = book(f"{charger.identity}-1", Slot.soon(15))
    first = reserved(charger, booking)
    berth.until(booking, enforcement="at_risk")

    del charger.answers["ReserveNow"]
    mark = charger.mark()
    online(charger)

    assert reserved(charger, booking, after=mark) == first
    berth.until(booking, enforcement="armed")


def test_a_start_told_twice_is_one_transaction(berth: Berth, charger_of: ChargerOf, book: Book) -> None:
    charger = charger_of("1.6")
    assert isinstance(charger, Charger16)
    online(charger)
    booking = book("DEMO-1-2", Slot.soon())
    reserved(charger, booking)
    at = booking["events"][0]["at"]

    once = charger.start(2, TRUCK, at=at)
    again = charger.start(2, TRUCK, at=at)

    assert once["transactionId"] == again["transactionId"] > 0
    charger.stop(once["transactionId"], TRUCK)
    charger.stop(once["transactionId"], TRUCK)
    done = berth.until(booking, status="completed")
    assert [each["after"] for each in done["events"]].count("charging") == 1
    assert [each["after"] for each in done["events"]].count("completed") == 1


def test_of_two_chargers_with_one_name_the_newer_stays(
    berth: Berth, charger_of: ChargerOf, book: Book
) -> None:
    old = online(charger_of("2.1"))
    new = type(old)(berth.ocpp, old.identity, "demo-3-secret0123")
    with new:
        online(new)
        eventually(old.is_closed_by_berth, of="an end of the older connection")
        assert berth.charger("DEMO-3")["online"]

        booking = book("DEMO-3-1", Slot.soon())

        reserved(new, booking)
        assert not old.all_asked("ReserveNow")
        berth.until(booking, enforcement="armed")


@mainly("2.1")
def test_a_start_that_names_no_reservation_is_matched_by_its_token(
    berth: Berth, charger_of: ChargerOf, book: Book, version: str
) -> None:
    charger = online(charger_of(version))
    booking = book(f"{charger.identity}-1", Slot.soon())
    reserved(charger, booking)

    assert _start(charger, 1, STRANGER) != "Accepted"
    end = charger.charge(1, TRUCK.lower())

    berth.until(booking, status="charging")
    end()
    berth.until(booking, status="completed")


@pytest.mark.parametrize(
    ("identity", "password", "status"),
    [("DEMO-1", "wrong", 401), ("DEMO-2", "", 401), ("NOBODY-7", "demo-1-secret", 401)],
)
def test_the_door_stays_shut_for_others(berth: Berth, identity: str, password: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        Charger16(berth.ocpp, identity, password).come()

    assert refusal.value.response.status_code == status


@pytest.mark.long
def test_trucks_that_do_not_come_lose_their_slots(berth: Berth, charger_of: ChargerOf, book: Book) -> None:
    chargers = [online(charger_of(version)) for version in VERSIONS]
    with ThreadPoolExecutor(3) as at_once:
        bookings = list(at_once.map(lambda each: book(f"{each.identity}-1", Slot.soon(in_min=1)), chargers))

    for charger, booking in zip(chargers, bookings, strict=True):
        reserved(charger, booking)
    for charger, booking in zip(chargers, bookings, strict=True):
        gone = berth.until(booking, within_s=240, status="no_show")
        assert gone["enforcement"] == "released"
        charger.charge(1, OTHER_TRUCK)()  # the calendar is open again, and so is the plug


def _where_of(asked: dict[str, Any]) -> int:
    place: int = asked.get("connectorId", asked.get("evseId"))
    return place


def _start(charger: Charger, evse: int, token: str) -> str:
    """What Berth says of a transaction that starts without asking first, which then ends."""
    if isinstance(charger, Charger16):
        begun = charger.start(evse, token)
        charger.stop(begun["transactionId"], token)
        return str(begun["idTagInfo"]["status"])
    begun = charger.event("Started", f"S{token}{charger.mark()}", 0, evse, token)  # type: ignore[attr-defined]
    charger.event("Ended", f"S{token}{charger.mark()}", 1, evse, token)  # type: ignore[attr-defined]
    return str(begun["idTokenInfo"]["status"])
