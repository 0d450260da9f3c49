"""A partner's tariffs as tariffs of ours, so that what its depots cost is quoted and priced as everything else is.

A tariff may be told before or after the places that name it: what they name is kept, and bound when both are there. What an EVSE
or an offer names is a tariff of its own party; where that has none, and all parties of the partner are one company's (it is no
hub), the only one of this id. A partner's elements about bookings price bookings only, whatever else stands in the tariff; a
connector never brings them in.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from bookings.actors import Actor, ActorKind
from bookings.models import Tariff, TariffBinding, TariffVersion
from bookings.pricing.tariff_content import TariffContent
from bookings.rules.tariff_bindings import FIRST_MOMENT, LAST_MOMENT, Owner
from depots.periods import Period
from roaming import deviations
from roaming.hubs.clients import hub_party
from roaming.mirror import kept_objects
from roaming.mirror.kept_objects import TARIFF
from roaming.mirror.values import ToldTariff
from roaming.models import NamedTariffs, Partner, PartnerObject
from roaming.ocpi.wire_object import Read, UnreadableError

Kind = Tariff.Kind
ALWAYS = Period(FIRST_MOMENT, LAST_MOMENT)
MOST_TARIFFS, LONGEST_CODE = 2_000, 36


@dataclass(frozen=True)
class AdoptedTariff:
    tariffs: Sequence[Tariff]
    is_new: bool


def adopt_tariff(
    partner: Partner, read: Read[ToldTariff], raw: dict[str, Any], *, now: datetime
) -> AdoptedTariff:
    """Take over a tariff as a partner told it; what is older than known is dropped. Raises UnreadableError."""
    told = read.value
    owner = (told.country_code, told.party_id)
    with transaction.atomic():
        kept, is_new = kept_objects.keep(partner, TARIFF, owner, told.code, raw, now=now)
        if is_new:
            _check_room(partner)
        if kept.last_updated is not None and told.last_updated < kept.last_updated:
            return AdoptedTariff((), is_new=False)
        kept.raw, kept.last_updated, kept.received_at = raw, told.last_updated, now
        kept.save()
        tariffs = [_keep(partner, told, kind, content, raw, now) for kind, content in _by_kind(told.content)]
        _withdraw(partner, party_name(*owner), told.code, keep=[tariff.pk for tariff in tariffs])
        _bind_naming(partner, told.code)
    deviations.count(partner, read.deviations)
    return AdoptedTariff(tariffs, is_new)


def withdraw_tariff(partner: Partner, kept: PartnerObject) -> None:
    """It holds nowhere any more; what was booked under it stays as it is."""
    with transaction.atomic():
        _withdraw(partner, party_name(kept.country_code, kept.party_id), kept.key, keep=())
        _bind_naming(partner, kept.key)
        kept.delete()


def withdraw_missing(
    partner: Partner, country_code: str, party_id: str, *, seen: Collection[str], before: datetime
) -> int:
    """Withdraw the tariffs of a party that a complete crawl begun at `before` did not list. Says how many."""
    known = PartnerObject.objects.filter(
        partner=partner, kind=TARIFF, country_code__iexact=country_code, party_id__iexact=party_id,
        received_at__lt=before,
    )  # fmt: skip
    listed = {code.upper() for code in seen}
    missing = [kept for kept in known if kept.key.upper() not in listed]
    for kept in missing:
        withdraw_tariff(partner, kept)
    return len(missing)


def party_name(country_code: str, party_id: str) -> str:
    return f"{country_code}*{party_id}".upper()


def keep_named(partner: Partner, party: str, owner: Owner, codes: Iterable[str]) -> None:
    """What an EVSE or an offer of this party (`party_name`) names, in its order."""
    named = list(dict.fromkeys(code.upper()[:64] for code in codes))
    row = NamedTariffs.objects.filter(kind=owner.kind, object_id=owner.pk).first()
    if (row is not None and (row.party, row.codes) == (party, named)) or (row is None and not named):
        return
    row, _ = NamedTariffs.objects.update_or_create(
        kind=owner.kind, object_id=owner.pk, defaults={"partner": partner, "party": party, "codes": named}
    )
    _bind(partner, [row])


def _check_room(partner: Partner) -> None:
    """Raises UnreadableError: a tariff is rows of ours."""
    if PartnerObject.objects.filter(partner=partner, kind=TARIFF).count() > MOST_TARIFFS:
        raise UnreadableError("", f"a partner may tell of {MOST_TARIFFS} tariffs")


def _by_kind(content: TariffContent) -> list[tuple[Kind, TariffContent]]:
    """What prices charging and what prices bookings, each a tariff of its own."""
    of_bookings = tuple(one for one in content.elements if one.use.is_of_bookings)
    others = tuple(one for one in content.elements if not one.use.is_of_bookings)
    found = [(Kind.CHARGING, others), (Kind.BOOKING, of_bookings)]
    return [(kind, replace(content, elements=elements)) for kind, elements in found if elements]


def _code(told: str, kind: Kind) -> str:
    """Ids of partners may be longer than codes are; one that also prices bookings is two tariffs."""
    if kind == Kind.CHARGING and len(told) <= LONGEST_CODE:
        return told
    return f"{told[:26]}~{kind[0]}{zlib.crc32(told.upper().encode()):08x}"


def _keep(
    partner: Partner, told: ToldTariff, kind: Kind, content: TariffContent, raw: dict[str, Any], now: datetime
) -> Tariff:
    party, code = party_name(told.country_code, told.party_id), _code(told.code, kind)
    tariff, _ = Tariff.objects.update_or_create(
        operator=partner.organisation, party=party, code__iexact=code, defaults={"is_withdrawn": False},
        create_defaults={"operator": partner.organisation, "party": party, "code": code, "kind": kind},
    )  # fmt: skip
    newest = tariff.versions.order_by("number").last()
    said = content.to_json()
    if newest is None or newest.content != said or newest.ends_at != told.ends_at:
        TariffVersion.objects.create(
            tariff=tariff, number=newest.number + 1 if newest else 1, currency=content.currency, content=said,
            starts_at=_start(told, newest, now), ends_at=told.ends_at, source=raw, made_at=now,
            **Actor(ActorKind.PARTNER, str(partner)).columns("made_by"),
        )  # fmt: skip
    return tariff


def _start(told: ToldTariff, newest: TariffVersion | None, now: datetime) -> datetime | None:
    """What is told holds from now on, in place of what was told before; only a first version may reach back."""
    if newest is None:
        return told.starts_at
    begins = max(told.starts_at or now, newest.starts_at or FIRST_MOMENT, now)
    return None if told.ends_at is not None and told.ends_at <= begins else begins


def _withdraw(partner: Partner, party: str, code: str, *, keep: Collection[int]) -> None:
    is_named = Q()
    for kind in (Kind.CHARGING, Kind.BOOKING):
        is_named |= Q(code__iexact=_code(code, kind))
    of_party = Tariff.objects.filter(operator=partner.organisation, party=party)
    gone = of_party.filter(is_named).exclude(pk__in=keep)
    TariffBinding.objects.filter(tariff__in=gone).delete()
    gone.update(is_withdrawn=True)


def _bind_naming(partner: Partner, code: str) -> None:
    _bind(partner, NamedTariffs.objects.filter(partner=partner, codes__contains=[code.upper()[:64]]))


def _bind(partner: Partner, named: Iterable[NamedTariffs]) -> None:
    """Bind to each owner the first tariff of each kind that it names and that was told."""
    known: _KnownTariffs | None = None
    for row in named:
        owner = Owner(row.kind, row.object_id)
        if known is None:
            known = _KnownTariffs(partner)
        # A connector's tariff prices no booking.
        for kind in (Kind.CHARGING,) if owner.kind == "evse" else (Kind.CHARGING, Kind.BOOKING):
            told = (known.of(row.party, _code(code, kind), kind) for code in row.codes)
            _bind_one(owner, kind, next((one for one in told if one is not None), None))


class _KnownTariffs:
    """All of a partner's, by what names them. One query."""

    def __init__(self, partner: Partner) -> None:
        self._is_hub = bool(hub_party(partner))
        self._by_code: dict[str, dict[str, Tariff]] = {}
        for tariff in Tariff.objects.filter(operator=partner.organisation, is_withdrawn=False):
            self._by_code.setdefault(tariff.code.upper(), {})[tariff.party] = tariff

    def of(self, party: str, code: str, kind: Kind) -> Tariff | None:
        """The party's own; else of a partner that is no hub the only one."""
        same = {of: one for of, one in self._by_code.get(code.upper(), {}).items() if one.kind == kind}
        if party in same or self._is_hub:
            return same.get(party)
        return next(iter(same.values())) if len(same) == 1 else None


def _bind_one(owner: Owner, kind: Kind, tariff: Tariff | None) -> None:
    column = {f"{owner.kind}_id": owner.pk}
    bound = TariffBinding.objects.filter(kind=kind, **column)
    if tariff is None:
        bound.delete()
    elif not bound.update(tariff=tariff):
        TariffBinding.objects.create(tariff=tariff, kind=kind, valid=ALWAYS, **column)
