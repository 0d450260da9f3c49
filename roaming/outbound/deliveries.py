"""What a partner has not got yet: taken under a lease, sent as it is now, and settled (docs/decisions/0006).

A `Delivery` row is a standing wish, not a message. It is due when `next_try_at` has come; a worker that takes it holds
it for LEASE, after which it is anybody's again, so a killed worker delays an object and loses nothing.

Locks, after all that bookings takes: partners by key, then deliveries by partner, kind and object. Many rows are only ever
waited for within the kinds that many partners get (`is_of_many`: fan-out, `_SETTLE`, a registration); where rows may be left out,
locked ones are (decision 41).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from roaming.deviations import tell_of
from roaming.hubs.clients import why_unreachable
from roaming.models import Delivery, Partner, PartnerPull
from roaming.ocpi import client
from roaming.ocpi.call_failures import CallFailed, Refused
from roaming.ocpi.client import Party
from roaming.outbound.delivery_rules import (
    AWAITED_COLUMNS,
    AWAITED_KINDS,
    HELD_UP_FROM,
    HOLDS_UP_FOR,
    RANK,
    RESTED_AT,
    RULES,
)
from roaming.outbound.doubts import DOUBTED, doubted

# Longer than any call may take (client.py), short enough that a kill is not noticed.
LEASE = timedelta(seconds=30)
# What must be left of a lease when a call begins: its limits of time, and a moment to settle it.
CALL = timedelta(seconds=client.CONNECT_TIMEOUT_S + client.READ_TIMEOUT_S + 5)
IN_FLIGHT_PER_PARTNER = 4
# After so many failures in a row a partner is asked one thing at a time, with growing pauses, behind a probe.
CIRCUIT_OPENS_AT = 4
# How long an ask to a paused partner is left alone before somebody looks whether there is still time for it.
HELD = timedelta(seconds=30)
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5, 900
# While a partner answers, the moment of its last yes is written this often.
YES_KNOWN_TO = timedelta(seconds=30)
# As `pause` has it.
_PAUSE = f"make_interval(secs => least({FIRST_PAUSE_S} * 2 ^ least(d.attempts - 1, 10), {LONGEST_PAUSE_S}))"

# Each partner is asked first whether anything is due, by one probe of an index; what waits for those that are away is not looked
# at. Of each of the others the first in the order of their kinds, without those that are held up or rest (delivery_rules.py). Of
# a paused one only our asks, which are given up when their time is over, paused or not (our_requests.py), and commands, at once.
# What the worker of a lease that ran out may have sent is in doubt.
_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT p.id, p.failures, p.paused_at
    FROM roaming_partner p CROSS JOIN LATERAL (
        SELECT FROM roaming_delivery WHERE partner_id = p.id AND next_try_at <= %(now)s LIMIT 1
    ) d
    WHERE p.state = 'registered' AND (p.closed_until IS NULL OR p.closed_until <= %(now)s)
), ready AS (
    SELECT p.id, CASE WHEN p.failures > 0 THEN 1 ELSE %(per_partner)s END - (
        SELECT count(*) FROM roaming_delivery f WHERE f.partner_id = p.id AND f.leased_until > %(now)s
    ) AS room, p.paused_at IS NOT NULL AS is_paused, awaited.*
    FROM due p CROSS JOIN LATERAL (
        SELECT {AWAITED_COLUMNS}
        FROM roaming_delivery
        WHERE partner_id = p.id AND next_try_at IS NOT NULL AND kind IN ({AWAITED_KINDS}) AND NOT was_refused
          AND (attempts <= {HOLDS_UP_FOR} OR p.failures >= {CIRCUIT_OPENS_AT})
    ) awaited
), picked AS (
    SELECT d.id
    FROM ready CROSS JOIN LATERAL (
        SELECT id FROM roaming_delivery
        WHERE partner_id = ready.id AND next_try_at <= %(now)s AND kind = ANY(%(kinds)s)
          AND (leased_until IS NULL OR leased_until <= %(now)s)
          AND (delivered_at IS NULL OR delivered_at <= {RESTED_AT})
          AND next_try_at < {HELD_UP_FROM}
          AND (kind IN ('request', 'command') OR NOT ready.is_paused)
        ORDER BY {RANK}, next_try_at, id
        LIMIT greatest(ready.room, 0)
        FOR UPDATE SKIP LOCKED
    ) d
    LIMIT %(room)s
)
UPDATE roaming_delivery d SET leased_until = %(until)s,
    delivered = CASE WHEN d.leased_until IS NULL OR d.kind = 'request' THEN d.delivered ELSE {DOUBTED.format(row="d")} END
FROM picked WHERE d.id = picked.id
RETURNING d.id, d.partner_id, d.kind, d.object_id, d.wanted_version
"""  # noqa: S608 - made of constants

