"""What the versions of OCPP have in common for a charger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from ocpp.exceptions import PropertyConstraintViolationError

from simulators.charger.charging_profiles import PHASE_VOLTS, ChargingPeriod, ChargingProfile
from simulators.charger.script import Json

if TYPE_CHECKING:
    from simulators.charger.csms_connection import Answerer
    from simulators.charger.station import IdToken, Transaction

Message = tuple[str, Json]


@dataclass(frozen=True)
class TokenAnswer:
    """What the CSMS says of a token: its status as sent, the group it belongs to, the EVSEs it may use (none: all)."""

    status: str = "Accepted"
    group: str = ""
    evses: tuple[int, ...] = ()

    @property
    def is_accepted(self) -> bool:
        return self.status == "Accepted"

    def allows(self, evse: int) -> bool:
        return self.is_accepted and (not self.evses or evse in self.evses)


@dataclass(frozen=True)
class Transfer:
    """A file that is handed over or fetched. `notification` is the message that tells how far it is; `request_id` is None
    where the version has none. It is fetched at `not_before`, and what it brings is installed at `install_at`; without them
    at once."""

    notification: str
    location: str
    request_id: int | None = None
    name: str = ""
    not_before: datetime | None = None
    install_at: datetime | None = None


class OcppVersion(Protocol):
    """A version of OCPP as a charger speaks it: (action, payload) of its CALLs, and answers to those of the CSMS."""

    version: str
    reset_reason: str

    def boot(self, reason: str) -> Message: ...
    def status(self, evse: int) -> Message: ...
    def authorize(self, token: IdToken) -> Message: ...
    def started(self, transaction: Transaction, *, is_offline: bool) -> Message: ...
    def sampled(self, transaction: Transaction, *, is_offline: bool) -> Message: ...
    def ended(self, transaction: Transaction, reason: str, *, is_offline: bool) -> Message: ...
    def authorization(self, answer: Json) -> TokenAnswer: ...
    def reservation_over(self, reservation_id: int, outcome: str) -> Message | None: ...
    def transfer_status(self, transfer: Transfer, status: str) -> Message: ...
    def answers(self) -> Mapping[str, Answerer]: ...


def always(answer: Json) -> Answerer:
    """An answerer that says the same whatever it is asked."""
    return lambda asked: answer


def write_timestamp(moment: datetime) -> str:
    """UTC with Z and milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_timestamp(text: str) -> datetime:
    """RFC 3339, as both versions demand. Raises PropertyConstraintViolationError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PropertyConstraintViolationError(f"{text[:40]} is not a time.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_profile(
    told: Json, schedule: Json, *, id: int, evse: int, transaction: str | None
) -> ChargingProfile:
    """A charging profile with one schedule of it; its id and transaction have other names in each version."""
    times = {
        name: read_timestamp(text)
        for name, text in (
            ("starts_at", schedule.get("startSchedule")),
            ("valid_from", told.get("validFrom")),
            ("valid_to", told.get("validTo")),
        )
        if text is not None
    }
    return ChargingProfile(
        id=id,
        evse=evse,
        purpose=told["chargingProfilePurpose"],
        stack_level=told["stackLevel"],
        unit=schedule["chargingRateUnit"],
        periods=tuple(
            ChargingPeriod(each["startPeriod"], each["limit"], each.get("numberPhases"))
            for each in schedule["chargingSchedulePeriod"]
        ),
        transaction=transaction,
        **times,
    )


def write_schedule(unit: str, periods: list[tuple[int, int]]) -> Json:
    """(second, watts) as a charging schedule of either version, which is alike but for its id."""
    per_unit = 1 if unit == "W" else 3 * PHASE_VOLTS
    return {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [
            {"startPeriod": second, "limit": round(watts / per_unit, 1)} for second, watts in periods
        ],
    }
