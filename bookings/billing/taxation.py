"""The VAT of an invoice: on the sum of what its records cost before taxes, by category and rate (EN 16931 BG-23)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bookings.billing.documents.document import cents
from bookings.billing.parties import Party, vat_treatment
from bookings.billing.unbilled import Sums
from bookings.billing.vat import Vat, VatCategory


@dataclass(frozen=True)
class TaxedPart:
    """What all parts of one category and rate come to."""

    vat: Vat
    before_taxes: Decimal

    @property
    def taxes(self) -> Decimal:
        return cents(self.before_taxes * self.vat.rate / 100)

    def to_json(self) -> dict[str, str]:
        """As `Invoice.tax_breakdown` has it."""
        return {
            "category": self.vat.category.value, "rate": f"{self.vat.rate.normalize():f}",
            "before_taxes": str(self.before_taxes), "taxes": str(self.taxes), "note": self.vat.reason,
        }  # fmt: skip

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> TaxedPart:
        vat = Vat(VatCategory(told["category"]), Decimal(told["rate"]), told["note"])
        return cls(vat, Decimal(told["before_taxes"]))


@dataclass(frozen=True)
class Taxation:
    """The highest rate first."""

    parts: tuple[TaxedPart, ...]

    @property
    def before_taxes(self) -> Decimal:
        return sum((part.before_taxes for part in self.parts), Decimal("0.00"))

    @property
    def taxes(self) -> Decimal:
        return sum((part.taxes for part in self.parts), Decimal("0.00"))

    @property
    def total(self) -> Decimal:
        return self.before_taxes + self.taxes

    def to_json(self) -> list[dict[str, str]]:
        return [part.to_json() for part in self.parts]

    @classmethod
    def from_json(cls, told: Iterable[Mapping[str, Any]]) -> Taxation:
        return cls(tuple(TaxedPart.from_json(part) for part in told))


def taxation(sums: Sums, *, seller: Party, buyer: Party) -> Taxation:
    """Of what is on one document; of a credit note as positive amounts. Raises VatIdInvalid.

    Before taxes it is what its records are before taxes, to the cent: each side can add up its own copies of them. Where
    their parts by rate make something else, by parts of a cent, the largest takes up the difference.
    """
    sign = -1 if sums.key.corrects_id is not None else 1
    bases: dict[Vat, Decimal] = {}
    for (country, rate), net in (sums.nets or {("", None): Decimal(0)}).items():
        vat = vat_treatment(seller, buyer, country).vat_of(rate, seller_vat_id=seller.vat_id)
        bases[vat] = bases.get(vat, Decimal(0)) + sign * net
    rounded = {vat: cents(base) for vat, base in bases.items()}
    largest = max(rounded, key=lambda vat: (rounded[vat], vat.rate))
    rounded[largest] += cents(sign * sums.before_taxes) - sum(rounded.values())
    ordered = sorted(rounded.items(), key=lambda part: (-part[0].rate, part[0].category))
    return Taxation(tuple(TaxedPart(vat, base) for vat, base in ordered))
