"""A charging station as hardware: EVSEs, what is plugged in, which reservations it holds. No protocol in here."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from simulators.charger.charging_profiles import ChargingProfiles


@dataclass(frozen=True)
class IdToken:
    """What a driver holds to the reader, or a truck's plug tells. `type` as in OCPP 2.x; 1.6 knows none. `certificate` is the
    chain of a contract, PEM, which a charger of 2.x passes on."""

    uid: str
    type: str = "ISO14443"
    certificate: str = field(default="", compare=False)

    def is_same(self, other: IdToken, *, with_type: bool) -> bool:
        """Without regard to case; in 2.x the type is part of a token."""
        return self.uid.casefold() == other.uid.casefold() and (self.type == other.type or not with_type)


@dataclass(frozen=True)
class Reservation:
    """`evse` None means any EVSE of the station."""

    id: int
    evse: int | None
    token: IdToken
    group: str
    expires_at: datetime


@dataclass
class Transaction:
    """`id` is the station's own, which OCPP 2.x uses; `csms_id` is what a 1.6 CSMS answered to its start."""

    evse: int
    token: IdToken
    started_at: datetime
    meter_start_wh: int
    reservation_id: int | None = None
    remote_start_id: int | None = None
    id: str = ""
    csms_id: int | None = None
    seq_no: int = 0
    meter_wh: int = 0
    power_w: int = 0
    soc_percent: float | None = None
    sampled_at: datetime | None = None
    ends_at: datetime | None = None
    is_accepted: bool = True

    def next_seq_no(self) -> int:
        self.seq_no += 1
        return self.seq_no - 1


@dataclass
class SimulatedEvse:
    """`register_wh` is the meter, which only counts up. `becomes_operative` waits for the end of a transaction."""

    number: int
    max_power_w: int = 150_000
    register_wh: int = 0
    is_plugged: bool = False
    has_charged: bool = False
    becomes_operative: bool | None = None
    is_operative: bool = True
    is_faulted: bool = False
    transaction: Transaction | None = None


