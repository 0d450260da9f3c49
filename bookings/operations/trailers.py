"""The trailers of a fleet, as its dispatchers keep them. Bookings made before keep the trailer they have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from django.db import transaction

from bookings.core.constraints import violation_raises
from bookings.errors import ChangedMeanwhile, PlateInUse
from bookings.models import Trailer
from bookings.rules.content_version import version_of
from depots.imports.writing import assign
from depots.models import Organisation


@dataclass(frozen=True, kw_only=True)
class TrailerFacts:
    """All that is kept of a trailer; for units see the model."""

    plate: str
    adds_length_cm: int | None = None
    width_cm: int | None = None
    height_cm: int | None = None
    weight_kg: int | None = None
    needs_drive_through: bool = False
    needs_refrigeration: bool = False
    carries_dangerous_goods: bool = False


def add_trailer(*, fleet: Organisation, facts: TrailerFacts) -> Trailer:
    """Raises PlateInUse."""
    with _one_plate(fleet, facts), transaction.atomic():
        trailer = Trailer(fleet=fleet)
        write_trailer(trailer, facts)
    return trailer


def change_trailer(*, trailer_id: int, facts: TrailerFacts, seen_version: int) -> Trailer:
    """Raises ChangedMeanwhile when it is another than was seen (of `version_of`), or PlateInUse."""
    fleet = Organisation.objects.get(trailers=trailer_id)
    with _one_plate(fleet, facts), transaction.atomic():
        trailer = _lock_unchanged(trailer_id, seen_version)
        write_trailer(trailer, facts)
    return trailer


def set_trailer_retired(*, trailer_id: int, is_retired: bool, seen_version: int) -> Trailer:
    """Book nothing more with it, or again; what is booked stands. Raises ChangedMeanwhile."""
    with transaction.atomic():
        trailer = _lock_unchanged(trailer_id, seen_version)
        trailer.is_retired = is_retired
        trailer.save(update_fields=["is_retired"])
    return trailer


def write_trailer(trailer: Trailer, facts: TrailerFacts, *, is_retired: bool | None = None) -> bool:
    """The writing itself, of a new trailer or one that its caller has locked; whether anything is different now."""
    columns = asdict(facts) | ({} if is_retired is None else {"is_retired": is_retired})
    is_new, changed = trailer.pk is None, assign(trailer, columns)
    if changed or is_new:
        trailer.save()
    return changed or is_new


@contextmanager
def _one_plate(fleet: Organisation, facts: TrailerFacts) -> Iterator[None]:
    taken = PlateInUse(f"{fleet} has a trailer {facts.plate} already.")
    with violation_raises({"trailer_plate_once": taken}):
        yield


def _lock_unchanged(trailer_id: int, seen_version: int) -> Trailer:
    trailer = Trailer.objects.select_for_update(no_key=True, of=("self",)).get(pk=trailer_id)
    if version_of(trailer) != seen_version:
        raise ChangedMeanwhile(f"{trailer} was changed since this page was shown.")
    return trailer
