"""Invoices between us and a partner: what it tells of its own, and how it is billed here."""

from __future__ import annotations

from typing import Any

from depots.models import Organisation
from roaming.models import Partner
from tests.bookings.billing.billed import BUYER
from tests.roaming.partners import make_partner

RECORDS = "/ocpi/2.3.0/invoicereconciliation"
AGREED = {"invoice_records_under_2_2_1": True}


def invoicing_partner(*roles: str, party_id: str = "CPO", **fields: Any) -> Partner:
    """FR*CPO in these roles, which can be named on invoices."""
    named = [{"role": role, "country_code": "FR", "party_id": party_id, "name": "Network"} for role in roles]
    partner = make_partner(party_id, country_code="FR", roles=named, **{"switches": AGREED, **fields})
    particulars = {**BUYER, "legal_name": "Réseau SA", "vat_id": "FR40303265045", "country": "FRA"}
    Organisation.objects.filter(pk=partner.organisation_id).update(**particulars)
    partner.organisation.refresh_from_db()
    return partner


def told_record(*cdrs: Any, **changes: Any) -> dict[str, Any]:
    body = {
        "country_code": "FR", "party_id": "CPO", "id": "IR-1", "invoice_id": "R-1", "cdrs": list(cdrs) or ["CDR-1"],
        "last_updated": "2029-12-03T09:00:00Z", "x_colour": "blue",
    }  # fmt: skip
    return {name: value for name, value in {**body, **changes}.items() if value is not None}


def endpoints_at(url: str) -> list[dict[str, str]]:
    return [
        {"identifier": "invoicereconciliation", "role": role, "url": f"{url}/invoices"}
        for role in ("SENDER", "RECEIVER")
    ]
