"""What was issued stays as it was; and one owner has one tariff of a kind at a time. The database sees to both."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from bookings.models import InvoicedCdr, Tariff, TariffBinding
from depots.models import Agreement
from depots.periods import Period
from tests.factories import NOW, make_depot, make_evse, make_fleet, make_operator, option_of
from tests.money_factories import (
    make_cdr,
    make_invoice,
    make_tariff,
    new_payment,
    new_payment_return,
    new_prepaid_entry,
    new_version,
)

pytestmark = pytest.mark.django_db
THIS_YEAR = Period(NOW, NOW + timedelta(days=365))
LATER = Period(NOW + timedelta(days=100), NOW + timedelta(days=500))
NEXT_YEAR = Period(NOW + timedelta(days=365), NOW + timedelta(days=730))


def refused(name):
    """The constraint's name is what the refusal says."""
    return pytest.raises(IntegrityError, match=name)


ISSUED = {
    "cdr": (make_cdr, {"before_taxes": Decimal(1)}),
    "invoice": (lambda: make_invoice(make_operator(), make_fleet()), {"currency": "SEK"}),
    "tariff version": (lambda: _saved(new_version(make_tariff(make_operator()))), {"content": {"a": 1}}),
    "payment": (lambda: _saved(new_payment(make_invoice(make_operator(), make_fleet()))), {"amount": Decimal(1)}),
    "payment taken back": (
        lambda: _saved(new_payment_return(make_invoice(make_operator(), make_fleet()))),
        {"amount": Decimal(1)},
    ),
    "prepaid": (lambda: _saved(new_prepaid_entry(make_operator(), make_fleet())), {"amount": Decimal(1)}),
    "billed record": (
        lambda: InvoicedCdr.objects.create(cdr=make_cdr(), invoice=make_invoice(make_operator(), make_fleet())),
        {"invoice_id": 0},
    ),
}  # fmt: skip


def _saved(row):
    row.save(force_insert=True)
    return row


@pytest.mark.parametrize("what", ISSUED)
def test_what_was_issued_is_neither_changed_nor_deleted(what):
    make, change = ISSUED[what]
    row = make()
    rows = type(row).objects.filter(pk=row.pk)

    with pytest.raises(IntegrityError, match="was issued and is never changed"), transaction.atomic():
        rows.update(**change)
    with pytest.raises(IntegrityError, match="was issued and is never changed"), transaction.atomic():
        rows.delete()

    assert rows.exists()


def test_an_invoice_may_still_be_sent_and_settled():
    invoice = make_invoice(make_operator(), make_fleet())

    invoice.sent_at = invoice.settled_at = NOW
    invoice.save(update_fields=["sent_at", "settled_at"])

    invoice.refresh_from_db()
    assert (invoice.sent_at, invoice.settled_at) == (NOW, NOW)


OWNERS = {
    "depot": make_depot,
    "option": lambda: option_of(make_evse()),
    "evse": make_evse,
    "agreement": lambda: Agreement.objects.create(depot=make_depot(), guest=make_fleet(), starts_at=NOW),
}


@pytest.mark.parametrize("owner", OWNERS)
def test_one_owner_has_one_tariff_of_a_kind_at_a_time(owner):
    held = {owner: OWNERS[owner]()}
    bind(held, "charging", THIS_YEAR)

    bind(held, "booking", THIS_YEAR)
    bind(held, "charging", NEXT_YEAR)
    with refused(f"one_tariff_of_{owner}"), transaction.atomic():
        bind(held, "charging", LATER)

    assert TariffBinding.objects.count() == 3


def bind(owner, kind, valid):
    tariff: Tariff = make_tariff(make_operator(), kind=kind)
    TariffBinding.objects.create(tariff=tariff, kind=kind, valid=valid, **owner)
