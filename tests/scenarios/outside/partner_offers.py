"""What a registered partner offers, and when it is free."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.scenarios.outside.berth import Berth
from tests.scenarios.outside.partner import Network


def registered(berth: Berth, network: Network) -> Network:
    """Known to Berth by the handshake with token A."""
    roles = [word for role in network.roles for word in ("--role", role)]
    invited = berth.run(
        "add_partner", "--name", f"Outside {network.party}", "--country-code", network.country,
        "--party-id", network.party, *roles,
    ).one  # fmt: skip
    network.register(invited["versions_url"], invited["token_a"])
    return network


def offers(network: Network) -> dict[str, dict[str, Any]]:
    """Every BookingLocation this partner may book, by id."""
    url = f"{network.bookings_url}/booking_locations"
    return {place["id"]: place for page in network.pages(url, 100) for place in page}


def free_span(
    place: dict[str, Any], minutes: int = 30, skip: int = 1, then: timedelta = timedelta(minutes=30)
) -> tuple[datetime, datetime]:
    """A span inside an available timeslot of tomorrow or later; `skip` of them further on in it. As long as `then` after its end
    is free, too."""
    step = timedelta(minutes=minutes)
    tomorrow = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=26)
    for calendar in place["calendars"]:
        for slot in calendar["available_timeslots"]:
            start = max(moment(slot["start_date_time"]), tomorrow) + skip * step
            if start + step + then <= moment(slot["end_date_time"]):
                return start, start + step
    raise AssertionError(f"nothing is free at {place['id']}")


def spans(
    places: Iterable[dict[str, Any]], wanted: int, *, every: timedelta = timedelta(hours=1)
) -> list[tuple[dict[str, Any], datetime, datetime]]:
    """So many spans of half an hour that do not touch, each with the place at which it is free; tomorrow or later."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=26)
    found = []
    for place in places:
        slots = [slot for calendar in place["calendars"] for slot in calendar["available_timeslots"]]
        for slot in slots:
            start = max(moment(slot["start_date_time"]), first) + timedelta(minutes=30)
            while start + every <= moment(slot["end_date_time"]) and len(found) < wanted:
                found.append((place, start, start + timedelta(minutes=30)))
                start += every
    assert len(found) == wanted, f"only {len(found)} spans are free"
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
