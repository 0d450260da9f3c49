"""What bookings add to a depot file, and the vehicle file. docs/operators/depot-file.md lists the fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bookings.imports.access_rules import AccessRow, access_faults
from bookings.imports.bound_tariffs import BoundTariffRow
from bookings.rules.charge_curve import read_curve
from bookings.rules.terms import LIMITS, Overstay, PowerOrder, Terms, WalkIn, impossible
from bookings.rules.vehicle_library import model_called
from depots.imports.documents import FieldPath
from depots.imports.fields import Centimetres, FileRow, Text, one_of
from depots.imports.schemas import (
    ChargerRow,
    ConnectorStandard,
    DepotRow,
    EvseRow,
    Id,
    Kilograms,
    Kilowatts,
    VehicleType,
    folded,
    physical_faults,
)
from depots.name_keys import name_key
from depots.token_numbers import fault, normalise

Price = Annotated[float, Field(ge=0, le=9999, allow_inf_nan=False)]
Fee = Annotated[float, Field(ge=0, le=99_999, allow_inf_nan=False)]


def _within(name: str) -> Any:
    """What `bookings.rules.terms.LIMITS` says a term may be."""
    return Field(ge=LIMITS[name].least, le=LIMITS[name].most)


class TermsRow(FileRow):
    """The fields of bookings.rules.terms.Terms; one that is not given is inherited."""

    approval: bool | None = None
    decision_min: Annotated[int, _within("decision_min")] | None = None
    arm_lead_min: Annotated[int, _within("arm_lead_min")] | None = None
    slot_step_min: Annotated[int, _within("slot_step_min")] | None = None
    early_start_min: Annotated[int, _within("early_start_min")] | None = None
    late_stop_min: Annotated[int, _within("late_stop_min")] | None = None
    turnaround_min: Annotated[int, _within("turnaround_min")] | None = None
    no_show_min: Annotated[int, _within("no_show_min")] | None = None
    change_until_min: Annotated[int, _within("change_until_min")] | None = None
    cancel_until_min: Annotated[int, _within("cancel_until_min")] | None = None
    min_duration_min: Annotated[int, _within("min_duration_min")] | None = None
    max_duration_min: Annotated[int, _within("max_duration_min")] | None = None
    lead_min: Annotated[int, _within("lead_min")] | None = None
    horizon_days: Annotated[int, _within("horizon_days")] | None = None
    overlapping_tokens: bool | None = None
    walk_in: Annotated[str, one_of(WalkIn.values)] | None = None
    max_promise_kw: Annotated[int, _within("max_promise_kw")] | None = None
    max_open_bookings: Annotated[int, _within("max_open_bookings")] | None = None
    max_unused_holds: Annotated[int, _within("max_unused_holds")] | None = None
    hold_min: Annotated[int, _within("hold_min")] | None = None
    offer_min: Annotated[int, _within("offer_min")] | None = None
    late_cancel: bool | None = None
    end_warning_min: Annotated[int, _within("end_warning_min")] | None = None
    overstay: Annotated[str, one_of(Overstay.values)] | None = None
    overstay_min: Annotated[int, _within("overstay_min")] | None = None
    power_order: Annotated[str, one_of(PowerOrder.values)] | None = None


class ShortTariffRow(FileRow):
    """Prices without VAT: what most depots have, without OCPI's words."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    energy_per_kwh: Price = 0
    time_per_hour: Price = 0
    booking_fee: Fee = 0
    no_show_fee: Fee = 0
    late_cancel_fee: Fee = 0
    vat_percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0


TariffIds = list[Annotated[str, Field(min_length=1, max_length=36)]]


class OfferedEvseRow(EvseRow):
    """`terms` and `tariff` are those of the EVSE's own booking option; `tariff_ids` hold at the EVSE itself."""

    terms: TermsRow = TermsRow()
    tariff: ShortTariffRow | None = None
    tariff_ids: TariffIds = []


class OfferedChargerRow(ChargerRow):
    evses: Annotated[list[OfferedEvseRow], Field(min_length=1)]


class OptionRow(FileRow):
    id: Id
    name: Annotated[Text, Field(max_length=100)] = ""
    evses: Annotated[list[Id], Field(min_length=1)]
    terms: TermsRow = TermsRow()
    tariff: ShortTariffRow | None = None
    tariff_ids: TariffIds = []


