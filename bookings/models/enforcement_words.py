"""How firmly a slot is kept, in words: the badge, the sentence, what comes next. Pages, API, commands and boards say the same."""

from __future__ import annotations

from dataclasses import dataclass

from bookings.models.booking_states import Enforcement


@dataclass(frozen=True)
class EnforcementWords:
    """`badge` and `icon` of the badge, `level` (info, success, warning, danger) of a notice; `sentence` for who has booked,
    `told` for the history when it became so."""

    badge: str
    icon: str
    level: str
    sentence: str
    told: str


WORDS = {
    Enforcement.NOT_DUE: EnforcementWords(
        "Not due", "clock", "info",
        "The slot is booked. The charger is told shortly before it begins.",
        "The charger is told shortly before the slot begins",
    ),
    Enforcement.DUE: EnforcementWords(
        "Due", "hourglass", "info", "The charger is being told now.", "The charger is told to keep the slot"
    ),
    Enforcement.ARMED: EnforcementWords(
        "Armed", "lock", "success", "The charger holds it for you.", "The charger holds the slot"
    ),
    Enforcement.AT_RISK: EnforcementWords(
        "At risk", "alert-triangle", "danger", "The charger has not answered yet.", "At risk"
    ),
    Enforcement.SOFT: EnforcementWords(
        "Soft", "shield-check", "warning", "The charger cannot reserve.",
        "The charger cannot hold it; Berth turns other cards away itself",
    ),
    Enforcement.USED: EnforcementWords(
        "Used", "plug", "success", "The vehicle is at the charger.", "The vehicle is at the charger"
    ),
    Enforcement.RELEASED: EnforcementWords(
        "Released", "lock-open", "info", "The charger no longer holds it.", "The charger no longer holds it"
    ),
}  # fmt: skip

# Its own vehicle charges there, without it or in the booking before: nothing is to be reserved.
OWN_VEHICLE, STILL_BEFORE = "own_vehicle", "still_before"
OWN = {OWN_VEHICLE, STILL_BEFORE}

# Codes of `Booking.enforcement_why`, as people read them.
ENFORCEMENT_WHY = {
    "occupied": "Another vehicle is still at the EVSE.",
    "faulted": "The EVSE reports a fault.",
    "unavailable": "The EVSE is out of service.",
    "offline": "The charger is not connected.",
    "no_answer": "The charger has not answered yet.",
    "error": "The charger answered with an error.",
    "rejected": "The charger refuses reservations.",
    "not_supported": "The charger knows no reservations.",
    "closed": "The EVSE was closed.",
    OWN_VEHICLE: "The vehicle charges there already.",
    STILL_BEFORE: "The vehicle charges there in its booking before.",
    "lies": "The charger does not keep its reservations.",
    "availability": "The charger keeps no reservation, so the EVSE is out of service until the vehicle is there.",
    "profile_0": "The charger keeps no reservation, so the EVSE gives no power until the slot begins.",
    "stale_list": "The charger did not know the booked card while its connection was bad.",
    "no_power": "The depot had less power than the least that is promised.",
}

# What follows, where it is not plain.
NEXT = {
    OWN_VEHICLE: "The booking takes the session over when its time begins.",
    STILL_BEFORE: "The EVSE is reserved for this one once that has ended; who charges on counts as here.",
    "occupied": "Berth asks again when it leaves, and looks for another EVSE from five minutes before the start.",
    "faulted": "Berth looks for another EVSE.",
    "unavailable": "Berth looks for another EVSE unless it is back within a minute.",
    "offline": "It is told as soon as it is back; a charger keeps what it has accepted meanwhile.",
    "no_answer": "Berth asks again every minute.",
    "error": "Berth asks again every minute.",
    "availability": "Press Start charging at the booking when it is there, or show the card at any charger of the depot.",
    "profile_0": "The booked card ends that earlier.",
}
LET_GO = "The charger was told to let go again"
GATE = "Berth itself turns other cards away in this slot."


def words_of(enforcement: str) -> EnforcementWords:
    return WORDS[Enforcement(enforcement)]


def told(enforcement: str, code: str, *, before: str) -> str:
    """What became of what was `before`, for the history."""
    if code in OWN:
        return "There is nothing to reserve"
    is_let_go = (before, enforcement) == (Enforcement.ARMED, Enforcement.NOT_DUE)
    return LET_GO if is_let_go else words_of(enforcement).told


def why(code: str) -> str:
    """The sentence of a code; one that is not known as it is."""
    return ENFORCEMENT_WHY.get(code, code)


def sentence(enforcement: str, code: str) -> str:
    """How it is kept, and why not better: one sentence, the same whatever the time is."""
    return why(code) or words_of(enforcement).sentence


def in_full(enforcement: str, code: str) -> str:
    """The same with what follows from it, after the badge's word where that is bad news."""
    words = explained(enforcement, code)
    is_bad = enforcement in {Enforcement.AT_RISK, Enforcement.SOFT}
    return f"{words_of(enforcement).badge}. {words}" if is_bad else words


def explained(enforcement: str, code: str) -> str:
    """The sentence with what follows from it, for beside the badge."""
    parts = [sentence(enforcement, code)]
    if enforcement in {Enforcement.AT_RISK, Enforcement.SOFT} or code in OWN:
        parts.append(NEXT.get(code, ""))
    if enforcement == Enforcement.SOFT:
        parts.append(GATE)
    return " ".join(part for part in parts if part)
