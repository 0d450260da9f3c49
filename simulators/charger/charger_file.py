"""The file that names the chargers to simulate: their identities, passwords and EVSEs, as a depot file has them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from simulators.charger.behaviour import Behaviour
from simulators.charger.charger import SimulatedCharger
from simulators.charger.client_tls import ClientTls
from simulators.charger.oddities import ODDITIES
from simulators.charger.options import PROTOCOLS, ChargerOptions
from simulators.charger.station import IdToken


class UnreadableFile(Exception):
    """Says what is wrong with the file and where."""


def read_chargers(path: Path, url: str, tls: ClientTls | None = None) -> list[SimulatedCharger]:
    """`{"chargers": [{"identity": …, "password": …, "protocol": "ocpp1.6", "evses": [{"number": 1, "max_power_kw": 400}]}]}`.

    `evses` may also be their number; `certificate` and `key` name PEM files of the charger's own; `settings` are those of
    its configuration that differ, `stubborn` is a Behaviour. An EVSE's `running` is a transaction that it is in the middle
    of: {"transaction", "token", "started_at", "ends_at", "meter_start_wh", "meter_wh", "soc_percent"}. Raises
    UnreadableFile.
    """
    try:
        rows = json.loads(path.read_text())["chargers"]
    except FileNotFoundError:
        raise UnreadableFile(
            f"{path} does not exist. `manage.py load_demo` writes one for the demo; or name one charger with --identity."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"{path} is not a list of chargers: {error}") from None
    return [
        _charger(row, f"{path}, charger {index}", url, tls or ClientTls())
        for index, row in enumerate(rows, start=1)
    ]


def _charger(row: Any, place: str, url: str, tls: ClientTls) -> SimulatedCharger:
    try:
        charger = SimulatedCharger(read_options(row, place, url, tls))
        for evse in row["evses"] if isinstance(row.get("evses"), list) else []:
            if evse.get("running"):
                _resume(charger, evse["number"], evse["running"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFile(f"{place}: {error!r}") from None
    return charger


def read_options(row: Any, place: str, url: str, tls: ClientTls) -> ChargerOptions:
    """Raises UnreadableFile, with the place."""
    try:
        return _options(row, url, tls)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableFile(f"{place}: {error if isinstance(error, ValueError) else repr(error)}") from None


def _options(row: dict[str, Any], url: str, tls: ClientTls) -> ChargerOptions:
    protocol = row.get("protocol", "ocpp1.6")
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol is one of {', '.join(PROTOCOLS)}, not {protocol!r}.")
    behaviour = Behaviour.read(row.get("stubborn") or {})
    if unknown := [name for name in behaviour.oddities if name not in ODDITIES]:
        raise ValueError(f"{unknown[0]} is not one of the oddities {', '.join(sorted(ODDITIES))}")
    return ChargerOptions(
        identity=row["identity"],
        password=row.get("password", ""),
        protocol=protocol,
        url=url,
        evses=_evses(row.get("evses", 1)),
        behaviour=behaviour,
        settings={name: str(value) for name, value in (row.get("settings") or {}).items()},
        tls=_own(row, tls),
    )


def _own(row: dict[str, Any], tls: ClientTls) -> ClientTls:
    if not row.get("certificate"):
        return tls
    return replace(
        tls, certificate=Path(row["certificate"]), key=Path(row["key"]) if row.get("key") else None
    )


def _evses(told: Any) -> int | dict[int, int]:
    if isinstance(told, int):
        return told
    return {evse["number"]: round(evse.get("max_power_kw", 150) * 1000) for evse in told}


def _resume(charger: SimulatedCharger, number: int, told: dict[str, Any]) -> None:
    """Go on where the charger was when its story was written down."""
    evse = charger.station.evses[number]
    evse.register_wh = told.get("meter_wh") or told.get("meter_start_wh") or 0
    transaction = charger.station.begin(number, IdToken(told["token"]), soc_percent=told.get("soc_percent"))
    transaction.started_at = datetime.fromisoformat(told["started_at"])
    transaction.ends_at = datetime.fromisoformat(told["ends_at"]) if told.get("ends_at") else None
    transaction.meter_start_wh = told.get("meter_start_wh") or 0
    if charger.ocpp.version == "1.6":
        transaction.csms_id = int(told["transaction"])
    else:
        transaction.id = told["transaction"]
    # Beyond every number it may have used before, also in an earlier life of this process.
    transaction.seq_no = int(charger.clock().timestamp())