class OfferedDepotRow(DepotRow):
    """Without `options` each EVSE is an option of its own; with them, what is listed is what can be booked."""

    chargers: list[OfferedChargerRow] = []
    terms: TermsRow = TermsRow()
    tariff: ShortTariffRow | None = None
    tariffs: list[BoundTariffRow] = []
    tariff_ids: TariffIds = []
    options: list[OptionRow] | None = None
    open_to: list[Annotated[Text, Field(min_length=1, max_length=100)]] = []
    access: list[AccessRow] | None = None
    listed: bool | None = None

    def evses(self) -> list[OfferedEvseRow]:
        return [evse for charger in self.chargers for evse in charger.evses]

    def offered(self) -> list[OptionRow]:
        """The booking options of the depot, an EVSE's own terms and tariff in its own option."""
        if self.options is None:
            return [
                OptionRow(id=evse.uid, evses=[evse.uid], terms=evse.terms, tariff=evse.tariff)
                for evse in self.evses()
            ]
        own = {folded(evse.uid): evse for evse in self.evses()}
        return [_with_evse_terms(option, own) for option in self.options]


class DepotFile(FileRow):
    """`tariffs` are for all its depots of their operator."""

    depots: Annotated[list[OfferedDepotRow], Field(min_length=1)]
    tariffs: list[BoundTariffRow] = []


class TokenRow(FileRow):
    uid: Annotated[str, Field(min_length=1, max_length=36, pattern=r"^[!-~]+$")]
    type: Literal["RFID", "APP_USER", "EMAID", "MAC", "KEY_CODE", "OTHER"] = "RFID"
    contract_id: Annotated[str, Field(max_length=36, pattern=r"^[!-~]*$")] = ""
    label: Annotated[Text, Field(max_length=64)] = ""
    group: Annotated[Text, Field(max_length=36)] = ""
    either_byte_order: bool = False
    blocked: bool = False


def _readable_curve(text: str) -> str:
    read_curve(text)
    return text


def _known_model(name: str) -> str:
    if name and model_called(name) is None:
        raise ValueError("is no model that is known; docs/users/dispatcher.md says where they are listed")
    return name


class VehicleRow(FileRow):
    """What a `model` of the library settles need not be given; what is given goes before it."""

    plate: Annotated[Text, Field(min_length=1, max_length=20)]
    model: Annotated[Text, Field(max_length=80), AfterValidator(_known_model)] = ""
    vehicle_type: VehicleType = "SEMI_TRACTOR"
    length_cm: Centimetres | None = None
    width_cm: Centimetres | None = None
    height_cm: Centimetres | None = None
    weight_kg: Kilograms | None = None
    battery_kwh: Annotated[float, Field(ge=0.001, le=100_000, allow_inf_nan=False)] | None = None
    max_power_kw: Kilowatts | None = None
    charge_curve: Annotated[str, Field(max_length=400), AfterValidator(_readable_curve)] = ""
    connector_standards: list[ConnectorStandard] = []
    carries_dangerous_goods: bool = False
    needs_refrigeration: bool = False
    needs_drive_through: bool = False
    inlet_side: Literal["LEFT", "RIGHT", "FRONT", "REAR", ""] = ""
    retired: bool = False
    tokens: list[TokenRow] = []


class TrailerRow(FileRow):
    plate: Annotated[Text, Field(min_length=1, max_length=20)]
    adds_length_cm: Centimetres | None = None
    width_cm: Centimetres | None = None
    height_cm: Centimetres | None = None
    weight_kg: Kilograms | None = None
    carries_dangerous_goods: bool = False
    needs_refrigeration: bool = False
    needs_drive_through: bool = False
    retired: bool = False


class VehicleFile(FileRow):
    """`trailers` are those of the same fleet; a CSV file has none."""

    vehicles: Annotated[list[VehicleRow], Field(min_length=1)]
    trailers: list[TrailerRow] = []


def depot_faults(file: DepotFile) -> Iterator[tuple[FieldPath, str]]:
    """What no single field of a depot file shows."""
    yield from physical_faults(file.depots)
    yield from _options_twice(file)
    for d, depot in enumerate(file.depots):
        yield from _option_faults(("depots", d), depot)
        yield from access_faults(depot.access or (), ("depots", d, "access"))
        yield from _terms_faults(("depots", d), depot)


