"""OCPP 1.6, as a Dialect (depots.ocpp.dialect)."""

from depots.ocpp.v16.commands import ask_capabilities, read_answer, request
from depots.ocpp.v16.messages import ANSWERS

__all__ = ["ANSWERS", "VERSION", "ask_capabilities", "read_answer", "request"]

VERSION = "1.6"
