"""Chargers made of software: OCPP clients whose station keeps reservations and meters truthfully."""

from simulators.charger.charger import SimulatedCharger
from simulators.charger.client_tls import ClientTls
from simulators.charger.csms_connection import CsmsError, CsmsSilent
from simulators.charger.options import ChargerOptions
from simulators.charger.script import Mute, Refuse
from simulators.charger.station import IdToken, Reservation, SimulatedEvse, Transaction

__all__ = [
    "ChargerOptions",
    "ClientTls",
    "CsmsError",
    "CsmsSilent",
    "IdToken",
    "Mute",
    "Refuse",
    "Reservation",
    "SimulatedCharger",
    "SimulatedEvse",
    "Transaction",
]
