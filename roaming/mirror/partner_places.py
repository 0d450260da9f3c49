"""A partner's depots as rows of ours, read by the same pages.

The partner is the truth; here is a copy with an age. What it withdraws is hidden, never deleted: bookings point to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.models import BookingOption
from bookings.rules.fit import has_trailer
from bookings.rules.tariff_bindings import Owner
from depots.models import Connector, Depot, Evse, OpeningHours
from depots.periods import utc_text
from roaming import deviations
from roaming.mirror import kept_objects, partner_tariffs, pool_prices, reservable_evses, time_zones
from roaming.mirror.kept_objects import LOCATION
from roaming.mirror.values import ToldBay, ToldConnector, ToldDescription, ToldEvse, ToldPlace
from roaming.models import Partner, PartnerObject
from roaming.ocpi.wire_object import Read, UnreadableError, folded

UNKNOWN_POWER_W = 50_000  # a place to charge of which nobody has said how strong it is
MOST_PLACES, MOST_TEXTS = 20_000, 40
MOST_POWER_W, MOST_VOLT_OR_AMPERE, MOST_SIZE = 2**31 - 1, 100_000, 2**31


@dataclass(frozen=True)
class AdoptedPlace:
    """The depot it became, and whether the partner had not told of it before."""

    depot: Depot
    is_new: bool


def adopt_place(
    partner: Partner, read: Read[ToldPlace], raw: dict[str, Any], *, now: datetime
) -> AdoptedPlace:
    """Take over a depot as a partner told it, with the message itself; what is older than known is dropped. Raises
    UnreadableError."""
    told = read.value
    owner = (told.country_code, told.party_id)
    with transaction.atomic():
        kept, is_new = kept_objects.keep(partner, LOCATION, owner, told.location_id, raw, now=now)
        if is_new:
            _check_room(partner)
        depot = locked_depot(partner, *owner, told.location_id)
        is_old = kept.last_updated is not None and told.last_updated < kept.last_updated
        if is_old and not is_stub(depot):
            return AdoptedPlace(depot, is_new=False)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.save()
        depot = keep_place(partner, told)
        reservable_evses.keep_reservable(partner, depot, told, now=now)
    deviations.count(partner, read.deviations)
    return AdoptedPlace(depot, is_new)


def _check_room(partner: Partner) -> None:
    """Raises UnreadableError: every depot is rows of ours, withdrawn or not."""
    if PartnerObject.objects.filter(partner=partner, kind=LOCATION).count() > MOST_PLACES:
        raise UnreadableError("", f"a partner may tell of {MOST_PLACES} locations")


def keep_place(partner: Partner, told: ToldPlace) -> Depot:
    """Store or refresh a depot with its EVSEs. Raises UnreadableError when it cannot be one of ours.

    What was not told (or was left out, as it could not be read) of name, place and zone stays as it is known.
    """
    with transaction.atomic():
        depot = locked_depot(partner, told.country_code, told.party_id, told.location_id)
        known_name = "" if is_stub(depot) else depot.name
        if not (told.name or told.address or told.position or known_name):
            raise UnreadableError("name", "is required where neither address nor coordinates are told")
        depot.name = told.name or known_name or told.address or depot.name
        depot.address, depot.city = told.address or depot.address, told.city or depot.city
        depot.postal_code = told.postal_code or depot.postal_code
        depot.country = told.country.upper()[:3] or depot.country
        if told.position is not None:
            depot.latitude, depot.longitude = (round(degrees, 6) for degrees in told.position)
        depot.time_zone = told.time_zone or _known_zone(depot)
        depot.charging_when_closed = told.charging_when_closed
        _describe(depot, told.description)
        depot.exceptional_hours = [
            {"starts_at": utc_text(span.starts_at), "ends_at": utc_text(span.ends_at), "is_open": is_open}
            for span, is_open in told.exceptions[:MOST_TEXTS]
        ] or None
        depot.is_withdrawn = _is_withdrawn(told)
        depot.save()
        _keep_hours(depot, told)
        party = partner_tariffs.party_name(told.country_code, told.party_id)
        for evse in told.evses:
            kept = _keep_evse(depot, evse)
            partner_tariffs.keep_named(partner, party, Owner("evse", kept.pk), _tariff_codes(evse))
        if not told.is_partial:
            _withdraw_evses(depot, told)
        pool_prices.keep(partner, party, depot)
    return depot


def depot_code(country_code: str, party_id: str, location_id: str) -> str:
    return f"{country_code.upper()}-{party_id.upper()}-{location_id}"


def owner_of_mirror(depot: Depot) -> tuple[str, str]:
    """The CPO party of a mirrored depot, as its code has it: a hub's organisation stands for many."""
    country, party, _ = depot.code.split("-", 2)
    return country, party


def locked_depot(partner: Partner, country_code: str, party_id: str, location_id: str) -> Depot:
    """The mirror of a location, made if need be and locked.

    Until the location itself has been read it is a stub, which nobody can book: it has no place, and no clock.
    """
    code = depot_code(country_code, party_id, location_id)
    known = Depot.objects.select_for_update(no_key=True).filter(code__iexact=code).first()
    if known is not None and known.operator_id != partner.organisation_id:
        _give_up(known, country_code, party_id)
    elif known is not None:
        return known
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
    """Known only by its id, from an offer: the place itself has not been read."""
    return depot.latitude is None and not depot.address and depot.name == depot.location_id


