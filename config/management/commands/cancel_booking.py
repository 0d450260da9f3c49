"""Cancel a booking, as its fleet or as the depot."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from bookings.actors import COMMAND
from bookings.api.bookings import booking_by_any_id
from bookings.models import Booking
from bookings.operations import cancel_booking
from config.management.booking_command import BookingCommand, add_id, add_version


class Command(BookingCommand):
    help = "Cancel a booking; prints it. The fleet is bound by its deadline, the depot is not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)
        add_version(parser)
        parser.add_argument(
            "--reason", required=True, metavar="REASON", help="an OCPI name: TRAFFIC, BROKEN_CHARGER, …"
        )
        parser.add_argument("--by", choices=Booking.Side.values, default=Booking.Side.FLEET.value)

    def handle(self, *args: Any, id: str, reason: str, by: str, **options: Any) -> None:
        booking = booking_by_any_id(id.strip())
        cancelled = cancel_booking(
            booking_id=booking.pk, reason=reason.strip().upper(), by=by,
            seen_version=options["seen_version"], actor=COMMAND, now=timezone.now(),
        )  # fmt: skip
        self.say_booking(cancelled)
