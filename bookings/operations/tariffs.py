"""Setting tariffs: what they say, from when, and where they hold. Bookings keep the versions they were made under."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Upper

from bookings.actors import Actor
from bookings.core.calendars import mark_depot_changed
from bookings.core.constraints import violation_raises
from bookings.core.locking import lock_depot
from bookings.errors import ChangedMeanwhile, TariffRefused
from bookings.models import Tariff, TariffBinding, TariffVersion
from bookings.operations.bind_tariffs import OwnerPlace, bind, bind_by_file, end, places_of
from bookings.pricing import tariff_checks
from bookings.pricing.tariff_checks import TariffFault
from bookings.pricing.tariff_content import TariffContent
from bookings.rules import configuration
from bookings.rules.content_version import version_of
from bookings.rules.tariff_bindings import Owner, TariffInForce, owner_of, version_at, versions_of
from bookings.rules.tariff_clashes import currency_clash
from depots.models import Depot, Organisation

MADE_MEANWHILE = "Somebody has made a tariff of this name meanwhile. Look again."
CHANGED_MEANWHILE = "Somebody has changed this tariff since you looked. Look again."


@dataclass(frozen=True)
class TariffDraft:
    """What a tariff is to say. `starts_at` None: from now on, a new tariff always did; `ends_at` None: until it is changed.

    `bind_to` are all the owners it holds for from then on; None leaves that as it is. `seen_version` is the `version_of_tariff`
    that the asker looked at, 0 where there was none to look at. `source` is the document it was read from.
    """

    operator: Organisation
    code: str
    content: TariffContent
    name: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    bind_to: tuple[Owner, ...] | None = None
    seen_version: int | None = None
    source: dict[str, Any] | None = None

    @property
    def kind(self) -> Tariff.Kind:
        of_bookings = tariff_checks.is_of_bookings(self.content)
        return Tariff.Kind.BOOKING if of_bookings else Tariff.Kind.CHARGING

    def since(self, now: datetime) -> datetime:
        return max(now, self.starts_at or now)


@dataclass(frozen=True)
class FileBindings:
    """All that a depot file says about where tariffs hold at a depot: owners by a tariff's code, of a draft or known."""

    depot_id: int
    owners: Mapping[str, Collection[Owner]]


@dataclass
class SetTariff:
    """What became of a draft: "created", "updated" or "unchanged"; `replaced` are tariffs that it took the place of."""

    tariff: Tariff
    outcome: str
    warnings: list[TariffFault] = field(default_factory=list)
    replaced: list[Tariff] = field(default_factory=list)


@dataclass(frozen=True)
class TariffsSet:
    """What became of each draft, in their order, and whether anything is not as it was."""

    tariffs: list[SetTariff]
    changed: bool


def set_tariffs(
    drafts: Sequence[TariffDraft], *, by_file: FileBindings | None = None, actor: Actor, now: datetime
) -> TariffsSet:
    """Make tariffs, give them new versions where they are to say something else, and bind them: all of it or nothing.

    What a tariff says already makes no version. Raises TariffRefused with every fault at its field, and ChangedMeanwhile.
    """
    _refuse(_faults(drafts, now))
    with violation_raises({"tariff_code_once": ChangedMeanwhile(MADE_MEANWHILE)}), transaction.atomic():
        places = places_of({owner for draft in drafts for owner in draft.bind_to or ()})
        _refuse(_place_faults(drafts, places))
        _lock_depots(drafts, places)
        known = _known(drafts, by_file)
        _refuse(_known_faults(drafts, known))
        done = [_set(draft, tariff, actor, now) for draft, tariff in zip(drafts, known, strict=True)]
        tariffs = [one.tariff for one in done]
        depot_ids = _depots_of(TariffBinding.objects.filter(tariff__in=tariffs))
        bound = by_file is not None and _bind_by_file(by_file, now)
        if by_file is not None and bound:
            depot_ids.add(by_file.depot_id)
            mark_depot_changed(by_file.depot_id, at=now)
        _check_currencies(tariffs, depot_ids, now)
    return TariffsSet(done, bound or any(one.outcome != "unchanged" for one in done))


def version_of_tariff(tariff: Tariff) -> int:
    """Of what it says and where it holds, for the hidden field of a form; two queries."""
    newest = tariff.versions.aggregate(newest=Max("number"))["newest"]
    bindings = [[row.pk, row.valid.ends_at] for row in tariff.bindings.order_by("pk")]
    return version_of([newest, tariff.name, tariff.is_withdrawn, bindings])


