"""Which CDRs an invoice is about: what partners tell, and what they may read (ocpi.md 5.10), in both versions."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bookings.billing.reconciliation.books import Books, Side
from bookings.billing.reconciliation.findings import FindingKind
from bookings.billing.reconciliation.report import reconcile
from bookings.models import ChargeDetailRecord, InvoiceReconciliationRecord
from conformance.specification import faults
from depots.models import Organisation
from roaming.mirror.partner_invoice_records import match_waiting
from roaming.models import Partner, PartnerObject
from tests.bookings.billing.billed import (
    ISSUED,
    NOVEMBER,
    bill_november,
    credit_of,
    make_buyer,
    make_seller,
    make_site,
    record,
)
from tests.factories import make_depot
from tests.roaming.invoicing import RECORDS, invoicing_partner, told_record
from tests.roaming.partners import VERSIONS, Caller, code, data, keep_listed, pages

pytestmark = pytest.mark.django_db
Kind = FindingKind
ONE = f"{RECORDS}/FR/CPO/IR-1"


@pytest.fixture(params=VERSIONS)
def partner(request: pytest.FixtureRequest) -> Partner:
    return invoicing_partner("CPO", version=request.param)


@pytest.fixture
def newest() -> Partner:
    return invoicing_partner("CPO")


@pytest.fixture
def fleet() -> Organisation:
    return make_buyer(emsp_party_id="NFE")


def charged(
    partner: Partner, fleet: Organisation, number: str = "CDR-1", **fields: Any
) -> ChargeDetailRecord:
    depot = make_depot(partner.organisation, is_mirror=True, country="FRA", time_zone="Europe/Paris")
    return record(depot, fleet, code=number, number=None, received={"id": number}, **fields)


def told() -> InvoiceReconciliationRecord:
    return InvoiceReconciliationRecord.objects.get()


def found(fleet: Organisation, side: Side = Side.PAYABLE) -> set[FindingKind]:
    report = reconcile(Books(fleet.pk, side, NOVEMBER), now=ISSUED)
    return {finding.kind for finding in report.findings}


def test_a_new_record_is_kept_once_and_concerns_whose_cdrs_it_names(
    partner: Partner, fleet: Organisation
) -> None:
    caller = Caller(partner)
    charged(partner, fleet)

    assert code(caller.post(RECORDS, told_record())) == (201, 1000)
    assert code(caller.post(RECORDS, told_record(last_updated="2029-12-04T09:00:00Z"))) == (200, 1000)

    row = told()
    assert (row.owner, row.counterparty, row.is_reverse) == (partner.organisation, fleet, False)
    assert (row.owner_party, row.invoice_number, row.cdr_codes) == ("FR*CPO", "R-1", ["CDR-1"])
    assert data(caller.get(ONE.lower()))["x_colour"] == "blue"
    assert found(fleet) == {Kind.INVOICE_MISSING}
    assert partner.deviations == {}


def test_what_is_known_is_corrected_by_put_alone_and_never_by_what_is_older(
    newest: Partner, fleet: Organisation
) -> None:
    caller = Caller(newest)
    caller.post(RECORDS, told_record())

    refused = caller.post(RECORDS, told_record("CDR-1", "CDR-2"))
    assert code(refused) == (200, 2001)
    assert refused.json()["status_message"].startswith("id")
    assert code(caller.send("PUT", ONE, told_record("CDR-1", "CDR-2"))) == (200, 1000)
    assert code(caller.send("PUT", ONE, told_record(last_updated="2029-12-01T00:00:00Z"))) == (200, 1000)
    assert data(caller.get(ONE))["cdrs"] == ["CDR-1", "CDR-2"]
    assert code(caller.send("PUT", f"{RECORDS}/FR/CPO/IR-2", told_record(id="IR-2"))) == (201, 1000)


def test_what_was_an_error_is_deleted_and_may_be_told_again(newest: Partner, fleet: Organisation) -> None:
    caller = Caller(newest)
    charged(newest, fleet)
    caller.post(RECORDS, told_record())

    assert code(caller.send("DELETE", ONE)) == (200, 1000)

    assert told().is_withdrawn
    assert code(caller.get(ONE)) == (404, 2000)
    assert code(caller.send("DELETE", ONE)) == (404, 2000)
    assert code(caller.post(RECORDS, told_record("CDR-1", invoice_id="R-2"))) == (201, 1000)
    assert (told().is_withdrawn, told().invoice_number) == (False, "R-2")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cdrs": []}, "cdrs"),
        ({"cdrs": ["CDR-1", {"x": 1}]}, "cdrs.1"),
        ({"cdrs": ["x" * 65]}, "cdrs.0"),
        ({"cdrs": ["CDR"] * 30_001}, "cdrs"),
        ({"invoice_id": None}, "invoice_id"),
        ({"invoice_id": "x" * 256}, "invoice_id"),
        ({"id": "\x07"}, "id"),
        ({"last_updated": "yesterday"}, "last_updated"),
        ({"party_id": "OTH"}, "party_id"),
    ],
)
def test_one_that_cannot_be_read_as_a_whole_is_refused_by_field_and_changes_nothing(
    newest: Partner, changes: dict[str, Any], field: str
) -> None:
    answer = Caller(newest).post(RECORDS, {**told_record(), **changes})

    assert code(answer) == (200, 2001)
    assert answer.json()["status_message"].startswith(f"{field}:")
    assert not PartnerObject.objects.exists()


def test_what_is_clear_is_taken_and_counted(newest: Partner, fleet: Organisation) -> None:
    charged(newest, fleet)

    Caller(newest).post(RECORDS, told_record({"id": "cdr-1"}, 7, "7"))

    assert told().cdr_codes == ["cdr-1", "7", "7"]
    assert set(newest.deviations) == {
        "invoice_record.cdrs.objects", "text.number_instead", "invoice_record.cdr_unknown", "invoice_record.cdr_repeated",
    }  # fmt: skip


def test_paths_of_others_and_methods_that_there_are_not(newest: Partner) -> None:
    caller = Caller(newest)
    caller.post(RECORDS, told_record())

    assert code(caller.get(f"{RECORDS}/FR/OTH/IR-1"))[0] == 404
    assert code(caller.send("PATCH", ONE, {})) == (405, 2000)
    assert code(caller.post(ONE, told_record())) == (405, 2000)
    assert code(caller.send("PUT", RECORDS, told_record())) == (405, 2000)
    assert code(caller.send("PUT", f"{RECORDS}/FR/CPO/IR-9", told_record())) == (200, 2001)
    nobody = {"OCPI-to-country-code": "XX", "OCPI-to-party-id": "XXX"}
    assert code(caller.post(RECORDS, told_record(id="IR-3"), **nobody)) == (404, 2001)


def test_one_of_nobody_here_waits_until_a_cdr_of_it_comes(newest: Partner, fleet: Organisation) -> None:
    Caller(newest).post(RECORDS, told_record("CDR-0", "cdr-1"))
    kept = PartnerObject.objects.get()
    assert kept.is_unmatched
    assert not InvoiceReconciliationRecord.objects.exists()

    charged(newest, fleet)
    match_waiting(newest, ("fr", "TWO"), "CDR-1")
    kept.refresh_from_db()
    assert kept.is_unmatched, "another party's record of that id"
    match_waiting(newest, ("FR", "CPO"), "CDR-1")

    kept.refresh_from_db()
    assert not kept.is_unmatched
    assert told().counterparty == fleet


def test_who_is_addressed_is_whom_it_concerns(newest: Partner, fleet: Organisation) -> None:
    to = {"OCPI-to-country-code": fleet.country_code, "OCPI-to-party-id": "nfe"}

    Caller(newest).post(RECORDS, told_record(), **to)

    assert told().counterparty == fleet


def test_two_parties_of_a_partner_may_use_the_same_id(fleet: Organisation) -> None:
    partner = invoicing_partner("CPO")
    partner.roles.append({**partner.roles[0], "party_id": "TWO"})
    partner.save()
    other = make_buyer("Alpentrans", emsp_party_id="ALP")
    charged(partner, fleet)
    charged(partner, other, place={"country_code": "FR", "party_id": "TWO"})

    for party in ("CPO", "TWO"):
        assert code(Caller(partner).post(RECORDS, told_record(party_id=party))) == (201, 1000)

    rows = InvoiceReconciliationRecord.objects.order_by("owner_party")
    assert [(row.owner_party, row.counterparty) for row in rows] == [("FR*CPO", fleet), ("FR*TWO", other)]


@pytest.mark.parametrize("roles", [("EMSP",), ("CPO", "EMSP")])
def test_a_partner_that_writes_what_it_owes_names_our_records(roles: tuple[str, ...]) -> None:
    partner, site = invoicing_partner(*roles), make_site()
    cdr = record(site, partner.organisation)

    assert code(Caller(partner).post(RECORDS, told_record(cdr.code))) == (201, 1000)

    row = told()
    assert (row.owner, row.counterparty, row.is_reverse) == (partner.organisation, site.operator, True)
    assert found(site.operator, Side.RECEIVABLE) == {Kind.INVOICE_MISSING}
    assert found(site.operator) == set()


def test_a_list_that_is_read_whole_takes_back_what_it_does_not_have_any_more(
    newest: Partner, fleet: Organisation
) -> None:
    charged(newest, fleet)
    Caller(newest).post(RECORDS, told_record())

    keep_listed(
        newest,
        "invoice_record",
        told_record(),
        told_record(id="IR-2"),
        told_record(id="IR-3", party_id="OTH"),
    )

    codes = InvoiceReconciliationRecord.objects.values_list("code", flat=True)
    assert set(codes) == {"IR-1", "IR-2"}
    assert newest.deviations == {"invoice_record.of_another_party": 1}


def test_one_of_nobody_here_goes_on_waiting_where_no_list_has_it(
    newest: Partner, fleet: Organisation
) -> None:
    Caller(newest).post(RECORDS, told_record("CDR-UNKNOWN"))

    keep_listed(newest, "invoice_record")

    assert PartnerObject.objects.get(kind="invoice_record").is_unmatched


def test_one_that_is_corrected_to_cdrs_that_are_not_here_concerns_who_it_did(
    newest: Partner, fleet: Organisation
) -> None:
    charged(newest, fleet)
    Caller(newest).post(RECORDS, told_record())

    later = told_record("CDR-UNKNOWN", last_updated="2029-12-04T09:00:00Z")
    assert code(Caller(newest).send("PUT", ONE, later)) == (200, 1000)

    row = InvoiceReconciliationRecord.objects.get()
    assert (row.counterparty, row.cdr_codes) == (fleet, ["CDR-UNKNOWN"])
    assert not PartnerObject.objects.get(kind="invoice_record").is_unmatched


def test_an_invoice_of_ours_is_told_to_the_partner_it_concerns_and_to_nobody_else() -> None:
    partner, other, site = invoicing_partner("EMSP"), invoicing_partner("EMSP", party_id="OTH"), make_site()
    cdr = record(site, partner.organisation)
    bill_november(site.operator)
    credit_of(cdr)
    bill_november(site.operator, now=ISSUED.replace(day=4))
    own, credited = InvoiceReconciliationRecord.objects.order_by("pk")

    caller = Caller(partner)
    listed = data(caller.get(RECORDS))

    assert [(one["invoice_id"], one["cdrs"]) for one in listed] == [
        ("INV-2029-000001", [cdr.code]), ("CN-2029-000001", [f"{cdr.code}-C"]),
    ]  # fmt: skip
    assert [
        fault for one in listed for fault in faults("InvoiceReconciliationRecord", one, "2.3.0", exact=True)
    ] == []
    operator = site.operator
    assert (listed[0]["country_code"], listed[0]["party_id"]) == (
        operator.country_code,
        operator.cpo_party_id,
    )
    assert data(caller.get(f"{RECORDS}/{own.code}")) == listed[0]
    assert [one["id"] for one in data(caller.get(RECORDS, {"date_from": "2029-12-04T09:00:00Z"}))] == [
        credited.code
    ]
    assert [one["id"] for one in data(caller.get(RECORDS, {"date_to": "2029-12-04T09:00:00Z"}))] == [own.code]
    assert len(list(pages(caller, RECORDS, {"limit": 1}))) == 2
    assert data(Caller(other).get(RECORDS)) == []
    assert code(Caller(other).get(f"{RECORDS}/{own.code}")) == (404, 2000)
    to = {"OCPI-to-country-code": operator.country_code, "OCPI-to-party-id": operator.cpo_party_id}
    assert len(data(caller.get(RECORDS, **to))) == 2


def test_a_page_costs_as_many_queries_for_many_records_as_for_one() -> None:
    partner = invoicing_partner("EMSP")
    caller = Caller(partner)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            data(caller.get(RECORDS))
        return len(seen)

    def bill_one(name: str) -> None:
        site = make_site(make_seller(name))
        record(site, partner.organisation)
        bill_november(site.operator)

    bill_one("A")
    few = queries()
    for name in "BCD":
        bill_one(name)

    assert queries() == few


def test_under_2_2_1_it_is_a_module_two_sides_agree_on() -> None:
    partner = invoicing_partner("CPO", version="2.2.1", switches={})
    caller = Caller(partner)

    def offered() -> set[str]:
        endpoints = data(caller.get("/ocpi/2.2.1"))["endpoints"]
        return {one["role"] for one in endpoints if one["identifier"] == "invoicereconciliation"}

    assert offered() == set()
    assert code(caller.get(RECORDS)) == (404, 2000)
    partner.switches = {"invoice_records_under_2_2_1": True}
    partner.save()

    assert offered() == {"SENDER", "RECEIVER"}
    assert data(caller.get(RECORDS)) == []
