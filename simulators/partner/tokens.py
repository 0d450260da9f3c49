"""Tokens: our drivers' for others, who may ask whether one may charge (Sender), and others' as they push them (Receiver)."""

from __future__ import annotations

import uuid

from simulators.partner.emsp import CARD
from simulators.partner.ocpi_format import Json, Refusal
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.requests import Request, RoutedAnswer, page_of
from simulators.partner.state_file import StateFile

# Of a driver whose network wants to be asked each time, and of one who has lost it.
ASKED_CARD, LOST_CARD = "04F05E11AA02", "04F05E11AA03"
SINCE = "2026-01-01T00:00:00Z"


class TokensSender:
    identifier, role, side, path = "tokens", "SENDER", "emsp", "tokens"

    def __init__(self, settings: PartnerSettings, state: StateFile) -> None:
        self._settings, self._state = settings, state

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        match request.method, rest:
            case "GET", []:
                return page_of(request, self.tokens())
            case "POST", [uid, "authorize"]:
                return RoutedAnswer(self._authorization(uid, request.query.get("type", "RFID"), request.body))
        raise Refusal(2000, "GET the list, or POST …/authorize", 405)

    def tokens(self) -> list[Json]:
        return [
            self._token(CARD, "ALLOWED"),
            self._token(ASKED_CARD, "NEVER"),
            {**self._token(LOST_CARD, "ALLOWED"), "valid": False},
        ]

    def _authorization(self, uid: str, kind: str, body: object) -> Json:
        """Who asks whether a token may charge is given a reference; each question is remembered."""
        token = next((t for t in self.tokens() if (t["uid"], t["type"]) == (uid.upper(), kind.upper())), None)
        if token is None:
            raise Refusal(2004, "no such token", 404)
        answer: Json = {"allowed": "ALLOWED" if token["valid"] else "BLOCKED", "token": token}
        if isinstance(body, dict) and body:
            answer["location"] = body
        if token["valid"]:
            answer["authorization_reference"] = f"SIM-{uuid.uuid4().hex[:12]}"
        with self._state.changing() as state:
            state.setdefault("authorized", []).append(answer)
        self._settings.say(f"{uid} may charge: {answer['allowed']}")
        return answer

    def _token(self, uid: str, whitelist: str) -> Json:
        party = self._settings.party
        return {
            **party,
            "uid": uid,
            "type": "RFID",
            "contract_id": f"{party['country_code']}{party['party_id']}C{uid[-5:]}",
            "issuer": self._settings.name,
            "valid": True,
            "whitelist": whitelist,
            "last_updated": SINCE,
        }


class TokensReceiver:
    identifier, role, side, path = "tokens", "RECEIVER", "cpo", "tokens"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        return self._received.answer(request, "tokens", rest, role="EMSP", id_field="uid")
