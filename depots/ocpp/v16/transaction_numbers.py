"""Transactions as OCPP 1.6 names them: numbers, of which every one is ours."""

from __future__ import annotations

import re

from depots.ocpp.dialect import InvalidCommand


def transaction_number(transaction: str) -> int:
    """Raises InvalidCommand."""
    if not re.fullmatch(r"\d{1,9}", transaction):
        raise InvalidCommand(f"OCPP 1.6 numbers its transactions; {transaction!r} is not one of ours.")
    return int(transaction)
