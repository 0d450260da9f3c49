"""Create or update an operator's templates of charger settings from a file."""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bookings.imports.settings_templates import import_settings_templates
from config.management.operator_command import OperatorCommand
from depots.parties import organisation_called


class Command(OperatorCommand):
    help = "Create or update an operator's templates of charger settings from a .json file: all of it or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--operator", required=True, metavar="O", help="the operator's name or party")

    def handle(self, *args: Any, file: Path, operator: str, **options: Any) -> None:
        for template in import_settings_templates(file, operator=organisation_called(operator)):
            self.say(asdict(template))
