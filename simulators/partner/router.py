"""What others ask of the platform: versions and credentials, and its modules below them (OCPI, in the version it is set to)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from simulators.partner.ocpi_format import Json, Refusal, envelope, read_body, routed_party, routing_back
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.registering import Registration
from simulators.partner.requests import Module, Request, RoutedAnswer


def configuration(
    request: Request, version: str, url: str, endpoints: list[Json], registration: Registration
) -> RoutedAnswer | None:
    """Versions, details and credentials, which are never routed; None for what is of other modules. Raises Refusal."""
    match request.path:
        case ["ocpi", "versions"] if request.method == "GET":
            return RoutedAnswer([{"version": version, "url": f"{url}/ocpi/{version}"}])
        case ["ocpi", named] if named == version and request.method == "GET":
            return RoutedAnswer({"version": version, "endpoints": endpoints})
        case ["ocpi", named, "credentials"] if named == version:
            return RoutedAnswer(registration.answer(request.method, request.caller, request.body))
    return None


@dataclass(frozen=True)
class Router:
    settings: PartnerSettings
    url: str
    registration: Registration
    modules: Sequence[Module]

    def answer(
        self, method: str, target: str, headers: dict[str, str], raw: bytes
    ) -> tuple[int, Json, dict[str, str]]:
        """One request: HTTP status, envelope, further headers."""
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        now = self.settings.clock()
        try:
            caller = self.registration.caller(headers.get("authorization", ""))
            body = read_body(raw) if method in ("POST", "PUT", "PATCH") else None
            query = dict(parse_qsl(parts.query))
            sender, addressed = routed_party(headers, "from"), routed_party(headers, "to")
            request = Request(method, path, query, body, caller, f"{self.url}{parts.path}", sender)
            answer = self._route(request, addressed, headers.get("authorization", ""))
        except Refusal as refusal:
            refused = envelope(None, now, status_code=refusal.status_code, message=str(refusal))
            return refusal.http_status, refused, {}
        told = envelope(answer.data, now, message=answer.message)
        back = {} if path[:2] == ["ocpi", "versions"] else routing_back(headers)
        return answer.http_status, told, {**answer.headers, **back}

    def _route(self, request: Request, addressed: tuple[str, str] | None, authorization: str) -> RoutedAnswer:
        spoken = self.settings.version
        configured = configuration(request, spoken, self.url, self._endpoints(), self.registration)
        if configured is not None:
            return configured
        self.registration.registered_caller(request.caller, authorization)
        if addressed is not None and addressed not in self.settings.parties:
            raise Refusal(2001, f"{'*'.join(addressed)} is no party here", 404)
        match request.path:
            case ["ocpi", side, version, path, *rest] if version == spoken:
                for module in self.modules:
                    if (module.side, module.path) == (side, path):
                        return module.answer(request, rest)
        raise Refusal(2000, "there is nothing here", 404)

    def _endpoints(self) -> list[Json]:
        base, spoken = f"{self.url}/ocpi", self.settings.version
        credentials = {
            "identifier": "credentials",
            "role": "SENDER",
            "url": f"{base}/{spoken}/credentials",
        }
        return [
            credentials,
            *(
                {"identifier": m.identifier, "role": m.role, "url": f"{base}/{m.side}/{spoken}/{m.path}"}
                for m in self.modules
            ),
        ]
