"""A depot where not everybody finds a place, and those who want one there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bookings.models import BookingOption
from depots.models import Depot, Evse
from tests.doors.customers import Customer
from tests.factories import (
    make_charger,
    make_depot,
    make_evse,
    make_fleet,
    make_option,
    make_rule,
    open_depot,
)

TERMS = {
    "early_start_min": 15, "turnaround_min": 5, "change_until_min": 0, "cancel_until_min": 0, "min_duration_min": 30,
    "max_duration_min": 240, "overlapping_tokens": False, "max_open_bookings": 12,
}  # fmt: skip
# The evening before clocks change, and one where they do not.
STARTS: dict[str, tuple[str, datetime]] = {
    "Berlin, spring": ("Europe/Berlin", datetime(2030, 3, 30, 18, tzinfo=UTC)),
    "Berlin, autumn": ("Europe/Berlin", datetime(2030, 10, 26, 18, tzinfo=UTC)),
    "New York, spring": ("America/New_York", datetime(2030, 3, 9, 22, tzinfo=UTC)),
    "Lord Howe, autumn": ("Australia/Lord_Howe", datetime(2030, 4, 6, 8, tzinfo=UTC)),
    "Berlin, winter": ("Europe/Berlin", datetime(2030, 1, 18, 18, tzinfo=UTC)),
}


class Yard:
    """Five EVSEs, four offered by themselves, all as a pool, three as one that is asked for; its own fleet, a guest and a network
    with quotas, and power for half of it."""

    def __init__(self, zone: str, begins_at: datetime) -> None:
        self.depot: Depot = make_depot(time_zone=zone, open_to_all=False, terms=TERMS, grid_limit_w=1_000_000)
        online = {"lease_holder": "gw", "lease_until": begins_at + timedelta(days=9)}
        chargers = [make_charger(self.depot, connected_at=begins_at, **online) for _ in range(2)]
        self.evses: list[Evse] = [
            make_evse(
                charger=chargers[number % 2], option=number < 4, max_power_w=400_000, status="available"
            )
            for number in range(5)
        ]
        make_option(*self.evses)
        make_option(*self.evses[2:], terms={"approval": True})
        self.options: list[BookingOption] = list(
            BookingOption.objects.filter(depot=self.depot).order_by("pk")
        )
        self.fleets = [Customer.with_trucks(self.depot.operator, 3), Customer.with_trucks(make_fleet(), 3)]
        self.network = Customer.network()
        agreements = [open_depot(self.depot, one.fleet) for one in (self.fleets[1], self.network)]
        make_rule(agreements[0], "quota", amount=2, from_minute=20 * 60, to_minute=7 * 60)
        make_rule(agreements[1], "quota", unit="kw", amount=500)
        make_rule(self.depot, "quota", unit="percent", amount=60, counts="guests", weekdays=[1, 6, 7])
        make_rule(self.depot, "walk_in", amount=1, from_minute=60, to_minute=240)