_SETTLE = """
WITH s AS (
    SELECT d.id, u.version, u.told
    FROM unnest(%(ids)s::bigint[], %(versions)s::bigint[], %(untils)s::timestamptz[], %(told)s::text[])
        AS u(id, version, until, told)
    JOIN roaming_delivery d ON d.id = u.id AND d.leased_until = u.until
    ORDER BY d.partner_id, d.kind, d.object_id
    FOR NO KEY UPDATE OF d {locking}
)
UPDATE roaming_delivery d SET
    delivered_version = greatest(d.delivered_version, s.version),
    next_try_at = CASE WHEN d.wanted_version > s.version THEN coalesce(%(at)s::timestamptz, d.next_try_at) END,
    delivered = CASE WHEN s.told = '' THEN d.delivered ELSE s.told::jsonb END,
    delivered_at = coalesce(%(at)s::timestamptz, d.delivered_at),
    leased_until = NULL, attempts = 0, was_refused = false, last_error = ''
FROM s
WHERE d.id = s.id
RETURNING d.id
"""

# What waited for partners to come back, but for what is being sent just now. Where they were gone it begins anew as if it had
# failed once, so that it holds up what waits for it; so does what they said no to since their last yes (its pause tells when),
# for a no to everything is about nothing of it.
_BACK = f"""
WITH back AS (
    SELECT * FROM unnest(%(partners)s::bigint[], %(gone)s::boolean[], %(last_yes)s::timestamptz[])
        AS p(id, was_gone, last_yes_at)
), waiting AS (
    SELECT d.id, back.was_gone OR d.was_refused AS begins_anew
    FROM back JOIN roaming_delivery d ON d.partner_id = back.id AND d.kind <> 'request' AND d.next_try_at IS NOT NULL
    WHERE (d.leased_until IS NULL OR d.leased_until <= %(now)s) AND CASE WHEN d.was_refused
        THEN d.next_try_at - {_PAUSE} >= back.last_yes_at
        ELSE d.next_try_at > %(now)s OR (back.was_gone AND d.attempts > 1) END
    ORDER BY d.partner_id, d.kind, d.object_id
    FOR NO KEY UPDATE OF d SKIP LOCKED
)
UPDATE roaming_delivery d SET
    next_try_at = least(d.next_try_at, %(now)s), was_refused = false,
    attempts = CASE WHEN waiting.begins_anew THEN least(d.attempts, 1) ELSE d.attempts END
FROM waiting
WHERE d.id = waiting.id
"""  # noqa: S608 - made of constants


@dataclass(frozen=True)
class Lease:
    """A delivery that is ours until `until`; `version` is what was wanted when we took it."""

    delivery_id: int
    partner_id: int
    kind: str
    object_id: int
    version: int
    until: datetime


class Delivered(NamedTuple):
    """What a partner has got: the digest of what was sent (empty: not to be remembered), and where it keeps that."""

    lease: Lease
    digest: str = ""
    location: str = ""

    @property
    def told(self) -> str:
        """As `Delivery.delivered` keeps it; empty for nothing to keep."""
        kept = {"digest": self.digest, "location": self.location}
        return (
            json.dumps({name: value for name, value in kept.items() if value}) if any(kept.values()) else ""
        )


def claim(*, room: int, kinds: Collection[str] = tuple(RULES), now: datetime) -> list[Lease]:
    """Take up to `room` due deliveries of these kinds, a few for each partner that may be called."""
    if not Delivery.objects.filter(next_try_at__lte=now).exists():
        return []
    until = now + LEASE
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "now": now,
                "until": until,
                "kinds": [str(kind) for kind in kinds],
                "room": room,
                "per_partner": IN_FLIGHT_PER_PARTNER,
            },
        )
        return [
            Lease(delivery_id, partner_id, kind, object_id, version, until)
            for delivery_id, partner_id, kind, object_id, version in cursor.fetchall()
        ]


