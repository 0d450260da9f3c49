"""The API's addresses, a resource a file: each has a `router`, and ROUTERS says below which path it stands."""

from __future__ import annotations

from ninja import Router

from bookings.api.resources import (
    arrivals,
    batch,
    bookings,
    depots,
    events,
    holds,
    records,
    series,
    slots,
    trips,
    vehicles,
    waitlist,
    webhooks,
)

# Paths below /api/v1. Who adds a resource adds it here.
ROUTERS: dict[str, Router] = {
    "arrivals": arrivals.router,
    "batch": batch.router,
    "bookings": bookings.router,
    "depots": depots.router,
    "events": events.router,
    "holds": holds.router,
    "series": series.router,
    "slots": slots.router,
    "trips": trips.router,
    "vehicles": vehicles.router,
    "waitlist": waitlist.router,
    "webhooks": webhooks.router,
    "": records.router,
}
