"""A registered partner and what it says over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import count, product
from typing import Any

from django.http import HttpResponse
from django.test import Client

from bookings.models import BookingOption
from depots.models import Organisation
from depots.periods import Period
from depots.secrets import encrypt, hash_token, new_token
from roaming.mirror import remote_bookings
from roaming.models import Deviation, Partner, PartnerToken
from roaming.ocpi.client import Peer
from roaming.ocpi.dialect import dialect_of
from roaming.ocpi.times import time_out
from roaming.outbound import pulls
from roaming.outbound.reader_table import LISTS
from tests.factories import NOW
from tests.roaming.endpoints import endpoint_of

_numbers = count(1)
_parties = map("".join, product("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", repeat=3))
# What is about a version of OCPI only in its addresses is tried in each of them.
VERSIONS = ("2.3.0", "2.2.1")
BOOKINGS = "/ocpi/cpo/2.3.0/bookings"
LOCATIONS = "/ocpi/cpo/2.3.0/locations"


def make_partner(party_id: str = "", *, country_code: str = "SE", token: str = "", **fields: Any) -> Partner:
    """A registered eMSP; `partner.plain_token` is what it calls us with."""
    party_id = party_id or next(_parties)
    organisation = Organisation.objects.create(
        name=f"Partner {country_code}{party_id}",
        country_code=country_code,
        emsp_party_id=party_id,
        is_partner=True,
    )
    role = {"role": "EMSP", "country_code": country_code, "party_id": party_id, "name": organisation.name}
    defaults: dict[str, Any] = {
        "state": Partner.State.REGISTERED,
        "roles": [role],
        "version": "2.3.0",
        "switches": {"bookings_under_2_2_1": True},
        "endpoints": [],
        "outbound_token_encrypted": encrypt("outbound"),
        "registered_at": NOW,
    }
    counted: dict[str, int] = fields.pop("deviations", {})
    partner = Partner.objects.create(organisation=organisation, **{**defaults, **fields})
    partner.deviations_seen.bulk_create(
        Deviation(partner=partner, rule=rule, times=times, first_at=NOW, last_at=NOW)
        for rule, times in counted.items()
    )
    partner.plain_token = give_token(partner, token=token)  # type: ignore[attr-defined]
    return partner


def give_token(
    partner: Partner, kind: str = PartnerToken.Kind.CURRENT, *, token: str = "", **fields: Any
) -> str:
    token = token or new_token()
    PartnerToken.objects.create(
        partner=partner, kind=kind, token_hash=hash_token(token), token_encrypted=encrypt(token), **fields
    )
    return token


def authorization(token: str) -> str:
    return "Token " + base64.b64encode(token.encode()).decode()


class Caller:
    """Calls us as a partner does, at the addresses of its version, and checks that every answer is an envelope, and what is in
    it to the letter of the specification."""

    def __init__(self, partner: Partner, **headers: str) -> None:
        self.partner = partner
        self.version = partner.version
        self.party = partner.roles[0]["country_code"], partner.roles[0]["party_id"]
        self.http = Client(raise_request_exception=False)
        token: str = partner.plain_token  # type: ignore[attr-defined]
        self.headers = {"Authorization": authorization(token), **headers}

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> HttpResponse:
        path = path.replace("/2.3.0", f"/{self.version}")
        return self._checked(
            "GET", path, self.http.get(path, query or {}, headers={**self.headers, **headers})
        )

    def post(self, path: str, body: Any, **headers: str) -> HttpResponse:
        return self.send("POST", path, body, **headers)

    def send(self, method: str, path: str, body: Any = b"", **headers: str) -> HttpResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = path.replace("/2.3.0", f"/{self.version}")
        answer = self.http.generic(
            method, path, raw, content_type="application/json", headers={**self.headers, **headers}
        )
        return self._checked(method, path, answer)

    def book(self, option: BookingOption, when: Period, /, **changes: Any) -> HttpResponse:
        return self.post(BOOKINGS, booking_request(self.party, option, when, **changes))

    def _checked(self, method: str, path: str, answer: Any) -> HttpResponse:
        if method == "HEAD":
            return answer
        assert answer["Content-Type"] == "application/json", answer.content
        content = answer.json()
        assert content["timestamp"].endswith("Z")
        assert isinstance(content["status_code"], int)
        is_success = 1000 <= content["status_code"] < 2000
        assert is_success or "data" not in content
        assert not is_success or not (found := self._faults(method, path, content.get("data"))), found
        checked: HttpResponse = answer
        return checked

    def _faults(self, method: str, path: str, told: Any) -> list[str]:
        """Of what is ours to say: the edition 1.0 of Bookings, which some partners have, is another one."""
        path = path.partition("?")[0]
        one = endpoint_of(method, path)
        switches = self.partner.switches
        if one is None or ("/bookings" in path and switches.get("bookings_edition") == "1.0"):
            return []
        version = next((each for each in VERSIONS if f"/{each}" in path), self.version)
        # Where Bookings are agreed under 2.2.1, or it is set so, connectors come that only 2.3.0 names (MCS).
        newer = ("bookings_under_2_2_1", "extensions_under_2_2_1")
        is_agreed = "/bookings" in path or any(switches.get(name) for name in newer)
        is_agreed = is_agreed or switches.get("mcs_under_2_2_1") == "raw"
        return one.faults(told, version, with_newer=is_agreed)


def booking_request(
    party: tuple[str, str], option: BookingOption, when: Period, /, **changes: Any
) -> dict[str, Any]:
    """A complete BookingRequest; a change to None leaves a field out."""
    number = next(_numbers)
    body = {
        "country_code": party[0],
        "party_id": party[1],
        "request_id": f"request-{number}",
        "location_id": option.depot.location_id,
        "booking_location_id": option.code,
        "tokens": [
            {
                "country_code": party[0],
                "party_id": party[1],
                "uid": f"04A1B2{number:06}",
                "type": "RFID",
                "contract_id": f"C{number:08}",
            }
        ],
        "period": {"start_date_time": time_out(when.starts_at), "end_date_time": time_out(when.ends_at)},
        "authorization_reference": f"reference-{number}",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def data(answer: Any) -> Any:
    """The data of an answer that says yes."""
    content = answer.json()
    assert content["status_code"] == 1000, content
    return content["data"]


def code(answer: Any) -> tuple[int, int]:
    """(HTTP status, OCPI status code)."""
    return answer.status_code, answer.json()["status_code"]


def pages(caller: Caller, path: str, query: dict[str, Any]) -> Iterator[list[Any]]:
    """Every page of a list, following its links."""
    answer = caller.get(path, query)
    while True:
        yield data(answer)
        if "Link" not in answer:
            return
        answer = caller.get(answer["Link"].split(">")[0].lstrip("<").partition("8000")[2])


def adopt_booking(partner: Partner, raw: dict[str, Any], *, now: datetime) -> remote_bookings.Adopted:
    """A booking as a partner sends it, read in its dialect and taken over."""
    read = dialect_of(partner).bookings.read(partner, raw)
    return remote_bookings.adopt_booking(partner, read, raw, now=now)


def adopt_offer(partner: Partner, raw: dict[str, Any], *, now: datetime) -> remote_bookings.AdoptedOffer:
    read = dialect_of(partner).bookings.read_offer(partner, raw)
    return remote_bookings.adopt_offer(partner, read, raw, now=now)


def keep_listed(partner: Partner, kind: str, *objects: Any, party: tuple[str, str] = ("FR", "CPO")) -> None:
    """Keep these as a complete crawl of one list finds them."""
    pull = pulls.Pull(partner.pk, LISTS[kind], NOW, is_complete=True)
    pulls.keep_page(pull, pulls.Crawl(Peer("t"), "https://x.example", {}, party), objects, now=NOW)
