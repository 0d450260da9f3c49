"""The finder's results, depot by depot: what is free, what is not and why, and a picture of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse

from bookings.models import Booking
from bookings.operations import full_pools, offers_by_moves
from bookings.pages import overlaps, wording
from bookings.pages.forms.finder_place import in_order
from bookings.pages.forms.slots import ASKED, SearchForm
from bookings.pages.partner_notes import PartnerNote, PartnerNotes
from bookings.pages.slot_payments import SlotPayments
from bookings.pages.slot_rows import SlotRow, SlotRows, address, is_waited_for
from bookings.pages.strips import Strips
from bookings.search.offers import find_slots
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Depot
from depots.periods import Period, spanning
from depots.standards import amenities_at


@dataclass(frozen=True)
class DepotResults:
    """A depot in the results. Terms, and what is asked for before a booking, stand here once."""

    depot: Depot
    period: Period
    free: list[SlotRow]
    refused: list[SlotRow]
    terms: list[wording.TermLine]
    only_url: str
    calendar_at: datetime | None
    elsewhere: str
    payment: str
    notes: list[PartnerNote]
    is_best_effort: bool = False
    distance_km: float | None = None
    is_by_energy: bool = False
    wait_form: str = ""

    @property
    def starts_at(self) -> datetime:
        """As the clock on the depot's wall shows it: naive, because templates would turn it back into UTC."""
        return self.period.starts_at.astimezone(self.depot.zone).replace(tzinfo=None)

    @property
    def ends_at(self) -> datetime:
        return self.period.ends_at.astimezone(self.depot.zone).replace(tzinfo=None)

    @property
    def zone_name(self) -> str:
        return self.period.starts_at.astimezone(self.depot.zone).tzname() or self.depot.time_zone

    @property
    def amenities(self) -> str:
        return ", ".join(amenities_at(self.depot.facilities))

    @property
    def total(self) -> int:
        return len(self.free) + len(self.refused)

    @property
    def refusal(self) -> SlotRow | None:
        """The refusal that is shown for the whole depot when nothing is free: one with a way out, if there is one."""
        if self.free:
            return None
        with_nearest = [row for row in self.refused if row.nearest]
        return min(with_nearest, key=self._distance) if with_nearest else next(iter(self.refused), None)

    def _distance(self, row: SlotRow) -> timedelta:
        return abs(row.nearest.period.starts_at - self.period.starts_at) if row.nearest else timedelta.max


@dataclass(frozen=True)
class UnclearPlace:
    """A depot on whose wall clock the times that are looked for mean nothing, or two things; alone it asks which."""

    depot: Depot
    why: str
    only_url: str


def unclear_places(form: SearchForm) -> list[UnclearPlace]:
    unclear = form.cleaned_data["unclear"]
    asked = {name.removeprefix(ASKED): value for name, value in form.question.items()}
    return [
        UnclearPlace(
            depot,
            unclear[depot.time_zone],
            f"{reverse('bookings:slots')}?{urlencode({**asked, 'depot': depot.code})}",
        )
        for depot in form.depots
        if depot.time_zone in unclear
    ]


def places(
    request: HttpRequest, form: SearchForm, search: SlotSearch, *, request_id: UUID
) -> list[DepotResults]:
    """Results by depot, that of the best offer first (bookings.search.offers.rank); `request_id` as for `SlotRows`."""
    offers = find_slots(search)
    offers += offers_by_moves(full_pools(search, offers))
    by_depot: dict[int, list[SlotOffer]] = {}
    for offer in offers:
        by_depot.setdefault(offer.option.depot_id, []).append(offer)
    around = spanning(offer.period for offer in offers)
    booked = overlaps.overlapping(search.fleet, around, vehicle=search.vehicle) if around else []
    payments = SlotPayments.of(offers, search)
    rows = SlotRows(request, form, search, Strips(offers, search), payments, request_id)
    told = PartnerNotes(offers)
    # An offer's rank is its depot's: the dict keeps the order in which depots first come up.
    found = [_place(form, search, group, rows, payments, booked, told) for group in by_depot.values()]
    return in_order(found, form.cleaned_data["order"])


def _place(
    form: SearchForm,
    search: SlotSearch,
    offers: Sequence[SlotOffer],
    rows: SlotRows,
    payments: SlotPayments,
    booked: Sequence[Booking],
    told: PartnerNotes,
) -> DepotResults:
    depot, period = offers[0].option.depot, offers[0].period
    shown = next((offer for offer in offers if offer.is_free), offers[0])
    ages = [offer.option.calendar_at for offer in offers if offer.is_hint and offer.option.calendar_at]
    return DepotResults(
        depot=depot,
        period=period,
        free=[rows.of(offer) for offer in offers if offer.is_free],
        refused=[rows.of(offer) for offer in offers if not offer.is_free],
        terms=wording.terms_lines(shown.terms, period, depot, now=search.now),
        only_url=address(form, search, depot, period) if search.depot is None else "",
        calendar_at=min(ages, default=None),
        elsewhere=overlaps.sentence([b for b in booked if b.period.overlaps(period)], search.vehicle),
        payment=payments.at_depot(offers),
        notes=told.of(offers),
        is_best_effort=shown.is_best_effort,
        distance_km=search.near.distance_km(depot.latitude, depot.longitude) if search.near else None,
        is_by_energy=bool(search.energy),
        wait_form=rows.wait_form(depot, period) if any(is_waited_for(offer) for offer in offers) else "",
    )
