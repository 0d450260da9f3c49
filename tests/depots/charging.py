"""What chargers report, as operations take it in: a start, a stop, samples, an event of OCPP 2.x."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from depots import operations as depots
from depots.models import ChargingSession, Evse
from depots.operations import Reading, Start, Stop, TransactionReport
from tests.factories import NOW

CARD, STRANGER = "04AABBCCDD10", "0455667788"
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def start(evse: Evse, now: datetime = NOW, **fields: Any) -> ChargingSession:
    usual = {"evse_number": evse.number, "token_uid": CARD, "key": f"key {now}", "at": now, "meter_wh": 1000}
    told = Start(**{**usual, **fields})
    return depots.start_session(charger_id=evse.charger_id, start=told, now=now).session


def stop(session: ChargingSession, now: datetime, **fields: Any) -> ChargingSession:
    told = Stop(**{"transaction": session.transaction, "at": now, "meter_wh": 5000, **fields})
    return depots.stop_session(charger_id=session.charger_id, stop=told, now=now).session


def meter(evse: Evse, *readings: Reading, now: datetime, transaction: str = "", flags: Any = ()) -> Any:
    return depots.add_readings(
        charger_id=evse.charger_id,
        evse_number=evse.number,
        transaction_id=transaction,
        readings=readings,
        flags=flags,
        now=now,
    )


def event(
    evse: Evse | None,
    kind: str,
    seq_no: int,
    now: datetime,
    *readings: Reading,
    charger: Any = None,
    **fields: Any,
) -> ChargingSession:
    told = {
        "transaction": "T1",
        "at": now,
        "evse_number": evse.number if evse else None,
        "charging_state": "charging",
        "readings": readings,
        "payload": {"kind": kind, "seqNo": seq_no, "timestamp": now.isoformat()},
        **fields,
    }
    report = TransactionReport(seq_no=seq_no, kind=kind, **told)
    charger_id = evse.charger_id if evse else charger
    return depots.record_transaction(charger_id=charger_id, report=report, now=now).session


def wh(value: int, when: datetime, place: str = "Outlet", **more: Any) -> Reading:
    return Reading(when, value, registers={place: value}, **more)


def both(outlet: int | None, inlet: int, when: datetime) -> Reading:
    registers = {**({"Outlet": outlet} if outlet is not None else {}), "Inlet": inlet}
    return Reading(when, next(iter(registers.values())), registers=registers)
