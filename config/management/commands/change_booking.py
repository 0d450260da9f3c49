"""Change the time or the EVSE of a booking, as its fleet; of one that charges, the end."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from bookings.actors import COMMAND
from bookings.api.bookings import booking_by_any_id
from bookings.errors import EndsBeforeStart
from bookings.models import Booking
from bookings.operations import ChangeRequest, change_booking
from config.management.booking_command import (
    TIME_HELP,
    BookingCommand,
    add_energy,
    add_id,
    add_version,
    evse_of,
    read_energy,
    read_option,
    trailer_of,
)
from depots.models import Evse


class Command(BookingCommand):
    help = "Change a booking as its fleet does, within the deadlines of its terms; prints the booking."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)
        add_version(parser)
        parser.add_argument("--start", metavar="T", help=TIME_HELP)
        parser.add_argument("--end", metavar="T")
        parser.add_argument(
            "--evse",
            metavar="UID",
            help="another EVSE of what is booked, or as the depot moves it, of the depot",
        )

        parser.add_argument("--trailer", metavar="PLATE", help="the trailer it comes with; - for none")
        add_energy(parser)

    def handle(
        self, *args: Any, id: str, start: str | None, end: str | None, evse: str | None, **options: Any
    ) -> None:
        energy, plate = read_energy(options), options["trailer"]
        if all(given is None for given in (start, end, evse, energy, plate)):
            raise CommandError("Give at least one of --start, --end and --evse.", returncode=2)
        booking = booking_by_any_id(id.strip())
        place, by = _place(booking, evse)
        zone = booking.depot.zone
        try:
            request = ChangeRequest(
                starts_at=read_option("start", start, zone) if start is not None else None,
                ends_at=read_option("end", end, zone) if end is not None else None,
                evse=place,
                energy=energy,
                ends_when_charged=energy is not None and end is None,
                trailer=trailer_of(booking.fleet, plate) if plate != "-" else None,
                drops_trailer=plate == "-",
            )
            seen_version, now = options["seen_version"], timezone.now()
            changed = change_booking(
                booking.pk, request, by=by, seen_version=seen_version, actor=COMMAND, now=now
            )
        except EndsBeforeStart:
            at_fault = f"--end: {end}" if end is not None else f"--start: {start}"
            raise CommandError(f"{at_fault} would let the booking end before it starts.") from None
        self.say_booking(changed)


def _place(booking: Booking, uid: str | None) -> tuple[Evse | None, str]:
    """The EVSE that is asked for, and whose change that is: outside what was booked only the depot can give it.

    Raises CommandError.
    """
    if (
        uid is not None
        and booking.is_ours
        and not booking.option.evses.filter(uid__iexact=uid.strip()).exists()
    ):
        elsewhere = booking.depot.evses.filter(uid__iexact=uid.strip(), is_withdrawn=False).first()
        if elsewhere is not None:
            return elsewhere, Booking.Side.DEPOT
    return evse_of(booking.option, uid), Booking.Side.FLEET
