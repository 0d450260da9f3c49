"""The only writer of Occupancy and Claim: who takes which EVSE, from when to when.

Every function expects its caller to hold the locks of the EVSEs it names.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from bookings.models import GROUP, Booking, BookingToken, Claim, Closure, Occupancy
from bookings.rules.terms import Terms
from depots import round_trips
from depots.periods import Period, gaps, spanning
from depots.token_numbers import normalise

# The inner query is sorted before the outer locks.
_QUEUE = round_trips.Locking("""
SELECT pg_advisory_xact_lock(key)
FROM (SELECT DISTINCT hashtextextended(name, 0) AS key FROM json_array_elements_text(%s) AS name ORDER BY key) AS ordered
""")


def occupied_span(period: Period, terms: Terms, taken: Iterable[Period], *, now: datetime) -> Period:
    """The period widened by early start before and by late stop or turnaround after, beside what others take.

    Early start is a right only as far as it reaches: not before the booking was made, not into the span before it. A span
    that reaches past the start is a conflict, and the constraint says so.
    """
    wanted = max(period.starts_at - terms.early_start, min(now, period.starts_at))
    ends = [span.ends_at for span in taken if span.ends_at <= period.starts_at]
    return Period(max([wanted, *ends]), period.ends_at + terms.tail)


# A change that waits has a row that is not there yet. ON CONFLICT would need to name the index.
_PLACE = """
WITH moved AS (
    UPDATE bookings_occupancy
    SET evse_id = %(evse)s, span = tstzrange(%(starts_at)s, %(ends_at)s), power_w = %(power_w)s
    WHERE holder = %(holder)s AND kind = %(kind)s
    RETURNING id
)
INSERT INTO bookings_occupancy (evse_id, span, holder, kind, power_w)
SELECT %(evse)s, tstzrange(%(starts_at)s, %(ends_at)s), %(holder)s, %(kind)s, %(power_w)s
WHERE NOT EXISTS (SELECT FROM moved)
"""


def place(
    booking: Booking,
    evse_id: int,
    span: Period,
    *,
    kind: str = Occupancy.Kind.BOOKING,
    power_w: int | None = None,
) -> None:
    """Occupy, or move what the booking occupies, at its promised power unless another is given. A stranger in the span
    violates occupancy_evse_once."""
    told: dict[str, Any] = {
        "evse": evse_id,
        "starts_at": span.starts_at,
        "ends_at": span.ends_at,
        "holder": booking.pk,
        "kind": str(kind),
        "power_w": booking.promised_power_w if power_w is None else power_w,
    }
    round_trips.send(_PLACE, told)


def taking(booking: Booking, span: Period) -> Occupancy:
    """The row by which a new booking occupies its EVSE, not saved yet."""
    assert booking.evse_id is not None  # booking_here_has_evse
    return Occupancy(
        evse_id=booking.evse_id, span=span, kind=Occupancy.Kind.BOOKING, power_w=booking.promised_power_w
    )


_VACATE = "DELETE FROM bookings_occupancy WHERE holder = %s AND kind = ANY(%s) RETURNING evse_id, span"
_RELEASE = f"WITH claims AS (DELETE FROM bookings_claim WHERE holder = %s) {_VACATE}"  # noqa: S608 - a constant


def vacate(
    booking: Booking, *, kinds: Collection[str] = (Occupancy.Kind.BOOKING, Occupancy.Kind.PENDING)
) -> list[int]:
    """Give up what the booking occupies; closures that were waiting for the place take it over. The EVSEs, by id."""
    return _vacated(_VACATE, [booking.pk, list(map(str, kinds))])


def release(booking: Booking, *, keeps_stay: bool) -> list[int]:
    """The same of all it occupies and claims, or but for its stay."""
    kinds = [Occupancy.Kind.PENDING] if keeps_stay else [Occupancy.Kind.BOOKING, Occupancy.Kind.PENDING]
    return _vacated(_RELEASE, [booking.pk, booking.pk, list(map(str, kinds))])


def _vacated(statement: str, values: list[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    for evse_id, span in rows:
        fill_closures(evse_id, Period(span.lower, span.upper))
    return [evse_id for evse_id, _ in rows]


def cut(booking: Booking, ends_at: datetime) -> None:
    """Shorten what a booking occupies to the moment it is really over."""
    row = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING).first()
    if row is None or ends_at >= row.span.ends_at:
        return
    freed = Period(max(ends_at, row.span.starts_at), row.span.ends_at)
    if ends_at <= row.span.starts_at:
        row.delete()
    else:
        row.span = Period(row.span.starts_at, ends_at)
        row.save(update_fields=["span"])
    fill_closures(row.evse_id, freed)


def span_of(booking: Booking) -> Period | None:
    """What the booking occupies now."""
    row = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING).first()
    return row.span if row else None


def has_begun(booking: Booking, *, is_free: bool, now: datetime) -> bool:
    """Whether its vehicle may charge for it now. Early start reaches as far as the occupied span does, and as its terms say
    where the EVSE `is_free`: the one before has left it."""
    return (is_free and may_start_early(booking, now)) or bool(occupying([booking.pk], now))


def may_start_early(booking: Booking, now: datetime) -> bool:
    """As its terms say; whether the EVSE is free is for the caller to know."""
    return booking.starts_at - booking.terms.early_start <= now


def occupying(booking_ids: Collection[int], at: datetime) -> set[int]:
    """Those of the bookings that occupy an EVSE then. One query."""
    rows = Occupancy.objects.filter(holder__in=booking_ids, span__contains=at, kind=Occupancy.Kind.BOOKING)
    return set(rows.values_list("holder", flat=True))


def holder_at(evse_id: int, at: datetime) -> int | None:
    """The booking that occupies the EVSE then, by id."""
    rows = Occupancy.objects.filter(evse=evse_id, span__contains=at, kind=Occupancy.Kind.BOOKING)
    return rows.values_list("holder", flat=True).first()


def is_taken(evse_id: int, at: datetime) -> bool:
    """Whether anything occupies the EVSE then."""
    return Occupancy.objects.filter(evse=evse_id, span__contains=at).exists()


def reach_back(booking: Booking, at: datetime) -> bool:
    """A truck that begins before its span, to the EVSE having become free since, has it from then on.

    False where there is nothing to reach, or somebody else has taken the time in between.
    """
    row = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.BOOKING).first()
    if row is None or at >= row.span.starts_at:
        return False
    if others_in(row.evse_id, Period(at, row.span.starts_at), holder=booking.pk):
        return False
    row.span = Period(at, row.span.ends_at)
    row.save(update_fields=["span"])
    return True


def others_in(evse_id: int, span: Period, *, holder: int | None = None) -> list[Occupancy]:
    rows = Occupancy.objects.filter(evse_id=evse_id, span__overlap=span).order_by("span")
    return list(rows.exclude(holder=holder) if holder is not None else rows)


def fill_closures(evse_id: int, span: Period) -> None:
    """Let every closure in force take the free gaps of its own span that lie in this one, oldest first."""
    in_force = Closure.objects.filter(
        evse_id=evse_id, lifted_at__isnull=True, starts_at__lt=span.ends_at, ends_at__gt=span.starts_at
    )
    for closure in in_force.order_by("pk"):
        reach = closure.period.intersection(span)
        if reach is None:
            continue
        taken = [row.span for row in others_in(evse_id, reach)]
        Occupancy.objects.bulk_create(
            Occupancy(evse_id=evse_id, span=gap, holder=closure.pk, kind=Occupancy.Kind.CLOSURE)
            for gap in gaps(reach, taken)
        )


def fill_new_closures(closures: Sequence[Closure]) -> None:
    """The same for closures that were made just now and do not overlap: two statements for all."""
    span = spanning(closure.period for closure in closures)
    if span is None:
        return
    taken: dict[int, list[Period]] = {}
    rows = Occupancy.objects.filter(evse__in={closure.evse_id for closure in closures}, span__overlap=span)
    for row in rows:
        taken.setdefault(row.evse_id, []).append(row.span)
    Occupancy.objects.bulk_create(
        Occupancy(evse_id=closure.evse_id, span=gap, holder=closure.pk, kind=Occupancy.Kind.CLOSURE)
        for closure in closures
        for gap in gaps(closure.period, taken.get(closure.evse_id, []))
    )


def lift(closure: Closure) -> None:
    """Free what a closure took; another closure over the same span takes it over."""
    Occupancy.objects.filter(holder=closure.pk, kind=Occupancy.Kind.CLOSURE).delete()
    fill_closures(closure.evse_id, closure.period)


# Its own claims stand in nobody's way but its own, so the order of the two does not matter.
_CLAIM = """
WITH given_up AS (DELETE FROM bookings_claim WHERE holder = %(holder)s)
INSERT INTO bookings_claim (holder, span, token_key, vehicle_id)
SELECT %(holder)s, tstzrange(%(starts_at)s, %(ends_at)s), token_key, vehicle_id
FROM unnest(%(token_keys)s::text[], %(vehicles)s::bigint[]) AS claimed(token_key, vehicle_id)
"""


def claim(booking: Booking, tokens: Collection[BookingToken]) -> None:
    """Forbid the booking's tokens and vehicle another place in its period, where the terms forbid overlaps, and give up what
    it claimed before. Its caller has queued to claim.

    The period itself is claimed, not the turnaround: a truck that has left may be elsewhere.
    """
    rows = claims(booking, booking.terms, booking.period, tokens, booking.vehicle_id)
    told: dict[str, Any] = {
        "holder": booking.pk,
        "starts_at": booking.starts_at,
        "ends_at": booking.ends_at,
        "token_keys": [row.token_key for row in rows],
        "vehicles": [row.vehicle_id for row in rows],
    }
    round_trips.send(_CLAIM, told)


def claim_also(
    booking: Booking, terms: Terms, period: Period, tokens: Collection[BookingToken], vehicle_id: int | None
) -> None:
    """Claim one more period for it, that of a change which waits to be decided and will have these terms. Its caller has queued
    to claim."""
    Claim.objects.bulk_create(claims(booking, terms, period, tokens, vehicle_id))


def claims(
    booking: Booking, terms: Terms, period: Period, tokens: Collection[BookingToken], vehicle_id: int | None
) -> list[Claim]:
    """The rows by which it claims its tokens and a vehicle in a period, not saved yet; none where the terms let them be in two
    places. Who saves them has queued before."""
    if terms.overlapping_tokens:
        return []
    found = [Claim(holder=booking.pk, span=period, token_key=key) for key in sorted(token_keys(tokens))]
    return [*found, Claim(holder=booking.pk, span=period, vehicle_id=vehicle_id)] if vehicle_id else found


def claimed_by_others(wanted: Sequence[Claim]) -> list[Claim]:
    """Of what is claimed, that which these unsaved rows of one span would meet. One query, and none of none."""
    if not wanted:
        return []
    keys = [row.token_key for row in wanted if row.token_key]
    vehicles = [row.vehicle_id for row in wanted if row.vehicle_id]
    claimed = Q(token_key__in=keys) | Q(vehicle__in=vehicles)
    return list(Claim.objects.filter(claimed, span__overlap=wanted[0].span))


def queue_to_claim(
    terms: Terms, tokens: Collection[BookingToken], vehicle_ids: Collection[int | None]
) -> None:
    """Wait for others who claim the same, where it is claimed at all: two inserts would deadlock on the constraint.

    An operation that also sweeps holds, and with it locks options, comes here first: tokens are locked before options.
    """
    _queue(sorted(_claim_names(terms, tokens, vehicle_ids)))


def queue_for(bookings: Collection[Booking]) -> None:
    """Wait for all that these bookings claim at once: for one after the other, two operations could cross."""
    names: set[str] = set()
    for booking in bookings:
        names |= _claim_names(booking.terms, booking.tokens.all(), [booking.vehicle_id])
    _queue(sorted(names))


def queue_for_all(claims: Iterable[tuple[Terms, Collection[BookingToken], Collection[int | None]]]) -> None:
    """The same for bookings that are yet to be made, by their terms, tokens and vehicles."""
    _queue(
        sorted(
            {
                name
                for terms, tokens, vehicle_ids in claims
                for name in _claim_names(terms, tokens, vehicle_ids)
            }
        )
    )


def power_kept_beside(booking: Booking) -> int | None:
    """The watts that are kept for a change which waits to be decided."""
    kept = Occupancy.objects.filter(holder=booking.pk, kind=Occupancy.Kind.PENDING)
    return kept.values_list("power_w", flat=True).first()


def drop_pending(booking: Booking) -> list[int]:
    """Give up the place and the claims of a change that is not decided any more; the EVSEs that are freer now."""
    evse_ids = vacate(booking, kinds=[Occupancy.Kind.PENDING])
    if evse_ids:
        queue_for([booking])
        claim(booking, list(booking.tokens.all()))
    return evse_ids


def token_keys(tokens: Collection[BookingToken]) -> set[str]:
    """Of a group every truck may be somewhere else."""
    named = [t for t in tokens if t.type != GROUP]
    return {f"{t.country_code}*{t.party_id}*{normalise(t.uid, t.type)}*{t.type}".upper()[:60] for t in named}


def ends_after(booking: Booking, at: datetime) -> datetime:
    """When the EVSE is free after a session that ended then."""
    return at + timedelta(minutes=booking.terms.turnaround_min)


def _claim_names(
    terms: Terms, tokens: Iterable[BookingToken], vehicle_ids: Collection[int | None]
) -> set[str]:
    """What is claimed, by names of its own; nothing where the terms let it be in two places."""
    if terms.overlapping_tokens:
        return set()
    return {
        *[f"token {key}" for key in token_keys(list(tokens))],
        *[f"vehicle {pk}" for pk in vehicle_ids if pk],
    }


def _queue(names: list[str]) -> None:
    """Wait for whoever claims the same names, in the order of their keys, until this transaction ends.

    Partners' tokens have no row to lock; the name itself is the lock.
    """
    if not names:
        return
    round_trips.send(_QUEUE, [json.dumps(names)])
