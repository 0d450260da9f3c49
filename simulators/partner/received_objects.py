"""What the other platform pushed to us, as it came."""

from __future__ import annotations

from simulators.partner.ocpi_format import Json, Refusal
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
        """GET and PUT of an object of one of the other platform's parties. Raises Refusal."""
        if len(key) != 3 or [part.upper() for part in key[:2]] not in self._peer.parties(role):
            raise Refusal(2000, "no such object", 404)
        if request.method == "GET":
            return RoutedAnswer(self.find(kind, key))
        if request.method != "PUT":
            raise Refusal(2000, "only GET and PUT of whole objects", 405)
        return RoutedAnswer(None, 201 if self.keep(kind, key, request.body, id_field=id_field) else 200)

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
        """Whether the object is new. Raises Refusal."""
        if not isinstance(pushed, dict):
            raise Refusal(2001, "the body is not an object")
        if str(pushed.get(id_field, "")).upper() != key[-1].upper() or "last_updated" not in pushed:
            raise Refusal(
                2001, f"{id_field} and last_updated are required, and the {id_field} is that of the path"
            )
        name = "/".join(key).upper()
        with self._state.changing() as state:
            held = state.setdefault("received", {}).setdefault(kind, {})
            is_new = name not in held
            held[name] = pushed
        return is_new
