"""A change of a booking, worked out from the locked row: what is asked for on top of what there is by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from bookings.core.versions import Aspect
from bookings.errors import (
    DoesNotFit,
    NotAtPartner,
    NothingToChange,
    NotOpenToYou,
    OptionUnknown,
    WrongStatus,
)
from bookings.models import (
    Booking,
    BookingOption,
    BookingRequest,
    BookingStatus,
    BookingToken,
    Trailer,
    Vehicle,
)
from bookings.operations import request_log
from bookings.operations.change_request import ChangeRequest, option_called, read_period
from bookings.operations.places import candidates
from bookings.rules import fit, periods, permissions
from bookings.rules.charging_duration import EnergyAsked
from bookings.rules.configuration import Bay, Configuration, Site
from bookings.rules.energy_slots import asked_of, asked_then
from bookings.rules.entitlement import entitled, own_trailer, own_vehicle, refuse_groups
from bookings.rules.fit import Needs
from bookings.rules.terms import Terms
from bookings.search.bookable import evses_with_bays
from depots.models import Depot, Evse
from depots.periods import Period
from depots.token_numbers import normalise


@dataclass(frozen=True)
class Before:
    """What a booking had beside its own row when a change of it was planned: its tokens, and what must fit."""

    tokens: Sequence[BookingToken]
    needs: Needs

    @classmethod
    def of(cls, booking: Booking) -> Before:
        return cls(list(booking.tokens.all()), request_log.needs_of(booking))


@dataclass
class PlannedChange:
    """A booking as it is to become. `evse_asked` tells a wish for one EVSE from keeping what there is; `quote` is the
    price it was asked at, where it waited for an answer.

    `option` is another one to be booked under, by its `terms`; by those it had before where that is taken back (`is_put_back`).
    `energy` is newly asked for, empty where it is no longer; `power_w` is a new wish; `kept_w` what was kept for the change while
    the depot decided. A rescue keeps as much as there is of its power (or of `rescued_w`); other moves of the depot lower it only
    where that is accepted. `why` is what the depot says of its move, which `is_offer` where it was offered and accepted.
    `until_no_show` as of ChangeRequest.
    """

    period: Period
    evse: Evse | None
    vehicle: Vehicle | None
    tokens: list[BookingToken] | None
    power_w: int | None
    evse_asked: bool
    needs: Needs
    before: Before
    trailer: Trailer | None
    option: BookingOption | None = None
    terms: Terms | None = None
    plate: str = ""
    authorization_reference: str = ""
    quote: dict[str, Any] | None = None
    kept_w: int | None = None
    is_rescue: bool = False
    rescued_w: int | None = None
    why: str = ""
    is_offer: bool = False
    energy: EnergyAsked | None = None
    accepts_lower_power: bool = False
    until_no_show: bool = False
    is_put_back: bool = False

    @property
    def tokens_then(self) -> Sequence[BookingToken]:
        """Those it will carry."""
        return self.before.tokens if self.tokens is None else self.tokens

    @property
    def plate_then(self) -> str:
        """As far as the change names one; else ""."""
        return self.plate or (self.vehicle.plate if self.vehicle else "")

    def terms_then(self, booking: Booking) -> Terms:
        return self.terms or booking.terms

    def option_then(self, booking: Booking) -> int:
        """Its id."""
        return self.option.pk if self.option is not None else booking.option_id

    def energy_then(self, booking: Booking) -> EnergyAsked | None:
        """What it will be asked to charge; the booking is as it was."""
        return asked_then(booking, self.vehicle) if self.energy is None else self.energy or None

    @property
    def has_new_terms(self) -> bool:
        """Whether it is booked under terms that have not allowed it before."""
        return self.option is not None and not self.is_put_back

    def is_other_slot(self, booking: Booking) -> bool:
        """Whether the terms have to allow it: another time, or the same one under another option."""
        return self.has_new_terms or self.period != booking.period

    def is_other_trailer(self, booking: Booking) -> bool:
        return (self.trailer.pk if self.trailer else None) != booking.trailer_id

    def is_other_energy(self, booking: Booking) -> bool:
        return self.energy is not None and (self.energy or None) != asked_of(booking)

    def aspects(self, booking: Booking, target: Evse | Bay | None) -> frozenset[Aspect]:
        """What of the booking it makes different, at this EVSE; None where its partner has yet to name one."""
        tokens = names(self.tokens_then) != names(self.before.tokens)
        plate = self.plate not in {"", booking.plate}
        power_w = self.power_w not in {None, booking.promised_power_w}
        differs = {
            Aspect.PLACE: (self.period, target and target.pk) != (booking.period, booking.evse_id)
            or power_w
            or self.option_then(booking) != booking.option_id
            or self.is_other_energy(booking),
            Aspect.VEHICLE: tokens
            or plate
            or self.vehicle != booking.vehicle
            or self.is_other_trailer(booking),
            Aspect.NAME: self.authorization_reference not in {"", booking.authorization_reference},
        }
        return frozenset(group for group, is_other in differs.items() if is_other)

    def is_of_end(self, booking: Booking) -> bool:
        """Whether nothing but the end becomes another."""
        keeps_start = self.period.starts_at == booking.starts_at
        return keeps_start and is_same(booking, replace(self, period=booking.period, energy=None))

    def is_shorter(self, booking: Booking) -> bool:
        """Whether all it does is to give time back at the end."""
        return self.period.ends_at < booking.ends_at and self.is_of_end(booking)


def planned(booking: Booking, request: ChangeRequest) -> PlannedChange:
    """Raises VehicleUnknown, TrailerUnknown, TokenUnusable, EndsBeforeStart, OptionUnknown or NotAtPartner."""
    vehicle = own_vehicle(request.vehicle, booking.fleet)
    named: list[BookingToken] | None = None
    if request.tokens is not None or vehicle is not None:
        party = (booking.customer_country, booking.customer_party)
        named = entitled(request.tokens, vehicle, booking.fleet, party)
        if not booking.is_ours:
            refuse_groups(named)
    before, needs = Before.of(booking), request.needs
    trailer = own_trailer(request.trailer, booking.fleet)
    if trailer is None and not request.drops_trailer:
        trailer = booking.trailer
    if needs is None or needs == Needs():
        is_other = vehicle is not None or request.trailer is not None or request.drops_trailer
        needs = Needs.of(vehicle or booking.vehicle, trailer) if is_other else before.needs
    change = PlannedChange(
        period=request.period_of(booking),
        evse=request.evse or booking.evse,
        vehicle=vehicle or booking.vehicle,
        tokens=named,
        power_w=request.power_w,
        evse_asked=request.evse is not None,
        option=_other_option(booking, request),
        needs=needs,
        before=before,
        trailer=trailer,
        plate=request.plate,
        authorization_reference=request.authorization_reference,
        energy=request.energy,
        accepts_lower_power=request.accepts_lower_power,
        until_no_show=request.until_no_show,
    )
    if change.option is not None and request.restores:
        _put_back_terms(booking, change, change.option, request.restores)
    return change


def _other_option(booking: Booking, request: ChangeRequest) -> BookingOption | None:
    option = request.option
    if option is None or option.pk == booking.option_id:
        return None
    if not booking.is_ours:
        raise NotAtPartner("A partner's depot has to be asked anew for what else it offers.")
    if option.depot_id != booking.depot_id:
        raise OptionUnknown(f"{option.code} is no booking option of {booking.depot}: a booking stays there.")
    return option


def _put_back_terms(booking: Booking, change: PlannedChange, option: BookingOption, version: int) -> None:
    """Those it had under this option before the change that made this version."""
    event = booking.events.filter(version=version, kind="changed").first()
    if (
        event is not None
        and "terms_before" in event.detail
        and event.detail["before"]["option"] == option.code
    ):
        change.terms = Terms.from_json(booking.terms_json | event.detail["terms_before"])
        change.is_put_back = True


def take_terms(booking: Booking, change: PlannedChange, there: Configuration, now: datetime) -> None:
    """Of another option those in force now, as for a new booking; not where it is put back. Raises NotOpenToYou."""
    if change.option is None or change.is_put_back:
        return
    if not there.offers_to(change.option.pk, booking.fleet_id, now=now):
        raise NotOpenToYou("This offer is not open to you.")
    change.terms = there.terms(change.option.pk, booking.fleet_id, now=now)


def from_request(booking: Booking, request: BookingRequest) -> tuple[PlannedChange, Evse]:
    """The change a pending request asks for, with the EVSE that is kept for it."""
    asked = request.asked
    target = evses_with_bays().get(pk=asked["evse_id"])
    vehicle = Vehicle.objects.filter(pk=asked.get("vehicle_id")).first() or booking.vehicle
    tokens = [BookingToken(**token) for token in asked["tokens"]] if "tokens" in asked else None
    trailer = Trailer.objects.filter(pk=request_log.trailer_asked(asked, booking) or 0).first()
    needs = Needs.from_json(asked["needs"]) if "needs" in asked else Needs.of(vehicle, trailer)
    period = read_period(asked["period"]) if "period" in asked else booking.period
    option = option_called(asked.get("option")) if request.kind == BookingRequest.Kind.CHANGE else None
    is_other = option is not None and option.pk != booking.option_id
    change = PlannedChange(
        period, target, vehicle, tokens, asked.get("power_w"), True, needs, Before.of(booking), trailer,
        plate=asked.get("plate", ""), authorization_reference=asked.get("authorization_reference", ""),
        quote=asked.get("quote"), energy=EnergyAsked(**asked["energy"]) if "energy" in asked else None,
        until_no_show=asked.get("until_no_show", False), option=option if is_other else None,
        terms=Terms.from_json(asked["terms"]) if is_other and "terms" in asked else None,
    )  # fmt: skip
    return change, target


def reach(booking: Booking, request: ChangeRequest, known: Configuration) -> set[int]:
    """The ids of the EVSEs a change may touch beside its own."""
    if _stays(booking, request):
        return set()
    if request.evse is not None:
        return {request.evse.pk}
    return {bay.pk for bay in known.pools.get(_option_id(booking, request), ())}


def _option_id(booking: Booking, request: ChangeRequest) -> int:
    return request.option.pk if request.option is not None else booking.option_id


def pool(
    booking: Booking, request: ChangeRequest, change: PlannedChange, by: str, known: Configuration
) -> list[Bay]:
    """Where it may go, of the EVSEs that are locked: the one asked for (the depot may take any of its own), else its
    own and others of the option. Raises DoesNotFit."""
    of_option = known.pools.get(change.option_then(booking), ())
    if change.evse_asked:
        in_reach = known.bays.values() if by == Booking.Side.DEPOT else of_option
        return candidates(list(in_reach), change.needs, change.evse)
    own = set() if change.option is not None else {booking.evse_id}
    ids = reach(booking, request, known) | own
    rows = [bay for pk, bay in known.bays.items() if pk in ids]
    if _stays(booking, request):
        return rows
    found = [bay for bay in rows if not fit.misfits(change.needs, bay)]
    if not found:
        raise DoesNotFit("The vehicle fits none of the EVSEs of this offer.")
    return found


def check(booking: Booking, change: PlannedChange, by: str, *, at: Depot | Site, now: datetime) -> None:
    """`at` is its depot. Under another option all of its terms of time hold, also where the time stays. Raises WrongStatus,
    ChangeTooLate, what is wrong with the period, or NothingToChange."""
    permissions.check_change(booking, by=by, now=now, until_no_show=change.until_no_show)
    check_status(booking, change)
    if change.period != booking.period and change.until_no_show:
        since = booking.late_from or booking.starts_at
        periods.check_late(change.terms_then(booking), at, change.period, since=since, now=now)
    elif change.is_other_slot(booking):
        keeps_start = not change.has_new_terms and change.period.starts_at == booking.starts_at
        check_times = periods.check_end if keeps_start else periods.check_period
        check_times(change.terms_then(booking), at, change.period, now=now)
    if is_same(booking, change):
        raise NothingToChange("This is what is booked already.")


def check_status(booking: Booking, change: PlannedChange) -> None:
    """A truck that charges may be given another end, and nothing else. Raises WrongStatus."""
    if booking.status == BookingStatus.CHARGING and not change.is_of_end(booking):
        sentence = "While it charges, only the end of a booking can be changed."
        raise WrongStatus(booking.status, "changed", sentence)


def is_same(booking: Booking, change: PlannedChange) -> bool:
    """Whether a booking is what it is to become already."""
    return (
        change.period == booking.period
        and change.option_then(booking) == booking.option_id
        and (not change.evse_asked or (change.evse is not None and change.evse.pk == booking.evse_id))
        and change.vehicle == booking.vehicle
        and not change.is_other_trailer(booking)
        and names(change.tokens_then) == names(change.before.tokens)
        and _is_same_power(booking, change)
        and not change.is_other_energy(booking)
        and change.needs == change.before.needs
        and change.plate in {"", booking.plate}
        and change.authorization_reference in {"", booking.authorization_reference}
    )


def _is_same_power(booking: Booking, change: PlannedChange) -> bool:
    """Asking for what is promised anyway makes it a wish, which a later change keeps."""
    return change.power_w is None or change.power_w == booking.promised_power_w == booking.wished_power_w


def names(tokens: Sequence[BookingToken]) -> set[tuple[str, str]]:
    return {(normalise(token.uid, token.type), token.type) for token in tokens}


def _stays(booking: Booking, request: ChangeRequest) -> bool:
    """A truck that charges, and new cards alone, stay where they are."""
    if booking.status == BookingStatus.CHARGING:
        return True
    is_same_size = request.vehicle is None and request.trailer is None and not request.drops_trailer
    return Aspect.PLACE not in request.aspects and is_same_size and not request.needs
