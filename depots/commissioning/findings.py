"""What a charger's settings are, beside what they should be: for its page, and to count what differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from depots.commissioning.defaults import Wanted
from depots.commissioning.templates import Plan
from depots.commissioning.values import is_as_wanted, is_same
from depots.models import SettingsCheck

# Asked again these would be refused again, whatever else happens, until it has other firmware.
FINAL = {"unknown", "not_supported"}


@dataclass(frozen=True)
class Finding:
    """A setting as it is. `state`: as_wanted, differs, unknown (it has none of this name), untold (it would not say).

    `answer` is what it answered when asked to change it, where what it has still differs; `is_since_boot` whether that
    was after its last boot.
    """

    wanted: Wanted
    told: str | None
    state: str
    is_readonly: bool = False
    answer: Mapping[str, Any] | None = None
    is_since_boot: bool = False

    @property
    def differs(self) -> bool:
        return self.state == "differs"


def findings(check: SettingsCheck, wanted: tuple[Wanted, ...]) -> list[Finding]:
    """In the order of `wanted`. What was not told when asked for may stand in the inventory."""
    told = {key.casefold(): entry for key, entry in check.told.items()}
    if any(told.get(each.key.casefold(), {}).get("value") is None for each in wanted):
        told |= _from_inventory(check, told)
    answers = {key.casefold(): answer for key, answer in check.answers.items()}
    found = [
        _finding(each, told.get(each.key.casefold()), answers.get(each.key.casefold())) for each in wanted
    ]
    return [replace(each, is_since_boot=_is_since_boot(each.answer, check)) for each in found]


def _is_since_boot(answer: Mapping[str, Any] | None, check: SettingsCheck) -> bool:
    return answer is not None and (check.boot is None or datetime.fromisoformat(answer["at"]) >= check.boot)


def _from_inventory(check: SettingsCheck, told: Mapping[str, Any]) -> dict[str, Any]:
    """A large column, and mostly nobody's need."""
    return {
        key.casefold(): {"value": value, "is_readonly": is_readonly, "status": ""}
        for key, (value, is_readonly) in check.inventory.items()
        if value is not None and told.get(key.casefold(), {}).get("value") is None
    }


def count_differences(check: SettingsCheck, plan: Plan) -> list[Finding]:
    """Those that differ; how many is kept with what was wanted, not yet saved."""
    found = findings(check, plan.wanted)
    different = [each for each in found if each.differs]
    check.wanted = {each.wanted.key: each.wanted.value for each in found}
    check.drift_count = len(different)
    return different


def _finding(wanted: Wanted, entry: Mapping[str, Any] | None, answer: Mapping[str, Any] | None) -> Finding:
    if entry is None or entry["status"] == "unknown":
        return Finding(wanted, None, "unknown" if entry else "untold", answer=answer)
    told = entry["value"]
    if told is None:
        return Finding(wanted, None, "untold", answer=answer)
    if is_as_wanted(wanted, told) or _is_next_best(wanted, told, answer):
        return Finding(wanted, told, "as_wanted", entry["is_readonly"])
    return Finding(wanted, told, "differs", entry["is_readonly"], answer)


def _is_next_best(wanted: Wanted, told: str, answer: Mapping[str, Any] | None) -> bool:
    """It refused the better value, took one of the others, and has it."""
    return (
        answer is not None
        and answer["answer"] == "accepted"
        and answer["wanted"] in wanted.otherwise
        and is_same(answer["wanted"], told)
    )