def vehicle_faults(file: VehicleFile) -> Iterator[tuple[FieldPath, str]]:
    """The same plate or the same card twice."""
    plates: set[str] = set()
    tokens: set[tuple[str, str]] = set()
    for v, vehicle in enumerate(file.vehicles):
        if name_key(vehicle.plate) in plates:
            yield ("vehicles", v, "plate"), f"{vehicle.plate} is there twice"
        plates.add(name_key(vehicle.plate))
        for t, token in enumerate(vehicle.tokens):
            key = (normalise(token.uid, token.type), token.type)
            if wrong := fault(token.uid, token.type, is_read_either_way=token.either_byte_order):
                yield ("vehicles", v, "tokens", t, "uid"), wrong
            if key in tokens:
                yield ("vehicles", v, "tokens", t, "uid"), f"{token.uid} is there twice"
            tokens.add(key)
    trailers: set[str] = set()
    for t, trailer in enumerate(file.trailers):
        if name_key(trailer.plate) in trailers:
            yield ("trailers", t, "plate"), f"{trailer.plate} is there twice"
        trailers.add(name_key(trailer.plate))


def lost_zero_faults(file: VehicleFile) -> Iterator[tuple[FieldPath, str]]:
    """Cards of a CSV file that a spreadsheet may have taken for numbers: a uid of 4 or 7 bytes has 8 or 14 digits."""
    for v, vehicle in enumerate(file.vehicles):
        for t, token in enumerate(vehicle.tokens):
            if token.type == "RFID" and token.uid.isdigit() and len(token.uid) in {7, 13}:
                yield (
                    ("vehicles", v, "tokens", t, "uid"),
                    f"{token.uid}: is a leading zero missing? A .json file is taken at its word",
                )


def _with_evse_terms(option: OptionRow, own: dict[str, OfferedEvseRow]) -> OptionRow:
    evse = own.get(folded(option.id))
    if evse is None or [folded(uid) for uid in option.evses] != [folded(evse.uid)]:
        return option
    terms = evse.terms.model_copy(update=option.terms.model_dump(exclude_none=True))
    return option.model_copy(update={"terms": terms, "tariff": option.tariff or evse.tariff})


def _options_twice(file: DepotFile) -> Iterator[tuple[FieldPath, str]]:
    seen: set[str] = set()
    for d, depot in enumerate(file.depots):
        for o, option in enumerate(depot.options or []):
            if folded(option.id) in seen:
                yield ("depots", d, "options", o, "id"), f"{option.id} is there twice"
            seen.add(folded(option.id))


def _option_faults(place: FieldPath, depot: OfferedDepotRow) -> Iterator[tuple[FieldPath, str]]:
    if depot.options is None:
        return
    known = {folded(evse.uid) for evse in depot.evses()}
    for o, option in enumerate(depot.options):
        uids = [folded(uid) for uid in option.evses]
        for e, uid in enumerate(uids):
            if uid not in known:
                yield (*place, "options", o, "evses", e), f"{option.evses[e]} is no EVSE of depot {depot.id}"
            elif uid in uids[:e]:
                yield (*place, "options", o, "evses", e), f"{option.evses[e]} is there twice"
        if folded(option.id) in known and uids != [folded(option.id)]:
            yield (
                (*place, "options", o, "id"),
                f"{option.id} is the uid of an EVSE that this option is not alone about",
            )
    yield from _terms_without_option(place, depot, depot.options)


def _terms_without_option(
    place: FieldPath, depot: OfferedDepotRow, options: Sequence[OptionRow]
) -> Iterator[tuple[FieldPath, str]]:
    """An EVSE's terms are those of its own option; without one nobody would ever read them."""
    own = {folded(option.id) for option in options}
    for c, charger in enumerate(depot.chargers):
        for e, evse in enumerate(charger.evses):
            if folded(evse.uid) not in own and (evse.terms != TermsRow() or evse.tariff):
                field = "terms" if evse.terms != TermsRow() else "tariff"
                yield (
                    (*place, "chargers", c, "evses", e, field),
                    f"{evse.uid} has no option of its own that this could hold for",
                )


def _terms_faults(place: FieldPath, depot: OfferedDepotRow) -> Iterator[tuple[FieldPath, str]]:
    """Terms under which nothing could ever be booked, as depot and option resolve them."""
    found = impossible(Terms.resolve([depot.terms]))
    if found:
        yield (*place, "terms", found[0]), found[1]
        return
    for c, charger in enumerate(depot.chargers):
        for e, evse in enumerate(charger.evses):
            found = impossible(Terms.resolve([depot.terms, evse.terms]))
            if found:
                yield (*place, "chargers", c, "evses", e, "terms", found[0]), found[1]
    for o, option in enumerate(depot.options or []):
        found = impossible(Terms.resolve([depot.terms, option.terms]))
        if found:
            yield (*place, "options", o, "terms", found[0]), found[1]
