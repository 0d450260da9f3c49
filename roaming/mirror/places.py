"""A partner's depots as rows of ours: written from its Locations and BookingLocations, read by the same pages.

The partner is the truth; here is a copy with an age. What it withdraws is hidden, never deleted: bookings point to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from bookings.models import BookingOption, OfferedSlot, TermsOverride
from bookings.rules.terms import LIMITS, Terms
from depots.models import Connector, Depot, Evse, OpeningHours
from depots.periods import Period
from roaming.mirror import time_zones
from roaming.models import Partner
from roaming.ocpi.v2_3_0.bookings import schemas
from roaming.ocpi.v2_3_0.locations import schemas as location_schemas
from roaming.ocpi.v2_3_0.locations.mapping import ALL_DAY, EVSE_STATUS, minutes_in
from roaming.ocpi.v2_3_0.locations.schemas import EvseStatus
from roaming.ocpi.wire import UnreadableError, folded

OUR_EVSE_STATUS = {told: ours for ours, told in EVSE_STATUS.items()}
UNKNOWN_POWER_W = 50_000  # a place to charge of which nobody has said how strong it is
# What a calendar shows is what can be asked for, so no horizon, lead time or hours of ours come on top.
NEVER_MIN = 10**6  # a deadline so far back that it is always over
# Deadlines are the partner's to judge; on lengths of time our own pages and tables rely.
WITHIN_LIMITS = set(LIMITS) - {"change_until_min", "cancel_until_min"}
ANY_TIME = {"lead_min": 0, "horizon_days": 365, "turnaround_min": 0, "approval": True}


def keep_location(
    partner: Partner, told: location_schemas.Location, *, is_partial: bool = False, now: datetime
) -> Depot:
    """Store or refresh a Location with its EVSEs. Raises UnreadableError when it cannot be one of ours.

    What was not told (or was left out, as it could not be read) of name, place and zone stays as it is known.
    `is_partial`: EVSEs were left out, so those told are not all there are.
    """
    with transaction.atomic():
        depot = _depot(partner, told.country_code, told.party_id, told.id)
        known_name = "" if is_stub(depot) else depot.name
        if not (told.name or told.address or told.coordinates or known_name):
            raise UnreadableError("name", "is required where neither address nor coordinates are told")
        depot.name = told.name or known_name or told.address or depot.name
        depot.address, depot.city = told.address or depot.address, told.city or depot.city
        depot.postal_code = told.postal_code or depot.postal_code
        depot.country = told.country.upper()[:3] or depot.country
        if told.coordinates is not None:
            depot.latitude = round(Decimal(told.coordinates.latitude), 6)
            depot.longitude = round(Decimal(told.coordinates.longitude), 6)
        depot.time_zone = told.time_zone or _known_zone(depot)
        depot.charging_when_closed = told.charging_when_closed is not False
        depot.is_withdrawn = _is_withdrawn(told) and not is_partial
        depot.save()
        _keep_hours(depot, told.opening_times)
        places = {place.id.upper(): place for place in told.parking_places}
        for one in told.evses:
            _keep_evse(
                depot,
                one,
                [places[p.parking_id.upper()] for p in one.parking if p.parking_id.upper() in places],
            )
    return depot


def keep_booking_location(partner: Partner, told: schemas.BookingLocation, *, now: datetime) -> BookingOption:
    """Store or refresh a BookingLocation with its terms and calendars, whole. Raises UnreadableError."""
    with transaction.atomic():
        depot = _depot(partner, told.country_code, told.party_id, told.location_id)
        option = _option(depot, told.id)
        option.calendar_at = now
        option.is_withdrawn = told.is_removed
        option.calendar_version += 1
        option.save()
        option.evses.set([_evse_of(depot, told)])
        _keep_terms(option, told)
        _keep_slots(option, [] if told.is_removed else told.calendars)
    return option


def withdraw_missing(
    partner: Partner, country_code: str, party_id: str, *, seen: Iterable[str], before: datetime
) -> int:
    """Hide the offers of a party that a complete crawl begun at `before` did not list. Says how many."""
    prefix = _code(country_code, party_id, "")
    known = BookingOption.objects.filter(
        depot__operator=partner.organisation,
        depot__code__istartswith=prefix,
        is_mirror=True,
        is_withdrawn=False,
    )
    listed = set(folded(*seen))
    missing = [o.pk for o in known.exclude(calendar_at__gte=before) if o.code.upper() not in listed]
    return BookingOption.objects.filter(pk__in=missing).update(is_withdrawn=True)


def option_of(partner: Partner, country_code: str, party_id: str, code: str) -> BookingOption | None:
    """The mirror of a BookingLocation, withdrawn or not."""
    return (
        BookingOption.objects.filter(depot__operator=partner.organisation, is_mirror=True, code__iexact=code)
        .filter(depot__code__istartswith=_code(country_code, party_id, ""))
        .select_related("depot")
        .first()
    )


def _depot(partner: Partner, country_code: str, party_id: str, location_id: str) -> Depot:
    """The mirror of a location, made if need be and locked.

    Until the location itself has been read it is a stub, which nobody can book: it has no place, and no clock.
    """
    code = _code(country_code, party_id, location_id)
    known = Depot.objects.select_for_update(no_key=True).filter(code__iexact=code).first()
    if known is not None and known.operator_id != partner.organisation_id:
        _give_up(known, country_code, party_id)
    elif known is not None:
        return known
    others = Depot.objects.filter(operator=partner.organisation, location_id__iexact=location_id)
    if others.exists():
        raise UnreadableError("location_id", "is used by another of your parties")
    Depot.objects.bulk_create(
        [
            Depot(
                operator=partner.organisation, code=code, location_id=location_id, name=location_id, is_mirror=True,
                is_withdrawn=True,
            )
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    return Depot.objects.select_for_update(no_key=True).get(code__iexact=code, operator=partner.organisation)


def _give_up(depot: Depot, country_code: str, party_id: str) -> None:
    """Free the name of a depot whose network lost the party to whom it belongs. Raises UnreadableError when it did not."""
    holder = Partner.objects.filter(organisation=depot.operator_id).first()
    if holder is None or any(
        folded(r["country_code"], r["party_id"]) == folded(country_code, party_id) for r in holder.roles
    ):
        raise UnreadableError("location_id", "belongs to somebody else")
    depot.code = f"{depot.code[:100]}~{depot.pk}"
    depot.is_withdrawn = True
    depot.save(update_fields=["code", "is_withdrawn", "updated_at"])


def is_stub(depot: Depot) -> bool:
    """Known only by its id, from an offer: its Location has not been read."""
    return depot.latitude is None and not depot.address and depot.name == depot.location_id


def _is_withdrawn(told: location_schemas.Location) -> bool:
    """A place with no EVSE, or with none that is still there."""
    return all(evse.status == EvseStatus.REMOVED for evse in told.evses)


def _known_zone(depot: Depot) -> str:
    """The zone of a depot whose zone was not told: the one known, else what its country settles, else UTC."""
    if depot.time_zone != "UTC":
        return depot.time_zone
    return time_zones.of_country(depot.country) or "UTC"


def _option(depot: Depot, code: str) -> BookingOption:
    BookingOption.objects.bulk_create(
        [BookingOption(depot=depot, code=code, is_mirror=True)], ignore_conflicts=True
    )
    return BookingOption.objects.select_for_update(no_key=True).get(depot=depot, code__iexact=code)


def _keep_evse(depot: Depot, told: location_schemas.Evse, places: Sequence[location_schemas.Parking]) -> None:
    evse = Evse.objects.filter(depot=depot, uid__iexact=told.uid).first() or Evse(depot=depot, uid=told.uid)
    evse.max_power_w = max([_watts(c) for c in told.connectors], default=0) or UNKNOWN_POWER_W
    evse.status = OUR_EVSE_STATUS.get(told.status, Evse.Status.UNAVAILABLE)
    evse.status_at = told.last_updated
    place = places[0] if places else None
    if place is not None:
        evse.vehicle_types = list(place.vehicle_types)
        _keep_bay(evse, place)
    evse.save()
    evse.connectors.all().delete()
    Connector.objects.bulk_create(
        Connector(
            evse=evse,
            number=number,
            standard=connector.standard[:30],
            format=connector.format.value,
            power_type=connector.power_type.value,
            max_voltage_v=min(connector.max_voltage, 100_000),
            max_amperage_a=min(connector.max_amperage, 100_000),
            max_power_w=_watts(connector) or None,
        )
        for number, connector in enumerate(told.connectors, start=1)
    )


def _evse_of(depot: Depot, told: schemas.BookingLocation) -> Evse:
    """The mirrored EVSE an offer is about; one that stands for all of them when it names none."""
    option = told.booking_option or schemas.BookingOption()
    uid = option.evse_uid or _uid_of_all(told.id)
    evse = Evse.objects.filter(depot=depot, uid__iexact=uid).first()
    powers = [
        slot.max_power
        for calendar in told.calendars
        for slot in calendar.available_timeslots
        if slot.max_power
    ]
    if evse is None:
        evse = Evse(depot=depot, uid=uid, max_power_w=max(powers, default=0) or _most_power(depot))
    elif powers and not option.evse_uid:
        evse.max_power_w = int(max(powers)) or evse.max_power_w
    evse.max_power_w = int(evse.max_power_w)
    if option.vehicle_types:
        evse.vehicle_types = [name[:30] for name in option.vehicle_types]
    _keep_bay(evse, option)
    evse.save()
    if not evse.connectors.exists() or not option.evse_uid:
        _keep_plugs(evse, option)
    return evse


def _uid_of_all(code: str) -> str:
    """The name of the one mirrored EVSE that stands for all of an offer that names none."""
    return f"{code} (any)"[:64]


def only_evse_uid(option: BookingOption) -> str:
    """The EVSE of an offer that is one EVSE; empty for a pool."""
    uids = option.evses.values_list("uid", flat=True)
    return next((uid for uid in uids if uid != _uid_of_all(option.code)), "")


def _keep_bay(evse: Evse, told: schemas.BookingOption | location_schemas.Parking) -> None:
    """Sizes in cm, weight in kg; what is not told stays as it was."""
    sizes = {
        "max_vehicle_length_cm": told.max_vehicle_length,
        "max_vehicle_width_cm": told.max_vehicle_width,
        "max_vehicle_height_cm": told.max_vehicle_height,
        "max_vehicle_weight_kg": told.max_vehicle_weight,
    }
    for name, size in sizes.items():
        if size is not None and 0 < size < 2**31:
            setattr(evse, name, int(size))
    for name in ("drive_through", "dangerous_goods_allowed", "refrigeration_outlet"):
        if (flag := getattr(told, name)) is not None:
            setattr(evse, name, flag)


def _keep_plugs(evse: Evse, option: schemas.BookingOption) -> None:
    standards = [name[:30] for name in dict.fromkeys(option.connector_types)]
    evse.connectors.all().delete()
    Connector.objects.bulk_create(
        Connector(
            evse=evse,
            number=number,
            standard=standard,
            format=option.connector_format[0].value if option.connector_format else Connector.Format.CABLE,
            power_type=option.power_types[0].value if option.power_types else "DC",
            max_power_w=evse.max_power_w,
        )
        for number, standard in enumerate(standards, start=1)
    )


def _keep_terms(option: BookingOption, told: schemas.BookingLocation) -> None:
    """The partner's terms in our words; the step is the finest of its calendars."""
    terms, standard = told.booking_terms, Terms()
    steps = [c.timeslot_increment for c in told.calendars if c.timeslot_increment]
    kept: dict[str, Any] = {**ANY_TIME, "slot_step_min": min(steps, default=1)}
    if terms is not None:
        kept |= {
            "change_until_min": NEVER_MIN
            if terms.change_not_allowed
            else _minutes(terms.change_until_minutes),
            "cancel_until_min": _minutes(terms.cancel_until_minutes),
            "early_start_min": _minutes(terms.early_start_time)
            if terms.early_start_allowed is not False
            else 0,
            "late_stop_min": _minutes(terms.late_stop_time) if terms.late_stop_allowed else 0,
            "no_show_min": _minutes(terms.noshow_timeout) if terms.noshow_timeout is not None else None,
            "overlapping_tokens": terms.overlapping_bookings_allowed is not False,
        }
    kept["min_duration_min"] = _minutes(terms.min_booking_duration) if terms else 0
    longest = _minutes(terms.max_booking_duration) if terms else 0
    kept["max_duration_min"] = longest or max(standard.max_duration_min, 24 * 60)
    for name in set(kept) & WITHIN_LIMITS:
        kept[name] = None if kept[name] is None else LIMITS[name].nearest(kept[name])
    TermsOverride.objects.update_or_create(option=option, defaults=kept)


