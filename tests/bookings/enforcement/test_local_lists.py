"""Where the network is bad a charger keeps the booked tokens itself, as many and as long as they are booked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from bookings import operations, scheduler
from bookings.models import Booking
from depots import operations as depots
from depots.models import Charger, ChargerCommand, Depot, Evse, LocalList
from depots.ocpp.v2x import local_list as local_list_2x
from depots.ocpp.v16 import local_list as local_list_16
from tests.bookings.enforcement.online_chargers import TERMS, answer, book, evse_online
from tests.factories import MANAGER, at, make_depot, make_vehicle, slot

pytestmark = pytest.mark.django_db


def place(most: str | None = None) -> Evse:
    evse = evse_online(make_depot(terms=TERMS, fallbacks=["local_list"]))
    settings = {"SendLocalListMaxLength": most} if most else {}
    Charger.objects.filter(pk=evse.charger_id).update(told={"local_list": True, "configuration": settings})
    return evse


def sent() -> list[dict[str, Any]]:
    rows = ChargerCommand.objects.filter(action="send_local_list").order_by("id")
    return [row.payload for row in rows]


def settle(word: str, now: datetime, state: str = "answered") -> None:
    command = ChargerCommand.objects.filter(action="send_local_list").latest("id")
    depots.settle_command(command_id=command.pk, state=state, answer=word, now=now)


def names(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["uid"] for entry in entries]


def truck_of(*uids: str) -> Any:
    vehicle = make_vehicle(token=None)
    for uid in uids:
        vehicle.tokens.create(fleet=vehicle.fleet, uid=uid)
    return vehicle


def due(evse: Evse, *uids: str) -> Booking:
    booking = book(evse, vehicle=truck_of(*uids))
    scheduler.run_tick(at(9, 45))
    answer("accepted", now=at(9, 45))
    scheduler.run_tick(at(9, 46))
    return booking


def test_nothing_is_sent_where_the_depot_does_not_ask_for_it():
    evse = evse_online()
    due(evse, "04AA")

    assert sent() == []
    assert not LocalList.objects.exists()


def test_the_booked_tokens_are_sent_when_due_and_taken_back_afterwards():
    evse = place()
    booking = due(evse, "04BB", "04AA")

    whole = sent()[-1]
    assert (whole["full"], names(whole["put"]), whole["remove"]) == (True, ["04AA", "04BB"], [])
    assert {entry["until"] for entry in whole["put"]} == {"2030-01-15T11:00:00Z"}
    assert {entry["group"] for entry in whole["put"]} == {booking.group}
    settle("accepted", at(9, 46))
    scheduler.run_tick(at(9, 47))
    assert len(sent()) == 1
    assert LocalList.objects.get().synced_at == at(9, 46)

    operations.cancel_booking(booking_id=booking.pk, reason="FULL", by="depot", actor=MANAGER, now=at(9, 50))
    scheduler.run_tick(at(9, 51))

    last = sent()[-1]
    assert (last["full"], last["put"], names(last["remove"])) == (False, [], ["04AA", "04BB"])
    assert last["version"] > whole["version"]
    settle("accepted", at(9, 51))
    assert LocalList.objects.get().held == []


def test_a_long_list_goes_in_portions_one_at_a_time():
    due(place("2"), "04AA", "04BB", "04CC", "04DD", "04EE")

    for _ in range(3):
        settle("accepted", at(9, 46))

    assert [(p["full"], names(p["put"])) for p in sent()] == [
        (True, ["04AA", "04BB"]), (False, ["04CC", "04DD"]), (False, ["04EE"]),
    ]  # fmt: skip
    assert [p["version"] for p in sent()] == [1, 2, 3]
    kept = LocalList.objects.get()
    assert kept.held == kept.wanted


@pytest.mark.parametrize(
    ("word", "state"), [("version_mismatch", "answered"), ("failed", "answered"), ("", "unclear")]
)
def test_what_a_charger_holds_is_unknown_after_any_other_answer_and_all_is_sent_again(word, state):
    due(place("2"), "04AA", "04BB", "04CC")
    settle("accepted", at(9, 46))

    settle(word, at(9, 47), state)
    scheduler.run_tick(at(9, 49))

    assert (sent()[-1]["full"], names(sent()[-1]["put"])) == (True, ["04AA", "04BB"])
    assert len(sent()) == 3


def test_a_charger_that_takes_no_list_is_not_asked_again_until_it_starts_again():
    evse = place()
    due(evse, "04AA")
    settle("not_supported", at(9, 46))

    scheduler.run_tick(at(9, 55))
    assert len(sent()) == 1
    depots.reconcile(charger_id=evse.charger_id, holder="gw", rebooted=True, now=at(9, 56))
    scheduler.run_tick(at(9, 57))

    assert len(sent()) == 2


def test_a_depot_that_wants_no_lists_any_more_has_them_emptied():
    due(place(), "04AA")
    settle("accepted", at(9, 46))

    Depot.objects.update(fallbacks=[])
    scheduler.run_tick(at(9, 50))

    assert names(sent()[-1]["remove"]) == ["04AA"]


def test_the_next_slots_tokens_replace_those_of_the_one_before():
    evse = place()
    first = due(evse, "04AA")
    settle("accepted", at(9, 46))
    book(evse, slot(11, 12), vehicle=truck_of("04CC"), now=at(9, 47))

    operations.cancel_booking(booking_id=first.pk, reason="FULL", by="depot", actor=MANAGER, now=at(9, 50))
    scheduler.run_tick(at(10, 45))
    answer("accepted", now=at(10, 45))
    scheduler.run_tick(at(10, 46))

    assert (names(sent()[-1]["put"]), names(sent()[-1]["remove"])) == (["04CC"], ["04AA"])


ENTRY = {"uid": "04AA", "type": "RFID", "group": "G1", "until": "2030-01-15T11:00:00Z"}


def test_the_messages_of_both_protocols():
    change = {"version": 7, "full": False, "put": [ENTRY], "remove": [{"uid": "04BB", "type": "RFID"}]}

    assert local_list_16.send(change) == ("SendLocalList", {
        "listVersion": 7, "updateType": "Differential",
        "localAuthorizationList": [
            {"idTag": "04BB"},
            {"idTag": "04AA", "idTagInfo": {
                "status": "Accepted", "expiryDate": "2030-01-15T11:00:00.000Z", "parentIdTag": "G1",
            }},
        ],
    })  # fmt: skip
    assert local_list_2x.send(change)[1]["localAuthorizationList"] == [
        {"idToken": {"idToken": "04BB", "type": "ISO14443"}},
        {"idToken": {"idToken": "04AA", "type": "ISO14443"}, "idTokenInfo": {
            "status": "Accepted", "cacheExpiryDateTime": "2030-01-15T11:00:00.000Z",
            "groupIdToken": {"idToken": "G1", "type": "Central"},
        }},
    ]  # fmt: skip
    empty = {"version": 8, "full": True, "put": [], "remove": []}
    assert local_list_16.send(empty)[1] == {"listVersion": 8, "updateType": "Full"}
