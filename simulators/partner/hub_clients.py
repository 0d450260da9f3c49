"""Whom a hub connects, as it tells us (Receiver; OCPI mod_hub_client_info). A configuration module: no routing headers."""

from __future__ import annotations

from simulators.partner.ocpi_format import Json, Refusal, read_time
from simulators.partner.requests import Request, RoutedAnswer
from simulators.partner.state_file import StateFile

MODULE = "hubclientinfo"
STATUSES = ("CONNECTED", "OFFLINE", "PLANNED", "SUSPENDED")
REQUIRED = ("country_code", "party_id", "role", "status", "last_updated")


class HubClientsReceiver:
    identifier, role, side, path = MODULE, "RECEIVER", "emsp", MODULE

    def __init__(self, state: StateFile) -> None:
        self._state = state

    def clients(self) -> dict[str, Json]:
        """By ROLE/CC/PID."""
        found: dict[str, Json] = self._state.get("hub_clients", {})
        return found

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if len(rest) != 2 or request.method not in ("GET", "PUT"):
            raise Refusal(2000, "only GET and PUT of a party", 405)
        party = "/".join(rest).upper()
        if request.method == "GET":
            found = [info for key, info in self.clients().items() if key.partition("/")[2] == party]
            if not found:
                raise Refusal(2000, "no such party", 404)
            return RoutedAnswer(found[-1])
        info = _checked(request.body, party)
        key = f"{info['role']}/{party}"
        known = self.clients().get(key)
        if known is None or read_time(known["last_updated"]) <= read_time(info["last_updated"]):
            with self._state.changing() as state:
                state.setdefault("hub_clients", {})[key] = info
        return RoutedAnswer(None, 201 if known is None else 200)


def _checked(body: object, party: str) -> Json:
    """Raises Refusal."""
    if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in REQUIRED):
        raise Refusal(2001, f"{', '.join(REQUIRED)} are required")
    if f"{body['country_code']}/{body['party_id']}".upper() != party:
        raise Refusal(2001, "country_code and party_id are those of the path")
    if body["status"] not in STATUSES:
        raise Refusal(2001, f"status: one of {', '.join(STATUSES)}")
    read_time(body["last_updated"])
    return body
