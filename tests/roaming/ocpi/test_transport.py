"""What holds for every address below /ocpi: token, envelope, ids, routing headers, sizes, the log."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.test import Client

from roaming.models import Partner, PartnerMessage, PartnerToken
from roaming.ocpi.auth import partner_of, recognise, registered, spellings
from roaming.ocpi.envelope import MAX_BODY
from roaming.ocpi.transport import LOGGED_BODY, Floods
from tests.factories import NOW, make_evse, make_fleet, make_operator
from tests.roaming.partners import (
    BOOKINGS,
    LOCATIONS,
    Caller,
    authorization,
    code,
    data,
    give_token,
    make_partner,
)

pytestmark = pytest.mark.django_db
OFFERS = f"{BOOKINGS}/booking_locations"


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def caller() -> Caller:
    return Caller(make_partner())


# Versions

OWNED_BY_CPO = {"locations", "tariffs", "sessions", "cdrs", "Booking", "bookings"}
# A hub's own module, and what whoever invoices sends.
ANY_SIDE = {"hubclientinfo", "invoicereconciliation"}


def test_versions_and_their_details_name_every_module_on_its_own_base(caller: Caller, settings: Any) -> None:
    """Checklist 1, 2, 3."""
    settings.BERTH_BASE_URL = "https://berth.example"

    version, _ = data(caller.get("/ocpi/versions"))
    details = data(caller.get(version["url"].removeprefix("https://berth.example")))

    assert version == {"version": "2.3.0", "url": "https://berth.example/ocpi/2.3.0"}
    listed = [
        (e["identifier"], e["role"], e["url"].removeprefix("https://berth.example"))
        for e in details["endpoints"]
    ]
    assert listed[0] == ("credentials", "SENDER", "/ocpi/2.3.0/credentials")
    assert len(set(listed)) == len(listed)
    assert {("locations", "SENDER"), ("locations", "RECEIVER")} < {(name, role) for name, role, _ in listed}
    for name, role, url in listed[1:]:
        path = "bookings" if name == "Booking" else name
        side = "emsp" if (role == "RECEIVER") == (name in OWNED_BY_CPO) else "cpo"
        assert url == f"/ocpi/{side}/2.3.0/{path}" or name in ANY_SIDE


@pytest.mark.parametrize("name", ["Booking", "bookings"])
def test_a_partner_may_be_given_one_name_of_the_module_only(name: str) -> None:
    """Checklist 3."""
    caller = Caller(make_partner(switches={"booking_identifiers": name}))

    details = data(caller.get("/ocpi/2.3.0"))

    identifiers = [
        e["identifier"] for e in details["endpoints"] if e["identifier"].lower().startswith("booking")
    ]
    assert identifiers == [name, name]


# Tokens


def test_a_token_is_understood_in_every_spelling_that_occurs(caller: Caller) -> None:
    """Checklist 11."""
    token = caller.partner.plain_token  # type: ignore[attr-defined]
    with_newline = base64.b64encode(token.encode() + b"\n").decode()

    for value in (authorization(token), f"Token {with_newline}", f"Token {token}", f"token {token}"):
        assert code(caller.get("/ocpi/versions", Authorization=value)) == (200, 1000)


@pytest.mark.parametrize(
    "header",
    [None, "", "Token", "Token ", "Bearer abc", "Token ZZZ", "Token é", "Token " + "A" * 5000, "Basic YTpi"],
)
@pytest.mark.parametrize("path", ["/ocpi/versions", OFFERS, "/ocpi/2.3.0/credentials"])
def test_without_a_known_token_everything_is_401(caller: Caller, path: str, header: str | None) -> None:
    """Checklist 10, 11."""
    del caller.headers["Authorization"]

    answer = caller.get(path, **({"Authorization": header} if header is not None else {}))

    assert code(answer) == (401, 2000)


def test_a_token_spelled_raw_that_happens_to_be_base64_is_tried_both_ways() -> None:
    assert spellings("Token dG9rZW4=") == ["token", "dG9rZW4="]


@pytest.mark.parametrize(
    ("kind", "said"),
    [(PartnerToken.Kind.REGISTRATION, (401, 2000)), (PartnerToken.Kind.PENDING, (503, 3000))],
)
def test_a_token_of_the_handshake_opens_versions_only(kind: str, said: tuple[int, int]) -> None:
    """Checklist 10: and whoever calls before its answer to our POST is stored is asked to try again."""
    partner = make_partner(state=Partner.State.INVITED)
    PartnerToken.objects.all().delete()
    partner.plain_token = give_token(partner, kind)  # type: ignore[attr-defined]
    caller = Caller(partner)

    assert code(caller.get("/ocpi/versions")) == (200, 1000)
    assert code(caller.get("/ocpi/2.3.0")) == (200, 1000)
    assert code(caller.get(OFFERS)) == said
    assert code(caller.post(BOOKINGS, {})) == said


def test_a_token_that_ran_out_is_unknown(caller: Caller) -> None:
    PartnerToken.objects.update(valid_until=NOW)

    assert code(caller.get("/ocpi/versions")) == (401, 2000)


def test_a_partner_that_left_gets_nothing_but_the_way_back(caller: Caller) -> None:
    Partner.objects.update(state=Partner.State.GONE)

    assert code(caller.get(OFFERS)) == (401, 2000)


def test_a_replaced_token_is_good_until_the_new_one_is_used(caller: Caller) -> None:
    old = caller.partner.plain_token  # type: ignore[attr-defined]
    PartnerToken.objects.update(kind=PartnerToken.Kind.PREVIOUS, valid_until=NOW + timedelta(minutes=15))
    new = give_token(caller.partner)

    assert code(caller.get(OFFERS, Authorization=authorization(old))) == (200, 1000)
    assert code(caller.get(OFFERS, Authorization=authorization(new))) == (200, 1000)
    assert code(caller.get(OFFERS, Authorization=authorization(old))) == (401, 2000)


def test_a_replaced_token_dies_after_a_quarter_of_an_hour(caller: Caller, clock: Any) -> None:
    PartnerToken.objects.update(kind=PartnerToken.Kind.PREVIOUS, valid_until=NOW + timedelta(minutes=15))
    assert code(caller.get(OFFERS)) == (200, 1000)

    clock.shift(timedelta(minutes=15))

    assert code(caller.get(OFFERS)) == (401, 2000)


# Envelope, whatever happens


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/ocpi", (404, 2000)),
        ("GET", "/ocpi/", (404, 2000)),
        ("GET", "/ocpi/nothing", (404, 2000)),
        ("GET", "/ocpi/cpo/2.3.0/nothing", (404, 2000)),
        ("GET", "/ocpi/2.1.1/credentials", (404, 2000)),
        ("POST", "/ocpi/versions", (405, 2000)),
        ("DELETE", OFFERS, (405, 2000)),
        ("PUT", LOCATIONS, (405, 2000)),
        ("OPTIONS", OFFERS, (405, 2000)),
        ("GET", f"{OFFERS}/a%00b", (404, 2000)),
        ("GET", f"{OFFERS}/{'x' * 3000}", (404, 2003)),
        ("GET", f"{LOCATIONS}/%F0%9F%9A%9B", (404, 2003)),
    ],
)
def test_every_answer_is_an_envelope(
    caller: Caller, method: str, path: str, expected: tuple[int, int]
) -> None:
    """Checklist 13."""
    assert code(caller.send(method, path)) == expected


def test_a_partner_gets_no_policy_of_pages_and_a_browser_does(caller: Caller) -> None:
    answers = {path: caller.http.get(path, headers=caller.headers) for path in ("/", "/ocpi/versions")}

    assert [path for path, answer in answers.items() if "Content-Security-Policy" in answer] == ["/"]
    assert {answer["X-Content-Type-Options"] for answer in answers.values()} == {"nosniff"}


def test_a_forged_host_is_refused_in_an_envelope(caller: Caller) -> None:
    answer = caller.get("/ocpi/versions", Host="evil.example")

    assert code(answer) == (400, 2001)


def test_an_error_nobody_foresaw_is_told_without_its_cause(caller: Caller) -> None:
    with mock.patch("roaming.access.options", side_effect=RuntimeError("secret")):
        answer = caller.get(OFFERS)

    assert code(answer) == (500, 3000)
    assert b"secret" not in answer.content


def test_a_slash_at_the_end_changes_nothing_and_redirects_nothing(caller: Caller) -> None:
    make_evse(uid="E")

    assert data(caller.get(f"{OFFERS}/")) == data(caller.get(OFFERS))
    assert data(caller.get(f"{OFFERS}/E/"))["id"] == "E"
    assert code(caller.post(f"{BOOKINGS}/", {})) == (200, 2001)


def test_other_addresses_are_not_touched(db: None) -> None:
    answer = Client().get("/healthz")

    assert "X-Request-ID" not in answer


# Ids and routing


def test_message_ids_are_echoed_and_made_up_where_they_are_missing(caller: Caller) -> None:
    """Checklist 14."""
    sent = caller.get("/ocpi/versions", **{"X-Request-ID": "r-1", "X-Correlation-ID": "c-1"})
    missing = caller.get("/ocpi/versions")
    bad = caller.get("/ocpi/versions", **{"X-Request-ID": "x" * 1000})

    assert (sent["X-Request-ID"], sent["X-Correlation-ID"]) == ("r-1", "c-1")
    assert len(missing["X-Request-ID"]) == len(missing["X-Correlation-ID"]) == 36
    assert len(bad["X-Request-ID"]) == 36


def test_from_and_to_change_places_on_functional_modules_only(caller: Caller) -> None:
    """Checklist 15."""
    operator = make_operator()
    headers = {
        "OCPI-from-country-code": "se",
        "OCPI-from-party-id": caller.party[1],
        "OCPI-to-country-code": operator.country_code,
        "OCPI-to-party-id": operator.cpo_party_id,
    }

    functional = caller.get(OFFERS, **headers)
    configuration = caller.get("/ocpi/2.3.0", **headers)

    assert functional["OCPI-to-party-id"] == caller.party[1]
    assert functional["OCPI-to-country-code"] == "se"
    assert functional["OCPI-from-party-id"] == operator.cpo_party_id
    assert "OCPI-to-party-id" not in configuration


def test_a_partner_speaks_only_for_its_own_parties(caller: Caller) -> None:
    """Checklist 16."""
    stranger = {"OCPI-from-country-code": "NL", "OCPI-from-party-id": "XXX"}

    assert code(caller.get(OFFERS, **stranger)) == (404, 2001)


def test_nobody_makes_a_hub_of_itself(caller: Caller) -> None:
    caller.partner.roles = [*caller.partner.roles, {**caller.partner.roles[0], "role": "HUB"}]
    caller.partner.save()

    answer = caller.get(LOCATIONS, **{"OCPI-from-country-code": "NL", "OCPI-from-party-id": "XYZ"})

    assert code(answer) == (404, 2001)


def test_a_fleet_is_no_operator_to_be_addressed(caller: Caller) -> None:
    fleet = make_fleet()
    to_fleet = {"OCPI-to-country-code": fleet.country_code, "OCPI-to-party-id": fleet.emsp_party_id}

    assert code(caller.get(OFFERS, **to_fleet)) == (404, 2001)


# Bodies


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"<xml/>", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
     b"1" * 5_000],
)  # fmt: skip
def test_a_body_that_is_not_json_is_a_400(caller: Caller, body: bytes) -> None:
    """Checklist 17."""
    assert code(caller.post(BOOKINGS, body)) == (400, 2001)


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b'"text"', b"17", b"{}", b'{"country_code": "\\u0000"}', b'{"x": "\\ud800"}', b'{"x": 1e999}',
     b'{"a":' * 40 + b"1" + b"}" * 40],
)  # fmt: skip
def test_json_that_is_no_request_is_a_2001(caller: Caller, body: bytes) -> None:
    """Checklist 17."""
    assert code(caller.post(BOOKINGS, body)) == (200, 2001)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"request_id": "a", "request_id": "b"}', "request_id: stands there twice"),
        (b'{"period": {"start_from": 1, "x": 2, "start_from": 3}}', "start_from: stands there twice"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "A field stands there twice."),
    ],
)
def test_of_a_field_that_stands_there_twice_neither_counts(caller: Caller, body: bytes, said: str) -> None:
    answer = caller.post(BOOKINGS, body)

    assert (code(answer), answer.json()["status_message"]) == ((200, 2001), said)


def test_a_body_beyond_a_mebibyte_is_refused(caller: Caller) -> None:
    fits = b'"' + b"x" * (1024 * 1024 - 2) + b'"'

    assert code(caller.post(BOOKINGS, fits)) == (200, 2001)
    assert code(caller.post(BOOKINGS, fits + b" ")) == (413, 2001)


# Limits and log


def test_a_partner_beyond_its_rate_waits(caller: Caller, settings: Any, clock: Any) -> None:
    settings.BERTH_OCPI_PER_MINUTE = 3
    other = Caller(make_partner())

    answers = [caller.get("/ocpi/versions") for _ in range(4)]

    assert [code(a) for a in answers] == [(200, 1000)] * 3 + [(429, 2000)]
    assert 1 <= int(answers[-1]["Retry-After"]) <= 61
    assert code(other.get("/ocpi/versions")) == (200, 1000)
    clock.shift(timedelta(seconds=61))
    assert code(caller.get("/ocpi/versions")) == (200, 1000)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/ocpi/never/heard/of", b"", 404),
        ("GET", "/ocpi/versions/%00", b"", 404),
        ("DELETE", "/ocpi/versions", b"", 405),
        ("POST", "/ocpi/cpo/2.3.0/bookings", b"x" * (MAX_BODY + 1), 413),
    ],
)
@pytest.mark.parametrize("state", ["registered", "suspended"])
def test_whatever_a_partner_sends_counts_in_its_rate(
    method: str, path: str, body: bytes, status: int, state: str, db: None, settings: Any, clock: Any
) -> None:
    settings.BERTH_OCPI_PER_MINUTE = 2
    flood = Caller(make_partner(state=state))

    answers = [flood.send(method, path, body) for _ in range(5)]

    assert [answer.status_code for answer in answers[:2]] == [status] * 2
    assert {code(answer) for answer in answers[2:]} == {(429, 2000)}
    assert PartnerMessage.objects.count() <= 3


def test_a_token_a_that_opens_nothing_yet_has_its_rate_too(db: None, settings: Any, clock: Any) -> None:
    settings.BERTH_OCPI_PER_MINUTE = 2
    partner = make_partner(state="invited")
    partner.tokens.update(kind="registration")

    answers = [Caller(partner).get("/ocpi/cpo/2.3.0/bookings").status_code for _ in range(4)]

    assert answers == [401, 401, 429, 429]


def test_of_what_is_beyond_a_rate_one_message_a_second_is_kept() -> None:
    floods = Floods()

    assert [floods.is_shown(1, now) for now in (7.0, 7.5, 7.9, 8.0, 8.2)] == [True, False, False, True, False]
    assert floods.is_shown(2, 8.2)


def test_what_was_said_is_logged_without_tokens_and_cut(caller: Caller) -> None:
    body = {"token": "very-secret", "padding": "x" * 2 * LOGGED_BODY}

    caller.post(BOOKINGS, body, **{"X-Request-ID": "r-1"})
    caller.get("/ocpi/2.3.0/credentials")

    posted, read = PartnerMessage.objects.order_by("id")
    assert (posted.method, posted.http_status, posted.request_id) == ("POST", 200, "r-1")
    assert posted.partner == caller.partner
    assert posted.is_incoming
    assert len(posted.request_body) <= LOGGED_BODY
    assert "very-secret" not in posted.request_body
    assert json.loads(posted.response_body)["status_code"] == 2001
    assert caller.partner.plain_token not in read.response_body  # type: ignore[attr-defined]


def test_what_was_refused_unread_is_logged_too(caller: Caller) -> None:
    caller.post(BOOKINGS, b"x" * (1024 * 1024 + 1))
    caller.get("/ocpi/nowhere")
    caller.send("PUT", BOOKINGS)

    assert list(PartnerMessage.objects.order_by("id").values_list("http_status", flat=True)) == [
        413,
        404,
        405,
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"token": "a\\"secret"}',
        '{"\\u0074oK\\u0065n": "secret"}',
        '{"x": "' + "x" * (LOGGED_BODY - 30) + '", "Token" : "secret"}',
    ],
)
def test_a_token_is_struck_out_wherever_it_stands(caller: Caller, text: str) -> None:
    caller.post(BOOKINGS, text.encode())

    assert "secr" not in PartnerMessage.objects.get().request_body


def test_a_token_in_an_address_is_struck_out(caller: Caller) -> None:
    caller.get(LOCATIONS, {"token": "secret", "limit": "5"})

    assert PartnerMessage.objects.get().url.endswith("?token=…&limit=5")


def test_strangers_leave_no_line_in_the_log(caller: Caller) -> None:
    caller.get("/ocpi/versions", Authorization="Token wrong")

    assert not PartnerMessage.objects.exists()


def test_a_handler_can_ask_for_its_partner(caller: Caller, rf: Any) -> None:
    request = rf.get("/ocpi/versions", headers=caller.headers)
    recognise(request, now=NOW)
    registered(request)

    assert partner_of(request) == caller.partner


# Methods

ADDRESSES = {
    "/ocpi/versions": "GET, HEAD",
    "/ocpi/2.3.0": "GET, HEAD",
    "/ocpi/2.3.0/credentials": "DELETE, GET, HEAD, POST, PUT",
    "/ocpi/cpo/2.3.0/locations": "GET, HEAD",
    "/ocpi/cpo/2.3.0/locations/L1": "GET, HEAD",
    "/ocpi/cpo/2.3.0/locations/L1/E1": "GET, HEAD",
    "/ocpi/cpo/2.3.0/locations/L1/E1/1": "GET, HEAD",
    "/ocpi/cpo/2.3.0/bookings": "GET, HEAD, POST",
    "/ocpi/cpo/2.3.0/bookings/BK1": "GET, HEAD",
    "/ocpi/cpo/2.3.0/bookings/booking_locations": "GET, HEAD",
    "/ocpi/cpo/2.3.0/bookings/booking_locations/BL1": "GET, HEAD",
    "/ocpi/cpo/2.3.0/bookings/booking_locations/BL1/CAL-1": "GET, HEAD",
    "/ocpi/emsp/2.3.0/bookings/SE/CPO/BK1": "GET, HEAD, PATCH, PUT",
    "/ocpi/emsp/2.3.0/bookings/SE/CPO/booking_locations/BL1": "DELETE, GET, HEAD, PATCH, PUT",
    "/ocpi/emsp/2.3.0/bookings/SE/CPO/booking_locations/BL1/C1": "GET, HEAD, PATCH, PUT",
}


@pytest.mark.parametrize("path", ADDRESSES)
def test_a_405_says_what_is_allowed(path: str) -> None:
    caller = Caller(
        make_partner(roles=[{"role": "CPO", "country_code": "SE", "party_id": "CPO", "name": "N"}])
    )
    refused = {
        method: caller.send(method, path, {}) for method in ("OPTIONS", "DELETE", "PATCH", "PUT", "POST", "TRACE")
        if method not in ADDRESSES[path]
    }  # fmt: skip

    for method, answer in refused.items():
        assert code(answer) == (405, 2000), method
        assert ", ".join(sorted(answer["Allow"].split(", "))) == ADDRESSES[path], method


def test_credentials_out_of_turn_say_what_is_in_turn(caller: Caller) -> None:
    answer = caller.post("/ocpi/2.3.0/credentials", {})

    assert (code(answer), answer["Allow"]) == ((405, 2000), "GET, HEAD, PUT, DELETE")


@pytest.mark.parametrize(
    "path", ["/ocpi/versions", "/ocpi/cpo/2.3.0/bookings", "/ocpi/cpo/2.3.0/locations/nowhere"]
)
def test_head_is_answered_as_get(caller: Caller, path: str, clock: Any) -> None:
    same = {"X-Request-ID": "r", "X-Correlation-ID": "c"}
    get = caller.get(path, **same)

    head = caller.http.head(path, headers={**caller.headers, **same})

    assert head.status_code == get.status_code
    assert head.content == b""
    assert {**head.headers, "Content-Length": ""} == {**get.headers, "Content-Length": ""}
    assert head["Content-Length"] == str(len(get.content))
    assert PartnerMessage.objects.order_by("pk").values_list("method", flat=True).last() == "HEAD"


def test_a_length_of_thousands_of_digits_is_too_large_like_any_other() -> None:
    caller = Caller(make_partner())

    answer = caller.http.generic("POST", BOOKINGS, b"{}", CONTENT_LENGTH="9" * 5000, headers=caller.headers)

    assert code(answer) == (413, 2001)
