"""Tariffs, Receiver: what partners' depots cost (OCPI 2.3.0 mod_tariffs, Receiver Interface). There is no PATCH."""

from __future__ import annotations

from typing import Any

from roaming.mirror import partner_tariffs
from roaming.mirror.kept_objects import TARIFF
from roaming.mirror.values import ToldTariff
from roaming.models import PartnerObject
from roaming.ocpi.client_owned import Asked, ClientOwned, Held, routes_of
from roaming.ocpi.v2_3_0.tariffs import reading
from roaming.ocpi.wire_object import Read


class Tariffs(ClientOwned[ToldTariff]):
    kind = TARIFF
    shape = reading.TARIFF
    methods = ["GET", "PUT", "DELETE"]

    def read(self, asked: Asked, raw: dict[str, Any]) -> Read[ToldTariff]:
        return asked.dialect.tariffs.read(raw)

    def names(self, told: ToldTariff) -> tuple[str, ...]:
        return (told.code,)

    def adopt(self, asked: Asked, read: Read[ToldTariff], raw: dict[str, Any]) -> bool:
        return partner_tariffs.adopt_tariff(asked.partner, read, raw, now=asked.now).is_new

    def withdraw(self, asked: Asked, held: Held) -> None:
        assert isinstance(held, PartnerObject)
        partner_tariffs.withdraw_tariff(asked.partner, held)


routes = routes_of(Tariffs())
