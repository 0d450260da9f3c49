"""Offers and bookings: ours for partners (we are the CPO), and ours at partners (we are the eMSP)."""

from __future__ import annotations

from typing import Any, Protocol

from bookings.models import Booking, BookingOption, BookingRequest
from roaming.mirror.values import ToldBooking, ToldOffer, ToldRequest
from roaming.models import Partner
from roaming.ocpi.style import Style
from roaming.ocpi.wire_object import Read
from roaming.published import PublishedOffer


class Bookings(Protocol):
    # We are the CPO: what a partner's Receiver gets

    def url(self, partner: Partner, booking: Booking, /) -> str:
        """Where a partner takes this booking; empty when it takes none."""

    def write(self, booking: Booking, style: Style, /) -> dict[str, Any]:
        """Raises ValueError for a booking that never goes on a wire."""

    def offer_url(self, partner: Partner, option: BookingOption, /) -> str: ...

    def write_offer(self, offer: PublishedOffer, style: Style, /) -> dict[str, Any]: ...

    # We are the eMSP: what a partner's Sender has

    def list_url(self, partner: Partner, /) -> str:
        """The list of our bookings there, and where requests are posted; empty when it offers none."""

    def offers_url(self, partner: Partner, code: str = "", /) -> str:
        """The list of its offers, or one of them."""

    def write_request(
        self, booking: Booking, request: BookingRequest, only_evse: str, style: Style, /
    ) -> dict[str, Any]:
        """A request of ours. `only_evse` is the uid of an offer that is one EVSE. Raises ValueError for a fleet without
        a party id."""

    def read_request(self, raw: dict[str, Any], /) -> ToldRequest | None:
        """What a message of ours said; None when it cannot be read."""

    def request_id_of(self, raw: Any, /) -> str:
        """The request id of a booking in a partner's list; empty when it has none."""

    def read_offer(self, partner: Partner, raw: Any, /) -> Read[ToldOffer]: ...

    def read(self, partner: Partner, raw: Any, /) -> Read[ToldBooking]: ...
