"""From the database's last word to our own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from django_integrity.conversion import Named, refine_integrity_error

from bookings.errors import BookingError


def violation_raises(refusals: Mapping[str, BookingError]) -> AbstractContextManager[None]:
    """Turn the violation of a named constraint into its error; any other stays what it is.

    Stands outside `atomic()`: the transaction inside is already lost when the violation rises, and one of a deferred
    constraint rises at COMMIT, by the same name.
    """
    return refine_integrity_error([(Named(name), refusal) for name, refusal in refusals.items()])
