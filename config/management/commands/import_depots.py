"""Create or update depots, chargers, EVSEs and booking options from a file."""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.utils import timezone

from bookings.imports.depots import import_depots
from config.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Create or update depots from a .json or .csv file (docs/operators/depot-file.md): all of it or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        imported = import_depots(file, now=timezone.now())
        for warning in imported.warnings:
            self.warn(warning)
        for depot in imported.depots:
            line = asdict(depot)
            self.say({"depot": line.pop("code"), **line})
