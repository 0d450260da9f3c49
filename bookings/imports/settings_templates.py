"""A file of an operator's templates of charger settings: all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from django.db import transaction
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from bookings.rules.charger_settings import fault_of
from depots.imports.documents import read_json, read_text
from depots.models import Organisation, SettingsTemplate

Beginning = Annotated[str, StringConstraints(max_length=50, strip_whitespace=True)]


class TemplateRow(BaseModel):
    """As SettingsTemplate has it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    protocol: Literal["1.6", "2.x"]
    vendor: Beginning = ""
    model: Beginning = ""
    firmware: Beginning = ""
    settings: dict[str, str | None] = {}
    applies_itself: bool = True

    @field_validator("settings")
    @classmethod
    def _writable(cls, settings: dict[str, str | None]) -> dict[str, str | None]:
        if fault := fault_of(settings):
            raise ValueError(fault)
        return settings


class TemplateFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    templates: Annotated[list[TemplateRow], Field(max_length=500)]


@dataclass(frozen=True)
class ImportedTemplate:
    """What became of one template: "created", "updated" or "unchanged"."""

    template: str
    outcome: str


def import_settings_templates(path: Path, *, operator: Organisation) -> list[ImportedTemplate]:
    """Create or update what the file lists; others stay. Raises FileRefusedError."""
    file = read_json(read_text(path)).read_as(TemplateFile)
    with transaction.atomic():
        return [_write(operator, row) for row in file.templates]


def _write(operator: Organisation, row: TemplateRow) -> ImportedTemplate:
    chargers = {"protocol": row.protocol, "vendor": row.vendor, "model": row.model, "firmware": row.firmware}
    known = SettingsTemplate.objects.select_for_update().filter(operator=operator, **chargers).first()
    template = known or SettingsTemplate(operator=operator, **chargers)
    before = (template.settings, template.applies_itself)
    template.settings, template.applies_itself = row.settings, row.applies_itself
    is_same = known is not None and before == (row.settings, row.applies_itself)
    if not is_same:
        template.save()
    return ImportedTemplate(str(template), "unchanged" if is_same else "updated" if known else "created")
