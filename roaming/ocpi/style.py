"""What a partner's switches change about what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field

from roaming.models import Partner
from roaming.switches import switch


@dataclass(frozen=True)
class Style:
    """Partners of one version and one style get the same bytes; the default is the newest of everything."""

    bookings_edition: str = "1.1"
    # Of 2.2.1, which has none of it: connectors of a kind that its list does not name, and fields of 2.3.0 and Bookings.
    shows_unlisted_connectors: bool = True
    shows_extensions: bool = True
    # Whether its help desk may have plugs unlocked.
    may_unlock: bool = False
    # Whether it has the Bookings module, whose words others do not know. No two get other offers for it: those go to who has it.
    knows_bookings: bool = field(default=True, compare=False)


NEWEST = Style()


def style_of(partner: Partner, version: str = "") -> Style:
    """Of the version agreed with a partner, or of another whose addresses it calls."""
    edition = "1.0" if switch(partner, "bookings_edition") == "1.0" else "1.1"
    may_unlock = bool(switch(partner, "may_unlock"))
    if (version or partner.version) != "2.2.1":
        return Style(edition, may_unlock=may_unlock, knows_bookings=_has_bookings(partner))
    mcs = switch(partner, "mcs_under_2_2_1")
    shows_mcs = mcs == "raw" or (mcs == "auto" and _books_under_2_2_1(partner))
    return Style(edition, shows_mcs, bool(switch(partner, "extensions_under_2_2_1")), may_unlock)


def _has_bookings(partner: Partner) -> bool:
    return any(partner.endpoint("bookings", role) for role in ("RECEIVER", "SENDER"))


def _books_under_2_2_1(partner: Partner) -> bool:
    """Agreed to by both: a partner without such an interface may refuse what its version has no name for."""
    return bool(switch(partner, "bookings_under_2_2_1") and partner.endpoint("Booking", "RECEIVER"))
