"""Invoices between us and a partner network over real sockets, in both roles (ocpi.md 5.10)."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bookings.actors import Actor
from bookings.billing.incoming_invoices import InvoiceLineTold, InvoiceTold, enter_typed
from bookings.billing.months import Month
from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import Finding, FindingKind
from bookings.billing.reconciliation.report import reconcile
from bookings.models import ChargeDetailRecord, InvoiceReconciliationRecord
from conformance.specification import faults
from depots.models import Organisation
from roaming import registration
from roaming.models import Partner, PartnerMessage
from roaming.outbound.comparison import compare
from roaming.outbound.resync import resync
from simulators.partner import SimulatedPartner
from simulators.partner.invoices import MODULE
from tests.bookings.billing.billed import (
    BUYER,
    ISSUED,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.roaming.running import RunningSender, eventually
from tests.roaming.told_charging import cdr, price

pytestmark = pytest.mark.django_db(transaction=True)
CLERK = Actor.dispatcher("accountant@nordfracht.example")
JANUARY, LATER = Month(2030, 1), datetime(2030, 2, 20, tzinfo=UTC)
PATIENCE_S = 60.0


@pytest.fixture
def fleet(transactional_db: None) -> Organisation:
    return make_buyer(country_code="DE", emsp_party_id="NFE")


@pytest.fixture
def partner(network: SimulatedPartner, platform: str, fleet: Organisation) -> Partner:
    invitation = registration.invite(
        name="Simulated", country_code="FR", party_id="SIM", roles=["CPO", "EMSP"], now=timezone.now()
    )
    particulars = {**BUYER, "legal_name": "Réseau SA", "vat_id": "FR40303265045", "country": "FRA"}
    Organisation.objects.filter(pk=invitation.partner.organisation_id).update(**particulars)
    make_seller(cpo_party_id="LPK")  # whom the network knows
    network.registration.register(platform, invitation.token_a)
    return Partner.objects.select_related("organisation").get(pk=invitation.partner.pk)


def issue(network: SimulatedPartner, name: str, session: str, **changes: Any) -> None:
    """The network has a CDR for us."""
    told = cdr(party_id="SIM", id=name, session_id=session, authorization_reference=None, **changes)
    with network.state.changing() as state:
        state.setdefault("cdrs", {})[name] = told
    network.pushes.add("cdr", name)


def findings(fleet: Organisation) -> dict[FindingKind, Finding]:
    report = reconcile(Books(fleet.pk, Side.PAYABLE, JANUARY), now=LATER)
    return {each.kind: each for each in report.findings if each.kind != FindingKind.RECORD_UNBOOKED}


def test_a_network_bills_a_fleet_which_finds_one_line_too_dear_until_a_credit_sets_it_right(
    network: SimulatedPartner, partner: Partner, fleet: Organisation
) -> None:
    issue(network, "C-A", "S-A")
    issue(network, "C-B", "S-B")
    told = network.invoices.invoice("R-1", ["C-A", "C-B"])
    announced = eventually(InvoiceReconciliationRecord.objects.first, deadline_s=PATIENCE_S)
    assert (announced.owner, announced.counterparty) == (partner.organisation, fleet)
    assert announced.owner_party == "FR*SIM"
    missing = findings(fleet)
    assert (set(missing), missing[FindingKind.INVOICE_MISSING].expected) == (
        {FindingKind.INVOICE_MISSING}, Decimal(80),
    )  # fmt: skip

    lines = tuple(InvoiceLineTold("Charging", name, Decimal(net)) for name, net in (("C-A", 40), ("C-B", 45)))
    invoice = InvoiceTold(
        sender=partner.organisation, sender_name="Réseau SA", number="R-1", issued_on=date(2030, 2, 3), month=JANUARY,
        currency="EUR", before_taxes=Decimal(85), taxes=Decimal(17), lines=lines,
    )  # fmt: skip
    enter_typed(recipient=fleet, told=invoice, actor=CLERK, now=LATER)
    different = findings(fleet)
    assert set(different) == {FindingKind.LINE_DIFFERS}
    assert different[FindingKind.LINE_DIFFERS].difference == Decimal(5)

    credit = {"credit": True, "credit_reference_id": "C-B", "total_cost": price(-40, -8)}
    issue(network, "C-B-C", "S-B", **credit)
    eventually(lambda: ChargeDetailRecord.objects.filter(code="C-B-C").exists(), deadline_s=PATIENCE_S)
    dearer = {"total_energy": 90, "total_cost": price(45, 9), "total_energy_cost": price(45, 9)}
    issue(network, "C-B2", "S-B", **dearer)
    eventually(lambda: ChargeDetailRecord.objects.filter(code="C-B2").exists(), deadline_s=PATIENCE_S)

    assert set(findings(fleet)) <= {FindingKind.TARIFF_DIFFERS}
    assert faults("InvoiceReconciliationRecord", told, "2.3.0", exact=True) == []


def test_a_network_reads_our_invoice_against_its_cdrs_and_writes_its_own_where_it_owes(
    network: SimulatedPartner, partner: Partner
) -> None:
    site = make_site(Organisation.objects.get(cpo_party_id="LPK"))
    charged = record(site, partner.organisation)
    bill_november(site.operator)
    with RunningSender():
        [first] = eventually(lambda: list(network.received.of(MODULE).values()), deadline_s=PATIENCE_S)
        reading = network.invoices.read(first)
        assert (first["invoice_id"], first["cdrs"]) == ("INV-2029-000001", [charged.code])
        assert (reading.unknown, reading.repeated, reading.total) == ([charged.code.upper()], [], 0)
        credit_of(charged)
        bill_november(site.operator, now=ISSUED.replace(day=4))
        eventually(lambda: len(network.received.of(MODULE)) == 2, deadline_s=PATIENCE_S)

    told = list(network.received.of(MODULE).values())
    assert {tuple(one["cdrs"]) for one in told} == {(charged.code,), (f"{charged.code}-C",)}
    assert [
        fault for one in told for fault in faults("InvoiceReconciliationRecord", one, "2.3.0", exact=True)
    ] == []
    to_us = network.invoices.invoice("SB-1", [charged.code])
    row = eventually(
        InvoiceReconciliationRecord.objects.filter(code=to_us["id"]).first, deadline_s=PATIENCE_S
    )
    assert (row.owner, row.counterparty, row.is_reverse) == (partner.organisation, site.operator, True)


def test_what_a_network_lost_is_found_by_asking_and_told_again_the_way_it_takes_it(
    network: SimulatedPartner, partner: Partner, clock: Any
) -> None:
    clock.move_to(ISSUED)
    site = make_site(Organisation.objects.get(cpo_party_id="LPK"))
    record(site, partner.organisation)
    bill_november(site.operator)
    with RunningSender():
        [first] = eventually(lambda: list(network.received.of(MODULE).values()), deadline_s=PATIENCE_S)
        row = partner.deliveries.get(kind="invoice_record")
        eventually(
            lambda: partner.deliveries.filter(pk=row.pk, next_try_at=None).exists(), deadline_s=PATIENCE_S
        )
        network.received.forget(MODULE, [first["country_code"], first["party_id"], first["id"]])
        found = [
            one for one in compare(partner_id=partner.pk, now=timezone.now()) if one.kind == "invoice_record"
        ]
        assert [(one.what, one.object_id) for one in found] == [("missing_there", row.object_id)]

        resync(partner_id=partner.pk, now=timezone.now())
        eventually(lambda: clock.shift(1) or network.received.of(MODULE), deadline_s=PATIENCE_S)

    assert list(network.received.of(MODULE).values()) == [first]
    sent = PartnerMessage.objects.filter(is_incoming=False, url__contains=MODULE, method__in=["POST", "PUT"])
    assert list(sent.order_by("pk").values_list("method", flat=True)) == ["POST", "PUT", "POST"]
