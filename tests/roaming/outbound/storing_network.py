"""A partner that keeps what it is told, as long as it is there: what it stored of each object, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.factories import at
from tests.roaming.partners import Caller, pages
from tests.roaming.peers import Asked, Reply, ScriptedPeer, envelope
from tests.roaming.pushed_objects import z

MODULES = ("locations", "tariffs", "Booking", "tokens", "sessions", "cdrs")
SINCE = {"date_from": "2030-01-01T00:00:00Z"}


class Network:
    """A partner's Receivers. `fault` is what it answers in place of storing something, `loses` in place of saying that it has;
    both where `is_meant` says so."""

    def __init__(self) -> None:
        self.fault: Callable[[], Reply] | None = None
        self.loses: Callable[[], Reply] | None = None
        self.is_meant: Callable[[Asked], bool] = lambda asked: True
        self.told: list[tuple[str, Any]] = []  # what it stored, and where, in its order
        self.server = ScriptedPeer(self._answer)

    @property
    def endpoints(self) -> list[dict[str, str]]:
        url = self.server.url
        return [{"identifier": name, "role": "RECEIVER", "url": f"{url}/{name.lower()}"} for name in MODULES]

    @property
    def stored(self) -> dict[str, list[Any]]:
        """What it was told of each object, in order."""
        found: dict[str, list[Any]] = {}
        for path, body in list(self.told):
            found.setdefault(path, []).append(body)
        return found

    def _answer(self, asked: Asked) -> Reply:
        is_meant = self.is_meant(asked)
        if is_meant and self.fault is not None:
            return self.fault()
        if asked.method == "GET":
            return envelope([{"version": "2.3.0", "url": ""}])
        path = asked.path
        if asked.method == "POST":
            path = "/".join([path, *(asked.body[name] for name in ("country_code", "party_id", "id"))])
        self.told.append((path, asked.body))
        if is_meant and self.loses is not None:
            return self.loses()
        return envelope(headers={"Location": f"{self.server.url}{path}"} if asked.method == "POST" else {})

    def now(self, *under: str) -> dict[str, Any]:
        """The newest of each object below these paths, by id; an EVSE's own push is part of its Location."""
        found: dict[str, Any] = {}
        for path, bodies in self.stored.items():
            if path.startswith(under):
                found[path.rpartition("/")[2]] = bodies[-1]
        return found

    def check_equal(self, caller: Caller) -> None:
        """What it stored is what it would read in our lists now."""

        def listed(path: str, **query: str) -> dict[str, Any]:
            return {one.get("id") or one["uid"]: one for page in pages(caller, path, query) for one in page}

        assert timeless(self._locations()) == timeless(listed("/ocpi/cpo/2.3.0/locations"))
        for name in ("tariffs", "sessions", "cdrs"):
            assert timeless(self.now(f"/{name}/")) == timeless(listed(f"/ocpi/cpo/2.3.0/{name}", **SINCE))
        assert timeless(self.now("/tokens/")) == timeless(listed("/ocpi/emsp/2.3.0/tokens"))
        offers = self.now("/booking/NL/LPK/booking_locations/")
        listed_offers = listed("/ocpi/cpo/2.3.0/bookings/booking_locations")
        assert timeless(_without_today(offers)) == timeless(_without_today(listed_offers))
        told = {name: body for name, body in self.now("/booking/NL/LPK/").items() if name not in offers}
        assert timeless(told) == timeless(listed("/ocpi/cpo/2.3.0/bookings"))

    def _locations(self) -> dict[str, Any]:
        """With each EVSE as it was pushed last, by itself or within."""
        places = {path: bodies[-1] for path, bodies in self.stored.items() if path.startswith("/locations/")}
        evses = {path: places.pop(path) for path in list(places) if path.count("/") == 5}
        for path, evse in evses.items():
            place = places[path.rpartition("/")[0]]
            within = [one for one in place["evses"] if one["uid"] == evse["uid"]]
            if evse["last_updated"] >= within[0]["last_updated"]:
                place["evses"] = [evse if one is within[0] else one for one in place["evses"]]
        return {place["id"]: place for place in places.values()}


def _without_today(offers: dict[str, Any]) -> dict[str, Any]:
    """A calendar ages by itself: neither what has gone by since it was sent counts, nor how far it reaches."""
    first, last = z(at(0, day=2)), z(at(0, day=9))
    for offer in offers.values():
        for calendar in offer["calendars"]:
            slots = [one for one in calendar["available_timeslots"] if one["end_date_time"] > first]
            for one in slots:
                one["start_date_time"] = max(one["start_date_time"], first)
                one["end_date_time"] = min(one["end_date_time"], last)
            calendar["available_timeslots"] = slots
            calendar["begin_from"], calendar["end_before"] = first, last
    return offers


def timeless(value: Any) -> Any:
    """Without when it changed: what a partner has may be older than what it would read, and tell the same."""
    if isinstance(value, dict):
        return {name: timeless(part) for name, part in value.items() if name != "last_updated"}
    return [timeless(part) for part in value] if isinstance(value, list) else value
