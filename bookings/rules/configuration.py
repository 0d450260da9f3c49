"""What a depot offers and on which terms, as immutable values that each process keeps until they are changed.

Of our own depots the database counts every change of what is kept here (`depots.models.ConfigurationVersion`, by triggers).
A copy is only used under the version that the database names: whoever decides under locks reads that version by a
statement that begins once they are held (bookings/core/locking.py), so that what was committed meanwhile counts. What
changes with every message of a charger is none of this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, TypeVar

from bookings.models import (
    AccessRule,
    BookingOption,
    ExternalLimit,
    PaymentTerms,
    Tariff,
    TermsOverride,
)
from bookings.rules import precedence
from bookings.rules.allowance import UNBOUND, Allowance, allowance_of_guest, allowance_of_own_fleet
from bookings.rules.power import fed_by
from bookings.rules.power_profile import Limit, Reduction, binding
from bookings.rules.sites import Bay, Site, bay_of, site_of
from bookings.rules.tariff_bindings import NO_TARIFFS, Binding, Owner, Tariffs, bindings_of
from bookings.rules.terms import Terms, WalkIn
from depots.models import Agreement, ConfigurationVersion, Depot, Evse
from depots.periods import Period

__all__ = ["Bay", "Configuration", "Site"]

Of = TypeVar("Of", Evse, Agreement, AccessRule)

# So many depots are kept; one has a few kilobytes.
MOST_KEPT = 5_000


class OptionName(NamedTuple):
    """What an option is called, on wires and by people."""

    code: str
    name: str


@dataclass(frozen=True)
class Configuration:
    """One depot of ours under one version of its configuration.

    `offers` has the EVSEs of each option that is not withdrawn, by option id, in their order, `names` what it is called;
    `pools` has those of withdrawn options as well, among which bookings made before may still be moved.
    `terms_overrides` stand broadest first, `bindings` are tariffs by owner and kind, `payment_terms`
    by agreement, `access_rules` as they were set. None for a version is a copy that must
    not be kept.
    """

    version: int | None
    site: Site
    is_withdrawn: bool
    offers: Mapping[int, tuple[Bay, ...]]
    pools: Mapping[int, tuple[Bay, ...]]
    names: Mapping[int, OptionName]
    bays: Mapping[int, Bay]
    limits: tuple[Limit, ...]
    agreements: tuple[Agreement, ...]
    terms_overrides: tuple[TermsOverride, ...]
    bindings: Mapping[tuple[Owner, Tariff.Kind], tuple[Binding, ...]]
    payment_terms: Mapping[int, PaymentTerms]
    access_rules: tuple[AccessRule, ...] = ()
    _asked: dict[tuple[int, int | None, frozenset[int]], precedence.AskedBindings] = field(
        default_factory=dict, compare=False, repr=False
    )
    _terms: dict[tuple[int, frozenset[int]], Terms] = field(default_factory=dict, compare=False, repr=False)
    _allowed: dict[tuple[int, frozenset[int]], Allowance] = field(
        default_factory=dict, compare=False, repr=False
    )

    def offers_to(self, option_id: int, fleet_id: int, *, now: datetime) -> bool:
        """Whether the option can be booked by this fleet or partner network."""
        if self.is_withdrawn or option_id not in self.offers:
            return False
        return fleet_id == self.site.operator_id or bool(self.agreed(fleet_id, now))

    @cached_property
    def takes_walk_ins(self) -> bool:
        """May guests charge here without a booking? The depot's own term: agreements and options have no say (bookings.gate)."""
        given = (row.walk_in for row in self.terms_overrides if row.depot_id is not None and row.walk_in)
        return next(given, Terms.walk_in) != WalkIn.OWN

    @cached_property
    def narrowest(self) -> tuple[tuple[int, Bay], ...]:
        """Every EVSE that is offered, each once, with the id of the option of fewest EVSEs that names it."""
        found: dict[int, tuple[int, Bay]] = {}
        for option_id, evses in sorted(self.offers.items(), key=lambda offer: len(offer[1])):
            for evse in evses:
                found.setdefault(evse.pk, (option_id, evse))
        return tuple(found.values())

    def terms(self, option_id: int, fleet_id: int, *, now: datetime) -> Terms:
        """The terms a booking made now would be made under."""
        return self.terms_under(option_id, self.agreed(fleet_id, now))

    def terms_under(self, option_id: int, agreement_ids: frozenset[int]) -> Terms:
        """The same for whoever is admitted by these agreements."""
        key = (option_id, agreement_ids)
        if key not in self._terms:
            rows = [row for row in self.terms_overrides if precedence.holds(row, option_id, agreement_ids)]
            self._terms[key] = Terms.resolve(rows)
        return self._terms[key]

    def allowance(self, fleet_id: int, *, now: datetime) -> Allowance:
        """When, and for how much at once, a fleet or partner network may book here now."""
        return self.allowance_under(self.agreed(fleet_id, now), fleet_id)

    def allowance_under(self, agreement_ids: frozenset[int], fleet_id: int) -> Allowance:
        """The same for whoever is admitted by these agreements."""
        if fleet_id == self.site.operator_id:
            return self._own_allowance
        key = (fleet_id, agreement_ids)
        if key not in self._allowed:
            agreed = [one for one in self.agreements if one.pk in agreement_ids]
            self._allowed[key] = allowance_of_guest(
                self.access_rules, agreed, fleet_id, self._own_allowance,
                operator_id=self.site.operator_id, evses=len(self.bays),
            )  # fmt: skip
        return self._allowed[key]

    @cached_property
    def _own_allowance(self) -> Allowance:
        if not self.access_rules:
            return UNBOUND
        pools = {pk: [bay.pk for bay in bays] for pk, bays in self.offers.items()}
        return allowance_of_own_fleet(self.access_rules, self.site.operator_id, pools, self.bays)

    @cached_property
    def counts_places(self) -> bool:
        """Whether what is booked at one EVSE may leave less of the others, by quotas: then whoever books locks the depot."""
        return any(
            rule.kind in {AccessRule.Kind.QUOTA, AccessRule.Kind.WALK_IN} for rule in self.access_rules
        )

    @property
    def is_shared(self) -> bool:
        """Whether who takes or moves a place locks the depot: a limit of power can bind, or places are counted."""
        return bool(self.limits) or self.counts_places

    def tariffs_for(self, option_id: int, evse_id: int | None, fleet_id: int, *, at: datetime) -> Tariffs:
        """Which tariffs hold at a moment for a customer's booking of an option, at an EVSE where it is known."""
        return self.tariffs_under(option_id, evse_id, self.agreed(fleet_id, at), at=at)

    def tariffs_under(
        self, option_id: int, evse_id: int | None, agreement_ids: frozenset[int], *, at: datetime
    ) -> Tariffs:
        """The same for whoever is admitted by these agreements."""
        if not self.bindings:
            return NO_TARIFFS
        key = (option_id, evse_id, agreement_ids)
        asked = self._asked.get(key)
        if asked is None:
            agreed = [one for one in self.agreements if one.pk in agreement_ids]
            owners = precedence.tariff_owners(
                agreed, evse_id=evse_id, option_id=option_id, depot_id=self.site.pk
            )
            asked = self._asked[key] = precedence.asked_in_turn(self.bindings, owners)
        return precedence.tariffs_held(asked, at=at)

    def payment_terms_for(self, fleet_id: int, *, now: datetime) -> PaymentTerms | None:
        """How a customer pays: as agreed with it, else with everybody; None where nothing was agreed, and for the operator's own
        fleet."""
        if not self.payment_terms or fleet_id == self.site.operator_id:
            return None
        agreed = [one for one in self.agreements if one.admits(fleet_id) and one.is_in_force(now)]
        agreed.sort(key=lambda one: one.guest_id is None)
        return next((self.payment_terms[one.pk] for one in agreed if one.pk in self.payment_terms), None)

    def evse_of(self, option_id: int) -> int | None:
        """The EVSE of an option that is about one alone: it is known before anything is assigned."""
        bays = self.offers.get(option_id, ())
        return bays[0].pk if len(bays) == 1 else None

    def fed_together(self, evse_ids: Collection[int]) -> set[int]:
        """The EVSEs that share a limit of power with one of these, or a quota, by id."""
        asked = set(evse_ids)
        if self.counts_places and asked & self.bays.keys():
            return set(self.bays)
        return {pk for limit in self.limits if asked & limit.feeds.keys() for pk in limit.feeds}

    def interchangeable(self, evse_ids: Collection[int]) -> set[int]:
        """These EVSEs, and all that bookings could be moved to from one after the other: options of several join them."""
        found, pools = (
            set(evse_ids),
            [{bay.pk for bay in pool} for pool in self.pools.values() if len(pool) > 1],
        )
        while joined := [pool for pool in pools if pool & found and not pool <= found]:
            found |= set().union(*joined)
        return found

    def agreed(self, fleet_id: int, now: datetime) -> frozenset[int]:
        """The agreements that admit a fleet or partner network now, by id."""
        return frozenset(a.pk for a in self.agreements if a.admits(fleet_id) and a.is_in_force(now))


