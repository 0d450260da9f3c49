"""What HTTP itself decides below /api: every refusal is a problem, whoever makes it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import DatabaseError
from django.test import Client

from bookings import errors
from bookings.api.problems import BY_STATUS, status_of
from bookings.billing import errors as billing_errors
from bookings.errors import IN_THE_WAY, BookingError
from config.answers import refusal
from depots.models import ApiToken, ApiUse
from depots.operations.api_tokens import forget_api_use, revoke_api_token
from tests.bookings.api.conftest import Site
from tests.bookings.api.fleet_system import FleetSystem, refused
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DOCS = Path(__file__).parents[3] / "docs/integrators/error-codes.md"


def codes() -> set[str]:
    kinds = [kind for module in (errors, billing_errors) for kind in vars(module).values()]
    return {k.code for k in kinds if isinstance(k, type) and issubclass(k, BookingError)} - {"refused"}


def test_every_code_has_one_status_and_the_page_says_which() -> None:
    page = DOCS.read_text()
    in_the_way = set(re.findall(r"`(\w+)`", page.partition("it is 409: ")[2].partition(".\n")[0]))

    assert in_the_way == IN_THE_WAY - {"changed_meanwhile"}
    assert codes() >= IN_THE_WAY
    assert {code: status_of(code) for code in codes()} == {
        code: {"changed_meanwhile": 412, "unknown_booking": 404}.get(code)
        or (409 if code in in_the_way else 422)
        for code in codes()
    }
    for status, (code, _) in BY_STATUS.items():
        assert re.search(rf"^\| [\d, ]*\b{status}\b[\d, ]* \| [\w, ]*\b{code}\b", page, re.MULTILINE), code


OWN = [
    ("GET", "/nothing", b"", {}, 404, "not_found"),
    ("GET", "", b"", {}, 404, "not_found"),
    ("GET", "/bookings/x", b"", {}, 404, "not_found"),
    ("GET", "/bookings/99999999999999999999", b"", {}, 404, "not_found"),
    ("PUT", "/bookings", b"{}", {}, 405, "method_not_allowed"),
    ("POST", "/bookings", b"{", {"Idempotency_Key": "k"}, 400, "malformed"),
    ("POST", "/bookings", b'{"a": NaN}', {"Idempotency_Key": "k"}, 400, "malformed"),
    ("POST", "/bookings", b"[]", {"Idempotency_Key": "k"}, 422, "invalid"),
    ("POST", "/bookings", b"", {"Idempotency_Key": "k"}, 422, "invalid"),
    ("POST", "/bookings", b'{"option": "\\u0000"}', {"Idempotency_Key": "k"}, 422, "invalid"),
    ("POST", "/bookings", b'{"option": "a", "option": "b"}', {"Idempotency_Key": "k"}, 422, "invalid"),
    ("POST", "/bookings", b"{}", {}, 400, "idempotency_key_missing"),
    ("POST", "/bookings", b"{}", {"Idempotency_Key": "k" * 256}, 422, "invalid"),
    ("POST", "/bookings?dry=1", b"{}", {"Idempotency_Key": "k"}, 422, "invalid"),
    ("POST", "/bookings", b"x" * (1024 * 1024 + 1), {"Idempotency_Key": "k"}, 413, "too_large"),
    ("GET", "/bookings?limit=201", b"", {}, 422, "invalid"),
    ("GET", "/bookings?limit=1&limit=2", b"", {}, 422, "invalid"),
    ("GET", "/bookings?colour=red", b"", {}, 422, "invalid"),
    ("GET", "/bookings?cursor=WzFd", b"", {}, 422, "invalid"),
    ("GET", "/bookings?cursor=!", b"", {}, 422, "invalid"),
    ("GET", "/bookings?cursor=WyJhYmMiLCAxXQ", b"", {}, 422, "invalid"),
    ("GET", "/bookings?depot=%00", b"", {}, 422, "invalid"),
    ("GET", "/bookings?status=lost", b"", {}, 422, "invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "code"), OWN)
def test_what_cannot_be_understood_is_a_problem(
    site: Site, method, path, body, headers, status, code
) -> None:
    assert refused(site.system.send(method, path, body, **headers)) == (status, code)


def test_a_body_of_another_kind_is_refused(site: Site) -> None:
    headers = {"Authorization": f"Bearer {site.system.token}", "Idempotency-Key": "k"}

    response = Client().post("/api/v1/bookings", {"option": "a"}, headers=headers)

    assert refused(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize("token", ["", "x", "Bearer", "Bearer x", "Token {}", "Bearer {}x"])
def test_without_a_valid_token_nothing_is_answered(site: Site, token: str) -> None:
    response = Client().get("/api/v1/bookings", headers={"Authorization": token.format(site.system.token)})

    assert refused(response) == (401, "unauthorized")
    assert response["WWW-Authenticate"] == "Bearer"


def test_a_token_that_was_revoked_opens_nothing_and_one_to_look_changes_nothing(site: Site) -> None:
    reader = FleetSystem.of(site.fleet, is_read_only=True)
    assert reader.get("/bookings").status_code == 200
    assert refused(reader.post("/bookings", site.wanted())) == (403, "read_only")
    assert refused(reader.send("DELETE", "/holds/1")) == (403, "read_only")

    revoke_api_token(token_id=ApiToken.objects.get(is_read_only=True).pk, now=NOW)

    assert refused(reader.get("/bookings")) == (401, "unauthorized")


def test_a_token_is_kept_as_a_hash_and_noted_as_used_once_a_minute(site: Site) -> None:
    token = ApiToken.objects.get()
    assert site.system.token not in str(vars(token))

    for seconds in (0, 30, 61):
        with time_machine.travel(NOW + timedelta(seconds=seconds), tick=False):
            site.system.get("/bookings")
    token.refresh_from_db()

    assert token.last_used_at == NOW + timedelta(seconds=61)


def test_beyond_the_rate_of_an_organisation_all_its_systems_wait(site: Site, settings) -> None:
    settings.BERTH_API_PER_MINUTE = 2
    other = FleetSystem.of(site.fleet)

    told = [system.get("/bookings").status_code for system in (site.system, other, site.system)]
    response = other.get("/bookings")

    assert told == [200, 200, 429]
    assert (refused(response), response["Retry-After"]) == ((429, "too_many_requests"), "61")
    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        assert site.system.get("/bookings").status_code == 200
    forget_api_use(now=NOW + timedelta(hours=1))
    assert not ApiUse.objects.exists()


def test_a_slash_more_is_the_same_address_and_a_head_the_answer_without_its_body(site: Site) -> None:
    assert site.system.get("/bookings/").status_code == 200
    head = site.system.send("HEAD", "/bookings")
    assert (head.status_code, head.content) == (200, b"")


def test_what_django_refuses_by_itself_is_a_problem_too(site: Site, settings) -> None:
    settings.ALLOWED_HOSTS = ["berth.example"]

    assert refused(Client().get("/api/v1/bookings", headers={"host": "evil.example"})) == (400, "malformed")
    assert refused(Client().get("/api/v2/bookings", headers={"host": "berth.example"})) == (404, "not_found")


@pytest.mark.parametrize("status", [400, 404, 408, 413, 414, 429, 431, 500, 503])
def test_what_the_server_refuses_by_itself_is_a_problem_too(status: int) -> None:
    answer = refusal(status, "/api/v1/bookings")

    assert dict(answer.headers)["Content-Type"] == "application/problem+json"
    assert f'"status": {status}'.encode() in answer.body


@pytest.mark.parametrize(("fault", "status"), [(ValueError, 500), (DatabaseError, 500)])
def test_a_fault_of_ours_is_told_as_no_more_than_that_and_is_not_kept(
    site: Site, monkeypatch, fault, status
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise fault("secret")

    with monkeypatch.context() as patched:
        patched.setattr("bookings.operations.request_booking", broken)
        response = site.system.post("/bookings", site.wanted(), key="once")

    assert refused(response) == (status, "failed")
    assert b"secret" not in response.content
    assert site.system.post("/bookings", site.wanted(), key="once").status_code == 201


def test_the_documentation_is_a_page_without_script_of_its_own(site: Site) -> None:
    page = Client().get("/api/v1/docs")
    document = Client().get("/api/v1/openapi.json").json()

    assert page.status_code == 200
    assert "script-src 'self'" in page["Content-Security-Policy"]
    assert b"/api/v1/bookings/{booking_id}/cancellation" in page.content
    assert document["paths"]["/api/v1/bookings"]["post"]["parameters"][-1]["name"] == "Idempotency-Key"
    assert "Problem" in document["components"]["schemas"]
