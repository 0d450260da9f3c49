"""What a partner offers for booking as options of ours, with its terms and calendars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.models import BookingOption, OfferedSlot, TermsOverride
from bookings.rules.tariff_bindings import Owner
from bookings.rules.terms import Terms
from bookings.signals import offers_told
from depots.models import Connector, Depot, Evse
from roaming.mirror import partner_tariffs, pool_prices
from roaming.mirror.partner_places import UNKNOWN_POWER_W, depot_code, keep_bay, locked_depot
from roaming.mirror.pool_prices import uid_of_all
from roaming.mirror.told_terms import within_limits
from roaming.mirror.values import ToldOffer
from roaming.models import Partner
from roaming.ocpi.wire_object import folded

# What a calendar shows is what can be asked for, so no horizon, lead time or hours of ours come on top.
ANY_TIME = {"lead_min": 0, "horizon_days": 365, "turnaround_min": 0, "approval": True}


def keep_offer(partner: Partner, told: ToldOffer, *, now: datetime) -> BookingOption:
    """Store or refresh an offer with its terms and calendars, whole. Raises UnreadableError."""
    with transaction.atomic():
        depot = locked_depot(partner, told.country_code, told.party_id, told.location_id)
        option = _locked_option(depot, told.code)
        option.calendar_at = now
        option.is_withdrawn, option.is_best_effort = told.is_removed, False
        option.ad_hoc_places = told.ad_hoc_places
        option.calendar_version += 1
        option.save()
        option.evses.set([_evse_of(depot, told)])
        _keep_terms(option, told)
        _keep_slots(option, told)
        party = partner_tariffs.party_name(told.country_code, told.party_id)
        partner_tariffs.keep_named(partner, party, Owner("option", option.pk), told.tariff_codes)
        if not told.evse_uid:
            pool_prices.keep(partner, party, depot)
        offers_told.send(sender=BookingOption, option_ids=[option.pk], at=now)
    return option


def withdraw_missing(
    partner: Partner, country_code: str, party_id: str, *, seen: Iterable[str], before: datetime
) -> int:
    """Hide the offers of a party that a complete crawl begun at `before` did not list. Says how many."""
    prefix = depot_code(country_code, party_id, "")
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
    """The mirror of an offer, withdrawn or not."""
    return (
        BookingOption.objects.filter(depot__operator=partner.organisation, is_mirror=True, code__iexact=code)
        .filter(depot__code__istartswith=depot_code(country_code, party_id, ""))
        .select_related("depot")
        .first()
    )


def only_evse_uid(option: BookingOption) -> str:
    """The EVSE of an offer that is one EVSE; empty for a pool."""
    uids = option.evses.values_list("uid", flat=True)
    return next((uid for uid in uids if uid != uid_of_all(option.code)), "")


def _locked_option(depot: Depot, code: str) -> BookingOption:
    BookingOption.objects.bulk_create(
        [BookingOption(depot=depot, code=code, is_mirror=True)], ignore_conflicts=True
    )
    return BookingOption.objects.select_for_update(no_key=True).get(depot=depot, code__iexact=code)


def _evse_of(depot: Depot, told: ToldOffer) -> Evse:
    """The mirrored EVSE an offer is about; one that stands for all of them when it names none."""
    uid = told.evse_uid or uid_of_all(told.code)
    evse = Evse.objects.filter(depot=depot, uid__iexact=uid).first()
    most = max((slot.max_power_w for slot in told.slots if slot.max_power_w), default=0)
    if evse is None:
        evse = Evse(depot=depot, uid=uid, max_power_w=most or _most_power(depot))
    elif most and not told.evse_uid:
        evse.max_power_w = most
    keep_bay(evse, told.bay)
    evse.save()
    if not evse.connectors.exists() or not told.evse_uid:
        _keep_connectors(evse, told)
    return evse


def _most_power(depot: Depot) -> int:
    return max([evse.max_power_w for evse in depot.evses.all()], default=UNKNOWN_POWER_W)


def _keep_connectors(evse: Evse, told: ToldOffer) -> None:
    evse.connectors.all().delete()
    standards = {connector.standard[:30]: connector for connector in told.connectors}
    Connector.objects.bulk_create(
        Connector(
            evse=evse,
            number=number,
            standard=standard,
            format=connector.format,
            power_type=connector.power_type,
            max_power_w=evse.max_power_w,
        )
        for number, (standard, connector) in enumerate(standards.items(), start=1)
    )


def _keep_terms(option: BookingOption, told: ToldOffer) -> None:
    """The partner's terms within what our tables hold; the step is the finest of its calendars."""
    steps = [slot.step_min for slot in told.slots if slot.step_min]
    kept: dict[str, Any] = {**ANY_TIME, "slot_step_min": min(steps, default=1), "min_duration_min": 0}
    kept |= told.terms
    kept["max_duration_min"] = kept.get("max_duration_min") or max(Terms().max_duration_min, 24 * 60)
    TermsOverride.objects.update_or_create(option=option, defaults=within_limits(kept))


def _keep_slots(option: BookingOption, told: ToldOffer) -> None:
    option.offered_slots.all().delete()
    if told.is_removed:
        return
    OfferedSlot.objects.bulk_create(
        OfferedSlot(
            option=option,
            calendar_id=slot.calendar_id,
            period=slot.period,
            step_min=slot.step_min,
            min_power_w=slot.min_power_w,
            max_power_w=slot.max_power_w,
        )
        for slot in told.slots
    )
