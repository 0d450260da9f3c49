"""How firmwares in the field write their messages: each oddity changes what an honest charger would send.

They come from public reports on chargers and central systems; what is right to do with each is the receiver's to know.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from simulators.charger.script import Json

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")
TIMES = ("timestamp",)


def written_oddly(action: str, payload: Json, oddities: Sequence[str]) -> Json:
    """The payload as a charger with these oddities sends it. Raises KeyError for a name there is not."""
    odd = copy.deepcopy(payload)
    for name in oddities:
        ODDITIES[name](action, odd)
    return odd


def _without_zone(action: str, payload: Json) -> None:
    _rewrite_times(payload, lambda match: match[1])


def _with_offset(action: str, payload: Json) -> None:
    _rewrite_times(payload, lambda match: f"{match[1]}{match[2] or ''}+00:00")


def _with_short_offset(action: str, payload: Json) -> None:
    """Not RFC 3339."""
    _rewrite_times(payload, lambda match: f"{match[1]}+00")


def _many_digits(action: str, payload: Json) -> None:
    _rewrite_times(payload, lambda match: f"{match[1]}.123456789Z")


def _status_of_1970(action: str, payload: Json) -> None:
    if action == "StatusNotification":
        payload["timestamp"] = "1970-01-01T00:00:00Z"


def _status_without_time(action: str, payload: Json) -> None:
    if action == "StatusNotification":
        payload.pop("timestamp", None)


def _tag_with_separators(action: str, payload: Json) -> None:
    if tag := payload.get("idTag"):
        payload["idTag"] = ":".join(tag[at : at + 2] for at in range(0, len(tag), 2))
    if (token := payload.get("idToken")) and len(token["idToken"]) % 2 == 0:
        token["idToken"] = " " + token["idToken"].lower()


def _register_in_kwh(action: str, payload: Json) -> None:
    for sample in _registers(payload):
        kwh = float(sample["value"]) / 1000
        if "unitOfMeasure" in sample:
            sample["value"], sample["unitOfMeasure"] = kwh, {"unit": "kWh"}
        else:
            sample["value"], sample["unit"] = f"{kwh:.3f}", "kWh"


def _register_with_multiplier(action: str, payload: Json) -> None:
    for sample in _registers(payload):
        if "unitOfMeasure" in sample:
            sample["value"] = float(sample["value"]) / 1000
            sample["unitOfMeasure"] = {"unit": "Wh", "multiplier": 3}


def _comma_in_numbers(action: str, payload: Json) -> None:
    for sample in _samples(payload):
        if isinstance(sample["value"], str) and sample.get("measurand") != "SoC":
            sample["value"] = f"{sample['value']},0"


def _numbers_as_text(action: str, payload: Json) -> None:
    for name in ("meterStart", "meterStop", "connectorId", "transactionId"):
        if name in payload:
            payload[name] = str(payload[name])
    for sample in _samples(payload):
        sample["value"] = str(sample["value"])


def _unknown_measurand(action: str, payload: Json) -> None:
    for value in payload.get("meterValue") or []:
        is_2x = any("unitOfMeasure" in sample for sample in value["sampledValue"])
        told: Json = {"value": 300000, "unitOfMeasure": {"unit": "Wh"}} if is_2x else {"value": "300000"}
        value["sampledValue"].insert(0, {**told, "measurand": "EnergyRequest.Target"})


def _empty_samples(action: str, payload: Json) -> None:
    if values := payload.get("meterValue"):
        values.append({"timestamp": values[0]["timestamp"], "sampledValue": []})


def _samples_at_the_inlet(action: str, payload: Json) -> None:
    for sample in _samples(payload):
        if sample.get("measurand") != "SoC":
            sample["location"] = "Inlet"


def _overlong_boot(action: str, payload: Json) -> None:
    if action == "BootNotification":
        told = payload.get("chargingStation", payload)
        told["firmwareVersion"] = "v" * 120
        told["iccid" if told is payload else "modem"] = None


def _fields_too_many(action: str, payload: Json) -> None:
    payload["vendorExtra"] = "x"
    if action == "Authorize":
        payload["connectorId"] = 1


def _fields_too_few(action: str, payload: Json) -> None:
    if action == "StartTransaction":
        del payload["timestamp"]
    if action == "StatusNotification":
        payload.pop("errorCode", None)


def _no_reservation_id(action: str, payload: Json) -> None:
    payload.pop("reservationId", None)


def _reservation_id_minus_one(action: str, payload: Json) -> None:
    if action == "StartTransaction":
        payload["reservationId"] = -1


def _status_in_small_letters(action: str, payload: Json) -> None:
    for name in ("status", "connectorStatus"):
        if action == "StatusNotification" and name in payload:
            payload[name] = str(payload[name]).lower()


ODDITIES: dict[str, Callable[[str, Json], None]] = {
    "comma_in_numbers": _comma_in_numbers,
    "empty_samples": _empty_samples,
    "fields_too_few": _fields_too_few,
    "fields_too_many": _fields_too_many,
    "many_digits": _many_digits,
    "no_reservation_id": _no_reservation_id,
    "numbers_as_text": _numbers_as_text,
    "overlong_boot": _overlong_boot,
    "register_in_kwh": _register_in_kwh,
    "register_with_multiplier": _register_with_multiplier,
    "reservation_id_minus_one": _reservation_id_minus_one,
    "samples_at_the_inlet": _samples_at_the_inlet,
    "status_in_small_letters": _status_in_small_letters,
    "status_of_1970": _status_of_1970,
    "status_without_time": _status_without_time,
    "tag_with_separators": _tag_with_separators,
    "unknown_measurand": _unknown_measurand,
    "with_offset": _with_offset,
    "with_short_offset": _with_short_offset,
    "without_zone": _without_zone,
}


def _rewrite_times(part: Any, write: Callable[[re.Match[str]], str]) -> None:
    """In place, however deep they are."""
    for item in part if isinstance(part, list) else part.values() if isinstance(part, dict) else ():
        _rewrite_times(item, write)
    if isinstance(part, dict):
        for name in TIMES:
            if isinstance(part.get(name), str):
                part[name] = _TIME.sub(write, part[name])


def _samples(payload: Json) -> Iterator[Json]:
    for value in payload.get("meterValue") or []:
        yield from value["sampledValue"]


def _registers(payload: Json) -> Iterator[Json]:
    return (each for each in _samples(payload) if each.get("measurand") == "Energy.Active.Import.Register")
