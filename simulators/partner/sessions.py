"""Sessions and CDRs: those at our sites for others (Sender), and what others tell of our trucks (Receiver)."""

from __future__ import annotations

from simulators.partner.charging import ChargingDesk
from simulators.partner.ocpi_format import Json, Refusal
from simulators.partner.other_platform import OtherPlatform
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.requests import Request, RoutedAnswer, page_of

# Said later of a record: no other one for that.
NOT_OF_THE_RECORD = {"last_updated", "invoice_reference_id"}


class SessionsSender:
    identifier, role, side, path = "sessions", "SENDER", "cpo", "sessions"

    def __init__(self, charging: ChargingDesk, peer: OtherPlatform) -> None:
        self._charging, self._peer = charging, peer

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "GET" or rest:
            raise Refusal(2000, "only the list", 405)
        if "date_from" not in request.query:
            raise Refusal(2001, "date_from is required")
        found = list(self._charging.sessions().values())
        return page_of(request, self._peer.own_of(request.sender, found, _driver))


class SessionsReceiver:
    identifier, role, side, path = "sessions", "RECEIVER", "emsp", "sessions"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        return self._received.answer(request, "sessions", rest)


class CdrsSender:
    identifier, role, side, path = "cdrs", "SENDER", "cpo", "cdrs"

    def __init__(self, charging: ChargingDesk, peer: OtherPlatform) -> None:
        self._charging, self._peer = charging, peer

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "GET" or rest:
            raise Refusal(2000, "only the list", 405)
        found = list(self._charging.cdrs().values())
        return page_of(request, self._peer.own_of(request.sender, found, _driver))


class CdrsReceiver:
    """A record is kept once, where the answer to its POST says."""

    identifier, role, side, path = "cdrs", "RECEIVER", "emsp", "cdrs"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method == "GET":
            return RoutedAnswer(self._received.find("cdrs", rest))
        if request.method != "POST" or rest:
            raise Refusal(2000, "only POST of a record, and GET of one", 405)
        cdr = request.body
        if not isinstance(cdr, dict) or not all(cdr.get(n) for n in ("country_code", "party_id", "id")):
            raise Refusal(2001, "country_code, party_id and id are required")
        _check(cdr)
        key = [str(cdr[name]) for name in ("country_code", "party_id", "id")]
        if not self._received.is_owned(key, "CPO"):
            raise Refusal(2001, "party_id is none of your CPO parties")
        known = self._received.of("cdrs").get("/".join(key).upper())
        if known is not None and _content(known) != _content(cdr):
            raise Refusal(2001, "id is the one of another record")
        is_new = self._received.keep("cdrs", key, cdr) if known is None else False
        where = {"Location": f"{request.url.rstrip('/')}/{'/'.join(key)}"}
        return RoutedAnswer(None, 201 if is_new else 200, where)


def _driver(found: Json) -> Json:
    token: Json = found["cdr_token"]
    return token


def _check(cdr: Json) -> None:
    total = cdr.get("total_cost", {})
    amount = total.get("before_taxes", total.get("excl_vat", 0))
    if amount < 0 and not cdr.get("credit"):
        raise Refusal(2001, "total_cost is negative, and credit is not true")
    if cdr.get("credit") and not cdr.get("credit_reference_id"):
        raise Refusal(2001, "credit_reference_id is required")


def _content(cdr: Json) -> Json:
    return {name: value for name, value in cdr.items() if name not in NOT_OF_THE_RECORD}
