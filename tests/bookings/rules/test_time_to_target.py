"""How long it will still take: a range that holds the truth, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.rules.charge_curve import curve_text, power_at, read_curve
from bookings.rules.time_to_target import in_words, time_to_target

TRUCK = {
    "power_w": 200_000,
    "delivered_wh": 50_000,
    "booked_wh": None,
    "soc_percent": 40.0,
    "battery_wh": 500_000,
}


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ({}, "55–75 min to 80 %"),
        ({"booked_wh": 150_000}, "25–40 min to 150 kWh"),
        ({"booked_wh": 150_000, "soc_percent": None}, "25–40 min to 150 kWh"),
        ({"booked_wh": 900_000}, "1:25–2:20 h to 100 %"),  # more than the battery takes: what it takes
        ({"soc_percent": 85.0}, "20–50 min to 100 %"),
        ({"soc_percent": 79.0}, "1–2 min to 80 %"),
    ],
)
def test_a_range_is_said_to_the_target_that_is_known(session: dict[str, Any], words: str) -> None:
    found = time_to_target(**{**TRUCK, **session})

    assert found is not None
    assert in_words(found) == words


CURVE = read_curve("10:350, 50:200; 80:100\n100 % = 40 kW")


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ({}, "70–85 min to 80 %"),  # 200 kW are given until the curve is below: 15 min, then 62
        ({"power_w": 300_000}, "55–70 min to 80 %"),
        ({"power_w": 90_000}, "2:05–2:25 h to 80 %"),
        ({"soc_percent": 85.0, "power_w": 85_000}, "70–85 min to 100 %"),
    ],
)
def test_with_its_curve_the_range_is_narrower(session: dict[str, Any], words: str) -> None:
    found = time_to_target(**{**TRUCK, **session}, curve=CURVE)

    assert found is not None
    assert in_words(found) == words


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("10-350", "as in 10:350"),
        ("10:350", "2 to 24 points"),
        ("80:180, 10:350", "rise from point to point"),
        ("10:350, 110:20", "rise from point to point"),
        ("10:350, 100:0", "1 to 5000 kW"),
    ],
)
def test_a_curve_that_is_none_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_curve(text)

    assert (
        read_curve(curve_text(CURVE)) == CURVE == [[10, 350_000], [50, 200_000], [80, 100_000], [100, 40_000]]
    )
    assert (power_at(CURVE, 5), power_at(CURVE, 90)) == (350_000, 70_000)


@pytest.mark.parametrize(
    "session",
    [
        {"power_w": None},
        {"power_w": 900},
        {"battery_wh": None},
        {"soc_percent": 100.0},
        {"booked_wh": 50_000},
        {"power_w": 1500},  # days
        {"booked_wh": 150_000, "delivered_wh": None, "soc_percent": None},
    ],
    ids=range(7),
)
def test_nothing_is_said_where_nothing_is_known_or_left(session: dict[str, Any]) -> None:
    assert time_to_target(**{**TRUCK, **session}) is None
