"""A card's number stays with its fleet: whoever looks after the depot, and the operator's commands, see its ending."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from depots.models import Charger, ChargerCommand, ChargerMessage, Depot, Membership
from depots.operations import Start, start_session
from tests.bookings.people import client_of
from tests.factories import (
    DISPATCHER,
    NOW,
    book_slot,
    change_slot,
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_operator,
    make_user,
    make_vehicle,
    option_of,
    slot,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

CARD, GROUP, WALK_IN = "04AABBCCDD10", "BZ7K2M9QX4T1", "04EE11FF22C3D4"
ROLES = [Membership.Role.DEPOT_MANAGER, Membership.Role.VIEWER, Membership.Role.ADMIN]


@pytest.fixture
def depot() -> Depot:
    return make_depot(make_operator("Ladepark"), code="VENLO", name="Venlo")


@pytest.fixture
def charger(depot: Depot) -> Charger:
    charger = make_charger(depot, identity="CP-7")
    make_evse(charger=charger, uid="V-1")
    make_evse(charger=charger, uid="V-2")
    return charger


@pytest.fixture
def pages(depot: Depot, charger: Charger) -> list[str]:
    """The depot's pages, with a booking whose cards were changed, a walk-in's session, and what was said about both."""
    fleet = make_fleet("Nordfracht")
    vehicle, other = make_vehicle(fleet, token=CARD), make_vehicle(fleet, token="04AABBCCDD20")
    booking = book_slot(
        fleet=fleet,
        option=option_of(charger.evses.get(number=1)),
        vehicle=other,
        period=slot(10, 11),
        actor=DISPATCHER,
        now=NOW,
    )
    change_slot(booking_id=booking.pk, vehicle=vehicle, actor=DISPATCHER, now=NOW)
    start = Start(evse_number=2, token_uid=WALK_IN, key="k", at=NOW)
    start_session(charger_id=charger.pk, start=start, now=NOW)
    _say(charger, "Authorize", {"idTag": CARD})
    _say(charger, "StartTransaction", {"idTag": CARD, "meterStart": 5})
    _say(charger, "TransactionEvent", {"idToken": {"idToken": WALK_IN, "type": "ISO14443"}})
    _say(
        charger,
        "DataTransfer",
        {"vendorId": "v", "data": json.dumps({"idTag": CARD, "seen": f"tag {WALK_IN}"})},
    )
    _say(charger, "ReserveNow", {"idTag": CARD, "parentIdTag": GROUP, "reservationId": booking.pk})
    _say(charger, "ReserveNow", {"idToken": {"idToken": CARD}, "groupIdToken": {"idToken": GROUP}})
    ChargerMessage.objects.create(
        charger=charger, at=NOW, is_incoming=True, frame=f'[2,"1","Authorize",{{"idTag":"{CARD}'
    )
    expires_at = "2030-01-15T12:00:00Z"
    ChargerCommand.objects.create(
        charger=charger, action="reserve", reservation_id=booking.pk, state="answered", answer="accepted",
        answer_text=f"GenericError: {CARD} of {GROUP} is unknown", created_at=NOW, sent_at=NOW, answered_at=NOW,
        payload={"evse": 1, "token": CARD, "token_type": "RFID", "group": GROUP, "expires_at": expires_at},
    )  # fmt: skip
    return [
        "/",
        "/bookings/",
        f"/bookings/{booking.pk}/",
        "/requests/",
        "/depots/VENLO/",
        "/depots/VENLO/board/",
        f"/depots/VENLO/board/bookings/{booking.pk}/",
        "/depots/VENLO/chargers/CP-7/",
        "/depots/VENLO/closures/",
    ]


def _say(charger: Charger, action: str, payload: dict[str, Any]) -> None:
    ChargerMessage.objects.create(
        charger=charger, at=NOW, is_incoming=True, action=action, frame=json.dumps([2, "1", action, payload])
    )


@pytest.mark.parametrize("role", ROLES)
def test_no_page_of_a_depot_shows_a_card_of_others(depot: Depot, pages: list[str], role: str) -> None:
    client = client_of(make_user(depot.operator, role))

    for page in pages:
        answer = client.get(page, follow=True)
        assert answer.status_code == 200 or "/depots/" not in page, (
            page
        )  # the fleet's pages are not everybody's
        shown = answer.content.decode()
        assert [number for number in (CARD, GROUP, WALK_IN) if number in shown] == [], page


def test_the_charger_s_page_still_tells_cards_apart(depot: Depot, pages: list[str]) -> None:
    shown = (
        client_of(make_user(depot.operator, "depot_manager"))
        .get("/depots/VENLO/chargers/CP-7/")
        .content.decode()
    )

    for ending in ("…DD10", "…C3D4", "…X4T1"):
        assert ending in shown


def test_show_charger_prints_endings(charger: Charger, pages: list[str]) -> None:
    printed = StringIO()

    call_command("show_charger", "CP-7", stdout=printed)

    told = json.loads(printed.getvalue())
    assert (told["armed"][0]["token"], told["armed"][0]["group"]) == ("…DD10", "…X4T1")
    assert told["commands"][0]["payload"]["token"] == "…DD10"
    assert [number for number in (CARD, GROUP, WALK_IN) if number in printed.getvalue()] == []
