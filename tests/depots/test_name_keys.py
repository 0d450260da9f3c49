"""Names are compared without regard to case under any locale of the database; the embedded one's knows ASCII alone."""

import sys
from importlib import import_module

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from bookings.billing.incoming_invoices import organisation_of
from bookings.models import IncomingInvoice, Vehicle
from config.management.commands.book import _vehicle
from depots.models import Membership, Organisation, User
from depots.name_keys import name_key, set_apart
from depots.operations.organisations import add_member, add_organisation
from depots.parties import organisation_called
from tests.factories import make_fleet, make_user, make_vehicle
from tests.money_factories import new_incoming_invoice


def test_every_letter_has_one_key_however_it_is_written():
    letters = [letter for letter in map(chr, range(sys.maxunicode + 1)) if letter.lower() != letter.upper()]

    assert [
        letter
        for letter in letters
        if len({name_key(form) for form in (letter, letter.upper(), letter.lower())}) > 1
    ] == []
    assert name_key(" ko\u0308 \u00a0 1") == name_key("KÖ 1") == "KÖ 1"
    assert name_key("Straße") == name_key("STRASSE") == name_key("STRAẞE")


def test_what_differed_by_capitals_alone_is_set_apart_by_a_number_that_is_free():
    rows = [(1, "kö 1"), (2, "KÖ 1"), (3, "KÖ 1 (2)"), (4, "Kö  1"), (5, "Ä" * 20), (6, "ä" * 20)]

    assert set_apart(rows, longest=20) == {2: "KÖ 1 (3)", 4: "Kö  1 (4)", 6: "ä" * 16 + " (2)"}


@pytest.mark.django_db
def test_a_fleet_has_a_plate_once_in_whatever_capitals_and_it_is_found_by_any():
    truck = make_vehicle(make_fleet("Größe"), plate="kö 1")

    with pytest.raises(IntegrityError, match="vehicle_plate_once"), transaction.atomic():
        make_vehicle(truck.fleet, plate="KÖ  1")
    assert _vehicle("KÖ 1", "GRÖSSE") == truck


@pytest.mark.django_db
def test_an_organisation_and_a_person_are_one_in_whatever_capitals():
    fleet = add_organisation(name="Müller Öl")
    Organisation.objects.filter(pk=fleet.pk).update(legal_name="Müller AG", legal_name_key="Müller AG")

    assert add_organisation(name="MÜLLER ÖL") == organisation_called("müller öl") == fleet
    assert organisation_of("", "MÜLLER AG") == fleet
    person, _ = add_member(email="Anna@Müller.example", organisation=fleet, role="dispatcher")
    again, is_new = add_member(email="ANNA@MÜLLER.EXAMPLE", organisation=fleet, role="depot_manager")
    assert (again, is_new) == (person, False)
    assert User.objects.get_by_natural_key("anna@MÜLLER.example") == person


@pytest.mark.django_db
def test_rows_from_before_that_are_one_now_stay_with_what_is_theirs():
    """As the migrations meet them, before the constraints."""
    with connection.cursor() as cursor:
        for table, name in (
            ("bookings_vehicle", "vehicle_plate_once"),
            ("depots_organisation", "organisation_name_once"),
        ):
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute("DROP INDEX incoming_invoice_once")
    fleet, other = make_fleet("Müller"), make_fleet("MÜLLER")
    first, second = make_vehicle(fleet, plate="kö 1"), make_vehicle(fleet, plate="KÖ 1")
    own = make_vehicle(other, plate="KÖ 1")
    old, new = make_user(fleet, email="anna@MÜLLER.example"), make_user(fleet, email="b@fleet.example")
    Membership.objects.create(user=new, organisation=other, role="depot_manager")
    User.objects.filter(pk=old.pk).update(email="anna@MÜLLER.example")
    User.objects.filter(pk=new.pk).update(email="anna@müller.example")
    bills = [new_incoming_invoice(fleet, number=number) for number in ("rü-1", "RÜ-1")]
    for bill in bills:
        bill.save()

    for name in ("write_keys", "write_small_letters"):
        getattr(import_module("depots.migrations.0034_name_keys"), name)(apps, None)
    for name in ("write_plates", "write_senders"):
        getattr(import_module("bookings.migrations.0046_name_keys"), name)(apps, None)

    assert list(Organisation.objects.order_by("pk").values_list("name", flat=True)) == [
        "Müller",
        "MÜLLER (2)",
    ]
    plates = dict(Vehicle.objects.values_list("pk", "plate"))
    assert plates == {first.pk: "kö 1", second.pk: "KÖ 1 (2)", own.pk: "KÖ 1"}
    assert User.objects.get_by_natural_key("ANNA@müller.EXAMPLE") == old
    assert set(old.memberships.values_list("organisation", "role")) >= {(other.pk, "depot_manager")}
    assert not User.objects.get(pk=new.pk).is_active
    assert list(IncomingInvoice.objects.order_by("pk").values_list("state", flat=True)) == [
        "open",
        "withdrawn",
    ]
