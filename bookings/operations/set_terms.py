"""A depot's terms, as its manager sets them; bookings keep those they were made under."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from bookings.core.calendars import mark_depot_changed
from bookings.core.locking import lock_depot, lock_ids
from bookings.errors import ChangedMeanwhile, TermsImpossible
from bookings.models import BookingOption, TermsOverride
from bookings.rules.content_version import version_of
from bookings.rules.terms import Terms, impossible
from depots import operations as depots
from depots.models import Depot, Evse, Fallback

NAMES = tuple(Terms().to_json())


def terms_of(depot: Depot) -> dict[str, Any]:
    """What the depot sets itself, by name; None is inherited from the default."""
    own = TermsOverride.objects.filter(depot=depot).first()
    return {name: getattr(own, name, None) for name in NAMES}


def terms_version(depot: Depot) -> int:
    """For the form that shows them: what stands there as a whole, with the ways to keep an EVSE."""
    fallbacks = Depot.objects.values_list("fallbacks", flat=True).get(pk=depot.pk)
    return version_of({**terms_of(depot), "fallbacks": fallbacks})


def set_terms(
    *, depot: Depot, terms: dict[str, Any], fallbacks: Sequence[str], seen_version: int, now: datetime
) -> TermsOverride:
    """Set all terms of the depot, and how EVSEs may be kept whose charger keeps no reservation.

    Raises TermsImpossible where nothing could be booked under them, at an option that has some of its own too, and
    ChangedMeanwhile when somebody set others since `seen_version`.
    """
    with transaction.atomic():
        lock_depot(depot.pk)
        # Bookings under way hold these: none is made under terms that are gone (book.py reads them under the same locks).
        lock_ids(Evse.objects.filter(depot=depot).values_list("pk", flat=True))
        if terms_version(depot) != seen_version:
            raise ChangedMeanwhile("Somebody has set other terms since you looked. Look again.")
        override, _ = TermsOverride.objects.get_or_create(depot=depot)
        for name in NAMES:
            setattr(override, name, terms.get(name))
        _check(depot, override)
        override.save()
        _set_fallbacks(depot, fallbacks)
        mark_depot_changed(depot.pk, at=now)
    return override


def _set_fallbacks(depot: Depot, fallbacks: Sequence[str]) -> None:
    rows = Depot.objects.filter(pk=depot.pk)
    before = rows.values_list("fallbacks", flat=True).get()
    rows.update(fallbacks=list(fallbacks))
    if (Fallback.LOCAL_LIST in before) != (Fallback.LOCAL_LIST in fallbacks):
        depots.look_through_again(depot.pk)


def _check(depot: Depot, override: TermsOverride) -> None:
    found = impossible(Terms.resolve([override]))
    if found:
        raise TermsImpossible(f"{found[1]}.", term=found[0])
    options = BookingOption.objects.filter(depot=depot, is_withdrawn=False, terms__isnull=False)
    for option in options.select_related("terms"):
        found = impossible(Terms.resolve([override, option.terms]))
        if found:
            raise TermsImpossible(f"With the terms of {option}: {found[1]}.", term=found[0])
