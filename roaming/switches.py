"""A partner's quirks: what is done differently for it. Kept in `Partner.switches`; absent means the default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from roaming.models import Partner


@dataclass(frozen=True)
class Switch:
    """`words` tell a person what it does. Without `choices` it is on or off, or a text where the default is one.

    `setting` names the setting of this installation that has the default.
    """

    name: str
    default: Any
    words: str
    choices: tuple[str, ...] = ()
    setting: str = ""

    @property
    def value(self) -> Any:
        """What holds for a partner that has it not set."""
        return getattr(settings, self.setting) if self.setting else self.default


SWITCHES = {
    one.name: one
    for one in (
        Switch(
            "booking_identifiers",
            "both",
            "Names of the Bookings module in our version details",
            ("both", "Booking", "bookings"),
        ),
        Switch(
            "booking_custom_identifier",
            "",
            "Name of the Bookings module agreed with this partner, in place of those, such as nlabc-bookings",
        ),
        Switch(
            "reading",
            "lenient",
            "How what it sends us is read; strict: whatever is not to the letter of OCPI gets 2001, with its name",
            ("lenient", "strict"),
        ),
        Switch("raw_token", False, "Send the token as it is in the Authorization header, not in base64"),
        Switch(
            "timeslot_power_unit",
            "auto",
            "Unit of the partner's timeslot powers; auto: all below 5,000 means kW",
            ("auto", "W", "kW"),
        ),
        Switch(
            "booking_path_id",
            "id",
            "What names a booking in the address we send it to",
            ("id", "request_id"),
        ),
        Switch(
            "hub_party_id", "", "The partner is a hub: it speaks for parties that are not among its roles"
        ),
        Switch(
            "token_check",
            "may",
            "Whether the partner asks us before a token of ours charges there (OCPI: ALWAYS, ALLOWED, ALLOWED_OFFLINE, NEVER)",
            ("never", "may", "should", "must"),
        ),
        Switch(
            "asked_about_unknown_tokens",
            "auto",
            "Ask the partner about cards nobody here knows; auto: where it has told us of no tokens",
            ("auto", "always", "never"),
        ),
        Switch(
            "may_unlock",
            False,
            "Let the partner's help desk unlock plugs where nobody else charges",
        ),
        Switch(
            "reserve_now",
            False,
            "Book EVSEs of a partner without Bookings by best effort: RESERVE_NOW shortly before the start",
        ),
        Switch("nightly_resync", True, "Tell and read everything again every night, not only what changed"),
        Switch("monthly_rotation", True, "Change both tokens every month, by a PUT of our credentials"),
        Switch(
            "bookings_edition",
            "auto",
            "Edition of Bookings we send; auto: 1.1, until a person decides otherwise",
            ("auto", "1.0", "1.1"),
        ),
        Switch(
            "bookings_under_2_2_1",
            False,
            "Offer Bookings under OCPI 2.2.1, as a module agreed with this partner",
            setting="BERTH_BOOKINGS_UNDER_2_2_1",
        ),
        Switch(
            "extensions_under_2_2_1",
            False,
            "Send parking places, booking ids and prices of bookings under OCPI 2.2.1, which does not know them",
        ),
        Switch(
            "invoice_records_under_2_2_1",
            False,
            "Exchange invoice reconciliation records under OCPI 2.2.1, as a module agreed with this partner",
        ),
        Switch(
            "reverse_billing",
            "no",
            "Where who charged writes the invoice (reverse billing): at our depots the partner, at the partner's our fleets; no: "
            "whose depot it is",
            ("no", "at_ours", "at_theirs", "both"),
        ),
        Switch(
            "mcs_under_2_2_1",
            "auto",
            "Connectors that OCPI 2.2.1 has no name for (MCS); auto: shown where Bookings are agreed",
            ("auto", "raw", "hidden"),
        ),
    )
}


def switch(partner: Partner, name: str) -> Any:
    """The setting of one quirk. Raises KeyError for a name that is none."""
    kept = partner.switches.get(name)
    return SWITCHES[name].value if kept is None else kept