def is_long_enough(lease: Lease, *, now: datetime) -> bool:
    """Whether a call that begins now is over before somebody else takes the delivery for abandoned."""
    return lease.until - now >= CALL


def extend(lease: Lease, *, now: datetime) -> Lease | None:
    """The same delivery for another LEASE; None when it is no longer ours."""
    until = now + LEASE
    return replace(lease, until=until) if _ours(lease).update(leased_until=until) else None


def succeeded(lease: Lease, *, digest: str = "", now: datetime) -> None:
    """The partner has the version that was sent. A change meanwhile keeps the delivery due."""
    all_succeeded([Delivered(lease, digest)], now=now)


def all_succeeded(delivered: list[Delivered], *, now: datetime) -> None:
    """The same of many.

    What one statement wants of many partners is settled by one. A transaction that changes several bookings writes their
    deliveries in its own order: of those, all that are free in one statement, and the others by themselves.
    """
    record_success(*{one.lease.partner_id for one in delivered}, now=now)
    _settle_all(delivered, at=now)


def unchanged(*leases: Lease) -> None:
    """There is nothing to send: the partner has just this, or the object never goes on a wire."""
    _settle_all([Delivered(lease) for lease in leases], at=None)


def is_over(lease: Lease, *, now: datetime) -> None:
    """Nothing is sent any more of what went out once, whatever became of it."""
    _settle_all([Delivered(lease)], at=now)


def _settle_all(delivered: list[Delivered], *, at: datetime | None) -> None:
    """`at` is when they were sent; None: nothing was."""
    of_many = [one for one in delivered if RULES[Delivery.Kind(one.lease.kind)].is_of_many]
    others = [one for one in delivered if not RULES[Delivery.Kind(one.lease.kind)].is_of_many]
    if of_many:
        _settle(of_many, at)
    done = _settle(others, at, locking="SKIP LOCKED") if others else set()
    for one in others:
        if one.lease.delivery_id not in done:
            _settle([one], at)


def _settle(delivered: list[Delivered], at: datetime | None, *, locking: str = "") -> set[int]:
    """In one statement; gives the deliveries that were still ours, by key."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SETTLE.format(locking=locking),
            {
                "at": at,
                "ids": [one.lease.delivery_id for one in delivered],
                "versions": [one.lease.version for one in delivered],
                "untils": [one.lease.until for one in delivered],
                "told": [one.told for one in delivered],
            },
        )
        return {delivery_id for (delivery_id,) in cursor.fetchall()}


def failed(
    lease: Lease, failure: CallFailed, *, to_party: Party | None = None, was_sent: bool = True, now: datetime
) -> None:
    """Try again later. A no counts against the object, silence against the partner; many different noes do too. What a hub
    cannot pass on waits for the party it is for."""
    is_no = isinstance(failure, Refused) and not failure.is_silence
    with transaction.atomic():
        partner = Partner.objects.select_for_update(no_key=True).get(pk=lease.partner_id)
        row = _ours(lease).select_for_update(no_key=True).first()
        if row is None:
            return
        counts = not failure.is_behind_hub and (not is_no or row.attempts == 0)
        row.attempts += 1
        row.was_refused = is_no
        reason = f"{why_unreachable(to_party)} " if failure.is_behind_hub and to_party else ""
        row.last_error = f"{reason}{failure}"[:300].replace("\x00", "")
        row.leased_until = None
        row.next_try_at = now + pause(row.attempts)
        if was_sent and failure.may_have_arrived and row.kind != Delivery.Kind.REQUEST:
            row.delivered = doubted(row.delivered)
        row.save(
            update_fields=[
                "attempts",
                "was_refused",
                "last_error",
                "leased_until",
                "next_try_at",
                "delivered",
            ]
        )
        _count_failure(partner, failure, counts=counts, now=now)


def release(lease: Lease, *, was_sent: bool = False, now: datetime, error: str = "") -> None:
    """Give a delivery back after a fault of our own; it is tried again after a pause, and the partner is not blamed."""
    row = _ours(lease)
    in_doubt = {"delivered": doubted(row.values_list("delivered", flat=True).first())} if was_sent else {}
    row.update(
        leased_until=None,
        attempts=F("attempts") + 1,
        next_try_at=now + timedelta(seconds=FIRST_PAUSE_S * 2),
        last_error=error[:300].replace("\x00", ""),
        **in_doubt,
    )


def hold(lease: Lease, *, now: datetime) -> None:
    """Leave a delivery for later that nobody tried, for a person has paused its partner."""
    _ours(lease).update(leased_until=None, next_try_at=now + HELD)


def record_success(*partner_ids: int, now: datetime) -> None:
    """These partners answer: their circuits close, and what waited for them to come back is due."""
    recently = Q(last_success_at__gt=now - YES_KNOWN_TO, failures=0, closed_until__isnull=True)
    with transaction.atomic():
        rows = Partner.objects.filter(pk__in=partner_ids).exclude(recently).order_by("pk")
        known = list(rows.select_for_update(no_key=True))
        back = [p for p in known if p.failures or p.closed_until]
        gone = [p.pk for p in back if p.failures >= CIRCUIT_OPENS_AT]
        for partner in back:
            tell_of(partner.pk)
        if known:
            Partner.objects.filter(pk__in=[p.pk for p in known]).update(
                last_success_at=now, failures=0, closed_until=None
            )
        if back:
            _begin_anew(back, now)
        if gone:  # what they have may have changed meanwhile
            PartnerPull.objects.filter(partner__in=gone, next_at__isnull=False).update(next_at=now)


def _begin_anew(back: list[Partner], now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            _BACK,
            {
                "partners": [partner.pk for partner in back],
                "gone": [partner.failures >= CIRCUIT_OPENS_AT for partner in back],
                "last_yes": [partner.last_success_at or datetime.min.replace(tzinfo=UTC) for partner in back],
                "now": now,
            },
        )


def unlocked(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Those of the rows that nobody is writing just now, locked. Who writes one decides what becomes of it."""
    free = rows.order_by("partner_id", "kind", "object_id").select_for_update(no_key=True, skip_locked=True)
    return Delivery.objects.filter(pk__in=list(free.values_list("pk", flat=True)))


