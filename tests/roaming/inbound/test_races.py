"""Messages that arrive at the same moment, at several servers of ours, over real connections."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.db import connection, connections, transaction

from bookings.models import Booking, BookingRequest, Occupancy
from depots.models import Agreement, Depot, Evse
from depots.periods import Period
from roaming.inbound import partner_requests
from roaming.inbound.partner_requests import PartnerRequest, ReceivedRequest, receive_request
from roaming.mirror import partner_places
from roaming.models import Partner
from tests.factories import NOW, make_depot, make_evse, option_of, slot
from tests.roaming.partners import BOOKINGS, authorization, booking_request, make_partner
from tests.serving import SharedServers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def servers(berth_servers: SharedServers) -> list[str]:
    """Two processes that serve the same database."""
    return [berth_servers[n].url for n in range(2)]


def open_since_long() -> Depot:
    """The servers' clock is the real one, long before the tests' own day."""
    depot = make_depot(open_to_all=False)
    Agreement.objects.create(depot=depot, starts_at=datetime(2020, 1, 1, tzinfo=UTC))
    return depot


def tomorrow_at(hour: int) -> Period:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return Period(day + timedelta(hours=hour), day + timedelta(hours=hour + 1))


def at_once(asks: list[tuple[str, Partner, dict[str, Any]]]) -> list[httpx.Response]:
    """Every ask on a connection of its own, all let go together."""
    start = threading.Barrier(len(asks))

    def post(server: str, partner: Partner, body: dict[str, Any]) -> httpx.Response:
        token: str = partner.plain_token  # type: ignore[attr-defined]
        with httpx.Client(
            base_url=server, headers={"Authorization": authorization(token)}, timeout=30
        ) as http:
            http.get("/ocpi/versions")  # the connection stands before the start
            start.wait(timeout=30)
            return http.post(BOOKINGS, json=body)

    with ThreadPoolExecutor(len(asks)) as pool:
        return [done.result() for done in [pool.submit(post, *ask) for ask in asks]]


def party(partner: Partner) -> tuple[str, str]:
    return partner.roles[0]["country_code"], partner.roles[0]["party_id"]


def test_of_many_partners_one_gets_the_last_slot(servers: list[str]) -> None:
    """Checklist 43."""
    option = option_of(make_evse(open_since_long()))
    period = tomorrow_at(11)
    partners = [make_partner() for _ in range(8)]

    answers = at_once(
        [(servers[n % 2], p, booking_request(party(p), option, period)) for n, p in enumerate(partners)]
    )

    statuses = sorted(answer.json()["data"]["reservation_status"] for answer in answers)
    assert {answer.status_code for answer in answers} == {201}
    assert statuses == ["REJECTED"] * 7 + ["RESERVED"]
    assert Occupancy.objects.count() == 1


def test_the_same_request_many_times_at_once_is_one_booking(servers: list[str]) -> None:
    """Checklist 42."""
    option = option_of(make_evse(open_since_long()))
    partner = make_partner()
    body = booking_request(party(partner), option, tomorrow_at(11))

    answers = at_once([(servers[n % 2], partner, body) for n in range(8)])

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["data"]["id"] for answer in answers}) == 1
    assert Booking.objects.count() == BookingRequest.objects.count() == 1


def test_two_different_requests_of_one_id_at_once_are_one_booking_and_an_edit(servers: list[str]) -> None:
    option = option_of(make_evse(open_since_long()))
    partner = make_partner()
    bodies = [
        booking_request(
            party(partner), option, tomorrow_at(hour), request_id="one", authorization_reference="one"
        )
        for hour in (11, 14)
    ]

    answers = at_once([(servers[n], partner, body) for n, body in enumerate(bodies)])

    assert sorted(answer.status_code for answer in answers) == [200, 201]
    (booking,) = Booking.objects.all()
    assert booking.requests.count() == 2
    assert Occupancy.objects.count() == 1


def test_the_same_edit_many_times_at_once_is_one_edit(servers: list[str]) -> None:
    option = option_of(make_evse(open_since_long()))
    partner = make_partner()
    first = booking_request(party(partner), option, tomorrow_at(11))
    at_once([(servers[0], partner, first)])
    changed = {**first, "period": booking_request(party(partner), option, tomorrow_at(14))["period"]}

    answers = at_once([(servers[n % 2], partner, changed) for n in range(6)])

    assert {answer.status_code for answer in answers} == {200}
    assert [r.decision for r in BookingRequest.objects.all()] == ["accepted", "accepted"]


def test_without_the_queue_of_a_request_id_an_edit_is_kept_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard taken away: both messages find nothing of the edit before either has made it."""
    option = option_of(make_evse())
    partner = make_partner()

    def ask(hour: int) -> ReceivedRequest:
        wish = PartnerRequest(
            party(partner), "one", {"hour": hour}, str(hour), location_id=option.depot.location_id,
            option_code=option.code, period=slot(hour, hour + 1),
        )  # fmt: skip
        return receive_request(partner, wish, now=NOW)

    ask(11)
    both_looked = threading.Barrier(2)
    looked = partner_requests.is_repeated

    def look_together(*args: Any, **kwargs: Any) -> bool:
        found = looked(*args, **kwargs)
        both_looked.wait(timeout=10)
        return found

    def edit() -> None:
        try:
            ask(14)
        finally:
            connection.close()

    monkeypatch.setattr(partner_requests, "_queue", lambda partner, ask: None)
    monkeypatch.setattr(partner_requests, "is_repeated", look_together)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(edit) for _ in range(2)]:
            done.result()

    assert BookingRequest.objects.filter(fingerprint="14").count() == 2


