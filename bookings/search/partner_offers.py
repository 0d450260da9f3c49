"""What partners' calendars tell of a search: hints, each as old as its calendar."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Prefetch

from bookings.errors import BookingError, DoesNotFit, NotAligned, SlotTaken
from bookings.models import BookingOption, OfferedSlot
from bookings.rules import fit, periods, quotes
from bookings.rules.energy_slots import partners_slot
from bookings.rules.partner_prices import PartnerPrices, partners_power_w
from bookings.rules.reservations import kept_before
from bookings.rules.terms import LONGEST_BOOKING, Terms
from bookings.search import availability, told_slots, trouble
from bookings.search.asked_elsewhere import asked_elsewhere
from bookings.search.bookable import evses_with_bays, terms_by_option
from bookings.search.slots import SlotOffer, SlotSearch, against_terms
from bookings.search.told_evses import free_now, is_told, told_evses
from depots.models import Depot, Evse
from depots.periods import Period, gaps, spanning, united

# By energy a longer time is looked for so often, where the free time that was found first is too short.
MOST_LENGTHS = 6


def partner_offers(search: SlotSearch, depots: Sequence[Depot]) -> list[SlotOffer]:
    """What partners' calendars tell."""
    asked = spanning(period for depot in depots if (period := search.period_at(depot)))
    if asked is None:
        return []
    rows = BookingOption.objects.filter(depot__in=depots, is_withdrawn=False).order_by("pk")
    options = list(rows.prefetch_related(Prefetch("evses", evses_with_bays())))
    by_depot = {depot.pk: depot for depot in depots}
    for option in options:
        option.depot = by_depot[option.depot_id]
    terms = terms_by_option(options, search.fleet, now=search.now)
    slots: dict[int, list[OfferedSlot]] = {option.pk: [] for option in options}
    longest = LONGEST_BOOKING if search.energy else availability.FAR
    around = asked.widened(availability.FAR, longest + (search.patience or timedelta()))
    for slot in OfferedSlot.objects.filter(option__in=slots, period__overlap=around):
        slots[slot.option_id].append(slot)
    prices, told = PartnerPrices(by_depot), told_evses(options)
    soonest = asked.widened(after=search.patience or timedelta())
    taken = asked_elsewhere([option.pk for option in options if option.is_best_effort], soonest)
    hints = [
        _hint(search, option, terms[option.pk], slots[option.pk], prices, taken.get(option.pk, ()), told)
        for option in options
    ]
    return [hint for hint in hints if not (search.fitting_only and isinstance(hint.refusal, DoesNotFit))]


def _hint(
    search: SlotSearch,
    option: BookingOption,
    terms: Terms,
    slots: Collection[OfferedSlot],
    prices: PartnerPrices,
    taken: Collection[Period],
    told: Mapping[int, Sequence[Evse]],
) -> SlotOffer:
    evse = next(iter(option.evses.all()), None)
    free = united([s.period for s in slots])
    period, too_slow = _asked_period(search, option, terms, free, evse, slots)
    touched = [s for s in slots if s.period.overlaps(period)]
    nearest = _nearest_told(search, free, period, terms, option.depot)
    refusal: BookingError | None = None
    if evse is not None and (misfits := fit.misfits(search.wanted, evse)):
        refusal = DoesNotFit(fit.sentence(misfits))
    elif any(span.overlaps(period) for span in taken):
        refusal = SlotTaken("This EVSE is asked for already then.")
    elif not any(span.covers(period) for span in free):
        refusal = SlotTaken("The partner shows no free time for this slot.", nearest=nearest)
    else:
        refusal = against_terms(terms, option.depot, period, now=search.now) or too_slow
        refusal = refusal or _off_step(free, period, terms, option.depot, nearest)
    watts = partners_power_w(search.wanted, evse, [slot.max_power_w for slot in touched])
    held = prices.held(option.pk, evse.pk if evse else None, at=search.now)
    kept = kept_before(period.starts_at, now=search.now) if option.is_best_effort else None
    quote = quotes.quoted(
        held, period, option.depot.zone, power_w=watts, vehicle=search.vehicle, energy_wh=search.energy_wh, reserved=kept,
    )  # fmt: skip
    live = evse if evse is not None and is_told(evse) else None
    return SlotOffer(
        option, evse, period, terms, watts, quote, refusal, refusal.nearest if refusal else nearest, is_hint=True,
        live=live, free_now=free_now(told[option.pk]) if told.get(option.pk) else None,
        trouble=trouble.trouble_of(live, period, now=search.now),
        most_w=min((slot.max_power_w for slot in touched if slot.max_power_w), default=None),
    )  # fmt: skip


