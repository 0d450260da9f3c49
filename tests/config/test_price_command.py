"""`manage.py price`: published totals, the shape of what is printed, refusals by field."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from django.conf import settings

from tests.config.commands import refusal, run

WORKED = json.loads((Path(__file__).parents[1] / "samples/prices/worked.json").read_text())

TARIFF = {
    "currency": "EUR",
    "tax_included": "NO",
    "elements": [
        {"price_components": [{"type": "FLAT", "price": 0.5, "vat": 20}]},
        {"price_components": [{"type": "ENERGY", "price": 0.25, "vat": 10, "step_size": 100}]},
        {
            "price_components": [{"type": "TIME", "price": 4, "vat": 20, "step_size": 900}],
            "restrictions": {"booking": "BOOKING"},
        },
    ],
    "max_price": {"before_taxes": 5, "after_taxes": 5.5},
}
PERIOD = {
    "start_date_time": "2026-11-23T08:00:00Z",
    "dimensions": [{"type": "ENERGY", "volume": 20.45}, {"type": "TIME", "volume": 1}],
}
FILE = {
    "tariff": TARIFF,
    "time_zone": "Europe/Berlin",
    "session": {"charging_periods": [PERIOD], "end_date_time": "2026-11-23T09:00:00Z"},
    "booking": {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:00:00Z", "outcome": "used"},
}


def priced(tmp_path: Path, file: Any) -> dict[str, Any]:
    path = tmp_path / "price.json"
    path.write_text(json.dumps(file))
    (bill,) = run("price", path)
    return bill


def refused(tmp_path: Path, file: Any) -> str:
    path = tmp_path / "price.json"
    path.write_text(json.dumps(file))
    return refusal("price", path)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The file with another value at a dotted path; None takes the field away."""
    file = copy.deepcopy(FILE)
    place: Any = file
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return file


def in_2_2_1(tariff: dict[str, Any]) -> dict[str, Any]:
    old = {name: value for name, value in tariff.items() if name != "tax_included"}
    for name in {"min_price", "max_price"} & old.keys():
        old[name] = {"excl_vat": old[name]["before_taxes"], "incl_vat": old[name]["after_taxes"]}
    return old


def after_taxes(amount: dict[str, Any]) -> Decimal:
    taxes = (Decimal(str(tax["amount"])) for tax in amount["taxes"])
    return sum(taxes, Decimal(str(amount["before_taxes"])))


# 2.2.1 knows no prices with their taxes in them.
SHAPES = [
    pytest.param(case, shape, id=f"{version} {case['tariff_name']}: {case['visit']}")
    for version, shape in (("2.3.0", dict), ("2.2.1", in_2_2_1))
    for case in WORKED
    if shape is dict or case["file"]["tariff"]["tax_included"] == "NO"
]


@pytest.mark.parametrize(("case", "shape"), SHAPES)
def test_official_tariffs_come_to_the_published_totals(tmp_path, case, shape):
    """Checklist 81."""
    file = {**case["file"], "tariff": shape(case["file"]["tariff"])}

    total = priced(tmp_path, file)["total_cost"]

    assert (total["before_taxes"], after_taxes(total)) == (
        case["before_taxes"],
        Decimal(str(case["after_taxes"])),
    )


def test_a_bill_is_printed_with_all_totals_and_its_lines(tmp_path):
    def vat(percentage: float, amount: float) -> dict[str, Any]:
        return {"name": "VAT", "percentage": percentage, "amount": amount}

    nothing = {"before_taxes": 0, "taxes": []}

    assert priced(tmp_path, FILE) == {
        "currency": "EUR",
        "total_cost": {"before_taxes": 9, "taxes": [vat(20, 0.8816), vat(10, 0.4184)]},
        "total_fixed_cost": {"before_taxes": 0.5, "taxes": [vat(20, 0.1)]},
        "total_energy_cost": {"before_taxes": 5.125, "taxes": [vat(10, 0.5125)]},
        "total_time_cost": nothing,
        "total_parking_cost": nothing,
        "total_reservation_cost": {"before_taxes": 4, "taxes": [vat(20, 0.8)]},
        "lines": [
            {
                "pass": "booking", "dimension": "TIME", "element": 2, "quantity": 1, "billed": 1, "unit": "h",
                "price": 4, "vat": 20, "before_taxes": 4, "taxes": [vat(20, 0.8)],
            },
            {
                "pass": "charging", "dimension": "FLAT", "element": 0, "quantity": 1, "billed": 1, "unit": None,
                "price": 0.5, "vat": 20, "before_taxes": 0.5, "taxes": [vat(20, 0.1)],
            },
            {
                "pass": "charging", "dimension": "ENERGY", "element": 1, "quantity": 20.45, "billed": 20.5,
                "unit": "kWh", "price": 0.25, "vat": 10, "before_taxes": 5.125, "taxes": [vat(10, 0.5125)],
            },
            {
                "pass": "charging", "dimension": "LIMIT", "element": None, "quantity": None, "billed": None,
                "unit": None, "price": None, "vat": None, "before_taxes": -0.625,
                "taxes": [vat(20, -0.0184), vat(10, -0.0941)],
            },
        ],
    }  # fmt: skip


