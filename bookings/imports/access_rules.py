"""Hours and quotas as a depot file says them (docs/operators/depot-file.md): of the depot for all guests, or of one agreement."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from bookings.models import AccessRule
from bookings.models.access_rules import MOST_AHEAD_MIN, MOST_AMOUNT, every_day
from bookings.operations.access_rules import MOST_RULES
from bookings.rules.agreements import guest_called
from depots.imports.documents import FieldPath
from depots.imports.fields import FileRow, Text
from depots.models import Agreement, Depot
from depots.parties import UnknownOrganisationError

_CLOCK = re.compile(r"^([01]\d|2[0-4]):([0-5]\d)$", re.ASCII)
Unit = AccessRule.Unit
_UNITS = {"evses": Unit.EVSES, "percent": Unit.PERCENT, "kw": Unit.KW}


def _clock(text: str) -> str:
    found = _CLOCK.match(text)
    if found is None or int(found[1]) * 60 + int(found[2]) > 1440:
        raise ValueError("a time as 08:00, 24:00 at most")
    return text


Clock = Annotated[str, AfterValidator(_clock)]
Amount = Annotated[int, Field(ge=1, le=MOST_AMOUNT)]


class AccessRow(FileRow):
    """One of `access`; exactly one of `evses`, `percent` and `kw` says how much, of a quota or of EVSEs kept free."""

    kind: Literal["window", "own_first", "quota", "walk_in"]
    guest: Annotated[Text, Field(min_length=1, max_length=100)] | None = None
    weekdays: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Field(min_length=1)] = every_day()
    from_: Annotated[Clock, Field(alias="from")] = "00:00"
    to: Clock = "24:00"
    ahead_min: Annotated[int, Field(ge=0, le=MOST_AHEAD_MIN)] | None = None
    evses: Amount | None = None
    percent: Annotated[int, Field(ge=1, le=100)] | None = None
    kw: Amount | None = None
    counts: Literal["each", "guests"] | None = None
    option: Annotated[Text, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> AccessRow:
        if wrong := _fault(self):
            raise ValueError(wrong)
        return self

    @property
    def amounts(self) -> dict[str, int]:
        told = {name: getattr(self, name) for name in _UNITS}
        return {name: amount for name, amount in told.items() if amount is not None}

    def columns(self) -> dict[str, Any]:
        """Of the row in the table, but for its owner and option."""
        ((unit, amount),) = self.amounts.items() or [("", None)]
        counts = (self.counts or "each") if self.kind == "quota" else ""
        return {
            "kind": self.kind, "weekdays": sorted(set(self.weekdays)), "from_minute": _minutes(self.from_),
            "to_minute": _minutes(self.to) or 1440, "ahead_min": self.ahead_min, "amount": amount,
            "unit": _UNITS[unit].value if unit else "", "counts": counts,
        }  # fmt: skip


def write_access(
    depot: Depot, rows: Sequence[AccessRow], place: FieldPath
) -> tuple[bool, list[tuple[FieldPath, str]]]:
    """The file says all hours and quotas of the depot and of its agreements: what it leaves out is gone. Whether anything is
    different, and what is wrong. `guest` names an agreement that is there; `all` and nobody the depot itself."""
    faults: list[tuple[FieldPath, str]] = []
    wanted: list[AccessRule] = []
    options = {option.code.upper(): option for option in depot.options.filter(is_withdrawn=False)}
    for r, row in enumerate(rows):
        rule, wrong = _rule(depot, row, options)
        faults += [((*place, r, field), why) for field, why in wrong]
        wanted += [rule] if rule is not None else []
    if faults:
        return False, faults
    before = {_content(rule): rule for rule in AccessRule.objects.filter(depot=depot)}
    after = {_content(rule): rule for rule in wanted}
    AccessRule.objects.filter(pk__in=[rule.pk for key, rule in before.items() if key not in after]).delete()
    AccessRule.objects.bulk_create(rule for key, rule in after.items() if key not in before)
    return before.keys() != after.keys(), []


def _rule(
    depot: Depot, row: AccessRow, options: dict[str, Any]
) -> tuple[AccessRule | None, list[tuple[str, str]]]:
    rule = AccessRule(depot=depot, **row.columns())
    if row.option is not None:
        rule.option = options.get(row.option.upper())
        if rule.option is None:
            return None, [("option", f"{row.option} is no option of this depot")]
    if row.guest is None:
        return rule, []
    try:
        guest = guest_called(row.guest)
    except UnknownOrganisationError as unknown:
        return None, [("guest", str(unknown).rstrip("."))]
    rule.agreement = Agreement.objects.filter(depot=depot, guest=guest).first()
    if rule.agreement is None:
        return None, [("guest", f"this depot was never opened to {row.guest}")]
    return rule, []


def access_faults(rows: Sequence[AccessRow], place: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    if len(rows) > MOST_RULES:
        yield place, f"{len(rows)} are too many: {MOST_RULES} at most"


def _fault(row: AccessRow) -> str:
    """What no single field shows."""
    has_amount = row.kind in {"quota", "walk_in"}
    if row.from_ == row.to or row.from_ == "24:00":
        return "from 00:00 to 24:00 is the whole day; to before from is on the next day"
    if len(row.amounts) != (1 if has_amount else 0):
        return "one of evses, percent and kw" if has_amount else f"{row.kind} has no amount"
    if row.kind == "walk_in" and (row.evses is None or row.guest is not None):
        return "walk_in keeps evses free, of the depot or of an option"
    if row.kind != "own_first" and row.ahead_min is not None:
        return "ahead_min goes with own_first"
    if row.kind != "walk_in" and row.option is not None:
        return "option goes with walk_in"
    if row.counts is not None and (row.kind != "quota" or (row.counts == "guests" and row.guest)):
        return "counts goes with a quota, and guests with that of the depot"
    return ""


def _content(rule: AccessRule) -> tuple[Any, ...]:
    return (
        rule.agreement_id, rule.option_id, rule.kind, tuple(rule.weekdays), rule.from_minute, rule.to_minute,
        rule.ahead_min, rule.amount, rule.unit, rule.counts,
    )  # fmt: skip


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
