"""Who writes the invoices between us and a partner, as its switch says (decision 126)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import time_machine

from bookings.billing.errors import BilledElsewhere
from bookings.billing.open_months import open_months
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.report import reconcile
from bookings.billing.versions import billing_version
from bookings.models import Invoice, InvoicedCdr
from roaming.models import Delivery, Partner
from tests.bookings.billing.billed import (
    ISSUED,
    NOVEMBER,
    bill_november,
    credit_of,
    make_buyer,
    make_site,
    record,
)
from tests.bookings.people import client_of
from tests.factories import make_depot, make_user
from tests.roaming.invoicing import invoicing_partner, told_record
from tests.roaming.partners import keep_listed

pytestmark = pytest.mark.django_db
LATER = datetime(2029, 12, 20, tzinfo=UTC)


def agreed(where: str, *roles: str) -> Partner:
    return invoicing_partner(*roles, switches={"reverse_billing": where})


def findings(organisation, side: Side, now: datetime = LATER):
    return reconcile(Books(organisation.pk, side, NOVEMBER), now=now).findings


def test_what_a_partner_writes_itself_is_not_billed_here_but_waited_for() -> None:
    partner, site = agreed("at_ours", "EMSP"), make_site()
    record(site, partner.organisation)
    record(site, make_buyer())

    run = bill_november(site.operator)

    assert [one.invoice.customer.name for one in run.documents] == ["Nordfracht"]
    assert run.refused == {}
    assert open_months([site.operator.pk], now=LATER) == []
    assert findings(site.operator, Side.RECEIVABLE, ISSUED) == []
    [waited_for] = findings(site.operator, Side.RECEIVABLE)
    assert (waited_for.counterparty, waited_for.expected) == (partner.organisation.name, Decimal(30))
    assert waited_for.about.is_received


def test_what_was_billed_before_is_credited_as_it_was_billed() -> None:
    partner, site = invoicing_partner("EMSP"), make_site()
    cdr = record(site, partner.organisation)
    bill_november(site.operator)
    Partner.objects.update(switches={"reverse_billing": "at_ours"})
    credit_of(cdr)

    assert [one.cdrs for one in open_months([site.operator.pk], now=LATER)] == [1]
    run = bill_november(site.operator)

    assert [one.invoice.kind for one in run.documents if one.created] == ["credit_note"]


def test_our_fleets_write_what_they_owe_a_partner_each_with_numbers_of_its_own() -> None:
    partner = agreed("at_theirs", "CPO")
    depot = make_depot(partner.organisation, is_mirror=True, country="FRA", time_zone="Europe/Paris")
    fleet, other = make_buyer(emsp_party_id="NFE"), make_buyer("Alpentrans")
    cdr = record(depot, fleet, number=None, received={"id": "1"}, code="CDR-1")
    record(depot, other, number=None, received={"id": "2"}, code="CDR-2")
    record(depot, other, number=None, received={"id": "3"}, code="CDR-3")
    keep_listed(partner, "invoice_record", told_record("CDR-3"))

    first = bill_november(partner.organisation, customer_id=fleet.pk)
    bill_november(partner.organisation)
    again = bill_november(partner.organisation)

    [billed] = [one.invoice for one in first.documents]
    assert (billed.issuer, billed.supplier, billed.customer, billed.is_reverse) == (
        fleet, partner.organisation, fleet, True,
    )  # fmt: skip
    assert billed.number == "INV-2029-000001"
    assert not any(one.created for one in again.documents)
    assert set(InvoicedCdr.objects.values_list("cdr__code", flat=True)) == {"CDR-1", "CDR-2"}
    told = billed.reconciliation
    assert (told.owner, told.counterparty, told.is_reverse) == (fleet, partner.organisation, True)
    assert set(Delivery.objects.values_list("partner", "kind", "object_id")) == {
        (partner.pk, "invoice_record", pk) for pk in Invoice.objects.values_list("pk", flat=True)
    }
    assert findings(fleet, Side.PAYABLE) == []
    assert cdr.invoiced.invoice == billed


@pytest.mark.parametrize("where", ["no", "at_ours"])
def test_without_an_agreement_nobody_invoices_in_a_partners_name(where: str) -> None:
    partner = agreed(where, "CPO")
    make_depot(partner.organisation, is_mirror=True)

    with pytest.raises(BilledElsewhere):
        bill_november(partner.organisation)


@time_machine.travel(LATER, tick=False)
def test_who_owes_writes_the_invoice_from_the_finding_that_it_is_missing() -> None:
    partner, fleet = agreed("both", "CPO"), make_buyer(emsp_party_id="NFE")
    depot = make_depot(partner.organisation, is_mirror=True, country="FRA", time_zone="Europe/Paris")
    record(depot, fleet, number=None, received={"id": "1"}, code="CDR-1")
    accountant, stranger = (
        client_of(make_user(fleet, role="accountant")),
        client_of(make_user(make_buyer("X"))),
    )
    page = accountant.get(
        f"/reconciliation/?organisation={fleet.pk}&side=payable&month=2029-11"
    ).content.decode()
    assert "Write the invoice" in page
    sent = {
        "customer": fleet.pk, "supplier": partner.organisation_id, "month": "2029-11",
        "version": billing_version(partner.organisation_id),
    }  # fmt: skip

    assert stranger.post("/reconciliation/self-billed/", sent).status_code == 404
    assert accountant.post("/reconciliation/self-billed/", {**sent, "version": 77}).status_code == 409
    assert accountant.post("/reconciliation/self-billed/", sent).status_code == 302
    assert Invoice.objects.get().issuer == fleet
    assert accountant.post("/reconciliation/self-billed/", {**sent, "supplier": fleet.pk}).status_code == 422
