"""Places on the globe: what lies within a distance of a point."""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, degrees, hypot, radians, sin, sqrt
from typing import NamedTuple, SupportsFloat

EARTH_KM = 6371.0


class Box(NamedTuple):
    """From one latitude to another, between meridians (western, eastern): two pairs where the date line lies between."""

    south: float
    north: float
    meridians: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Circle:
    """All that lies no further than `radius_km` from a point, given in degrees."""

    latitude: float
    longitude: float
    radius_km: float

    def bounding_box(self) -> Box:
        """All that lies in the circle lies in it; its corners lie outside."""
        reach = degrees(self.radius_km / EARTH_KM)
        south, north = self.latitude - reach, self.latitude + reach
        if south <= -90 or north >= 90:  # with a pole in it every meridian passes through
            return Box(south, north, ((-180, 180),))
        wide = degrees(asin(min(1.0, sin(radians(reach)) / cos(radians(self.latitude)))))
        return Box(south, north, _meridians(self.longitude - wide, self.longitude + wide))

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


def _meridians(west: float, east: float) -> tuple[tuple[float, float], ...]:
    """Also across the date line, where the eastern border has the smaller number."""
    if east - west >= 360:
        return ((-180, 180),)
    if west < -180:
        return (west + 360, 180), (-180, east)
    if east > 180:
        return (west, 180), (-180, east - 360)
    return ((west, east),)
