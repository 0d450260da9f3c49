"""Answer a request that waits for the depot's approval."""

from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from bookings.actors import COMMAND
from bookings.api.bookings import booking_by_any_id
from bookings.operations import decide
from config.management.booking_command import BookingCommand, add_id, add_version


class Command(BookingCommand):
    help = "The depot's answer to a booking or change that waits for approval; prints the booking."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)
        add_version(parser)
        answer = parser.add_mutually_exclusive_group(required=True)
        answer.add_argument("--accept", action="store_true")
        answer.add_argument("--decline", action="store_true")
        parser.add_argument("--reason", default="", metavar="TEXT", help="what the fleet or partner is told")

    def handle(self, *args: Any, id: str, accept: bool, reason: str, **options: Any) -> None:
        booking = booking_by_any_id(id.strip())
        decided = decide(
            booking_id=booking.pk, accept=accept, reason=reason.strip(),
            seen_version=options["seen_version"], actor=COMMAND, now=timezone.now(),
        )  # fmt: skip
        self.say_booking(decided)
