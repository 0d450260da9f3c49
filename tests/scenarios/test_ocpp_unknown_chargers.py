"""Chargers that connect under a name nobody knows: listed, bounded, and let in by whom they belong to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.urls import reverse

from bookings.operations.commission_charger import expect_charger
from depots.models import Charger, Membership, RefusedConnection
from depots.ocpp.database import Database
from depots.ocpp.refused_connection_buffer import MOST_OF_ONE_ADDRESS, RefusedConnectionBuffer
from depots.operations import refused_connections
from depots.operations.charger_passwords import rotate_charger_password
from depots.operations.refused_connections import MOST_STRANGERS, Refusal, note_refusals
from depots.secrets import charger_password_matches
from tests.bookings.people import client_of
from tests.factories import NOW, make_charger, make_depot, make_evse, make_operator, make_user
from tests.scenarios.bed import Bed, eventually
from tests.scenarios.test_ocpp_password_rotation import is_let_in

IDENTITY = "NEW-1"
FORM = {
    "protocol": "ocpp2.0.1", "evses": "2", "uid": IDENTITY, "max_power_kw": "350",
    "connector_standard": "MCS", "credentials": "keep",
}  # fmt: skip


def try_to_connect(
    bed: Bed, identity: str = IDENTITY, password: str = "what it was made with"
) -> RefusedConnection:
    """Somebody tries `identity`, and it is written down."""
    row = Charger(identity=identity, password_hash="unused")
    before = RefusedConnection.objects.filter(identity=identity).values_list("tries", flat=True).first() or 0
    assert not is_let_in(bed, row, password)
    return eventually(lambda: RefusedConnection.objects.filter(identity=identity, tries__gt=before).first())


def refusals(count: int, address: str = "203.0.113.9", stem: str = "X", later_s: int = 0) -> list[Refusal]:
    at = NOW + timedelta(seconds=later_s)
    return [Refusal(f"{stem}-{n}", address, "ocpp1.6", "unknown", b"", 1, at, at) for n in range(count)]


@pytest.mark.usefixtures("gate")
def test_a_charger_that_was_refused_is_let_in_with_what_it_tried(bed: Bed):
    depot = make_depot()
    make_evse(depot)
    manager = client_of(make_user(depot.operator, Membership.Role.DEPOT_MANAGER))

    first = try_to_connect(bed)
    again = try_to_connect(bed)

    assert (first.tries, again.tries, again.address, again.protocols) == (1, 2, "127.0.0.1", "ocpp1.6")
    assert again.password_hash == first.password_hash != ""
    listed = manager.get(reverse("bookings:new_chargers", args=[depot.code])).content.decode()
    assert IDENTITY in listed
    url = reverse("bookings:commission", args=[depot.code, again.pk])
    version = manager.get(url).context["version"]
    try_to_connect(bed, password="somebody else's")
    assert manager.post(url, {**FORM, "version": version}).status_code == 409
    try_to_connect(bed)
    page = manager.get(url)
    assert manager.post(url, {**FORM, "version": page.context["version"]}).status_code == 302
    charger = Charger.objects.get(identity=IDENTITY)
    assert (charger.depot, charger.protocol) == (depot, "ocpp2.0.1")
    assert list(charger.evses.values_list("uid", "number", "max_power_w", "options__code")) == [
        ("NEW-1-1", 1, 350_000, "NEW-1-1"),
        ("NEW-1-2", 2, 350_000, "NEW-1-2"),
    ]
    assert is_let_in(bed, charger, "what it was made with")
    assert not is_let_in(bed, charger, "somebody else's")
    assert manager.get(url).status_code == 404


@pytest.mark.django_db
def test_a_new_password_is_shown_once_and_a_charger_of_the_file_keeps_its_evses(settings):
    depot = make_depot()
    evse = make_evse(charger=make_charger(depot, identity="FILED"))
    note_refusals(refusals(1, stem="FILED"))
    RefusedConnection.objects.update(identity="FILED")
    manager = client_of(make_user(depot.operator, Membership.Role.DEPOT_MANAGER))
    url = reverse("bookings:commission", args=[depot.code, RefusedConnection.objects.get().pk])
    rotate_charger_password(charger_id=evse.charger_id, now=NOW)  # of whoever had the name before
    version = manager.get(url).context["version"]

    answer = manager.post(url, {**FORM, "credentials": "give", "version": version})

    password = answer.context["password"]
    charger = Charger.objects.get()
    assert charger_password_matches(password, salt=charger.password_salt, hashed=charger.password_hash)
    assert charger.next_password_hash == ""
    assert list(charger.evses.all()) == [evse]
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_two_spellings_that_are_one_name_for_the_database_are_written_down_together():
    """Which are one, Python and the locale of the database may see differently: of `i` and `I` in Turkish."""
    batch = [
        replace(refusals(1, stem="cp")[0], tries=2),
        replace(refusals(1, stem="CP", later_s=5)[0], password=b"secret"),
    ]

    note_refusals(batch)
    first = RefusedConnection.objects.get()
    note_refusals([batch[1]])

    again = RefusedConnection.objects.get()
    assert (first.identity, first.tries, again.tries) == ("CP-0", 3, 4)
    assert (again.first_at, again.last_at) == (NOW, NOW + timedelta(seconds=5))
    assert first.password_hash == again.password_hash != ""


@pytest.mark.django_db
def test_of_several_operators_each_sees_what_it_alone_waits_for():
    ours, other = make_depot(make_operator("Ours")), make_depot(make_operator("Other"))
    managers = [
        client_of(make_user(depot.operator, Membership.Role.DEPOT_MANAGER)) for depot in (ours, other)
    ]
    both = make_user(ours.operator, Membership.Role.ADMIN)
    Membership.objects.create(user=both, organisation=other.operator, role=Membership.Role.ADMIN)
    make_charger(other, identity="X-2")
    note_refusals(refusals(3))

    def seen() -> list[list[str]]:
        pages = [
            client.get(reverse("bookings:new_chargers", args=[depot.code]))
            for client, depot in zip([*managers, client_of(both)], (ours, other, ours), strict=True)
        ]
        return [sorted(row.identity for row in page.context["refused_connections"]) for page in pages]

    assert seen() == [[], ["X-2"], ["X-0", "X-1"]]
    waits = reverse("bookings:expected", args=[ours.code])
    assert managers[0].post(waits, {"identity": "x-0"}).status_code == 302
    assert seen() == [["X-0"], ["X-2"], ["X-0", "X-1"]]
    managers[1].post(reverse("bookings:expected", args=[other.code]), {"identity": "X-0"})
    assert seen() == [[], ["X-2"], ["X-0", "X-1"]]
    # A charger that its operator took away is that operator's to let in again, whoever else waits for the name.
    Charger.objects.filter(identity="X-2").update(is_withdrawn=True)
    managers[0].post(waits, {"identity": "X-2"})
    assert seen() == [[], ["X-2"], ["X-0", "X-1"]]
    hidden = reverse(
        "bookings:commission", args=[ours.code, RefusedConnection.objects.get(identity="X-0").pk]
    )
    assert managers[0].get(hidden).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_form_sent_twice_at_once_waits_for_an_identity_once():
    operator = make_operator()

    def again() -> int:
        try:
            return expect_charger(operator=operator, identity="x-1", now=NOW).pk
        finally:
            connection.close()

    def is_waiting() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            first = expect_charger(operator=operator, identity="X-1", now=NOW)
            second = other.submit(again)
            eventually(is_waiting)

        assert second.result() == first.pk


@pytest.mark.django_db
def test_who_invents_names_displaces_its_own(monkeypatch):
    monkeypatch.setattr(refused_connections, "MOST_STRANGERS", 10)
    make_charger(identity="KNOWN-0")
    note_refusals(refusals(1, "198.51.100.1", "HONEST"))
    note_refusals(refusals(1, "198.51.100.1", "KNOWN"))

    note_refusals(refusals(25, "203.0.113.66", "FLOOD", later_s=60))
    for number in range(25):
        note_refusals(refusals(1, f"2001:db8::{number:x}", f"FLOOD-{number}", later_s=60))

    kept = list(RefusedConnection.objects.values_list("identity", flat=True))
    assert len(kept) == 11
    assert {"HONEST-0", "KNOWN-0"} <= set(kept)
    assert MOST_STRANGERS == 1000


def test_a_flood_of_invented_names_costs_a_bounded_map():
    buffer = RefusedConnectionBuffer(Database())

    noted = [buffer.keep(refusal) for refusal in refusals(5000)]
    repeated = [buffer.keep(refusal) for refusal in refusals(5)]

    assert (sum(noted), sum(repeated)) == (MOST_OF_ONE_ADDRESS, 0)
    assert len(buffer._waiting) == MOST_OF_ONE_ADDRESS
    assert buffer.keep(refusals(1, "198.51.100.1", "HONEST")[0])
    noted = [
        buffer.keep(refusals(1, f"2001:db8::{number:x}", f"SIX-{number}")[0])
        for number in range(MOST_OF_ONE_ADDRESS + 1)
    ]
    assert noted[-2:] == [True, False]