def keep_bay(evse: Evse, told: ToldBay) -> None:
    """What is not told stays as it was. The caller saves."""
    sizes = {
        "max_vehicle_length_cm": told.max_length_cm,
        "max_vehicle_width_cm": told.max_width_cm,
        "max_vehicle_height_cm": told.max_height_cm,
        "max_vehicle_weight_kg": told.max_weight_kg,
        "bay_length_cm": told.length_cm,
        "bay_width_cm": told.width_cm,
    }
    for name, size in sizes.items():
        if size is not None and 0 < size < MOST_SIZE:
            setattr(evse, name, int(size))
    if told.vehicle_types is not None:
        evse.vehicle_types = [name[:30] for name in told.vehicle_types]
        evse.takes_trailers = any(map(has_trailer, evse.vehicle_types)) if evse.vehicle_types else None
    evse.bay_direction = (told.direction or evse.bay_direction)[:13]
    evse.bay_position = told.position or evse.bay_position
    for name in ("drive_through", "dangerous_goods_allowed", "refrigeration_outlet"):
        if (flag := getattr(told, name)) is not None:
            setattr(evse, name, flag)


def _describe(depot: Depot, told: ToldDescription) -> None:
    depot.state, depot.help_phone = told.state, told.help_phone
    depot.directions = [dict(one) for one in told.directions[:MOST_TEXTS]]
    depot.facilities = [name[:30] for name in told.facilities[:MOST_TEXTS]]
    depot.images = [dict(one) for one in told.images[:MOST_TEXTS]]
    depot.energy_mix = dict(told.energy_mix) if told.energy_mix else None


def _is_withdrawn(told: ToldPlace) -> bool:
    """A place with no EVSE, or with none that is still there."""
    return not told.is_partial and all(evse.is_removed for evse in told.evses)


def _known_zone(depot: Depot) -> str:
    """The zone of a depot whose zone was not told: the one known, else what its country settles, else UTC."""
    if depot.time_zone != "UTC":
        return depot.time_zone
    return time_zones.of_country(depot.country) or "UTC"


def _keep_hours(depot: Depot, told: ToldPlace) -> None:
    depot.opening_hours.all().delete()
    rows = sorted((h.weekday, h.from_minute, h.to_minute) for h in told.hours)
    OpeningHours.objects.bulk_create(
        OpeningHours(depot=depot, weekday=weekday, from_minute=first, to_minute=last)
        for weekday, first, last in rows
    )


def _withdraw_evses(depot: Depot, told: ToldPlace) -> None:
    """EVSEs that are removed, and those that a location told as a whole does not have any more; what is offered without being
    told stays, as an offer may come first."""
    removed = set(folded(*(evse.uid for evse in told.evses if evse.is_removed)))
    there = set(folded(*(evse.uid for evse in told.evses))) - removed
    offering = BookingOption.objects.filter(depot=depot, is_withdrawn=False, is_best_effort=False)
    offered = set(offering.values_list("evses", flat=True))
    for evse in depot.evses.all():
        uid = evse.uid.upper()
        is_gone = uid in removed or (uid not in there and evse.pk not in offered)
        if is_gone != evse.is_withdrawn:
            Evse.objects.filter(pk=evse.pk).update(is_withdrawn=is_gone)


def _tariff_codes(told: ToldEvse) -> tuple[str, ...]:
    """Of its connectors the first that names any: a booking is of an EVSE."""
    return next((one.tariff_codes for one in told.connectors if one.tariff_codes), ())


def _keep_evse(depot: Depot, told: ToldEvse) -> Evse:
    evse = Evse.objects.filter(depot=depot, uid__iexact=told.uid).first() or Evse(depot=depot, uid=told.uid)
    evse.max_power_w = max((_watts(c) for c in told.connectors), default=0) or UNKNOWN_POWER_W
    evse.status, evse.status_at = told.status, told.last_updated
    evse.public_id, evse.floor_level = told.public_id[:48], told.floor_level
    evse.physical_reference = told.physical_reference
    evse.planned_statuses = [
        {"starts_at": utc_text(since), "ends_at": utc_text(until) if until else None, "status": status.value}
        for since, until, status in told.planned[:MOST_TEXTS]
    ] or None
    if told.bay is not None:
        keep_bay(evse, told.bay)
    evse.save()
    evse.connectors.all().delete()
    Connector.objects.bulk_create(
        Connector(
            evse=evse,
            number=number,
            standard=connector.standard[:30],
            format=connector.format,
            power_type=connector.power_type,
            max_voltage_v=min(connector.max_voltage_v or 0, MOST_VOLT_OR_AMPERE),
            max_amperage_a=min(connector.max_amperage_a or 0, MOST_VOLT_OR_AMPERE),
            max_power_w=_watts(connector) or None,
        )
        for number, connector in enumerate(told.connectors, start=1)
    )
    return evse


def _watts(connector: ToldConnector) -> int:
    return min(connector.max_power_w or 0, MOST_POWER_W)