def test_one_request_id_of_two_partners_at_once_is_two_bookings(servers: list[str]) -> None:
    """Checklist 44."""
    depot = open_since_long()
    options = [option_of(make_evse(depot)) for _ in range(2)]
    partners = [make_partner(), make_partner()]
    asks = [
        (servers[n], p, booking_request(party(p), options[n], tomorrow_at(11), request_id="the-same"))
        for n, p in enumerate(partners)
    ]

    answers = at_once(asks)

    assert [answer.json()["data"]["reservation_status"] for answer in answers] == ["RESERVED"] * 2
    assert len({answer.json()["data"]["id"] for answer in answers}) == 2


def test_the_real_server_refuses_what_it_cannot_take_in_an_envelope(servers: list[str]) -> None:
    partner = make_partner()
    headers = {"Authorization": authorization(partner.plain_token)}  # type: ignore[attr-defined]
    make_evse(open_since_long())

    def chunks() -> Iterator[bytes]:
        yield b'{"country_code"'
        yield b': "SE"}'

    with httpx.Client(base_url=servers[0], headers=headers, timeout=30) as http:
        huge = http.post(BOOKINGS, content=b"x" * 3_000_000)
        in_chunks = http.post(BOOKINGS, content=chunks(), headers={"Content-Type": "application/json"})
        broken = http.post(BOOKINGS, content=b"{")
        missing = http.get("/ocpi/nowhere")
        method = http.put(f"{BOOKINGS}/booking_locations", json={})
        stranger = http.get("/ocpi/versions", headers={"Authorization": "Token wrong"})
        slash = http.get(f"{BOOKINGS}/booking_locations/")
        head = http.head(f"{BOOKINGS}/booking_locations")

    seen = [
        (a.status_code, a.json()["status_code"])
        for a in (huge, in_chunks, broken, missing, method, stranger, slash)
    ]
    assert seen == [(413, 2001), (200, 2001), (400, 2001), (404, 2000), (405, 2000), (401, 2000), (200, 1000)]
    assert (head.status_code, head.content, head.headers["X-Total-Count"]) == (200, b"", "1")
    assert head.headers["Content-Length"] == slash.headers["Content-Length"]
    assert method.headers["Allow"] == "GET, HEAD"
    assert "party_id" in in_chunks.json()["status_message"]
    assert slash.json()["data"][0]["booking_option"]["evse_uid"] == Evse.objects.get().uid


def test_a_place_that_another_reading_has_just_made_is_the_same_place() -> None:
    partner = make_partner()
    made: list[Depot] = []

    def read() -> Depot:
        with transaction.atomic():
            return partner_places.locked_depot(partner, "SE", "ABC", "LYON")

    def in_between(execute: Any, query: str, *rest: Any) -> Any:
        found = execute(query, *rest)
        if "FOR NO KEY UPDATE" in query and not made:
            with ThreadPoolExecutor(1) as other:
                made.append(other.submit(read).result())
                other.submit(connections.close_all).result()
        return found

    with connection.execute_wrapper(in_between):
        depot = read()

    assert [depot] == made