# Replaced as a whole, one depot at a time: threads need no lock, at worst two of them load the same.
_kept: dict[int, Configuration] = {}


def kept(depot_id: int) -> Configuration:
    """A depot of ours as this process knows it, which may have changed since: to guess by what to lock.

    Raises Depot.DoesNotExist.
    """
    return _kept.get(depot_id) or load(depot_id)


def under(depot_id: int, version: int | None) -> Configuration:
    """The configuration that the database has under this version, which it has just named."""
    known = _kept.get(depot_id)
    return known if known is not None and known.version == version is not None else load(depot_id)


def current(depot_id: int) -> Configuration:
    """The configuration as it is now, in one query where it is kept. Raises Depot.DoesNotExist."""
    return under(depot_id, _version(depot_id))


def current_all(depot_ids: Set[int]) -> dict[int, Configuration]:
    """The same of many depots of ours, by id; one query where all of them are kept."""
    versions = _versions(depot_ids)
    return under_all({depot_id: versions.get(depot_id) for depot_id in depot_ids})


def under_all(versions: Mapping[int, int | None]) -> dict[int, Configuration]:
    """The same of many depots of ours, by id; whatever is not kept is read in a constant number of queries."""
    known = {depot_id: _kept.get(depot_id) for depot_id in versions}
    found = {
        pk: one for pk, one in known.items() if one is not None and one.version == versions[pk] is not None
    }
    missing = versions.keys() - found.keys()
    return found | _load(missing) if missing else found


