"""`serve` as users run it: one port, streams and pages side by side, a calm end."""

import asyncio
import re
import signal
import socket
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import connection
from django.test import Client

from config import asgi, health
from depots.models import ChargerCommand, ChargerUpload
from depots.secrets import hash_token, new_token
from tests.factories import NOW, make_charger
from tests.serving import BerthServer


def test_health_is_told_from_one_process(berth_server: BerthServer) -> None:
    assert httpx.get(f"{berth_server.url}/healthz").text == "ok\n"
    ready = httpx.get(f"{berth_server.url}/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert "python_info" in httpx.get(f"{berth_server.url}/metrics").text


def test_a_page_forbids_everything_inline(berth_server: BerthServer) -> None:
    answer = httpx.get(f"{berth_server.url}/")

    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe-inline" not in policy


def test_static_files_are_served_without_being_collected(berth_server: BerthServer) -> None:
    assert httpx.get(f"{berth_server.url}/static/django_htmx/htmx-2.min.js").status_code == 200


def test_a_stop_while_answers_are_owed_is_a_clean_end(transactional_db: None, tmp_path: Path) -> None:
    with BerthServer.started(var=tmp_path) as server, httpx.Client(base_url=server.url) as client:
        client.get("/healthz")  # a kept-alive connection stays open over the stop

        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(timeout=60) == 0


@pytest.mark.django_db
def test_readiness_costs_two_statements_once_the_migrations_were_found_applied(
    client: Client, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(health, "_migrations", health.MissingMigrations())
    assert client.get("/readyz").json()["ready"]

    with django_assert_num_queries(2):
        assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_not_ready_names_what_is_missing(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_migrations", health.MissingMigrations())
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'bookings'")

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "not applied" in answer.json()["migrations"]
    assert answer.json()["database"] == "ok"


@pytest.mark.django_db
def test_metrics_count_requests_by_route_and_what_is_waiting(client: Client) -> None:
    client.get("/account/password/no-one/no-token/")
    client.get("/never/heard/of/it")

    text = client.get("/metrics").content.decode()

    assert re.search(
        r'berth_request_seconds_count\{method="GET",route="account/password/[^"]*uid[^"]*"', text
    )
    assert 'route="none",status="4xx"' in text
    assert "never/heard" not in text
    assert 'berth_jobs{state="rejected"} 0' in text
    assert "berth_deliveries_waiting 0.0" in text
    assert "berth_chargers_online 0.0" in text


@pytest.mark.parametrize("path", ["/", "/ocpi/2.3.0/credentials"])
def test_bodies_that_never_arrive_hold_nobody_up(berth_server: BerthServer, path: str) -> None:
    url = urlsplit(berth_server.url)
    head = f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 1000\r\n\r\n{{"
    with ExitStack() as stalled:
        for _ in range(20):
            client = stalled.enter_context(socket.create_connection((url.hostname, url.port)))
            client.sendall(head.encode())

        assert httpx.get(f"{berth_server.url}/", timeout=20).status_code == 200


def test_only_a_charger_that_was_asked_for_a_file_may_send_one_slowly(berth_server: BerthServer) -> None:
    token = new_token()
    asked = ChargerCommand.objects.create(charger=make_charger(), action="get_diagnostics", created_at=NOW)
    ChargerUpload.objects.create(
        command=asked, secret_hash=hash_token(token), open_until=datetime.now(UTC) + timedelta(hours=1)
    )
    url = urlsplit(berth_server.url)
    head = "POST /charger-files/{}/ HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\n{{"
    with ExitStack() as stalled:
        for _ in range(asgi.FILES_AT_ONCE):
            stranger = stalled.enter_context(socket.create_connection((url.hostname, url.port), timeout=20))
            stranger.sendall(head.format("guessed", url.netloc).encode())
            assert stranger.recv(100).startswith(b"HTTP/1.1 404")
        address = f"{berth_server.url}/charger-files/{token}/log.txt"

        answers = [httpx.put(address, content=b"1", timeout=20).status_code for _ in range(2)]

    assert answers == [201, 404]
    assert ChargerUpload.objects.get().name == "log.txt"


@pytest.mark.parametrize(("path", "said"), [("/", b"in time"), ("/ocpi/versions", b'"status_code": 2000')])
def test_a_body_that_never_arrives_is_refused_in_the_end(
    path: str, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "BODY_S", 0.01)
    sent: list[dict[str, Any]] = []

    async def never() -> None:
        await asyncio.Event().wait()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(
        asgi.application({"type": "http", "path": path, "method": "POST", "headers": []}, never, send)
    )

    assert sent[0]["status"] == 408
    assert said in sent[1]["body"]
