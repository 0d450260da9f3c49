"""What 2.2.1 has otherwise than 2.3.0: pure functions, on objects of 2.3.0."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roaming.ocpi.style import NEWEST, Style
from roaming.ocpi.v2_2_1.cdrs.mapping import cdr_out
from roaming.ocpi.v2_2_1.locations.mapping import location_out
from roaming.ocpi.v2_2_1.tariffs.mapping import tariff_out
from roaming.ocpi.v2_2_1.tariffs.prices import price_in, price_out
from roaming.ocpi.v2_2_1.tokens.token_types import as_2_2_1

STRICT = Style(shows_unlisted_connectors=False, shows_extensions=False)
CENTS = st.integers(0, 10**8).map(lambda cents: cents / 10_000)


def component(**changes: Any) -> dict[str, Any]:
    return {"type": "ENERGY", "price": 0.595, "vat": 19, "step_size": 1, **changes}


def tariff(*elements: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "T",
        "elements": list(elements) or [{"price_components": [component()]}],
        "tax_included": "NO",
        **changes,
    }


@given(CENTS, CENTS, st.booleans())
def test_a_price_goes_there_and_back_without_loss(before: float, tax: float, is_told: bool) -> None:
    """Checklist 87: the total before and after taxes is the same in both shapes, and a price without tax stays one."""
    old = {
        "excl_vat": before,
        **({"incl_vat": float(Decimal(str(before)) + Decimal(str(tax)))} if is_told else {}),
    }

    back = price_out(price_in(old))

    assert back == old


def test_several_taxes_are_one_sum_in_2_2_1() -> None:
    """Checklist 87."""
    taxes = [{"name": "VAT", "amount": 0.19}, {"name": "Local", "percentage": 1, "amount": 0.01}]

    assert price_out({"before_taxes": 1, "taxes": taxes}) == {"excl_vat": 1, "incl_vat": 1.2}
    assert price_out({"before_taxes": 0.0001}) == {"excl_vat": 0.0001}


def test_a_price_of_2_3_0_is_read_where_2_2_1_is_spoken() -> None:
    """Checklist 87: partners mix them."""
    assert price_in({"before_taxes": 3}) == {"before_taxes": 3}


@pytest.mark.parametrize(
    ("sent", "price"),
    [
        (tariff(tax_included="NO"), 0.595),
        (tariff(tax_included="N/A"), 0.595),
        (tariff(tax_included="YES"), 0.5),
    ],
)
def test_prices_go_to_2_2_1_without_tax(sent: dict[str, Any], price: float) -> None:
    """Checklist 87."""
    written = tariff_out(sent, STRICT)

    assert written is not None
    assert "tax_included" not in written
    assert written["elements"][0]["price_components"][0]["price"] == price


def test_a_price_with_a_tax_that_nobody_knows_is_not_sent_to_2_2_1() -> None:
    """Checklist 87."""
    unknown = component()
    del unknown["vat"]

    assert tariff_out(tariff({"price_components": [unknown]}, tax_included="YES"), NEWEST) is None


def test_prices_of_bookings_go_only_to_who_knows_them() -> None:
    """Checklist 80: a receiver that ignores the restriction would charge the element on every session."""
    charging = {"price_components": [component()]}
    booking = {"price_components": [component(type="FLAT")], "restrictions": {"booking": "BOOKING"}}

    assert (tariff_out(tariff(charging, booking), STRICT) or {})["elements"] == [charging]
    assert tariff_out(tariff(booking), STRICT) is None
    assert (tariff_out(tariff(booking), NEWEST) or {})["elements"] == [booking]


def test_limits_of_a_tariff_are_prices_in_2_2_1() -> None:
    """Checklist 87."""
    written = tariff_out(
        tariff(min_price={"before_taxes": 1, "after_taxes": 1.19}, max_price={"before_taxes": 9}), STRICT
    )

    assert written is not None
    assert (written["min_price"], written["max_price"]) == (
        {"excl_vat": 1, "incl_vat": 1.19},
        {"excl_vat": 9},
    )


def cdr(**changes: Any) -> dict[str, Any]:
    return {
        "id": "C",
        "booking_id": "B",
        "cdr_token": {"uid": "DE8AA1A2B3C4D5", "type": "EMAID"},
        "cdr_location": {"id": "L", "address": "A" * 60},
        "tariffs": [tariff()],
        "charging_periods": [
            {"start_date_time": "2030-01-15T08:00:00Z", "dimensions": [{"type": "RESERVATION_EXPIRES", "volume": 1}]}
        ],
        "total_cost": {"before_taxes": 10, "taxes": [{"name": "VAT", "amount": 1.9}]},
        "total_energy": 0,
        **changes,
    }  # fmt: skip


def test_a_cdr_has_the_same_total_in_2_2_1_and_no_word_of_bookings() -> None:
    """Checklist 87, 82: without the extensions the expired booking is reservation time; a credit keeps its sign."""
    written = cdr_out(
        cdr(total_cost={"before_taxes": -10, "taxes": [{"name": "VAT", "amount": -1.9}]}), STRICT
    )

    assert written["total_cost"] == {"excl_vat": -10, "incl_vat": -11.9}
    assert written["charging_periods"][0]["dimensions"] == [{"type": "RESERVATION_TIME", "volume": 1}]
    assert "booking_id" not in written
    assert "tax_included" not in written["tariffs"][0]


def test_a_partner_with_the_extensions_gets_booking_and_dimensions_of_its_cdrs() -> None:
    """Checklist 82."""
    written = cdr_out(cdr(), NEWEST)

    assert written["booking_id"] == "B"
    assert written["charging_periods"][0]["dimensions"][0]["type"] == "RESERVATION_EXPIRES"


def test_what_is_longer_than_2_2_1_has_room_for_is_cut_but_for_what_was_signed() -> None:
    """ocpi.md 5.11: the longer fields are edition 2's."""
    signed = [{"plain_data": "x" * length, "signed_data": "y" * 5000} for length in (512, 513)]

    written = cdr_out(cdr(signed_data={"encoding_method": "OCMF", "signed_values": signed}), NEWEST)

    assert written["cdr_location"] == {"id": "L", "address": "A" * 45}
    values = written["signed_data"]["signed_values"]
    assert [(len(v["plain_data"]), len(v["signed_data"])) for v in values] == [(512, 5000), (0, 5000)]


