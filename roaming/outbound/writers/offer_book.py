"""Offers as they go out, computed and written down once for all partners to whom they are the same.

What a partner sees of an offer depends on whether it may book it, on which terms and with which fee: a `View`. Partners with
equal views get the same bytes, also when their turn comes a moment later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bookings.models import BookingOption
from roaming import published
from roaming.models import Partner
from roaming.ocpi.client import Written
from roaming.ocpi.dialect import DIALECTS, dialect_of
from roaming.ocpi.style import Style, style_of
from roaming.outbound import deliveries
from roaming.published import PublishedOffer, View

logger = structlog.get_logger(__name__)

# So long what was written is good for others while nothing has changed; a calendar also ages by itself.
FRESH = timedelta(seconds=5)


@dataclass(frozen=True)
class WrittenOffer:
    """The body of a PUT; `digest` is equal for bodies that tell the same, `is_visible`: the partner may book it."""

    option: BookingOption
    body: Written
    digest: str
    is_visible: bool


@dataclass(frozen=True)
class _Key:
    """What makes an offer the same on the wire: the version of OCPI and its style, the view, and the version of its calendar."""

    protocol: str
    style: Style
    view: View
    calendar_version: int

    @classmethod
    def of(cls, partner: Partner, view: View) -> _Key:
        return cls(dialect_of(partner).VERSION, style_of(partner), view, view.option.calendar_version)


class OfferBook:
    """What a sending loop has written lately. Used from several threads: at worst something is written twice."""

    def __init__(self) -> None:
        self._written: dict[_Key, tuple[datetime, WrittenOffer]] = {}

    def written(
        self, partners: Collection[Partner], option_ids: Collection[int], *, now: datetime
    ) -> dict[tuple[int, int], WrittenOffer | None]:
        """By partner and option; None for what cannot be written, and what has no address on a wire is left out.

        The same few queries whatever the number of partners and options, and fewer for what was written already.
        """
        views = published.views(partners, option_ids, now=now)
        by_pk = {partner.pk: partner for partner in partners}
        keys = {asked: _Key.of(by_pk[asked[0]], view) for asked, view in views.items()}
        found = {key: kept for key in set(keys.values()) if (kept := self._fresh(key, now))}
        found |= self._write({key for key in keys.values() if key not in found}, now)
        return {asked: found.get(key) for asked, key in keys.items()}

    def _fresh(self, key: _Key, now: datetime) -> WrittenOffer | None:
        made_at, offer = self._written.get(key, (None, None))
        return offer if made_at is not None and now - FRESH <= made_at <= now else None

    def _write(self, keys: Collection[_Key], now: datetime) -> dict[_Key, WrittenOffer]:
        if not keys:
            return {}
        offers = _published({key.view for key in keys}, now)
        written = dict(_all_written(keys, offers))
        kept = {key: one for key, one in list(self._written.items()) if self._fresh(key, now)}
        self._written = {**kept, **{key: (now, offer) for key, offer in written.items()}}
        return written


def _published(views: Collection[View], now: datetime) -> dict[View, PublishedOffer]:
    """All at once; where that fails, those that can be by themselves."""
    try:
        return published.viewed(views, now=now)
    except Exception:
        if len(views) == 1:
            logger.exception("offer cannot be computed", option=next(iter(views)).option.pk)
            return {}
    return {view: offer for one in views for view, offer in _published([one], now).items()}


def _all_written(
    keys: Iterable[_Key], offers: dict[View, PublishedOffer]
) -> Iterable[tuple[_Key, WrittenOffer]]:
    for key in keys:
        if key.view not in offers:
            continue
        try:
            body = DIALECTS[key.protocol].bookings.write_offer(offers[key.view], key.style)
        except Exception:
            logger.exception("offer cannot be written", option=key.view.option.pk)
            continue
        text = Written.of(body)
        yield key, WrittenOffer(key.view.option, text, deliveries.digest(body), key.view.is_visible)
