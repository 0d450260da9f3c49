"""What the core asks of a version of OCPI, and the versions there are (decision 0047).

A version is a folder of modules; its `dialect.py` fulfils `Dialect`, with a group for each module (roaming/ocpi/modules).
Nothing else outside that folder imports from it: the core asks `dialect_of(partner)`. Versions that share an object share
its code: the newest is the base, an older one imports what is equal and writes down what is not.
"""

from __future__ import annotations

from typing import Protocol, cast

from roaming.models import Partner
from roaming.ocpi.modules.bookings import Bookings
from roaming.ocpi.modules.cdrs import Cdrs
from roaming.ocpi.modules.charging_profiles import ChargingProfiles
from roaming.ocpi.modules.commands import Commands
from roaming.ocpi.modules.hub_clients import HubClients
from roaming.ocpi.modules.invoice_records import InvoiceRecords
from roaming.ocpi.modules.locations import Locations
from roaming.ocpi.modules.registration import Registration
from roaming.ocpi.modules.sessions import Sessions
from roaming.ocpi.modules.tariffs import Tariffs
from roaming.ocpi.modules.tokens import Tokens


class Dialect(Protocol):
    """A version of OCPI."""

    VERSION: str

    registration: Registration

    locations: Locations

    tariffs: Tariffs

    tokens: Tokens

    bookings: Bookings

    sessions: Sessions

    cdrs: Cdrs

    commands: Commands

    charging_profiles: ChargingProfiles

    hub_clients: HubClients

    invoice_records: InvoiceRecords


def dialect_of(partner: Partner) -> Dialect:
    """The version agreed with a partner; before there is one, and for one we do not speak any more, the best of ours."""
    return DIALECTS.get(partner.version, next(iter(DIALECTS.values())))


def _dialects() -> dict[str, Dialect]:
    from roaming.ocpi.v2_2_1 import dialect as v2_2_1
    from roaming.ocpi.v2_3_0 import dialect as v2_3_0

    return {dialect.VERSION: cast("Dialect", dialect) for dialect in (v2_3_0, v2_2_1)}


DIALECTS = _dialects()  # best first
