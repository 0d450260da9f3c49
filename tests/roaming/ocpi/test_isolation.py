"""Every address below /ocpi, called by a partner with the ids of another: nothing is shown of it, nothing of it changes.

The addresses are those the API has, so a new one is tried without being entered here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from bookings.models import Booking, BookingToken
from depots.models import Organisation
from roaming.models import Delivery, Partner, PartnerObject
from roaming.ocpi.urls import api
from tests.factories import NOW, make_depot, make_evse, make_fleet, make_operator, open_depot, option_of, slot
from tests.roaming.partners import BOOKINGS, Caller, booking_request, code, data, give_token, make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
# What a partner may be told whoever it is, with the ids of another or without.
NO_IDS = re.compile(r"^/ocpi/(versions|[^/{]+|[^/{]+/credentials)$")


def party(name: str) -> dict[str, Any]:
    return {"country_code": "SE", "party_id": name, "name": f"Network {name}"}


def make_both(name: str, version: str) -> Partner:
    roles = [{"role": role, **party(name)} for role in ("CPO", "EMSP")]
    return make_partner(name, version=version, roles=roles)


@pytest.fixture(params=["2.3.0", pytest.param("2.2.1", marks=pytest.mark.long)])
def two(request: pytest.FixtureRequest) -> tuple[Caller, Caller, list[str]]:
    """One that has all kinds of things here, another one, and the ids of the former's things."""
    owner, other = (Caller(make_both(name, request.param)) for name in ("OWN", "XXX"))
    make_fleet()
    depot = make_depot(make_operator(), open_to_all=False, location_id="SECRETPLACE", name="Secret place")
    evse = make_evse(depot)
    open_depot(depot, owner.partner.organisation)
    body = booking_request(("SE", "OWN"), option_of(evse), slot(10, 11), authorization_reference="SECRETREF")
    booked = data(owner.post(BOOKINGS, body))
    kept = [
        PartnerObject.objects.create(
            partner=owner.partner, kind=kind, country_code="SE", party_id="OWN", key=f"SECRET{kind[:8].upper()}",
            raw={"id": f"SECRET{kind[:8].upper()}", **party("OWN"), "last_updated": "2026-01-01T00:00:00Z"},
            received_at=NOW,
        )
        for kind in ("location", "tariff", "booking_location", "booking", "token", "session", "cdr")
    ]  # fmt: skip
    tokens = list(BookingToken.objects.values_list("uid", flat=True))
    ids = [
        booked["id"], body["request_id"], depot.location_id, evse.uid, option_of(evse).code, *tokens,
        *(row.key for row in kept),
    ]  # fmt: skip
    return owner, other, ids


def addresses() -> Iterator[tuple[str, list[str]]]:
    """With the methods that are answered there, of those that OCPI knows."""
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            methods = {method for operation in view.operations for method in operation.methods}
            address = "/ocpi" + "/".join(["", *(part for part in f"{prefix}{path}".split("/") if part)])
            yield address, sorted(methods & {"GET", "POST", "PUT", "PATCH", "DELETE"})


def called_with(address: str, ids: list[str]) -> Iterator[str]:
    """The address with each id in each place, and below the owner's party."""
    names = re.findall(r"{[^}]+}", address)
    if names == ["{path:rest}"]:
        for one in ids:
            yield address.replace("{path:rest}", f"SE/OWN/{one}")
        yield address.replace("{path:rest}", f"SE/OWN/booking_locations/{ids[-5]}")
        yield address.replace("{path:rest}", f"SE/XXX/{ids[0]}")
        return
    for chosen in product(*[ids if len(names) == 1 else ids[2:5]] * len(names)):
        filled = address
        for name, one in zip(names, chosen, strict=True):
            filled = filled.replace(name, one, 1)
        yield filled
    if len(names) == 2:
        yield address.replace(names[0], "SE").replace(names[1], "OWN")


def state_of(owner: Partner) -> list[Any]:
    """All that belongs to it."""
    return [
        list(PartnerObject.objects.filter(partner=owner).order_by("pk").values()),
        list(Booking.objects.filter(fleet=owner.organisation).order_by("pk").values()),
        list(BookingToken.objects.order_by("pk").values()),
        list(
            Delivery.objects.filter(partner=owner)
            .order_by("pk")
            .values("kind", "object_id", "wanted_version")
        ),
        list(owner.tokens.order_by("pk").values("kind", "token_hash")),
        list(Partner.objects.filter(pk=owner.pk).values("state", "roles", "endpoints", "switches")),
        list(Organisation.objects.filter(pk=owner.organisation_id).values()),
    ]


def test_a_partner_neither_sees_nor_touches_what_is_anothers(two: tuple[Caller, Caller, list[str]]) -> None:
    """Checklist 30, 33 and all that is like them."""
    owner, other, ids = two
    before, tried = state_of(owner.partner), 0
    for address, methods in addresses():
        if f"/{other.version}/" not in address or NO_IDS.match(address):
            continue
        for path in dict.fromkeys(called_with(address, ids)):
            given = path.rsplit("/", 1)[-1]
            told = {
                **party("OWN"), "id": given, "uid": given, "request_id": given, "type": "RFID",
                "last_updated": "2026-03-01T00:00:00Z", "reservation_status": "CANCELED", "status": "CANCELED",
            }  # fmt: skip
            for method in methods:
                answer = other.send(method, path, b"" if method == "GET" else told)
                tried += 1
                check_tells_nothing(answer, f"{method} {path}", given)

    assert tried > 100
    assert state_of(owner.partner) == before


def check_tells_nothing(answer: Any, asked: str, given: str) -> None:
    assert answer.status_code < 500, asked
    content = answer.json()
    told = content.get("data")
    assert not told or "OWN" not in json.dumps(told), asked
    said = json.dumps(content).replace(given, "")
    assert "SECRET" not in said, asked
    assert "Network OWN" not in said, asked


def test_lists_of_one_hold_nothing_of_another(two: tuple[Caller, Caller, list[str]]) -> None:
    _, other, ids = two
    for address, methods in addresses():
        if (
            "{" in address
            or "GET" not in methods
            or f"/{other.version}/" not in address
            or NO_IDS.match(address)
        ):
            continue
        query = {"date_from": "2020-01-01T00:00:00Z"}
        for as_owner in ({}, {"OCPI-from-country-code": "SE", "OCPI-from-party-id": "OWN"}):
            answer = other.get(address, query, **as_owner)
            # Where there is no list (of what partners keep here), there is nothing at its address.
            assert answer.status_code in ((404,) if as_owner else (200, 404)), address
            said = answer.content.decode()
            assert not any(one in said for one in ids if len(one) > 5), address


@pytest.mark.parametrize(("kind", "refusal"), [("registration", (401, 2000)), ("pending", (503, 3000))])
def test_a_token_that_does_not_count_opens_nothing(kind: str, refusal: tuple[int, int]) -> None:
    """Checklist 10: of one that is invited, whatever the address. Whoever is about to be registered is to try again."""
    partner = make_partner(state=Partner.State.INVITED)
    partner.tokens.all().delete()
    partner.plain_token = give_token(partner, kind)  # type: ignore[attr-defined]
    caller = Caller(partner)
    for address, methods in addresses():
        if NO_IDS.match(address):
            continue
        path = re.sub(r"{[^}]+}", "x", address)
        for method in methods:
            assert code(caller.send(method, path)) == refusal, f"{method} {path}"
