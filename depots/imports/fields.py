"""What the rows of import files share: texts, names, and that a field nobody knows is a fault."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from depots.imports.cells import checked


def printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("contains characters that cannot be shown")
    return text


def one_of(names: Sequence[str]) -> Any:
    """A text that must be one of the names, spelled as they are."""

    def check(given: str) -> str:
        if given not in names:
            raise ValueError(f"must be one of {', '.join(names)}")
        return given

    return AfterValidator(check)


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(printable)]
Centimetres = Annotated[int, Field(ge=1, le=10_000)]


class FileRow(BaseModel):
    """An object of an import file: a field it does not know is a fault, not a hint."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=1000, populate_by_name=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_a_spreadsheet_left_it(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        return checked(cls.model_fields[info.field_name], value)
