from decimal import Decimal

import pytest

from bookings.billing.errors import VatIdInvalid
from bookings.billing.vat import (
    EXEMPT,
    NOT_SUBJECT,
    Supply,
    Vat,
    VatCategory,
    VatTreatment,
    treatment,
)

GERMAN, DUTCH, SWISS = "DE136695976", "NL123456789B13", "CHE107787577MWST"
AT_RATES, REVERSE, OUTSIDE = (
    VatTreatment.TARIFF_RATES,
    VatTreatment.REVERSE_CHARGE,
    VatTreatment.OUTSIDE_SCOPE,
)


def supply(
    buyer: str, vat_id: str = "", *, seller: str = "DE", charger: str = "DE", **further: bool
) -> Supply:
    return Supply(
        seller_country=seller, charger_country=charger, buyer_country=buyer, buyer_vat_id=vat_id, **further
    )


@pytest.mark.parametrize(
    ("sold", "expected"),
    [
        pytest.param(supply("DE", GERMAN), AT_RATES, id="fleet at home"),
        pytest.param(supply("NL", DUTCH), AT_RATES, id="a foreign fleet charges where the seller resides"),
        pytest.param(supply("NL", DUTCH, charger="NL"), REVERSE, id="article 195 for a fleet of that country"),
        pytest.param(supply("NL", charger="NL"), AT_RATES, id="without VAT id the seller owes the charger's VAT"),
        pytest.param(supply("FR", GERMAN, seller="NL"), REVERSE, id="the VAT id of the charger's country counts"),
        pytest.param(supply("NL", DUTCH, to_reseller=True), REVERSE, id="article 38: a reseller in the EU"),
        pytest.param(supply("NL", to_reseller=True), AT_RATES, id="a reseller that proves nothing"),
        pytest.param(supply("CH", SWISS, to_reseller=True), OUTSIDE, id="a reseller outside the EU"),
        pytest.param(supply("LI", SWISS, seller="CH", charger="CH", to_reseller=True), AT_RATES, id="Liechtenstein"),
        pytest.param(supply("CH", SWISS), AT_RATES, id="a Swiss fleet charges in Germany"),
        pytest.param(supply("DE", GERMAN, to_reseller=True), AT_RATES, id="a reseller at home"),
        pytest.param(
            supply("DE", GERMAN, to_reseller=True, reverse_charge_between_resellers=True), REVERSE, id="199a(1)(e)"
        ),
        pytest.param(
            supply("DE", GERMAN, reverse_charge_between_resellers=True), AT_RATES, id="199a is for resellers alone"
        ),
    ],
)  # fmt: skip
def test_vat_is_due_where_the_reseller_resides_or_the_vehicle_charges(sold, expected):
    assert treatment(sold) is expected


def test_a_vat_id_that_is_none_never_makes_a_reverse_charge():
    with pytest.raises(VatIdInvalid):
        treatment(supply("NL", "NL123456789B12", to_reseller=True))


@pytest.mark.parametrize(
    ("rate", "seller_vat_id", "expected"),
    [
        (Decimal(19), GERMAN, Vat(VatCategory.STANDARD, Decimal(19))),
        (Decimal(0), GERMAN, Vat(VatCategory.ZERO)),
        (None, GERMAN, EXEMPT),
        (None, "", NOT_SUBJECT),
    ],
)
def test_where_the_tariffs_rates_count_no_rate_is_an_exemption(rate, seller_vat_id, expected):
    assert AT_RATES.vat_of(rate, seller_vat_id=seller_vat_id) == expected


@pytest.mark.parametrize("treated", [REVERSE, OUTSIDE])
def test_where_they_do_not_no_rate_is_left_and_the_reason_is_said(treated):
    vat = treated.vat_of(Decimal(19), seller_vat_id=GERMAN)

    assert vat.rate == 0
    assert "Directive 2006/112/EC" in vat.reason
