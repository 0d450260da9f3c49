"""What partners have got of our things, and how they get on with us."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from bookings.models import Booking
from depots.models import Depot
from depots.periods import utc_text
from roaming.models import Delivery, Partner

# What a dispatcher should know of, in words; every other name says enough to who knows OCPI.
IN_WORDS = {
    "location.time_zone.unreadable": "A depot's time zone cannot be read",
    "location.time_zone_missing": "A depot comes without a time zone",
    "location.unreadable": "A depot cannot be read, so it is not shown",
    "booking_location.unreadable": "An offer cannot be read, so it is not shown",
    "booking_location.location_not_told": "An offer is at a depot that was not told of, so it is not shown",
    "tariff.unreadable": "A tariff cannot be read, so no price is shown by it",
    "evse.unreadable": "An EVSE cannot be read, so it is not shown",
    "booking.never_asked_for": "A booking was told of that nobody here asked for",
    "timeslot.power_in_kw": "Power is given in kW where watts belong",
    "booking_location.bookable_parking_options": "It writes Bookings 1.0; what it gets decides its switch bookings_edition",
    "booking.bookable_parking_option": "It writes Bookings 1.0; what it gets decides its switch bookings_edition",
    "credentials.role_of_another": "A party was claimed that another partner has",
}


@dataclass(frozen=True)
class Deviation:
    """What a partner did otherwise than OCPI has it, and how often."""

    name: str
    times: int

    @property
    def words(self) -> str:
        return IN_WORDS.get(self.name, "")


@dataclass(frozen=True)
class PartnerState:
    """How a partner gets on with us. `in_utc`: its depots whose times are shown in UTC, as no zone is known."""

    partner: Partner
    deviations: list[Deviation]
    in_utc: list[Depot]
    unmatched: int

    @property
    def parties(self) -> list[str]:
        return list(dict.fromkeys(f"{r['country_code']}*{r['party_id']}" for r in self.partner.roles))

    @property
    def is_away(self) -> bool:
        return self.partner.is_registered and self.partner.failures > 0


def partner_states() -> list[PartnerState]:
    """All partners by name; three queries. Those with words come first among the deviations, then the most frequent."""
    partners = Partner.objects.select_related("organisation").order_by("organisation__name")
    unmatched = Count("objects_received", filter=Q(objects_received__is_unmatched=True))
    in_utc: dict[int, list[Depot]] = {}
    for depot in Depot.objects.filter(is_mirror=True, is_withdrawn=False, time_zone="UTC").order_by("name"):
        in_utc.setdefault(depot.operator_id, []).append(depot)
    return [
        PartnerState(
            partner, _deviations(partner), in_utc.get(partner.organisation_id, []), partner.unmatched
        )
        for partner in partners.annotate(unmatched=unmatched)
    ]


def partner_named(name: str) -> Partner | None:
    """By its name or one of its parties (`SE*ABC`), whatever the case."""
    wanted = name.strip().upper()
    for partner in Partner.objects.select_related("organisation"):
        parties = {f"{r['country_code']}*{r['party_id']}".upper() for r in partner.roles}
        if wanted in {str(partner).upper(), *parties}:
            return partner
    return None


def describe_partner(state: PartnerState) -> dict[str, Any]:
    """The object that `show_partners` prints a line of."""
    partner = state.partner
    return {
        "partner": str(partner),
        "state": partner.state,
        "parties": state.parties,
        "version": partner.version or None,
        "last_success_at": _text(partner.last_success_at),
        "failures": partner.failures,
        "deviations": {deviation.name: deviation.times for deviation in state.deviations},
        "depots_in_utc": [depot.code for depot in state.in_utc],
        "unmatched_bookings": state.unmatched,
    }


def _deviations(partner: Partner) -> list[Deviation]:
    found = [Deviation(name, times) for name, times in partner.deviations.items()]
    return sorted(found, key=lambda d: (not d.words, -d.times, d.name))


def deliveries_of(booking: Booking) -> list[dict[str, Any]]:
    """What each partner has got of a booking and of our asks for it, as `show_booking` prints it."""
    asks = list(booking.requests.values_list("pk", flat=True))
    about = Q(kind=Delivery.Kind.BOOKING, object_id=booking.pk) | Q(
        kind=Delivery.Kind.REQUEST, object_id__in=asks
    )
    rows = Delivery.objects.filter(about).select_related("partner__organisation").order_by("pk")
    return [
        {
            "partner": str(row.partner),
            "kind": row.kind,
            "object_id": row.object_id,
            "wanted_version": row.wanted_version,
            "delivered_version": row.delivered_version,
            "is_delivered": row.delivered_version >= row.wanted_version,
            "delivered_at": _text(row.delivered_at),
            "attempts": row.attempts,
            "next_try_at": _text(row.next_try_at),
            "last_error": row.last_error or None,
        }
        for row in rows
    ]


def _text(moment: datetime | None) -> str | None:
    return utc_text(moment) if moment else None