def withdraw_tariff(tariff: Tariff, *, seen_version: int, now: datetime) -> None:
    """Bound to nothing from now on; its versions stay, for what was booked under them. Raises ChangedMeanwhile."""
    with transaction.atomic():
        depots = _depots_of(TariffBinding.objects.filter(tariff=tariff))
        _lock_all(depots)
        # Who binds it at another depot holds this lock, and is then seen by the version.
        tariff = Tariff.objects.select_for_update(no_key=True).get(pk=tariff.pk)
        if seen_version != version_of_tariff(tariff):
            raise ChangedMeanwhile(CHANGED_MEANWHILE)
        for row in tariff.bindings.filter(valid__endswith__gt=now):
            end(row, now)
        for depot_id in depots:
            mark_depot_changed(depot_id, at=now)
        Tariff.objects.filter(pk=tariff.pk).update(is_withdrawn=True, updated_at=now)


def _faults(drafts: Sequence[TariffDraft], now: datetime) -> Iterator[tuple[int, TariffFault]]:
    """What drafts say by themselves."""
    codes: set[tuple[int, str]] = set()
    held: set[tuple[Owner, str]] = set()
    for number, draft in enumerate(drafts):
        for fault in tariff_checks.faults(draft.content):
            yield number, fault
        key = (draft.operator.pk, draft.code.upper())
        if key in codes:
            yield number, TariffFault("code", f"{draft.code} is there twice")
        codes.add(key)
        if draft.ends_at is not None and draft.ends_at <= draft.since(now):
            yield number, TariffFault("ends_at", "is over before the tariff begins: it could never hold")
        for position, owner in enumerate(draft.bind_to or ()):
            if (owner, draft.kind) in held:
                yield (
                    number,
                    TariffFault("bind", f"has two {draft.kind} tariffs at one time", component=position),
                )
            held.add((owner, draft.kind))


def _place_faults(
    drafts: Sequence[TariffDraft], places: dict[Owner, OwnerPlace]
) -> Iterator[tuple[int, TariffFault]]:
    for number, draft in enumerate(drafts):
        for position, owner in enumerate(draft.bind_to or ()):
            place = places.get(owner)
            if place is None or place.is_mirror or place.operator_id != draft.operator.pk:
                yield number, TariffFault("bind", f"is not of {draft.operator}", component=position)


def _known_faults(
    drafts: Sequence[TariffDraft], known: Sequence[Tariff | None]
) -> Iterator[tuple[int, TariffFault]]:
    for number, (draft, tariff) in enumerate(zip(drafts, known, strict=True)):
        if tariff is not None and tariff.kind != draft.kind:
            other = "booking" if tariff.kind == Tariff.Kind.BOOKING else "charging"
            yield (
                number,
                TariffFault("use", f"{tariff.code} prices {other}; this needs a tariff of its own", 0),
            )


def _refuse(faults: Iterable[tuple[int, TariffFault]]) -> None:
    if found := list(faults):
        raise TariffRefused(found)


def _lock_depots(drafts: Sequence[TariffDraft], places: dict[Owner, OwnerPlace]) -> None:
    """All where one of the tariffs holds or is to hold. Another one where it was bound meanwhile is seen under these locks."""
    tariffs = list(_rows(drafts))
    standing = _depots_of(TariffBinding.objects.filter(tariff__in=tariffs))
    locked = standing | {place.depot_id for place in places.values()}
    _lock_all(locked)
    if not _depots_of(TariffBinding.objects.filter(tariff__in=tariffs)) <= locked:
        raise ChangedMeanwhile(CHANGED_MEANWHILE)


def _lock_all(depot_ids: Iterable[int]) -> None:
    for depot_id in sorted(depot_ids):
        lock_depot(depot_id)


def _depots_of(bindings: Iterable[TariffBinding]) -> set[int]:
    return {place.depot_id for place in places_of({owner_of(row) for row in bindings}).values()}


def _known(drafts: Sequence[TariffDraft], by_file: FileBindings | None) -> list[Tariff | None]:
    """The tariffs there are, in the order of the drafts, locked by key with those that a file binds beside them."""
    rows = _rows(drafts) if by_file is None else _rows(drafts) | _rows_of_file(by_file)
    locked = rows.order_by("pk").select_for_update(no_key=True)
    found = {(row.operator_id, row.code.upper()): row for row in locked}
    return [found.get((draft.operator.pk, draft.code.upper())) for draft in drafts]


