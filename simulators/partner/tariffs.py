"""Tariffs: what charging costs at our sites (Sender), and others' as they push them (Receiver)."""

from __future__ import annotations

from simulators.partner.ocpi_format import Json, Refusal
from simulators.partner.partner_settings import PartnerSettings
from simulators.partner.received_objects import ReceivedObjects
from simulators.partner.requests import Request, RoutedAnswer, page_of

TARIFF_ID = "SIM-ENERGY"
PRICE_PER_KWH, VAT_PERCENT, CURRENCY = 0.49, 20, "EUR"


def tariff_of(settings: PartnerSettings) -> Json:
    component = {"type": "ENERGY", "price": PRICE_PER_KWH, "vat": VAT_PERCENT, "step_size": 1}
    tariff: Json = {
        **settings.party, "id": TARIFF_ID, "currency": CURRENCY, "elements": [{"price_components": [component]}],
        "last_updated": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return tariff if settings.version == "2.2.1" else {**tariff, "tax_included": "NO"}


class TariffsSender:
    identifier, role, side, path = "tariffs", "SENDER", "cpo", "tariffs"

    def __init__(self, settings: PartnerSettings) -> None:
        self._settings = settings

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        if request.method != "GET" or rest:
            raise Refusal(2000, "only the list", 405)
        return page_of(request, [tariff_of(self._settings)])


class TariffsReceiver:
    identifier, role, side, path = "tariffs", "RECEIVER", "emsp", "tariffs"

    def __init__(self, received: ReceivedObjects) -> None:
        self._received = received

    def answer(self, request: Request, rest: list[str]) -> RoutedAnswer:
        return self._received.answer(request, "tariffs", rest)
