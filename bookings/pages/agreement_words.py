"""Agreements, proposals and hours and quotas, in words."""

from __future__ import annotations

from datetime import datetime

from bookings.models import AccessRule, AgreementEvent
from bookings.rules.allowance import hours_of
from depots.models import Agreement, Depot

Kind, Unit, Counts = AccessRule.Kind, AccessRule.Unit, AccessRule.Counts


def sentence(rule: AccessRule) -> str:
    """What one hour or quota says."""
    if rule.kind == Kind.WINDOW:
        return "Guests may have slots"
    if rule.kind == Kind.OWN_FIRST:
        if rule.ahead_min is None:
            return "For the own fleet alone"
        hours = f"{rule.ahead_min / 60:g}"
        return f"Own fleet first; guests from {hours} hours before the start on"
    if rule.kind == Kind.WALK_IN:
        where = f" of {rule.option}" if rule.option is not None else ""
        return f"{_evses(rule.amount or 0)}{where} kept free for trucks without a booking"
    who = "all guests together" if rule.counts == Counts.GUESTS else "each customer"
    if rule.agreement_id is not None:
        who = "this customer"
    amount = rule.amount or 0
    most = {Unit.EVSES: _evses(amount), Unit.PERCENT: f"{amount} % of the EVSEs", Unit.KW: f"{amount} kW"}
    return f"At most {most[Unit(rule.unit)]} at the same time for {who}"


def rows(rules: list[AccessRule]) -> list[tuple[AccessRule, str, str]]:
    """Each with what it says, and when."""
    return [(rule, sentence(rule), str(hours_of(rule))) for rule in rules]


def state(agreement: Agreement, *, now: datetime) -> tuple[str, str]:
    """A key and words: in force, ending, or ended."""
    if agreement.ends_at is None:
        return "confirmed", "In force"
    if agreement.ends_at > now:
        return "requested", f"Until {day(agreement.depot, agreement.ends_at)}"
    return "cancelled", f"Ended {day(agreement.depot, agreement.ends_at)}"


def day(depot: Depot, moment: datetime) -> str:
    """On the depot's clock; the midnight that ends a day is that day."""
    local = moment.astimezone(depot.zone)
    if (local.hour, local.minute) == (0, 0):
        return f"the end of {day_before(local)}"
    return f"{local:%a %-d %b %Y, %H:%M}"


def day_before(local: datetime) -> str:
    return f"{datetime.fromordinal(local.toordinal() - 1):%a %-d %b %Y}"


def history(agreement: Agreement) -> list[tuple[AgreementEvent, str]]:
    """What happened to it, newest first."""
    return [(event, _told(agreement, event)) for event in reversed(list(agreement.events.all()))]


def _told(agreement: Agreement, event: AgreementEvent) -> str:
    if event.kind != AgreementEvent.Kind.ENDED:
        again, lost = (len(event.detail.get(name, ())) for name in ("again", "lost"))
        counted = f"; {again} of {again + lost} booked again" if again + lost else ""
        return f"{event.get_kind_display()}{counted}"
    gone = len(event.detail.get("cancelled", ()))
    told = f"Set to end at {day(agreement.depot, datetime.fromisoformat(event.detail['ends_at']))}"
    return f"{told}; {gone} booking{'' if gone == 1 else 's'} cancelled" if gone else told


def _evses(number: int) -> str:
    return f"{number} EVSE" if number == 1 else f"{number} EVSEs"
