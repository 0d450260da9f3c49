"""All that a partner is to have of us: after registration, every night, and when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Q

from bookings.models import Booking, BookingOption, BookingStatus, TariffVersion
from roaming import access, published_invoices, published_tokens
from roaming.models import Delivery, Partner
from roaming.outbound.deliveries import unlocked
from roaming.outbound.doubts import DOUBTED, DOUBTED_THERE
from roaming.seen_tariffs import seen_tariffs

Kind = Delivery.Kind
# Of a kind that many partners get: by key and version, what this one may see; and those it was told of before, which it may
# have to hear are gone.
FullSet = Callable[[Partner, Collection[int], datetime], Iterable[tuple[int, int]]]
# Of a kind that is one partner's: the keys of what is still told, of which it has rows.
StillTold = Callable[[Partner, datetime], Collection[int]]

OVER_BUT_TOLD = timedelta(days=2)
LIVE = (BookingStatus.REQUESTED, BookingStatus.CONFIRMED, BookingStatus.CHARGING)

# Rows of many partners are written in the order of their keys (deliveries.py). A partner that begins anew has nothing of ours;
# of one that is told all again nobody knows what it has, but what it was ever told it may have.
_WANT = f"""
INSERT INTO roaming_delivery
    (partner_id, kind, object_id, wanted_version, delivered_version, next_try_at, attempts, last_error, was_refused)
SELECT %(partner)s, u.kind, u.id, u.version, 0, %(now)s, 0, '', false
FROM unnest(%(kinds)s::text[], %(ids)s::bigint[], %(versions)s::bigint[]) AS u(kind, id, version)
ORDER BY u.kind, u.id
ON CONFLICT (partner_id, kind, object_id) DO UPDATE
SET wanted_version = greatest(roaming_delivery.wanted_version, EXCLUDED.wanted_version), delivered_version = 0,
    next_try_at = EXCLUDED.next_try_at, attempts = 0, was_refused = false,
    delivered = CASE WHEN roaming_delivery.delivered IS NOT NULL AND NOT %(anew)s
        THEN {DOUBTED.format(row="roaming_delivery")} END
WHERE roaming_delivery.delivered_at IS NULL OR %(sent_before)s::timestamptz IS NULL
    OR roaming_delivery.delivered_at < %(sent_before)s::timestamptz
"""  # noqa: S608 - made of constants


def want_all(partner: Partner, *, anew: bool, sent_before: datetime | None = None, now: datetime) -> None:
    """Send a partner all it is to have, and that of which it was told before and may not see any more. `anew`: it has nothing
    of ours yet. What was sent at `sent_before` or later is left as it is. Needs a transaction."""
    wanted: list[tuple[Kind, int, int]] = []
    for kind, full_set in FULL_SETS.items():
        known = partner.deliveries.filter(kind=kind).values_list("object_id", flat=True)
        wanted += [(kind, pk, version) for pk, version in full_set(partner, set(known), now)]
    kinds, ids, versions = ([*column] for column in zip(*wanted, strict=True)) if wanted else ([], [], [])
    with connection.cursor() as cursor:
        cursor.execute(
            _WANT,
            {
                "partner": partner.pk, "kinds": [str(kind) for kind in kinds], "ids": ids, "versions": versions,
                "anew": anew, "sent_before": sent_before, "now": now,
            },
        )  # fmt: skip
    if not anew:
        for kind, still_told in STILL_TOLD.items():
            rows = partner.deliveries.filter(kind=kind, object_id__in=still_told(partner, now))
            if sent_before is not None:
                rows = rows.exclude(delivered_at__gte=sent_before)
            unlocked(rows).update(
                next_try_at=now, delivered_version=0, attempts=0, was_refused=False, delivered=DOUBTED_THERE
            )


def _offers(partner: Partner, known: Collection[int], now: datetime) -> Iterable[tuple[int, int]]:
    wanted = set(known)
    if partner.has_role("EMSP"):
        wanted |= set(access.options(partner, now=now).values_list("pk", flat=True))
    return BookingOption.objects.filter(pk__in=wanted).values_list("pk", "calendar_version")


def _locations(partner: Partner, known: Collection[int], now: datetime) -> Iterable[tuple[int, int]]:
    if not partner.endpoint("locations", "RECEIVER"):
        return []
    seen = access.depots(partner, now=now).order_by().values_list("pk", flat=True)
    return [(pk, 1) for pk in {*known, *(seen if partner.has_role("EMSP") else ())}]


def _tariffs(partner: Partner, known: Collection[int], now: datetime) -> Iterable[tuple[int, int]]:
    if not partner.endpoint("tariffs", "RECEIVER"):
        return []
    versions = seen_tariffs([partner], now=now)[partner.pk] if partner.has_role("EMSP") else {}
    seen = TariffVersion.objects.filter(pk__in=versions).values_list("tariff", flat=True)
    return [(pk, 1) for pk in {*known, *seen}]


def _tokens(partner: Partner, known: Collection[int], now: datetime) -> Iterable[tuple[int, int]]:
    if not partner.endpoint("tokens", "RECEIVER"):
        return []
    return published_tokens.tokens(partner).order_by().values_list("pk", "version")


def _bookings(partner: Partner, now: datetime) -> Collection[int]:
    told = Q(status__in=LIVE) | Q(ends_at__gte=now - OVER_BUT_TOLD)
    rows = Booking.objects.filter(told, fleet=partner.organisation_id, route=Booking.Route.INBOUND)
    return set(rows.values_list("pk", flat=True))


def _sessions(partner: Partner, now: datetime) -> Collection[int]:
    """Records are not among what is told again: who has one has it for good."""
    since = now - OVER_BUT_TOLD
    told = Q(session__isnull=False, session__ended_at=None) | Q(session__end_received_at__gte=since)
    told |= Q(session=None, reservation__ends_at__gte=since)
    return set(partner.guest_sessions.filter(told).values_list("pk", flat=True))


FULL_SETS: dict[Kind, FullSet] = {
    Kind.TARIFF: _tariffs,
    Kind.LOCATION: _locations,
    Kind.BOOKING_LOCATION: _offers,
    Kind.TOKEN: _tokens,
}
STILL_TOLD: dict[Kind, StillTold] = {
    Kind.BOOKING: _bookings,
    Kind.SESSION: _sessions,
    Kind.INVOICE_RECORD: published_invoices.still_told,
}
