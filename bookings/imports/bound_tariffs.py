"""Tariffs in files, in OCPI's names, with `bind`: whose they are and where they hold (docs/operators/tariffs.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from django.db.models.functions import Upper
from pydantic import BeforeValidator, Field, model_validator

from bookings.imports.tariff_schemas import Fault, Moment, OcpiRow, TariffRow
from bookings.models import BookingOption
from bookings.operations.tariffs import TariffDraft
from bookings.pricing.tariff_checks import TariffFault
from bookings.rules.agreements import guest_called
from bookings.rules.tariff_bindings import Owner
from depots.imports.documents import FieldPath
from depots.imports.fields import FileRow
from depots.imports.schemas import folded
from depots.models import Agreement, Depot, Evse, Organisation
from depots.parties import UnknownOrganisationError

Name = Annotated[str, Field(min_length=1, max_length=100)]


class AgreementRow(FileRow):
    depot: Name
    to: Name


class BindRow(FileRow):
    """One of them."""

    depot: Name | None = None
    option: Name | None = None
    evse: Name | None = None
    agreement: AgreementRow | None = None

    @model_validator(mode="after")
    def _names_one(self) -> BindRow:
        if len(self.model_fields_set) != 1 or None in self.model_dump(exclude_unset=True).values():
            raise ValueError("names one of depot, option, evse and agreement")
        return self


class AltTextRow(OcpiRow):
    text: str
    language: str = ""


class BoundTariffRow(TariffRow):
    """A tariff as partners exchange them. Whose it is: the party's, else whoever's it is bound to."""

    id: Annotated[str, Field(min_length=1, max_length=36, pattern=r"^[!-~]+$")]
    country_code: Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")] | None = None
    party_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{3}$")] | None = None
    tariff_alt_text: list[AltTextRow] = []
    start_date_time: Moment | None = None
    end_date_time: Moment | None = None
    bind: Annotated[
        list[BindRow] | None, BeforeValidator(lambda given: [given] if isinstance(given, dict) else given)
    ] = None

    @property
    def name(self) -> str:
        """The English text where there is one."""
        texts = sorted(self.tariff_alt_text, key=lambda row: row.language.lower() != "en")
        return texts[0].text[:100] if texts else ""

    def draft(
        self, operator: Organisation, source: dict[str, Any] | None, bind_to: tuple[Owner, ...] | None = None
    ) -> TariffDraft:
        return TariffDraft(
            operator=operator,
            code=self.id,
            content=self.content(),
            name=self.name,
            starts_at=self.start_date_time,
            ends_at=self.end_date_time,
            bind_to=bind_to,
            source=source,
        )


@dataclass(frozen=True)
class Named:
    """What a `bind` names: the owner, and whose depot it is of."""

    owner: Owner
    depot: Depot

    @property
    def operator(self) -> Organisation:
        return self.depot.operator


class OwnersByName:
    """All that some tariffs are bound to, found in a query a kind."""

    def __init__(self, rows: Iterable[BindRow]) -> None:
        rows = list(rows)
        depots = {row.depot for row in rows} | {row.agreement.depot for row in rows if row.agreement}
        self._depots = _by_name(
            Depot.objects.filter(is_mirror=False).select_related("operator"), "code", depots
        )
        options = BookingOption.objects.filter(is_mirror=False, is_withdrawn=False)
        evses = Evse.objects.filter(charger__isnull=False, is_withdrawn=False)
        self._of_depots: dict[str, dict[str, Any]] = {
            "option": _by_name(
                options.select_related("depot__operator"), "code", {row.option for row in rows}
            ),
            "evse": _by_name(evses.select_related("depot__operator"), "uid", {row.evse for row in rows}),
        }
        agreements = Agreement.objects.filter(depot__in=[depot.pk for depot in self._depots.values()])
        self._agreements = {(row.depot_id, row.guest_id): row for row in agreements}

    def find(self, row: BindRow) -> Named | str:
        """What it names, or what is wrong with it."""
        if row.agreement is not None:
            return self._agreement(row.agreement)
        if row.depot is not None:
            depot = self._depots.get(folded(row.depot))
            return _named("depot", depot.pk, depot) if depot else f"{row.depot} is no depot here"
        kind, name = ("option", row.option) if row.option is not None else ("evse", row.evse)
        found = self._of_depots[kind].get(folded(name or ""))
        words = "booking option" if kind == "option" else "EVSE"
        return _named(kind, found.pk, found.depot) if found else f"{name} is no {words} here"

    def _agreement(self, row: AgreementRow) -> Named | str:
        depot = self._depots.get(folded(row.depot))
        if depot is None:
            return f"{row.depot} is no depot here"
        try:
            guest = guest_called(row.to)
        except UnknownOrganisationError as unknown:
            return str(unknown).rstrip(".")
        agreement = self._agreements.get((depot.pk, guest.pk if guest else None))
        if agreement is None:
            return f"{depot.code} is not open to {row.to}"
        return _named("agreement", agreement.pk, depot)


def operator_of(row: BoundTariffRow, named: Sequence[Named | str]) -> Organisation | Fault:
    """Whose tariff it is, or what is wrong about it."""
    if row.country_code is not None and row.party_id is not None:
        found = Organisation.objects.filter(
            country_code__iexact=row.country_code, cpo_party_id__iexact=row.party_id, is_partner=False
        )
        return found.first() or (
            ("party_id",),
            f"{row.country_code}*{row.party_id} is no depot operator here",
        )
    bound = next((one for one in named if isinstance(one, Named)), None)
    return bound.operator if bound else (("party_id",), "is missing: whose tariff is it")


def field_path(fault: TariffFault) -> FieldPath:
    """Where a fault of a tariff lies in OCPI's names."""
    if fault.field in _OF_THE_WHOLE:
        return (_OF_THE_WHOLE[fault.field],)
    if fault.field == "bind":
        return ("bind", fault.component or 0)
    element: FieldPath = ("elements", fault.element or 0)
    if fault.component is not None:
        return (*element, "price_components", fault.component, _OF_COMPONENTS.get(fault.field, fault.field))
    if fault.field in {"components", "restrictions"}:
        return (*element, _OF_COMPONENTS.get(fault.field, fault.field))
    return (*element, "restrictions", _OF_RESTRICTIONS.get(fault.field, fault.field))


_OF_THE_WHOLE = {
    "currency": "currency",
    "elements": "elements",
    "min_price": "min_price",
    "max_price": "max_price",
    "code": "id",
    "ends_at": "end_date_time",
}
_OF_COMPONENTS = {"dimension": "type", "step": "step_size", "components": "price_components"}
_OF_RESTRICTIONS = {
    "use": "booking",
    "min_power_kw": "min_power",
    "max_power_kw": "max_power",
    "min_current_a": "min_current",
    "max_current_a": "max_current",
    "min_duration_s": "min_duration",
    "max_duration_s": "max_duration",
}


def bind_faults(named: Sequence[Named | str], operator: Organisation) -> Iterator[Fault]:
    """What names nothing here, or something of somebody else's."""
    for position, one in enumerate(named):
        if isinstance(one, str):
            yield ("bind", position), one
        elif one.operator.pk != operator.pk:
            yield ("bind", position), f"is not of {operator}"


def _named(kind: str, pk: int, depot: Depot) -> Named:
    return Named(Owner(kind, pk), depot)


def _by_name(rows: Any, column: str, names: Iterable[str | None]) -> dict[str, Any]:
    keys = {folded(name) for name in names if name}
    return (
        {getattr(row, column).upper(): row for row in rows.annotate(key=Upper(column)).filter(key__in=keys)}
        if keys
        else {}
    )