@dataclass
class Station:
    """`clock` is the station's own clock, by which its reservations expire."""

    evses: dict[int, SimulatedEvse]
    clock: Callable[[], datetime]
    can_reserve: bool = True
    keeps_reservations: bool = True
    keeps_over_reboot: bool = False
    forgets_after: timedelta | None = None
    knows_types: bool = True
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    reservations: dict[int, Reservation] = field(default_factory=dict)
    profiles: ChargingProfiles = field(default_factory=ChargingProfiles)
    _reserved_at: dict[int, datetime] = field(default_factory=dict)

    def reserve(self, wanted: Reservation) -> str:
        """Keep an EVSE, and say whether in OCPP's word. The same id again replaces what it stood for."""
        self.expire()
        evse = self.evses.get(wanted.evse or 0)
        if not self.can_reserve or evse is None:
            return "Rejected"
        if evse.is_faulted:
            return "Faulted"
        if not evse.is_operative:
            return "Unavailable"
        other = self.reservation_at(evse.number)
        if evse.transaction is not None or evse.is_plugged or (other is not None and other.id != wanted.id):
            return "Occupied"
        self.reservations[wanted.id] = wanted
        self._reserved_at[wanted.id] = self.clock()
        return "Accepted"

    def cancel(self, reservation_id: int) -> str:
        return "Accepted" if self.reservations.pop(reservation_id, None) else "Rejected"

    def expire(self) -> list[Reservation]:
        """Forget what has run out, by the station's own clock; what was forgotten."""
        self._forget()
        over = [held for held in self.reservations.values() if held.expires_at <= self.clock()]
        for held in over:
            del self.reservations[held.id]
        return over

    def _forget(self) -> None:
        """Of a firmware that does not keep them for long, and says nothing of it."""
        if self.forgets_after is not None:
            kept_since = self.clock() - self.forgets_after
            for held in [each for each in self.reservations if self._reserved_at[each] <= kept_since]:
                del self.reservations[held]

    def reservation_at(self, evse_number: int) -> Reservation | None:
        return next((held for held in self.reservations.values() if held.evse == evse_number), None)

    def is_holder(self, reservation: Reservation, token: IdToken, group: str = "") -> bool:
        """May this token use it? The group is what the CSMS said of the token."""
        if reservation.token.is_same(token, with_type=self.knows_types):
            return True
        return bool(reservation.group) and reservation.group.casefold() == group.casefold()

    def is_free_for(self, evse_number: int, token: IdToken) -> bool:
        """May this token start here now?"""
        is_idle = self.status(evse_number) in {"Available", "Preparing", "Reserved"}
        return is_idle and not self.is_kept_from(evse_number, token)

    def is_kept_from(self, evse_number: int, token: IdToken, group: str = "") -> bool:
        """Is the EVSE reserved for somebody else than this token and its group?"""
        held = self.reservation_at(evse_number)
        return self.keeps_reservations and held is not None and not self.is_holder(held, token, group)

    def status(self, evse_number: int) -> str:
        """In OCPP 1.6's words, which say more than 2.x's."""
        self.expire()
        evse = self.evses[evse_number]
        if evse.is_faulted:
            return "Faulted"
        if not evse.is_operative:
            return "Unavailable"
        if evse.transaction is not None:
            return "Charging" if evse.transaction.power_w else "SuspendedEV"
        if self.reservation_at(evse_number) is not None:
            return "Reserved"
        if evse.is_plugged:
            return "Finishing" if evse.has_charged else "Preparing"
        return "Available"

    def begin(self, evse_number: int, token: IdToken, *, soc_percent: float | None = None) -> Transaction:
        """Energy flows from here on. A reservation of this token, or of its group, is used up."""
        evse = self.evses[evse_number]
        held = self.reservation_at(evse_number)
        if held is not None:
            del self.reservations[held.id]
        evse.is_plugged, evse.has_charged = True, False
        evse.transaction = Transaction(
            id=self.new_id(),
            evse=evse_number,
            token=token,
            started_at=self.clock(),
            meter_start_wh=evse.register_wh,
            meter_wh=evse.register_wh,
            reservation_id=held.id if held else None,
            power_w=evse.max_power_w,
            soc_percent=soc_percent,
        )
        return evse.transaction

    def deliver(self, evse_number: int, during: timedelta, *, power_w: int) -> None:
        """Let a running transaction draw power for a while, as much as the EVSE and its limit allow."""
        evse = self.evses[evse_number]
        if evse.transaction is None:
            return
        power_w = min(power_w, self.offered_w(evse_number))
        evse.register_wh += round(power_w * during.total_seconds() / 3600)
        evse.transaction.power_w = power_w
        evse.transaction.meter_wh = evse.register_wh

    def lose_power(self) -> None:
        """What is kept in memory is gone: reservations and profiles of a station that does not write them down."""
        if not self.keeps_over_reboot:
            self.reservations.clear()
        if not self.profiles.survive_reboot:
            self.profiles.forget()

    def offered_w(self, evse_number: int) -> int:
        """What the EVSE gives at most now, by its power and, where the station obeys, its charging profiles."""
        evse = self.evses[evse_number]
        now = self.clock()
        began_at = evse.transaction.started_at if evse.transaction else now
        limit_w = self.profiles.limit_w(evse_number, now, began_at) if self.profiles.obeys else None
        return evse.max_power_w if limit_w is None else min(evse.max_power_w, limit_w)

    def end(self, evse_number: int, *, stays: bool = False) -> Transaction | None:
        """The charging is over, and the vehicle leaves unless it stays; the transaction, if one ran."""
        evse = self.evses[evse_number]
        transaction, evse.transaction = evse.transaction, None
        evse.is_plugged, evse.has_charged = stays, stays
        self.profiles.end_transaction(evse_number)
        if evse.becomes_operative is not None:
            evse.is_operative, evse.becomes_operative = evse.becomes_operative, None
        return transaction

    def unplug(self, evse_number: int) -> None:
        evse = self.evses[evse_number]
        evse.is_plugged = evse.has_charged = False

    @property
    def is_busy(self) -> bool:
        return any(evse.transaction for evse in self.evses.values())
