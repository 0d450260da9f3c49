"""The rows of the finder's results as HTML: an EVSE each, with its day, its price and the buttons that take it.

Written here and not in templates, as a board's entries are: there are many on a page, and a template's turn for each was a
quarter of what the page costs. All that comes from people is escaped where it is put in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from bookings.errors import SlotTaken
from bookings.operations.waitlist import MAY_PASS
from bookings.pages import partner_notes, wording
from bookings.pages.board.row_states import RowState
from bookings.pages.forms.energy import written
from bookings.pages.forms.slots import SearchForm
from bookings.pages.price_parts import bill_parts
from bookings.pages.slot_payments import SlotPayments
from bookings.pages.strips import Strips
from bookings.rules.configuration import Bay
from bookings.rules.quotes import Quote
from bookings.search import trouble
from bookings.search.slots import SlotOffer, SlotSearch
from depots.models import Depot, Evse
from depots.periods import Period
from depots.queries import is_online
from depots.standards import PLUGS
from depots.templatetags.berth import duration, icon, kilowatts, money

# Refusals that another time would mend, and how far that was looked for.
NO_NEAREST = {
    "slot_taken": "Nothing of that length is free within a day before or after.",
    "power_unavailable": "No nearest time with enough power is known.",
    "depot_closed": "It does not open for that long within a week.",
}

_SCALE = (
    '<span class="strip-scale" aria-hidden="true">'
    "<span>0</span><span>6</span><span>12</span><span>18</span><span>24</span></span>"
)


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
    """An EVSE in the results, or what a partner offers where it names none.

    `price` is its total and currency, where there is one. Of a refused slot `why` says why, and `without_nearest` that no other
    time is known, where another time would help.
    """

    html: SafeString
    why: str
    nearest: Nearest | None
    without_nearest: str
    price: tuple[Decimal, str] | None = None


def address(form: SearchForm, search: SlotSearch, depot: Depot, period: Period) -> str:
    """Where the finder looks at another time or place."""
    return f"{reverse('bookings:slots')}?{urlencode(form.query(depot, search.vehicle, period))}"


class SlotRows:
    """Writes the rows of one page; what all rows of a depot share is made once.

    The forms of the slots share `request_id`, the key of this page (see `ReserveForm.request_ids`).
    """

    def __init__(
        self,
        request: HttpRequest,
        form: SearchForm,
        search: SlotSearch,
        strips: Strips,
        payments: SlotPayments,
        request_id: UUID,
    ) -> None:
        self._form, self._search, self._strips, self._payments = form, search, strips, payments
        self._holds, self._bookings = reverse("bookings:holds"), reverse("bookings:bookings")
        self._repeated = reverse("bookings:repeat_slot")
        self._sent_by_all = {
            "request_id": str(request_id),
            "shown_at": search.now.isoformat(),
            **form.question,
        }
        self._csrf = _hidden({"csrfmiddlewaretoken": get_token(request)})
        self._sent: dict[tuple[int, Period], SafeString] = {}
        self._prices: dict[int, str] = {}

    def of(self, offer: SlotOffer) -> SlotRow:
        nearest = None
        if offer.nearest is not None and offer.refusal is not None:
            nearest = Nearest.of(self._form, self._search, offer.option.depot, offer.nearest)
        why, without_nearest = str(offer.refusal or ""), "" if nearest else _without_nearest(offer)
        uid = escape(offer.evse.uid if offer.evse else offer.option.code)
        begin = (
            f'<li class="offer" data-evse="{uid}" data-free>'
            if offer.is_free
            else f'<li class="offer offer-refused" data-evse="{uid}">'
        )
        refused = f"{_refusal(why, nearest, without_nearest)}{_wait(offer, uid)}"
        end = self._price_and_form(offer, uid) if offer.is_free else refused
        return SlotRow(
            SafeString(f"\n{begin}\n{self._what(offer, uid)}\n{self._day(offer)}\n{end}\n</li>\n"),
            why,
            nearest,
            without_nearest,
            (offer.quote.total, offer.quote.currency) if offer.quote else None,
        )

    def wait_form(self, depot: Depot, period: Period) -> SafeString:
        """One form for all refused slots of a depot, each of which has a button of it."""
        return format_html(
            '<form method="post" action="{}" id="wait-{}">{}{}</form>',
            reverse("bookings:waitlist"), depot.pk, self._csrf, _hidden(self._slot(period)),
        )  # fmt: skip

    def _what(self, offer: SlotOffer, uid: str) -> str:
        live, warning = offer.live, ""
        state = _state(live, self._search.now) if live and (live.charger or offer.is_hint) else _free(offer)
        if offer.is_free and offer.trouble:
            words = escape(trouble.sentence(offer.trouble))
            warning = f'<p class="offer-trouble" data-trouble="{offer.trouble}">{icon("alert-triangle")}Now: {words}</p>'
        planned = ""
        if told := partner_notes.planned(offer):
            planned = f'<p class="offer-trouble" data-planned>{icon("alert-triangle")}{escape(told)}</p>'
        later = (
            f'<p class="offer-facts" data-undecided>{escape(offer.undecided)}</p>\n'
            if offer.undecided
            else ""
        )
        return (
            f'<div class="offer-what"><p class="offer-name">{uid}{state}</p>\n{warning}{planned}\n{later}'
            f'{self._until(offer)}<p class="offer-facts">{_facts(offer.power_w, offer.evse)}</p></div>'
        )

    def _until(self, offer: SlotOffer) -> SafeString:
        """When it is, where that differs from slot to slot."""
        if not self._search.energy and self._search.patience is None:
            return SafeString("")
        zone, period = offer.option.depot.zone, offer.period
        times = f"{period.starts_at.astimezone(zone):%H:%M}–{period.ends_at.astimezone(zone):%H:%M}"
        return format_html(
            '<p class="offer-facts" data-until><b class="nowrap">{}</b> <span class="nowrap">{}</span></p>',
            times, duration(period.duration),
        )  # fmt: skip

    def _day(self, offer: SlotOffer) -> str:
        if offer.is_by_moves:  # no one EVSE's day is its
            return '<div class="offer-day"></div>'
        return f'<div class="offer-day">{self._strips.of(offer)}{_SCALE}</div>'

    def _price_and_form(self, offer: SlotOffer, uid: str) -> str:
        action = self._bookings if offer.is_hint else self._holds
        return (
            f'<div class="offer-price">{self._price(offer)}{self._payment(offer)}</div>\n'
            f'<form class="offer-actions" method="post" action="{action}">{self._csrf}{self._carried(offer)}\n'
            f"{self._buttons(offer, uid)}\n</form>"
        )

    def _price(self, offer: SlotOffer) -> str:
        """Bays that are priced alike share a quote, which is written once."""
        quote = offer.quote
        if quote is None:
            words = "at the partner's prices" if offer.is_hint else "no price set"
            return f'<span class="soft">{words}</span>'
        if id(quote) not in self._prices:
            self._prices[id(quote)] = _by_parts(quote)
        return self._prices[id(quote)]

    def _payment(self, offer: SlotOffer) -> str:
        words = self._payments.words(offer)
        return f'<span class="soft offer-pays">{escape(words)}</span>' if words else ""

    def _buttons(self, offer: SlotOffer, uid: str) -> str:
        if offer.is_hint:
            words = "Ask by best effort" if offer.is_best_effort else "Ask the partner"
            return (
                f'<button class="btn btn-primary" type="submit">{words}'
                f'<span class="visually-hidden"> for {uid}</span></button>'
            )
        asks = offer.terms.approval or self._payments.is_waited_for(offer)
        at_once = "Ask now" if asks else "Book now"
        return (
            f'<button class="btn btn-primary" type="submit">Reserve<span class="visually-hidden"> {uid}</span></button>\n'
            f'<button class="btn btn-quiet" type="submit" formaction="{self._bookings}">{at_once}'
            f'<span class="visually-hidden">: {uid}</span></button>{self._repeat(uid)}'
        )

    def _repeat(self, uid: str) -> str:
        """A series has a vehicle."""
        if self._search.vehicle is None:
            return ""
        return (
            f'\n<button class="btn btn-quiet" type="submit" formaction="{self._repeated}">Repeat'
            f'<span class="visually-hidden">: {uid}</span></button>'
        )

    def _carried(self, offer: SlotOffer) -> str:
        key = offer.option.depot_id, offer.period
        if key not in self._sent:
            self._sent[key] = _hidden({**self._slot(offer.period), **self._sent_by_all})
        evse = f'<input type="hidden" name="evse" value="{offer.evse.pk}">' if offer.evse else ""
        shown = f"{offer.quote.total} {offer.quote.currency}" if offer.quote else "none"
        return (
            f'<input type="hidden" name="option" value="{offer.option.pk}">{evse}{self._sent[key]}'
            f'<input type="hidden" name="shown_price" value="{shown}">'
        )

    def _slot(self, period: Period) -> dict[str, Any]:
        vehicle, times = self._search.vehicle, period.in_utc()
        return {
            "fleet": self._search.fleet.pk,
            "vehicle": vehicle.pk if vehicle else "",
            "starts_at": times.starts_at.isoformat(),
            "ends_at": times.ends_at.isoformat(),
            **({"trailer": self._search.trailer.pk} if self._search.trailer else {}),
            **written(self._search.energy),
        }


def _hidden(fields: Mapping[str, Any]) -> SafeString:
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', fields.items())


def _by_parts(quote: Quote) -> str:
    """The total, and its parts when one opens them."""
    price = bill_parts(quote.bill)
    parts = [(part.what, part.detail, money(part.amount, price.currency)) for part in price.parts]
    taxes = [(words, "", money(amount, price.currency)) for words, amount in price.taxes]
    rows = format_html_join(
        "", '<tr><th scope="row">{} <span class="soft">{}</span></th><td>{}</td></tr>', [*parts, *taxes]
    )
    return (
        f"<b>{escape(money(price.total, price.currency))}</b>"
        '<details class="offer-parts" name="offer-parts"><summary>about, VAT included</summary>'
        f'<table class="price"><tbody>{rows}</tbody></table></details>'
    )


def _refusal(why: str, nearest: Nearest | None, without_nearest: str) -> SafeString:
    if nearest is None:
        return format_html('<p class="offer-why"><span>{}</span> {}</p>', why, without_nearest)
    return format_html(
        '<p class="offer-why"><span>{}</span> <a href="{}" data-nearest>Nearest: {}</a></p>',
        why, nearest.url, nearest.words,
    )  # fmt: skip


def _wait(offer: SlotOffer, uid: str) -> str:
    """Where somebody may give it back."""
    if not is_waited_for(offer):
        return ""
    place = f"{offer.option.pk}-{offer.evse.pk if offer.evse else ''}"
    return (
        f'<p class="offer-wait"><button class="btn btn-quiet btn-small" type="submit" name="place" value="{place}" '
        f'form="wait-{offer.option.depot_id}">{icon("hourglass")}Wait for it'
        f'<span class="visually-hidden">: {uid}</span></button></p>'
    )


def is_waited_for(offer: SlotOffer) -> bool:
    return offer.refusal is not None and isinstance(offer.refusal, MAY_PASS)


def _without_nearest(offer: SlotOffer) -> str:
    """Said where another time was looked for and none was found; where no time would do there is nothing to say."""
    if offer.refusal is None:
        return ""
    if offer.is_hint:
        return "No nearest time is known." if isinstance(offer.refusal, SlotTaken) else ""
    return NO_NEAREST.get(offer.refusal.code, "")


def _state(live: Evse, now: datetime) -> SafeString:
    """What its charger says now, where the page's script finds it; what a partner has said of it, and when."""
    if live.charger is None:
        state, told = RowState(live, None, is_online=True), f", told {timesince(live.updated_at, now)} ago"
    else:
        state, told = RowState(live, None, is_online(live.charger, now=now)), ""
    return format_html(
        ' <span class="offer-state" data-evse-state="{}"><span class="state state-{}">{}{}</span></span>',
        live.pk, state.look, state.word, told,
    )  # fmt: skip


def _free(offer: SlotOffer) -> SafeString:
    """Of the EVSEs that a partner may assign."""
    if offer.free_now is None:
        return SafeString("")
    free, of = offer.free_now
    return format_html(
        ' <span class="offer-state"><span class="state state-{}">{} of {} free now</span></span>',
        "free" if free else "busy", free, of,
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