def _rows(drafts: Sequence[TariffDraft]) -> QuerySet[Tariff]:
    codes = {draft.code.upper() for draft in drafts}
    named = Tariff.objects.annotate(key=Upper("code")).filter(key__in=codes)
    return named.filter(operator__in={draft.operator.pk for draft in drafts})


def _rows_of_file(by_file: FileBindings) -> QuerySet[Tariff]:
    codes = {code.upper() for code in by_file.owners}
    operator = Depot.objects.values_list("operator_id", flat=True).get(pk=by_file.depot_id)
    return Tariff.objects.annotate(key=Upper("code")).filter(operator=operator, key__in=codes)


def _set(draft: TariffDraft, known: Tariff | None, actor: Actor, now: datetime) -> SetTariff:
    seen = version_of_tariff(known) if known is not None and draft.seen_version is not None else 0
    if draft.seen_version not in {None, seen}:
        raise ChangedMeanwhile(CHANGED_MEANWHILE)
    tariff = known or Tariff.objects.create(
        operator=draft.operator, code=draft.code, kind=draft.kind, name=draft.name
    )
    changed = _say(draft, tariff, actor, now)
    if known is not None:
        changed |= _name(tariff, draft.name)
    replaced: list[Tariff] = []
    if draft.bind_to is not None:
        since = draft.since(now)
        bound, replaced = bind(tariff, draft.bind_to, since=since, instead_of=tariff.bindings.all())
        changed |= bound
    if changed:
        for depot_id in _depots_of(tariff.bindings.all()):
            mark_depot_changed(depot_id, at=now)
    outcome = "created" if known is None else "updated" if changed else "unchanged"
    return SetTariff(tariff, outcome, tariff_checks.warnings(draft.content), replaced)


def _say(draft: TariffDraft, tariff: Tariff, actor: Actor, now: datetime) -> bool:
    """A version that begins when the draft does, unless what holds then says the same."""
    versions = versions_of([tariff])[tariff.pk]
    newest = max((version.number for version in versions), default=0)
    since = draft.since(now)
    held = version_at(versions, since)
    if held is not None and held.content == draft.content:
        return _prolong(held, draft.ends_at)
    TariffVersion.objects.create(
        tariff=tariff,
        number=newest + 1,
        currency=draft.content.currency,
        content=draft.content.to_json(),
        starts_at=since if versions else draft.starts_at,
        ends_at=draft.ends_at,
        source=draft.source,
        made_at=now,
        **actor.columns("made_by"),
    )
    return True


def _prolong(held: TariffInForce, ends_at: datetime | None) -> bool:
    if held.ends_at == ends_at:
        return False
    TariffVersion.objects.filter(pk=held.pk).update(ends_at=ends_at)
    return True


def _name(tariff: Tariff, name: str) -> bool:
    """A name that is not given stays; a tariff that was withdrawn is taken up again."""
    if not tariff.is_withdrawn and name in {"", tariff.name}:
        return False
    tariff.name, tariff.is_withdrawn = name or tariff.name, False
    tariff.save(update_fields=["name", "is_withdrawn", "updated_at"])
    return True


def _bind_by_file(by_file: FileBindings, now: datetime) -> bool:
    codes = {code.upper(): owners for code, owners in by_file.owners.items()}
    rows = _rows_of_file(by_file)
    wanted: dict[Tariff, Collection[Owner]] = {row: codes[row.code.upper()] for row in rows}
    return bind_by_file(by_file.depot_id, wanted, now=now)


def _check_currencies(tariffs: Sequence[Tariff], depot_ids: Iterable[int], now: datetime) -> None:
    """Raises TariffRefused where a customer would pay for charging in one currency and for booking in another. The fault is
    of the draft whose tariff it is, or of none (-1)."""
    drawn = {tariff.code: number for number, tariff in enumerate(tariffs)}
    for depot_id in sorted(depot_ids):
        if clash := currency_clash(configuration.load(depot_id), now=now):
            one, other = sorted(clash, key=lambda held: drawn.get(held.code, -1))
            text = f"{one} is in {one.content.currency}, and both would hold for one booking"
            _refuse([(drawn.get(other.code, -1), TariffFault("currency", text))])
