"""What an invoice must say of an organisation."""

from __future__ import annotations

import pytest

from bookings.billing.errors import ParticularsInvalid
from bookings.billing.particulars import checked_particulars, register_organisation, set_particulars
from depots.models import Membership, Organisation
from tests.bookings.people import client_of
from tests.config.commands import refusal, run
from tests.factories import make_fleet, make_user

pytestmark = pytest.mark.django_db
RIGHT = {
    "--legal-name": "Nordfracht GmbH", "--address": "Am Kai 1", "--postal-code": "21129", "--city": "Hamburg", "--country": "de",
    "--vat-id": "DE 136 695 976", "--iban": "DE89 3704 0044 0532 0130 00", "--billing-email": "billing@nordfracht.example",
}  # fmt: skip


def options(**given: str) -> list[str]:
    return [word for pair in {**RIGHT, **given}.items() for word in pair]


def test_the_command_again_for_the_same_name_is_an_update():
    [first] = run("add_organisation", "--name", "Nordfracht", *options())

    [second] = run("add_organisation", "--name", "nordfracht", "--city", "Bremen", "--billing-email", "")

    assert first["id"] == second["id"]
    made = Organisation.objects.get()
    assert (made.country, made.vat_id, made.iban) == ("DEU", "DE136695976", "DE89370400440532013000")
    assert (made.city, made.legal_name, made.billing_email) == ("Bremen", "Nordfracht GmbH", "")


def test_parties_that_are_not_given_again_stay():
    register_organisation(
        name="Nordfracht", parties={"country_code": "DE", "emsp_party_id": "NFE"}, particulars={}
    )

    again = register_organisation(
        name="Nordfracht", parties={"cpo_party_id": "NFR"}, particulars={"city": "Kiel"}
    )

    assert (again.cpo_party, again.emsp_party, again.city) == ("DE*NFR", "DE*NFE", "Kiel")


@pytest.mark.parametrize(
    ("field", "text", "kept"),
    [("country", "DEU", "DEU"), ("country", "at", "AUT"), ("vat_id", "", ""), ("city", "  Bad  Segeberg ", "Bad Segeberg")],
)  # fmt: skip
def test_particulars_are_kept_in_one_form(field, text, kept):
    assert checked_particulars({field: text}) == {field: kept}


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("country", "Germany"), ("country", "XX"), ("vat_id", "DE136695977"), ("vat_id", "12345"),
        ("iban", "DE89370400440532013001"), ("billing_email", "nobody"), ("postal_code", "12345678901"), ("city", "x" * 46),
    ],
)  # fmt: skip
def test_particulars_that_cannot_be_are_refused_by_field(field, text):
    with pytest.raises(ParticularsInvalid) as refused:
        checked_particulars({field: text, "legal_name": "Right"})

    assert list(refused.value.faults) == [field]


def test_a_refused_command_makes_nothing_and_names_every_field_at_fault():
    said = refusal("add_organisation", "--name", "New", *options(**{"--iban": "DE1", "--country": "XX"}))

    assert "iban: " in said
    assert "country: " in said
    assert not Organisation.objects.exists()


def test_whoever_keeps_the_accounts_enters_them_by_page():
    fleet = make_fleet("Nordfracht")
    accountant = client_of(make_user(fleet, Membership.Role.ACCOUNTANT))
    page = f"/organisations/{fleet.pk}/particulars/"
    version = accountant.get(page).context["version"]

    bad = accountant.post(page, {"version": version, "vat_id": "DE1", "city": "Hamburg"})
    good = accountant.post(page, {"version": version, "vat_id": "DE136695976", "city": "Hamburg"})
    stale = accountant.post(page, {"version": version, "city": "Bremen"})

    assert bad.status_code == 422
    assert "vat_id" in bad.context["form"].errors
    assert good.status_code == 302
    assert stale.status_code == 409
    assert Organisation.objects.values_list("vat_id", "city").get() == ("DE136695976", "Hamburg")


@pytest.mark.parametrize("role", ["dispatcher", "viewer", "depot_manager"])
def test_nobody_else_does(role):
    fleet = make_fleet()

    answer = client_of(make_user(fleet, role)).get(f"/organisations/{fleet.pk}/particulars/")

    assert answer.status_code == 404


def test_what_changed_meanwhile_is_not_overwritten_unseen():
    fleet = make_fleet()

    set_particulars(organisation_id=fleet.pk, particulars={"city": "Kiel"})

    fleet.refresh_from_db()
    assert fleet.city == "Kiel"


@pytest.mark.parametrize(("told", "kept"), [("3", 3), ("28", 28), ("", None)])
def test_the_day_on_which_months_are_billed_is_entered_with_the_particulars(told, kept):
    register_organisation(name="Ladepark", parties={}, particulars={"billing_day": "9"})

    run("add_organisation", "--name", "Ladepark", "--billing-day", told)

    assert Organisation.objects.get().billing_day == kept


@pytest.mark.parametrize("told", ["0", "29", "-1", "third", "1.5", "³"])
def test_a_day_that_not_every_month_has_is_refused_at_its_field(told):
    with pytest.raises(ParticularsInvalid) as refused:
        checked_particulars({"billing_day": told})

    assert list(refused.value.faults) == ["billing_day"]


@pytest.mark.parametrize(
    "text", ["Nord\x00fracht", "Nord\x07fracht", "Nord\ud800fracht", "Nord\u202efracht", "Nord\ufffffracht"]
)
@pytest.mark.parametrize("field", ["legal_name", "address", "city", "postal_code"])
def test_what_no_invoice_can_hold_is_refused_at_its_field(field, text):
    with pytest.raises(ParticularsInvalid) as refused:
        checked_particulars({field: text[-10:], "country": "DE"})

    assert list(refused.value.faults) == [field]
