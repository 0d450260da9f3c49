"""What a charger says that it can do and what it was seen to do, in words for who looks after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bookings.enforcement import why_not_tried
from bookings.models import KeptEvse, ReserveTest
from bookings.rules.content_version import version_of
from depots.models import Charger, ChargerCommand, LocalList

LAST_TESTS = 3


@dataclass(frozen=True)
class Capability:
    """One line: what it is about, what was seen (or else what is told), how good that is, when and by what it was seen."""

    about: str
    words: str
    level: str = "info"
    at: datetime | None = None
    by: str = ""


RESERVING = {
    "works": ("Reserves", "success"),
    "refuses": ("Refuses to reserve", "warning"),
    "lies": ("Accepts and does not keep it", "danger"),
}
NOT_SEEN = ("Not seen yet", "info")
# By what it is about: (heading, {seen: (words, level)}).
SEEN: dict[str, tuple[str, dict[Any, tuple[str, str]]]] = {
    "reservation": ("Reservations", RESERVING),
    "refusals": ("Cards that Berth refuses", {
        "obeyed": ("Stops them by itself", "success"),
        "ignored": ("Charges on until it is told to stop", "warning"),
    }),
    "over_reboot": ("After a restart", {
        "kept": ("Still keeps what was reserved", "success"),
        "forgot": ("Has forgotten what was reserved; it is told again", "info"),
    }),
    "answers_calls": ("Commands", {
        True: ("Answers them", "success"),
        False: ("Beats, but answered nothing: its connection was closed once", "danger"),
    }),
    "meter": ("Meter", {
        "works": ("Tells begin and end", "success"),
        "missing": ("A value was missing", "warning"),
        "wrong": ("Told what cannot be", "danger"),
    }),
    "availability": ("Out of service when told", {
        "refuses": ("Refuses that", "warning"),
        "works": ("Obeys", "success"),
    }),
}  # fmt: skip
TOLD = {"reservation": "reservations", "local_list": "a local list", "smart_charging": "limits of power"}


def capability(charger: Charger, now: datetime) -> Mapping[str, Any]:
    """The context of bookings/yard/_capability.html."""
    kept = KeptEvse.objects.filter(charger=charger, over_at__isnull=True).select_related("booking", "evse")
    tests = ReserveTest.objects.filter(charger=charger).select_related("evse").order_by("-pk")[:LAST_TESTS]
    local = LocalList.objects.filter(charger=charger).first()
    return {
        "told_to_be_able": told(charger),
        "capabilities": seen(charger),
        "kept_evses": [{"row": row, "version": version_of([row.pk, row.state])} for row in kept],
        "testable": _testable(charger, now),
        "reserve_tests": [{"row": test, "words": test_words(test)} for test in tests],
        "local_list": list_words(local) if local is not None else "",
    }


def _testable(charger: Charger, now: datetime) -> list[dict[str, Any]]:
    """Its EVSEs with why a reservation cannot be tried there now; empty where it can."""
    evses = list(charger.evses.select_related("charger").order_by("number"))
    refused = why_not_tried(evses, now=now)
    return [{"uid": evse.uid, "why_not": str(refused.get(evse.pk, ""))} for evse in evses]


def reserving(charger: Charger) -> tuple[str, str]:
    """What was measured of its reservations, in words, and how good that is."""
    return RESERVING.get(charger.measured.get("reservation", ""), NOT_SEEN)


def told(charger: Charger) -> str:
    """What it says of itself; empty where it was not asked yet."""
    if "asked_at" not in charger.told:
        return ""
    can = [words for name, words in TOLD.items() if charger.told.get(name)]
    return (
        f"Says that it takes {_listed(can)}."
        if can
        else "Says that it takes neither reservations, local lists nor limits of power."
    )


def seen(charger: Charger) -> list[Capability]:
    found, commands = [], _commands_named(charger)
    for name, (about, words) in SEEN.items():
        value = charger.measured.get(name)
        if value in words:
            said, level = words[value]
            when = charger.measured.get(f"{name}_at")
            at = datetime.fromisoformat(when) if when else None
            by = str(charger.measured.get(f"{name}_by", ""))
            found.append(Capability(about, said, level, at, commands.get(by, by)))
        elif name == "reservation":
            found.append(Capability(about, *NOT_SEEN))
    return found


def _commands_named(charger: Charger) -> dict[str, str]:
    """What was asked, and by whom, of the commands by which something was seen: `command 218` of a log."""
    named = [str(charger.measured.get(f"{name}_by", "")) for name in SEEN]
    numbers = {text.removeprefix("command ") for text in named if text.startswith("command ")}
    rows = charger.commands.filter(pk__in=[number for number in numbers if number.isdigit()])
    return {f"command {row.pk}": _command_words(row) for row in rows}


def _command_words(command: ChargerCommand) -> str:
    booking = f" #{command.reservation_id}" if command.reservation_id else ""
    return f"“{command.get_action_display()}”{booking}, asked by {command.asked_by or 'Berth'}"


def test_words(test: ReserveTest) -> str:
    """What came of it, in one sentence."""
    if test.finished_at is None:
        return "Under way: the charger is asked, and looked at for half a minute."
    if test.answer in {"", "unclear", "stale"}:
        return "It did not answer: nothing is known of its reservations by this."
    if test.answer != "accepted":
        return f"It did not take the reservation and said {test.answer.replace('_', ' ')}."
    if test.was_forgotten:
        return (
            "It accepted the reservation, never showed the EVSE as reserved, and knew nothing of it when asked to give it back: "
            "it keeps no slots."
        )
    if test.shown_at is None:
        return "It accepted the reservation but never showed the EVSE as reserved; whether it keeps one a stranger would tell."
    if test.answer_to_cancel == "accepted":
        return "It took the reservation, showed the EVSE as reserved and gave it back: it keeps slots."
    return "It took the reservation and showed the EVSE as reserved, but would not give it back; that ended by itself."


def list_words(local: LocalList) -> str:
    if local.is_refused:
        return "It takes no local list."
    if local.synced_at is not None:
        return (
            f"Its local list holds {len(local.wanted)} booked {'token' if len(local.wanted) == 1 else 'tokens'}."
            if local.wanted
            else "Its local list is empty."
        )
    return "Its local list is not as it should be yet; it is sent again."


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
