from __future__ import annotations

import json
from collections.abc import Iterable

from depots import round_trips
from depots.notices import PAGES_CHANNEL, TELL, tell

ACCESS = "access"

# The names of audiences as in bookings.pages.live.audiences.
_TAKEN = round_trips.Prepared(f"""
{TELL} SELECT %s, json_build_object(
    'kind', 'taken', 'id', id, 'audiences', json_build_array('calendar-' || depot_id))::text
FROM depots_evse WHERE id = ANY(%s::bigint[])
""")  # noqa: S608 - made of constants


def publish(kind: str, object_id: int, audiences: Iterable[str]) -> None:
    """Tell open pages that an object is different, once the caller's transaction has committed.

    Name every audience that saw it before or sees it now: one the renderer leaves out hears that it is gone.
    The same call twice in one transaction is heard once.
    """
    publish_all([(kind, object_id, audiences)])


def publish_all(changes: Iterable[tuple[str, int, Iterable[str]]]) -> None:
    """`publish` for each (kind, id, audiences), in one statement."""
    _tell(
        {"kind": kind, "id": object_id, "audiences": sorted(set(audiences))}
        for kind, object_id, audiences in changes
    )


def publish_taken(evse_ids: Iterable[int]) -> None:
    """`publish` what is taken of EVSEs to those who may book at their depots, which the database looks up."""
    round_trips.send(_TAKEN, [PAGES_CHANNEL, round_trips.bigints(evse_ids)])


def publish_access(user_id: int | None = None) -> None:
    """Have the streams of a person, or everybody's, checked again: a session, membership or agreement has changed."""
    _tell([{"kind": ACCESS, "id": user_id}])


def _tell(notes: Iterable[dict[str, object]]) -> None:
    tell(PAGES_CHANNEL, [json.dumps(note) for note in notes])
