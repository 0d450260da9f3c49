"""From the database's last word to our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError

from bookings.errors import BookingError


@contextmanager
def violation_raises(refusals: dict[str, BookingError]) -> Iterator[None]:
    """Turn the violation of a named constraint into its error; any other stays what it is.

    Stands outside `atomic()`: the transaction inside is already lost when the violation rises.
    """
    try:
        yield
    except IntegrityError as violation:
        name = violated_constraint(violation)
        if name in refusals:
            raise refusals[name] from violation
        raise


def violated_constraint(violation: IntegrityError) -> str:
    diagnosis = getattr(violation.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""
