"""The entries of a board's list as HTML: what the list shows, and in their attributes what the timeline is drawn from.

Written here and not in templates: a week of a large depot is thousands of them, and a template's turn for each would be most
of what the page costs. All that comes from people is escaped where it is put in; `mark_safe` would only look for lazy texts.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString

from bookings.models import Booking
from bookings.models.fleet import shown_again
from bookings.pages.board.bars import Bar, BookingFacts, Closed, OthersBar, Visit
from bookings.pages.board.wall import WallClock
from bookings.rules.terms import Terms
from bookings.search.next_bay import next_bay_url
from bookings.templatetags.board import enforcement_badge, marks, status_badge
from depots.models import Depot
from depots.templatetags.berth import kilowatt_hours

_escaped = lru_cache(4096)(lambda text: str(escape(text)))
_PENDING_BADGE = '<span class="badge-status status-requested">Asks to move here</span>'


class Entries:
    """Writes the entries of one depot's board, for who looks after it (`is_for_depot`) or for a guest."""

    def __init__(self, depot: Depot, *, is_for_depot: bool, now: datetime) -> None:
        self._depot, self._is_for_depot, self._now = depot, is_for_depot, now
        self._wall = WallClock(depot.zone)
        self._before_id, self._after_id = _around_id(depot, is_for_depot=is_for_depot)
        self._closures_url = reverse("bookings:closures", args=[depot.code])
        self._link = " data-dialog" if is_for_depot else ""

    def bar(self, bar: Bar) -> SafeString:
        booking, wall = bar.booking, self._wall
        first, last = wall[bar.starts_at], wall[bar.ends_at]
        span = f"{wall[bar.span_starts_at].utc}/{wall[bar.span_ends_at].utc}"
        step = (
            f' data-step="{booking.step_min or Terms.slot_step_min}"'
            if self._is_for_depot and bar.can_move
            else ""
        )
        waits = " data-waits" if booking.decide_until is not None else ""
        url = f"{self._before_id}{booking.pk}{self._after_id}"
        return SafeString(
            f'<li class="plan-entry{self._classes(bar)}" {self._identity(bar)} data-starts="{first.utc}"'
            f' data-ends="{last.utc}" data-span="{span}" data-version="{booking.version}"{step}{waits}>'
            f'<time class="plan-when" datetime="{first.utc}/{last.utc}" data-day="{first.day}">'
            f"{first.until(last)}</time>"
            f'<a class="plan-plate" href="{url}"{self._link}>{_escaped(booking.plate or "No plate")}</a>'
            f'{self._who(booking)}<span class="plan-badges">{self._badges(bar)}</span></li>'
        )

    def taken(self, taken: OthersBar) -> SafeString:
        first, last = self._wall[taken.starts_at], self._wall[taken.ends_at]
        return SafeString(
            f'<li class="plan-entry plan-taken" data-taken data-starts="{first.utc}" data-ends="{last.utc}">'
            f'<time class="plan-when" datetime="{first.utc}/{last.utc}">{first.until(last)}</time>'
            "<span>Taken</span></li>"
        )

    def closed(self, closed: Closed) -> SafeString:
        closure = closed.closure
        first, last = self._wall[closure.starts_at], self._wall[closure.ends_at]
        return SafeString(
            f'<li class="plan-entry plan-closed" data-closure="{closure.pk}" data-starts="{first.utc}" data-ends="{last.utc}">'
            f'<time class="plan-when" datetime="{first.utc}/{last.utc}">{first.until(last)}</time>'
            f'<a class="plan-plate" href="{self._closures_url}">Closed</a>'
            f'<span class="plan-who">{_escaped(closure.reason)}</span></li>'
        )

    def visit(self, visit: Visit) -> SafeString:
        session = visit.session
        first = self._wall[session.started_at]
        ends = f' data-ends="{self._wall[session.ended_at].utc}"' if session.ended_at else ""
        energy = ""
        if session.energy_wh is not None:
            energy = f'<span class="soft numbers">{kilowatt_hours(session.energy_wh)}</span>'
        stranger = "" if session.is_entitled else '<span class="row-error">stranger</span>'
        return SafeString(
            f'<li class="plan-entry plan-visit" data-session="{session.pk}" data-starts="{first.utc}"{ends}>'
            f'<time class="plan-when" datetime="{first.utc}">{self._stay(visit)}</time>'
            f'<span class="plan-plate">No booking</span><span class="plan-who">{_escaped(visit.who)}</span>'
            f'<span class="plan-badges">{energy}{stranger}</span></li>'
        )

    def _classes(self, bar: Bar) -> str:
        given_up = " is-given-up" if bar.is_given_up else ""
        over = " is-over" if bar.is_over(self._now) else ""
        return f"{given_up}{over}{' is-pending' if bar.is_pending else ''}"

    def _identity(self, bar: Bar) -> str:
        booking = bar.booking
        if bar.is_pending:
            return f'data-pending="{booking.pk}"'
        interrupted = " data-interrupted" if booking.is_interrupted else ""
        overstay = ""
        if booking.overstays(self._now):
            overstay = f' data-overstay="{self._wall[bar.ends_at].utc}"'
        return (
            f'data-booking="{booking.pk}" data-status="{booking.status}" data-enforcement="{booking.enforcement}"'
            f"{interrupted}{overstay}"
        )

    def _who(self, booking: BookingFacts) -> str:
        """Whose it is, for those who look after the depot: fleet and token ending. For its fleet, where it could go on."""
        if self._is_for_depot:
            return f'<span class="plan-who">{_owner(booking.fleet_name, booking.token)}</span>'
        if booking.is_interrupted:
            # The whole booking: there are few, and a fleet has few of them. The depot's panel names the bay itself.
            whole = Booking.objects.select_related("depot", "vehicle").get(pk=booking.pk)
            url = _escaped(next_bay_url(whole, now=self._now))
            return f'<span class="plan-who"><a class="plan-next" href="{url}">Next possible bay</a></span>'
        return ""

    def _badges(self, bar: Bar) -> str:
        booking = bar.booking
        if bar.is_pending:
            return _PENDING_BADGE
        status = "" if bar.is_broken_off else status_badge(booking.status)
        enforcement = ""
        if bar.shows_enforcement:
            enforcement = enforcement_badge(booking.enforcement, booking.enforcement_sentence)
        return f"{status}{marks(booking, self._now)}{enforcement}"

    def _stay(self, visit: Visit) -> str:
        session = visit.session
        if session.ended_at is None or session.ended_at <= session.started_at:
            return f"{self._wall[session.started_at].clock}–"
        return self._wall[session.started_at].until(self._wall[session.ended_at])


@lru_cache(4096)
def _owner(fleet: str, token: str | None) -> str:
    return str(escape(f"{fleet} · {shown_again(token)}" if token else fleet))


def _around_id(depot: Depot, *, is_for_depot: bool) -> tuple[str, str]:
    """The address of a booking's page or panel, before and after its id."""
    if is_for_depot:
        address = reverse("bookings:board_booking", args=[depot.code, 0])
    else:
        address = reverse("bookings:booking", args=[0])
    before, _, after = address.rpartition("0")
    return before, after