def test_a_contract_is_no_kind_of_token_in_2_2_1() -> None:
    assert cdr_out(cdr(), NEWEST)["cdr_token"]["type"] == "OTHER"
    assert as_2_2_1({"type": "RFID"}) == {"type": "RFID"}


def evse(*standards: str, **changes: Any) -> dict[str, Any]:
    plugs = [{"id": str(n), "standard": s, "capabilities": ["X"]} for n, s in enumerate(standards, 1)]
    return {"uid": "E", "connectors": plugs, "parking": [{"parking_id": "P"}], **changes}


def location(*evses: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "L",
        "address": "A" * 60,
        "parking_places": [{"id": "P"}],
        "help_phone": "1",
        "evses": list(evses),
    }


def test_fields_of_2_3_0_follow_the_switch_on_2_2_1() -> None:
    """Checklist 79: parking places, the bays of EVSEs and what connectors can do."""
    plain = location_out(
        location(evse("MCS", capabilities=["RFID_READER", "NEWER"])), Style(shows_extensions=False)
    )
    full = location_out(location(evse("MCS")), NEWEST)

    assert plain == {
        "id": "L", "address": "A" * 45,
        "evses": [{"uid": "E", "connectors": [{"id": "1", "standard": "MCS"}], "capabilities": ["RFID_READER"]}],
    }  # fmt: skip
    assert full["parking_places"] == [{"id": "P"}]
    assert full["evses"][0]["parking"] == [{"parking_id": "P"}]


def test_a_connector_that_2_2_1_has_no_name_for_is_hidden_and_never_disguised() -> None:
    """Checklist 79: with its EVSE where nothing else is left of it."""
    hidden = location_out(location(evse("MCS"), evse("MCS", "IEC_62196_T2_COMBO")), STRICT)

    assert [[plug["standard"] for plug in each["connectors"]] for each in hidden["evses"]] == [
        ["IEC_62196_T2_COMBO"]
    ]
