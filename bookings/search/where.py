"""Where somebody means: a depot by its name or code, a town of the gazetteer, or a point by its coordinates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from depots.gazetteer import MOST_LETTERS, country_name, find_places, zone_at
from depots.models import Depot, Place
from depots.place_keys import place_key, place_keys
from depots.routes import Point

_NUMBER = r"[-+]?\d{1,3}(?:\.\d{1,12})?"
_WITH_POINT = re.compile(rf"^\(?\s*({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*\)?$", re.ASCII)
_WITH_COMMA = re.compile(r"^([-+]?\d{1,3},\d{1,12})\s*[;\s]\s*([-+]?\d{1,3},\d{1,12})$", re.ASCII)
# Behind the name of one of several towns that are called alike.
_EXACTLY = re.compile(rf"\(({_NUMBER}), ({_NUMBER})\)$", re.ASCII)


@dataclass(frozen=True)
class Where:
    """A place somebody may mean. `words` in a field mean it again; `detail` tells it from others."""

    words: str
    detail: str
    point: Point
    time_zone: str
    depot: Depot | None = None
    is_exact: bool = True

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


def places_meant(text: str, depots: Iterable[Depot], *, most: int = 8) -> list[Where]:
    """What a text may mean, the likeliest first: coordinates, these depots by name or code, then towns. Two queries at most."""
    text = text.strip()[:MOST_LETTERS]
    if point := _coordinates(text):
        return [_at(text, point)]
    depots = list(depots)
    found = list(_depots_called(text, depots))[:most]
    towns = find_places(text, most=most, around={depot.country for depot in depots})
    return [*found, *_called_apart(towns)][:most]


def place_meant(text: str, depots: Iterable[Depot]) -> Where | None:
    """The likeliest of them: what is called just that goes before a depot whose name only begins so. None where nothing is called
    so. Two queries at most."""
    exactly = _EXACTLY.search(text)
    if exactly and (point := _point(*exactly.groups())):
        return _at(text.strip(), point)
    found = places_meant(text, depots)
    return next((place for place in found if place.is_exact), found[0] if found else None)


def _depots_called(text: str, depots: Iterable[Depot]) -> Iterator[Where]:
    """Those of that code or name, then those whose name has a word that begins so."""
    key, code = place_key(text), text.casefold()
    if len(key) < 2:
        return
    named = [(depot, place_keys(depot.name)) for depot in depots if depot.latitude is not None]
    exact = [depot for depot, keys in named if key in keys or depot.code.casefold() == code]
    begun = [
        depot for depot, keys in named if depot not in exact and any(f" {key}" in f" {name}" for name in keys)
    ]
    for depot in [*exact, *begun]:
        point = Point(float(depot.latitude or 0), float(depot.longitude or 0))
        detail = " · ".join(part for part in (f"depot {depot.code}", depot.city) if part)
        yield Where(depot.name, detail, point, depot.time_zone, depot, is_exact=depot in exact)


def _called_apart(towns: Sequence[Place]) -> Iterator[Where]:
    """Of towns that are called alike in one country the largest by its name alone, which means it; others with their place."""
    seen: set[str] = set()
    for town in towns:
        words = str(town)
        if words in seen:
            words = f"{words} ({town.latitude:.4f}, {town.longitude:.4f})"
        seen.add(words)
        people = f"{town.population:,} people" if town.population else ""
        detail = " · ".join(part for part in (country_name(town.country), people) if part)
        point = Point(town.latitude, town.longitude)
        yield Where(words, detail, point, town.time_zone, is_exact=town.is_exact)


def _coordinates(text: str) -> Point | None:
    found = _WITH_POINT.match(text) or _WITH_COMMA.match(text)
    return _point(*found.groups()) if found else None


def _point(latitude: str, longitude: str) -> Point | None:
    north, east = (float(number.replace(",", ".")) for number in (latitude, longitude))
    return Point(north, east) if abs(north) <= 90 and abs(east) <= 180 else None


def _at(words: str, point: Point) -> Where:
    return Where(words, "a point", point, zone_at(*point).key)
