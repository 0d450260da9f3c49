"""What a depot file tells of a place for people who come there, and for partner networks that show it to theirs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from depots.imports.fields import Centimetres, FileRow, Text, one_of
from depots.standards import ENERGY_SOURCES, FACILITIES, PARKING_RESTRICTIONS

Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Url = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^https?://[!-~]+$", max_length=255)]


class TextRow(FileRow):
    """`language` is a code of ISO 639-1, such as de."""

    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
    text: Annotated[Text, Field(min_length=1, max_length=512)]


class ImageRow(FileRow):
    """A picture that others may show; sizes in pixels."""

    url: Url
    thumbnail: Url | None = None
    category: Literal["CHARGER", "ENTRANCE", "LOCATION", "NETWORK", "OPERATOR", "OTHER", "OWNER"] = "LOCATION"
    type: Annotated[str, StringConstraints(pattern=r"^[a-z]{3,4}$")]
    width: Annotated[int, Field(ge=1, le=99_999)] | None = None
    height: Annotated[int, Field(ge=1, le=99_999)] | None = None


class EnergySourceRow(FileRow):
    source: Annotated[str, one_of(ENERGY_SOURCES)]
    percentage: Percentage


class EnvironmentalImpactRow(FileRow):
    """Grams a kWh."""

    category: Literal["NUCLEAR_WASTE", "CARBON_DIOXIDE"]
    amount: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class EnergyMixRow(FileRow):
    """Where the energy of a depot comes from; `is_green_energy` only where all of it is renewable."""

    is_green_energy: bool
    energy_sources: list[EnergySourceRow] = []
    environ_impact: list[EnvironmentalImpactRow] = []
    supplier_name: Annotated[Text, Field(max_length=64)] | None = None
    energy_product_name: Annotated[Text, Field(max_length=64)] | None = None


class DescribedPlace(FileRow):
    state: Annotated[Text, Field(max_length=45)] = ""
    help_phone: Annotated[Text, Field(max_length=25)] = ""
    directions: Annotated[list[TextRow], Field(max_length=20)] = []
    facilities: list[Annotated[str, one_of(FACILITIES)]] = []
    images: Annotated[list[ImageRow], Field(max_length=20)] = []
    energy_mix: EnergyMixRow | None = None

    def description(self) -> dict[str, Any]:
        """The columns of a depot."""
        return {
            "state": self.state,
            "help_phone": self.help_phone,
            "directions": [row.model_dump() for row in self.directions],
            "facilities": list(self.facilities),
            "images": [row.model_dump(exclude_none=True) for row in self.images],
            "energy_mix": self.energy_mix.model_dump(exclude_none=True) if self.energy_mix else None,
        }


class DescribedBay(FileRow):
    """An EVSE's bay, as somebody looks for it and as a vehicle has to fit into it."""

    evse_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*+\-]*$", max_length=48)] = ""
    floor_level: Annotated[Text, Field(max_length=4)] = ""
    physical_reference: Annotated[Text, Field(max_length=12)] = ""
    parking_restrictions: list[Annotated[str, one_of(PARKING_RESTRICTIONS)]] = []
    bay_position: Literal["LEFT", "RIGHT", "CENTER", ""] = ""
    bay_direction: Literal["PARALLEL", "PERPENDICULAR", "ANGLE", ""] = ""
    bay_length_cm: Centimetres | None = None
    bay_width_cm: Centimetres | None = None
    is_roofed: bool = False
    is_lit: bool = False

    def description(self) -> dict[str, Any]:
        """The columns of an EVSE."""
        told = self.model_dump(include=set(DescribedBay.model_fields))
        return {"public_id": told.pop("evse_id"), **told}
