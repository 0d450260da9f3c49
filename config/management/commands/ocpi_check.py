"""`conformance` as a command of this installation; it touches neither its database nor its settings."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from conformance import command_line


class Command(BaseCommand):
    help = command_line.HELP
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        command_line.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = command_line.check(Namespace(**options))
        except command_line.UnusableOptionsError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(command_line.written(report, as_json=options["json"]))
        if not report.is_conformant:
            sys.exit(1)
