"""A way over the globe as a line of points: what lies along it, how far along, and how far from it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import asin, atan2, ceil, cos, degrees, hypot, radians, sin, sqrt
from typing import NamedTuple, SupportsFloat

from depots.geography import EARTH_KM, Box, Circle

# A line is looked at in parts of about this length; a long one in longer parts, so that there are never many.
PART_KM = 40.0
MOST_PARTS = 64
# Points closer together than that say no more about where a line goes than one of them.
THINNED_KM = 0.25
# From there on two points have no one shortest way between them.
_OPPOSITE = radians(179)

_Vector = tuple[float, float, float]


class Point(NamedTuple):
    """In degrees."""

    latitude: float
    longitude: float


class Position(NamedTuple):
    """Where a place lies beside a line: how far along it one is closest, and how far away it is from there."""

    along_km: float
    apart_km: float


class OppositePoints(ValueError):
    """Two points follow one another that lie on opposite sides of the globe."""


@dataclass(frozen=True)
class Line:
    """Points joined by great circles; at least two. Raises OppositePoints."""

    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise ValueError("a line has two points at least")
        if any(_angle(_vector(a), _vector(b)) > _OPPOSITE for a, b in pairwise(self.points)):
            raise OppositePoints("Two points that follow one another lie on opposite sides of the globe.")

    @classmethod
    def thinned(cls, points: Sequence[Point]) -> Line:
        """Of the many points that a routing service gives: none closer to the one before than THINNED_KM, but for the last."""
        kept = [points[0]]
        for point in points[1:-1]:
            if distance_km(kept[-1], point) >= THINNED_KM:
                kept.append(point)
        return cls((*kept, points[-1]))

    @property
    def length_km(self) -> float:
        return self._segments[-1].until_km

    def boxes(self, apart_km: float) -> list[Box]:
        """Whatever lies no further than that from the line lies in one of them."""
        return [part.around(apart_km).bounding_box() for part in self._parts]

    def position(
        self, latitude: SupportsFloat | None, longitude: SupportsFloat | None, *, within_km: float
    ) -> Position | None:
        """Where the line is closest to a place, the first such point; None where that is further away, or the place not known."""
        if latitude is None or longitude is None:
            return None
        place = Point(float(latitude), float(longitude))
        there, best = _vector(place), None
        for part in self._parts:
            if not part.around(within_km).contains(*place):
                continue
            for segment in part.segments:
                found = segment.closest(there)
                if found.apart_km <= within_km and (best is None or found.apart_km < best.apart_km):
                    best = found
        return best

    def at(self, along_km: float) -> Point:
        """The point so far along the line; its ends are the nearest to what lies before and behind."""
        for segment in self._segments:
            if along_km <= segment.until_km:
                break
        length = segment.until_km - segment.since_km
        share = (along_km - segment.since_km) / length if length else 0.0
        return _between(segment.begin, segment.end, min(max(share, 0.0), 1.0))

    @cached_property
    def _segments(self) -> tuple[_Segment, ...]:
        """Cut where a stretch is longer than a part."""
        found: list[_Segment] = []
        since = 0.0
        longest = self._part_km
        for begin, end in pairwise(self.points):
            a, b = _vector(begin), _vector(end)
            length = _angle(a, b) * EARTH_KM
            number = max(1, ceil(length / longest))
            cuts = [_vector(_between(a, b, step / number)) for step in range(number + 1)]
            for first, last in pairwise(cuts):
                found.append(_Segment(first, last, since, since + length / number))
                since += length / number
        return tuple(found)

    @cached_property
    def _part_km(self) -> float:
        whole = sum(distance_km(a, b) for a, b in pairwise(self.points))
        return max(PART_KM, whole / MOST_PARTS)

    @cached_property
    def _parts(self) -> tuple[_Part, ...]:
        return tuple(_Part.of(group) for group in self._grouped())

    def _grouped(self) -> Iterator[list[_Segment]]:
        group: list[_Segment] = []
        for segment in self._segments:
            if group and segment.until_km - group[0].since_km > self._part_km * 1.001:
                yield group
                group = []
            group.append(segment)
        yield group


class _Segment(NamedTuple):
    """A short stretch of a great circle, from one unit vector to another."""

    begin: _Vector
    end: _Vector
    since_km: float
    until_km: float

    def closest(self, there: _Vector) -> Position:
        normal = _cross(self.begin, self.end)
        size = _size(normal)
        if size < 1e-12:  # begin and end are one point
            return Position(self.since_km, _angle(self.begin, there) * EARTH_KM)
        normal = _scaled(normal, 1 / size)
        across = _dot(there, normal)
        foot = _minus(there, _scaled(normal, across))
        after_begin, before_end = (
            _dot(_cross(self.begin, foot), normal),
            _dot(_cross(foot, self.end), normal),
        )
        if after_begin >= 0 and before_end >= 0 and _size(foot) > 1e-12:
            return Position(
                self.since_km + _angle(self.begin, foot) * EARTH_KM, abs(asin(_unit(across))) * EARTH_KM
            )
        to_begin, to_end = _angle(self.begin, there) * EARTH_KM, _angle(self.end, there) * EARTH_KM
        return Position(self.since_km, to_begin) if to_begin <= to_end else Position(self.until_km, to_end)


class _Part(NamedTuple):
    """Segments that follow one another, and a circle in which all of them lie."""

    segments: list[_Segment]
    middle: Point
    radius_km: float

    @classmethod
    def of(cls, segments: list[_Segment]) -> _Part:
        ends = [segments[0].begin, *(segment.end for segment in segments)]
        middle = _between(ends[0], ends[-1], 0.5) if _angle(ends[0], ends[-1]) > 1e-9 else _point(ends[0])
        radius = max(_angle(_vector(middle), end) for end in ends) * EARTH_KM
        return cls(segments, middle, radius + 0.001)

    def around(self, apart_km: float) -> Circle:
        return Circle(*self.middle, self.radius_km + apart_km)


def distance_km(a: Point, b: Point) -> float:
    """Along the surface."""
    return _angle(_vector(a), _vector(b)) * EARTH_KM


def _between(a: _Vector | Point, b: _Vector | Point, share: float) -> Point:
    """The point that lies so far on the great circle from one to the other."""
    first, last = (_vector(v) if isinstance(v, Point) else v for v in (a, b))
    angle = _angle(first, last)
    if angle < 1e-12:
        return _point(first)
    near, far = sin((1 - share) * angle) / sin(angle), sin(share * angle) / sin(angle)
    return _point(_plus(_scaled(first, near), _scaled(last, far)))


def _vector(point: Point) -> _Vector:
    latitude, longitude = radians(point.latitude), radians(point.longitude)
    return (cos(latitude) * cos(longitude), cos(latitude) * sin(longitude), sin(latitude))


def _point(vector: _Vector) -> Point:
    x, y, z = vector
    return Point(degrees(atan2(z, hypot(x, y))), degrees(atan2(y, x)))


def _angle(a: _Vector, b: _Vector) -> float:
    """Exact for small angles as for large ones; of vectors of any length."""
    return atan2(_size(_cross(a, b)), _dot(a, b))


def _unit(value: float) -> float:
    return min(1.0, max(-1.0, value))


def _dot(a: _Vector, b: _Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: _Vector, b: _Vector) -> _Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _plus(a: _Vector, b: _Vector) -> _Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _minus(a: _Vector, b: _Vector) -> _Vector:
    return _plus(a, _scaled(b, -1))


def _scaled(a: _Vector, by: float) -> _Vector:
    return (a[0] * by, a[1] * by, a[2] * by)


def _size(a: _Vector) -> float:
    return sqrt(_dot(a, a))
