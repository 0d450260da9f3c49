"""Django's `migrate`, in four fifths of its time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.commands import migrate

# New objects until the next look for garbage; Python's own number is 700.
OBJECTS = 100_000


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with _garbage_sought_rarely():
            super().handle(*args, **options)


@contextmanager
def _garbage_sought_rarely() -> Iterator[None]:
    """Migrating makes ten thousand model classes, and looking for garbage among them was a fifth of its time."""
    usual = gc.get_threshold()
    gc.set_threshold(OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
