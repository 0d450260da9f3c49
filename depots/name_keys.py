"""Names that people write, compared without regard to case, blanks and forms of Unicode: `kö 1` is `KÖ 1`.

Python does it, not the database: there `upper` knows the letters of ASCII alone in the locale "C", which the embedded PostgreSQL
has, and others under any other locale. Identifiers of OCPI and OCPP are ASCII, so that `upper` in an index does for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from unicodedata import normalize

from django.db import models


def name_key(name: str) -> str:
    """Equal keys are one name."""
    return normalize("NFC", " ".join(name.split()).casefold().upper())


class NameKey(models.CharField):
    """The `name_key` of another column, written with it; a look-up takes the name as it was written.

    Who saves some columns alone (`update_fields`) names the key beside the name.
    """

    def __init__(self, of: str, **options: Any) -> None:
        self.of = of
        super().__init__(**{"max_length": 300, "editable": False, **options})

    def deconstruct(self) -> Any:
        name, path, _, options = super().deconstruct()
        return name, path, [self.of], options

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        key = name_key(getattr(model_instance, self.of))
        setattr(model_instance, self.attname, key)
        return key

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else name_key(str(value))


def set_apart(names: Iterable[tuple[int, str]], *, longest: int) -> dict[int, str]:
    """New names for those of the rows (id, name) whose key an earlier row has: `KÖ 1 (2)`."""
    rows = list(names)
    keys = {name_key(name) for _, name in rows}
    seen: set[str] = set()
    renamed: dict[int, str] = {}
    for pk, name in rows:
        if name_key(name) in seen:
            renamed[pk] = _free_name(name, keys, longest)
            keys.add(name_key(renamed[pk]))
        seen.add(name_key(name))
    return renamed


def _free_name(name: str, keys: set[str], longest: int) -> str:
    number = 2
    while name_key(free := f"{name[: longest - len(f' ({number})')]} ({number})") in keys:
        number += 1
    return free
