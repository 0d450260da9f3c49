"""What the core asks of a version of OCPI, and the versions there are (decision 0047).

A version is a folder of modules; its `dialect.py` fulfils `Dialect`. Nothing else outside that folder imports from it: the
core asks `dialect_of(partner)`. Versions that share an object share its code: the newest is the base, an older one
imports what is equal and writes down what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from bookings.models import Booking, BookingOption, BookingRequest, ChargeDetailRecord
from bookings.pricing.tariff_content import TariffContent
from roaming.mirror.values import ToldBooking, ToldOffer, ToldPlace, ToldRequest
from roaming.models import Partner
from roaming.ocpi.party_credentials import Endpoint, PartyCredentials
from roaming.ocpi.wire_object import Read
from roaming.published import PublishedOffer


class Dialect(Protocol):
    """A version of OCPI. `read_*` raise UnreadableError and name what they forgave in `Read.deviations`."""

    VERSION: str

    # Registration

    def endpoints(self, partner: Partner, /) -> list[Endpoint]:
        """What is offered to a partner in this version."""

    def write_endpoints(self, partner: Partner, /) -> dict[str, Any]:
        """The version details with them."""

    def read_endpoints(self, raw: Any, /) -> list[Endpoint]:
        """A partner's version details; what cannot be read is left out."""

    def write_credentials(self, ours: PartyCredentials, /) -> dict[str, Any]: ...

    def read_credentials(self, raw: Any, /) -> Read[PartyCredentials]: ...

    # We are the CPO: what a partner's Receiver gets

    def booking_url(self, partner: Partner, booking: Booking, /) -> str:
        """Where a partner takes this booking; empty when it takes none."""

    def write_booking(self, booking: Booking, /) -> dict[str, Any]:
        """Raises ValueError for a booking that never goes on a wire."""

    def write_cdr(self, cdr: ChargeDetailRecord, contents: Mapping[int, TariffContent], /) -> dict[str, Any]:
        """A record as `bookings.billing.cdr_lookup.with_all` reads it; `contents` of its versions of tariffs by id."""

    def offer_url(self, partner: Partner, option: BookingOption, /) -> str: ...

    def write_offer(self, offer: PublishedOffer, /) -> dict[str, Any]: ...

    # We are the eMSP: what a partner's Sender has

    def places_url(self, partner: Partner, /) -> str:
        """The list of a partner's depots; empty when it offers none."""

    def offers_url(self, partner: Partner, code: str = "", /) -> str:
        """The list of its offers, or one of them."""

    def bookings_url(self, partner: Partner, /) -> str:
        """The list of our bookings there, and where requests are posted."""

    def write_request(self, booking: Booking, request: BookingRequest, only_evse: str, /) -> dict[str, Any]:
        """A request of ours. `only_evse` is the uid of an offer that is one EVSE. Raises ValueError for a fleet without
        a party id."""

    def read_request(self, raw: dict[str, Any], /) -> ToldRequest | None:
        """What a message of ours said; None when it cannot be read."""

    def request_id_of(self, raw: Any, /) -> str:
        """The request id of a booking in a partner's list; empty when it has none."""

    def read_place(self, raw: Any, /) -> Read[ToldPlace]: ...

    def read_offer(self, partner: Partner, raw: Any, /) -> Read[ToldOffer]: ...

    def read_booking(self, partner: Partner, raw: Any, /) -> Read[ToldBooking]: ...


def dialect_of(partner: Partner) -> Dialect:
    """The version agreed with a partner; before there is one, and for one we do not speak any more, the best of ours."""
    return DIALECTS.get(partner.version, next(iter(DIALECTS.values())))


def _dialects() -> dict[str, Dialect]:
    from roaming.ocpi.v2_3_0 import dialect as v2_3_0

    return {dialect.VERSION: cast("Dialect", dialect) for dialect in (v2_3_0,)}


DIALECTS = _dialects()  # best first
