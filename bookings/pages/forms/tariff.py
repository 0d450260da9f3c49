"""A tariff as people fill it in: what is said of the whole, and a card for each element, of which the first that holds counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import RegexValidator
from django.http import QueryDict

from bookings.models import Tariff
from bookings.pages.forms.tariff_element import USES, ElementForm, day_field, element_row, number_field
from bookings.pricing.tariff_checks import TariffFault
from bookings.pricing.tariff_content import PriceLimit, TariffContent, TariffElement, TaxIncluded
from bookings.rules.tariff_bindings import Owner

MOST_ELEMENTS = 50
_LIMITS = ("min_price", "min_price_with_vat", "max_price", "max_price_with_vat")
TAXES = [
    (TaxIncluded.NO, "On top"),
    (TaxIncluded.YES, "Included"),
    (TaxIncluded.NOT_APPLICABLE, "None due"),
]
# Of each dimension the field of its price; `_vat` and `_step` stand beside it.


class TariffForm(forms.Form):
    """What is said of the whole tariff; its elements are forms of their own in `elements`."""

    name = forms.CharField(label="Name", max_length=100)
    code = forms.CharField(
        label="Id", max_length=36, help_text="Partners see it. It stays.", validators=[RegexValidator(
            r"^[A-Za-z0-9._~*@+:-]+$", "Letters, digits and . _ ~ * @ + : - only.")],
    )  # fmt: skip
    currency = forms.RegexField(r"^[A-Z]{3}$", label="Currency", initial="EUR", strip=True)
    vat = number_field("VAT, %", places=2, most=100)
    tax_included = forms.ChoiceField(label="VAT is", choices=TAXES, initial=TaxIncluded.NO)
    min_price = number_field("A visit costs at least")
    min_price_with_vat = number_field("At least, with VAT", help_text="blank: as the VAT makes it")
    max_price = number_field("A visit costs at most")
    max_price_with_vat = number_field("At most, with VAT", help_text="blank: as the VAT makes it")
    starts_on = day_field("Holds from", "blank: from now on")
    ends_on = day_field("Until the end of", "blank: until it is changed")

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        tariff: Tariff | None = None,
        kind: str,
        initial: dict[str, Any] | None = None,
        rows: Sequence[Mapping[str, Any]] = (),
        zone: ZoneInfo,
    ) -> None:
        super().__init__(data, initial=initial)
        self.kind, self.zone = kind, zone
        if kind == Tariff.Kind.BOOKING:
            for name in _LIMITS:
                del self.fields[name]
        if tariff is not None:
            del self.fields["code"]
            self.fields["name"].required = False
        count = _count(data) if data is not None else len(rows)
        self.elements = [
            ElementForm(
                data, kind=kind, prefix=f"e{number}", initial=None if data is not None else rows[number]
            )
            for number in range(count)
        ]

    def is_valid(self) -> bool:
        return all([super().is_valid(), *(element.is_valid() for element in self.elements)])

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        for name in ("min_price", "max_price"):
            if (
                given.get(f"{name}_with_vat") is not None
                and given.get(name) is None
                and name not in self.errors
            ):
                self.add_error(name, "Fill it in before VAT too.")
        return given

    @property
    def head(self) -> list[forms.BoundField]:
        return [
            self[name] for name in ("name", "code", "currency", "vat", "tax_included") if name in self.fields
        ]

    @property
    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in _LIMITS if name in self.fields]

    def content(self) -> TariffContent | None:
        """What is filled in so far: elements that can be read, in a currency that can; None without any."""
        self.is_valid()
        given = getattr(self, "cleaned_data", {})
        read = [element for element in self.elements if not element.errors]
        if "currency" not in given or not read:
            return None
        return TariffContent(
            currency=given["currency"],
            elements=tuple(element.element(given.get("vat")) for element in read),
            min_price=_limit(given, "min_price"),
            max_price=_limit(given, "max_price"),
            tax_included=TaxIncluded(given.get("tax_included") or TaxIncluded.NO),
        )

    def since(self, name: str) -> datetime | None:
        """Midnight of that day; of the last one its end."""
        day: date | None = self.cleaned_data.get(name)
        if day is None:
            return None
        day += timedelta(days=name == "ends_on")
        return datetime.combine(day, time(), self.zone)

    def add_faults(self, faults: Sequence[TariffFault], content: TariffContent) -> None:
        for fault in faults:
            if fault.element is not None and fault.element < len(self.elements):
                self.elements[fault.element].add_fault(fault, content.elements[fault.element])
                continue
            name = {"ends_at": "ends_on"}.get(fault.field, fault.field)
            text = fault.text if fault.field != "bind" else f"A place {fault.text}"
            self.add_error(name if name in self.fields else None, f"{text[:1].upper()}{text[1:]}.")


def limits_of(content: TariffContent) -> dict[str, Decimal | None]:
    """The least and greatest price as the form shows them."""
    found: dict[str, Decimal | None] = {}
    for name, limit in (("min_price", content.min_price), ("max_price", content.max_price)):
        if limit is not None:
            found |= {name: limit.before_taxes, f"{name}_with_vat": limit.after_taxes}
    return found


def rows_of(content: TariffContent) -> list[dict[str, Any]]:
    """Elements as the form shows them, a card for each rate of VAT in one: each price is looked up by itself anyway."""
    vat = common_vat(content)
    return [element_row(part, vat) for element in content.elements for part in _by_vat(element)]


def _by_vat(element: TariffElement) -> Iterator[TariffElement]:
    for rate in dict.fromkeys(component.vat for component in element.components):
        yield replace(element, components=tuple(each for each in element.components if each.vat == rate))


def common_vat(content: TariffContent) -> Decimal | None:
    """The rate of most prices."""
    rates = [c.vat for element in content.elements for c in element.components if c.vat is not None]
    return max(set(rates), key=rates.count, default=None)


def typed_rows(data: QueryDict) -> list[dict[str, Any]]:
    """Elements as they were sent, whether they can be read or not, to be moved about."""
    names = [*ElementForm.base_fields]
    found = []
    for number in range(_count(data)):
        row: dict[str, Any] = {name: data.get(f"e{number}-{name}", "") for name in names}
        row["weekdays"] = data.getlist(f"e{number}-weekdays")
        found.append(row)
    return found


def renumbered(data: QueryDict, rows: Sequence[Mapping[str, Any]]) -> QueryDict:
    """What was sent with its elements in another order."""
    found = QueryDict(mutable=True)
    for name, values in data.lists():
        if not name.startswith("e") or "-" not in name:
            found.setlist(name, values)
    found["elements"] = str(len(rows))
    for number, row in enumerate(rows):
        for name, value in row.items():
            found.setlist(f"e{number}-{name}", value if isinstance(value, list) else [value])
    return found


def moved_rows(rows: list[dict[str, Any]], act: str, *, kind: str) -> list[dict[str, Any]]:
    """After a button of the form: "add", "remove-2", "up-2", "down-2"; any other leaves them as they are."""
    verb, _, which = act.partition("-")
    number = next((n for n in range(len(rows)) if str(n) == which), None)
    if verb == "add" and len(rows) < MOST_ELEMENTS:
        return [*rows, {"use": USES[kind][0][0]}]
    if number is None:
        return rows
    if verb == "remove":
        return rows[:number] + rows[number + 1 :]
    other = number + {"up": -1, "down": 1}.get(verb, 0)
    if 0 <= other < len(rows):
        rows = list(rows)
        rows[number], rows[other] = rows[other], rows[number]
    return rows


def owners_in(data: QueryDict) -> Iterator[Owner]:
    """What is ticked, such as `depot:3`."""
    for text in data.getlist("bind"):
        kind, _, pk = text.partition(":")
        if (
            kind in {"depot", "option", "evse", "agreement"}
            and pk.isascii()
            and pk.isdigit()
            and len(pk) < 18
        ):
            yield Owner(kind, int(pk))


def _count(data: QueryDict) -> int:
    text = data.get("elements", "")
    return min(int(text), MOST_ELEMENTS) if text.isascii() and text.isdigit() and len(text) < 4 else 0


def _limit(given: Mapping[str, Any], name: str) -> PriceLimit | None:
    amount = given.get(name)
    return None if amount is None else PriceLimit(amount, given.get(f"{name}_with_vat"))
