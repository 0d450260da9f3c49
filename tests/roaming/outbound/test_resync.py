"""Both sides told all again: on demand, and every night."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bookings.core.calendars import raise_marked
from bookings.operations.request_log import ReceivedMessage
from roaming.models import Delivery, Partner
from roaming.outbound import fan_out, full_sets, resync
from roaming.outbound.deliveries import Delivered, all_succeeded, claim
from tests.factories import NOW, PARTNER, book_slot, make_depot, make_evse, make_operator, option_of, slot
from tests.roaming.partners import make_partner

pytestmark = pytest.mark.django_db


@pytest.fixture
def partner() -> Partner:
    role = {"country_code": "SE", "party_id": "NET", "name": "Net"}
    url = "https://net.example/ocpi"
    return make_partner(
        "NET",
        roles=[{"role": "EMSP", **role}, {"role": "CPO", **role}],
        endpoints=[
            {"identifier": "Booking", "role": "RECEIVER", "url": f"{url}/bookings"},
            {"identifier": "Booking", "role": "SENDER", "url": f"{url}/bookings"},
            {"identifier": "locations", "role": "SENDER", "url": f"{url}/locations"},
        ],
    )


@pytest.fixture
def told(partner: Partner) -> list[Delivery]:
    """An offer and a booking that the partner has."""
    option = option_of(make_evse(make_depot(make_operator(country_code="NL", cpo_party_id="LPK"))))
    book_slot(
        fleet=partner.organisation, option=option, party=("SE", "NET"), period=slot(10, 11), actor=PARTNER, now=NOW,
        message=ReceivedMessage({}),
    )  # fmt: skip
    raise_marked(lambda: NOW)
    fan_out.want([option.pk], now=NOW)
    all_succeeded([Delivered(lease, "as it was") for lease in claim(room=10, now=NOW)], now=NOW)
    rows = list(Delivery.objects.order_by("kind"))
    assert [row.kind for row in rows] == ["booking", "booking_location"]
    assert not any(row.next_try_at for row in rows)
    return rows


def test_everything_is_sent_again_whatever_was_delivered(partner: Partner, told: list[Delivery]) -> None:
    resync.resync(partner_id=partner.pk, now=NOW)

    booking, offer = Delivery.objects.order_by("kind")
    assert booking.next_try_at == offer.next_try_at == NOW
    assert offer.delivered == {"digest": ""}, "told of once, and not known to be there"


def test_every_list_is_read_whole(partner: Partner) -> None:
    partner.pulls.create(module="location", next_at=NOW + timedelta(hours=1), read_at=NOW, failures=2)

    resync.resync(partner_id=partner.pk, now=NOW)

    rows = partner.pulls.order_by("pk")
    assert [row.module for row in rows] == ["location", "booking_location", "booking"]
    assert all(row.next_at == NOW and row.wants_all and not row.failures for row in rows)


def test_nights_are_spread_and_come_once(partner: Partner, told: list[Delivery]) -> None:
    other = make_partner()
    resync.plan_nights(now=NOW)
    nights = list(Partner.objects.order_by("pk").values_list("next_resync_at", flat=True))
    assert len(set(nights)) == 2
    assert all(1 <= night.hour < 5 and night.date() == (NOW + timedelta(days=1)).date() for night in nights)

    after = datetime(NOW.year, NOW.month, NOW.day + 1, 5, tzinfo=UTC)
    Partner.objects.filter(pk=other.pk).update(switches={"nightly_resync": False})
    assert resync.resync_due(now=after) == 1
    assert resync.resync_due(now=after) == 0

    assert Delivery.objects.filter(next_try_at=after).count() == 2


def test_a_partner_that_is_away_keeps_its_night_for_when_it_is_back(partner: Partner) -> None:
    Partner.objects.update(next_resync_at=NOW, failures=3)

    assert resync.resync_due(now=NOW + timedelta(hours=1)) == 0
    Partner.objects.update(failures=0)
    assert resync.resync_due(now=NOW + timedelta(hours=2)) == 1


def test_what_was_sent_since_the_night_it_missed_is_not_sent_twice(
    partner: Partner, told: list[Delivery]
) -> None:
    """One that is back after its night gets what it has missed, and of all else what it had before."""
    night = NOW + timedelta(hours=5)
    booking, _ = told
    Delivery.objects.filter(pk=booking.pk).update(delivered_at=night + timedelta(hours=1))
    Partner.objects.update(next_resync_at=night)

    assert resync.resync_due(now=night + timedelta(hours=2)) == 1
    assert [row.kind for row in Delivery.objects.exclude(next_try_at=None)] == ["booking_location"]

    resync.resync(partner_id=partner.pk, now=night + timedelta(hours=3))  # somebody wants all of it
    assert Delivery.objects.exclude(next_try_at=None).count() == 2


def test_a_session_that_tells_nothing_new_is_sent_again_too(partner: Partner) -> None:
    session = Delivery.objects.create(
        partner=partner, kind="session", object_id=7, wanted_version=1, delivered_version=1,
        delivered={"digest": "RFID 04#as it was", "location": "there"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(full_sets.STILL_TOLD, Delivery.Kind.SESSION, lambda partner, now: {7})
        resync.resync(partner_id=partner.pk, now=NOW)

    session.refresh_from_db()
    assert (session.next_try_at, session.delivered) == (NOW, {"digest": "RFID 04#", "location": "there"})


def test_the_command_says_what_is_on_its_way(partner: Partner, told: list[Delivery]) -> None:
    out = StringIO()

    call_command("resync", "se*net", stdout=out)

    said = json.loads(out.getvalue())
    assert said["partner"] == str(partner)
    assert (said["to_send"], said["to_read"]) == (2, ["location", "booking_location", "booking"])
    assert timezone.now() - datetime.fromisoformat(said["at"]) < timedelta(minutes=1)


def test_the_command_refuses_who_is_not_there(partner: Partner) -> None:
    with pytest.raises(CommandError, match="no partner"):
        call_command("resync", "nobody")
    Partner.objects.update(state=Partner.State.GONE)
    with pytest.raises(CommandError, match="is not registered"):
        call_command("resync", str(partner))
