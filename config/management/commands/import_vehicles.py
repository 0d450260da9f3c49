"""Create or update the vehicles and tokens of a fleet from a file."""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bookings.imports.vehicles import import_vehicles
from config.management.operator_command import OperatorCommand
from depots.parties import organisation_called


class Command(OperatorCommand):
    help = "Create or update a fleet's vehicles and tokens from a .json or .csv file: all of it or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--organisation", required=True, metavar="O", help="the fleet's name or party")

    def handle(self, *args: Any, file: Path, organisation: str, **options: Any) -> None:
        for vehicle in import_vehicles(file, fleet=organisation_called(organisation)):
            line = asdict(vehicle)
            self.say({"vehicle": line.pop("plate"), **line})