def test_periods_come_in_any_order(tmp_path):
    later = {
        "start_date_time": "2026-11-23T08:30:00Z",
        "dimensions": [{"type": "PARKING_TIME", "volume": 0.5}],
    }
    session = {"charging_periods": [later, PERIOD], "end_date_time": "2026-11-23T09:00:00Z"}
    reversed_session = {**session, "charging_periods": [PERIOD, later]}

    assert priced(tmp_path, {**FILE, "session": session}) == priced(
        tmp_path, {**FILE, "session": reversed_session}
    )


def test_an_element_with_an_unknown_restriction_or_value_never_applies(tmp_path):
    for restrictions in (
        {"weather": "SUNNY"},
        {"day_of_week": ["HOLIDAY"]},
        {"reservation": "RESERVATION_MOVED"},
        {"booking": "BOOKING", "reservation": "RESERVATION"},
    ):
        file = changed("tariff.elements.1.restrictions", restrictions)

        assert priced(tmp_path, file)["total_energy_cost"]["before_taxes"] == 0

    assert priced(tmp_path, changed("tariff.elements.1.restrictions", {"weather": None}))[
        "total_energy_cost"
    ]["before_taxes"]


def test_numbers_of_binary_floats_and_text_are_read_as_they_were_meant(tmp_path):
    volume = "session.charging_periods.0.dimensions.0.volume"

    assert priced(tmp_path, changed(volume, 20.450000000000003)) == priced(tmp_path, FILE)
    assert priced(tmp_path, changed(volume, "20.45")) == priced(tmp_path, FILE)


def test_times_are_read_with_any_offset_and_without_one_as_utc(tmp_path):
    for text in ("2026-11-23T09:00:00+01:00", "2026-11-23 08:00:00", "2026-11-23t08:00:00.000z"):
        assert priced(tmp_path, changed("booking.start", text)) == priced(tmp_path, FILE)


def test_fields_that_are_not_known_and_connectors_change_nothing(tmp_path):
    more = {**FILE, "connector": {"power_type": "DC"}, "remark": 1}
    more["tariff"] = {
        **TARIFF,
        "energy_mix": {"is_green_energy": True},
        "type": "AD_HOC_PAYMENT",
        "min_price": None,
    }

    assert priced(tmp_path, more) == priced(tmp_path, FILE)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("tariff", None, "tariff: is missing"),
        ("tariff", [], "tariff: must be an object"),
        ("time_zone", None, "time_zone: is missing"),
        ("time_zone", "Europe/Atlantis", "time_zone: is not a time zone"),
        ("tariff.currency", None, "tariff.currency: is missing"),
        ("tariff.currency", "euro", "tariff.currency"),
        ("tariff.elements", [], "tariff.elements: must have at least 1 entry"),
        ("tariff.tax_included", "PERHAPS", "tariff.tax_included"),
        ("tariff.tax_included", True, "tariff.tax_included"),
        ("tariff.max_price", 10, "tariff.max_price"),
        ("tariff.max_price", {"after_taxes": 5}, "tariff.max_price.before_taxes: is missing"),
        ("tariff.max_price.after_taxes", 4, "tariff.max_price.after_taxes: is less than before taxes"),
        ("tariff.min_price", {"before_taxes": 6}, "tariff.max_price: is less than min_price"),
        (
            "tariff.min_price",
            {"before_taxes": 4, "after_taxes": 5.6},
            "tariff.max_price: is less than min_price",
        ),
        ("tariff.elements.0.price_components", [], "tariff.elements[0].price_components"),
        ("tariff.elements.0.price_components.0.type", "POWER", "tariff.elements[0].price_components[0].type"),
        ("tariff.elements.0.price_components.0.price", -1, "tariff.elements[0].price_components[0].price"),
        ("tariff.elements.0.price_components.0.price", "dear", "price_components[0].price: must be a number"),
        ("tariff.elements.0.price_components.0.vat", 120, "tariff.elements[0].price_components[0].vat"),
        ("tariff.elements.1.price_components.0.step_size", None, "price_components[0].step_size: is missing"),
        (
            "tariff.elements.1.price_components.0.step_size",
            1.5,
            "price_components[0].step_size: must be a whole",
        ),
        ("tariff.elements.1.restrictions", {"start_time": "24:00"}, "elements[1].restrictions.start_time"),
        ("tariff.elements.1.restrictions", {"end_date": "2026-02-30"}, "elements[1].restrictions.end_date"),
        ("tariff.elements.1.restrictions", {"min_kwh": -1}, "elements[1].restrictions.min_kwh"),
        ("tariff.elements.1.restrictions", {"day_of_week": "MONDAY"}, "elements[1].restrictions.day_of_week"),
        ("session.charging_periods", [], "session.charging_periods"),
        ("session.end_date_time", None, "session.end_date_time: is missing"),
        ("session.end_date_time", "tomorrow", "session.end_date_time: must be a time"),
        ("session.end_date_time", "2026-11-31T09:00:00Z", "session.end_date_time"),
        (
            "session.end_date_time",
            "2026-11-23T07:59:00Z",
            "charging_periods[0].start_date_time: begins after",
        ),
        ("session.currency", "SEK", "session.currency: differs from the tariff's, EUR"),
        (
            "session.charging_periods.0.start_date_time",
            None,
            "charging_periods[0].start_date_time: is missing",
        ),
        ("session.charging_periods.0.dimensions", None, "charging_periods[0].dimensions: is missing"),
        ("session.charging_periods.0.dimensions.0.volume", -1, "dimensions[0].volume: must be 0 or more"),
        (
            "session.charging_periods.0.dimensions.0.volume",
            1e9,
            "dimensions[0].volume: must be 1000000 or less",
        ),
        (
            "session.charging_periods.0.dimensions.1.type",
            "ENERGY",
            "dimensions[1].type: ENERGY is there twice",
        ),
        ("session.charging_periods.0.dimensions.1.type", "RESERVATION_TIME", "a booking has no reservation"),
        ("booking.start", None, "booking.start: is missing"),
        ("booking.end", "2026-11-23T08:00:00Z", "booking.end: must be after start"),
        ("booking.end", "2029-11-23T08:00:00Z", "booking.end: is more than 366 days after start"),
        (
            "session.end_date_time",
            "2027-11-25T08:00:00Z",
            "charging_periods[0].start_date_time: is more than 366",
        ),
        ("booking.outcome", "expired", "booking.outcome"),
    ],
)
def test_a_file_of_another_shape_is_refused_by_field(tmp_path, path, value, field):
    assert field in refused(tmp_path, changed(path, value))


