"""Where a person may go: the links of the shell and the page they start from, by their memberships."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

from django.db.models import Prefetch, prefetch_related_objects
from django.db.models.expressions import BaseExpression
from django.http import HttpRequest

from depots.models import Depot, Membership, User

Role = Membership.Role
FLEET_ROLES = {Role.DISPATCHER, Role.ADMIN, Role.VIEWER}
BOOKING_ROLES = {Role.DISPATCHER, Role.ADMIN}
DEPOT_ROLES = {Role.DEPOT_MANAGER, Role.ADMIN, Role.VIEWER}
DECIDING_ROLES = {Role.DEPOT_MANAGER, Role.ADMIN}
# Who sees how the partner networks get on; on open pages they are this audience.
NETWORK_ROLES = BOOKING_ROLES | DECIDING_ROLES
NETWORKS = "networks"
# Who sets what charging and booking cost, and who sees it.
PRICING_ROLES = {Role.DEPOT_MANAGER, Role.ACCOUNTANT, Role.ADMIN}
TARIFF_ROLES = PRICING_ROLES | {Role.VIEWER}
# Who sees what an organisation owes and is owed, and who settles it.
MONEY_ROLES = {Role.ACCOUNTANT, Role.ADMIN}
# Who sees what a fleet's charging costs, and who disputes it; who sees what a depot earns, and who lets a customer off.
COST_ROLES = FLEET_ROLES | MONEY_ROLES
DISPUTING_ROLES = BOOKING_ROLES | MONEY_ROLES
REVENUE_ROLES = DECIDING_ROLES | MONEY_ROLES
# What other apps have read with each membership, by name: `unread`, how many messages its person has not read (bookings).
READ_ALONG: dict[str, BaseExpression] = {}


@dataclass(frozen=True)
class Link:
    """One entry. `short` are the words where there is little room; `counts` (depot id → number) makes a live count."""

    url: str
    words: str
    icon: str
    short: str = ""
    is_here: bool = False
    live_kind: str = ""
    counts: dict[int, int] | None = None

    @property
    def total(self) -> int:
        return sum((self.counts or {}).values())

    @property
    def counts_json(self) -> str:
        return json.dumps(self.counts or {})


@dataclass(frozen=True)
class Group:
    title: str
    links: list[Link]


@dataclass(frozen=True)
class Nav:
    """What base.html needs of somebody signed in."""

    user: User
    path: str
    rendered_ms: int
    waiting: Callable[[list[Depot]], dict[int, int]] | None = field(default=None, compare=False)

    @property
    def memberships(self) -> list[Membership]:
        return memberships_of(self.user)

    @cached_property
    def depots(self) -> list[Depot]:
        """The depots whose boards this person may see."""
        return list(boards_of(self.memberships))

    @property
    def name(self) -> str:
        return self.user.name or self.user.email

    @property
    def initial(self) -> str:
        return self.name[:1].upper()

    @property
    def organisations(self) -> str:
        return ", ".join(dict.fromkeys(membership.organisation.name for membership in self.memberships))

    @property
    def live_channel(self) -> str:
        """Tabs of one person share a stream; two people in one browser must not."""
        return f"user-{self.user.pk}"

    @property
    def home(self) -> str:
        if self._keeps_only_accounts:
            return "/invoices/"
        links = [link for group in self.groups for link in group.links]
        return next((link.url for link in links), "/account/password/")

    @cached_property
    def inbox(self) -> Link:
        """What this person was told, with how much of it is unread."""
        unread = next((getattr(membership, "unread", 0) for membership in self.memberships), 0)
        counts = {self.user.pk: unread}
        return replace(self._link("/inbox/", "Inbox", "inbox"), live_kind="inbox", counts=counts)

    @property
    def runs_systems(self) -> bool:
        """Whether this person looks after the webhooks of an organisation."""
        return self._has({Role.ADMIN})

    @property
    def makes_calendars(self) -> bool:
        return self._has(BOOKING_ROLES | DECIDING_ROLES)

    @cached_property
    def groups(self) -> list[Group]:
        groups = [Group("Fleet", self._fleet_links()), Group("Depots", self._depot_links())]
        if not self._has(BOOKING_ROLES):
            groups.reverse()  # somebody who runs depots starts at a board
        money = Group("Money", self._money_links())
        groups.insert(0 if self._keeps_only_accounts else len(groups), money)
        if self._has(NETWORK_ROLES) or self.user.is_staff:
            groups.append(Group("Networks", [self._link("/partners/", "Partners", "route")]))
        if self._has({Role.ADMIN}):
            tokens = self._link("/api-tokens/", "API tokens", "key", short="API")
            groups.append(Group("Systems", [tokens]))
        return [group for group in groups if group.links]

    @cached_property
    def shortcuts(self) -> list[Link]:
        """The few links of the bar at the bottom of a small screen; every board but the first is in the menu."""
        boards = self.boards[:1]
        rest = [link for group in self.groups for link in group.links if not link.url.endswith("/board/")]
        return (boards + rest if self.groups and self.groups[0].title == "Depots" else rest + boards)[:5]

    def _fleet_links(self) -> list[Link]:
        if not self._has(FLEET_ROLES):
            return []
        today = Link("/", "Today", "calendar-event", "Today", is_here=self.path == "/")
        links = [today, self._link("/bookings/", "Bookings", "list")]
        agreements = [] if self._runs_any else [self._link("/agreements/", "Agreements", "key")]
        if self._has(BOOKING_ROLES):
            links.append(self._link("/slots/", "Find a slot", "calendar-search", short="Find"))
            links.append(self._link("/trips/plan/", "Plan a trip", "map-pin", short="Plan"))
        trips = self._link("/trips/", "Trips", "route")
        links.append(replace(trips, is_here=trips.is_here and not self.path.startswith("/trips/plan/")))
        links.append(self._link("/waitlist/", "Waiting list", "hourglass", short="Waiting"))
        return [
            *links,
            self._link("/series/", "Series", "refresh"),
            self._link("/vehicles/", "Vehicles", "truck"),
            self._link("/tokens/", "Tokens", "credit-card"),
            *agreements,
        ]

    @cached_property
    def boards(self) -> list[Link]:
        """One for each of `depots`, in their order."""
        return [
            self._link(
                f"/depots/{quote(depot.code, safe='')}/board/", depot.name, "layout-dashboard", short="Board"
            )
            for depot in self.depots
        ]

    def _depot_links(self) -> list[Link]:
        links = list(self.boards)
        if self.depots and self._has(DECIDING_ROLES):
            requests = self._link("/requests/", "Requests", "inbox")
            links.append(replace(requests, live_kind="requests", counts=self.waiting_at))
        if any(self._runs_depots(m) for m in self.memberships if m.role in TARIFF_ROLES):
            links.append(self._link("/tariffs/", "Tariffs", "list"))
        if self._runs_any:
            links.append(self._link("/agreements/", "Agreements", "key"))
        return links

    def _money_links(self) -> list[Link]:
        links = []
        if self._has(COST_ROLES):
            links.append(self._link("/costs/", "Costs", "credit-card"))
        if any(self._runs_depots(m) for m in self.memberships if m.role in REVENUE_ROLES):
            links.append(self._link("/revenue/", "Revenue", "building-warehouse"))
        if self._has(COST_ROLES | REVENUE_ROLES):
            links.append(self._link("/invoices/", "Invoices", "inbox"))
            links.append(
                self._link("/reconciliation/", "Reconciliation", "arrows-exchange", short="Reconcile")
            )
        return links

    @property
    def _runs_any(self) -> bool:
        return bool(self.depots) and self._has(DEPOT_ROLES)

    def _runs_depots(self, membership: Membership) -> bool:
        is_known = any(depot.operator_id == membership.organisation_id for depot in self.depots)
        return is_known or bool(membership.organisation.cpo_party_id)

    @cached_property
    def waiting_at(self) -> dict[int, int]:
        """Depot id → asks that wait for its decision, of each of `depots`."""
        return self.waiting(self.depots) if self.waiting else {}

    @property
    def _keeps_only_accounts(self) -> bool:
        return {membership.role for membership in self.memberships} == {Role.ACCOUNTANT}

    def _has(self, roles: Iterable[str]) -> bool:
        return any(membership.role in roles for membership in self.memberships)

    def _link(self, url: str, words: str, icon: str, short: str = "") -> Link:
        return Link(url, words, icon, short or words, is_here=self.path.startswith(url))


def memberships_of(user: User) -> list[Membership]:
    """With their organisations, in order of their names. Read once a request: the rows stay with the user object."""
    # A page asks ten times, and Django takes longer to word this query than to find that it has been answered.
    if "memberships" not in getattr(user, "_prefetched_objects_cache", ()):
        rows = Membership.objects.select_related("organisation").order_by("organisation__name", "pk")
        prefetch_related_objects([user], Prefetch("memberships", rows.annotate(**READ_ALONG)))
    return list(user.memberships.all())


def boards_of(memberships: Iterable[Membership]) -> list[Depot]:
    """Our depots (no mirrors of partners') of the organisations where one of these roles looks after depots."""
    operators = {m.organisation_id for m in memberships if m.role in DEPOT_ROLES}
    if not operators:
        return []
    return list(Depot.objects.filter(operator__in=operators, is_mirror=False).order_by("name", "pk"))


def home(user: User) -> str:
    """The page somebody starts from: a dispatcher's bookings, a manager's first board, an accountant's invoices."""
    return Nav(user, "", 0).home


def nav(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `nav`, or nothing for a stranger."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {}
    return {"nav": Nav(user, request.path, int(time.time() * 1000))}
