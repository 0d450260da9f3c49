"""What a charger cannot do, known before it is asked: by its protocol, by what it told, and by what it answered before.

Reserving is left to the closed loop, which measures it anew after each boot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from depots.models import Charger, ChargerCommand

Action = ChargerCommand.Action

# What of OCPP 1.6 comes with a profile only (SupportedFeatureProfiles), as the profile is spelled in small letters.
PROFILES = {
    Action.TRIGGER: "remotetrigger",
    Action.GET_DIAGNOSTICS: "firmwaremanagement",
    Action.UPDATE_FIRMWARE: "firmwaremanagement",
    Action.SET_CHARGING_PROFILE: "smartcharging",
    Action.CLEAR_CHARGING_PROFILE: "smartcharging",
    Action.GET_COMPOSITE_SCHEDULE: "smartcharging",
    Action.SEND_LOCAL_LIST: "localauthlistmanagement",
}
PROFILE_WORDS = {
    "remotetrigger": "be asked for messages",
    "firmwaremanagement": "send logs or take firmware",
    "smartcharging": "be limited in power",
    "localauthlistmanagement": "keep a list of cards",
}
# What of these OCPP 2.x switches on by a variable; told as false it is not there.
VARIABLES = {"smartcharging": "SmartChargingCtrlr.Enabled"}
REMOTE_CONTROL = (Action.REMOTE_START, Action.REMOTE_STOP)
# Measured elsewhere, again and again: one refusal does not stand for the next.
MEASURED_ELSEWHERE = {Action.RESERVE, Action.CANCEL_RESERVATION, Action.ASK_CAPABILITIES}
# A message or connector of its own may be unsupported where others are not.
PARTS = {Action.TRIGGER: "message", Action.UNLOCK: "evse"}


def why_not(charger: Charger, action: str, payload: Mapping[str, Any] | None = None) -> str:
    """Why this charger cannot do it, in a sentence; empty where it may, as far as is known. Asks for nothing."""
    what = Action(action).label.lower()
    if charger.measured.get("unsupported", {}).get(_name(action, payload or {})) == charger.firmware_version:
        return f"{charger} has answered that it cannot do this: {what}. It is asked again once it has other firmware."
    if lacks := _lacks(charger, action):
        return f"{charger} tells that it cannot {lacks}."
    return ""


def keeps_reservations(charger: Charger) -> bool:
    """By what it tells, and by what the closed loop has measured since it booted: some tell that they do and refuse, or let
    others in."""
    if charger.measured.get("reservation") in {"refuses", "lies"}:
        return False
    if told := charger.told_setting("SupportedFeatureProfiles"):
        return "reservation" in {name.strip().lower() for name in told.split(",")}
    return charger.told_setting("ReservationCtrlr.Enabled").lower() != "false"


def starts_remotely(charger: Charger | None) -> bool:
    """Whether charging is begun and ended there from afar. An EVSE without a charger here cannot be asked."""
    return charger is not None and not any(why_not(charger, action) for action in REMOTE_CONTROL)


def reads_contracts(charger: Charger) -> bool:
    """Whether it tells that vehicles are let in by the contract they carry (plug and charge)."""
    return charger.told_setting("ISO15118PnCEnabled", "ISO15118Ctrlr.PnCEnabled").lower() == "true"


def remember_unsupported(command: ChargerCommand) -> bool:
    """Keep in `measured` that its charger cannot do it with this firmware; not saved. Whether that is news."""
    is_known = command.answer == "not_supported" and _is_for_good(command)
    if not is_known or command.action in MEASURED_ELSEWHERE:
        return False
    charger, name = command.charger, _name(command.action, command.payload)
    unsupported = charger.measured.get("unsupported", {})
    if unsupported.get(name) == charger.firmware_version:
        return False
    charger.measured = {**charger.measured, "unsupported": {**unsupported, name: charger.firmware_version}}
    return True


def _lacks(charger: Charger, action: str) -> str:
    """In words what it lacks by its own account. Where it gave none it lacks nothing."""
    profile = PROFILES.get(Action(action), "")
    if not profile:
        return ""
    if told := charger.told_setting("SupportedFeatureProfiles"):
        is_there = profile in {name.strip().lower() for name in told.split(",")}
    else:
        is_there = charger.told_setting(VARIABLES.get(profile, "")).lower() != "false"
    return "" if is_there else PROFILE_WORDS[profile]


def _name(action: str, payload: Mapping[str, Any]) -> str:
    part = PARTS.get(Action(action))
    return f"{action}:{payload.get(part)}" if part else action


def _is_for_good(command: ChargerCommand) -> bool:
    """It does not know the message, or told so by its status; a form it does not take says nothing of the next."""
    text = command.answer_text
    return not text or text.startswith(("NotImplemented", "NotSupported", "MessageTypeNotSupported"))
