"""`manage.py top_up`: what a customer has paid in."""

from __future__ import annotations

import pytest

from bookings.models import PrepaidEntry
from depots.models import Organisation
from tests.bookings.billing.billed import make_buyer
from tests.bookings.payments_made import make_prepaid_site
from tests.config.commands import refusal, run

pytestmark = pytest.mark.django_db
GIVEN = {
    "operator": "Ladepark",
    "customer": "Nordfracht",
    "amount": "50.00",
    "currency": "eur",
    "reference": "E2E-1",
}


@pytest.fixture(autouse=True)
def customer() -> Organisation:
    make_prepaid_site()
    return make_buyer()


def arguments(**given: str) -> list[str]:
    return [part for name, value in (GIVEN | given).items() for part in (f"--{name}", value)]


def test_told_twice_it_is_one():
    [first] = run("top_up", *arguments())
    [again] = run("top_up", *arguments())

    assert first == {
        "operator": "Ladepark", "customer": "Nordfracht", "currency": "EUR", "amount": 50.0, "reference": "E2E-1",
        "available": 50.0, "created": True,
    }  # fmt: skip
    assert again == first | {"created": False}
    assert PrepaidEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"operator": "Nobody"}, "--operator: There is no organisation Nobody."),
        ({"operator": "Nordfracht", "customer": "Ladepark"}, "--operator: Nordfracht runs no depot here."),
        ({"customer": "Nobody"}, "--customer: There is no organisation Nobody."),
        ({"customer": "Ladepark"}, "--customer: Ladepark is the operator itself."),
        ({"amount": "0"}, "--amount: 0 is no amount in whole cents above zero."),
        ({"amount": "1.005"}, "--amount: 1.005 is no amount in whole cents above zero."),
        ({"amount": "1e12"}, "--amount: 1E+12 is no amount in whole cents above zero."),
        ({"amount": "NaN"}, "--amount: NaN is no amount."),
        ({"amount": "ten"}, "--amount: ten is no amount."),
        ({"currency": "EURO"}, "--currency: EURO is no currency (ISO 4217)."),
        ({"reference": " "}, "--reference: 1 to 140 characters are needed."),
        ({"reference": "x" * 141}, "--reference: 1 to 140 characters are needed."),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_argument(given, said):
    assert refusal("top_up", *arguments(**given)) == said
    assert not PrepaidEntry.objects.exists()


def test_a_reference_that_stands_for_another_amount_is_refused():
    run("top_up", *arguments())

    assert "was recorded with 50.00 already" in refusal("top_up", *arguments(amount="60.00"))
