"""Keeping an operator's templates of charger settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from bookings.core.constraints import violation_raises
from bookings.errors import ChangedMeanwhile, TemplateKnown
from bookings.rules.content_version import version_of
from depots.models import Organisation, SettingsTemplate


@dataclass(frozen=True)
class TemplateContent:
    """What a template says, apart from whose it is."""

    protocol: str
    vendor: str
    model: str
    firmware: str
    settings: Mapping[str, str | None]
    applies_itself: bool


def add_template(*, operator: Organisation, content: TemplateContent, now: datetime) -> SettingsTemplate:
    """It holds from each charger's next round on. Raises TemplateKnown."""
    with violation_raises({"settings_template_once": TemplateKnown()}), transaction.atomic():
        return SettingsTemplate.objects.create(operator=operator, **_columns(content))


def change_template(
    *, template_id: int, content: TemplateContent, seen_version: int, now: datetime
) -> SettingsTemplate:
    """Raises ChangedMeanwhile, TemplateKnown."""
    with violation_raises({"settings_template_once": TemplateKnown()}), transaction.atomic():
        template = _locked(template_id, seen_version)
        for name, value in _columns(content).items():
            setattr(template, name, value)
        template.save()
    return template


def remove_template(*, template_id: int, seen_version: int, now: datetime) -> None:
    """What it wanted is not wanted any more; chargers keep what they have. Raises ChangedMeanwhile."""
    with transaction.atomic():
        _locked(template_id, seen_version).delete()


def _locked(template_id: int, seen_version: int) -> SettingsTemplate:
    template = SettingsTemplate.objects.select_for_update().filter(pk=template_id).first()
    if template is None or version_of(template) != seen_version:
        raise ChangedMeanwhile("Somebody else has changed this template.")
    return template


def _columns(content: TemplateContent) -> dict[str, object]:
    return {
        "protocol": content.protocol, "vendor": content.vendor, "model": content.model,
        "firmware": content.firmware, "settings": dict(content.settings), "applies_itself": content.applies_itself,
    }  # fmt: skip
