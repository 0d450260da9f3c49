"""The API's addresses, a resource a file: each has a `router`, and ROUTERS says below which path it stands."""

from __future__ import annotations

from ninja import Router

from bookings.api.resources import bookings, depots, holds, records, slots, vehicles

# Paths below /api/v1. Who adds a resource adds it here.
ROUTERS: dict[str, Router] = {
    "bookings": bookings.router,
    "depots": depots.router,
    "holds": holds.router,
    "slots": slots.router,
    "vehicles": vehicles.router,
    "": records.router,
}
