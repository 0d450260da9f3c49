"""What else the finder can be asked: around which place, with what around the charger, how strong, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms

from bookings.pages.forms.fields import MomentField
from bookings.pages.forms.place_input import UNKNOWN_PLACE, PlaceInput
from bookings.search.where import Where, place_meant
from depots.gazetteer import MOST_LETTERS
from depots.geography import Circle
from depots.models import Depot
from depots.standards import AMENITIES

if TYPE_CHECKING:
    from bookings.pages.finder import DepotResults

USUAL_RADIUS_KM, MOST_RADIUS_KM = 50, 1000
BEST, BY_PRICE, BY_DISTANCE = "", "price", "distance"
_ORDERS = [(BEST, "Best fit first"), (BY_PRICE, "Cheapest first"), (BY_DISTANCE, "Nearest first")]
_AMENITY = "with_"
_FINER = ("near", "radius_km", "min_power_kw", "latest_start", "max_price", "order")
# One search looks a day ahead at most.
MOST_PATIENCE = timedelta(days=1)


class PlaceFields(forms.Form):
    """Fields of bookings.pages.forms.slots.SearchForm, whose `depots` they choose among; all may be left empty."""

    depots: list[Depot]
    near = forms.CharField(
        label="Near", max_length=MOST_LETTERS, required=False, widget=PlaceInput,
        help_text="A town, a depot or coordinates.",
    )  # fmt: skip
    radius_km = forms.FloatField(label="Within km", required=False, min_value=1, max_value=MOST_RADIUS_KM)
    min_power_kw = forms.IntegerField(label="Least power, kW", required=False, min_value=1, max_value=100_000)
    latest_start = MomentField(
        label="Can begin as late as", required=False,
        help_text="Then the first slot as long as From to To that begins by then.",
    )  # fmt: skip
    max_price = forms.DecimalField(
        label="At most, with taxes", required=False, min_value=0, max_digits=9, decimal_places=2
    )
    order = forms.ChoiceField(label="Order", choices=_ORDERS, required=False)
    with_food, with_showers, with_toilets, with_parking, with_security, with_wifi, with_hotel = (
        forms.BooleanField(label=amenity.label, required=False) for amenity in AMENITIES.values()
    )

    @property
    def amenities(self) -> list[forms.BoundField]:
        return [self[f"{_AMENITY}{name}"] for name in AMENITIES]

    @property
    def is_finer(self) -> bool:
        """Whether something is asked that does not stand in the first row."""
        fields = [*(self[name] for name in _FINER), *self.amenities]
        return any(field.value() or field.errors for field in fields)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        text = cleaned.get("near")
        cleaned["place"] = place_meant(text, self.depots) if text else None
        if text and cleaned["place"] is None:
            self.add_error("near", UNKNOWN_PLACE)
        if cleaned.get("order") == BY_DISTANCE and not text and "near" not in self.errors:
            self.add_error("near", "Nearest to where?")
        return cleaned

    def patience_from(self, first: datetime | None) -> timedelta | None:
        """How much later than this it may begin, by the clock on the wall; None where it may not. What makes no sense is told at
        its field."""
        latest = self.cleaned_data.get("latest_start")
        if latest is None or first is None:
            return None
        patience: timedelta = latest.replace(tzinfo=None) - first.replace(tzinfo=None)
        if patience < timedelta():
            self.add_error("latest_start", "That is before From.")
        elif patience > MOST_PATIENCE:
            self.add_error("latest_start", "At most a day after From.")
        return patience or None

    @property
    def circle(self) -> Circle | None:
        """Of a valid form, around the place that is meant."""
        place: Where | None = self.cleaned_data["place"]
        if place is None:
            return None
        return Circle(*place.point, self.cleaned_data["radius_km"] or USUAL_RADIUS_KM)

    @property
    def meant(self) -> list[Depot]:
        """Of a valid form, the depots with all that is asked for around their chargers."""
        wanted = [amenity for name, amenity in AMENITIES.items() if self.cleaned_data[f"{_AMENITY}{name}"]]
        return [depot for depot in self.depots if all(one.is_at(depot.facilities) for one in wanted)]

    @property
    def least_power_w(self) -> int | None:
        least_kw = self.cleaned_data["min_power_kw"]
        return least_kw * 1000 if least_kw else None

    def placed(self) -> dict[str, str]:
        """What of it is asked for, as parameters of an address."""
        return dict(self._asked())

    def _asked(self) -> Iterator[tuple[str, str]]:
        for field in [*(self[name] for name in _FINER), *self.amenities]:
            if value := field.value():
                yield field.name, "on" if value is True else str(value)


def in_order(places: Sequence[DepotResults], order: str) -> list[DepotResults]:
    """The results of depots, which come best first; what has no price, or no place, goes last."""
    if order == BY_PRICE:
        return sorted(places, key=_price)
    if order == BY_DISTANCE:
        return sorted(places, key=lambda place: (not place.free, place.distance_km or 0))
    return list(places)


def _price(place: DepotResults) -> tuple[bool, bool, str, Decimal]:
    """Of what is free there the cheapest; prices of one currency stand together."""
    prices = [(row.price[1], row.price[0]) for row in place.free if row.price]
    currency, total = min(prices, default=("", Decimal()))
    return not place.free, not prices, currency, total