def test_a_number_of_thousands_of_digits_is_refused_in_words_of_ours(tmp_path):
    path = tmp_path / "price.json"
    path.write_text(json.dumps(FILE).replace("20.45", "9" * 5000))

    assert refusal("price", path) == "The file is not valid JSON: a number has more than 1000 digits."


def test_the_name_of_a_file_does_not_matter(tmp_path):
    path = tmp_path / "visit"
    path.write_text(json.dumps(FILE))

    assert run("price", path) == [priced(tmp_path, FILE)]


def test_limits_may_be_in_a_currency_of_many_noughts(tmp_path):
    file = changed("tariff.max_price", {"before_taxes": 2_000_000, "after_taxes": 2_200_000})
    file["tariff"]["currency"] = "VND"

    assert priced(tmp_path, file)["total_cost"]["before_taxes"] == 10


@pytest.mark.long
def test_the_longest_file_takes_seconds(tmp_path):
    """Where each period was compared with all others it took a minute of computing."""
    start = datetime(2026, 11, 23, 8, tzinfo=UTC)
    periods = [
        {
            "start_date_time": (start + timedelta(seconds=number)).isoformat(),
            "dimensions": [{"type": "ENERGY", "volume": 0.001}],
        }
        for number in range(100_000)
    ]
    session = {"charging_periods": periods, "end_date_time": (start + timedelta(days=2)).isoformat()}
    begun = process_time()

    bill = priced(tmp_path, {**changed("tariff.max_price", None), "session": session})

    assert bill["total_energy_cost"]["before_taxes"] == 25
    assert process_time() - begun < 20


def test_there_is_a_session_or_a_booking(tmp_path):
    file = {name: FILE[name] for name in ("tariff", "time_zone")}

    assert "session: is missing, and so is booking" in refused(tmp_path, file)


@pytest.mark.parametrize("dimension", ["TIME", "RESERVATION_TIME"])
def test_an_expired_reservation_is_followed_by_nothing(tmp_path, dimension):
    periods = [
        {
            "start_date_time": "2026-11-23T08:00:00Z",
            "dimensions": [{"type": "RESERVATION_EXPIRES", "volume": 1}],
        },
        {"start_date_time": "2026-11-23T09:00:00Z", "dimensions": [{"type": dimension, "volume": 1}]},
    ]
    file = {
        **changed("booking", None),
        "session": {"charging_periods": periods, "end_date_time": "2026-11-23T10:00:00Z"},
    }

    assert "charging_periods[1].dimensions: an expired reservation is followed by nothing" in refused(
        tmp_path, file
    )


def test_a_refusal_leaves_standard_output_empty_and_ends_with_1(tmp_path):
    path = tmp_path / "price.json"
    path.write_text(json.dumps(changed("tariff.currency", None)))

    command = [sys.executable, "manage.py", "price", str(path)]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Line 1, tariff.currency: is missing.")