def record_failure(partner_id: int, failure: CallFailed, *, now: datetime) -> None:
    """Count a silence of a partner that was called for something else than a delivery."""
    if not failure.is_silence:
        return
    with transaction.atomic():
        partner = Partner.objects.select_for_update(no_key=True).get(pk=partner_id)
        _count_failure(partner, failure, counts=True, now=now)


def _count_failure(partner: Partner, failure: CallFailed, *, counts: bool, now: datetime) -> None:
    """From CIRCUIT_OPENS_AT on, the (locked) partner is left alone for a while.

    One that answers, if only with a no, is asked again within the minute: the next object may be to its liking.
    """
    if not counts and partner.failures < CIRCUIT_OPENS_AT:
        return
    if partner.failures == 0 and partner.last_success_at is not None:
        # When the last yes was at the latest: what was refused before it was not refused with everything else.
        partner.last_success_at = min(now, partner.last_success_at + YES_KNOWN_TO)
    partner.failures += 1
    if partner.failures >= CIRCUIT_OPENS_AT:
        longest = pause(partner.failures - CIRCUIT_OPENS_AT + 1)
        is_no = isinstance(failure, Refused) and not failure.is_silence
        partner.closed_until = now + (min(longest, timedelta(minutes=1)) if is_no else longest)
    partner.refuses = isinstance(failure, Refused)
    partner.save(update_fields=["failures", "refuses", "closed_until", "last_success_at"])
    if partner.failures in (1, CIRCUIT_OPENS_AT):
        tell_of(partner.pk)


def pause(attempts: int) -> timedelta:
    """After the first failure 5 s, then twice as long each time, at most a quarter of an hour."""
    return timedelta(seconds=min(FIRST_PAUSE_S * 2 ** min(attempts - 1, 10), LONGEST_PAUSE_S))


def digest(body: dict[str, Any]) -> str:
    """Equal for bodies that tell a partner the same; when they were made does not count."""
    text = json.dumps(_timeless(body), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k != "last_updated"}
    if isinstance(value, list):
        return [_timeless(v) for v in value]
    return value


def _ours(lease: Lease) -> QuerySet[Delivery]:
    """The row, as long as our lease is the one that stands: a late result of an old one writes nothing."""
    return Delivery.objects.filter(pk=lease.delivery_id, leased_until=lease.until)
