"""What a charger reports about itself: that it booted, how its EVSEs are, what it can do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from depots.models import Charger, ChargerCommand, Evse, EvseChargingState
from depots.models.charging import UNDER_WAY
from depots.operations.clock_correction import corrected
from depots.operations.locking import lock_evses_of
from depots.operations.measuring import kept_over_reboot
from depots.operations.state_history import note_status
from depots.signals import evse_status_changed, evse_status_repeated, reservation_ended

# A message that is this old on arrival waited in the charger's queue: it tells the past.
QUEUED_AFTER = timedelta(seconds=60)

MOST_DEVIATIONS = 20

# What befalls each EVSE when it befalls the charger as a whole.
OUT_OF_ORDER = {Evse.Status.FAULTED, Evse.Status.UNAVAILABLE}


def record_boot(
    *,
    charger_id: int,
    vendor: str = "",
    model: str = "",
    serial_number: str = "",
    firmware_version: str = "",
    now: datetime,
) -> None:
    """Keep who it says it is. What was measured is seen anew: settings may have changed while it was off. Other firmware
    may even say other things; with the same, what it does not know it will not know (depots.capabilities)."""
    with transaction.atomic():
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        if firmware_version and charger.firmware_version and firmware_version != charger.firmware_version:
            charger.told = {}
        charger.measured = _kept_over_boot(charger, firmware_version)
        charger.vendor, charger.model = vendor[:50], model[:50]
        charger.serial_number, charger.firmware_version = serial_number[:50], firmware_version[:50]
        charger.booted_at = now
        names = ["vendor", "model", "serial_number", "firmware_version", "told", "measured", "booted_at"]
        charger.save(update_fields=names)


def _kept_over_boot(charger: Charger, firmware_version: str) -> dict[str, Any]:
    is_same = charger.firmware_version == firmware_version[:50]
    unsupported = charger.measured.get("unsupported") if is_same else None
    kept = {"unsupported": unsupported} if unsupported else {}
    return {**kept_over_reboot(charger.measured), **kept}


def report_status(
    *,
    charger_id: int,
    evse_number: int,
    status: str,
    charging_state: str = "",
    error_code: str = "",
    at: datetime,
    is_coarse: bool = False,
    now: datetime,
) -> bool:
    """An EVSE changed. Number 0 is the charger as a whole, kept in `told`: out of order, so is each of its EVSEs whose
    own status is not newer. An EVSE we do not know changes nothing. `charging_state` (ChargingState) is what it says of a
    charging that is under way; empty where the protocol's transactions say that.

    Statuses count in the order they arrive; only one that was queued for long gives way to a newer one. `is_coarse`:
    the charger has no word for charging, so an occupied EVSE with a running session charges. Returns whether it is news:
    a status that was known already may be told with the time when it began.
    """
    with transaction.atomic():
        if evse_number == 0:
            at = corrected(Charger.objects.get(pk=charger_id), at, now=now)
            _report_whole(charger_id, status, error_code, at=at, now=now)
            return False
        evses = Evse.objects.select_for_update(no_key=True, of=("self",)).select_related("charger")
        evse = evses.filter(charger=charger_id, number=evse_number).first()
        if evse is None or evse.charger is None:
            return False
        at = corrected(evse.charger, at, now=now)
        if state := news_of_charging(evse, charging_state, at=min(at, now)):
            state.save(force_insert=True)
        return _report_one(evse, status, error_code, is_coarse=is_coarse, at=at, now=now)


def news_of_charging(evse: Evse, state: str, *, at: datetime) -> EvseChargingState | None:
    """Not saved: what a status says of a charging, where there is one by this status or by the one before."""
    if state in UNDER_WAY or (state and evse.status == Evse.Status.CHARGING):
        return EvseChargingState(evse=evse, at=at, state=state)
    return None


def _report_one(
    evse: Evse, status: str, error_code: str, *, is_coarse: bool, at: datetime, now: datetime
) -> bool:
    if now - at > QUEUED_AFTER and is_older(evse, at):
        return False
    is_news = evse.told_status != status
    evse.told_status = status
    if is_coarse and status == Evse.Status.OCCUPIED and _is_in_session(evse):
        status = Evse.Status.CHARGING
    change_status(evse, status, at=at, now=now, error_code=error_code)
    return is_news


def change_status(evse: Evse, status: str, *, at: datetime, now: datetime, error_code: str = "") -> None:
    """Set the status of an EVSE the caller has locked, and tell others when it is another one."""
    before = _write_status(evse, status, error_code, at=at, now=now)
    tell_status(evse, before, now)


def _write_status(evse: Evse, status: str, error_code: str, *, at: datetime, now: datetime) -> str:
    """Returns the status before."""
    before = evse.status
    evse.status, evse.error_code = status, error_code[:50]
    # A clock that runs ahead must not make all later statuses look old.
    evse.status_at, evse.status_received_at = min(at, now), now
    evse.save(
        update_fields=["status", "told_status", "error_code", "status_at", "status_received_at", "updated_at"]
    )
    note_status(evse, before)
    return before


def tell_status(evse: Evse, before: str, now: datetime, *, is_together: bool = False) -> None:
    if before != evse.status:
        evse_status_changed.send(
            sender=Evse, evse=evse, before=before, after=evse.status, is_together=is_together, at=now
        )
    else:
        evse_status_repeated.send(sender=Evse, evse=evse, at=now)


def change_status_if_newer(evse: Evse, status: str, *, at: datetime, now: datetime) -> None:
    """What a transaction implies for its EVSE, unless something newer is known: transactions may be hours old."""
    if evse.status != status and not is_older(evse, at):
        change_status(evse, status, at=at, now=now)


def report_reservation_ended(*, charger_id: int, reservation_id: int, outcome: str, now: datetime) -> None:
    """`outcome`: expired, removed or no_transaction. An id that is not ours concerns nobody; receivers decide."""
    with transaction.atomic():
        lock_evses_of(charger_id)
        charger = Charger.objects.get(pk=charger_id)
        _note_end(charger, reservation_id, outcome)
        reservation_ended.send(
            sender=Charger, charger=charger, reservation_id=reservation_id, outcome=outcome, at=now
        )


def _note_end(charger: Charger, reservation_id: int, outcome: str) -> None:
    """The command that armed it shows what became of it: it stands no more."""
    armed = charger.commands.filter(
        reservation_id=reservation_id,
        action=ChargerCommand.Action.RESERVE,
        state=ChargerCommand.State.ANSWERED,
        answer="accepted",
    )
    last = armed.order_by("-id").values_list("pk", flat=True).first()
    if last is not None:
        ChargerCommand.objects.filter(pk=last).update(answer=outcome)


def record_capabilities(*, charger_id: int, told: dict[str, Any], now: datetime) -> None:
    """What it says it can do, in our words (`reservation`, `reservation_anywhere`, …) with the raw answers beside."""
    _tell(charger_id, {**told, "asked_at": now.isoformat()})


def record_clock(*, charger_id: int, offset: timedelta, now: datetime) -> None:
    """Its clock minus ours, from a message that was sent the moment it was made."""
    seconds = round(offset.total_seconds(), 1)
    Charger.objects.filter(pk=charger_id).update(clock_offset_s=seconds, clock_seen_at=now)


def record_deviation(*, charger_id: int, action: str, what: str, now: datetime) -> None:
    """It sent something that OCPP does not have. The newest are kept, each once, for who looks after the charger."""
    with transaction.atomic():
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        others = [kept for kept in charger.deviations if (kept["action"], kept["what"]) != (action, what)]
        seen = {"action": action, "what": what, "at": now.isoformat()}
        charger.deviations = [seen, *others][:MOST_DEVIATIONS]
        charger.save(update_fields=["deviations"])


def record_measured(*, charger_id: int, **seen: Any) -> None:
    """What was seen of it, beside `reservation`: `answers_calls` false when it beats but answers nothing."""
    with transaction.atomic():
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        charger.measured = {**charger.measured, **seen}
        charger.save(update_fields=["measured"])


def _report_whole(charger_id: int, status: str, error_code: str, *, at: datetime, now: datetime) -> None:
    """All are written before any is told of: nobody is to be moved from one EVSE to the next that is as broken."""
    evses = lock_evses_of(charger_id).values()
    told = Charger.objects.values_list("told", flat=True).get(pk=charger_id)
    if status in OUT_OF_ORDER:
        fates = [(evse, status, error_code) for evse in evses if not is_older(evse, at)]
    else:
        back = [evse for evse in evses if _shares_fate(evse, told)]
        fates = [(evse, _status_in_order(evse), "") for evse in back]
    for evse, fate, _ in fates:
        evse.told_status = fate
    befores = [(evse, _write_status(evse, fate, code, at=at, now=now)) for evse, fate, code in fates]
    for evse, before in befores:
        tell_status(evse, before, now)
    received_at = now.isoformat()
    _tell(charger_id, {"status": status, "error_code": error_code, "status_received_at": received_at})


def _shares_fate(evse: Evse, told: dict[str, Any]) -> bool:
    """It is out of order because the charger as a whole was; of itself it has said nothing since."""
    received_at = told.get("status_received_at")
    return (
        evse.status in OUT_OF_ORDER
        and evse.status == told.get("status")
        and received_at is not None
        and evse.status_received_at == datetime.fromisoformat(received_at)
    )


def _status_in_order(evse: Evse) -> str:
    return Evse.Status.CHARGING if _is_in_session(evse) else Evse.Status.AVAILABLE


def _tell(charger_id: int, told: dict[str, Any]) -> None:
    with transaction.atomic():
        charger = Charger.objects.select_for_update(no_key=True).get(pk=charger_id)
        charger.told = {**charger.told, **told}
        charger.save(update_fields=["told"])


def _is_in_session(evse: Evse) -> bool:
    return evse.sessions.filter(ended_at__isnull=True, announced_at__isnull=False).exists()


def is_older(evse: Evse, at: datetime) -> bool:
    return evse.status_at is not None and at < evse.status_at
