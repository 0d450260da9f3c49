"""Calls over real sockets: signed, no redirects, an answer without an end is hung up on, and two workers send each once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from django.db import connections
from standardwebhooks import Webhook as Verifier

from bookings.models import FeedEvent, Webhook, WebhookDelivery
from bookings.webhooks import registry, sending_loop
from depots.models import Organisation
from tests.factories import make_fleet

pytestmark = pytest.mark.django_db(transaction=True)
YES = b"HTTP/1.1 204 No Content\r\n\r\n"
HANGS_S = 60


@pytest.fixture(autouse=True)
def _private(settings) -> None:
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True


@dataclass
class Endpoint:
    """An organisation's own system: keeps what it is sent, and answers as it is told."""

    answer: Callable[[int], bytes] = lambda _: YES
    heard: list[tuple[dict[str, str], str]] = field(default_factory=list)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = dict(line.lower().split(": ", 1) if ":" in line else (line, "") for line in head)
        raw = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head}
        body = (await reader.readexactly(int(headers["content-length"]))).decode()
        self.heard.append((raw, body))
        writer.write(self.answer(len(self.heard)))
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.take, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            yield f"http://{host}:{port}/berth?x=1"


def owed(organisation: Organisation, url: str, number: int) -> tuple[Webhook, str]:
    now = datetime.now(tz=UTC)
    hook, secret = registry.make_webhook(organisation=organisation, url=url, now=now)
    for n in range(number):
        event = FeedEvent.objects.create(
            organisation=organisation, type="booking.changed", content={"id": n, "plate": "Ü 1"}, at=now
        )
        WebhookDelivery.objects.create(
            webhook=hook, event=event, booking_id=n % 3, next_try_at=now, created_at=now
        )
    return hook, secret


def closing(work):
    try:
        return work()
    finally:
        connections.close_all()


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANGS_S):
        while not await asyncio.to_thread(closing, done):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


def run(endpoint: Endpoint, number: int, done: Callable[[], bool], *, workers: int = 1) -> str:
    """Send until `done`; gives the secret."""
    fleet = make_fleet()

    async def all_of_it() -> str:
        stop = asyncio.Event()
        async with endpoint.serving() as url:
            _, secret = await asyncio.to_thread(closing, lambda: owed(fleet, url, number))
            loops = [asyncio.create_task(sending_loop.run(stop, poll_s=0.02)) for _ in range(workers)]
            try:
                await until(done)
            finally:
                stop.set()
                await asyncio.gather(*loops)
        return secret

    return asyncio.run(all_of_it())


def all_delivered() -> bool:
    return not WebhookDelivery.objects.exclude(state="delivered").exists()


def test_an_endpoint_verifies_each_event_and_gets_those_of_a_booking_in_order() -> None:
    endpoint = Endpoint()

    secret = run(endpoint, 9, all_delivered, workers=2)

    told = [Verifier(secret).verify(body, headers) for headers, body in endpoint.heard]
    assert sorted(one["data"]["id"] for one in told) == list(range(9))
    for booking in range(3):
        assert [one["data"]["id"] for one in told if one["data"]["id"] % 3 == booking] == [
            booking, booking + 3, booking + 6
        ]  # fmt: skip
    assert {headers["content-type"] for headers, _ in endpoint.heard} == {"application/json"}
    assert json.loads(endpoint.heard[0][1])["data"]["plate"] == "Ü 1"


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302, ""),
        (b"HTTP/1.1 500 Broken\r\nContent-Length: 6\r\n\r\nbroken", 500, ""),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000, None, "the answer is longer than 64 KiB"),
        (b"nonsense\r\n\r\n", None, "no connection: no HTTP"),
        (b"", None, "no connection: "),
    ],
)
def test_what_is_no_yes_is_written_down_and_tried_again(
    answer: bytes, status: int | None, error: str
) -> None:
    endpoint = Endpoint(lambda _: answer)

    run(endpoint, 1, lambda: WebhookDelivery.objects.filter(attempts=1).exists())

    row = WebhookDelivery.objects.get()
    assert (row.state, row.status, len(endpoint.heard)) == ("waiting", status, 1)
    assert row.error.startswith(error)
    assert row.next_try_at > datetime.now(tz=UTC)


def test_a_private_address_is_not_called_where_private_partners_are_not(settings) -> None:
    endpoint = Endpoint()
    settings.BERTH_ALLOW_PRIVATE_PARTNERS = True
    checked = registry.check_url

    def only_now(url: str) -> str:
        found = checked(url)
        settings.BERTH_ALLOW_PRIVATE_PARTNERS = False
        return found

    registry.check_url = only_now
    try:
        run(endpoint, 1, lambda: WebhookDelivery.objects.filter(attempts=1).exists())
    finally:
        registry.check_url = checked

    assert endpoint.heard == []
    assert "https address" in WebhookDelivery.objects.get().error
