"""The hours and quotas of a depot for its guests, and of one agreement: set by who runs the depot."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.actors import Actor
from bookings.core.calendars import mark_depot_changed
from bookings.core.locking import lock_depot, lock_ids
from bookings.errors import ChangedMeanwhile, TooManyRules
from bookings.models import AccessRule, AgreementEvent
from bookings.rules.content_version import version_of
from depots.models import Agreement, Depot, Evse

# So many a depot or an agreement has at most: each is looked at with every booking there.
MOST_RULES = 40
CHANGED = "Somebody has set other hours or quotas since you looked. Look again."


def rules_of(owner: Depot | Agreement) -> list[AccessRule]:
    """Those that it sets itself, in the order they were set."""
    mine = {"depot": owner, "agreement": None} if isinstance(owner, Depot) else {"agreement": owner}
    return list(AccessRule.objects.filter(**mine).select_related("option").order_by("kind", "pk"))


def rules_version(owner: Depot | Agreement) -> int:
    return version_of([[rule.pk, version_of(rule)] for rule in rules_of(owner)])


def add_rule(
    *, owner: Depot | Agreement, rule: dict[str, Any], seen_version: int, actor: Actor, now: datetime
) -> AccessRule:
    """`rule` has the fields of AccessRule but its owner. Holds for what is booked from now on. Raises ChangedMeanwhile or
    TooManyRules."""
    with transaction.atomic():
        depot = _locked(owner, seen_version)
        if len(rules_of(owner)) >= MOST_RULES:
            raise TooManyRules(f"There are {MOST_RULES} hours and quotas already. Take some away first.")
        agreement = owner if isinstance(owner, Agreement) else None
        made = AccessRule.objects.create(depot=depot, agreement=agreement, **rule)
        _tell(owner, depot, actor, now)
    return made


def remove_rule(
    *, owner: Depot | Agreement, rule_id: int, seen_version: int, actor: Actor, now: datetime
) -> None:
    """Raises ChangedMeanwhile."""
    with transaction.atomic():
        depot = _locked(owner, seen_version)
        AccessRule.objects.filter(pk__in=[rule.pk for rule in rules_of(owner)]).filter(pk=rule_id).delete()
        _tell(owner, depot, actor, now)


def _locked(owner: Depot | Agreement, seen_version: int) -> Depot:
    """Bookings under way hold these locks: none is made under rules that are gone."""
    depot = owner if isinstance(owner, Depot) else owner.depot
    lock_depot(depot.pk)
    lock_ids(Evse.objects.filter(depot=depot).values_list("pk", flat=True))
    if rules_version(owner) != seen_version:
        raise ChangedMeanwhile(CHANGED)
    return depot


def _tell(owner: Depot | Agreement, depot: Depot, actor: Actor, now: datetime) -> None:
    if isinstance(owner, Agreement):
        kind = AgreementEvent.Kind.RULES
        AgreementEvent.objects.create(agreement=owner, kind=kind, at=now, **actor.columns("by"))
    mark_depot_changed(depot.pk, at=now)
