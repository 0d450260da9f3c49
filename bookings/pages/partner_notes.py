"""What partners tell people of their depots beside what can be booked there: hours that differ, what an EVSE will be, places for
who has not booked, and their tariffs in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from bookings.models import TariffVersion
from bookings.pages import wording
from bookings.search.slots import SlotOffer
from depots.models import Depot, Evse
from depots.periods import Period

# Around a slot: so much of its day is of interest.
AROUND = timedelta(hours=12)
LONGEST_TEXT, MOST_NOTES = 300, 6


@dataclass(frozen=True)
class PartnerNote:
    """A sentence, and where there is more to read."""

    icon: str
    words: str
    url: str = ""


class PartnerNotes:
    """Of the partners' depots among some offers: two queries, none without such depots."""

    def __init__(self, offers: Iterable[SlotOffer]) -> None:
        hints = [offer for offer in offers if offer.is_hint]
        depots = {offer.option.depot_id for offer in hints}
        versions = {one.pk for offer in hints if offer.quote for one in offer.quote.tariffs if one}
        differing = Depot.objects.filter(pk__in=depots, exceptional_hours__isnull=False)
        self._exceptions = dict(differing.values_list("pk", "exceptional_hours")) if depots else {}
        told = TariffVersion.objects.filter(pk__in=versions)
        words = (
            told.values_list("pk", "source__tariff_alt_text", "source__tariff_alt_url") if versions else ()
        )
        self._words = {pk: (_text(text), _url(url)) for pk, text, url in words}

    def of(self, offers: Sequence[SlotOffer]) -> list[PartnerNote]:
        """Of one depot's offers."""
        depot, period = offers[0].option.depot, offers[0].period
        found = [
            *_hours(self._exceptions.get(depot.pk) or (), period, depot),
            *_places(offers),
            *self._tariffs(offers),
        ]
        return found[:MOST_NOTES]

    def _tariffs(self, offers: Sequence[SlotOffer]) -> Iterator[PartnerNote]:
        """Each text once."""
        held = {one.pk: None for offer in offers if offer.quote for one in offer.quote.tariffs if one}
        for text, url in dict.fromkeys(self._words[pk] for pk in held if pk in self._words):
            if text or url:
                yield PartnerNote("info-circle", text, url)


def planned(offer: SlotOffer) -> str:
    """What the EVSE will be in the slot but free, as its partner told; empty where that is nothing."""
    evse = offer.evse
    if not offer.is_hint or not isinstance(evse, Evse):
        return ""
    for told in evse.planned_statuses or ():
        since, until = datetime.fromisoformat(told["starts_at"]), told["ends_at"]
        ends_at = datetime.fromisoformat(until) if until else None
        if since >= offer.period.ends_at or (ends_at is not None and ends_at <= offer.period.starts_at):
            continue
        if told["status"] not in {Evse.Status.AVAILABLE, Evse.Status.UNKNOWN}:
            depot, words = offer.option.depot, Evse.Status(told["status"]).label.lower()
            end = f" until {wording.local(ends_at, offer.period, depot)}" if ends_at else ""
            return f"Planned: {words} from {wording.local(since, offer.period, depot)}{end}"
    return ""


def _hours(told: Iterable[dict[str, Any]], period: Period, depot: Depot) -> Iterator[PartnerNote]:
    for one in told:
        span = Period(datetime.fromisoformat(one["starts_at"]), datetime.fromisoformat(one["ends_at"]))
        if span.overlaps(period.widened(AROUND, AROUND)):
            words = "Also open" if one["is_open"] else "Closed"
            times = [wording.local(moment, period, depot) for moment in (span.starts_at, span.ends_at)]
            yield PartnerNote("clock", f"{words} {times[0]}–{times[1]}")


def _places(offers: Sequence[SlotOffer]) -> Iterator[PartnerNote]:
    told = {offer.option.pk: offer.option.ad_hoc_places for offer in offers if offer.is_hint}
    if number := sum(places or 0 for places in told.values()):
        yield PartnerNote("truck", f"{number} {'place' if number == 1 else 'places'} without a booking")


def _text(told: Any) -> str:
    """Of several languages English, else the first."""
    rows = [row for row in told if isinstance(row, dict)] if isinstance(told, list) else []
    rows.sort(key=lambda row: str(row.get("language", "")).lower() != "en")
    text = rows[0].get("text") if rows else None
    return " ".join(text.split())[:LONGEST_TEXT] if isinstance(text, str) else ""


def _url(told: Any) -> str:
    """A page, and nothing else that a link can do."""
    if not isinstance(told, str) or len(told) > 255 or not told.isprintable():
        return ""
    try:
        parts = urlsplit(told)
    except ValueError:
        return ""
    return told if parts.scheme in {"http", "https"} and parts.netloc else ""
