"""What a charger was told of a booking, and when."""

from typing import Any

from tests.scenarios.outside.charger import Charger

TRUCK = "04AABBCCDD10"


def reserved(
    charger: Charger, booking: dict[str, Any], *, after: int = 0, within_s: float = 30
) -> dict[str, Any]:
    """The ReserveNow for this booking."""
    return charger.asked_for(
        "ReserveNow",
        after=after,
        within_s=within_s,
        where=lambda asked: charger.reservation_of(asked) == booking["reservation_id"],
    )


def released(charger: Charger, booking: dict[str, Any], *, after: int = 0) -> dict[str, Any]:
    return charger.asked_for(
        "CancelReservation",
        after=after,
        where=lambda asked: asked["reservationId"] == booking["reservation_id"],
    )


def online(charger: Charger) -> Charger:
    charger.come()
    assert charger.boot()["status"] == "Accepted"
    charger.all_free()
    return charger
