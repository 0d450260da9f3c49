"""What the commands about one booking share: finding it, reading times, and the object they print."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import CommandError, CommandParser

from bookings.api.bookings import booking_by_any_id, describe_booking
from bookings.models import Booking, BookingOption, Trailer
from bookings.rules.charging_duration import EnergyAsked
from config.management.operator_command import OperatorCommand
from depots.models import Evse, Organisation
from depots.periods import Period
from depots.wall_clock import MomentUnclear, read_moment
from roaming.queries import deliveries_of

TIME_HELP = "2026-12-01T10:00+01:00, or without offset as the clock at the depot shows it"
ID_HELP = "the booking's id, its reference, or its OCPI id"


class BookingCommand(OperatorCommand):
    """Prints a booking as `show_booking` does."""

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        # Django's own --version tells Django's; here it is the booking's.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **options)

    def say_booking(self, booking: Booking) -> None:
        # Read again: the operation's object may hold related rows as they were before it.
        fresh = booking_by_any_id(str(booking.pk))
        self.say({**describe_booking(fresh), "deliveries": deliveries_of(fresh)})


def add_id(parser: Any) -> None:
    parser.add_argument("id", metavar="ID", help=ID_HELP)


def add_version(parser: Any) -> None:
    parser.add_argument(
        "--version",
        dest="seen_version",
        type=_version,
        metavar="N",
        help="the version that was looked at; refused when the same was changed since. Without it: the latest",
    )


def add_energy(parser: Any) -> None:
    parser.add_argument("--energy-kwh", metavar="N", help="what is to be charged")
    parser.add_argument("--soc-from", type=int, metavar="PERCENT", help="the state of charge it comes with")
    parser.add_argument("--soc-to", type=int, metavar="PERCENT", help="the one it is to leave with")


def read_energy(options: dict[str, Any]) -> EnergyAsked | None:
    """None where none is asked for. Raises CommandError, or EnergyImpossible."""
    asked = EnergyAsked(
        energy_wh=_read_thousands(options["energy_kwh"], "energy-kwh", "kilowatt-hours"),
        soc_from=options["soc_from"],
        soc_to=options["soc_to"],
    )
    return asked.checked() if asked else None


def read_period(start: str, end: str, zone: ZoneInfo) -> Period:
    """Raises CommandError naming the option at fault."""
    starts_at, ends_at = read_option("start", start, zone), read_option("end", end, zone)
    if ends_at <= starts_at:
        raise CommandError(f"--end: {end} is not after --start {start}.")
    return Period(starts_at, ends_at)


def read_option(name: str, text: str, zone: ZoneInfo) -> Any:
    """The moment an option names. Raises CommandError."""
    try:
        return read_moment(text, zone)
    except MomentUnclear as unclear:
        raise CommandError(f"--{name}: {unclear}") from None


def read_power(text: str | None, *, option: str = "power-kw") -> int | None:
    """Watts of an option in kW. Raises CommandError."""
    return _read_thousands(text, option, "kilowatts")


def _read_thousands(text: str | None, option: str, unit: str) -> int | None:
    if text is None:
        return None
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0.001 <= amount <= 100_000:
        raise CommandError(f"--{option}: {text} is not a number of {unit} above 0.")
    return round(amount * 1000)


def _version(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text)):
        raise ArgumentTypeError(f"{text} is no version of a booking")
    return int(text)


def evse_of(option: BookingOption, uid: str | None) -> Evse | None:
    """The EVSE of the option that `--evse` names. Raises CommandError."""
    if uid is None:
        return None
    evse = option.evses.filter(uid__iexact=uid.strip()).first()
    if evse is None:
        raise CommandError(f"--evse: {uid} is no EVSE of the booking option {option.code}.")
    return evse


def trailer_of(fleet: Organisation, plate: str | None) -> Trailer | None:
    """The trailer of the fleet that `--trailer` names. Raises CommandError."""
    if plate is None:
        return None
    trailer = Trailer.objects.filter(fleet=fleet, plate_key=plate, is_retired=False).first()
    if trailer is None:
        raise CommandError(f"--trailer: there is no trailer {plate} of {fleet}.")
    return trailer
