"""Every form of the pages about partners says which version it showed, and is for who looks after the platform alone.

A new address that takes a form has to be entered below before this passes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, reverse

from depots.models import Membership
from roaming.console import comparing, operations
from roaming.models import (
    Delivery,
    Deviation,
    Partner,
    PartnerComparison,
    PartnerEvent,
    PartnerObject,
    PartnerPull,
)
from roaming.outbound import deliveries, pulls
from roaming.switches import SWITCHES, switch
from roaming.urls import urlpatterns
from tests.bookings.people import client_of
from tests.factories import NOW, make_fleet, make_user
from tests.roaming.partners import make_partner

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@dataclass
class Sent:
    """A form that would be carried out: of which partner, with which arguments and fields beside `version`."""

    partner: Partner
    version: int
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


def waiting(partner: Partner, **fields: Any) -> Delivery:
    shown = {"kind": "booking", "object_id": 1, "wanted_version": 2, "next_try_at": NOW + timedelta(hours=1)}
    row: Delivery = partner.deliveries.create(**{**shown, **fields})
    return row


def to_pause() -> Sent:
    partner = make_partner()
    return Sent(partner, operations.sending_version(partner))


def to_resume() -> Sent:
    partner = make_partner(paused_at=NOW)
    waiting(partner)
    return Sent(partner, operations.sending_version(partner))


def to_try_all() -> Sent:
    partner = make_partner(failures=9, closed_until=NOW + timedelta(minutes=15))
    waiting(partner)
    return Sent(partner, operations.circuit_version(partner))


def to_try_one() -> Sent:
    row = waiting(make_partner())
    return Sent(row.partner, operations.delivery_version(row), {"delivery_id": row.pk})


def to_send_again() -> Sent:
    row = waiting(make_partner(), delivered_version=2, next_try_at=None, delivered={"digest": "abc"})
    return Sent(row.partner, operations.delivery_version(row), {"delivery_id": row.pk})


def to_switch() -> Sent:
    partner = make_partner(switches={"made_up_by_an_older_version": 1})
    shown = {name: value for name in SWITCHES if (value := switch(partner, name)) is not False}
    return Sent(partner, operations.switches_version(partner), fields={**shown, "timeslot_power_unit": "kW"})


def to_note() -> Sent:
    partner = make_partner()
    return Sent(partner, operations.notes_version(partner), fields={"notes": "Sends kW"})


def to_clear() -> Sent:
    partner = make_partner(deviations={"id.too_long": 3})
    return Sent(partner, operations.deviations_version(partner))


def to_set_aside() -> Sent:
    partner = make_partner()
    row = PartnerObject.objects.create(
        partner=partner, kind="booking", country_code="SE", party_id="X", key="B", raw={}, received_at=NOW,
        is_unmatched=True,
    )  # fmt: skip
    return Sent(partner, operations.unmatched_version(row), {"object_id": row.pk})


def to_resync() -> Sent:
    partner = make_partner()
    waiting(partner, next_try_at=None)
    return Sent(partner, operations.sending_version(partner))


def to_compare() -> Sent:
    partner = make_partner()
    return Sent(partner, comparing.comparison_version(partner))


def to_repair() -> Sent:
    partner = make_partner()
    found = {"kind": "location", "name": "D1", "what": "differs_there", "fields": ["name"], "object_id": 7}
    PartnerComparison.objects.create(
        partner=partner, asked_at=NOW, finished_at=NOW, number=1, differences=[found]
    )
    return Sent(partner, comparing.comparison_version(partner))


CHANGING: dict[str, Callable[[], Sent]] = {
    "pause": to_pause,
    "resumption": to_resume,
    "try_now": to_try_all,
    "delivery_try": to_try_one,
    "delivery_again": to_send_again,
    "resync": to_resync,
    "comparing": to_compare,
    "comparison_repair": to_repair,
    "switches": to_switch,
    "notes": to_note,
    "deviations_clearing": to_clear,
    "unmatched_aside": to_set_aside,
}
# Reads a list again, however often it is asked for.
ONCE = {"unmatched_matching"}
# Makes something new, and shows nothing that could have changed.
MAKING = {"sandbox"}
SEEN_BY_ALL = {"partners", "partner"}


def somebody(role: str = Membership.Role.ADMIN, *, is_one_of_several: bool = False) -> Client:
    user = make_user(make_fleet(), role)
    if is_one_of_several:
        make_fleet()
    return client_of(user)


def send(client: Client, name: str, sent: Sent, **version: Any) -> int:
    url = reverse(f"roaming:{name}", kwargs={"partner_id": sent.partner.pk, **sent.arguments})
    return client.post(url, {**sent.fields, **version}).status_code


def everything() -> list[Any]:
    tables = (Partner, Delivery, Deviation, PartnerComparison, PartnerEvent, PartnerObject)
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def test_every_address_that_takes_a_form_is_known_here() -> None:
    numbers = {
        "partner_id": make_partner().pk,
        "delivery_id": 1,
        "object_id": 1,
        "message_id": 1,
        "deviation_id": 1,
    }
    client = somebody()

    def takes_forms(pattern: URLPattern) -> bool:
        kwargs = {key: numbers[key] for key in pattern.pattern.converters}
        return client.post(reverse(f"roaming:{pattern.name}", kwargs=kwargs)).status_code != 405

    assert {str(pattern.name) for pattern in urlpatterns if takes_forms(pattern)} == set(
        CHANGING
    ) | ONCE | MAKING


@pytest.mark.parametrize("name", CHANGING)
def test_a_form_without_its_version_changes_nothing_and_with_it_is_carried_out_and_noted(name: str) -> None:
    client, sent = somebody(), CHANGING[name]()
    before = everything()

    statuses = {
        send(client, name, sent, **version)
        for version in ({}, {"version": ""}, {"version": "x"}, {"version": "7"})
    }
    assert statuses == {409}
    assert everything() == before

    assert send(client, name, sent, version=sent.version) == 302
    assert everything() != before
    [event] = PartnerEvent.objects.filter(partner=sent.partner)
    assert "@" in event.by
    assert event.at == NOW


@pytest.mark.parametrize("name", CHANGING)
def test_who_does_not_look_after_the_platform_finds_nothing_there(name: str) -> None:
    """A dispatcher, a depot's manager, and the administrator of one company among several."""
    sent = CHANGING[name]()
    before = everything()

    for client in (
        somebody(Membership.Role.DISPATCHER),
        somebody(Membership.Role.DEPOT_MANAGER),
        somebody(is_one_of_several=True),
    ):
        assert send(client, name, sent, version=sent.version) == 404
    assert Client().post("/partners/1/pause/").status_code == 302, "to the sign-in"
    assert everything() == before


