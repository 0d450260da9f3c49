"""What one act did to many bookings is one piece of news for the other side."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bookings.notifications.gathering import gathered
from bookings.notifications.resolving import News
from bookings.notifications.wording import sentence
from tests.factories import NOW


def news(day: int, **other: Any) -> News:
    params = {
        "depot": "Venlo",
        "plate": "W-AT 1",
        "starts_at": f"2030-01-{day}T10:00:00Z",
        "ends_at": f"2030-01-{day}T11:00:00Z",
    }
    made: dict[str, Any] = {
        "kind": "request_waits",
        "organisation_id": 1,
        "at": NOW,
        "booking_id": day,
        "link": f"/bookings/{day}/",
    }
    return News(**{**made, "params": params, **other})


def test_many_of_one_act_are_the_first_of_them_and_a_number() -> None:
    (told,) = gathered([news(day) for day in (17, 16, 18, 19)])

    assert (told.params["starts_at"], told.params["others"]) == ("2030-01-16T10:00:00Z", 3)
    assert (told.booking_id, told.link) == (None, "/requests/")
    assert "And 3 more like it." in sentence(told.kind, told.params, "en").more


@pytest.mark.parametrize("kind", ["granted", "closure", "cancelled_by_depot", "swapped", "power_limited"])
def test_a_fleet_hears_once_of_what_a_depot_did_to_many(kind: str) -> None:
    (told,) = gathered([news(day, kind=kind) for day in (16, 17, 18, 19)])

    assert (told.params["others"], told.link) == (3, "/bookings/")


@pytest.mark.parametrize(
    "others",
    [
        [{"kind": "no_show"}] * 3,  # of which each is another's doing
        [{"at": NOW + timedelta(seconds=1)}, {"organisation_id": 2}, {"actor_name": "somebody"}],
        [{}, {}],  # three in all are told one by one
    ],
)
def test_what_is_no_one_act_or_not_many_is_told_one_by_one(others: list[dict[str, Any]]) -> None:
    told = [
        news(16, **({"kind": "no_show"} if "kind" in others[0] else {})),
        *(news(17 + n, **one) for n, one in enumerate(others)),
    ]

    assert gathered(told) == told
