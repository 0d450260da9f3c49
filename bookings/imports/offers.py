"""Writes what a depot file says about booking: terms and options. Bookings made before keep their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bookings.imports.schemas import OfferedDepotRow, OptionRow, TermsRow
from bookings.models import BookingOption, TermsOverride
from depots.imports.documents import FieldPath
from depots.imports.schemas import folded
from depots.imports.writing import assign
from depots.models import Depot, Evse


def write_offers(
    depot: Depot, row: OfferedDepotRow, written: Mapping[str, tuple[FieldPath, Evse, bool]]
) -> bool:
    """Terms of the depot, and its options. Options the file no longer has are withdrawn. True if changed."""
    changed = _write_terms({"depot": depot}, row.terms)
    known = {folded(option.code): option for option in depot.options.all()}
    offered = row.offered()
    for option_row in offered:
        evses = [written[folded(uid)][1] for uid in option_row.evses]
        changed |= _write_option(depot, known.get(folded(option_row.id)), option_row, evses)
    gone = [option.pk for code, option in known.items() if code not in {folded(o.id) for o in offered}]
    changed |= bool(BookingOption.objects.filter(pk__in=gone, is_withdrawn=False).update(is_withdrawn=True))
    return changed


def _write_option(depot: Depot, option: BookingOption | None, row: OptionRow, evses: list[Evse]) -> bool:
    is_new = option is None
    option = option or BookingOption(depot=depot, code=row.id)
    changed = assign(option, {"name": row.name, "is_withdrawn": False}) or is_new
    if changed:
        option.save()
    if set(option.evses.values_list("pk", flat=True)) != {evse.pk for evse in evses}:
        option.evses.set(evses)
        changed = True
    changed |= _write_terms({"option": option}, row.terms)
    return changed


def _write_terms(owner: dict[str, Any], row: TermsRow) -> bool:
    """The file says all of the owner's terms: one it leaves out is inherited from now on."""
    override = TermsOverride.objects.filter(**owner).first()
    if row == TermsRow():
        return bool(override) and bool(TermsOverride.objects.filter(**owner).delete()[0])
    is_new = override is None
    override = override or TermsOverride(**owner)
    changed = assign(override, row.model_dump()) or is_new
    if changed:
        override.save()
    return changed
