"""Less power for a depot than its connection carries, for a while: told by its manager, a network operator, a site controller."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from datetime import datetime

from django.db.models import QuerySet

from bookings.actors import Actor
from bookings.core import calendars, power_marks
from bookings.core.locking import lock_depot, lock_ids
from bookings.errors import ChangedMeanwhile, InThePast, LimitImpossible
from bookings.models import ExternalLimit
from bookings.rules.content_version import version_of
from bookings.signals import limit_set, limits_lifted
from depots.models import Depot
from depots.periods import Period

# More than any site has.
MOST_W = 1_000_000_000


def limit_depot(
    *, depot: Depot, watts: int, period: Period, replaces: bool = False, actor: Actor, now: datetime
) -> ExternalLimit:
    """The depot takes no more than this in the period; where several limits overlap the lowest holds. What was promised
    stands, and is kept as far as it can be; whom it reaches is told with it. Said again while it holds for as long, nothing is
    different. One that `replaces` takes the place of those that the same actor set, as of a controller that tells its limit every
    minute. Raises InThePast, LimitImpossible."""
    if period.ends_at <= now:
        raise InThePast("The limit would be over already.")
    if not 0 <= watts <= MOST_W:
        raise LimitImpossible(f"A limit is 0 to {MOST_W // 1000} kW.")
    if depot.is_mirror:
        raise LimitImpossible("It is a partner's depot; only the partner limits it.")
    with calendars.one_operation():
        # Nobody promises power by the limits of before meanwhile, nor where none bound and only the EVSE is locked for it.
        lock_depot(depot.pk)
        lock_ids(list(depot.evses.values_list("pk", flat=True)))
        if not replaces and (standing := _same(depot, watts, period, actor, now)) is not None:
            return standing
        before = _replaced(depot, actor, now) if replaces else None
        if before is not None and (before.watts, before.ends_at) == (watts, period.ends_at):
            return before
        limit = _set(depot, watts, period, before, actor, now)
        limit_set.send(sender=ExternalLimit, limit=limit, before=before, at=now)
        _mark(depot.pk, now)
    return limit


def _replaced(depot: Depot, actor: Actor, now: datetime) -> ExternalLimit | None:
    """What the actor has set and holds, as it is; of several, of when it was set without replacing, the last."""
    return _of(depot, actor).filter(starts_at__lte=now, ends_at__gt=now).order_by("pk").last()


def _of(depot: Depot, actor: Actor) -> QuerySet[ExternalLimit]:
    """What the actor has set there and nobody has lifted."""
    return ExternalLimit.objects.filter(depot=depot, lifted_at__isnull=True, **actor.columns("set_by"))


def _set(
    depot: Depot, watts: int, period: Period, before: ExternalLimit | None, actor: Actor, now: datetime
) -> ExternalLimit:
    """Of as many watts as before it is that one, made longer or shorter; `before` stays as it was."""
    if before is not None and before.watts == watts:
        limit = copy(before)
        limit.ends_at = period.ends_at
        limit.save(update_fields=["ends_at"])
        return limit
    if before is not None:
        before.lifted_at = now
        before.save(update_fields=["lifted_at"])
    return ExternalLimit.objects.create(
        depot=depot, watts=watts, starts_at=max(period.starts_at, now), ends_at=period.ends_at,
        created_at=now, **actor.columns("set_by"),
    )  # fmt: skip


def _same(depot: Depot, watts: int, period: Period, actor: Actor, now: datetime) -> ExternalLimit | None:
    """A limit of the actor's own that says all of it."""
    rows = _of(depot, actor).filter(watts=watts)
    starts_at = max(period.starts_at, now)
    return rows.filter(starts_at__lte=starts_at, ends_at__gte=period.ends_at).order_by("pk").first()


def limits_version(limits: Iterable[ExternalLimit]) -> int:
    """For the form that shows them, those that are not over."""
    return version_of([limit.pk for limit in limits])


def lift_limits(*, depot: Depot, seen_version: int | None = None, now: datetime) -> list[ExternalLimit]:
    """Take back all limits from outside that hold at the depot or are to come, and tell who was told of them; those that were
    lifted. Raises ChangedMeanwhile where others stand there than were seen."""
    with calendars.one_operation():
        lock_depot(depot.pk)
        lifted = list(
            ExternalLimit.objects.filter(depot=depot, lifted_at__isnull=True, ends_at__gt=now).order_by(
                "starts_at", "pk"
            )
        )
        if seen_version is not None and limits_version(lifted) != seen_version:
            raise ChangedMeanwhile("Somebody has set other limits since you looked. Look again.")
        for limit in lifted:
            limit.lifted_at = now
        ExternalLimit.objects.bulk_update(lifted, ["lifted_at"])
        if lifted:
            limits_lifted.send(sender=ExternalLimit, limits=lifted, at=now)
            _mark(depot.pk, now)
    return lifted


def end_limits(*, now: datetime) -> int:
    """Limits whose time is over are configuration no more. How many there were."""
    over = ExternalLimit.objects.filter(lifted_at__isnull=True, ends_at__lte=now)
    ended = 0
    for depot in Depot.objects.filter(pk__in=over.values("depot_id")).order_by("pk"):
        with calendars.one_operation():
            lock_depot(depot.pk)
            ended += over.filter(depot=depot).update(lifted_at=now)
            _mark(depot.pk, now)
    return ended


def _mark(depot_id: int, now: datetime) -> None:
    calendars.mark_depot_changed(depot_id, at=now)
    power_marks.mark_depot(depot_id, due_at=now)
