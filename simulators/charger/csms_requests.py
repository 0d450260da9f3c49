"""What a CSMS may ask of a charger, in the words all versions share. Each returns the status to answer with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from simulators.charger.charging_profiles import ChargingProfile
from simulators.charger.ocpp_version import TokenAnswer
from simulators.charger.station import IdToken, Reservation

if TYPE_CHECKING:
    from simulators.charger.charger import SimulatedCharger


class CsmsRequests:
    """What follows from a request, such as a StatusNotification, is sent after the answer to it."""

    def __init__(self, charger: SimulatedCharger) -> None:
        self._charger, self._station = charger, charger.station

    def reserve(self, wanted: Reservation) -> str:
        status = self._station.reserve(wanted)
        if status == "Accepted" and wanted.evse is not None:
            self._charger.soon(self._charger.report(wanted.evse))
        return status

    def cancel_reservation(self, reservation_id: int) -> str:
        held = self._station.reservations.get(reservation_id)
        status = self._station.cancel(reservation_id)
        if held is not None and held.evse is not None:
            self._charger.soon(self._charger.report(held.evse))
        return status

    def remote_start(self, token: IdToken, evse: int | None, remote_start_id: int | None = None) -> str:
        free = [number for number in self._station.evses if self._station.is_free_for(number, token)]
        number = evse or next(iter(free), 0)
        if number not in free:
            return "Rejected"
        self._charger.soon(self._charger.start_remotely(number, token, remote_start_id))
        return "Accepted"

    def remote_stop(self, transaction_id: int | str) -> str:
        for evse in self._station.evses.values():
            running = evse.transaction
            if running is not None and transaction_id in {running.csms_id, running.id}:
                self._charger.soon(
                    self._charger.stop(evse.number, "Remote", stays=self._charger.vehicles_stay)
                )
                return "Accepted"
        return "Rejected"

    def change_availability(self, evse: int, is_operative: bool) -> str:
        """EVSE 0 means the whole station."""
        numbers = [evse] if evse else list(self._station.evses)
        if any(number not in self._station.evses for number in numbers):
            return "Rejected"
        busy = [number for number in numbers if self._station.evses[number].transaction]
        for number in numbers:
            if number in busy:
                self._station.evses[number].becomes_operative = is_operative
                continue
            self._station.evses[number].is_operative = is_operative
            if not is_operative:
                self._charger.soon(self._charger.lose_reservation(number))
            self._charger.soon(self._charger.report(number))
        return "Scheduled" if busy else "Accepted"

    def install_profile(self, profile: ChargingProfile) -> str:
        if profile.evse not in {0, *self._station.evses}:
            return "Rejected"
        running = self._station.evses[profile.evse].transaction if profile.evse else None
        names = {running.id, str(running.csms_id)} if running else set()
        return self._station.profiles.install(profile, running=frozenset(names))

    def composite_schedule(self, evse: int, duration_s: int) -> list[tuple[int, int]]:
        """(second, watts) from now on; of an EVSE without profiles what it has."""
        now, there = self._station.clock(), self._station.evses[evse]
        began_at = there.transaction.started_at if there.transaction else now
        during = timedelta(seconds=duration_s)
        found = self._station.profiles.composite(evse, now, began_at, during)
        return found or [(0, there.max_power_w)]

    def trigger(self, message: str, evse: int | None) -> str:
        charger = self._charger
        if message == "StatusNotification":
            charger.soon(charger.report(evse) if evse else charger.report_all())
        elif message == "BootNotification":
            charger.soon(charger.boot("Triggered"))
        elif message == "Heartbeat":
            charger.soon(charger.heartbeat())
        elif message in {"MeterValues", "TransactionEvent"}:
            self._sample(evse)
        elif message in {"SignChargePointCertificate", "SignChargingStationCertificate"}:
            charger.soon(charger.ask_certificate())
        elif message in charger.firmware_and_logs.idle_messages():
            charger.soon(charger.firmware_and_logs.tell_idle(message))
        else:
            return "NotImplemented"
        return "Accepted"

    def reset(self, *, when_idle: bool = False) -> str:
        if when_idle and self._station.is_busy:
            self._charger.resets_when_idle = True
            return "Scheduled"
        self._charger.soon(self._charger.on_reset())
        return "Accepted"

    def unlock(self, evse: int) -> str:
        """In the words of 1.6: Unlocked, or NotSupported where there is no such plug."""
        if evse not in self._station.evses:
            return "NotSupported"
        if self._station.evses[evse].transaction is not None:
            self._charger.soon(self._charger.stop(evse, "UnlockCommand"))
        else:
            self._station.unplug(evse)
            self._charger.soon(self._charger.report(evse))
        return "Unlocked"

    def update_local_list(
        self, version: int, changes: Mapping[str, TokenAnswer | None], *, is_full: bool
    ) -> str:
        settings = self._charger.configuration
        return self._charger.local_list.update(
            version,
            is_full=is_full,
            changes=changes,
            most=settings.number(
                "SendLocalListMaxLength", "LocalAuthListCtrlr.ItemsPerMessage", otherwise=20
            ),
            holds=settings.number("LocalAuthListMaxLength", otherwise=200),
        )

    def _sample(self, evse: int | None) -> None:
        for each in self._station.evses.values():
            if each.transaction is not None and evse in {None, each.number}:
                self._charger.soon(self._charger.charge(each.number, timedelta()))
