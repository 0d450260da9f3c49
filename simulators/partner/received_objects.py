"""What the other platform pushed to us, as it came."""

from __future__ import annotations

from simulators.partner.ocpi_format import Json, Refusal, read_time
from simulators.partner.other_platform import OtherPlatform
from simulators.partner.requests import Request, RoutedAnswer
from simulators.partner.state_file import StateFile


class ReceivedObjects:
    """By kind ("bookings", "booking_locations", "locations", "sessions", "cdrs", "invoicereconciliation"), and there by CC/PID/ID
    in capitals."""

    def __init__(self, state: StateFile, peer: OtherPlatform) -> None:
        self._state, self._peer = state, peer

    def of(self, kind: str) -> dict[str, Json]:
        found: dict[str, Json] = self._state.get("received", {}).get(kind, {})
        return found

    def answer(
        self, request: Request, kind: str, key: list[str], *, role: str = "CPO", id_field: str = "id"
    ) -> RoutedAnswer:
        """GET, PUT and PATCH of an object of one of the other platform's parties. Raises Refusal."""
        self.check_owner(key, role, length=3)
        if request.method == "GET":
            return RoutedAnswer(self.find(kind, key))
        if request.method == "PATCH":
            held = self.find(kind, key)
            self.check(request.body, key[-1], is_whole=False)
            if not is_older(request.body, held):
                self.store(kind, key, merged(held, request.body))
            return RoutedAnswer(None)
        if request.method != "PUT":
            raise Refusal(2000, "only GET, PUT and PATCH", 405)
        return RoutedAnswer(None, 201 if self.keep(kind, key, request.body, id_field=id_field) else 200)

    def check_owner(self, key: list[str], role: str, *, length: int) -> None:
        """Raises Refusal."""
        if len(key) != length or not self.is_owned(key, role):
            raise Refusal(2000, "no such object", 404)

    def is_owned(self, key: list[str], role: str) -> bool:
        """By one of the other platform's parties in this role, or in any where none is named."""
        return [part.upper() for part in key[:2]] in self._peer.parties(role)

    def read_all(self, kind: str, url: str) -> None:
        """The list at an address, as if each of it had been pushed. Raises PlatformError."""
        for one in self._peer.pages(url):
            self.store(kind, [one["country_code"], one["party_id"], one["id"]], one)

    def find(self, kind: str, key: list[str]) -> Json:
        """Raises Refusal."""
        found = self.of(kind).get("/".join(key).upper())
        if found is None:
            raise Refusal(2000, "no such object", 404)
        return found

    def forget(self, kind: str, key: list[str]) -> None:
        with self._state.changing() as state:
            state.get("received", {}).get(kind, {}).pop("/".join(key).upper(), None)

    def keep(self, kind: str, key: list[str], pushed: object, *, id_field: str = "id") -> bool:
        """Whether the object is new; an older one than the one that is held changes nothing. Raises Refusal."""
        whole = self.check(pushed, key[-1], is_whole=True, id_field=id_field)
        held = self.of(kind).get("/".join(key).upper())
        if held is None or not is_older(whole, held):
            self.store(kind, key, whole)
        return held is None

    def check(self, pushed: object, name: str, *, is_whole: bool, id_field: str = "id") -> Json:
        """The object. Raises Refusal."""
        if not isinstance(pushed, dict):
            raise Refusal(2001, "the body is not an object")
        read_time(pushed.get("last_updated"))
        if not isinstance(pushed.get("charging_periods", []), list | None):
            raise Refusal(2001, "charging_periods is no list")
        named = str(pushed.get(id_field, "" if is_whole else name))
        if named.upper() != name.upper():
            raise Refusal(2001, f"{id_field} is required, and that of the path")
        return pushed

    def store(self, kind: str, key: list[str], whole: Json) -> None:
        with self._state.changing() as state:
            state.setdefault("received", {}).setdefault(kind, {})["/".join(key).upper()] = whole


def merged(held: Json, patch: Json) -> Json:
    """Objects in it are merged, everything else is replaced; periods of charging are added (OCPI mod_sessions, PATCH)."""
    made = dict(held)
    for name, value in patch.items():
        before = held.get(name)
        if name == "charging_periods":
            made[name] = [*(before or []), *(value or [])]
        elif isinstance(value, dict) and isinstance(before, dict):
            made[name] = merged(before, value)
        else:
            made[name] = value
    return made


def is_older(pushed: Json, held: Json) -> bool:
    return read_time(pushed["last_updated"]) < read_time(held["last_updated"])
