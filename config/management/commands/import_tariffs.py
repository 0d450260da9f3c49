"""Make or renew tariffs from a file, and bind them."""

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.utils import timezone

from bookings.actors import COMMAND
from bookings.imports.tariffs import import_tariffs
from config.management.operator_command import OperatorCommand


class Command(OperatorCommand):
    help = "Make or renew tariffs from a .json file (docs/operators/tariffs.md) and bind them: all of it or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        imported = import_tariffs(file, actor=COMMAND, now=timezone.now())
        for warning in imported.warnings:
            self.warn(warning)
        for tariff in imported.tariffs:
            line = asdict(tariff)
            self.say({"tariff": line.pop("code"), **line})
