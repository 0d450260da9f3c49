"""Book the trucks of a scripted day, let it happen, and say which bookings were honoured."""

from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils import timezone

from config import addresses
from config.management.booked_day import book_trips, outcomes, rate
from config.management.operator_command import OperatorCommand
from simulators.charger import command_line
from simulators.charger.charger_file import UnreadableFile
from simulators.charger.day_script import read_day


class Command(OperatorCommand):
    help = (
        "Book the trucks of a scripted day at a running Berth, simulate its chargers, and print of each truck what it got and "
        "where its booking's story stands, and at last how many bookings were honoured."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("script", type=Path, metavar="DAY.json", help="as for simulate_chargers --script")
        parser.add_argument("--url", help="the gateway, without an identity (default: that of BERTH_OCPP)")

    def handle(self, *args: Any, script: Path, url: str | None, **options: Any) -> None:
        now = timezone.now()
        try:
            day = read_day(
                script, (url or f"ws://{addresses.reachable(settings.BERTH_OCPP)}/ocpp").rstrip("/")
            )
        except UnreadableFile as error:
            raise CommandError(str(error)) from None
        trips = book_trips(day, now, now=now)
        days = command_line.live(replace(day, begins_at=now))  # Berth goes by the same clock as everybody
        for line in outcomes(trips, days):
            self.say(line)
        self.say(rate(trips))