def test_pages_that_show_what_was_said_are_for_who_looks_after_the_platform() -> None:
    partner = make_partner(deviations={"id.too_long": 1}, versions_url="https://x.example/versions")
    message = partner.messages.create(at=NOW, is_incoming=True, method="GET", url="/")
    addresses = {
        "comparison": "comparison/", "messages": "messages/", "message": f"messages/{message.pk}/", "deliveries": "deliveries/",
        "deviation": f"deviations/{partner.deviations_seen.get().pk}/",
    }  # fmt: skip
    dispatcher, viewer, staff = (
        somebody(Membership.Role.DISPATCHER),
        somebody(Membership.Role.VIEWER),
        make_user(make_fleet()),
    )
    type(staff).objects.filter(pk=staff.pk).update(is_staff=True)

    for address in addresses.values():
        url = f"/partners/{partner.pk}/{address}"
        assert (dispatcher.get(url).status_code, client_of(staff).get(url).status_code) == (404, 200), url
    assert viewer.get(f"/partners/{partner.pk}/").status_code == 404
    page = dispatcher.get(f"/partners/{partner.pk}/").content.decode()
    assert "id.too_long" in page
    for hidden in ("Pause sending", "x.example", "/messages/", "/deviations/", "Save switches"):
        assert hidden not in page
    assert set(addresses) | set(CHANGING) | ONCE | MAKING | SEEN_BY_ALL == {
        str(pattern.name) for pattern in urlpatterns
    }


def test_a_paused_partner_gets_nothing_and_is_not_read_until_somebody_resumes() -> None:
    partner, client = make_partner(), somebody()
    row = waiting(partner, next_try_at=NOW)
    PartnerPull.objects.create(partner=partner, module="location", next_at=NOW)

    version = operations.sending_version(partner)
    assert send(client, "pause", Sent(partner, version), version=version) == 302
    assert deliveries.claim(room=9, kinds=["booking"], now=NOW) == []
    assert pulls.claim(now=NOW) == []

    partner.refresh_from_db()
    version = operations.sending_version(partner)
    send(client, "resumption", Sent(partner, version), version=version)
    assert [lease.delivery_id for lease in deliveries.claim(room=9, kinds=["booking"], now=NOW)] == [row.pk]
    assert [visit.partner_id for visit in pulls.claim(now=NOW)] == [partner.pk]


def test_an_object_sent_again_is_due_as_it_is_now_and_an_ask_never_is() -> None:
    client, sent = somebody(), to_send_again()
    ask = waiting(sent.partner, kind="request", delivered_version=2, next_try_at=None)

    send(client, "delivery_again", sent, version=sent.version)
    refused = send(
        client,
        "delivery_again",
        Sent(sent.partner, 0, {"delivery_id": ask.pk}),
        version=operations.delivery_version(ask),
    )

    [row] = Delivery.objects.filter(kind="booking")
    assert (row.delivered_version, row.next_try_at, row.delivered) == (0, NOW, {"digest": ""})
    assert refused == 409
    ask.refresh_from_db()
    assert ask.next_try_at is None


def test_switches_keep_what_differs_from_the_default_and_the_event_says_what_changed() -> None:
    client, sent = somebody(), to_switch()

    send(client, "switches", sent, version=sent.version)

    sent.partner.refresh_from_db()
    assert sent.partner.switches == {"made_up_by_an_older_version": 1, "timeslot_power_unit": "kW"}
    assert PartnerEvent.objects.get().told == "timeslot_power_unit: auto to kW"
    version = operations.switches_version(sent.partner)
    wrong = Sent(sent.partner, version, fields={**sent.fields, "timeslot_power_unit": "MW"})
    assert send(client, "switches", wrong, version=version) == 422


def test_a_booking_set_aside_alarms_again_when_the_partner_changes_it() -> None:
    client, sent = somebody(), to_set_aside()
    send(client, "unmatched_aside", sent, version=sent.version)
    page = f"/partners/{sent.partner.pk}/"

    assert "data-unmatched" not in client.get(page).content.decode()
    PartnerObject.objects.update(last_updated=NOW + timedelta(minutes=1))
    assert "data-unmatched" in client.get(page).content.decode()
