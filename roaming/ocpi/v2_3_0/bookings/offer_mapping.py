"""Our offers as BookingLocations: pure functions, without queries.

The EVSEs of an option and their connectors must have been fetched with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bookings.models import BookingOption
from bookings.rules.fit import types_taken
from bookings.rules.terms import Terms
from bookings.search.availability import Timeslot as FreeSlot
from depots.capabilities import starts_remotely
from depots.models import Evse
from roaming.ocpi.v2_3_0.bookings import schemas
from roaming.ocpi.v2_3_0.bookings.schemas import AccessMethod
from roaming.published import PublishedOffer, owner_of


def booking_location_out(offer: PublishedOffer) -> schemas.BookingLocation:
    """An offer with its calendar; without free time it has none."""
    option = offer.option
    country_code, party_id = owner_of(option.depot)
    calendar = calendar_out(offer)
    return schemas.BookingLocation(
        country_code=country_code,
        party_id=party_id,
        id=option.code,
        location_id=option.depot.location_id,
        booking_option=offered(option),
        policy=schemas.Policy(reservation_required=not offer.takes_walk_ins),
        tariff_ids=list(offer.prices.tariff_codes),
        booking_terms=terms_out(offer.terms, _bookable(option), has_no_show_fee=offer.prices.has_no_show_fee),
        calendars=[calendar] if calendar else [],
        last_updated=option.updated_at,
    )


def calendar_out(offer: PublishedOffer) -> schemas.Calendar | None:
    """One calendar over the whole horizon, so that no timeslot is cut at midnight. None when nothing is free."""
    if not offer.timeslots:
        return None
    return schemas.Calendar(
        id=calendar_id(offer.option),
        begin_from=offer.span.starts_at,
        end_before=offer.span.ends_at,
        timeslot_increment=offer.terms.slot_step_min,
        available_timeslots=[_timeslot_out(slot, offer.option.depot.is_green) for slot in offer.timeslots],
        last_updated=offer.option.updated_at,
    )


def calendar_id(option: BookingOption) -> str:
    """Unique among all calendars of ours, as some partners keep them without their BookingLocation."""
    return f"CAL-{option.pk}"


def offered(option: BookingOption) -> schemas.BookingOption:
    """One EVSE by its name; of several what holds for all, and every plug that one of them has."""
    evses = list(option.evses.all())
    if len(evses) == 1:
        return option_of(evses, evse_uid=evses[0].uid, parking_id=evses[0].uid)
    return option_of(evses)


def terms_out(terms: Terms, evses: Sequence[Evse], *, has_no_show_fee: bool = False) -> schemas.BookingTerms:
    """On the EVSEs that it may come to, with their chargers: a card is needed where one of them cannot be started from afar. Any
    token of a group that the partner told us of opens what names another of it (bookings/gate.py)."""
    is_remote = bool(evses) and all(starts_remotely(evse.charger) for evse in evses)
    return schemas.BookingTerms(
        rfid_auth_required=not is_remote,
        token_groups_supported=True,
        remote_auth_supported=is_remote,
        supported_access_methods=[AccessMethod.TOKEN],
        change_until_minutes=terms.change_until_min,
        cancel_until_minutes=terms.cancel_until_min,
        change_not_allowed=False,
        early_start_allowed=terms.early_start_min > 0,
        early_start_time=terms.early_start_min,
        noshow_timeout=terms.no_show_min,
        noshow_fee=has_no_show_fee,
        late_stop_allowed=terms.late_stop_min > 0,
        late_stop_time=terms.late_stop_min,
        overlapping_bookings_allowed=terms.overlapping_tokens,
        min_booking_duration=terms.min_duration_min,
        max_booking_duration=terms.max_duration_min,
    )


def _bookable(option: BookingOption) -> list[Evse]:
    return [evse for evse in option.evses.all() if not evse.is_withdrawn]


def option_of(
    evses: Sequence[Evse], *, evse_uid: str | None = None, parking_id: str | None = None
) -> schemas.BookingOption:
    connectors = [connector for evse in evses for connector in evse.connectors.all()]
    return schemas.BookingOption(
        evse_uid=evse_uid,
        parking_id=parking_id,
        evse_position=[
            schemas.EvsePosition(name) for name in _distinct(e.bay_position for e in evses) if name
        ],
        vehicle_types=_common_types(evses),
        connector_format=_distinct(c.format for c in connectors),
        connector_types=_distinct(c.standard for c in connectors),
        power_types=_distinct(c.power_type for c in connectors),
        max_vehicle_weight=_least(e.max_vehicle_weight_kg for e in evses),
        max_vehicle_height=_least(e.max_vehicle_height_cm for e in evses),
        max_vehicle_length=_least(e.max_vehicle_length_cm for e in evses),
        max_vehicle_width=_least(e.max_vehicle_width_cm for e in evses),
        min_parking_space_length=_least_of_all(e.bay_length_cm for e in evses),
        min_parking_space_width=_least_of_all(e.bay_width_cm for e in evses),
        dangerous_goods_allowed=_all(e.dangerous_goods_allowed for e in evses),
        drive_through=_all(e.drive_through for e in evses),
        refrigeration_outlet=_all(e.refrigeration_outlet for e in evses),
    )


def _timeslot_out(slot: FreeSlot, is_green: bool | None) -> schemas.Timeslot:
    return schemas.Timeslot(
        start_date_time=slot.period.starts_at,
        end_date_time=slot.period.ends_at,
        min_power=slot.min_power_w,
        max_power=slot.max_power_w,
        green_energy_support=is_green,
    )


def _common_types(evses: Sequence[Evse]) -> list[str]:
    """Types every EVSE takes; one without types takes all."""
    limited = [set(types) for types in map(types_taken, evses) if types]
    return sorted(set.intersection(*limited)) if limited else []


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _least(limits: Iterable[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _least_of_all(sizes: Iterable[int | None]) -> int | None:
    """What holds for every bay; None as soon as one is not known."""
    known = list(sizes)
    return min(size for size in known if size is not None) if known and None not in known else None


def _all(flags: Iterable[bool]) -> bool | None:
    known = list(flags)
    return all(known) if known else None
