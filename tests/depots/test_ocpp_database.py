"""An operation is tried again while the database is away, and after a clash; for so long as a charger waits."""

from __future__ import annotations

import asyncio

import pytest
from django.db import IntegrityError, OperationalError

from depots.ocpp import database

pytestmark = pytest.mark.django_db(transaction=True)


class Operation:
    """Fails as often as told, then gives "done"."""

    __name__ = "operation"

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.tries = list(faults), 0

    def __call__(self) -> str:
        self.tries += 1
        if self.faults:
            raise self.faults.pop(0)
        return "done"


def run(operation: Operation) -> str:
    threads = database.Database(threads=1)
    try:
        return asyncio.run(threads.run(operation))
    finally:
        threads.close()


@pytest.mark.parametrize(
    "faults", [[OperationalError()] * 2, [IntegrityError()] * 2, [IntegrityError(), OperationalError()]]
)
def test_what_failed_for_the_database_is_tried_again(faults):
    assert run(Operation(*faults)) == "done"


def test_a_clash_that_stays_is_a_fault():
    operation = Operation(*[IntegrityError()] * 10)

    with pytest.raises(IntegrityError):
        run(operation)

    assert operation.tries == 3


def test_what_else_fails_is_not_tried_again():
    operation = Operation(ValueError())

    with pytest.raises(ValueError):
        run(operation)

    assert operation.tries == 1
