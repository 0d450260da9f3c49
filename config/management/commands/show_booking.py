"""Show a booking with its history and what partners have got of it."""

from argparse import ArgumentParser
from typing import Any

from bookings.api.bookings import booking_by_any_id
from config.management.booking_command import BookingCommand, add_id


class Command(BookingCommand):
    help = "Print a booking: status, enforcement, period, tokens, history and deliveries."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_id(parser)

    def handle(self, *args: Any, id: str, **options: Any) -> None:
        self.say_booking(booking_by_any_id(id.strip()))
