"""A partner that is suspended: nothing goes out, nothing is let in, nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from bookings.models import BookingOption
from roaming.models import Delivery, Partner
from roaming.ocpi.call_failures import CallFailed
from roaming.outbound import deliveries, pulls
from roaming.registration import AlreadyRegistered, RegistrationError, invite, leave
from roaming.suspension import NotSuspended, lift_suspension, suspend
from tests.factories import NOW, make_depot, make_evse, make_operator
from tests.roaming.partners import BOOKINGS, LOCATIONS, Caller, code, make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
CPO = {"role": "CPO", "country_code": "SE", "party_id": "SUS", "name": "Depots"}
SENDERS = [
    {"identifier": module, "role": "SENDER", "url": f"https://partner.example/{module}"}
    for module in ("locations", "bookings")
]


@pytest.fixture
def partner() -> Any:
    make_evse(make_depot(make_operator()))
    partner = make_partner("SUS", endpoints=SENDERS)
    partner.roles = [*partner.roles, CPO]
    partner.save()
    return partner


def due(partner: Partner) -> int:
    return len([lease for lease in deliveries.claim(room=100, now=NOW) if lease.partner_id == partner.pk])


def test_all_that_a_suspended_partner_asks_is_answered_403(partner: Any) -> None:
    caller = Caller(partner)
    suspend(partner=partner)

    for method, path in (
        ("GET", "/ocpi/versions"), ("GET", "/ocpi/2.3.0"), ("GET", "/ocpi/2.3.0/credentials"),
        ("DELETE", "/ocpi/2.3.0/credentials"), ("GET", LOCATIONS), ("POST", BOOKINGS),
    ):  # fmt: skip
        assert code(caller.send(method, path, b"" if method == "GET" else {})) == (403, 2000), path
    partner.refresh_from_db()
    assert partner.is_suspended
    assert partner.messages.filter(is_incoming=True, http_status=403).count() == 6


def test_nothing_is_sent_to_it_or_read_of_it_until_the_suspension_is_lifted(partner: Any) -> None:
    suspend(partner=partner)
    booked = Delivery.objects.create(
        partner=partner, kind="booking", object_id=1, wanted_version=1, next_try_at=NOW
    )

    assert due(partner) == 0
    assert pulls.claim(now=NOW) == []

    lift_suspension(partner=partner, now=NOW)
    assert due(partner) >= 1
    assert Delivery.objects.filter(pk=booked.pk, leased_until__isnull=False).exists()
    assert {name for visit in pulls.claim(now=NOW) for name in visit.lists} >= {"location", "booking"}
    assert code(Caller(partner).get(LOCATIONS)) == (200, 1000), "its token is what it was"


def test_its_depots_cannot_be_booked_meanwhile(partner: Any) -> None:
    theirs = make_depot(partner.organisation, is_mirror=True, code="SE-SUS-L1")
    option = BookingOption.objects.create(depot=theirs, code="o-1", is_mirror=True)

    suspend(partner=partner)

    option.refresh_from_db()
    assert option.is_withdrawn


def test_a_suspended_party_is_still_its_own(partner: Any) -> None:
    suspend(partner=partner)

    with pytest.raises(AlreadyRegistered, match="suspended"):
        invite(name="x", country_code="SE", party_id="SUS", roles=["EMSP"], now=NOW)
    with pytest.raises(RegistrationError, match="not registered"):
        suspend(partner=partner)
    lift_suspension(partner=partner, now=NOW)
    with pytest.raises(NotSuspended):
        lift_suspension(partner=partner, now=NOW)


def test_a_suspended_partner_can_be_left(partner: Any, settings: Any) -> None:
    partner.endpoints = [{"identifier": "credentials", "role": "SENDER", "url": "http://127.0.0.1:1/c"}]
    partner.save()
    suspend(partner=partner)

    with pytest.raises(CallFailed):
        leave(partner=partner, now=NOW)

    partner.refresh_from_db()
    assert partner.state == Partner.State.GONE
    assert not partner.tokens.exists()
