"""Locations: our sites for others (Sender), and others' depots as they push them (Receiver)."""

from __future__ import annotations

from copy import deepcopy

from simulators.partner import simulated_sites
from simulators.partner.ocpi_format import Json, Refusal
from simulators.partner.received_objects import ReceivedObjects, is_older, merged
from simulators.partner.requests import Request, RoutedAnswer, page_of
from simulators.partner.site_calendars import SiteCalendars

# What a location holds, and an EVSE in it: where it is listed, and what names it.
PARTS = (("evses", "uid"), ("connectors", "id"))


class LocationsSender:
    identifier, role, side, path = "locations", "SENDER", "cpo", "locations"

    def __init__(self, calendars: SiteCalendars) -> None:
        self._calendars = calendars

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "GET":
            raise Refusal(2000, "only GET", 405)
        if not rest:
            return page_of(request, [self._calendars.location(site) for site in simulated_sites.SITES])
        site = simulated_sites.find_location(rest[0])
        if site is None:
            raise Refusal(2003, "no such location", 404)
        return RoutedAnswer(self._calendars.location(site))


class LocationsReceiver:
    """Whole ones, and the EVSEs and connectors in them by themselves."""

    identifier, role, side, path = "locations", "RECEIVER", "emsp", "locations"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        key, parts = rest[:3], rest[3:]
        if not parts or len(parts) > len(PARTS):
            return self._received.answer(request, "locations", rest)
        self._received.check_owner(key, "CPO", length=3)
        location = deepcopy(self._received.find("locations", key))
        holder = location
        for (listed, id_field), name in zip(PARTS, parts[:-1], strict=False):
            holder = _named(holder, listed, id_field, name)
        answer = self._part(request, holder, *PARTS[len(parts) - 1], parts[-1])
        if request.method != "GET":
            self._received.store("locations", key, location)
        return answer

    def _part(self, request: Request, holder: Json, listed: str, id_field: str, name: str) -> RoutedAnswer:
        """GET, PUT or PATCH of one that `holder` lists. Raises Refusal."""
        if request.method == "GET":
            return RoutedAnswer(_named(holder, listed, id_field, name))
        if request.method not in ("PUT", "PATCH"):
            raise Refusal(2000, "only GET, PUT and PATCH", 405)
        is_whole = request.method == "PUT"
        pushed = self._received.check(request.body, name, is_whole=is_whole, id_field=id_field)
        parts = holder.setdefault(listed, [])
        held = next((one for one in parts if _is_called(one, id_field, name)), None)
        if held is None and not is_whole:
            raise Refusal(2000, "no such object", 404)
        if held is None:
            parts.append(pushed)
        elif not is_older(pushed, held):
            parts[parts.index(held)] = pushed if is_whole else merged(held, pushed)
        return RoutedAnswer(None, 201 if held is None else 200)


def _named(holder: Json, listed: str, id_field: str, name: str) -> Json:
    """Raises Refusal."""
    for one in holder.get(listed) or []:
        if _is_called(one, id_field, name):
            return one
    raise Refusal(2000, "no such object", 404)


def _is_called(part: Json, id_field: str, name: str) -> bool:
    return bool(str(part.get(id_field, "")).upper() == name.upper())
