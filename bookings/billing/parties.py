"""The two sides of an invoice as they stand when it is issued: kept in `Invoice.parties`, and named by its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import pycountry

from bookings.billing.errors import VatIdInvalid
from bookings.billing.identifiers import checked_vat_id
from bookings.billing.vat import Supply, VatTreatment, treatment
from depots.models import Organisation

# Their law leaves the VAT between two resellers to the buyer (article 199a(1)(e)).
_REVERSE_BETWEEN_RESELLERS = {"DE", "AT"}


@dataclass(frozen=True)
class Party:
    """As depots.models.Organisation; `country` in three letters, `reference` its OCPI party or number here."""

    organisation_id: int
    name: str
    legal_name: str
    address: str
    postal_code: str
    city: str
    country: str
    vat_id: str
    iban: str
    billing_email: str
    is_partner: bool
    reference: str

    @classmethod
    def of(cls, organisation: Organisation) -> Party:
        copied = (
            "name",
            "legal_name",
            "address",
            "postal_code",
            "city",
            "country",
            "vat_id",
            "iban",
            "billing_email",
        )
        told: dict[str, Any] = {name: getattr(organisation, name) for name in copied}
        reference = organisation.cpo_party or organisation.emsp_party or f"Berth {organisation.pk}"
        return cls(organisation.pk, is_partner=organisation.is_partner, reference=reference, **told)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Party:
        return cls(**told)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def faults(self, *, as_supplier: bool) -> dict[str, str]:
        """A sentence for each field that an invoice must name and does not, or names wrongly."""
        needed = {"legal_name": "legal name", "address": "address", "city": "town", "country": "country"}
        if as_supplier:
            needed |= {"vat_id": "VAT id", "iban": "IBAN"}
        found = {
            name: f"The {words} of {self.name} is missing."
            for name, words in needed.items()
            if not getattr(self, name)
        }
        try:
            if self.vat_id:
                checked_vat_id(self.vat_id)
        except VatIdInvalid as refusal:
            found["vat_id"] = str(refusal)
        return found


def vat_treatment(seller: Party, buyer: Party, charger_country: str) -> VatTreatment:
    """Of what is charged in a country, in three letters."""
    seller_country = alpha_2(seller.country)
    return treatment(
        Supply(
            seller_country=seller_country,
            charger_country=alpha_2(charger_country) or seller_country,
            buyer_country=alpha_2(buyer.country),
            buyer_vat_id=buyer.vat_id,
            to_reseller=buyer.is_partner,
            reverse_charge_between_resellers=seller_country in _REVERSE_BETWEEN_RESELLERS,
        )
    )


@cache
def alpha_2(country: str) -> str:
    """`DE` of `DEU`; empty where there is none of these three letters."""
    found = pycountry.countries.get(alpha_3=country) if country else None
    return str(found.alpha_2) if found else ""
