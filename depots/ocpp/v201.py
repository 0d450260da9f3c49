"""OCPP 2.0.1: it has nothing of its own beside 2.x."""

from depots.ocpp.v2x import ANSWERS
from depots.ocpp.v2x_commands import ask_capabilities, read_answer, request

__all__ = ["ANSWERS", "VERSION", "ask_capabilities", "read_answer", "request"]

VERSION = "2.0.1"
