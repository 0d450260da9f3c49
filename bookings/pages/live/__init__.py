"""Live updates: what changes in the database reaches open pages when it commits, and not before.

A writer calls `publish` inside its transaction: a notice (depots.notices) carries kind, id and audiences, never content.
Each serving process listens on one connection, asks the kind's renderer once for what each audience may see, and hands
that to every stream of the audience. An audience is a name: `fleet-7` (members of organisation 7), `depot-3` (who
looks after depot 3), `calendar-3` (who may book at depot 3, and sees of others only that a time is taken).
"""

from bookings.pages.live.audiences import calendar_audience, depot_audience, fleet_audience
from bookings.pages.live.publishing import publish, publish_access
from bookings.pages.live.rendering import renders
from bookings.pages.live.server import LiveServer

application = LiveServer()

__all__ = [
    "application",
    "calendar_audience",
    "depot_audience",
    "fleet_audience",
    "publish",
    "publish_access",
    "renders",
]
