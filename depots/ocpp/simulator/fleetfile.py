"""The file that names the chargers to simulate: their identities, passwords and EVSEs, as a depot file has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from depots.ocpp.simulator.charger import SimulatedCharger

PROTOCOLS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")


class UnreadableFile(Exception):
    """Says what is wrong with the file and where."""


def read_chargers(path: Path, url: str) -> list[SimulatedCharger]:
    """`{"chargers": [{"identity": …, "password": …, "protocol": "ocpp1.6", "evses": [{"number": 1, "max_power_kw": 400}]}]}`.

    `evses` may also be their number. Raises UnreadableFile.
    """
    try:
        rows = json.loads(path.read_text())["chargers"]
    except FileNotFoundError:
        raise UnreadableFile(
            f"{path} does not exist. `manage.py load_demo` writes it; or name one charger with --identity."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"{path} is not a list of chargers: {error}") from None
    return [_charger(row, f"{path}, charger {index}", url) for index, row in enumerate(rows, start=1)]


def _charger(row: Any, place: str, url: str) -> SimulatedCharger:
    try:
        protocol = row.get("protocol", "ocpp1.6")
        if protocol not in PROTOCOLS:
            raise UnreadableFile(f"{place}: protocol is one of {', '.join(PROTOCOLS)}, not {protocol!r}.")
        return SimulatedCharger(
            identity=row["identity"],
            password=row.get("password", ""),
            protocol=protocol,
            url=url,
            evses=_evses(row.get("evses", 1)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFile(f"{place}: {error!r}") from None


def _evses(told: Any) -> int | dict[int, int]:
    if isinstance(told, int):
        return told
    return {evse["number"]: round(evse.get("max_power_kw", 150) * 1000) for evse in told}
