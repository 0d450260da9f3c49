"""Any part of Berth is killed at a bad moment: it comes back, and nothing is lost or doubled."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.scenarios.outside.berth import Berth, Slot
from tests.scenarios.outside.charger import Charger, Charger16, now
from tests.scenarios.outside.partner import Network
from tests.scenarios.outside.partner_offers import free_span, offers, registered, spans
from tests.scenarios.outside.reservations import TRUCK, online, reserved
from tests.scenarios.outside.waiting import eventually

Book = Callable[..., dict[str, Any]]

later = pytest.mark.long


@pytest.mark.parametrize(
    "program",
    [
        "postgres",
        *(pytest.param(program, marks=later) for program in ("ocpp_gateway", "worker", "serve")),
    ],
)
def test_a_slot_is_kept_over_crashes_before_and_while_its_truck_charges(
    mortal: Berth, charger_of: Callable[[str], Charger], book: Book, program: str
) -> None:
    charger = online(charger_of("1.6"))
    assert isinstance(charger, Charger16)
    booking = book("DEMO-1-1", Slot.soon())
    reserved(charger, booking)

    _crash(mortal, program)
    charger.insist("Heartbeat", {})
    mortal.until(booking, within_s=60, enforcement="armed", status="confirmed")
    started = {"connectorId": 1, "idTag": TRUCK, "meterStart": 100, "timestamp": now()}
    begun = charger.insist("StartTransaction", started)
    _crash(mortal, program)
    again = charger.insist("StartTransaction", started)
    assert again["transactionId"] == begun["transactionId"]
    assert again["idTagInfo"]["status"] == begun["idTagInfo"]["status"] == "Accepted"
    mortal.until(booking, within_s=60, status="charging")
    mortal.kill(program)
    ended = {"transactionId": begun["transactionId"], "meterStop": 5100, "timestamp": now(), "idTag": TRUCK}
    charger.insist("StopTransaction", ended)

    done = mortal.until(booking, within_s=60, status="completed")
    counted = Counter(each["after"] for each in done["events"] if each["kind"] == "status")
    assert counted == {"confirmed": 1, "charging": 1, "completed": 1}
    charger.insist("StatusNotification", _free(1))


@pytest.mark.parametrize(
    "program",
    ["worker", *(pytest.param(program, marks=later) for program in ("postgres", "serve", "ocpp_gateway"))],
)
def test_a_partner_holds_the_truth_whatever_is_killed(
    mortal: Berth, network: Callable[..., Network], program: str
) -> None:
    partner = registered(mortal, network("EMSP"))
    place = offers(partner)["VEN-09-2"]
    start, end = free_span(place)
    request = partner.request_for(place, start, end)

    booked = partner.ask(request)
    _crash(mortal, program)
    again = partner.insist(request)
    assert (again["id"], len(again["booking_requests"])) == (booked["id"], 1)
    gone = partner.insist({**request, "canceled": {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}})
    _crash(mortal, program)

    assert gone["reservation_status"] == "CANCELED"
    partner.told(f"/{booked['id']}", lambda told: told["reservation_status"] == "CANCELED", within_s=90)
    assert [each["id"] for each in partner.get(partner.bookings_url)] == [booked["id"]]
    retaken = partner.insist(partner.request_for(place, start, end))
    assert retaken["reservation_status"] == "RESERVED", "the place is free again"


@pytest.mark.parametrize("number", [12, pytest.param(1000, marks=later)])
def test_of_many_requests_while_web_and_worker_are_killed_every_accepted_one_stands(
    mortal: Berth, network: Callable[..., Network], number: int
) -> None:
    """`kill -9` of the web and of the worker in the middle of many BookingRequests, of which every third is cancelled again: what
    was accepted stands once, and the partner learns how each stands in the end."""
    partner = registered(mortal, network("EMSP"))
    asked = [partner.request_for(*span) for span in spans(offers(partner).values(), number)]
    answered: dict[str, dict[str, Any]] = {}

    def conversation(at: int) -> None:
        booking = partner.insist(asked[at], within_s=180)
        if at % 3 == 0 and booking["reservation_status"] == "RESERVED":
            cancellation = {"cancellation_reason": "TRAFFIC", "who_canceled": "EMSP"}
            booking = partner.insist({**asked[at], "canceled": cancellation}, within_s=180)
        answered[asked[at]["request_id"]] = booking

    with ThreadPoolExecutor(8) as partners_threads:
        talks = [partners_threads.submit(conversation, at) for at in range(number)]
        for program, done in (("serve", number // 4), ("worker", number // 2), ("serve", number * 3 // 4)):
            eventually(lambda done=done: len(answered) >= done, of=f"{done} answers", within_s=300)
            _crash(mortal, program)
        for talk in talks:
            talk.result()

    listed = {one["request_id"]: one for page in partner.pages(partner.bookings_url, 100) for one in page}
    assert listed.keys() == answered.keys(), "each once, and none lost"
    for request_id, booking in answered.items():
        assert listed[request_id]["id"] == booking["id"]
        assert listed[request_id]["reservation_status"] == booking["reservation_status"]
    reached = Counter(booking["reservation_status"] for booking in answered.values())
    assert reached["RESERVED"] + reached["CANCELED"] >= number * 9 // 10, reached
    for booking in answered.values():
        final = booking["reservation_status"]
        partner.told(
            f"/{booking['id']}", lambda told, final=final: told["reservation_status"] == final, within_s=120
        )
        stamps = [told["last_updated"] for told in partner.pushes_of(f"/{booking['id']}")]
        assert stamps == sorted(stamps), "nothing out of order"


def _crash(berth: Berth, program: str) -> None:
    """Kill it, and wait for the one that takes its place."""
    berth.until_back(program, berth.kill(program))


def _free(evse: int) -> dict[str, Any]:
    return {"connectorId": evse, "status": "Available", "errorCode": "NoError", "timestamp": now()}
