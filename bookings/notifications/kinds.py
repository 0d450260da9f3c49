"""Who hears what: the one table. A kind of news, whose people it concerns, which of them, and how they hear by default.

Words for each kind stand in texts/, a file a language; a person may choose other ways for each kind (NotificationChoice).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from depots.models import Membership

DISPATCHER, MANAGER = Membership.Role.DISPATCHER, Membership.Role.DEPOT_MANAGER
ACCOUNTANT, ADMIN = Membership.Role.ACCOUNTANT, Membership.Role.ADMIN
FLEET, DEPOT = "fleet", "depot"


@dataclass(frozen=True)
class Kind:
    """`side` is whose people it concerns; `carries_calendar` says that its mail brings the booking as a calendar file."""

    name: str
    side: str
    roles: frozenset[str]
    inbox: bool = True
    mail: bool = False
    carries_calendar: bool = False


def _of_fleet(name: str, *, mail: bool = False, carries_calendar: bool = False) -> Kind:
    return Kind(name, FLEET, frozenset({DISPATCHER}), mail=mail, carries_calendar=carries_calendar)


def _of_depot(name: str, *, mail: bool = False) -> Kind:
    return Kind(name, DEPOT, frozenset({MANAGER}), mail=mail)


_TABLE = (
    # What a fleet's dispatchers hear
    _of_fleet("granted", mail=True, carries_calendar=True),
    _of_fleet("declined", mail=True, carries_calendar=True),
    _of_fleet("failed", mail=True, carries_calendar=True),
    _of_fleet("change_granted", mail=True, carries_calendar=True),
    _of_fleet("change_declined", mail=True),
    _of_fleet("offered", mail=True),
    _of_fleet("offer_withdrawn", mail=True),
    _of_fleet("changed_by_depot", mail=True, carries_calendar=True),
    _of_fleet("swapped", mail=True, carries_calendar=True),
    _of_fleet("closure", mail=True, carries_calendar=True),
    _of_fleet("cancelled_by_depot", mail=True, carries_calendar=True),
    _of_fleet("at_risk", mail=True),
    _of_fleet("kept_again", mail=True),
    _of_fleet("soft"),
    _of_fleet("no_show", mail=True),
    _of_fleet("arrived"),
    _of_fleet("slid", mail=True, carries_calendar=True),
    _of_fleet("eta_late", mail=True),
    _of_fleet("ending_soon"),
    _of_fleet("overstay", mail=True),
    _of_fleet("interrupted", mail=True),
    _of_fleet("resumed"),
    _of_fleet("complete"),
    _of_fleet("power_limited", mail=True),
    _of_fleet("power_limit_lifted"),
    _of_fleet("waitlist_offer", mail=True),
    _of_fleet("waitlist_expired", mail=True),
    _of_fleet("series_missed", mail=True),
    _of_fleet("trip_booked", mail=True),
    _of_fleet("trip_failed", mail=True),
    _of_fleet("agreement_accepted", mail=True),
    _of_fleet("agreement_declined", mail=True),
    _of_fleet("agreement_invited", mail=True),
    _of_fleet("agreement_ended", mail=True),
    _of_fleet("agreement_reopened", mail=True),
    # What the managers of a depot hear
    _of_depot("request_waits", mail=True),
    _of_depot("change_waits", mail=True),
    _of_depot("offer_accepted"),
    _of_depot("offer_declined", mail=True),
    _of_depot("changed_by_fleet"),
    _of_depot("cancelled_by_fleet"),
    _of_depot("at_risk_here"),
    _of_depot("kept_again_here"),
    _of_depot("swapped_here"),
    _of_depot("cancelled_here", mail=True),
    _of_depot("no_show_here"),
    _of_depot("overstay_here"),
    _of_depot("will_not_stop", mail=True),
    _of_depot("agreement_asked", mail=True),
    _of_depot("invitation_accepted", mail=True),
    _of_depot("invitation_declined", mail=True),
    # Accounts, and who runs the organisation's own systems
    Kind("invoice_issued", FLEET, frozenset({ACCOUNTANT})),
    Kind("webhook_stopped", FLEET, frozenset(), mail=True),
)
# An administrator hears what concerns any role of the organisation in the inbox, and by mail what is theirs alone.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _TABLE}


def concerns(kind: Kind, roles: Iterable[str]) -> bool:
    """Whether somebody with these roles in an organisation hears of this there."""
    return not kind.roles.isdisjoint(roles) or ADMIN in roles


def mails_by_default(kind: Kind, roles: Iterable[str]) -> bool:
    """Administrators are told in their inbox of what is for others to act on."""
    return kind.mail and (not kind.roles or not kind.roles.isdisjoint(roles))


def kinds_for(roles: Iterable[str]) -> list[Kind]:
    """All that somebody with these roles may hear of, in the table's order."""
    return [kind for kind in KINDS.values() if concerns(kind, roles)]
