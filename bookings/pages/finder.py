"""The finder's results, depot by depot: what is free, what is not and why, and a picture of the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from urllib.parse import urlencode

from django.urls import reverse

from bookings.errors import SlotTaken
from bookings.models import Booking, Occupancy, OfferedSlot
from bookings.pages import overlaps, wording
from bookings.pages.board.states import RowState
from bookings.pages.forms.slots import ASKED, SearchForm
from bookings.rules.fit import standards
from bookings.search import availability, trouble
from bookings.search.offers import SlotOffer, SlotSearch, find_slots
from depots.models import Depot
from depots.periods import Period, gaps, united
from depots.queries import is_online
from depots.standards import PLUGS

# Refusals that another time would mend, and how far that was looked for.
NO_NEAREST = {
    "slot_taken": "Nothing of that length is free within a day before or after.",
    "power_unavailable": "No nearest time with enough power is known.",
    "depot_closed": "It does not open for that long within a week.",
}


@dataclass(frozen=True)
class Bar:
    """A stretch of a strip, in minutes from its left edge. `booking` only where it is one's own."""

    x: int
    width: int
    kind: str
    booking: Booking | None = None


@dataclass(frozen=True)
class Strip:
    """A day of one EVSE as bars, `width` minutes wide: taken, mine, closed, and the slot that is looked for."""

    width: int
    bars: list[Bar]
    words: str

    @property
    def hours(self) -> list[int]:
        return [hour * 60 for hour in range(6, self.width // 60, 6)]


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


@dataclass(frozen=True)
class Row:
    """An EVSE in the results, or what a partner offers where it names none."""

    offer: SlotOffer
    strip: Strip
    nearest: Nearest | None
    state: RowState | None

    @property
    def uid(self) -> str:
        return self.offer.evse.uid if self.offer.evse else self.offer.option.code

    @property
    def trouble(self) -> str:
        """Why it may not be ready, for people."""
        return trouble.sentence(self.offer.trouble)

    @property
    def without_nearest(self) -> str:
        """Said where another time was looked for and none was found; where no time would do there is nothing to say."""
        refusal = self.offer.refusal
        if refusal is None or self.nearest is not None:
            return ""
        if self.offer.is_hint:
            return "No nearest time is known." if isinstance(refusal, SlotTaken) else ""
        return NO_NEAREST.get(refusal.code, "")

    @property
    def plugs(self) -> str:
        names = standards(self.offer.evse) if self.offer.evse else set()
        return ", ".join(sorted(PLUGS[name].label if name in PLUGS else name for name in names))

    @property
    def bay(self) -> list[str]:
        """What a driver wants to know of the bay."""
        evse = self.offer.evse
        if evse is None:
            return []
        length = evse.max_vehicle_length_cm
        features = [
            (f"up to {length / 100:g} m" if length else "", bool(length)),
            ("drive-through", evse.drive_through),
            ("reefer outlet", evse.refrigeration_outlet),
            ("dangerous goods", evse.dangerous_goods_allowed),
        ]
        return [words for words, applies in features if applies]


@dataclass(frozen=True)
class Place:
    """A depot in the results. Terms and price stand here once where all free rows share them."""

    depot: Depot
    period: Period
    free: list[Row]
    refused: list[Row]
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
    def refusal(self) -> Row | None:
        """The refusal that is shown for the whole depot when nothing is free: one with a way out, if there is one."""
        if self.free:
            return None
        with_nearest = [row for row in self.refused if row.nearest]
        return min(with_nearest, key=self._distance) if with_nearest else next(iter(self.refused), None)

    @property
    def approval(self) -> bool:
        return any(row.offer.terms.approval for row in self.free)

    def _distance(self, row: Row) -> timedelta:
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


def places(form: SearchForm, search: SlotSearch, *, now: datetime) -> list[Place]:
    """Results by depot, that of the best offer first (bookings.search.offers.rank)."""
    offers = find_slots(search)
    by_depot: dict[int, list[SlotOffer]] = {}
    for offer in offers:
        by_depot.setdefault(offer.option.depot_id, []).append(offer)
    strips = _Strips(offers, search, now)
    around = _around([offer.period for offer in offers])
    booked = overlaps.overlapping(search.fleet, around, vehicle=search.vehicle) if around else []
    # An offer's rank is its depot's: the dict keeps the order in which depots first come up.
    return [_place(form, search, group, strips, booked, now) for group in by_depot.values()]


def address(form: SearchForm, search: SlotSearch, depot: Depot, period: Period) -> str:
    """Where the finder looks at another time or place."""
    return f"{reverse('bookings:slots')}?{urlencode(form.query(depot, search.vehicle, period))}"


def _place(
    form: SearchForm,
    search: SlotSearch,
    offers: Sequence[SlotOffer],
    strips: _Strips,
    booked: Sequence[Booking],
    now: datetime,
) -> Place:
    depot, period = offers[0].option.depot, offers[0].period
    rows = [_row(form, search, offer, strips, now) for offer in offers]
    shown = next((offer for offer in offers if offer.is_free), offers[0])
    ages = [offer.option.calendar_at for offer in offers if offer.is_hint and offer.option.calendar_at]
    return Place(
        depot=depot,
        period=period,
        free=[row for row in rows if row.offer.is_free],
        refused=[row for row in rows if not row.offer.is_free],
        terms=wording.terms_lines(shown.terms, period, depot, now=now),
        only_url=address(form, search, depot, period) if search.depot is None else "",
        calendar_at=min(ages, default=None),
        elsewhere=overlaps.sentence([b for b in booked if b.period.overlaps(period)], search.vehicle),
    )


def _row(form: SearchForm, search: SlotSearch, offer: SlotOffer, strips: _Strips, now: datetime) -> Row:
    evse, nearest = offer.evse, None
    if offer.nearest is not None and not offer.is_free:
        nearest = Nearest.of(form, search, offer.option.depot, offer.nearest)
    state = None
    if evse is not None and evse.charger is not None:
        state = RowState(evse, None, is_online(evse.charger, now=now))
    return Row(offer, strips.of(offer), nearest, state)


class _Strips:
    """The days of all EVSEs in the results, from three queries. Of others' time only that it is taken is kept."""

    def __init__(self, offers: Iterable[SlotOffer], search: SlotSearch, now: datetime) -> None:
        offers = list(offers)
        self._days = {offer.option.depot_id: _day(offer.option.depot, offer.period) for offer in offers}
        evse_ids = {offer.evse.pk for offer in offers if offer.evse and not offer.is_hint}
        within = _around(list(self._days.values()))
        self._taken = availability.occupied(evse_ids, within, now=now) if within and evse_ids else {}
        holders = {row.holder for rows in self._taken.values() for row in rows}
        self._mine = Booking.objects.filter(fleet=search.fleet).in_bulk(holders) if holders else {}
        self._offered: dict[int, list[Period]] = {}
        for slot in OfferedSlot.objects.filter(option__in={o.option.pk for o in offers if o.is_hint}):
            self._offered.setdefault(slot.option_id, []).append(slot.period)

    def of(self, offer: SlotOffer) -> Strip:
        day = self._days[offer.option.depot_id]
        bars = self._hints(offer, day) if offer.is_hint else self._occupied(offer, day)
        bars.append(_bar(offer.period, day, "wanted"))
        return Strip(int(day.minutes), [bar for bar in bars if bar], self._words(offer, day))

    def _occupied(self, offer: SlotOffer, day: Period) -> list[Bar | None]:
        assert offer.evse is not None  # own options have EVSEs
        rows = self._taken.get(offer.evse.pk, [])
        closed = gaps(day, offer.option.depot.open_spans(day))
        foreign = united([row.span for row in rows if row.holder not in self._mine])
        return [
            *[_bar(span, day, "closed") for span in closed],
            *[_bar(span, day, "taken") for span in foreign],
            *[_bar(row.span, day, "mine", self._booking(row)) for row in rows if row.holder in self._mine],
        ]

    def _hints(self, offer: SlotOffer, day: Period) -> list[Bar | None]:
        offered = united(self._offered.get(offer.option.pk, []))
        return [_bar(span, day, "unknown") for span in gaps(day, offered)]

    def _booking(self, row: Occupancy) -> Booking | None:
        return self._mine.get(row.holder) if row.kind == Occupancy.Kind.BOOKING else None

    def _words(self, offer: SlotOffer, day: Period) -> str:
        """The same for who cannot see it."""
        zone = offer.option.depot.zone
        if offer.is_hint or offer.evse is None:
            free = united(self._offered.get(offer.option.pk, []))
        else:
            free = gaps(day, [row.span for row in self._taken.get(offer.evse.pk, [])])
        cut = [span for period in free if (span := period.intersection(day))]
        spans = [f"{s.starts_at.astimezone(zone):%H:%M}–{s.ends_at.astimezone(zone):%H:%M}" for s in cut]
        return f"Free that day: {', '.join(spans)}" if spans else "Nothing free that day"


def _bar(span: Period, day: Period, kind: str, booking: Booking | None = None) -> Bar | None:
    cut = span.intersection(day)
    if cut is None:
        return None
    left = (cut.starts_at - day.starts_at).total_seconds() // 60
    return Bar(int(left), max(1, round(cut.minutes)), kind, booking)


def _day(depot: Depot, period: Period) -> Period:
    """The local day a period starts on; 23 or 25 hours where the clocks change."""
    date = period.starts_at.astimezone(depot.zone).date()
    first = datetime.combine(date, time(), depot.zone)
    return Period(first, datetime.combine(date + timedelta(days=1), time(), depot.zone)).in_utc()


def _around(days: Sequence[Period]) -> Period | None:
    if not days:
        return None
    return Period(min(day.starts_at for day in days), max(day.ends_at for day in days))
