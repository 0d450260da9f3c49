"""Whose VAT a sale of charging bears. Pure; decision 68 has the reasons and the sources.

Charging a vehicle, with the booking of the place and all else around it, is one supply of electricity, that is of goods
(CJEU C-282/22 and C-60/23). Articles are those of Directive 2006/112/EC.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Final

from bookings.billing.identifiers import EU, vat_country

# Countries that levy the VAT of a neighbour: Monaco (article 7), the Isle of Man, Liechtenstein (customs union).
VAT_TERRITORY: Final = {"MC": "FR", "IM": "GB", "LI": "CH"}


class VatCategory(StrEnum):
    """How an amount is taxed, in the codes of EN 16931 (BT-118, BT-151)."""

    STANDARD = "S"
    ZERO = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    OUTSIDE_SCOPE = "O"


@dataclass(frozen=True)
class Vat:
    """The VAT of one amount: `rate` in percent, above zero for STANDARD alone; `reason` is said where none is due."""

    category: VatCategory
    rate: Decimal = Decimal(0)
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.category == VatCategory.STANDARD) != (self.rate > 0):
            raise ValueError(f"VAT category {self.category} with a rate of {self.rate} %")


EXEMPT: Final = Vat(VatCategory.EXEMPT, reason="Exempt from VAT.")
REVERSE_CHARGE: Final = Vat(
    VatCategory.REVERSE_CHARGE,
    reason="Reverse charge: the recipient is liable for the VAT (Articles 38, 39, 195 and 199a of Directive 2006/112/EC).",
)
OUTSIDE_SCOPE: Final = Vat(
    VatCategory.OUTSIDE_SCOPE,
    reason="Not subject to VAT here: the place of supply is outside the European Union (Article 38 of Directive 2006/112/EC).",
)
NOT_SUBJECT: Final = Vat(VatCategory.OUTSIDE_SCOPE, reason="Not subject to VAT.")


class VatTreatment(Enum):
    """What becomes of the rates that a tariff states."""

    TARIFF_RATES = "tariff_rates"
    REVERSE_CHARGE = "reverse_charge"
    OUTSIDE_SCOPE = "outside_scope"

    def vat_of(self, rate: Decimal | None, *, seller_vat_id: str) -> Vat:
        """The VAT of an amount priced with `rate` percent; None is a tariff that states no VAT.

        Where the tariff's rates count, no rate is an exemption, or no subject of VAT for a seller without a VAT id.
        """
        if self is VatTreatment.REVERSE_CHARGE:
            return REVERSE_CHARGE
        if self is VatTreatment.OUTSIDE_SCOPE:
            return OUTSIDE_SCOPE
        if rate is None:
            return EXEMPT if seller_vat_id else NOT_SUBJECT
        return Vat(VatCategory.STANDARD, rate) if rate else Vat(VatCategory.ZERO)


@dataclass(frozen=True)
class Supply:
    """Who sells charging to whom, and where the chargers stand. Countries are ISO 3166 alpha-2.

    `to_reseller`: the buyer is a taxable dealer, who buys to sell on (a partner network); a fleet that drives on what it
    charges is none. `reverse_charge_between_resellers`: the country of both leaves the VAT to a reseller within it
    (article 199a(1)(e): Germany and Austria do, others do not).
    """

    seller_country: str
    charger_country: str
    buyer_country: str
    buyer_vat_id: str = ""
    to_reseller: bool = False
    reverse_charge_between_resellers: bool = False


def treatment(supply: Supply) -> VatTreatment:
    """How a supply is taxed. Raises VatIdInvalid for a VAT id that is none.

    Taxed where the reseller resides (article 38) or where the vehicle charges (article 39). There the seller owes it,
    at the tariff's rates, if it resides there or the buyer has no VAT id of that country; else the buyer (article 195).
    """
    identified_in = vat_country(supply.buyer_vat_id) if supply.buyer_vat_id else ""
    seller, place = _territory(supply.seller_country), _territory(supply.charger_country)
    if supply.to_reseller and identified_in:
        place = _territory(supply.buyer_country)
        if place not in EU and place != seller:
            return VatTreatment.OUTSIDE_SCOPE
        if place == seller and supply.reverse_charge_between_resellers:
            return VatTreatment.REVERSE_CHARGE
    if place in EU and place != seller and identified_in == place:
        return VatTreatment.REVERSE_CHARGE
    return VatTreatment.TARIFF_RATES


def _territory(country: str) -> str:
    return VAT_TERRITORY.get(country, country)
