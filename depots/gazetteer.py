"""Places by their names, and the time zone of any point: what is asked when somebody types where."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from depots.models import Place
from depots.place_keys import place_key

FEWEST_LETTERS = 2
MOST_LETTERS = 80
_COUNTRY = re.compile(r"^(?P<name>.+?)[\s,(]+(?P<country>[A-Za-z]{2,3})\)?$")


def find_places(text: str, *, most: int = 8, around: Collection[str] = ()) -> list[Place]:
    """The places that a name begins, or is, in any of its spellings, with its country behind it or not (`Kassel`, `kassel de`,
    `Kassel, DEU`). What is called just that goes before what only begins so, countries that are asked about (`around`, alpha-3)
    before others, one's own name before what others call it, then the larger. One or two queries."""
    text = text.strip()[:MOST_LETTERS]
    nearby = [code for code in map(_alpha_2, around) if code]
    found = _named(text, None, most, nearby)
    split = _COUNTRY.match(text)
    if split and (country := _alpha_2(split["country"])):
        # What is called so as a whole goes before a country that it might end with.
        found = found or _named(split["name"], country, most, nearby)
    return found


def zone_at(latitude: float, longitude: float) -> ZoneInfo:
    """The time zone of a point; at sea the nautical one."""
    import tzfpy  # its borders are read when first asked

    return ZoneInfo(tzfpy.get_tz(longitude, latitude) or "UTC")


@lru_cache(maxsize=512)
def country_name(alpha_2: str) -> str:
    from pycountry import countries  # reads its tables when first asked

    found = countries.get(alpha_2=alpha_2)
    return getattr(found, "common_name", found.name) if found else alpha_2


def _named(text: str, country: str | None, most: int, nearby: list[str]) -> list[Place]:
    key = place_key(text)
    if len(key) < FEWEST_LETTERS:
        return []
    begins = re.sub(r"([\\%_])", r"\\\1", key) + "%"
    with connection.cursor() as cursor:
        asked = {"key": key, "begins": begins, "country": country, "most": most, "nearby": nearby}
        cursor.execute(_FOUND, asked)
        return [_found(*row) for row in cursor.fetchall()]


def _found(is_exact: bool, *values: Any) -> Place:
    place = Place(*values)  # type: ignore[misc]  # in the order of its columns
    place.is_exact = is_exact
    return place


# A place comes up once, by the best of its names.
_FOUND = """
    SELECT named.is_exact, p.id, p.name, p.country, p.latitude, p.longitude, p.time_zone, p.population
    FROM (
        SELECT place_id, bool_or(key = %(key)s) AS is_exact
        FROM depots_placename WHERE key LIKE %(begins)s GROUP BY place_id
    ) AS named
    JOIN depots_place p ON p.id = named.place_id
    WHERE %(country)s::text IS NULL OR p.country = %(country)s
    ORDER BY 3 * named.is_exact::int + 2 * (p.country = ANY(%(nearby)s))::int + (p.name ILIKE %(begins)s)::int DESC,
             p.population DESC, p.id
    LIMIT %(most)s
"""


@lru_cache(maxsize=512)
def _alpha_2(code: str) -> str | None:
    from pycountry import countries

    code = code.upper()
    found = countries.get(alpha_2=code) if len(code) == 2 else countries.get(alpha_3=code)
    return found.alpha_2 if found else None
