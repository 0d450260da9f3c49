"""The organisations of the demo, their people, and the fleets' vehicles as vehicle files would have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from config.demo_data.demo_depots import CCS, MCS
from depots.models import Membership

Role = Membership.Role


@dataclass(frozen=True)
class Firm:
    name: str
    country_code: str
    cpo_party_id: str = ""
    emsp_party_id: str = ""

    @property
    def parties(self) -> dict[str, str]:
        """In OCPI, as `register_organisation` takes them."""
        return {
            "country_code": self.country_code,
            "cpo_party_id": own_party(self.cpo_party_id),
            "emsp_party_id": own_party(self.emsp_party_id),
        }


NORDFRACHT = Firm("Nordfracht", "DE", "NFR", "NFE")
LADEPARK = Firm("Ladepark", "NL", "LPK")
ALPENTRANS = Firm("Alpentrans", "AT", "", "ALP")
BALTCARGO = Firm("Baltcargo", "LT", "", "BLC")
FIRMS = (NORDFRACHT, LADEPARK, ALPENTRANS, BALTCARGO)

# What their invoices say of them. Numbers have right check digits and are nobody's: no bank is called EXAM, 12345678 or 99999.
PARTICULARS: dict[str, dict[str, str]] = {
    "Nordfracht": {
        "legal_name": "Nordfracht Musterspedition GmbH", "address": "Vollhöfner Weiden 12", "postal_code": "21129",
        "city": "Hamburg", "country": "DEU", "vat_id": "DE123456788", "iban": "DE58123456780123456789",
        "billing_email": "invoices@nordfracht.example",
    },
    "Ladepark": {
        "legal_name": "Ladepark Voorbeeld B.V.", "address": "Columbusweg 31", "postal_code": "5928 LA", "city": "Venlo",
        "country": "NLD", "vat_id": "NL000099998B57", "iban": "NL67EXAM0123456789", "billing_email": "invoices@ladepark.example",
    },
    "Alpentrans": {
        "legal_name": "Alpentrans Muster GmbH", "address": "Regensburger Straße 9", "postal_code": "4020", "city": "Linz",
        "country": "AUT", "vat_id": "ATU12345675", "iban": "AT049999900000000001", "billing_email": "invoices@alpentrans.example",
    },
    "Baltcargo": {
        "legal_name": "UAB Baltcargo Pavyzdys", "address": "Dariaus ir Girėno g. 111", "postal_code": "02189",
        "city": "Vilnius", "country": "LTU", "vat_id": "LT999999917", "iban": "LT029999900000000001",
        "billing_email": "invoices@baltcargo.example",
    },
}  # fmt: skip

LOGINS: dict[str, list[tuple[Firm, str]]] = {
    "dispatcher@nordfracht.example": [(NORDFRACHT, Role.DISPATCHER)],
    "manager@nordfracht.example": [(NORDFRACHT, Role.DEPOT_MANAGER)],
    "dispatcher@alpentrans.example": [(ALPENTRANS, Role.DISPATCHER)],
    "dispatcher@baltcargo.example": [(BALTCARGO, Role.DISPATCHER)],
    "manager@ladepark.example": [(LADEPARK, Role.DEPOT_MANAGER)],
    "accountant@nordfracht.example": [(NORDFRACHT, Role.ACCOUNTANT)],
    "accountant@ladepark.example": [(LADEPARK, Role.ACCOUNTANT)],
    "accountant@alpentrans.example": [(ALPENTRANS, Role.ACCOUNTANT)],
    "viewer@nordfracht.example": [(NORDFRACHT, Role.VIEWER)],
    "admin@berth.example": [(firm, Role.ADMIN) for firm in FIRMS],
}

# They look after the platform itself: its partner networks (roaming.access).
PLATFORM_ADMINISTRATORS = ("admin@berth.example",)
ACCOUNTANTS = tuple(email for email in LOGINS if email.startswith("accountant@"))

# Two trucks for trying things out; no booking of the demo takes them.
FREE_PLATES = ("HH-NF 100", "HH-NF 200")
# Those that charge, wait or ask at the moment the demo is loaded, whatever the time of day.
PRESENT_PLATES = ("HH-NF 340", "L-AT 130", "BLC 504", "HH-NF 330")


def own_party(party_id: str) -> str:
    """The party id in this demo: another one where a second demo is to be told apart (BERTH_DEMO_PARTY)."""
    return party_id[:-1] + (settings.BERTH_DEMO_PARTY or party_id[-1]) if party_id else ""


def vehicle_file(firm: Firm) -> dict[str, Any]:
    """The document that `import_vehicles` takes."""
    return {"vehicles": _VEHICLES[firm.name]()}


def _nordfracht() -> list[dict[str, Any]]:
    free = [
        _truck("HH-NF 100", "04AABBCCDD10", "DE-NFE-C00000100-1", plugs=[CCS, MCS], kw=1000, battery=600),
        _truck("HH-NF 200", "04AABBCCDD20", "DE-NFE-C00000200-9", plugs=[CCS, MCS], kw=1000, battery=600),
    ]
    usual = [_truck(f"HH-NF {n}", f"04A1B2C3D{n}", f"DE-NFE-C00000{n}-5") for n in (310, 320, 330, 340)]
    for truck in usual:
        truck["tokens"][0]["group"] = "Night shift"
        truck["charge_curve"] = "10:350, 60:350, 80:220, 90:120, 100:50"
    return [
        *free,
        *usual,
        _truck("HH-NF 400", "04A1B2C3D400", "DE-NFE-C00000400-2", plugs=[MCS, CCS], kw=1000, battery=700),
        _truck("HH-NF 500", "04A1B2C3D500", "DE-NFE-C00000500-7") | {"needs_refrigeration": True},
    ]


def _alpentrans() -> list[dict[str, Any]]:
    usual = [_truck(f"L-AT {n}", f"04C0FFEE0{n}", f"AT-ALP-C00000{n}-3", kw=300) for n in (110, 120, 130)]
    return [
        *usual,
        _truck("L-AT 210", "04C0FFEE0210", "AT-ALP-C00000210-8", plugs=[MCS, CCS], kw=1200, battery=800),
        _truck("L-AT 310", "04C0FFEE0310", "AT-ALP-C00000310-6") | {"carries_dangerous_goods": True},
        _bus("L-AT 910", "04C0FFEE0910", "AT-ALP-C00000910-4"),
    ]


def _baltcargo() -> list[dict[str, Any]]:
    usual = [_truck(f"BLC {n}", f"04BA17C00{n}", f"LT-BLC-C00000{n}-1") for n in (501, 502, 503, 504)]
    return [
        *usual,
        _truck("BLC 601", "04BA17C00601", "LT-BLC-C00000601-5") | {"needs_refrigeration": True},
        _truck(
            "BLC 701", "04BA17C00701", "LT-BLC-C00000701-2", kind="RIGID", length=1000, kw=150, battery=300
        ),
    ]


_VEHICLES = {"Nordfracht": _nordfracht, "Alpentrans": _alpentrans, "Baltcargo": _baltcargo}


def _truck(
    plate: str,
    token: str,
    contract: str,
    *,
    kind: str = "SEMI_TRACTOR",
    plugs: list[str] | None = None,
    kw: float = 350,
    battery: float = 500,
    length: int = 1650,
) -> dict[str, Any]:
    country, party, number = contract.split("-", 2)
    own = {
        "uid": token + settings.BERTH_DEMO_PARTY.encode().hex().upper(),
        "contract_id": f"{country}-{own_party(party)}-{number}",
    }
    return {
        "plate": plate, "vehicle_type": kind, "length_cm": length, "width_cm": 255, "height_cm": 400, "weight_kg": 40_000,
        "battery_kwh": battery, "max_power_kw": kw, "connector_standards": plugs or [CCS],
        "tokens": [{**own, "type": "RFID", "label": f"Card of {plate}"}],
    }  # fmt: skip


def _bus(plate: str, token: str, contract: str) -> dict[str, Any]:
    return _truck(plate, token, contract, kind="BUS", length=1200, kw=250, battery=400) | {
        "weight_kg": 19_500
    }
