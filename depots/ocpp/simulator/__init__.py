"""Chargers made of software: real OCPP clients that keep reservations truthfully. They know nothing of the database."""

from depots.ocpp.simulator.charger import Mute, Refuse, SimulatedCharger
from depots.ocpp.simulator.station import Reservation, SimulatedEvse, Token, Transaction

__all__ = ["Mute", "Refuse", "Reservation", "SimulatedCharger", "SimulatedEvse", "Token", "Transaction"]
