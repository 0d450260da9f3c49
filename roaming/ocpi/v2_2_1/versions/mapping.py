"""What is offered in OCPI 2.2.1: its list of modules is closed, so what it has not goes to those who agreed to it."""

from __future__ import annotations

from typing import Any

from roaming.models import Partner
from roaming.ocpi.party_credentials import Endpoint
from roaming.ocpi.v2_3_0.versions.mapping import (
    booking_endpoints,
    core_endpoints,
    hub_endpoints,
    invoice_record_endpoints,
    version_details,
)
from roaming.switches import switch

VERSION = "2.2.1"


def endpoints(partner: Partner) -> list[Endpoint]:
    agreed = booking_endpoints(partner, VERSION) if switch(partner, "bookings_under_2_2_1") else []
    if switch(partner, "invoice_records_under_2_2_1"):
        agreed += invoice_record_endpoints(VERSION)
    return [*core_endpoints(VERSION), *hub_endpoints(partner, VERSION), *agreed]


def write_endpoints(partner: Partner) -> dict[str, Any]:
    return version_details(VERSION, endpoints(partner))