def _keep_slots(option: BookingOption, calendars: Iterable[schemas.Calendar]) -> None:
    option.offered_slots.all().delete()
    OfferedSlot.objects.bulk_create(
        OfferedSlot(
            option=option,
            calendar_id=calendar.id,
            period=Period(slot.start_date_time, slot.end_date_time),
            step_min=calendar.timeslot_increment,
            min_power_w=int(slot.min_power) if slot.min_power else None,
            max_power_w=int(slot.max_power) if slot.max_power else None,
        )
        for calendar in calendars
        for slot in calendar.available_timeslots
    )


def _keep_hours(depot: Depot, told: location_schemas.Hours | None) -> None:
    """For people to read: what can be booked says the calendar, on exceptional days too."""
    depot.opening_hours.all().delete()
    if told is None or told.twentyfourseven:
        return
    stretches = {stretch for hours in told.regular_hours for stretch in _stretches(hours)}
    OpeningHours.objects.bulk_create(
        OpeningHours(depot=depot, weekday=weekday, from_minute=first, to_minute=last)
        for weekday, first, last in sorted(stretches)
    )


def _stretches(hours: location_schemas.RegularHours) -> Iterator[tuple[int, int, int]]:
    """(weekday, minutes from and to) of hours that may end on the next day: 08:00-02:00 is two stretches.

    An end that is no later than the begin is the next day's, so 00:00-00:00 is all day.
    """
    first, last = minutes_in(hours.period_begin), minutes_in(hours.period_end)
    if first == ALL_DAY:
        first = 0
    if first < last:
        yield hours.weekday, first, last
        return
    yield hours.weekday, first, ALL_DAY
    if last > 0:
        yield hours.weekday % 7 + 1, 0, last


def _code(country_code: str, party_id: str, location_id: str) -> str:
    return f"{country_code.upper()}-{party_id.upper()}-{location_id}"


def _watts(connector: location_schemas.Connector) -> int:
    phases = 3 if connector.power_type == "AC_3_PHASE" else 1
    return min(
        connector.max_electric_power or connector.max_voltage * connector.max_amperage * phases, 2**31 - 1
    )


def _most_power(depot: Depot) -> int:
    return max([evse.max_power_w for evse in depot.evses.all()], default=UNKNOWN_POWER_W)


def _minutes(told: float | None) -> int:
    """Whole minutes that fit the column; a fraction is not worth an argument."""
    return min(int(told or 0), NEVER_MIN)
