"""How customers pay is set by page."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from bookings.models import PaymentTerms
from depots.models import Agreement, Membership, Organisation
from tests.bookings.billing.billed import make_buyer, make_seller, make_site
from tests.bookings.people import client_of
from tests.factories import NOW, make_user, open_depot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
RIGHT: dict[str, Any] = {
    "before": "prepayment", "provider": "prepaid", "payment_min": "45",
    "credit_limit": "5000", "currency": "EUR", "beyond": "approve", "due_days": "30", "is_reverse": "on",
    "mandate_reference": "M-1", "mandate_signed_on": "2029-12-01",
}  # fmt: skip


@pytest.fixture
def agreement() -> Agreement:
    return open_depot(make_site(make_seller()), make_buyer())


def accountant(organisation: Organisation) -> Any:
    return client_of(make_user(organisation, Membership.Role.ACCOUNTANT))


def test_they_are_set_and_listed_and_not_overwritten_unseen(agreement):
    client = accountant(agreement.depot.operator)
    page = f"/agreements/{agreement.pk}/payment-terms/"
    version = client.get(page).context["version"]

    saved = client.post(page, {**RIGHT, "version": version}, follow=True)
    stale = client.post(page, {**RIGHT, "credit_limit": "1", "version": version})

    terms = PaymentTerms.objects.get(agreement=agreement)
    assert (terms.credit_limit, terms.beyond, terms.due_days) == (Decimal(5000), "approve", 30)
    assert (terms.before, terms.provider, terms.payment_min) == ("prepayment", "prepaid", 45)
    assert (terms.is_reverse, terms.mandate_signed_on) == (True, date(2029, 12, 1))
    assert "€5,000.00" in saved.content.decode()
    assert stale.status_code == 409
    assert NOW.year == 2030


@pytest.mark.parametrize(
    "wrong",
    [
        {"credit_limit": "-1"},
        {"before": "later"},
        {"provider": "nobody"},
        {"payment_min": "0"},
        {"currency": "euro"},
        {"beyond": "x"},
        {"due_days": "-1"},
        {"mandate_signed_on": ""},
    ],
)
def test_what_cannot_be_is_refused_at_its_field(agreement, wrong):
    client = accountant(agreement.depot.operator)
    page = f"/agreements/{agreement.pk}/payment-terms/"

    answer = client.post(page, {**RIGHT, **wrong, "version": client.get(page).context["version"]})

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == list(wrong)
    assert not PaymentTerms.objects.exists()
