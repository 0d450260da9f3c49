"""How a charger takes charging profiles: what it says of itself, and what it was seen to take."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from depots.models import Charger, Evse

# Above what a charger may have been delivered with at level 0.
USUAL_LEVEL = 1
PHASE_VOLTS = 230
# What one that says nothing of it takes.
USUAL_PERIODS = 3
_PHASES = {"AC_1_PHASE": 1, "AC_2_PHASE": 2, "AC_2_PHASE_SPLIT": 2}


class ProfileForm(NamedTuple):
    """`unit` W or A, and the stack level."""

    unit: str
    stack_level: int


def forms_of(charger: Charger) -> list[ProfileForm]:
    """In the order in which they are tried: the units it says it takes before the other, a level of our own before level 0."""
    units = _told_units(charger)
    # The highest keeps an EVSE for a booking (bookings.operations.kept_evses), and is no place for what stands beside it.
    levels = [USUAL_LEVEL, 0] if highest_level(charger) > USUAL_LEVEL else [0]
    return [ProfileForm(unit, level) for level in levels for unit in units]


def form_for(charger: Charger, purpose: str) -> ProfileForm | None:
    """The first form it was not seen to reject; None where it rejects all, or takes no profiles at all."""
    if not charger.told.get("smart_charging") or was_seen(charger, "refuses"):
        return None
    tried = _rejected(charger, purpose)
    return next((form for number, form in enumerate(forms_of(charger)) if number >= tried), None)


def was_seen(charger: Charger, what: str) -> bool:
    """Whether it refuses, or ignores, profiles; a restart may have mended that."""
    return charger.measured.get("profiles") == what and _is_since_boot(charger, "profiles_at")


def after_rejection(
    charger: Charger, purpose: str, form: ProfileForm, *, periods: int, now: datetime
) -> dict[str, Any] | None:
    """What is to be remembered of a rejected form, for `Charger.measured`; None where a later one is in use already.

    A charger may be busy: what it rejects once is asked again. What it rejects twice in a row is told in one period, and if
    that is rejected twice as well, in the next form.
    """
    forms = forms_of(charger)
    number = forms.index(form) if form in forms else len(forms) - 1
    if number < _rejected(charger, purpose):
        return None
    doubted = dict(charger.measured.get("profile_forms_doubted", {}))
    if doubted.get(purpose) != [number, periods]:
        return {"profile_forms_doubted": {**doubted, purpose: [number, periods]}}
    del doubted[purpose]
    if periods > 1:
        return {
            "profile_forms_doubted": doubted,
            "profile_periods": 1,
            "profile_periods_at": now.isoformat(),
        }
    rejected = {**charger.measured.get("profile_forms_rejected", {}), purpose: number + 1}
    return {
        "profile_forms_doubted": doubted,
        "profile_forms_rejected": rejected,
        "profile_forms_at": now.isoformat(),
    }


def after_acceptance(charger: Charger, purpose: str) -> dict[str, Any]:
    """What is to be forgotten of rejections before it."""
    doubted = dict(charger.measured.get("profile_forms_doubted", {}))
    return {"profile_forms_doubted": doubted} if doubted.pop(purpose, None) is not None else {}


def payload_in(form: ProfileForm, evse: Evse) -> dict[str, Any]:
    """The form as a `set_charging_profile` command has it; connections are rated at the nominal voltage."""
    if form.unit == "W":
        return {"unit": "W", "stack_level": form.stack_level}
    return {"unit": "A", "stack_level": form.stack_level, "phases": _phases(evse), "volts": PHASE_VOLTS}


def watts_per_ampere(evse: Evse) -> int | None:
    """Of an ampere of each of its phases; None at a DC plug, of which nobody knows the voltage."""
    is_ac = all(plug.power_type.startswith("AC") for plug in evse.connectors.all())
    return _phases(evse) * PHASE_VOLTS if is_ac else None


def _phases(evse: Evse) -> int:
    return max((_PHASES.get(plug.power_type, 3) for plug in evse.connectors.all()), default=3)


def highest_level(charger: Charger) -> int:
    """The one that has the last word. Where it does not say, above the one that is used for all else."""
    told = charger.told_setting("ChargeProfileMaxStackLevel", "SmartChargingCtrlr.ProfileStackLevel")
    return int(told) if told.isdigit() and len(told) < 4 else USUAL_LEVEL + 1


def has_one_level(charger: Charger) -> bool:
    """One profile of a purpose replaces every other there."""
    return highest_level(charger) == 0


def most_periods(charger: Charger) -> int:
    """Of one schedule. One that was seen to reject several takes one, until it has restarted."""
    told = charger.told_setting("ChargingScheduleMaxPeriods", "SmartChargingCtrlr.PeriodsPerSchedule")
    seen = _is_since_boot(charger, "profile_periods_at") and charger.measured.get("profile_periods")
    return int(seen or (told if told.isdigit() and int(told) else USUAL_PERIODS))


def _rejected(charger: Charger, purpose: str) -> int:
    """How many forms. One that rejected all is asked again once it has restarted."""
    tried = int(charger.measured.get("profile_forms_rejected", {}).get(purpose, 0))
    return tried if tried < len(forms_of(charger)) or _is_since_boot(charger, "profile_forms_at") else 0


def _is_since_boot(charger: Charger, name: str) -> bool:
    seen_at = charger.measured.get(name)
    return charger.booted_at is None or not seen_at or datetime.fromisoformat(seen_at) >= charger.booted_at


def _told_units(charger: Charger) -> list[str]:
    told = charger.told_setting("ChargingScheduleAllowedChargingRateUnit", "SmartChargingCtrlr.RateUnit")
    words = {word.strip() for word in told.lower().split(",")}
    takes_a, takes_w = bool(words & {"current", "a"}), bool(words & {"power", "w"})
    return ["A", "W"] if takes_a and not takes_w else ["W", "A"]