def load(depot_id: int) -> Configuration:
    """Read from the tables and kept. Raises Depot.DoesNotExist."""
    found = _load({depot_id}).get(depot_id)
    if found is None:
        raise Depot.DoesNotExist
    return found


def _load(depot_ids: Set[int]) -> dict[int, Configuration]:
    """Several statements see several moments: they are one for a depot whose version is the same before and after, since no
    version comes twice."""
    found: dict[int, Configuration] = {}
    left = depot_ids
    while left:
        before = _versions(left)
        read = _read(left, before)
        after = _versions(left)
        found |= {pk: one for pk, one in read.items() if before.get(pk) == after.get(pk)}
        left = {pk for pk in left if before.get(pk) != after.get(pk)}
    for depot_id, one in found.items():
        if one.version is not None:
            if len(_kept) >= MOST_KEPT:
                # Copied first, which no other thread can come between.
                _kept.pop(next(iter(tuple(_kept)), depot_id), None)
            _kept[depot_id] = one
    return found


def _version(depot_id: int) -> int | None:
    return _versions({depot_id}).get(depot_id)


def _versions(depot_ids: Set[int]) -> dict[int, int]:
    rows = ConfigurationVersion.objects.filter(depot_id__in=depot_ids)
    return dict(rows.values_list("depot_id", "version"))


