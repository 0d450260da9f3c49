"""Two who change one series at once."""

from __future__ import annotations

import pytest

from bookings import operations
from bookings.errors import ChangedMeanwhile
from bookings.models import BookingSeries
from bookings.operations import ChangeRequest, Scope, SeriesChange, SeriesRequest, SlotRequest
from bookings.operations.series_plan import version_of
from tests.factories import DISPATCHER, NOW, at, make_evse, make_vehicle, option_of, slot
from tests.races.processes import at_once


@pytest.mark.races
@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_what_they_saw_one_is_refused() -> None:
    vehicle = make_vehicle()
    first = SlotRequest(
        fleet=vehicle.fleet, option=option_of(make_evse()), period=slot(10, 11), vehicle=vehicle
    )
    request = SeriesRequest(rrule="FREQ=DAILY;COUNT=4", first=first)
    series = operations.book_series(request, actor=DISPATCHER, now=NOW)
    seen = version_of(series, series.bookings.values_list("version", flat=True))

    def change(number: int) -> str:
        asked = SeriesChange(scope=Scope.ALL, request=ChangeRequest(ends_at=at(12 + number)))
        try:
            operations.change_series(series.pk, asked, seen_version=seen, actor=DISPATCHER, now=NOW)
        except ChangedMeanwhile as refusal:
            return refusal.code
        return f"{12 + number}"

    outcomes = at_once(change, 2)

    assert "changed_meanwhile" in outcomes
    (hour,) = set(outcomes) - {"changed_meanwhile"}
    ends = {f"{one.ends_at:%H}" for one in BookingSeries.objects.get().bookings.all()}
    assert ends == {hour}
