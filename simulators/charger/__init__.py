"""Chargers made of software: real OCPP clients that keep reservations truthfully. They know nothing of the database."""

from simulators.charger.charger import Mute, Refuse, SimulatedCharger
from simulators.charger.station import Reservation, SimulatedEvse, Token, Transaction

__all__ = ["Mute", "Refuse", "Reservation", "SimulatedCharger", "SimulatedEvse", "Token", "Transaction"]