def _asked_period(
    search: SlotSearch,
    option: BookingOption,
    terms: Terms,
    free: Collection[Period],
    evse: Evse | None,
    slots: Collection[OfferedSlot],
) -> tuple[Period, BookingError | None]:
    """What would be asked for, and why it is too slow where it is; with patience at the first time that the calendar shows free
    for as long as charging takes then."""
    wanted = search.period_at(option.depot)
    assert wanted is not None  # options of other zones were left out
    length = wanted.duration
    for _ in range(MOST_LENGTHS):
        period = Period(wanted.starts_at, wanted.starts_at + length)
        if search.patience is not None:
            period = _earliest_told(free, period, terms, search.patience, now=search.now)
        period, too_slow = _told_length(search, period, terms, option.depot, evse, slots)
        if search.patience is None or too_slow or any(span.covers(period) for span in free):
            break
        if period.duration <= length:
            break
        length = period.duration
    return period, too_slow


def _earliest_told(
    free: Collection[Period], period: Period, terms: Terms, patience: timedelta, *, now: datetime
) -> Period:
    """The first time that can be asked for, on the steps of the calendar; where there is none in time, as it is asked for."""
    step = timedelta(minutes=terms.slot_step_min)
    found = told_slots.nearest_told(free, period, step, now=max(now, period.starts_at))
    return found if found and found.starts_at - period.starts_at <= patience else period


def _told_length(
    search: SlotSearch,
    period: Period,
    terms: Terms,
    depot: Depot,
    evse: Evse | None,
    slots: Collection[OfferedSlot],
) -> tuple[Period, BookingError | None]:
    """As long as charging takes with what its EVSE gives and its calendar tells; else the least there is, and why."""
    slot = search.energy_slot(period, terms, depot)
    if slot is None:
        return period, None
    try:
        return partners_slot(slot, search.wanted, evse, slots)[0], None
    except BookingError as refusal:
        return slot.least, refusal


def _off_step(
    free: Collection[Period], period: Period, terms: Terms, depot: Depot, nearest: Period | None
) -> BookingError | None:
    """A partner refuses what is not on its step, which counts from where its free time begins; some mean the wall clock's."""
    step = terms.slot_step_min
    begin = told_slots.begin_of_steps(free, period, timedelta(minutes=step))
    if begin is None or all(
        periods.is_aligned(end, step, depot) for end in (period.starts_at, period.ends_at)
    ):
        return None
    is_on_clock = periods.is_aligned(begin, step, depot)
    since = "" if is_on_clock else f", counted from {begin.astimezone(depot.zone):%H:%M}"
    return NotAligned(f"Slots there begin and end every {step} minutes{since}.", nearest=nearest)


def _nearest_told(
    search: SlotSearch, free: Collection[Period], period: Period, terms: Terms, depot: Depot
) -> Period | None:
    step, now = timedelta(minutes=terms.slot_step_min), search.now
    nearest = told_slots.nearest_told(free, period, step, now=now)
    if search.is_refused and nearest == period:
        beside = [part for span in free for part in gaps(span, [period])]
        nearest = told_slots.nearest_told(beside, period, step, now=now)
    is_possible = nearest is not None and against_terms(terms, depot, nearest, now=now) is None
    return nearest if is_possible else None
