"""Which settings are wanted of a charger: the built-in ones, and its operator's templates over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from depots.commissioning.defaults import DEFAULTS, LOCAL_LIST, Wanted
from depots.models import Charger, Fallback, SettingsTemplate

BY_OPERATOR = "Set by your template."


@dataclass(frozen=True)
class Plan:
    """What is wanted of a charger, and whether Berth sets it by itself."""

    wanted: tuple[Wanted, ...]
    applies_itself: bool


def family_of(charger: Charger) -> str:
    """The protocol's name in templates."""
    return "1.6" if charger.speaks_1_6 else "2.x"


def wanted_of(charger: Charger) -> Plan:
    """Asks for the operator's templates; `charger.depot` is loaded or asked for."""
    family = family_of(charger)
    rows = SettingsTemplate.objects.filter(operator=charger.depot.operator_id, protocol=family)
    fitting = sorted((row for row in rows if _fits(row, charger)), key=_closeness)
    keeps_list = Fallback.LOCAL_LIST in charger.depot.fallbacks
    built_in = (*DEFAULTS[family], *([LOCAL_LIST[family]] if keeps_list else []))
    return Plan(
        wanted=_overlaid(built_in, fitting),
        applies_itself=fitting[-1].applies_itself if fitting else True,
    )


def _fits(template: SettingsTemplate, charger: Charger) -> bool:
    pairs = (
        (template.vendor, charger.vendor),
        (template.model, charger.model),
        (template.firmware, charger.firmware_version),
    )
    return all(told.casefold().startswith(asked.casefold()) for asked, told in pairs)


def _closeness(template: SettingsTemplate) -> tuple[bool, bool, bool, int, int]:
    length = len(template.vendor) + len(template.model) + len(template.firmware)
    return (bool(template.firmware), bool(template.model), bool(template.vendor), length, template.pk)


def _overlaid(defaults: Iterable[Wanted], templates: Iterable[SettingsTemplate]) -> tuple[Wanted, ...]:
    wanted = {each.key.casefold(): each for each in defaults}
    for template in templates:
        for key, value in template.settings.items():
            known = wanted.get(key.casefold())
            if value is None:
                wanted.pop(key.casefold(), None)
            elif known is None:
                wanted[key.casefold()] = Wanted(key, str(value), BY_OPERATOR)
            else:
                exactly = replace(known, value=str(value), also=(), otherwise=(), at_least=False)
                wanted[key.casefold()] = exactly
    return tuple(wanted.values())
