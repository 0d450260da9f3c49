"""The finder's results, depot by depot: what is free, what is not and why, and a picture of the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from bookings.errors import SlotTaken
from bookings.models import Booking
from bookings.pages import overlaps, wording
from bookings.pages.board.states import RowState
from bookings.pages.forms.slots import ASKED, SearchForm
from bookings.pages.strips import Strips
from bookings.rules.configuration import Bay
from bookings.search import trouble
from bookings.search.offers import SlotOffer, SlotSearch, find_slots
from depots.models import Depot, Evse
from depots.periods import Period, spanning
from depots.queries import is_online
from depots.standards import PLUGS
from depots.templatetags.berth import icon, kilowatts, money

# Refusals that another time would mend, and how far that was looked for.
NO_NEAREST = {
    "slot_taken": "Nothing of that length is free within a day before or after.",
    "power_unavailable": "No nearest time with enough power is known.",
    "depot_closed": "It does not open for that long within a week.",
}


@dataclass(frozen=True)
class Nearest:
    """The nearest slot that would be possible, one click away."""

    period: Period
    url: str
    words: str

    @classmethod
    def of(cls, form: SearchForm, search: SlotSearch, depot: Depot, period: Period) -> Nearest:
        asked = search.period_at(depot) or period
        ends = period.ends_at.astimezone(depot.zone)
        words = f"{wording.local(period.starts_at, asked, depot)}–{ends:%H:%M}"
        return cls(period, address(form, search, depot, period), words)


@dataclass(frozen=True, slots=True)
class SlotRow:
    """An EVSE in the results, or what a partner offers where it names none; in words, as its template prints it.

    `carried` are the hidden fields of its form. Of a refused slot `why` says why, and `without_nearest` that no other time
    is known, where another time would help.
    """

    offer: SlotOffer
    uid: str
    evse_id: str
    is_free: bool
    is_hint: bool
    state: SafeString
    trouble: str
    facts: SafeString
    strip: SafeString
    price: str
    carried: SafeString
    why: str
    nearest: Nearest | None
    without_nearest: str


@dataclass(frozen=True)
class DepotResults:
    """A depot in the results. Terms and price stand here once where all free rows share them."""

    depot: Depot
    period: Period
    free: list[SlotRow]
    refused: list[SlotRow]
    terms: list[wording.TermLine]
    only_url: str
    calendar_at: datetime | None
    elsewhere: str

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


def places(form: SearchForm, search: SlotSearch, *, request_id: UUID) -> list[DepotResults]:
    """Results by depot, that of the best offer first (bookings.search.offers.rank).

    The forms of the slots share `request_id`, the key of this page (see `ReserveForm.request_ids`).
    """
    offers = find_slots(search)
    by_depot: dict[int, list[SlotOffer]] = {}
    for offer in offers:
        by_depot.setdefault(offer.option.depot_id, []).append(offer)
    around = spanning(offer.period for offer in offers)
    booked = overlaps.overlapping(search.fleet, around, vehicle=search.vehicle) if around else []
    rows = _Rows(form, search, Strips(offers, search), request_id)
    # An offer's rank is its depot's: the dict keeps the order in which depots first come up.
    return [_place(form, search, group, rows, booked) for group in by_depot.values()]


def address(form: SearchForm, search: SlotSearch, depot: Depot, period: Period) -> str:
    """Where the finder looks at another time or place."""
    return f"{reverse('bookings:slots')}?{urlencode(form.query(depot, search.vehicle, period))}"


def _place(
    form: SearchForm,
    search: SlotSearch,
    offers: Sequence[SlotOffer],
    rows: _Rows,
    booked: Sequence[Booking],
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
    )


class _Rows:
    """Makes the rows of one page; what all rows of a depot share is made once."""

    def __init__(self, form: SearchForm, search: SlotSearch, strips: Strips, request_id: UUID) -> None:
        self._form, self._search, self._strips = form, search, strips
        self._sent_by_all = {
            "request_id": str(request_id),
            "shown_at": search.now.isoformat(),
            **form.question,
        }
        self._sent: dict[int, SafeString] = {}

    def of(self, offer: SlotOffer) -> SlotRow:
        evse, refusal, nearest = offer.evse, offer.refusal, None
        live = offer.live
        if offer.nearest is not None and refusal is not None:
            nearest = Nearest.of(self._form, self._search, offer.option.depot, offer.nearest)
        return SlotRow(
            offer=offer,
            uid=evse.uid if evse else offer.option.code,
            evse_id=str(evse.pk) if evse else "",
            is_free=offer.is_free,
            is_hint=offer.is_hint,
            state=_state(live, self._search.now) if live and live.charger else SafeString(""),
            trouble=trouble.sentence(offer.trouble) if offer.is_free else "",
            facts=_facts(offer.power_w, evse),
            strip=self._strips.of(offer),
            price=money(offer.quote.total, offer.quote.currency) if offer.quote else "",
            carried=self._carried(offer) if offer.is_free else SafeString(""),
            why=str(refusal or ""),
            nearest=nearest,
            without_nearest=_without_nearest(offer) if nearest is None else "",
        )

    def _carried(self, offer: SlotOffer) -> SafeString:
        depot_id = offer.option.depot_id
        if depot_id not in self._sent:
            self._sent[depot_id] = _hidden({**self._slot(offer.period), **self._sent_by_all})
        own = {"option": offer.option.pk, **({"evse": offer.evse.pk} if offer.evse else {})}
        return _hidden(own) + self._sent[depot_id]

    def _slot(self, period: Period) -> dict[str, Any]:
        vehicle, times = self._search.vehicle, period.in_utc()
        return {
            "fleet": self._search.fleet.pk,
            "vehicle": vehicle.pk if vehicle else "",
            "starts_at": times.starts_at.isoformat(),
            "ends_at": times.ends_at.isoformat(),
        }


def _hidden(fields: Mapping[str, Any]) -> SafeString:
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', fields.items())


def _without_nearest(offer: SlotOffer) -> str:
    """Said where another time was looked for and none was found; where no time would do there is nothing to say."""
    if offer.refusal is None:
        return ""
    if offer.is_hint:
        return "No nearest time is known." if isinstance(offer.refusal, SlotTaken) else ""
    return NO_NEAREST.get(offer.refusal.code, "")


def _state(live: Evse, now: datetime) -> SafeString:
    """What its charger says now, where the page's script finds it."""
    state = RowState(live, None, live.charger is not None and is_online(live.charger, now=now))
    return format_html(
        ' <span class="offer-state" data-evse-state="{}"><span class="state state-{}">{}</span></span>',
        live.pk, state.look, state.word,
    )  # fmt: skip


def _facts(power_w: int, evse: Evse | Bay | None) -> SafeString:
    """What is promised, the plugs, and what a driver wants to know of the bay."""
    if evse is None:
        return _listed(power_w, "", ())
    plugs = ", ".join(sorted(PLUGS[name].label if name in PLUGS else name for name in evse.plugs))
    length = evse.max_vehicle_length_cm
    bay = [
        (f"up to {length / 100:g} m" if length else "", bool(length)),
        ("drive-through", evse.drive_through),
        ("reefer outlet", evse.refrigeration_outlet),
        ("dangerous goods", evse.dangerous_goods_allowed),
    ]
    return _listed(power_w, plugs, tuple(words for words, applies in bay if applies))


@lru_cache(maxsize=1000)
def _listed(power_w: int, plugs: str, bay: tuple[str, ...]) -> SafeString:
    """Bays are much alike: what is said of one is kept for the others."""
    parts = [format_html("{}{}", icon("plug"), plugs)] if plugs else []
    others = format_html_join("", ' · <span class="nowrap">{}</span>', [(part,) for part in [*parts, *bay]])
    return format_html('<b class="nowrap">{}</b>{}', kilowatts(power_w), others)