def _read(depot_ids: Set[int], versions: Mapping[int, int]) -> dict[int, Configuration]:
    depots = list(Depot.objects.filter(pk__in=depot_ids).prefetch_related("opening_hours"))
    sites = {depot.pk: site_of(depot) for depot in depots}
    evses = Evse.objects.filter(depot__in=depot_ids, is_withdrawn=False).select_related("charger", "depot")
    rows = _by_depot(evses.prefetch_related("connectors").order_by("pk"))
    bays = {pk: {evse.pk: bay_of(evse, sites[pk]) for evse in here} for pk, here in rows.items()}
    options = _options(depot_ids)
    agreements = _by_depot(Agreement.objects.filter(depot__in=depot_ids))
    paying = PaymentTerms.objects.filter(agreement__depot__in=depot_ids)
    payment_terms = {row.agreement_id: row for row in paying}
    access_rules = _by_depot(AccessRule.objects.filter(depot__in=depot_ids).order_by("pk"))
    terms = precedence.terms_of_depots(depot_ids)
    reductions = _reductions(depot_ids)
    bound = bindings_of(depot_ids)
    pools = {
        depot_id: {pk: _present(option.evse_ids, bays.get(depot_id, {})) for pk, option in here.items()}
        for depot_id, here in options.items()
    }
    return {
        depot.pk: Configuration(
            version=versions.get(depot.pk),
            site=sites[depot.pk],
            is_withdrawn=depot.is_withdrawn,
            offers={
                pk: pool for pk, pool in pools[depot.pk].items() if not options[depot.pk][pk].is_withdrawn
            },
            pools=pools[depot.pk],
            names={pk: one.name for pk, one in options[depot.pk].items() if not one.is_withdrawn},
            bays=bays.get(depot.pk, {}),
            limits=tuple(binding(map(fed_by, rows.get(depot.pk, [])), reductions)),
            agreements=tuple(agreements.get(depot.pk, ())),
            payment_terms={
                one.pk: payment_terms[one.pk]
                for one in agreements.get(depot.pk, ())
                if one.pk in payment_terms
            },
            access_rules=tuple(access_rules.get(depot.pk, ())),
            terms_overrides=tuple(terms[depot.pk]),
            bindings=_by_owner(bound[depot.pk]),
        )
        for depot in depots
    }


def _reductions(depot_ids: Set[int]) -> dict[int, list[Reduction]]:
    """What limits from outside leave these depots, those to come included."""
    found: dict[int, list[Reduction]] = {}
    for row in ExternalLimit.objects.filter(depot__in=depot_ids, lifted_at__isnull=True):
        found.setdefault(row.depot_id, []).append(Reduction(Period(row.starts_at, row.ends_at), row.watts))
    return found


class _OptionRow(NamedTuple):
    name: OptionName
    is_withdrawn: bool
    evse_ids: list[int]


def _options(depot_ids: Set[int]) -> dict[int, dict[int, _OptionRow]]:
    """By depot and option id, what each option is called and which EVSEs it names."""
    rows = BookingOption.objects.filter(depot__in=depot_ids).order_by("pk", "evses")
    found: dict[int, dict[int, _OptionRow]] = {depot_id: {} for depot_id in depot_ids}
    columns = rows.values_list("depot_id", "pk", "is_withdrawn", "evses", "code", "name")
    for depot_id, option_id, is_withdrawn, evse_id, *name in columns:
        row = found[depot_id].setdefault(option_id, _OptionRow(OptionName(*name), is_withdrawn, []))
        row.evse_ids.append(evse_id)
    return found


def _present(evse_ids: Iterable[int], bays: Mapping[int, Bay]) -> tuple[Bay, ...]:
    """Those that are not withdrawn."""
    return tuple(bays[evse_id] for evse_id in evse_ids if evse_id in bays)


def _by_depot(rows: Iterable[Of]) -> dict[int, list[Of]]:
    found: dict[int, list[Of]] = {}
    for row in rows:
        found.setdefault(row.depot_id, []).append(row)
    return found


def _by_owner(bindings: Iterable[Binding]) -> dict[tuple[Owner, Tariff.Kind], tuple[Binding, ...]]:
    found: dict[tuple[Owner, Tariff.Kind], list[Binding]] = {}
    for one in bindings:
        found.setdefault((one.owner, one.kind), []).append(one)
    return {key: tuple(here) for key, here in found.items()}
