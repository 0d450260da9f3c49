"""Places on the globe: what lies within a distance of a point."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, degrees, hypot, radians, sin, sqrt
from typing import SupportsFloat

from django.db.models import Q

EARTH_KM = 6371.0


@dataclass(frozen=True)
class Circle:
    """All that lies no further than `radius_km` from a point, given in degrees."""

    latitude: float
    longitude: float
    radius_km: float

    def bounding_box(self, prefix: str = "") -> Q:
        """A condition on the columns `latitude` and `longitude` that an index answers; the corners are outside the circle."""
        reach = degrees(self.radius_km / EARTH_KM)
        south, north = self.latitude - reach, self.latitude + reach
        rows = Q(**{f"{prefix}latitude__range": (south, north)})
        if south <= -90 or north >= 90:  # with a pole in it every meridian passes through
            return rows
        wide = degrees(asin(min(1.0, sin(radians(reach)) / cos(radians(self.latitude)))))
        west, east = self.longitude - wide, self.longitude + wide
        return rows & _between_meridians(f"{prefix}longitude", west, east)

    def contains(self, latitude: SupportsFloat | None, longitude: SupportsFloat | None) -> bool:
        distance = self.distance_km(latitude, longitude)
        return distance is not None and distance <= self.radius_km

    def distance_km(self, latitude: SupportsFloat | None, longitude: SupportsFloat | None) -> float | None:
        """From the middle along the surface, by the haversine formula; None where a place is not known."""
        if latitude is None or longitude is None:
            return None
        there, here = radians(float(latitude)), radians(self.latitude)
        across = sin((there - here) / 2)
        along = sin(radians(float(longitude) - self.longitude) / 2) * sqrt(cos(here) * cos(there))
        return 2 * EARTH_KM * asin(min(1.0, hypot(across, along)))


def _between_meridians(name: str, west: float, east: float) -> Q:
    """Also across the date line, where the eastern border has the smaller number."""
    if east - west >= 360:
        return Q()
    if west < -180:
        return Q(**{f"{name}__gte": west + 360}) | Q(**{f"{name}__lte": east})
    if east > 180:
        return Q(**{f"{name}__gte": west}) | Q(**{f"{name}__lte": east - 360})
    return Q(**{f"{name}__range": (west, east)})
